"""`lescanable`: a CANable in slcan firmware on a pseudo terminal, without the CANable.

python-can's `slcan` opens it as if it were real. What is on its bus is what a DBC file describes; what the
computer sends is printed. `--unplug-after` pulls the plug.
"""

import argparse
import asyncio
import contextlib
import errno
import os
import pty
import signal
import sys
import time
import tty
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mock.dbc_traffic import BENCH_DBC, Source, TrafficError, schedule, sources
from mock.slcan_firmware import Firmware, Frame

_PROGRAM: Final = "lescanable"
# What waits at the port of a computer that does not read; an adapter has no more either.
_READ_MAX: Final = 4096


class Canable:
    """Plugged in from the beginning. `link` is a path that stays the same over unplugging."""

    def __init__(
        self, link: Path | None = None, *, received: Callable[[Frame], None] = lambda _frame: None
    ) -> None:
        self.firmware = Firmware()
        self.lost = 0  # frames for which the port had no room
        self._link = link
        self._received = received
        self._ends: tuple[int, int] | None = None
        self.port = ""
        self.plug_in()

    @property
    def is_plugged_in(self) -> bool:
        return self._ends is not None

    def plug_in(self) -> None:
        assert self._ends is None
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        # Both ends stay open here: a terminal that nobody has open could not be read.
        self._ends = ours, theirs
        self.firmware = Firmware()
        self.port = os.ttyname(theirs)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.port)
            self.port = str(self._link)
        with contextlib.suppress(RuntimeError):  # before the loop runs, `run` does it
            asyncio.get_running_loop().add_reader(ours, self._read, ours)

    def unplug(self) -> None:
        if self._ends is None:
            return
        ours, theirs = self._ends
        self._ends = None
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        os.close(theirs)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    async def run(self, traffic: Sequence[Source] = ()) -> None:
        """Until cancelled; the adapter stays plugged in."""
        if self._ends is not None:
            asyncio.get_running_loop().add_reader(self._ends[0], self._read, self._ends[0])
        if not traffic:
            await asyncio.Event().wait()
        began = time.monotonic()
        for at_s, source in schedule(list(traffic)):
            if (wait_s := began + at_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            self.carry(source.frame(at_s))

    def carry(self, frame: Frame) -> None:
        """It is on the bus."""
        if self._ends is not None:
            self._write(self._ends[0], self.firmware.carry(frame, time.monotonic()))

    def _read(self, ours: int) -> None:
        try:
            octets = os.read(ours, _READ_MAX)
        except OSError:
            return
        answers = self.firmware.receive(octets)
        sent, self.firmware.sent = self.firmware.sent, []
        for frame in sent:
            self._received(frame)
        self._write(ours, answers)

    def _write(self, ours: int, octets: bytes) -> None:
        if not octets:
            return
        try:
            written = os.write(ours, octets)
        except OSError as exc:
            if exc.errno not in {errno.EAGAIN, errno.EIO}:
                raise
            written = 0
        if written < len(octets):
            self.lost += 1


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        traffic = [] if given.silent else sources(given.dbc)
    except TrafficError as exc:
        sys.stderr.write(f"{_PROGRAM}: {exc}\n")
        return 1
    try:
        asyncio.run(_run(given, traffic))
    except OSError as exc:
        sys.stderr.write(f"{_PROGRAM}: {exc}\n")
        return 1
    return 0


async def _run(given: argparse.Namespace, traffic: Sequence[Source]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    canable = Canable(given.link, received=lambda frame: _say(f"received {_text(frame)}"))
    _say(f"plugged in at {canable.port}")
    try:
        async with asyncio.TaskGroup() as tasks:
            parts = [
                tasks.create_task(canable.run(traffic), name="run the adapter"),
                tasks.create_task(_plug(canable, given), name="pull the plug"),
            ]
            await stop.wait()
            for part in parts:
                part.cancel()
    finally:
        canable.unplug()


async def _plug(canable: Canable, given: argparse.Namespace) -> None:
    if given.unplug_after is None:
        return
    await asyncio.sleep(given.unplug_after)
    canable.unplug()
    _say("unplugged")
    if given.back_after is not None:
        await asyncio.sleep(given.back_after)
        canable.plug_in()
        _say(f"plugged in at {canable.port}")


def _text(frame: Frame) -> str:
    number = f"{frame.can_id:08X}" if frame.is_extended else f"{frame.can_id:03X}"
    return f"{number}#R{frame.dlc}" if frame.is_remote else f"{number}#{frame.data.hex().upper()}"


def _say(line: str) -> None:
    sys.stdout.write(f"{_PROGRAM}: {line}\n")
    sys.stdout.flush()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="A CANable in slcan firmware on a pseudo terminal, with traffic from a DBC file.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dbc",
        type=Path,
        metavar="FILE",
        default=Path(__file__).with_name(BENCH_DBC),
        help="traffic from it",
    )
    parser.add_argument("--silent", action="store_true", help="nothing is on its bus")
    parser.add_argument("--link", type=Path, metavar="PATH", help="a name of the port that stays the same")
    parser.add_argument("--unplug-after", type=_seconds, metavar="S", help="pull the plug after so long")
    parser.add_argument("--back-after", type=_seconds, metavar="S", help="and put it in again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
