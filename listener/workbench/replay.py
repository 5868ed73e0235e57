"""A recording played again at its pace.

    async for delay_s, message in replay(path): …     delay_s: since the message before
    count = await play(path, send, speed=1.0)         send(can.Message) at the recording's pace, error frames
                                                      left out; what `send` raises ends it; cancel it to stop

RecordingError: kind `broken` for a file that cannot be read (what comes before the mistake is played),
`bad_format`, `bad_speed`.
"""

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any, Final

import can

from listener.workbench.candump import CandumpReader
from listener.workbench.recording import RecordingError

SPEED_MIN: Final = 0.01
SPEED_MAX: Final = 100.0
_BATCH: Final = 256
# Timers are no finer than that; what is due by then goes out with it.
_FINE_S: Final = 0.001
# However far behind, the loop's other work has its turn after so many.
_AT_ONCE: Final = 64

_READERS: Final[dict[str, Callable[[Any], can.io.generic.MessageReader]]] = {
    ".log": CandumpReader,
    ".asc": can.ASCReader,
    ".blf": can.BLFReader,
    ".csv": can.CSVReader,
    ".trc": can.TRCReader,
    ".mf4": can.MF4Reader,
}
_BINARY: Final = (".blf", ".mf4")


async def replay(path: Path) -> AsyncGenerator[tuple[float, can.Message], None]:
    """It is read in a thread, some messages ahead."""
    messages = _read(path)
    loop = asyncio.get_running_loop()
    last: float | None = None
    coming = loop.run_in_executor(None, _some, messages)
    try:
        while True:
            batch, mistake = await coming
            if batch and mistake is None:
                coming = loop.run_in_executor(None, _some, messages)
            for message in batch:
                delay_s = 0.0 if last is None else message.timestamp - last
                last = message.timestamp
                yield delay_s if math.isfinite(delay_s) and delay_s > 0 else 0.0, message
            if mistake is not None:
                raise mistake
            if not batch:
                return
    finally:
        coming.cancel()
        # It may be at work in its thread still, where it cannot be closed.
        await loop.run_in_executor(None, _close, messages)


async def play(path: Path, send: Callable[[can.Message], None], *, speed: float = 1.0) -> int:
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise RecordingError("bad_speed", f"{speed} is not in {SPEED_MIN}…{SPEED_MAX:g}")
    loop = asyncio.get_running_loop()
    due: float | None = None
    count = at_once = 0
    async with contextlib.aclosing(replay(path)) as messages:
        async for delay_s, message in messages:
            due = loop.time() if due is None else due + delay_s / speed
            if due - loop.time() > _FINE_S:
                at_once = 0
                await asyncio.sleep(due - loop.time())
            elif at_once >= _AT_ONCE:
                at_once = 0
                await asyncio.sleep(0)
            if not message.is_error_frame:
                send(message)
                count += 1
                at_once += 1
    return count


def _read(path: Path) -> Generator[can.Message, None, None]:
    suffix = path.suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        raise RecordingError("bad_format", f"{path.name}: none of the formats {', '.join(_READERS)}")
    try:
        # A reader that stumbles over the first octets leaves a file open that it has opened itself.
        with _open(path, suffix) as file, reader(file) as messages:
            for message in messages:
                message.channel = None
                # python-can's CSV does not tell.
                message.is_fd = message.is_fd or len(message.data) > 8
                yield message
    except Exception as exc:  # readers raise whatever they stumble over
        reason = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise RecordingError("broken", f"{path.name}: {reason}") from exc


def _open(path: Path, suffix: str) -> IO[Any]:
    return path.open("rb") if suffix in _BINARY else path.open(encoding="utf-8", errors="replace")


def _some(messages: Iterator[can.Message]) -> tuple[list[can.Message], RecordingError | None]:
    """With what has ended it too early."""
    batch: list[can.Message] = []
    try:
        batch.extend(itertools.islice(messages, _BATCH))
    except RecordingError as exc:
        return batch, exc
    return batch, None


def _close(messages: Generator[can.Message, None, None]) -> None:
    while True:
        try:
            messages.close()
        except ValueError:  # it is being read
            time.sleep(0.001)
        else:
            return
