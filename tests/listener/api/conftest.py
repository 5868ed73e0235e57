"""Daemons with four rides kept."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.listener.api_bench import Api, serving
from tests.listener.rides.terminal import record

Start = Callable[..., Api]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "les02.db"
    with capture_logs():
        asyncio.run(record(path))
    return path


@pytest.fixture
def start(tmp_path: Path, recorded: Path) -> Iterator[Start]:
    """A function that starts one."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(tmp_path, recorded, **settings))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, recorded: Path) -> Iterator[Api]:
    """One for all tests of a module that change nothing."""
    origins = '["http://page.example:8080"]'
    with serving(tmp_path_factory.mktemp("api"), recorded, LES02_API__CORS_ORIGINS=origins) as running:
        yield running
