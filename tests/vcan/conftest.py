"""These tests need a vcan0 of their own, which they take down and delete: tests/vcan/run gives them one."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.helpers import Daemon
from tests.vcan.bench import Program, lesmock, listening, sending, sent, until

collect_ignore_glob = [] if os.environ.get("LES02_VCAN") == "1" else ["test_*.py", "long/*.py"]


@pytest.fixture(scope="session")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One for all tests that do not need one of their own: each start takes seconds on a slow CPU."""
    with listening(tmp_path_factory.mktemp("listener")) as running:
        yield running
        assert running.process.poll() is None, running.lines[-20:]
        assert running.end()[0] == 0
        assert not [line for line in running.lines if "Traceback" in line]


@pytest.fixture(scope="session")
def paused_sensor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    output = tmp_path_factory.mktemp("lesmock") / "output"
    with lesmock(output, "--distance", "12000", "--pause", "0.5") as mock:
        before = sent()
        # The two that say `ready` stand before the first positions.
        until(lambda: sent() > before + 10, "the sensor's start")
        mock.pause()
        yield mock


@pytest.fixture
def sensor(paused_sensor: Program) -> Iterator[Program]:
    """Sends during the test; all other tests have a quiet bus."""
    with sending(paused_sensor):
        yield paused_sensor


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured is worth reading when all is well, too."""
    for report in terminalreporter.getreports("passed"):
        if report.when == "call" and report.user_properties:
            measured = ", ".join(f"{name} {value}" for name, value in report.user_properties)
            terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {measured}")
