"""Owns the CAN bus: opens it, hands its messages on one by one, finds it again when it is lost.

python-can's Notifier feeds an AsyncBufferedReader on the running loop. Left alone, this pair fails
silently: `Notifier` calls `bus.recv(0)` from the loop's own callback, so an interface that goes down
raises into the loop's exception handler, and whoever waits for the next message waits for ever. Hence:

1. A receive error of any kind ends the iteration with `BusLost`, after the messages that came before it.
2. One wake-up reads everything that is there (python-can reads one frame and costs four system calls); on
   a bus near its limits a timer takes the place of the descriptor. What is not read waits in the kernel.
3. At start a bus that cannot be opened is `BusUnavailable`, with the remedy; later it is tried again.
4. What the kernel had no room for is counted (`dropped`), over all sockets that this reader has had.
"""

import asyncio
import contextlib
import errno
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NoReturn, cast

import can
import structlog

from listener import socketcan
from listener.config import CanConfig
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
# A message so young has none waiting behind it.
FRESH_S = 0.0003
POLL_S = 0.002
# Messages of adapters without a descriptor come by themselves, and could wait here without end.
QUEUE_LIMIT = 65_536
# What may have waited in a socket whose interface failed; a bound for adapters that go on delivering.
RESCUE_LIMIT = 100_000
BACK_OFF_FIRST_S = 0.2
BACK_OFF_LIMIT_S = 5.0


# What the adapters need beside the minimal install; their own messages do not always say it.
_NEEDS = {
    "gs_usb": "; needs: pip install 'les02-listener[gs-usb]', a channel index and [can] bitrate",
    "pcan": "; needs: PEAK's PCAN-Basic, pip install 'les02-listener[pcan]' and [can] bitrate",
    "slcan": "; needs: pip install 'les02-listener[slcan]', the serial port as channel and [can] bitrate",
    "socketcand": "; needs: [can] options = {host = ..., port = ...}",
}


Handler = Callable[[can.Message], None]


class BusUnavailable(Exception):  # noqa: N818 - a condition of the bus, as is BusLost
    """The bus cannot be opened; the text says why and what to do."""


class BusLost(Exception):  # noqa: N818
    """An open bus does not answer any more."""


class CANBusReader:
    """Asynchronous iterator over the messages of one bus, ended by `BusLost` alone."""

    def __init__(self, config: CanConfig) -> None:
        self._config = config
        self._bus: can.BusABC | None = None
        self._notifier: can.Notifier | None = None
        self._buffer = _Buffer()
        self._dropped = 0
        self._drop_counter = 0

    def open(self) -> None:
        """Opens the bus and starts reading; must be called on the running loop."""
        self._start(open_bus(self._config))

    async def reopen(self) -> None:
        """Tries until the bus is there again. The jitter keeps several readers from knocking in step."""
        self.close()
        delay_s = BACK_OFF_FIRST_S
        while True:
            await asyncio.sleep(delay_s * random.uniform(0.8, 1.2))
            try:
                bus = await _open_in_thread(self._config)
            except BusUnavailable as exc:
                _log.debug("bus_still_unavailable", reason=str(exc))
                delay_s = min(2 * delay_s, BACK_OFF_LIMIT_S)
            else:
                self._start(bus)
                return

    def dropped(self) -> int:
        """Frames of any kind that there was no room for: in the kernel (SocketCAN tells), or here."""
        self._dropped += self._buffer.overflowed
        self._buffer.overflowed = 0
        if self._bus is not None and self._config.interface == "socketcan":
            # A socket that has failed altogether has no counter any more.
            with contextlib.suppress(OSError):
                counter = socketcan.drop_counter(cast("SocketcanBus", self._bus).socket)
                self._dropped += (counter - self._drop_counter) & 0xFFFF_FFFF
                self._drop_counter = counter
        return self._dropped

    def close(self) -> None:
        self.dropped()
        self._drop_counter = 0
        if self._notifier is not None:
            self._notifier.stop()
            self._notifier = None
        if self._bus is not None:
            # An adapter that was unplugged may fail once more here, with whatever its driver raises.
            with contextlib.suppress(Exception):
                self._bus.shutdown()
            self._bus = None

    def __aiter__(self) -> AsyncIterator[can.Message]:
        return self._buffer

    async def deliver(self, handler: Handler) -> NoReturn:
        """Calls the handler for each message where it is read; ended as the iteration is.

        At 500 messages a second the cost is in wake-ups; a turn of the loop costs as much as three clients.
        """
        await self._buffer.deliver(handler)

    def _start(self, bus: can.BusABC) -> None:
        self._bus = bus
        self._buffer = _Buffer()
        self._notifier = _GuardedNotifier(bus, self._buffer, _receiver(bus, self._config.interface))


def _receiver(bus: can.BusABC, interface: str) -> Receive:
    if interface == "socketcan":
        from can.interfaces.socketcan import SocketcanBus  # loaded already; other adapters do not need it

        if isinstance(bus, SocketcanBus):
            return socketcan.lean_receive(bus)
    return lambda: bus.recv(0)


class _Buffer(can.AsyncBufferedReader):
    """An AsyncBufferedReader that also passes on, in its place in the order, that the bus is lost.

    Or, once `deliver` has been called, no buffer at all: messages go to the handler.
    """

    _END = can.Message()

    def __init__(self) -> None:
        super().__init__()
        self._failure: Exception | None = None
        self._handler: Handler | None = None
        self._ended: asyncio.Future[NoReturn] | None = None
        self.overflowed = 0

    @property
    def is_full(self) -> bool:
        return self.buffer.qsize() >= DRAIN_BUDGET

    def on_message_received(self, msg: can.Message) -> None:
        if self._handler is not None:
            self._hand_over(self._handler, msg)
        elif self.buffer.qsize() < QUEUE_LIMIT:
            self.buffer.put_nowait(msg)
        else:
            self.overflowed += 1

    def on_error(self, exc: Exception) -> None:
        self._failure = exc
        if self._ended is not None:
            self._end(self._lost())
        else:
            self.buffer.put_nowait(self._END)

    async def deliver(self, handler: Handler) -> NoReturn:
        self._ended = asyncio.get_running_loop().create_future()
        while not self.buffer.empty():
            message = self.buffer.get_nowait()
            if message is self._END:
                raise self._lost() from self._failure
            handler(message)
        self._handler = handler
        await self._ended

    async def __anext__(self) -> can.Message:
        # `get` is a coroutine, which costs; of a batch only the first message has to be waited for.
        message = await self.buffer.get() if self.buffer.empty() else self.buffer.get_nowait()
        if message is self._END:
            raise self._lost() from self._failure
        return message

    def _hand_over(self, handler: Handler, message: can.Message) -> None:
        try:
            handler(message)
        except Exception as exc:  # noqa: BLE001 - a defect of the handler's: raised where it can end the daemon
            self._end(exc)

    def _end(self, exc: Exception) -> None:
        assert self._ended is not None
        self._handler = None
        if not self._ended.done():
            self._ended.set_exception(exc)

    def _lost(self) -> BusLost:
        lost = BusLost(str(self._failure) or repr(self._failure))
        lost.__cause__ = self._failure
        return lost


class _GuardedNotifier(can.Notifier):
    def __init__(self, bus: can.BusABC, buffer: _Buffer, receive: Receive) -> None:
        self._receive = receive
        self._buffer = buffer
        self._poll_timer: asyncio.TimerHandle | None = None
        self._woken_at = 0.0
        self._busy_wake_ups = 0
        super().__init__(bus, [buffer], timeout=THREAD_POLL_S, loop=asyncio.get_running_loop())

    def stop(self, timeout: float = 5.0) -> None:
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        super().stop(timeout)

    def _on_message_available(self, bus: can.BusABC) -> None:
        """The descriptor is ready."""
        now = time.monotonic()
        self._busy_wake_ups = self._busy_wake_ups + 1 if now - self._woken_at < BUSY_S else 0
        self._woken_at = now
        if self._drain(bus) is not None and self._busy_wake_ups >= BUSY_WAKE_UPS:
            self._stop_watching(bus)
            self._poll_later(bus)

    def _poll_later(self, bus: can.BusABC) -> None:
        assert self._loop is not None
        self._poll_timer = self._loop.call_later(POLL_S, self._poll, bus)

    def _poll(self, bus: can.BusABC) -> None:
        count = self._drain(bus)
        if count is None:
            return
        if count > 1:
            self._poll_later(bus)
        else:
            assert self._loop is not None
            self._busy_wake_ups = 0
            self._loop.add_reader(bus.fileno(), self._on_message_available, bus)

    def _drain(self, bus: can.BusABC) -> int | None:
        """How many messages were there; None when the bus is lost."""
        receive, deliver = self._receive, self._buffer.on_message_received
        count = 0
        try:
            while count < DRAIN_BUDGET and not self._buffer.is_full:
                message = receive()
                if message is None:
                    break
                deliver(message)
                count += 1
                # The first of a wake-up, just arrived, is alone on a sensor's bus; to look for a second would
                # cost as much as the first. (Adapters with a clock of their own are never this fresh.)
                if count == 1 and not self._busy_wake_ups and 0 <= time.time() - message.timestamp < FRESH_S:
                    break
        except Exception as exc:  # noqa: BLE001 - whatever an adapter's driver raises, the bus is lost
            self._stop_watching(bus)
            self._rescue(exc, RESCUE_LIMIT)
            return None
        return count

    def _rescue(self, lost: Exception, limit: int) -> None:
        """A socket tells its error before the frames that came earlier and still wait in it."""
        with contextlib.suppress(Exception):
            for _ in range(min(limit, DRAIN_BUDGET)):
                message = self._receive()
                if message is None:
                    break
                self._buffer.on_message_received(message)
            else:
                if limit > DRAIN_BUDGET:  # it may be ten seconds of the sensor: the clients have their turn
                    assert self._loop is not None
                    self._loop.call_soon(self._rescue, lost, limit - DRAIN_BUDGET)
                    return
        self._on_error(lost)

    def _stop_watching(self, bus: can.BusABC) -> None:
        # A descriptor in error stays readable: left in the loop it would be called without end.
        assert self._loop is not None
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_reader(bus.fileno())

    def _rx_thread(self, bus: can.BusABC) -> None:
        # python-can hands the error to on_error and then raises it again into a thread nobody joins.
        with contextlib.suppress(Exception):
            super()._rx_thread(bus)


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
        raise BusUnavailable(_explain(exc, config)) from exc
    return bus


async def _open_in_thread(config: CanConfig) -> can.BusABC:
    """Some adapters take seconds to answer, or for ever: neither clients nor the exit must wait for them.

    Hence not `asyncio.to_thread`: the exit joins its threads.
    """
    opened: Future[can.BusABC] = Future()
    opened.set_running_or_notify_cancel()

    def run() -> None:
        try:
            opened.set_result(open_bus(config))
        except Exception as exc:  # noqa: BLE001 - raised again where it is awaited
            opened.set_exception(exc)

    threading.Thread(target=run, name="open the bus", daemon=True).start()
    return await asyncio.wrap_future(opened)


def _explain(exc: Exception, config: CanConfig) -> str:
    channel = config.channel
    name = f"{config.interface} {channel}"
    code = exc.errno if isinstance(exc, OSError) else getattr(exc, "error_code", None)
    if config.interface not in can.VALID_INTERFACES:
        known = ", ".join(sorted(can.VALID_INTERFACES))
        return f"no such interface: {config.interface}; python-can knows {known}"
    if config.interface != "socketcan":
        needs = _NEEDS.get(config.interface, "")
        return f"cannot open {name}: {str(exc) or type(exc).__name__}{needs}"
    if code == errno.EAFNOSUPPORT:
        return f"cannot open {name}: this kernel has no CAN; try: sudo modprobe can_raw (or leslisten --demo)"
    if code == errno.ENODEV:
        make = (
            f"sudo ip link add dev {channel} type vcan && sudo ip link set up {channel}"
            if channel.startswith("vcan")
            else f"sudo ip link set {channel} up type can bitrate 250000 (ip link shows what is there)"
        )
        return f"cannot open {name}: no such interface; try: {make}"
    if code == errno.ENETDOWN:
        return f"cannot open {name}: the interface is down; try: sudo ip link set {channel} up"
    return f"cannot open {name}: {exc}"
