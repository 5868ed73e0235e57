"""Owns the CAN bus: opens it, hands its messages on one by one, finds it again when it is lost.

python-can's Notifier feeds an AsyncBufferedReader on the running loop. Left alone, this pair fails
silently: `Notifier` calls `bus.recv(0)` from the loop's own callback, so an interface that goes down
raises into the loop's exception handler, and whoever waits for the next message waits for ever. Hence:

1. A receive error of any kind ends the iteration with `BusLost`, after the messages that came before it.
2. One wake-up reads everything that is there (python-can reads one frame and costs four system calls).
3. At start a bus that cannot be opened is `BusUnavailable`, with the remedy; later it is tried again.
4. What the kernel had no room for is counted (`dropped`), over all sockets that this reader has had.
"""

import asyncio
import contextlib
import errno
import os
import random
import socket
import struct
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

import can
import structlog

from listener.config import CanConfig

if TYPE_CHECKING:
    from can.interfaces.socketcan import SocketcanBus

_log = structlog.get_logger(__name__)

# Frames read in one wake-up before the loop's other work has its turn; the rest waits in the kernel.
DRAIN_BUDGET = 256
# How long python-can's thread (interfaces without a descriptor) takes to notice that it shall end.
THREAD_POLL_S = 0.1
# What may have waited in a socket whose interface failed; a bound for adapters that go on delivering.
RESCUE_LIMIT = 100_000
# asm-generic/socket.h; Python does not name them. The ninth word of SO_MEMINFO counts the drops.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
BACK_OFF_FIRST_S = 0.2
BACK_OFF_LIMIT_S = 5.0


# What the adapters need beside the minimal install; their own messages do not always say it.
_NEEDS = {
    "gs_usb": "; needs: pip install 'les02-listener[gs-usb]', a channel index and [can] bitrate",
    "pcan": "; needs: PEAK's PCAN-Basic, pip install 'les02-listener[pcan]' and [can] bitrate",
    "slcan": "; needs: pip install 'les02-listener[slcan]', the serial port as channel and [can] bitrate",
    "socketcand": "; needs: [can] options = {host = ..., port = ...}",
}


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
        """Frames of any kind that the kernel had no room for. Only SocketCAN tells."""
        if self._bus is not None and self._config.interface == "socketcan":
            # A socket that has failed altogether has no counter any more.
            with contextlib.suppress(OSError):
                counter = _drop_counter(cast("SocketcanBus", self._bus).socket)
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

    def _start(self, bus: can.BusABC) -> None:
        self._bus = bus
        self._buffer = _Buffer()
        self._notifier = _GuardedNotifier(
            bus, [self._buffer], timeout=THREAD_POLL_S, loop=asyncio.get_running_loop()
        )


class _Buffer(can.AsyncBufferedReader):
    """An AsyncBufferedReader that also passes on, in its place in the order, that the bus is lost."""

    _END = can.Message()

    def __init__(self) -> None:
        super().__init__()
        self._failure: Exception | None = None

    def on_error(self, exc: Exception) -> None:
        self._failure = exc
        self.buffer.put_nowait(self._END)

    async def __anext__(self) -> can.Message:
        message = await self.buffer.get()
        if message is self._END:
            raise BusLost(str(self._failure) or repr(self._failure)) from self._failure
        return message


class _GuardedNotifier(can.Notifier):
    def _on_message_available(self, bus: can.BusABC) -> None:
        try:
            for _ in range(DRAIN_BUDGET):
                message = bus.recv(0)
                if message is None:
                    return
                self._on_message_received(message)
        except Exception as exc:  # noqa: BLE001 - whatever an adapter's driver raises, the bus is lost
            self._stop_watching(bus)
            self._rescue(bus, exc, RESCUE_LIMIT)

    def _rescue(self, bus: can.BusABC, lost: Exception, limit: int) -> None:
        """A socket tells its error before the frames that came earlier and still wait in it."""
        with contextlib.suppress(Exception):
            for _ in range(min(limit, DRAIN_BUDGET)):
                message = bus.recv(0)
                if message is None:
                    break
                self._on_message_received(message)
            else:
                if limit > DRAIN_BUDGET:  # it may be ten seconds of the sensor: the clients have their turn
                    assert self._loop is not None
                    self._loop.call_soon(self._rescue, bus, lost, limit - DRAIN_BUDGET)
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
            _prepare(bus, config.receive_buffer)
    # Drivers raise what they like: ImportError, ValueError, TypeError, their own.
    except Exception as exc:
        raise BusUnavailable(_explain(exc, config)) from exc
    return bus


def _prepare(bus: can.BusABC, receive_buffer: int) -> None:
    sock = cast("SocketcanBus", bus).socket
    # An interface that is down can be opened; the socket then holds the error for the first reader.
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        bus.shutdown()
        raise OSError(code, os.strerror(code))
    _enlarge_buffer(sock, receive_buffer)


def _enlarge_buffer(sock: socket.socket, size: int) -> None:
    """The kernel's default holds 278 frames, half a second of the sensor."""
    # The kernel doubles what is asked for, and tells the double.
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size // 2)  # needs CAP_NET_ADMIN
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size // 2)  # up to net.core.rmem_max
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    (_log.info if granted >= size - 1 else _log.warning)("receive_buffer", granted=granted, wanted=size)


def _drop_counter(sock: socket.socket) -> int:
    *_, drops = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
    return int(drops)


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
