"""The buses of the bench, each under a name, and the sensor's own among them: readable, never writable.

1. A bus that was lost is looked for until it is back or disconnected; both are told.
2. We send on buses that were opened here, when the configuration allows it at all, and never on the
   sensor's: it would lock. That bus is not opened a second time under another name either.
3. A defect of one bus is told and ends that bus, not the daemon.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

import can
import structlog

from listener.can_reader import BusUnavailable
from listener.config import CanConfig
from listener.workbench.bus import LOST, Bus, BusError
from listener.workbench.devices import Connection, can_config
from listener.workbench.own_bus import OwnBus
from listener.workbench.same_bus import is_same

_log = structlog.get_logger(__name__)

DEFAULT: Final = "default"
SENSOR: Final = "les02"
BUSES_MAX: Final = 16
CHECK_S: Final = 0.1


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


def _why(exc: BusUnavailable) -> str:
    """What has to be installed only where it is not."""
    missing = ImportError | can.CanInterfaceNotImplementedError
    is_missing = isinstance(exc.__cause__, missing) or "library not found" in str(exc)
    if is_missing:  # here the bit rate is the client's
        return str(exc).removesuffix(" and [can] bitrate")
    return str(exc).partition("; needs:")[0]
