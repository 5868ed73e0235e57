"""What stands around the listener: the bus, who sends on it, who writes down what was on it."""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.e2e.helpers import ROOT, Daemon, clean_environment, daemon

CHANNEL = "vcan0"
PATIENCE_S = 30.0
# What python-can's floats lose of a timestamp in nanoseconds, and what candump cuts off.
STAMP_TOLERANCE_S = 1e-6 + 2**-21
PERIOD_S = 0.004
MOCK_GIVES_UP_S = 0.25
AT_LEAST_ONE_ON_TIME = 250
HALF_A_SECOND = 125  # samples of a channel
_POSITION = re.compile(r"\((\d+\.\d+)\) \w+ (080|081)#([0-9A-F]{6})[0-9A-F]{2}$")

Found = TypeVar("Found")


def until(find: Callable[[], Found], what: str, patience_s: float = PATIENCE_S) -> Found:
    deadline = time.monotonic() + patience_s
    while not (found := find()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


# ---- The bus ----


def ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def sent(name: str = CHANNEL) -> int:
    """Frames that anybody has sent on the bus since it was made, less those lost before any socket."""
    (link,) = json.loads(ip("-json", "-statistics", "link", "show", "dev", name))
    return int(link["stats64"]["tx"]["packets"]) - int(link["stats64"]["rx"]["dropped"])


def make_bus(name: str = CHANNEL) -> None:
    ip("link", "add", "dev", name, "mtu", "72", "type", "vcan")


def raise_bus(name: str = CHANNEL) -> None:
    ip("link", "set", name, "up")


class Failure(NamedTuple):
    """What `ip` is told."""

    name: str
    begin: str
    end: str


def going_down(name: str = CHANNEL) -> Failure:
    return Failure("down", f"link set {name} down\n", f"link set {name} up\n")


def going_away(name: str = CHANNEL) -> Failure:
    anew = f"link add dev {name} mtu 72 type vcan\nlink set {name} up\n"
    return Failure("gone", f"link del {name}\n", anew)


DOWN = going_down()
GONE = going_away()


class Saboteur:
    """An `ip` that is ready to act: where to start it takes half a second, that would be what is measured."""

    def __init__(self, failure: Failure) -> None:
        self._failure = failure
        self._ip = subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True)
        self._say("\n")
        until(self._is_listening, "ip to listen")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._say(self._failure.begin)
        try:
            yield
        finally:
            self._say(self._failure.end)
            self._ip.communicate(timeout=PATIENCE_S)
        assert self._ip.returncode == 0

    def _is_listening(self) -> bool:
        assert self._ip.stdin is not None
        return not any(fcntl.ioctl(self._ip.stdin, termios.FIONREAD, bytes(4)))

    def _say(self, lines: str) -> None:
        assert self._ip.stdin is not None
        self._ip.stdin.write(lines)
        self._ip.stdin.flush()


def in_user_mode_linux() -> bool:
    return "User Mode Linux" in Path("/proc/cpuinfo").read_text()


# ---- Programs beside the listener ----


class Program:
    """Its output goes into a file, so that it never waits for whoever reads it."""

    def __init__(self, command: list[str], output: Path) -> None:
        self.output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                cwd=output.parent,
                env=clean_environment(PYTHONPATH=str(ROOT)),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.output.read_text()

    def pause(self) -> None:
        pause(self.process.pid)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        return self.process.wait(patience_s)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
            self.wait()


def pause(process: int) -> None:
    """Returns when it really stands still."""
    os.kill(process, signal.SIGSTOP)
    status = Path(f"/proc/{process}/stat")
    until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", f"{process} to stop")


@contextmanager
def program(output: Path, *command: str) -> Iterator[Program]:
    running = Program(list(command), output)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def lesmock(output: Path, *arguments: str) -> Iterator[Program]:
    with program(output, sys.executable, "-m", "mock.mock_les02", "--channel", CHANNEL, *arguments) as mock:
        until(lambda: "sending on" in mock.said(), "lesmock to open the bus")
        # A real sensor does not wait for this machine's processor. Only root may ask for that.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(mock.process.pid, os.SCHED_RR, os.sched_param(1))
        yield mock


@contextmanager
def sending(mock: Program) -> Iterator[None]:
    before = sent()
    mock.resume()
    until(lambda: sent() > before + 10, "the sensor to send")
    yield
    mock.pause()


@contextmanager
def lesdebug(output: Path, url: str) -> Iterator[Program]:
    with program(output, sys.executable, "-m", "listener.debug_ws_client", "--url", url) as client:
        until(lambda: '"hello"' in client.said(), "lesdebug to be greeted")
        yield client


def cansend(*frames: str, channel: str = CHANNEL) -> None:
    for frame in frames:
        subprocess.run(["cansend", channel, frame], check=True, timeout=PATIENCE_S)


def canplayer(log: Path, *arguments: str) -> None:
    subprocess.run(["canplayer", "-I", str(log), *arguments], check=True, timeout=PATIENCE_S)


def write_log(path: Path, frames: list[str], interval_s: float, channel: str = CHANNEL) -> Path:
    lines = [f"({1.0 + n * interval_s:.6f}) {channel} {frame}\n" for n, frame in enumerate(frames)]
    path.write_text("".join(lines))
    return path


class Position(NamedTuple):
    ts: float
    channel: str
    raw: int


EVERYTHING = "0:0,#FFFFFFFF"  # data and error frames
POSITIONS = "080:7FE"


class Recording(Program):
    """What candump saw on the bus."""

    def __init__(self, output: Path, which: str, channel: str = CHANNEL) -> None:
        before = _readers(channel)
        super().__init__(["candump", "-L", "-D", "-d", "-r", "16777216", f"{channel},{which}"], output)
        until(lambda: _readers(channel) > before, "candump to read the bus")

    def frames(self) -> list[str]:
        """One line a frame; a loss of candump's own would make it no witness."""
        lines = self.said().splitlines(keepends=True)
        assert not any("DROPCOUNT" in line for line in lines)
        return [line.rstrip() for line in lines if line.startswith("(") and line.endswith("\n")]

    def positions(self) -> list[Position]:
        found = (_POSITION.match(line) for line in self.frames())
        return [
            Position(float(match[1]), "master" if match[2] == "080" else "slave", int(match[3], 16))
            for match in found
            if match
        ]


@contextmanager
def recording(output: Path, which: str = EVERYTHING, channel: str = CHANNEL) -> Iterator[Recording]:
    running = Recording(output, which, channel)
    try:
        yield running
    finally:
        running.end()


def _readers(channel: str) -> int:
    lists = ("all", "fil", "sff")
    return sum(Path(f"/proc/net/can/rcvlist_{name}").read_text().count(f" {channel} ") for name in lists)


# ---- The listener ----


@contextmanager
def listening(cwd: Path, channel: str = CHANNEL, port: int = 0, **environment: str) -> Iterator[Daemon]:
    """Without rides, unless they are asked for: what is proved here is the way of the frames."""
    flags = ("--interface", "socketcan", "--channel", channel, "--host", "127.0.0.1", "--port", str(port))
    with daemon(*flags, cwd=cwd, **{"LES02_RIDES__ENABLED": "false", **environment}) as running:
        try:
            running.logged("listener_started")
            yield running
        finally:
            running.process.send_signal(signal.SIGCONT)


def silence(listener: Daemon) -> None:
    """Until what the sensor did not send meanwhile is no missing sample any more."""
    until(lambda: health(listener)["channels"]["master"]["state"] in {"unknown", "no_data"}, "silence")


def health(listener: Daemon) -> dict[str, Any]:
    answer = json.loads(listener.get("/healthz")[1])
    assert isinstance(answer, dict)
    return answer


class Tally(NamedTuple):
    """What a listener says that it received and lost; two of them subtract to what happened in between."""

    frames: Counter[str]
    lost_kernel: int
    lost_bus: int
    can_errors: Counter[str]

    @property
    def accounted(self) -> int:
        return self.frames.total() + self.lost_kernel

    def since(self, earlier: "Tally") -> "Tally":
        frames, errors = Counter(self.frames), Counter(self.can_errors)
        frames.subtract(earlier.frames)
        errors.subtract(earlier.can_errors)
        return Tally(frames, self.lost_kernel - earlier.lost_kernel, self.lost_bus - earlier.lost_bus, errors)


def tally(listener: Daemon) -> Tally:
    said = health(listener)
    lost = said["lost"]
    return Tally(Counter(said["frames"]), lost["kernel"], lost["bus"], Counter(said["can_errors"]))


def accounted(listener: Daemon, start: Tally, frames: int) -> Tally:
    """What has become of that many frames, as soon as the listener has told it of each of them."""
    deadline = time.monotonic() + PATIENCE_S
    while (said := tally(listener).since(start)).accounted != frames:
        assert time.monotonic() < deadline, f"{frames} frames, of which are told {said}"
        time.sleep(0.1)
    return said


def metric(listener: Daemon, name: str) -> float:
    lines = listener.get("/metrics")[1].splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name)


def left_out(seen: list[Position]) -> int:
    """Samples that the sensor itself did not send, judged after the event.

    lesmock sends what is late in a burst, so lateness comes to an end; only what has remained to the end of
    the recording is missing. It gives up what is later than a quarter of a second: its clock stood still.
    """
    missing = 0
    for channel in ("master", "slave"):
        stamps = [position.ts for position in seen if position.channel == channel]
        late = [ts - stamps[0] - number * PERIOD_S for number, ts in enumerate(stamps)]
        for_good_s = min(late[-AT_LEAST_ONE_ON_TIME:]) - min(late[:AT_LEAST_ONE_ON_TIME])
        missing += round(for_good_s / PERIOD_S) if for_good_s > MOCK_GIVES_UP_S else 0
    return missing


def late_at_most(seen: list[Position]) -> int:
    """Samples that may be told as missing although they came: late, for half a second or more."""
    late = 0
    for channel in ("master", "slave"):
        stamps = [position.ts for position in seen if position.channel == channel]
        lateness = [ts - stamps[0] - number * PERIOD_S for number, ts in enumerate(stamps)]
        pieces = [lateness[start : start + HALF_A_SECOND] for start in range(0, len(stamps), HALF_A_SECOND)]
        least = [min(piece) for piece in pieces]
        rises_s = sum(max(0.0, after - before) for before, after in pairwise(least))
        late += round(rises_s / PERIOD_S)
    return late


def assert_bus_gaps(told: int, seen: list[Position]) -> None:
    """A machine too busy for the simulated sensor costs samples, and that is told; else nothing."""
    assert told <= late_at_most(seen)
    assert told or not left_out(seen)


def assert_same(heard: list[Position], seen: list[Position]) -> None:
    """What a client heard is what was on the bus: all of it, in order, with the kernel's timestamps."""
    assert len(heard) == len(seen)
    for number, (one, other) in enumerate(zip(heard, seen, strict=True)):
        assert one[1:] == other[1:], f"position {number}: {one} is not {other}"
        assert abs(one.ts - other.ts) < STAMP_TOLERANCE_S, f"position {number}: {one} is not {other}"
