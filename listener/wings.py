"""The wings that are switched on: each is opened by its door, with the few things it needs, and closed again.

1. A wing is imported where it is opened, so the minimal install runs without what the others need.
2. They open in the order of what they give each other, and close in reverse.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from listener import events
from listener.access import Access
from listener.can_reader import CANBusReader
from listener.commands import Commands
from listener.config import Config
from listener.demo import Demo
from listener.hub import Hub
from listener.les02 import BUS_UP, LES02
from listener.sessions import Paths

if TYPE_CHECKING:
    from listener.api.wing import Api
    from listener.database import Database
    from listener.rides.wing import Recorder
    from listener.workbench.wing import Bench

_log = structlog.get_logger(__name__)

LAST_WRITE_S: Final = 5.0
# Of the rides, which are not imported where they are switched off.
RIDE_COMMANDS: Final = (
    "list_rides",
    "get_ride",
    "compare_ride",
    "set_reference",
    "annotate_ride",
    "delete_ride",
    "set_specimen",
)


class Wing(Protocol):
    async def run(self) -> None:
        """Until it is cancelled."""

    def health(self) -> dict[str, Any]: ...

    def metrics(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Heart:
    """What wings are given of it."""

    hub: Hub
    reader: CANBusReader
    sensor: LES02
    commands: Commands
    access: Access
    paths: Paths
    demo: Demo | None
    health: Callable[[], tuple[int, str, bytes]]
    port: Callable[[], int]


class Wings:
    def __init__(self, config: Config, heart: Heart) -> None:
        self._config = config
        self._heart = heart
        self.open: dict[str, Wing] = {}
        self.api: Api | None = None
        self._recorder: Recorder | None = None
        self._bench: Bench | None = None
        self._database: Database | None = None

    async def enter(self, stack: contextlib.AsyncExitStack) -> None:
        """What is enabled; `stack` closes it."""
        config = self._config
        if config.api.enabled:
            self._open_api()
        if config.rides.enabled:
            await self._open_rides(stack)
        else:
            self._heart.commands.refuse(RIDE_COMMANDS, "rides are switched off ([rides] enabled)")
        if config.workbench.enabled:
            await self._open_workbench(stack)
        if config.robots.enabled:
            await self._open_robots(stack)
        if config.arrays.enabled:
            await self._open_arrays(stack)
        if config.mesh.enabled:
            await self._open_mesh(stack)
        if self.api is not None:
            await stack.enter_async_context(self.api.serving())  # with the routes of all wings

    @property
    def names(self) -> list[str]:
        return [*self.open, *(["api"] if self.api is not None else [])]

    @property
    def api_address(self) -> str:
        return self.api.address if self.api is not None else ""

    @property
    def clients(self) -> int:
        """That stay, on the API's port."""
        return self.api.clients if self.api is not None else 0

    @property
    def ride(self) -> dict[str, Any]:
        """Of what `hello` says."""
        recorder = self._recorder
        if recorder is None:
            return {"ride": None, "storing": "off", "troubles": []}
        return {"ride": recorder.ride, "storing": recorder.storing, "troubles": recorder.troubles}

    def health(self) -> dict[str, Any]:
        return {name: wing.health() for name, wing in self.open.items()}

    def metrics(self) -> dict[str, float]:
        return {name: n for wing in self.open.values() for name, n in wing.metrics().items()}

    def _open_api(self) -> None:
        from listener.api.wing import Api

        heart, config = self._heart, self._config
        self.api = Api(config.api, config.websocket, heart.access, heart.paths, heart.health, heart.port)

    async def _open_rides(self, stack: contextlib.AsyncExitStack) -> None:
        from listener.rides.wing import rides

        heart, config = self._heart, self._config
        database = self._open_database(stack)
        _log.info("rides_are_kept", path=str(database.path))
        self._recorder = await stack.enter_async_context(
            rides(
                heart.hub,
                heart.commands,
                database,
                config.rides,
                resolution_mm=config.les02.resolution_mm,
                source=config.les02.source,
                api=self.api,
            )
        )
        self.open["rides"] = self._recorder
        if heart.demo is not None:
            heart.demo.expect = self._recorder.expect

    async def _open_workbench(self, stack: contextlib.AsyncExitStack) -> None:
        from listener.workbench.wing import workbench

        heart, config = self._heart, self._config
        self._bench = await stack.enter_async_context(
            workbench(
                config.workbench,
                sensor=config.can,
                reader=heart.reader,
                sensor_is_up=lambda: heart.sensor.bus == BUS_UP,
                folder=self._folder,
                paths=heart.paths,
                hub=heart.hub,
                signals=config.rides.signal_names,
                api=self.api,
            )
        )
        self.open["workbench"] = self._bench

    async def _open_robots(self, stack: contextlib.AsyncExitStack) -> None:
        from listener.robots.wing import robots

        heart = self._heart
        self.open["robots"] = await stack.enter_async_context(
            robots(
                self._config.robots,
                database=self._open_database(stack),
                hub=heart.hub,
                access=heart.access,
                paths=heart.paths,
                api=self.api,
            )
        )

    async def _open_arrays(self, stack: contextlib.AsyncExitStack) -> None:
        from listener.arrays.wing import arrays

        heart, config = self._heart, self._config
        self.open["arrays"] = await stack.enter_async_context(
            arrays(
                config.arrays,
                folder=self._folder,
                hub=heart.hub,
                paths=heart.paths,
                resolution_mm=config.les02.resolution_mm,
                has_motion=config.rides.enabled,
                signals=self._bench.watch if self._bench is not None else None,
                api=self.api,
            )
        )

    async def _open_mesh(self, stack: contextlib.AsyncExitStack) -> None:
        from listener.mesh.wing import mesh

        heart, config = self._heart, self._config
        self.open["mesh"] = await stack.enter_async_context(
            mesh(
                config.mesh,
                database=self._open_database(stack),
                hub=heart.hub,
                access=heart.access,
                limits=config.websocket,
                avoid=self._serial_devices,
                page_port=heart.port,
                api=self.api,
            )
        )

    def _serial_devices(self) -> list[str]:
        """That CAN adapters are at: nothing else may be written to those."""
        channels = [self._config.can.channel, *(self._bench.channels if self._bench is not None else ())]
        return [
            channel.partition("@")[0] for channel in channels
        ]  # an slcan adapter's may end with its bit rate

    @property
    def _folder(self) -> Path:
        """Where the daemon keeps things."""
        return database_path(self._config).parent

    def _open_database(self, stack: contextlib.AsyncExitStack) -> "Database":
        """One for all wings."""
        from listener.database import Database

        if self._database is None:
            self._database = Database(database_path(self._config), replaced=self._database_replaced)
            self._database.start()
            stack.push_async_callback(self._database.stop, LAST_WRITE_S)
        return self._database

    def _database_replaced(self, why: str, aside: Path | None) -> None:
        code = "database_gone" if aside is None else "database_moved_aside"
        details = {"kind": why} if aside is None else {"kind": why, "moved_to": str(aside)}
        source = self._config.les02.source
        self._heart.hub.publish(events.error(time.time(), "system", code, details, source))


def check(config: Config) -> None:
    """What is wrong in the files that sections name. Raises ConfigError."""
    if config.mesh.enabled:
        from listener.mesh.wing import check as check_mesh

        check_mesh(config.mesh)


def database_path(config: Config) -> Path:
    from listener.database import default_path  # SQLite is not needed without rides

    path = config.database.path
    return Path(path) if path else default_path(os.environ)
