"""Slots onto a bus, each at its time: pacing, and a bus that is full, down or gone."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

import can

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mock.sensor import Frame, Slot

# Later than this it was not the scheduler but a suspended machine: a burst of old positions would be a lie.
CATCH_UP_S = 0.25
_YIELD_EVERY = 64
_FULL_RETRIES = 5
_FULL_PAUSE_S = 0.001
_REOPEN_S = 1.0


async def pace(
    slots: Iterator[Slot],
    send: Callable[[Slot, float], Awaitable[None]],
    *,
    speed_up: float,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """`send` gets each slot at its time, counted from the start, and how late that was.

    1. Deadlines are absolute: lateness never adds up.
    2. A late slot goes out at once, in order, until the pace is reached again.
    3. Beyond `CATCH_UP_S` the clock of the mock stood still: the rest is as much later.
    """
    start = clock()
    without_sleep = 0
    for slot in slots:
        deadline = start + slot.due_s / speed_up
        late = clock() - deadline
        if late < 0:
            await sleep(-late)
            late = max(0.0, clock() - deadline)
            without_sleep = 0
        else:
            without_sleep += 1
            if without_sleep % _YIELD_EVERY == 0:
                await sleep(0)
        if late > CATCH_UP_S:
            start += late
            late = 0.0
        if slot.frames:
            await send(slot, late)


class Transmitter:
    """Sends on a bus and outlives its troubles; each is told once when it begins and once when it is over.

    `reopen` makes the bus anew: a SocketCAN socket never finds back to an interface that was made anew.
    """

    def __init__(
        self,
        bus: can.BusABC,
        *,
        fd: bool,
        reopen: Callable[[], can.BusABC] | None,
        tell: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._bus = self._first_bus = bus
        self._fd = fd
        self._reopen = reopen
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._reopen_at = 0.0
        self._trouble = ""
        self.sent = 0
        self.lost = 0
        self.left_out = 0

    async def send(self, slot: Slot, late_s: float = 0.0) -> None:
        # When it was due, as a controller that stamps in hardware sees it; most buses stamp it themselves.
        timestamp = time.time() - late_s
        for frame in slot.frames:
            if frame.is_fd and not self._fd:
                self.left_out += 1
            elif await self._send(_message(frame, timestamp)):
                self.sent += 1
            else:
                self.lost += 1

    def close(self) -> None:
        """Only what it opened itself; the first bus is the caller's."""
        if self._bus is not self._first_bus:
            self._bus.shutdown()

    async def _send(self, message: can.Message) -> bool:
        # In lasting trouble no retries: each would make all later frames late.
        retries = 0 if self._trouble else _FULL_RETRIES
        while True:
            try:
                self._bus.send(message, timeout=0)
            except (can.CanError, OSError) as error:
                if not _queue_is_full(error):
                    self._down(error)
                    return False
                if not retries:
                    self._told(f"the transmit queue stays full, frames are lost: {error}")
                    return False
                retries -= 1
                await self._sleep(_FULL_PAUSE_S)
            else:
                if self._trouble:
                    self._tell("sending again")
                    self._trouble = ""
                return True

    def _down(self, error: Exception) -> None:
        self._told(f"cannot send, waiting for the bus: {error}")
        if self._reopen is None or self._clock() < self._reopen_at:
            return
        self._reopen_at = self._clock() + _REOPEN_S
        try:
            bus = self._reopen()
        except (can.CanError, OSError):
            return
        self.close()
        self._bus = bus

    def _told(self, trouble: str) -> None:
        # The text may change from frame to frame (down, then gone): one trouble, one line.
        if not self._trouble:
            self._tell(trouble)
        self._trouble = trouble


def _queue_is_full(error: Exception) -> bool:
    code = error.error_code if isinstance(error, can.CanError) else getattr(error, "errno", None)
    if code is not None:
        return code in (errno.ENOBUFS, errno.EAGAIN)
    return isinstance(error, can.CanTimeoutError) or "buffer full" in str(error)


def _message(frame: Frame, timestamp: float) -> can.Message:
    return can.Message(
        timestamp=timestamp,
        arbitration_id=frame.arbitration_id,
        data=frame.data,
        is_extended_id=frame.is_extended_id,
        is_remote_frame=frame.is_remote_frame,
        is_fd=frame.is_fd,
        bitrate_switch=frame.bitrate_switch,
        dlc=frame.dlc,
        is_rx=False,
    )
