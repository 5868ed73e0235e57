"""The parts of the workbench, wired: buses, their database files, clients, sending, recordings, replays."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from listener.config import CanConfig, WorkbenchConfig
from listener.hub import Hub
from listener.workbench.bus import UP, Bus, BusError, SensorBus
from listener.workbench.buses import DEFAULT, SENSOR, Buses
from listener.workbench.dbc import DatabaseLibrary
from listener.workbench.devices import Connection, DeviceError, can_config
from listener.workbench.enumeration import Enumeration
from listener.workbench.own_bus import OwnBus
from listener.workbench.recording import RecordingError
from listener.workbench.recordings import Recordings
from listener.workbench.replay import play
from listener.workbench.same_bus import is_same
from listener.workbench.sending import Sending
from listener.workbench.session import CanSession
from listener.workbench.stream import FrameStream
from listener.workbench.transmit_lists import TransmitLists
from listener.workbench.watch import Watch

_log = structlog.get_logger(__name__)


class Bench:
    def __init__(
        self,
        config: WorkbenchConfig,
        folder: Path,
        sensor: CanConfig,
        sensor_is_up: Callable[[], bool],
        hub: Hub,
        signals: Sequence[str] = (),
    ) -> None:
        """`signals` are for the hub; `folder` has what the configuration names no place for."""
        self.config = config
        self.recordings_folder = Path(config.recordings_folder or folder / "recordings")
        self.dbc_folder = Path(config.dbc_folder or folder / "dbc")
        self.library = DatabaseLibrary(self.dbc_folder, reading_s=config.dbc_reading_s)
        self.watch = Watch(hub, signals, self.library.codec)
        self.stream = FrameStream(DEFAULT, self.library.codec)
        self.sensor = SensorBus(sensor_is_up, SENSOR, sensor.bitrate, *self._common, **self._more)
        self.buses = Buses(self.sensor, sensor, self._make, transmit=config.transmit)
        self.session = CanSession(self.stream, self._is_open, self._client_gone)
        self.sending = Sending(self.buses, self.session.is_present)
        self.recordings = Recordings(
            self.recordings_folder, in_use=lambda: [bus.recorder.file for bus in self.buses]
        )
        self.lists = TransmitLists(folder / "transmit_lists")
        self.enumeration = Enumeration()
        self._replays: dict[str, asyncio.Task[None]] = {}
        self._sensor_config = sensor
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def _common(self) -> tuple[Any, ...]:
        return self.library, self.stream, self.recordings_folder, self.watch

    @property
    def _more(self) -> dict[str, Any]:
        return {"pretrigger_s": self.config.pretrigger_s}

    @property
    def channels(self) -> list[str]:
        """Of the buses that were opened here, or are looked for."""
        return [str(bus.connection.channel) for bus in self.buses if isinstance(bus, OwnBus)]

    async def open(self) -> None:
        for problem in await self.library.open():
            _log.warning("dbc_not_loaded", reason=problem)
        self.watch.files_changed()
        for name, bus in self.config.buses.items():
            wanted = Connection(
                bus.device_type,
                bus.channel,
                bus.baudrate,
                bus.listen_only,
                bus.fd,
                bus.data_bitrate,
                bus.receive_own,
            )
            try:
                self.buses.expect(name, wanted)
            except (BusError, DeviceError) as exc:
                _log.error("workbench_bus_not_possible", bus=name, reason=str(exc))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self.watch.run(), name="watch signals")
            await self.buses.run(tasks)

    async def close(self) -> None:
        self.sending.close()
        for task in self._replays.values():
            task.cancel()
        await self.buses.close()
        self.stream.stop()

    def health(self) -> dict[str, Any]:
        buses = {bus.name: {"state": bus.state, "received": bus.received} for bus in self.buses}
        return {"buses": buses, "clients": self.stream.clients, "skipped": self.stream.skipped}

    def metrics(self) -> dict[str, float]:
        samples: dict[str, float] = {
            "les02_workbench_clients": self.stream.clients,
            "les02_workbench_skipped_frames_total": self.stream.skipped,
        }
        for bus in self.buses:
            label = f'{{bus="{bus.name}"}}'
            samples[f"les02_workbench_received_frames_total{label}"] = bus.received
            samples[f"les02_workbench_sent_frames_total{label}"] = bus.sent
            samples[f"les02_workbench_recorded_bytes_total{label}"] = bus.recorder.written
            samples[f"les02_workbench_bus_up{label}"] = bus.state == UP
        return samples

    async def connect(self, name: str, connection: Connection) -> OwnBus:
        return await self.buses.connect(name, connection)

    async def disconnect(self, name: str) -> None:
        self.buses.own(name)
        self.sending.bus_gone(name)
        if replay := self._replays.get(name):
            replay.cancel()
        await self.buses.disconnect(name)

    def cycle_times_changed(self) -> None:
        for bus in self.buses:
            bus.statistics.forget_cycle_times()
        self.watch.files_changed()

    def replay(self, recording: str, bus_name: str, speed: float) -> None:
        """Raises BusError, RecordingError; how it ends is told to those who look at the bus."""
        path = self.recordings.path(recording)
        bus = self.buses.writable(bus_name)
        if bus_name in self._replays:
            raise BusError("busy", f"{bus_name} has a replay already")
        assert self._tasks is not None
        task = self._tasks.create_task(self._replay(path, bus, speed), name=f"replay on {bus_name}")
        self._replays[bus_name] = task
        task.add_done_callback(lambda _: self._replays.pop(bus_name, None))

    async def list_recordings(self) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self.recordings.list)

    def below_dbc_folder(self, path: str) -> str:
        """The name that the library knows; what lies elsewhere it refuses."""
        with contextlib.suppress(ValueError):
            return str(Path(path).relative_to(self.dbc_folder.absolute()))
        return path

    def is_sensors(self, device_type: str, channel: str) -> bool:
        with contextlib.suppress(DeviceError):
            # Any rate that every device can do.
            return is_same(can_config(Connection(device_type, channel, "BAUD_500K")), self._sensor_config)
        return False

    def stop_replay(self, bus_name: str) -> bool:
        task = self._replays.get(bus_name)
        return task is not None and task.cancel()

    @property
    def replays(self) -> list[str]:
        return sorted(self._replays)

    async def _replay(self, path: Path, bus: OwnBus, speed: float) -> None:
        bus.tell("replay_started", recording=path.name)
        reason = "cancelled"
        try:
            frames = await play(path, bus.send_soon, speed=speed)
            reason = f"all of its {frames} frames"
        except (RecordingError, BusError) as exc:
            reason = str(exc)
        except Exception as exc:  # noqa: BLE001 - its defect must not end the daemon
            _log.exception("replay_failed", recording=path.name, bus=bus.name)
            reason = f"{type(exc).__name__}: {exc}"
        finally:
            bus.tell("replay_ended", recording=path.name, reason=reason)

    def _make(
        self, name: str, connection: Connection, config: CanConfig, changed: Callable[[OwnBus], None]
    ) -> OwnBus:
        return OwnBus(
            connection,
            config,
            changed,
            name,
            connection.bitrate,
            *self._common,
            data_bitrate=connection.data_bitrate,
            **self._more,
        )

    def _is_open(self, name: str) -> bool:
        return self.buses.find(name) is not None

    def _client_gone(self, client: str) -> None:
        self.sending.client_gone(client)


def told(bus: Bus, files: list[str], *, may_send: bool) -> dict[str, Any]:
    """A bus in the list."""
    own = bus if isinstance(bus, OwnBus) else None
    return {
        "name": bus.name,
        "state": bus.state,
        "reason": bus.reason,
        "device_type": own.connection.device_type if own else None,
        "channel": own.connection.channel if own else None,
        "baudrate": own.connection.baudrate if own else None,
        "fd": bool(own and own.connection.fd),
        "is_sensor": own is None,
        "writable": bus.is_writable,
        "transmit": may_send,
        "listen_only": own.listen_only if own else "never written to",
        "received": bus.received,
        "sent": bus.sent,
        "dropped": own.reader.dropped() if own else None,
        "uptime_s": bus.uptime_s,
        "dbc": files,
        "recording": bus.recorder.status(),
    }
