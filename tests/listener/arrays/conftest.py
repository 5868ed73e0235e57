import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.listener.arrays.benches import Running, running


@pytest.fixture
def logs() -> Iterator[Any]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
async def bench(tmp_path: Path, logs: object) -> AsyncIterator[Running]:
    async with running(tmp_path) as found:
        yield found


@pytest.fixture
def unused_port() -> int:
    """Nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
