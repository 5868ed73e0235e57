from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.listener.robots.hall import Hall, hall


@pytest.fixture(params=["websocket", "api"])
async def each_port(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Hall]:
    """Reached through one server, then through the other."""
    async with hall(tmp_path, port=request.param) as found:
        yield found


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Hall]:
    async with hall(tmp_path) as found:
        yield found
