"""One serial port while it is open: payloads come in, octets go out, and its end is told.

serialx reads and writes on the loop, opens and closes in threads. What it leaves open is settled here:

1. To open takes OPEN_S at the most, to close CLOSE_S. A driver that needs longer is left to its thread.
2. A write has ended when the driver has taken all octets, not when they are in a buffer of ours.
3. The control lines stay as they are when we close. On boards with an ESP32 they are wired to its reset, and
   the root module is not to start anew whenever the listener does.
4. Whatever a driver raises is a `PortError`; how a port was lost is the result of `lost`.
"""

import asyncio
import contextlib
import errno
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import serialx
import structlog

from listener.mesh.uart_codec import Decoder, encode

_log = structlog.get_logger(__name__)

# Payloads handed on in one turn of the loop: a port over USB may bring thousands at once, and others wait.
AT_ONCE: Final = 16
OPEN_S: Final = 5.0
CLOSE_S: Final = 2.0
_UNPLUGGED: Final = {errno.EIO, errno.ENXIO, errno.ENODEV}

_Opening = asyncio.Task[tuple[serialx.BaseSerialTransport, asyncio.Protocol]]


class PortError(Exception):
    """The text says why, for the user."""


class Link(asyncio.Protocol):
    """What comes before `start` is kept for it, also what was meanwhile looked at with `hear`."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.heard_at = -math.inf  # monotonic, of the last payload
        self.frames = 0
        self.octets = 0
        self.decoder = Decoder()
        self._received: Callable[[bytes], None] | None = None
        self._early: asyncio.Queue[bytes] = asyncio.Queue()
        self._looked_at: list[bytes] = []
        self._pending: deque[bytes] = deque()
        self._transport: serialx.BaseSerialTransport | None = None
        self._taken = asyncio.Event()
        self._taken.set()
        self._closed = asyncio.Event()

    # What serialx calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, serialx.BaseSerialTransport)
        # Above the limit, which is nothing, `pause_writing` is called, and below it `resume_writing`.
        transport.set_write_buffer_limits(high=0)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.octets += len(data)
        self._pending += self.decoder.feed(data)
        self._deliver()

    def pause_writing(self) -> None:
        self._taken.clear()

    def resume_writing(self) -> None:
        self._taken.set()

    def connection_lost(self, exc: Exception | None) -> None:
        while self._pending:
            self._take(self._pending.popleft())
        self._lose(exc)
        self._closed.set()

    # What we call

    async def hear(self) -> bytes:
        payload = await self._early.get()
        self._looked_at.append(payload)
        return payload

    def start(self, received: Callable[[bytes], None]) -> None:
        """It gets each payload, in order. When it raises, that is logged, and the next one comes."""
        self._received = received
        early, self._looked_at = self._looked_at, []
        while not self._early.empty():
            early.append(self._early.get_nowait())
        for payload in early:
            self._hand_on(payload, received)

    async def write(self, payload: bytes, limit_s: float) -> bool:
        """False if the port was lost meanwhile. A write that the driver does not end is a `TimeoutError`."""
        if self.lost.done() or self._transport is None:
            return False
        try:
            self._transport.write(encode(payload))
        except OSError as exc:  # it is broken; `connection_lost` is on its way
            self._lose(exc)
            return False
        if self._taken.is_set():
            return True
        taken = asyncio.ensure_future(self._taken.wait())
        try:
            done, _ = await asyncio.wait(
                (taken, self.lost), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            taken.cancel()
        if not done:
            raise TimeoutError
        return not self.lost.done()

    def abort(self, why: str) -> None:
        self._end(why)
        if self._transport is None or self._closed.is_set():
            return
        if not self._taken.is_set():
            # A driver that takes no octets would keep the close waiting for those that it has.
            with contextlib.suppress(Exception):
                self._transport.serial.reset_write_buffer()
        self._transport.abort()

    async def close(self) -> None:
        self.abort("closed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._closed.wait()

    def _deliver(self) -> None:
        for _ in range(min(AT_ONCE, len(self._pending))):
            self._take(self._pending.popleft())
        assert self._transport is not None
        if self._pending:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._deliver)
        else:
            self._transport.resume_reading()

    def _take(self, payload: bytes) -> None:
        self.frames += 1
        self.heard_at = time.monotonic()
        if self._received is None:
            self._early.put_nowait(payload)
        else:
            self._hand_on(payload, self._received)

    def _hand_on(self, payload: bytes, received: Callable[[bytes], None]) -> None:
        try:
            received(payload)
        except Exception:  # noqa: BLE001 - a defect; those who wait for other frames are not to suffer from it
            _log.exception("uart_frame_not_handled", device=self.device, payload=payload.hex())

    def _lose(self, exc: Exception | None) -> None:
        code = exc.errno if isinstance(exc, OSError) else None
        self._end("unplugged" if code in _UNPLUGGED else str(exc or "closed"))

    def _end(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(f"{self.device}: {why}")


async def open_link(device: str, baudrate: int) -> Link:
    loop = asyncio.get_running_loop()
    link = Link(device)
    keep = serialx.PinState.UNDEFINED
    opening = asyncio.create_task(
        serialx.create_serial_connection(
            loop, lambda: link, device, baudrate, dtr_on_close=keep, rts_on_close=keep
        ),
        name=f"open {device}",
    )
    try:
        done, _ = await asyncio.wait({opening}, timeout=OPEN_S)
    except asyncio.CancelledError:
        _leave(opening)
        # Most drivers are done at once, and then nothing is left behind.
        await asyncio.wait({opening}, timeout=CLOSE_S)
        raise
    if not done:
        _leave(opening)
        raise PortError(f"cannot open {device}: the driver does not answer")
    # Drivers raise what they like: OSError, termios.error, ValueError, serialx's own.
    if (exc := opening.exception()) is not None:
        raise PortError(explain(exc, device)) from exc
    return link


def explain(exc: BaseException, device: str) -> str:
    code = exc.errno if isinstance(exc, OSError) else None
    if code == errno.ENOENT:
        return f"{device} is not there"
    if code == errno.EACCES:
        return f"cannot open {device}: permission denied; try: sudo usermod -aG dialout $USER"
    if code == errno.EBUSY:
        return f"cannot open {device}: another program has it"
    return f"cannot open {device}: {getattr(exc, 'strerror', None) or str(exc) or type(exc).__name__}"


def _leave(opening: _Opening) -> None:
    """What is not open yet serialx closes by itself, as soon as the driver lets it."""
    opening.add_done_callback(_put_away)
    opening.cancel()


def _put_away(opening: _Opening) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].abort()
