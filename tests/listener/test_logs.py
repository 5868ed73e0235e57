import errno
import io
import json
import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from listener import logs
from listener.config import ConfigError, LoggingConfig

pytestmark = pytest.mark.usefixtures("untouched_logging")

log = structlog.get_logger()  # made before configure(), as in every module of the daemon


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, f"no room for {len(text)} characters")


class Output:
    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    def getvalue(self) -> str:
        logs.flush()
        self._text += self._captured.readouterr().err
        return self._text


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Output:
    return Output(capsys)


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_lines_are_json_where_nobody_watches(stderr: Output) -> None:
    logs.configure(LoggingConfig())
    log.info("bus_up", channel="can0")
    (record,) = records(stderr.getvalue())
    age = datetime.now(UTC) - datetime.fromisoformat(record.pop("timestamp"))
    assert timedelta() <= age < timedelta(minutes=1)
    assert record == {"event": "bus_up", "channel": "can0", "level": "info"}


def test_lines_are_coloured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(LoggingConfig())
    log.info("bus_up", channel="can0")
    logs.flush()
    assert "\x1b[" in stream.getvalue()
    assert "bus_up" in stream.getvalue()


def test_format_may_be_forced(monkeypatch: pytest.MonkeyPatch, stderr: Output) -> None:
    logs.configure(LoggingConfig(format="console"))
    log.info("bus_up", channel="can0")
    assert "bus_up" in stderr.getvalue()
    assert "channel=can0" in stderr.getvalue()
    assert "\x1b[" not in stderr.getvalue()

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    logs.configure(LoggingConfig(format="json"))
    log.info("bus_up")
    logs.flush()
    assert len(records(terminal.getvalue())) == 1


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("DEBUG", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("Warning", ["warning", "error"]),
        ("ERROR", ["error"]),
    ],
)
def test_level_filters_whatever_its_case(stderr: Output, level: str, told: list[str]) -> None:
    logs.configure(LoggingConfig(level=level))
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("x")
    assert [record["level"] for record in records(stderr.getvalue())] == told


def test_libraries_speak_through_the_same_output_from_warning_on(stderr: Output) -> None:
    logs.configure(LoggingConfig(level="DEBUG"))
    library = logging.getLogger("websockets.server")
    library.info("connection open")
    library.warning("handshake of %s failed", "peer")
    (record,) = records(stderr.getvalue())
    del record["timestamp"]
    assert record == {"event": "handshake of peer failed", "level": "warning", "logger": "websockets.server"}


def test_libraries_are_no_louder_than_the_daemon(stderr: Output) -> None:
    logs.configure(LoggingConfig(level="ERROR"))
    logging.getLogger("asyncio").warning("slow")
    assert stderr.getvalue() == ""


@pytest.mark.parametrize("style", ["json", "console"])
def test_exception_is_told_with_its_traceback(stderr: Output, style: str) -> None:
    logs.configure(LoggingConfig(format="json" if style == "json" else "console"))
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("handler_failed")
        logging.getLogger("asyncio").exception("handler_failed")
    text = stderr.getvalue()
    assert text.count("ZeroDivisionError: division by zero") == 2
    if style == "json":
        assert all("Traceback" in record["exception"] for record in records(text))


def test_file_gets_json_lines_too_and_is_rotated(tmp_path: Path, stderr: Output) -> None:
    path = tmp_path / "les02.log"
    logs.configure(LoggingConfig(format="console", file=str(path), max_bytes=300, backups=2))
    for number in range(20):
        log.info("ride_end", number=number, floor="Küche")
    assert stderr.getvalue().count("ride_end") == 20
    assert {entry.name for entry in tmp_path.iterdir()} == {"les02.log", "les02.log.1", "les02.log.2"}
    last = records(path.read_text(encoding="utf-8"))[-1]
    assert (last["event"], last["number"], last["floor"]) == ("ride_end", 19, "Küche")
    assert path.stat().st_size <= 300


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/les02.log", "No such file or directory"),
        (".", "Is a directory"),
        ("a\0b", "embedded null byte"),
    ],
)
def test_file_that_cannot_be_opened_is_an_error_of_the_config(
    tmp_path: Path, stderr: Output, name: str, reason: str
) -> None:
    path = f"{tmp_path}/{name}"
    with pytest.raises(ConfigError) as error:
        logs.configure(LoggingConfig(file=path))
    assert str(error.value) == f"[logging] file: {path}: {reason}"
    assert stderr.getvalue() == ""


def test_an_output_that_blocks_stops_nobody_and_dropped_lines_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stopped(io.StringIO):
        """A terminal after Ctrl+S."""

        go_on = threading.Event()

        def write(self, text: str) -> int:
            assert self.go_on.wait(20)
            return super().write(text)

    monkeypatch.setattr(logs, "FLUSH_S", 0.01)
    output = Stopped()
    monkeypatch.setattr(sys, "stderr", output)
    logs.configure(LoggingConfig())
    background = logging.getLogger().handlers[0]
    for _ in range(logs.QUEUE_LINES + 51):
        log.info("line")
    background.flush()  # gives up
    output.go_on.set()
    monkeypatch.setattr(logs, "FLUSH_S", 20.0)
    background.flush()
    background.flush()  # the first one may have come before the line that tells
    told = records(output.getvalue())
    dropped = [record["number"] for record in told if record["event"] == "log_lines_dropped"]
    assert sum(record["event"] == "line" for record in told) + sum(dropped) == logs.QUEUE_LINES + 51
    assert dropped


def test_full_disk_neither_raises_nor_prints(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", FullDisk())
    logs.configure(LoggingConfig())
    log.error("x")
    logging.getLogger("websockets").error("x")
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_reader_that_leaves_the_pipe_does_not_end_the_daemon() -> None:
    program = """
import sys, structlog
from listener import logs
from listener.config import LoggingConfig
logs.configure(LoggingConfig())
sys.stdin.readline()
for _ in range(3):
    structlog.get_logger().error("x" * 100_000)
print("alive")
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    ) as process:
        assert process.stderr is not None
        process.stderr.close()
        process.stderr = None
        out, _ = process.communicate("go\n", timeout=30)
    assert out == "alive\n"


def test_configuring_twice_does_not_double_the_lines(stderr: Output) -> None:
    logs.configure(LoggingConfig())
    logs.configure(LoggingConfig())
    log.info("x")
    logging.getLogger("websockets").warning("x")
    assert len(records(stderr.getvalue())) == 2


def test_loggers_work_before_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("early")
    assert "early" in capsys.readouterr().out
