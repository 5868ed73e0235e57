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

import msgspec
import structlog

from listener import __version__, config, events, extras, logs, metrics, systemd, wings
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
from listener.wings import Heart, Wings, database_path

_log = structlog.get_logger(__name__)

STOP_S = 5.0
# Log file, bus, event loop, connections that are only being let in.
OWN_FILES = 200
EXIT_FAILED = 1
EXIT_CONFIG = 78


class Daemon:
    """The parts, wired."""

    def __init__(self, loaded: config.Loaded) -> None:
        self._loaded = loaded
        self._started = time.monotonic()
        self.hub = Hub()
        self.reader = CANBusReader(loaded.config.can)
        self.sensor = LES02(self.hub, loaded.config.les02, dropped=self.reader.dropped)
        page = Page(api=lambda: self.wings.api_address)
        pages = {"/": page.answer, "/healthz": self._health, "/metrics": self._metrics}
        self.commands = Commands()
        self.access = Access(*msgspec.structs.astuple(loaded.config.access))
        self.paths = Paths()
        self.server = WebSocketEventServer(
            loaded.config.websocket, self._hello, pages, self.commands, self.access, self.paths
        )
        self.hub.subscribe(self.server.broadcast)
        self._demo = Demo(loaded.config.can.channel) if loaded.demo else None
        heart = Heart(
            self.hub,
            self.reader,
            self.sensor,
            self.commands,
            self.access,
            self.paths,
            self._demo,
            health=lambda: self._health(None)[:3],
            port=lambda: self.server.port,
        )
        self.wings = Wings(loaded.config, heart)

    async def run(self) -> None:
        """Until SIGINT or SIGTERM; raises whatever stops it before."""
        try:
            # Before the signal handlers: an adapter that does not answer blocks here; SIGTERM must end it.
            self.reader.open()
            stop = asyncio.Event()
            on_stop(stop.set)
            async with contextlib.AsyncExitStack() as parts:
                parts.enter_context(push_buttons(self.commands, self._demo))
                await self.wings.enter(parts)
                parts.callback(self.reader.close)  # before the wings end, so that they have all there was
                await self.server.start()  # whoever connects finds everything there
                await self._work(stop)
        finally:
            self.reader.close()
            self.sensor.diagnosis.check_kernel()
            async with asyncio.timeout(STOP_S):
                await self.server.stop()
        frames = sum(self.sensor.counts.values())
        _log.info("listener_stopped", frames=frames, lost_kernel=self.sensor.diagnosis.lost["kernel"])

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            parts = [
                tasks.create_task(self.sensor.run(self.reader), name="read the bus"),
                tasks.create_task(self.sensor.watch(), name="watch for silence"),
                tasks.create_task(systemd.watchdog(), name="feed the watchdog"),
            ]
            if self._demo is not None:
                parts.append(tasks.create_task(self._demo.run(), name="simulate the sensor"))
            parts += [tasks.create_task(wing.run(), name=name) for name, wing in self.wings.open.items()]
            if self.wings.api is not None:
                parts.append(tasks.create_task(self.wings.api.watch(), name="serve the REST API"))
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
            "parts": [*(["demo"] if self._demo is not None else []), *self.wings.names],
            "api": self.wings.api_address,
            "signals": self._loaded.config.rides.signal_names,
            **self.wings.ride,
            **self.sensor.snapshot(),
        }
        return events.hello(time.time(), payload, settings.source)

    @property
    def _clients(self) -> int:
        """That stay, on all ports."""
        return self.server.clients + self.wings.clients

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
            **self.wings.health(),
        }
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
            **self.wings.metrics(),
            "les02_clock_steps_total": diagnosis.clock_steps,
            "les02_subscriber_failures_total": self.hub.failures,
            "les02_bus_up": sensor.bus == BUS_UP,
            "les02_clients": self._clients,
            "les02_uptime_seconds": time.monotonic() - self._started,
        }


def main(arguments: list[str] | None = None) -> int:
    # Started with `>&-` there is no such stream, and whoever writes to it would fail.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    options = config.build_parser().parse_args(arguments)
    try:
        loaded = config.load(vars(options), os.environ, Path.cwd())
        extras.check(loaded.config)
        wings.check(loaded.config)
        if options.check_config:
            sys.stdout.write(config.describe(loaded))
            if loaded.config.rides.enabled:
                sys.stdout.write(f"\n# rides are kept in {database_path(loaded.config)}\n")
            return 0
        logs.configure(loaded.config.logging)
    except config.ConfigError as exc:
        return _complain(str(exc), EXIT_CONFIG)
    servers = 2 if loaded.config.api.enabled else 1
    mesh = 3 * loaded.config.mesh.max_clients if loaded.config.mesh.enabled else 0  # listen, ask, watch
    _allow_files(servers * loaded.config.websocket.max_clients + mesh)
    try:
        asyncio.run(Daemon(loaded).run())
        logs.flush()
    except (BusUnavailable, PortUnavailable) as exc:
        return _complain(str(exc), EXIT_FAILED)
    except config.ConfigError as exc:  # of a wing: a file that the configuration names has changed since
        return _complain(str(exc), EXIT_CONFIG)
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
