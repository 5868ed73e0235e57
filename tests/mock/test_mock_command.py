from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import can
import pytest

from mock.mock_les02 import main

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
QUICK = ("--interface", "virtual", "--distance", "50", "--pause", "0.05", "--count", "1", "--speed-up", "50")


def raw_of(message: can.Message) -> int:
    return int.from_bytes(message.data[:3], "big")


def test_the_command_tells_each_ride_and_ends_after_the_last(
    channel: str, listening: Callable[[], list[can.Message]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--channel", channel]) == 0
    messages = listening()
    assert capsys.readouterr().out.splitlines() == [
        f"sending on {channel} (virtual), Ctrl+C ends it",
        "ride 1: up 50 mm from 1000 mm, 1.2 s",
        "ride 1: arrived at 1050 mm",
        f"{len(messages)} frames sent",
    ]
    assert raw_of(messages[-1]) == 1050


def test_the_command_takes_all_that_it_offers(
    channel: str, listening: Callable[[], list[can.Message]], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "--interface virtual --bitrate 250000 --fd --floors 300,200 --hydraulic --speed 600 --jerk 900 "
        "--acceleration 400 --creep-speed 50 --creep-distance 20 --resolution 0.5 --pause 0.1 --count 1 "
        "--speed-up 50 --fault drop=0.5 --fault mismatch=7,after=0 --seed 5"
    )
    runs = []
    for _ in range(2):
        assert main([*arguments.split(), "--channel", channel]) == 0
        runs.append([bytes(message.data) for message in listening()])
    assert runs[0] == runs[1]
    assert runs[0][-1][:3] in {raw.to_bytes(3, "big") for raw in (400, 407)}
    assert "ride 1: down 100 mm from 300 mm" in capsys.readouterr().out


def test_a_negative_distance_rides_down_first_from_a_place_that_allows_it(
    channel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, "--channel", channel, "--distance", "-1500"]) == 0
    assert "ride 1: down 1500 mm from 1500 mm" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_the_help_is_shown_by_any_terminal(encoding: str) -> None:
    command = [sys.executable, "-m", "mock.mock_les02", "--help"]
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=True
    )
    assert b"MM,MM,?" in ended.stdout
    assert ended.stderr == b""


def test_the_help_lists_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in ("locked", "error", "silent", "mismatch", "drop", "jitter", "malformed", "foreign"):
        assert f"\n  {name}" in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--speed 0", "speed_mm_s must be a positive number, not 0.0"),
        ("--floors 1,x", "'1,x' is not a list of heights in mm"),
        ("--distance 0", "floors 1000 and 1000 follow each other"),
        ("--fault explode", "unknown fault 'explode'"),
        ("--profile rope", "invalid choice: 'rope'"),
        ("--warp 9", "unrecognized arguments: --warp 9"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], arguments: str, complaint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lesmock: ")
    assert complaint in line


def test_a_log_that_is_missing_or_breaks_off_is_one_line_and_exit_1(
    channel: str, tmp_path: Path, write_log: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write_log(tmp_path / "broken.log", 3, 0.001)
    with broken.open("a") as log:
        log.write("(12")
    for path, complaint in ((tmp_path / "missing.asc", "No such file"), (broken, "not a log of that format")):
        assert main(["--interface", "virtual", "--channel", channel, "--replay", str(path)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"lesmock: {path}: ")
        assert complaint in line


@pytest.mark.parametrize(
    ("interface", "channel", "error", "complaint"),
    [
        (
            "socketcan",
            "vcan7",
            OSError(errno.ENODEV, "No such device"),
            "No such device; remedy: sudo ip link add dev vcan7 type vcan && sudo ip link set up vcan7",
        ),
        (
            "socketcan",
            "can0",
            OSError(errno.ENODEV, "No such device"),
            "No such device; remedy: sudo ip link set can0 up type can bitrate 250000",
        ),
        (
            "socketcan",
            "vcan0",
            OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol"),
            "this kernel has no CAN (sudo modprobe vcan), the demo does without: leslisten --demo",
        ),
        ("pcan", "0", can.CanInitializationError("no\nadapter"), "cannot open 0 (pcan): no adapter"),
        ("slcan", "0", ImportError(), "cannot open 0 (slcan): ImportError"),
    ],
)
def test_a_bus_that_cannot_be_opened_is_one_line_with_the_remedy_and_exit_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    interface: str,
    channel: str,
    error: Exception,
    complaint: str,
) -> None:
    def no_bus(*_arguments: Any, **_settings: Any) -> can.BusABC:
        raise error

    monkeypatch.setattr(can, "Bus", no_bus)
    assert main(["--interface", interface, "--channel", channel]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lesmock: cannot open {channel} ({interface}): ")
    assert line.endswith(complaint)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(
    channel: str, capsys: pytest.CaptureFixture[str], signal_number: signal.Signals
) -> None:
    with can.Bus(channel, "virtual", ignore_config=True) as bus:

        def signal_when_it_sends() -> None:
            bus.recv(10)
            os.kill(os.getpid(), signal_number)

        thread = threading.Thread(target=signal_when_it_sends)
        thread.start()
        assert main(["--interface", "virtual", "--channel", channel]) == 0
        thread.join()
    captured = capsys.readouterr()
    assert captured.err == ""
    assert re.fullmatch(r"\d+ frames sent", captured.out.splitlines()[-1])


def test_an_interrupt_before_the_loop_runs_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    def interrupted(_line: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mock.mock_les02._say", interrupted)
    assert main(["--interface", "virtual", "--channel", channel]) == 0


def test_a_closed_pipe_ends_it_quietly(monkeypatch: pytest.MonkeyPatch, channel: str) -> None:
    class ClosedPipe(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", ClosedPipe())
    assert main([*QUICK, "--channel", channel]) == 0


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mock.mock_les02", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_as_a_process_it_says_what_it_does_and_ends_on_sigterm_with_0() -> None:
    with start("--interface", "virtual", "--pause", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sending on vcan0 (virtual), Ctrl+C ends it\n"
        assert process.stdout.readline().startswith("ride 1: up 3000 mm from 1000 mm")
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_as_a_process_it_survives_a_reader_that_goes_away() -> None:
    with start(
        "--interface", "virtual", "--pause", "0.02", "--distance", "20", "--speed-up", "20"
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--channel", "nocan99"), 1),
        (("--interface", "nosuchthing"), 1),
        (("--interface", "virtual", "--replay", "missing.log"), 1),
        (("--fault", "drop=2"), 2),
    ],
)
def test_as_a_process_each_wrong_thing_is_one_line_and_an_exit_code(
    arguments: tuple[str, ...], code: int
) -> None:
    with start(*arguments) as process:
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors.count("\n")) == (code, "", 1)
    assert errors.startswith("lesmock: ")
