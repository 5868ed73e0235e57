"""`lesmock`: a LES02 on a CAN bus, without the LES02. Also the heart of the listener's demo mode: `run`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import io
import logging
import os
import selectors
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import can

from mock.faults import KINDS, parse_fault
from mock.options import MockOptions, make_car, make_sensor
from mock.replay import ReplayError, check_log, replay_slots
from mock.transmitter import Transmitter, pace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from mock.car import Car

_PROGRAM = "lesmock"
_START_MM = 1000.0

_VCAN_REMEDY = "sudo ip link add dev {0} type vcan && sudo ip link set up {0}"
_CAN_REMEDY = "sudo ip link set {0} up type can bitrate 250000"


def _tell_nobody(_line: str) -> None:
    pass


async def run(
    bus: can.BusABC,
    options: MockOptions,
    *,
    car: Car | None = None,
    tell: Callable[[str], None] = _tell_nobody,
    reopen: Callable[[], can.BusABC] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Send until the rides (or the log) are over or the task is cancelled; closing the bus is the caller's.

    A `car` from `make_car` lets the caller ask for rides meanwhile. `tell` gets a sentence per ride and
    trouble.
    """
    transmitter = Transmitter(bus, fd=options.fd, reopen=reopen, tell=tell, clock=clock, sleep=sleep)
    if options.replay is not None:
        slots = replay_slots(options.replay, 1 if options.count is None else options.count)
    else:
        slots = make_sensor(options, car or make_car(options, tell)).slots()
    try:
        await pace(slots, transmitter.send, speed_up=options.speed_up, clock=clock, sleep=sleep)
    finally:
        transmitter.close()
        tell(_summary(transmitter, options))


def _summary(transmitter: Transmitter, options: MockOptions) -> str:
    text = f"{transmitter.sent} frames sent"
    if transmitter.lost:
        text += f", {transmitter.lost} could not be sent"
    if options.replay is not None and transmitter.left_out:
        text += f", {transmitter.left_out} CAN FD frames left out (--fd sends them)"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - started with >&-
    # Not every terminal can show what the help has.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    # python-can logs what it also raises; one line is enough.
    logging.getLogger("can").addHandler(logging.NullHandler())
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        options = _options(given)
    except ValueError as error:
        parser.error(str(error))

    def open_bus() -> can.BusABC:
        # Not every driver knows every setting; what was not asked for is not passed on.
        asked = {"bitrate": given.bitrate, "fd": given.fd or None}
        settings = {name: value for name, value in asked.items() if value is not None}
        return can.Bus(given.channel, given.interface, ignore_config=True, **settings)

    try:
        if options.replay is not None:
            check_log(options.replay)
        try:
            bus = open_bus()
        # Each driver reports a missing device or library in its own way.
        except (can.CanError, OSError, ValueError, TypeError, ImportError, NotImplementedError) as error:
            return _fail(_no_bus(given.interface, given.channel, error))
        with bus:
            _say(f"sending on {given.channel} ({given.interface}), Ctrl+C ends it")
            # epoll rounds a wait up to whole milliseconds, half the sensor's period; select does not.
            with asyncio.Runner(
                loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
            ) as runner:
                runner.run(_until_signal(run(bus, options, tell=_say, reopen=open_bus)))
    except ReplayError as error:
        return _fail(str(error))
    except BrokenPipeError:
        # Python flushes stdout once more on its way out; that must not fail either.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        pass
    return 0


async def _until_signal(work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work, name=_PROGRAM)
    loop = asyncio.get_running_loop()
    # On Windows Ctrl+C is a KeyboardInterrupt, and there is nothing else.
    for signal_number in () if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _options(given: argparse.Namespace) -> MockOptions:
    if given.distance is not None:
        floors_mm: tuple[float, ...] = (
            max(_START_MM, -given.distance),
            max(_START_MM, -given.distance) + given.distance,
        )
    elif given.floors is not None:
        floors_mm = given.floors
    else:
        floors_mm = MockOptions().floors_mm
    return MockOptions(
        floors_mm=floors_mm,
        profile=given.profile,
        speed_mm_s=given.speed,
        acceleration_mm_s2=given.acceleration,
        jerk_mm_s3=given.jerk,
        creep_speed_mm_s=given.creep_speed,
        creep_distance_mm=given.creep_distance,
        resolution_mm=given.resolution,
        pause_s=given.pause,
        count=given.count,
        speed_up=given.speed_up,
        faults=tuple(given.fault),
        seed=given.seed,
        fd=given.fd,
        replay=given.replay,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    faults = "\n".join(
        f"  {name + ('' if kind.highest is None else f'={kind.value:g}'):<17}{kind.help}; {kind.when}"
        for name, kind in KINDS.items()
    )
    parser = _Parser(
        prog=_PROGRAM,
        description="Sends what a LES02 shaft copying sensor sends, or a recorded log, onto a CAN bus.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="faults, NAME[=VALUE][,after=S][,for=S][,every=S], with their defaults "
        "(seconds since the start; every=0: once):\n" + faults,
    )
    default = MockOptions()
    bus = parser.add_argument_group("bus")
    bus.add_argument("--interface", default="socketcan", help="python-can interface (default %(default)s)")
    bus.add_argument("--channel", default="vcan0", help="its channel (default %(default)s)")
    bus.add_argument("--bitrate", type=int, help="for adapters that are not set up by the system")
    bus.add_argument("--fd", action="store_true", help="open the bus as CAN FD")

    rides = parser.add_argument_group("rides")
    where = rides.add_mutually_exclusive_group()
    heights = ",".join(f"{floor:g}" for floor in default.floors_mm)
    where.add_argument(
        "--floors",
        type=_floors,
        metavar="MM,MM,…",
        help=f"heights, visited in this order, over and over; one: it stands there (default {heights})",
    )
    where.add_argument(
        "--distance", type=float, metavar="MM", help="ride this far and back again; negative: down first"
    )
    rides.add_argument(
        "--profile", choices=("s-curve", "hydraulic"), default="s-curve", help="(default %(default)s)"
    )
    rides.add_argument(
        "--hydraulic", dest="profile", action="store_const", const="hydraulic", help="--profile hydraulic"
    )
    rides.add_argument("--speed", type=float, metavar="MM/S", help="(default 1600, hydraulic 630)")
    rides.add_argument("--acceleration", type=float, metavar="MM/S²", help="(default 800, hydraulic 500)")
    rides.add_argument("--jerk", type=float, metavar="MM/S³", help="(default 1000)")
    rides.add_argument("--creep-speed", type=float, metavar="MM/S", help="hydraulic (default 60)")
    rides.add_argument(
        "--creep-distance", type=float, metavar="MM", help="hydraulic, at creep speed (default 100)"
    )
    rides.add_argument(
        "--resolution", type=float, default=1.0, metavar="MM", help="per count (default %(default)g)"
    )
    rides.add_argument(
        "--pause",
        type=float,
        default=default.pause_s,
        metavar="S",
        help="before each ride (default %(default)g)",
    )
    rides.add_argument(
        "--count",
        type=int,
        metavar="N",
        help="end after N rides, or N times the log; 0: never (default 0; a log once)",
    )
    rides.add_argument(
        "--speed-up", type=float, default=1.0, metavar="N", help="N times as fast, as far as the machine can"
    )
    trouble = parser.add_argument_group("trouble")
    trouble.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME",
        help="see below; may be given several times",
    )
    trouble.add_argument("--seed", type=int, help="makes drop, jitter and the like come out the same again")
    log = parser.add_argument_group("replay")
    log.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="play a log (.log of candump -l, .asc, .blf, .csv, .trc, …) instead of rides and faults",
    )
    return parser


def _floors(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(height) for height in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of heights in mm like 0,3000,6500"
        ) from None


def _fault(text: str) -> object:
    try:
        return parse_fault(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _no_bus(interface: str, channel: str, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    line = f"cannot open {channel} ({interface}): {reason}"
    if interface != "socketcan":
        return line
    if isinstance(error, OSError) and error.errno == errno.EAFNOSUPPORT:
        return f"{line}; this kernel has no CAN (sudo modprobe vcan), the demo does without: leslisten --demo"
    remedy = _VCAN_REMEDY if channel.startswith("vcan") else _CAN_REMEDY
    return f"{line}; remedy: {remedy.format(channel)}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fail(line: str) -> int:
    sys.stderr.write(f"{_PROGRAM}: {line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
