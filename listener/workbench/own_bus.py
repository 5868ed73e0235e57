"""A bus that was opened here: it is read, looked for when it is lost, and sent on."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import can
import structlog

from listener.can_reader import BusLost, BusUnavailable, CANBusReader, raw_frame
from listener.config import CanConfig
from listener.raw_frame import RawFrame
from listener.workbench.bus import FAILED, LOST, UP, Bus, BusError
from listener.workbench.devices import Connection, listens_only_by_itself
from listener.workbench.echoes import Echo, Echoes
from listener.workbench.transmitting import send

_log = structlog.get_logger(__name__)

# An adapter that does not answer.
OPEN_S: Final = 12.0
# Frames of a replay that wait for the adapter.
SENDS_MAX: Final = 4096


class OwnBus(Bus):
    def __init__(
        self,
        connection: Connection,
        config: CanConfig,
        changed: Callable[["OwnBus"], None],
        *arguments: Any,
        **more: Any,
    ) -> None:
        super().__init__(*arguments, **more)
        self.connection = connection
        self.reader = CANBusReader(config)
        self._config = config
        self._changed = changed
        # What is sent comes back as a frame: asked for, or because this adapter does it anyway.
        self._brings_back = bool(config.options.get("receive_own_messages")) or config.interface == "gs_usb"
        self._echoes = Echoes()
        # One thread: frames go out in the order in which they were sent, and the loop waits for no adapter.
        self._sender = ThreadPoolExecutor(1, f"send on {self.name}")
        self._sends = 0
        self._is_closed = False

    @property
    def is_writable(self) -> bool:
        return not self.connection.listen_only

    @property
    def interface(self) -> str:
        return self._config.interface

    @property
    def listen_only(self) -> str | None:
        if not self.connection.listen_only:
            return None
        return "adapter" if listens_only_by_itself(self.connection) else "software"

    async def open(self) -> None:
        try:
            async with asyncio.timeout(OPEN_S):
                await self.reader.open_in_thread()
        except TimeoutError:
            raise BusUnavailable(f"the adapter has not answered within {OPEN_S:g} s") from None

    async def run(self) -> None:
        """Reads it until cancelled; a bus that is lost is told and looked for."""
        try:
            while True:
                if self.state == LOST:
                    await self.reader.reopen()
                    self._clock_offset_s = None
                    self._turn(UP)
                try:
                    await self.reader.deliver(self.feed)
                except BusLost as exc:
                    self._turn(LOST, str(exc))
        except Exception as exc:  # noqa: BLE001 - rule 3
            _log.exception("workbench_bus_failed", bus=self.name)
            self._turn(FAILED, f"{type(exc).__name__}: {exc}")

    async def close(self) -> None:
        self._is_closed = True
        await self.reader.close_in_thread()
        self._sender.shutdown(wait=False, cancel_futures=True)
        await self.recorder.stop()

    def feed(self, frame: RawFrame) -> None:
        echo = self._echoes.look(frame, time.monotonic()) if self._echoes else None
        if echo is Echo.OF_THE_KERNEL:
            self.sent += 1
        self._take(frame, is_own=echo is not None)

    def _turn(self, state: str, reason: str = "") -> None:
        self.state, self.reason = state, reason
        log = _log.info if state == UP else _log.error
        log(f"workbench_{state}", bus=self.name, reason=reason)
        self._changed(self)
        self.tell(state, **({"reason": reason} if reason else {}))

    # Sending

    async def send(self, message: can.Message) -> None:
        bus = self._sent_on()
        self._expect(message)
        try:
            await asyncio.get_running_loop().run_in_executor(self._sender, send, bus, message)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling() or not self._is_closed:
                raise
            raise self._gone() from None  # it waited for the adapter, and nobody else has ended it
        except Exception as exc:  # drivers raise what they like
            if self._is_closed:
                raise self._gone() from exc
            raise BusError("cannot_send", f"{self.name}: {str(exc) or type(exc).__name__}") from exc
        self.has_sent(message)

    def send_soon(self, message: can.Message) -> None:
        """In the same order, without waiting; raises when too many wait or the bus is not there."""
        bus = self._sent_on()
        if self._sends >= SENDS_MAX:
            raise BusError("busy", f"{SENDS_MAX} frames wait for {self.name}")
        self._sends += 1
        self._expect(message)
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._sender, send, bus, message)
        future.add_done_callback(lambda done: self._soon_sent(done, message))

    def _sent_on(self) -> can.BusABC:
        if not self.is_writable:
            raise BusError("not_allowed", f"{self.name} is listen-only")
        bus = self.reader.bus
        if self._is_closed:
            raise self._gone()
        if bus is None or self.state != UP:
            raise BusError("cannot_send", f"{self.name} is lost: {self.reason or 'just now'}")
        return bus

    def _gone(self) -> BusError:
        return BusError("not_open", f"{self.name} was disconnected")

    def _soon_sent(self, done: "asyncio.Future[None]", message: can.Message) -> None:
        self._sends -= 1
        if done.cancelled():
            return
        if exc := done.exception():
            _log.warning("frame_not_sent", bus=self.name, reason=str(exc))
        else:
            self.has_sent(message)

    def cyclic_begins(self, message: can.Message, *, by_kernel: bool) -> None:
        """The kernel's come back, and nobody else tells of them."""
        if by_kernel or self._comes_back:
            self._echoes.begin(raw_frame(message), by_kernel=by_kernel)

    def cyclic_ends(self, message: can.Message) -> None:
        self._echoes.end(raw_frame(message), time.monotonic())

    @property
    def _comes_back(self) -> bool:
        return self._brings_back or self.connection.receive_own

    def _expect(self, message: can.Message) -> None:
        if self._comes_back:
            self._echoes.expect(raw_frame(message), time.monotonic())

    def has_sent(self, message: can.Message) -> None:
        self.sent += 1
        if self._brings_back:  # and is counted then
            return
        frame = raw_frame(message)._replace(timestamp=time.time())
        if self.connection.receive_own:  # of which its adapter knows nothing
            self.feed(frame)
        else:
            self.statistics.update_own(frame)
            self.recorder.put(frame, is_rx=False)
