"""What the tests of the wing stand on; those of `lesrides` on a terminal of their own, and four rides."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.rides import opening
from tests.listener.rides.recording import Bench
from tests.listener.rides.terminal import Typed, record


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def bench(tmp_path: Path, logs: object) -> Bench:
    return Bench(tmp_path / "les02.db")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "les02.db"
    with capture_logs():
        asyncio.run(record(path))
    return path


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("LES02_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.setattr(opening, "SERVICE_PATH", tmp_path / "service" / "les02.db")
    monkeypatch.chdir(tmp_path)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def database(recorded: Path, tmp_path: Path, terminal: None) -> Path:
    path = tmp_path / "state" / "les02-listener" / "les02.db"
    path.parent.mkdir(parents=True)
    shutil.copy(recorded, path)
    return path


@pytest.fixture
def lesrides(capsys: pytest.CaptureFixture[str], terminal: None) -> Typed:
    return Typed(capsys)
