"""Owns the CAN bus: opens it, delivers its frames one by one, finds it again when it is lost.

python-can's Notifier reads on the running loop. Left alone it fails silently: it calls `bus.recv(0)` from the
loop's own callback, so an interface that goes down raises into the loop's exception handler, and whoever
waits for the next message waits for ever. Hence:

1. A receive error of any kind ends `deliver` with `BusLost`, after the frames that came before it.
2. A frame is delivered where it is read: at 500 frames a second the cost is in the turns of the loop.
3. One wake-up reads everything that is there (python-can reads one frame and costs four system calls); on
   a bus near its limits a timer takes the place of the descriptor. What is not read waits in the kernel.
4. At start a bus that cannot be opened is `BusUnavailable`, with the remedy; later it is tried again.
5. What the kernel had no room for is counted (`dropped`), over all sockets that this reader has had.
6. Others may look on (`tap`): they get each frame after the handler, and one that raises is cut off.
"""

import asyncio
import contextlib
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

import can
import structlog

from listener import socketcan
from listener.config import CanConfig
from listener.opening import explain, in_thread
from listener.raw_frame import LENGTH_SHIFT, Flag, RawFrame
from listener.socketcan import Receive

if TYPE_CHECKING:
    from can.interfaces.socketcan import SocketcanBus

_log = structlog.get_logger(__name__)

# Frames read in one wake-up before the loop's other work has its turn; the rest waits in the kernel.
DRAIN_BUDGET = 256
# How long python-can's thread (interfaces without a descriptor) takes to notice that it shall end.
THREAD_POLL_S = 0.1
# Two wake-ups in a row that follow the one before so closely (3,300 frames a second) are a bus near its
# limits. Then a timer is cheaper than the descriptor: a wake-up costs more than the frames it brings.
BUSY_S = 0.0003
BUSY_WAKE_UPS = 2
# A frame so young has none waiting behind it.
FRESH_S = 0.0003
POLL_S = 0.002
# Frames of adapters without a descriptor come by themselves, and could wait here without end.
QUEUE_LIMIT = 65_536
# What may have waited in a socket whose interface failed; a bound for adapters that go on delivering.
RESCUE_LIMIT = 100_000
BACK_OFF_FIRST_S = 0.2
BACK_OFF_LIMIT_S = 5.0


Handler = Callable[[RawFrame], None]


class BusUnavailable(Exception):  # noqa: N818 - a condition of the bus, as is BusLost
    """The bus cannot be opened; the text says why and what to do."""


class BusLost(Exception):  # noqa: N818
    """An open bus does not answer any more."""


class CANBusReader:
    def __init__(self, config: CanConfig) -> None:
        self._config = config
        self._bus: can.BusABC | None = None
        self._delivery: _Delivery | None = None
        self._dropped = 0
        self._drop_counter = 0
        self._handler: Handler | None = None
        self._taps: tuple[Handler, ...] = ()

    @property
    def bus(self) -> can.BusABC | None:
        """None while it is lost or closed."""
        return self._bus

    def open(self) -> None:
        self._bus = open_bus(self._config)

    async def open_in_thread(self) -> None:
        """As `open`; the loop goes on meanwhile."""
        self._bus = await in_thread(partial(open_bus, self._config))

    async def deliver(self, handler: Handler) -> NoReturn:
        """Calls the handler for each frame of the open bus, until `BusLost` or an error of the handler's."""
        assert self._bus is not None
        self._handler = handler
        loop = asyncio.get_running_loop()
        receive = _receiver(self._bus, self._config.interface)
        delivery = self._delivery = _Delivery(self._bus, receive, self._tapped(handler), loop)
        try:
            await delivery.ended
        finally:
            delivery.stop()

    def tap(self, onlooker: Handler) -> Callable[[], None]:
        """Returns the function that ends it. While nobody looks on it costs nothing."""
        self._set_taps((*self._taps, onlooker))

        def end() -> None:
            self._set_taps(tuple(tap for tap in self._taps if tap is not onlooker))

        return end

    def _set_taps(self, taps: tuple[Handler, ...]) -> None:
        self._taps = taps
        if self._delivery is not None and self._handler is not None:
            self._delivery.handler = self._tapped(self._handler)

    def _tapped(self, handler: Handler) -> Handler:
        taps = self._taps
        if not taps:
            return handler

        def to_all(frame: RawFrame) -> None:
            handler(frame)
            for tap in taps:
                try:
                    tap(frame)
                except Exception:  # noqa: BLE001 - an onlooker's defect must not end the reading
                    _log.exception("onlooker_failed", onlooker=repr(tap))
                    self._set_taps(tuple(other for other in self._taps if other is not tap))

        return to_all

    async def reopen(self) -> None:
        """Tries until the bus is there again. The jitter keeps several readers from knocking in step."""
        self.close()
        delay_s = BACK_OFF_FIRST_S
        while True:
            await asyncio.sleep(delay_s * random.uniform(0.8, 1.2))
            try:
                self._bus = await in_thread(partial(open_bus, self._config))
            except BusUnavailable as exc:
                _log.debug("bus_still_unavailable", reason=str(exc))
                delay_s = min(2 * delay_s, BACK_OFF_LIMIT_S)
            else:
                return

    def dropped(self) -> int:
        """Frames of any kind that there was no room for: in the kernel (SocketCAN tells), or here."""
        if self._delivery is not None:
            self._dropped += self._delivery.overflowed
            self._delivery.overflowed = 0
        if self._bus is not None and self._config.interface == "socketcan":
            # A socket that has failed altogether has no counter any more.
            with contextlib.suppress(OSError):
                counter = socketcan.drop_counter(cast("SocketcanBus", self._bus).socket)
                self._dropped += (counter - self._drop_counter) & 0xFFFF_FFFF
                self._drop_counter = counter
        return self._dropped

    async def close_in_thread(self) -> None:
        """As `close`; the loop does not wait for an adapter's thread, nor for its last words."""
        self.dropped()
        self._drop_counter = 0
        delivery, self._delivery = self._delivery, None
        bus, self._bus = self._bus, None
        if delivery is not None:
            await delivery.stop_in_thread()
        if bus is not None:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(bus.shutdown)

    def close(self) -> None:
        self.dropped()
        self._drop_counter = 0
        if self._delivery is not None:
            self._delivery.stop()
            self._delivery = None
        if self._bus is not None:
            # An adapter that was unplugged may fail once more here, with whatever its driver raises.
            with contextlib.suppress(Exception):
                self._bus.shutdown()
            self._bus = None


def raw_frame(message: can.Message) -> RawFrame:
    flags = 0
    if message.is_extended_id:
        flags |= Flag.EXTENDED
    if message.is_remote_frame:
        flags |= Flag.REMOTE | message.dlc << LENGTH_SHIFT
    if message.is_error_frame:
        flags |= Flag.ERROR
    if message.is_fd:
        flags |= Flag.FD
        if message.bitrate_switch:
            flags |= Flag.BITRATE_SWITCH
        if message.error_state_indicator:
            flags |= Flag.ERROR_STATE
    return RawFrame(message.arbitration_id, flags, bytes(message.data), message.timestamp)


def _receiver(bus: can.BusABC, interface: str) -> Receive:
    if interface == "socketcan":
        from can.interfaces.socketcan import SocketcanBus  # loaded already; other adapters do not need it

        if isinstance(bus, SocketcanBus):
            return socketcan.lean_receive(bus)

    def receive() -> RawFrame | None:
        message = bus.recv(0)
        return None if message is None else raw_frame(message)

    return receive


class _Delivery(can.Notifier):
    """Reads one open bus until it fails; `ended` then has the reason."""

    def __init__(
        self, bus: can.BusABC, receive: Receive, handler: Handler, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.ended: asyncio.Future[NoReturn] = loop.create_future()
        self.overflowed = 0
        self._running_loop = loop
        self._receive = receive
        self.handler = handler
        self._poll_timer: asyncio.TimerHandle | None = None
        self._woken_at = 0.0
        self._busy_wake_ups = 0
        self._waiting: deque[RawFrame] = deque()
        self._asked = False
        self._failure: Exception | None = None
        # The loop of Windows watches no descriptors: a thread waits for each message instead.
        super().__init__(bus, [], timeout=THREAD_POLL_S, loop=None if sys.platform == "win32" else loop)

    def stop(self, timeout: float = 5.0) -> None:
        if self._stopped:
            return
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        super().stop(timeout)
        self.ended.cancel()

    async def stop_in_thread(self) -> None:
        threads = [reader for reader in self._readers if isinstance(reader, threading.Thread)]
        if threads and not self._stopped:
            self._stopped = True  # which they look at
            await asyncio.to_thread(threads[0].join, 2 * THREAD_POLL_S)
            self._stopped = False
        self.stop(0.0)

    # Interfaces with a descriptor

    def _on_message_available(self, bus: can.BusABC) -> None:
        """The descriptor is ready."""
        now = time.monotonic()
        self._busy_wake_ups = self._busy_wake_ups + 1 if now - self._woken_at < BUSY_S else 0
        self._woken_at = now
        if self._drain(bus) is not None and self._busy_wake_ups >= BUSY_WAKE_UPS:
            self._stop_watching(bus)
            self._poll_later(bus)

    def _poll_later(self, bus: can.BusABC) -> None:
        self._poll_timer = self._running_loop.call_later(POLL_S, self._poll, bus)

    def _poll(self, bus: can.BusABC) -> None:
        count = self._drain(bus)
        if count is None:
            return
        if count > 1:
            self._poll_later(bus)
        else:
            self._busy_wake_ups = 0
            self._running_loop.add_reader(bus.fileno(), self._on_message_available, bus)

    def _drain(self, bus: can.BusABC) -> int | None:
        """How many frames were there; None when it is over."""
        receive, handler = self._receive, self.handler
        for count in range(DRAIN_BUDGET):
            try:
                frame = receive()
            except Exception as exc:  # noqa: BLE001 - whatever an adapter's driver raises, the bus is lost
                self._stop_watching(bus)
                self._rescue(exc, RESCUE_LIMIT)
                return None
            if frame is None:
                return count
            # The first of a wake-up, just arrived, is alone on a sensor's bus; to look for a second would
            # cost as much as the first. (Adapters with a clock of their own are never this fresh.)
            alone = not count and not self._busy_wake_ups and 0 <= time.time() - frame.timestamp < FRESH_S
            try:
                handler(frame)
            except Exception as exc:  # noqa: BLE001 - a defect: raised where it can end the daemon
                self._stop_watching(bus)
                self._end(exc)
                return None
            if alone:
                return 1
        return DRAIN_BUDGET

    def _rescue(self, lost: Exception, limit: int) -> None:
        """A socket tells its error before the frames that came earlier and still wait in it."""
        for _ in range(min(limit, DRAIN_BUDGET)):
            frame = self._receive_left_behind()
            if frame is None or self.ended.done():
                break
            self._handle(frame)
        else:
            if limit > DRAIN_BUDGET:  # it may be ten seconds of the sensor: the clients have their turn
                self._running_loop.call_soon(self._rescue, lost, limit - DRAIN_BUDGET)
                return
        self._lose(lost)

    def _receive_left_behind(self) -> RawFrame | None:
        try:
            return self._receive()
        except Exception:  # noqa: BLE001 - it has failed before
            return None

    def _stop_watching(self, bus: can.BusABC) -> None:
        # A descriptor in error stays readable: left in the loop it would be called without end.
        with contextlib.suppress(OSError, ValueError):
            self._running_loop.remove_reader(bus.fileno())

    # Interfaces without one: a thread of python-can's waits for each message

    def _rx_thread(self, bus: can.BusABC) -> None:
        try:
            while not self._stopped:
                message = bus.recv(self.timeout)
                if message is not None:
                    self._put(raw_frame(message))
        except Exception as exc:  # noqa: BLE001 - as above
            self._failure = exc
            self._ask_to_fetch()

    def _put(self, frame: RawFrame) -> None:
        if len(self._waiting) < QUEUE_LIMIT:
            self._waiting.append(frame)
        else:
            self.overflowed += 1
        if not self._asked:
            self._ask_to_fetch()

    def _ask_to_fetch(self) -> None:
        self._asked = True
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._running_loop.call_soon_threadsafe(self._fetch)

    def _fetch(self) -> None:
        self._asked = False
        for _ in range(DRAIN_BUDGET):
            if not self._waiting or self.ended.done():
                break
            self._handle(self._waiting.popleft())
        if self.ended.done():
            return
        if self._waiting:
            self._ask_to_fetch()
        elif self._failure is not None:
            self._lose(self._failure)

    # The end

    def _handle(self, frame: RawFrame) -> None:
        try:
            self.handler(frame)
        except Exception as exc:  # noqa: BLE001 - a defect: raised where it can end the daemon
            self._end(exc)

    def _lose(self, exc: Exception) -> None:
        lost = BusLost(str(exc) or repr(exc))
        lost.__cause__ = exc
        self._end(lost)

    def _end(self, exc: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc)


def open_bus(config: CanConfig) -> can.BusABC:
    settings: dict[str, Any] = dict(config.options)
    if config.bitrate is not None:
        settings["bitrate"] = config.bitrate
    try:
        # Only our own configuration counts, not what python-can finds in ~/.canrc or the environment.
        bus = can.Bus(channel=config.channel, interface=config.interface, ignore_config=True, **settings)
        if config.interface == "socketcan":
            socketcan.prepare(cast("SocketcanBus", bus), config.receive_buffer)
    # Drivers raise what they like: ImportError, ValueError, TypeError, their own.
    except Exception as exc:
        raise BusUnavailable(explain(exc, config)) from exc
    return bus
