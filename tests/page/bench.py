"""A bench for the page: the real daemon, on a bus that a test may break.

    with benches(folder) as bench: bench.ride(3000.0); bench.fault("locked"); bench.repair(); bench.unplug()

The bus is a socket in a file, the sensor the simulator's, in a thread here. What reads it is leslisten:
`python -m tests.page.bench SOCKET FLAGS`.
"""

import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import can
from can.interfaces.socketcan.constants import SO_TIMESTAMPNS

from benchmarks.descriptor_bus import BUFFER, FRAME, DescriptorBus
from listener import can_reader, main
from listener.can_reader import BusUnavailable
from listener.config import CanConfig
from mock.car import Car
from mock.faults import KINDS
from mock.profile import Profile, hydraulic
from mock.sensor import SLAVE, SLOTS_PER_S, Fault, Sensor, Slot, position_frame
from tests.e2e.helpers import ROOT, Daemon, clean_environment

FLOOR_MM = 1000.0
TOP_MM = 100_000.0
CREEP_MM = 30.0  # half a second: a ride has all its phases, and is soon over
# Beyond, the sensor stood still because this process did: a burst of old positions would be a lie.
CATCH_UP_S = 0.25
# Of the sensor; what the workbench opens is as real as always.
CHANNEL = "the sensor's"
FLAGS = ("--host", "127.0.0.1", "--port", "0")
SETTINGS = {"LES02_RIDES__HOLD_S": "0.5", "LES02_CAN__CHANNEL": CHANNEL}


class _RealCar(Car):
    """Where it is does not depend on how late a slot is: who is late on a busy machine tells no lies."""

    def advance(self, now_s: float) -> None:
        super().advance(time.monotonic())


class Bench:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "bus"
        self.database = folder / "les02.db"
        self._lock = threading.Lock()
        self._speed_mm_s = 630.0
        self._car = _RealCar((FLOOR_MM,), self._profile, top_mm=TOP_MM)
        self._faults: list[Fault] = []
        self._number = 0
        self._server: socket.socket | None = None
        self._line: socket.socket | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="the sensor")
        self.daemon: Daemon

    @property
    def url(self) -> str:
        return self.daemon.url.replace("ws:", "http:")

    @property
    def position_mm(self) -> float:
        return self._car.position_mm

    def ride(self, distance_mm: float, speed_mm_s: float = 630.0) -> None:
        with self._lock:
            self._speed_mm_s = speed_mm_s
            self._car.start_ride(distance_mm)

    def fault(self, name: str, value: float | None = None) -> None:
        """One of the simulator's or of `_OWN`, from now on until `repair`."""
        apply = _OWN.get(name) or KINDS[name].apply
        value = KINDS[name].value if value is None and name in KINDS else value or 0.0
        with self._lock:
            self._faults.append(Fault(apply, value, self._number / SLOTS_PER_S, 1e9, 0.0))

    def repair(self) -> None:
        with self._lock:
            self._faults.clear()

    def plug_in(self) -> None:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server.bind(str(self.path))
        server.listen()
        server.setblocking(False)
        with self._lock:
            self._server = server

    def unplug(self) -> None:
        """As when the interface goes away: whoever reads it gets an error, and nobody can open it."""
        with self._lock:
            self._hang_up()
            if self._server is not None:
                self._server.close()
                self._server = None
                self.path.unlink()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self.unplug()

    def _profile(self, distance_mm: float) -> Profile:
        return hydraulic(distance_mm, self._speed_mm_s, creep_distance_mm=CREEP_MM)

    def _run(self) -> None:
        slots = Sensor(self._car, self._faults, seed=1).slots()
        start = time.monotonic()
        while True:
            ahead_s = start + (self._number + 1) / SLOTS_PER_S - time.monotonic()
            if ahead_s < -CATCH_UP_S:
                start -= ahead_s
            if self._ended.wait(max(0.0, ahead_s)):
                return
            # Asked where the car is only now: what waited for its turn would be an old place with a new time.
            with self._lock:
                slot = next(slots)
                self._number = slot.number
                self._send(slot)

    def _send(self, slot: Slot) -> None:
        if self._line is None and self._server is not None:
            with suppress(BlockingIOError):
                self._line, _ = self._server.accept()
                self._line.setblocking(False)
                self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        if self._line is None:
            return
        try:
            for frame in slot.frames:
                self._line.send(FRAME.pack(frame.arbitration_id, len(frame.data), frame.data))
        except BlockingIOError:
            pass  # nobody reads, and there is no room: as on a CAN bus, it is gone
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _silent_slave(slot: Slot, _fault: Fault, _since: int, _random: random.Random) -> Slot:
    return replace(slot, frames=()) if slot.channel == SLAVE else slot


def _jump(slot: Slot, fault: Fault, _since: int, _random: random.Random) -> Slot:
    raws = [int.from_bytes(frame.data[:3], "big") + round(fault.value) for frame in slot.frames]
    return replace(slot, frames=tuple(position_frame(slot.channel, raw) for raw in raws))


def _locked_slave(slot: Slot, fault: Fault, since: int, random: random.Random) -> Slot:
    return KINDS["locked"].apply(slot, fault, since, random) if slot.channel == SLAVE else slot


_OWN = {"silent_slave": _silent_slave, "locked_slave": _locked_slave, "jump": _jump}


# Told of a bench that is about to end: a page that looked on would complain, and rightly.
visitors: "list[Callable[[Bench], None]]" = []


@contextmanager
def benches(folder: Path, *, flags: tuple[str, ...] = FLAGS, **settings: str) -> Iterator[Bench]:
    """`folder` is the daemon's; its database is `les02.db` there."""
    bench = Bench(folder)
    bench.plug_in()
    environment = SETTINGS | {"LES02_DATABASE__PATH": str(bench.database)} | settings
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.page.bench", str(bench.path), *flags],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(ROOT), **environment),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    bench.daemon = Daemon(process)
    bench.start()
    try:
        bench.daemon.logged("listener_started")
        yield bench
    finally:
        for leave in tuple(visitors):
            leave(bench)
        bench.stop()
        bench.daemon.close()


def serve(arguments: list[str]) -> int:
    path, *flags = arguments
    others = can_reader.open_bus

    def open_bus(config: CanConfig) -> can.BusABC:
        if config.channel != CHANNEL:
            return others(config)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            try:
                line.connect(path)
            except OSError as exc:
                raise BusUnavailable(str(exc)) from exc
            line.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            # Never read there: a line with something unread is not closed but reset, an error to its reader.
            line.send(b"?")
            return DescriptorBus(line.fileno(), config.channel)

    can_reader.open_bus = open_bus
    return main.main(flags)


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
