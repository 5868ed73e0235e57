"""The buses of the bench, each under a name, and the sensor's own among them: readable, never writable.

1. A bus that was lost is looked for until it is back or disconnected; both are told.
2. We send on buses that were opened here, when the configuration allows it at all, and never on the
   sensor's: it would lock. That bus is not opened a second time under another name either.
3. A defect of one bus is told and ends that bus, not the daemon.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import can
import structlog

from listener.can_reader import BusLost, BusUnavailable, CANBusReader
from listener.config import CanConfig
from listener.raw_frame import Flag, RawFrame
from listener.workbench.dbc import DatabaseLibrary
from listener.workbench.devices import Connection, can_config, listens_only_by_itself
from listener.workbench.identifiers import Identifier, text_of
from listener.workbench.recording import Recorder
from listener.workbench.same_bus import is_same
from listener.workbench.statistics import BusStatistics, Missing
from listener.workbench.stream import FrameStream

_log = structlog.get_logger(__name__)

DEFAULT: Final = "default"
SENSOR: Final = "les02"
UP: Final = "bus_up"
LOST: Final = "bus_lost"
FAILED: Final = "failed"
BUSES_MAX: Final = 16
# An adapter that does not answer.
OPEN_S: Final = 12.0
SEND_S: Final = 1.0
# Frames of a replay that wait for the adapter.
SENDS_MAX: Final = 4096
CHECK_S: Final = 0.1
# A bus that is back has so long before messages are called missing.
SETTLE_S: Final = 1.0
# Before this (2001) a timestamp counts from an adapter's power-up, not from 1970.
EPOCH_MIN_S: Final = 1e9
_ERROR: Final = int(Flag.ERROR)


class BusError(Exception):
    """`kind`: `open_already`, `not_open`, `cannot_open`, `not_allowed`, `cannot_send`, `busy`, `too_many`."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Bus:
    """What is common to all: what is known of the frames, and who gets them."""

    def __init__(
        self,
        name: str,
        bitrate: int | None,
        library: DatabaseLibrary,
        stream: FrameStream,
        recordings: Path,
        *,
        data_bitrate: int | None = None,
        pretrigger_s: float = 0.0,
    ) -> None:
        self.name = name
        self.state = UP
        self.reason = ""
        self.opened_at = time.time()
        self.received = 0
        self.sent = 0
        self.codec = library.codec(name)
        self.statistics = BusStatistics(bitrate, data_bitrate, cycle_time_s=self.codec.cycle_time_s)
        self.recorder = Recorder(recordings, name, pretrigger_s=pretrigger_s, changed=self._recorder_changed)
        self._stream = stream
        self._clock_offset_s: float | None = None
        self._missing: set[Identifier] = set()  # as it was told
        self._quiet_until = 0.0

    @property
    def is_writable(self) -> bool:
        return False

    @property
    def uptime_s(self) -> float:
        return time.time() - self.opened_at

    def feed(self, frame: RawFrame) -> None:
        if frame.timestamp < EPOCH_MIN_S:
            frame = frame._replace(timestamp=self._unix_time(frame.timestamp))
        self.received += 1
        self.statistics.update(frame)
        self.recorder.put(frame)
        if not frame.flags & _ERROR:  # which has no identifier
            self._stream.feed(self.name, frame)

    def check(self, now: float) -> None:
        if self.state != UP:  # of which everything is missing
            self._missing.clear()
            self._quiet_until = now + SETTLE_S
        for alarm in self.statistics.check(now):
            missing = isinstance(alarm, Missing)
            if missing and now >= self._quiet_until:
                self._missing.add(alarm.identifier)
            elif alarm.identifier not in self._missing:
                continue
            else:
                self._missing.discard(alarm.identifier)
            self.tell(
                "missing" if missing else "returned",
                id=text_of(alarm.identifier),
                message_name=self.codec.name_of(alarm.identifier),
                cycle_time_s=alarm.cycle_time_s,
            )

    def summary(self) -> dict[str, Any]:
        return self.statistics.summary(time.monotonic())

    def snapshot(self) -> dict[str, Any]:
        return self.statistics.snapshot(time.monotonic())

    def tell(self, state: str, **more: Any) -> None:
        self._stream.tell(self.name, {"type": "status", "bus": self.name, "state": state, **more})

    def _recorder_changed(self) -> None:
        self.tell("recording", **self.recorder.status())

    def _unix_time(self, timestamp: float) -> float:
        """Some adapters stamp with their own clock: its first frame after opening is taken for now."""
        if self._clock_offset_s is None:
            self._clock_offset_s = time.time() - timestamp
        return timestamp + self._clock_offset_s


class SensorBus(Bus):
    """Fed by a tap on the heart's reader: the same frames, with no second socket, whatever the adapter."""

    def __init__(self, is_up: Callable[[], bool], *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._is_up = is_up

    def check(self, now: float) -> None:
        state = UP if self._is_up() else LOST
        if state != self.state:
            self.state = state
            self.tell(state)
        super().check(now)


class OwnBus(Bus):
    """One that a client has opened."""

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
        # One thread: frames go out in the order in which they were sent, and the loop waits for no adapter.
        self._sender = ThreadPoolExecutor(1, f"send on {self.name}")
        self._sends = 0

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
        await self.reader.close_in_thread()
        self._sender.shutdown(wait=False, cancel_futures=True)
        await self.recorder.stop()

    def _turn(self, state: str, reason: str = "") -> None:
        self.state, self.reason = state, reason
        log = _log.info if state == UP else _log.error
        log(f"workbench_{state}", bus=self.name, reason=reason)
        self._changed(self)
        self.tell(state, **({"reason": reason} if reason else {}))

    # Sending

    async def send(self, message: can.Message) -> None:
        if not self.is_writable:
            raise BusError("not_allowed", f"{self.name} is listen-only")
        bus = self.reader.bus
        if bus is None or self.state != UP:
            raise BusError("cannot_send", f"{self.name} is lost: {self.reason}")
        try:
            await asyncio.get_running_loop().run_in_executor(self._sender, _send, bus, message)
        except Exception as exc:  # drivers raise what they like
            raise BusError("cannot_send", f"{self.name}: {str(exc) or type(exc).__name__}") from exc
        self._is_sent(message)

    def send_soon(self, message: can.Message) -> None:
        """In the same order, without waiting; raises when too many wait or the bus is not there."""
        bus = self.reader.bus
        if bus is None or self.state != UP or not self.is_writable:
            raise BusError("cannot_send", f"{self.name} is not there to be sent on")
        if self._sends >= SENDS_MAX:
            raise BusError("busy", f"{SENDS_MAX} frames wait for {self.name}")
        self._sends += 1
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._sender, _send, bus, message)
        future.add_done_callback(lambda done: self._soon_sent(done, message))

    def _soon_sent(self, done: "asyncio.Future[None]", message: can.Message) -> None:
        self._sends -= 1
        if done.cancelled():
            return
        if exc := done.exception():
            _log.warning("frame_not_sent", bus=self.name, reason=str(exc))
        else:
            self._is_sent(message)

    def _is_sent(self, message: can.Message) -> None:
        self.sent += 1
        if not self.connection.receive_own:  # else it comes by itself
            message.timestamp = time.time()
            self.recorder.put(message, is_rx=False)


def _why(exc: BusUnavailable) -> str:
    """What has to be installed only where it is not."""
    is_missing = isinstance(exc.__cause__, ImportError | can.CanInterfaceNotImplementedError)
    return str(exc) if is_missing else str(exc).partition("; needs:")[0]


def _send(bus: can.BusABC, message: can.Message) -> None:
    # python-can's periodic tasks without a kernel have a thread each, and this lock among them.
    with getattr(bus, "_lock_send_periodic", None) or contextlib.nullcontext():
        bus.send(message, SEND_S)


class Buses:
    def __init__(
        self,
        sensor: Bus,
        sensor_config: CanConfig,
        make: Callable[..., OwnBus],
        *,
        transmit: bool,
    ) -> None:
        self._sensor_config = sensor_config
        self._make = make
        self._transmit = transmit
        self._buses: dict[str, Bus] = {sensor.name: sensor}
        self._opening: set[str] = set()
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.watchers: list[Callable[[OwnBus], None]] = []

    def __iter__(self) -> Iterator[Bus]:
        return iter(tuple(self._buses.values()))

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """While it runs buses are read, by tasks of this group."""
        self._tasks = tasks
        for bus in self:
            if isinstance(bus, OwnBus):
                self._read(bus)
        while True:
            await asyncio.sleep(CHECK_S)
            now = time.monotonic()
            for bus in self:
                bus.check(now)

    def find(self, name: str = DEFAULT) -> Bus | None:
        return self._buses.get(name)

    def readable(self, name: str = DEFAULT) -> Bus:
        return self._buses.get(name) or self.own(name)

    def own(self, name: str = DEFAULT) -> OwnBus:
        bus = self._buses.get(name)
        if isinstance(bus, OwnBus):
            return bus
        if bus is not None:
            raise BusError("not_allowed", f"{name} is the sensor's bus: readable, never writable")
        reason = "Not connected to any device" if name == DEFAULT else f"{name} is not connected"
        raise BusError("not_open", reason)

    def writable(self, name: str = DEFAULT) -> OwnBus:
        bus = self.own(name)
        if not self._transmit:
            raise BusError("not_allowed", "nothing is sent: [workbench] transmit is false")
        if not bus.is_writable:
            raise BusError("not_allowed", f"{name} is listen-only")
        return bus

    def expect(self, name: str, connection: Connection) -> OwnBus:
        """Found as soon as it is there. Raises DeviceError and BusError."""
        bus = self._new(name, connection)
        bus.state, bus.reason = LOST, "not found yet"
        self._buses[name] = bus
        self._read(bus)
        return bus

    async def connect(self, name: str, connection: Connection) -> OwnBus:
        """Raises DeviceError and BusError."""
        bus = self._new(name, connection)
        self._opening.add(name)
        try:
            await bus.open()
        except BusUnavailable as exc:
            raise BusError("cannot_open", f"Failed to connect to device: {_why(exc)}") from exc
        finally:
            self._opening.discard(name)
        self._buses[name] = bus
        _log.info("workbench_connected", bus=name, device=connection.device_type, channel=connection.channel)
        self._read(bus)
        bus.tell("connected")
        return bus

    def _new(self, name: str, connection: Connection) -> OwnBus:
        config = can_config(connection)
        if name == SENSOR or is_same(config, self._sensor_config):
            taken = f"{config.interface} {config.channel}"
            raise BusError("not_allowed", f"{taken} is the sensor's bus, which can be read as {SENSOR}")
        if name in self._buses or name in self._opening:
            reason = "Already connected. Disconnect first."
            raise BusError("open_already", reason if name == DEFAULT else f"{name}: {reason}")
        if len(self._buses) + len(self._opening) > BUSES_MAX:
            raise BusError("too_many", f"{BUSES_MAX} buses are connected, more are not possible")
        return self._make(name, connection, config, self._bus_changed)

    async def disconnect(self, name: str) -> None:
        bus = self.own(name)
        del self._buses[name]
        if task := self._readers.pop(name, None):
            task.cancel()
        await bus.close()
        _log.info("workbench_disconnected", bus=name)
        bus.tell("disconnected")

    async def close(self) -> None:
        own = [bus.name for bus in self if isinstance(bus, OwnBus)]
        await asyncio.gather(*map(self.disconnect, own), return_exceptions=True)
        for bus in self:
            await bus.recorder.stop()

    def _read(self, bus: OwnBus) -> None:
        if self._tasks is not None:
            self._readers[bus.name] = self._tasks.create_task(bus.run(), name=f"read {bus.name}")

    def _bus_changed(self, bus: OwnBus) -> None:
        for watcher in self.watchers:
            watcher(bus)
