"""The front door: configuration in, parts built, run, orderly shutdown.

Exit codes: 0 after SIGINT or SIGTERM; 1 when the bus or the port cannot be had, or a part has failed;
78 (EX_CONFIG) when the configuration is wrong. Shutdown follows the data: sensor, then clients.
"""

import asyncio
import contextlib
import gc
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from listener import __version__, config, events, extras, logs, metrics, systemd
from listener.access import Access
from listener.can_reader import BusUnavailable, CANBusReader
from listener.commands import Commands
from listener.demo import Demo, push_buttons
from listener.hub import Hub
from listener.les02 import BUS_UP, LES02
from listener.page import Page
from listener.ports import PortUnavailable
from listener.sessions import Paths
from listener.stop_signals import on_stop
from listener.websocket_server import Answer, WebSocketEventServer

if TYPE_CHECKING:
    from listener.api.wing import Api
    from listener.arrays.wing import Arrays
    from listener.database import Database
    from listener.rides.wing import Recorder
    from listener.robots.wing import Robots
    from listener.workbench.wing import Bench

_log = structlog.get_logger(__name__)

STOP_S = 5.0
# Log file, bus, event loop, connections that are only being let in.
OWN_FILES = 200
EXIT_FAILED = 1
EXIT_CONFIG = 78
# Of the rides, which are not imported where they are switched off.
RIDE_COMMANDS = (
    "list_rides",
    "get_ride",
    "compare_ride",
    "set_reference",
    "annotate_ride",
    "delete_ride",
    "set_specimen",
)


class _Wing(Protocol):
    async def run(self) -> None: ...

    def health(self) -> dict[str, Any]: ...


class Daemon:
    """The parts, wired."""

    def __init__(self, loaded: config.Loaded) -> None:
        self._loaded = loaded
        self._started = time.monotonic()
        self.hub = Hub()
        self.reader = CANBusReader(loaded.config.can)
        self.sensor = LES02(self.hub, loaded.config.les02, dropped=self.reader.dropped)
        pages = {"/": Page(api=self._api_address).answer, "/healthz": self._health, "/metrics": self._metrics}
        self.commands = Commands()
        self.access = Access(*msgspec.structs.astuple(loaded.config.access))
        self.paths = Paths()
        self.server = WebSocketEventServer(
            loaded.config.websocket, self._hello, pages, self.commands, self.access, self.paths
        )
        self.hub.subscribe(self.server.broadcast)
        self._demo = Demo(loaded.config.can.channel) if loaded.demo else None
        self._recorder: Recorder | None = None
        self._api: Api | None = None
        self._bench: Bench | None = None
        self._robots: Robots | None = None
        self._arrays: Arrays | None = None

    async def run(self) -> None:
        """Until SIGINT or SIGTERM; raises whatever stops it before."""
        try:
            # Before the signal handlers: an adapter that does not answer blocks here; SIGTERM must end it.
            self.reader.open()
            stop = asyncio.Event()
            on_stop(stop.set)
            async with contextlib.AsyncExitStack() as wings:
                await self._enter(wings)
                await self.server.start()  # whoever connects finds everything there
                await self._work(stop)
        finally:
            self.reader.close()
            self.sensor.diagnosis.check_kernel()
            async with asyncio.timeout(STOP_S):
                await self.server.stop()
        frames = sum(self.sensor.counts.values())
        _log.info("listener_stopped", frames=frames, lost_kernel=self.sensor.diagnosis.lost["kernel"])

    async def _enter(self, wings: contextlib.AsyncExitStack) -> None:
        """What is enabled beside the sensor; left in reverse order, when the sensor is not read any more."""
        config = self._loaded.config
        wings.enter_context(push_buttons(self.commands, self._demo))
        if config.api.enabled:
            from listener.api.wing import Api

            self._api = Api(
                config.api,
                config.websocket,
                self.access,
                self.paths,
                lambda: self._health(None)[:3],
                lambda: self.server.port,
            )
        database = self._open_database(wings) if config.rides.enabled or config.robots.enabled else None
        if config.rides.enabled:
            from listener.rides.wing import rides

            assert database is not None
            _log.info("rides_are_kept", path=str(database.path))
            self._recorder = await wings.enter_async_context(
                rides(
                    self.hub,
                    self.commands,
                    database,
                    config.rides,
                    resolution_mm=config.les02.resolution_mm,
                    source=config.les02.source,
                    api=self._api,
                )
            )
            if self._demo is not None:
                self._demo.expect = self._recorder.expect
        else:
            self.commands.refuse(RIDE_COMMANDS, "rides are switched off ([rides] enabled)")
        if config.workbench.enabled:
            from listener.workbench.wing import workbench

            self._bench = await wings.enter_async_context(
                workbench(
                    config.workbench,
                    sensor=config.can,
                    reader=self.reader,
                    sensor_is_up=lambda: self.sensor.bus == BUS_UP,
                    folder=database_path(self._loaded).parent,
                    paths=self.paths,
                    hub=self.hub,
                    signals=config.rides.signal_names,
                    api=self._api,
                )
            )
        if config.robots.enabled:
            from listener.robots.wing import robots

            assert database is not None
            self._robots = await wings.enter_async_context(
                robots(
                    config.robots,
                    database=database,
                    hub=self.hub,
                    access=self.access,
                    paths=self.paths,
                    api=self._api,
                )
            )
        if config.arrays.enabled:
            from listener.arrays.wing import arrays

            self._arrays = await wings.enter_async_context(
                arrays(
                    config.arrays,
                    folder=database_path(self._loaded).parent,
                    hub=self.hub,
                    paths=self.paths,
                    resolution_mm=config.les02.resolution_mm,
                    has_motion=config.rides.enabled,
                    signals=self._bench.watch if self._bench is not None else None,
                    api=self._api,
                )
            )
        if self._api is not None:
            await wings.enter_async_context(self._api.serving())  # with the routes of all wings
        wings.callback(self.reader.close)

    def _open_database(self, wings: contextlib.AsyncExitStack) -> "Database":
        """One for all wings."""
        from listener.database import Database

        database = Database(database_path(self._loaded), replaced=self._database_replaced)
        database.start()
        wings.push_async_callback(database.stop, STOP_S)
        return database

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            parts = [
                tasks.create_task(self.sensor.run(self.reader), name="read the bus"),
                tasks.create_task(self.sensor.watch(), name="watch for silence"),
                tasks.create_task(systemd.watchdog(), name="feed the watchdog"),
            ]
            if self._demo is not None:
                parts.append(tasks.create_task(self._demo.run(), name="simulate the sensor"))
            if self._recorder is not None:
                parts.append(tasks.create_task(self._recorder.run(), name="write rides"))
            parts += [tasks.create_task(wing.run(), name=name) for name, wing in self._wings.items()]
            if self._api is not None:
                parts.append(tasks.create_task(self._api.watch(), name="serve the REST API"))
            # What lives until the end need not be looked at by every garbage collection.
            gc.collect()
            gc.freeze()
            _log.info("listener_started", version=__version__, bus=self._bus_name)
            systemd.ready(f"reading {self._bus_name}")
            await stop.wait()
            _log.info("listener_stopping")
            systemd.stopping()
            for part in parts:
                part.cancel()

    def _database_replaced(self, why: str, aside: Path | None) -> None:
        source = self._loaded.config.les02.source
        code = "database_gone" if aside is None else "database_moved_aside"
        details = {"kind": why} if aside is None else {"kind": why, "moved_to": str(aside)}
        self.hub.publish(events.error(time.time(), "system", code, details, source))

    @property
    def _bus_name(self) -> str:
        bus = self._loaded.config.can
        return f"{bus.interface} {bus.channel}"

    def _hello(self) -> events.EventEnvelope:
        settings = self._loaded.config.les02
        payload = {
            "epoch": self.hub.epoch,
            "version": __version__,
            "resolution_mm": settings.resolution_mm,
            "parts": self._parts,
            "api": self._api_address(),
            "signals": self._loaded.config.rides.signal_names,
            "ride": self._recorder.ride if self._recorder else None,
            "storing": self._recorder.storing if self._recorder else "off",
            "troubles": self._recorder.troubles if self._recorder else [],
            **self.sensor.snapshot(),
        }
        return events.hello(time.time(), payload, settings.source)

    @property
    def _parts(self) -> list[str]:
        enabled = {
            "demo": self._demo,
            "rides": self._recorder,
            "workbench": self._bench,
            "robots": self._robots,
            "arrays": self._arrays,
            "api": self._api,
        }
        return [name for name, part in enabled.items() if part is not None]

    @property
    def _wings(self) -> dict[str, _Wing]:
        wings = {"workbench": self._bench, "robots": self._robots, "arrays": self._arrays}
        return {name: wing for name, wing in wings.items() if wing is not None}

    def _api_address(self) -> str:
        return self._api.address if self._api is not None else ""

    @property
    def _clients(self) -> int:
        """That stay, on all ports."""
        return self.server.clients + (self._api.clients if self._api else 0)

    def _health(self, _: object) -> Answer:
        sensor, diagnosis = self.sensor, self.sensor.diagnosis
        up = sensor.bus == BUS_UP
        age_s = None if sensor.frame_at is None else round(time.monotonic() - sensor.frame_at, 3)
        body = {
            "status": "ok" if up else sensor.bus,
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._started, 1),
            **sensor.snapshot(),
            "last_frame_age_s": age_s,
            "clients": self._clients,
            "frames": sensor.counts,
            "lost": diagnosis.lost,
            "can_errors": diagnosis.can_errors,
            "clock_steps": diagnosis.clock_steps,
            "counters": self.server.counts,
        }
        if self._recorder is not None:
            body["rides"] = {"storing": self._recorder.storing, **self._recorder.counts}
        body |= {name: wing.health() for name, wing in self._wings.items()}
        return 200 if up else 503, "application/json", msgspec.json.encode(body)

    def _metrics(self, _: object) -> Answer:
        return 200, metrics.CONTENT_TYPE, metrics.render(self._samples())

    def _samples(self) -> dict[str, float]:
        sensor, diagnosis = self.sensor, self.sensor.diagnosis
        served = {f"les02_{name}_total": n for name, n in self.server.counts.items()}
        return {
            **metrics.labelled("les02_frames_total", "kind", sensor.counts),
            **metrics.labelled("les02_lost_frames_total", "where", diagnosis.lost),
            **metrics.labelled("les02_can_errors_total", "class", diagnosis.can_errors),
            **served,
            **self._ride_samples(),
            **(self._bench.metrics() if self._bench is not None else {}),
            **(self._robots.metrics() if self._robots is not None else {}),
            "les02_clock_steps_total": diagnosis.clock_steps,
            "les02_subscriber_failures_total": self.hub.failures,
            "les02_bus_up": sensor.bus == BUS_UP,
            "les02_clients": self._clients,
            "les02_uptime_seconds": time.monotonic() - self._started,
        }

    def _ride_samples(self) -> dict[str, float]:
        recorder = self._recorder
        if recorder is None:
            return {}
        counts = {f"les02_{name}_total": n for name, n in recorder.counts.items()}
        return {**counts, "les02_storing": recorder.storing == "ok"}


def database_path(loaded: config.Loaded) -> Path:
    from listener.database import default_path  # SQLite is not needed without rides

    path = loaded.config.database.path
    return Path(path) if path else default_path(os.environ)


def main(arguments: list[str] | None = None) -> int:
    # Started with `>&-` there is no such stream, and whoever writes to it would fail.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    options = config.build_parser().parse_args(arguments)
    try:
        loaded = config.load(vars(options), os.environ, Path.cwd())
        extras.check(loaded.config)
        if options.check_config:
            sys.stdout.write(config.describe(loaded))
            if loaded.config.rides.enabled:
                sys.stdout.write(f"\n# rides are kept in {database_path(loaded)}\n")
            return 0
        logs.configure(loaded.config.logging)
    except config.ConfigError as exc:
        return _complain(str(exc), EXIT_CONFIG)
    servers = 2 if loaded.config.api.enabled else 1
    _allow_files(servers * loaded.config.websocket.max_clients)
    try:
        asyncio.run(Daemon(loaded).run())
        logs.flush()
    except (BusUnavailable, PortUnavailable) as exc:
        return _complain(str(exc), EXIT_FAILED)
    except Exception as exc:  # noqa: BLE001
        # A part that failed must end the process, never leave it alive without that part; systemd restarts.
        cause = exc.exceptions[0] if isinstance(exc, ExceptionGroup) else exc
        _log.critical("listener_failed", exc_info=exc)
        return _complain(f"stopped by an error: {type(cause).__name__}: {cause}", EXIT_FAILED)
    return 0


def _allow_files(clients: int) -> None:
    """A descriptor for each client: the usual limit is 1024, and only we know that it should be more."""
    if sys.platform == "win32":  # no such limit
        return
    import resource

    wanted = clients + OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    except (OSError, ValueError):
        reachable = soft
    if reachable < wanted:
        _log.warning("too_few_files", max_clients=clients, limit=reachable)


def _complain(text: str, code: int) -> int:
    logs.flush()  # the last line is the one that is read
    sys.stderr.write(f"leslisten: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
