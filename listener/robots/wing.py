"""The door: while it is open robots and dashboards find `/ws/telemetry/`, and the REST API has its routes.

`Robots.run`, which writes telemetry, is to be run meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from listener.access import Access
from listener.config import RobotsConfig
from listener.database import Database
from listener.hub import Hub
from listener.robots.fleet import Robots
from listener.robots.messages import is_stop
from listener.sessions import Offered, Paths

if TYPE_CHECKING:
    from listener.rest import Api

__all__ = ["Robots", "robots"]

# With and without: the seed's clients have the slash at the end.
PATHS: Final = ("/ws/telemetry/", "/ws/telemetry")
# A dashboard with two sticks and two sliders says eighty a second, robots in a load test as much.
RATE: Final = 200.0
BURST: Final = 400.0
TOO_FAST: Final = b'{"error":"too many messages: 200 a second"}'
# What waits has so long to reach the disk at the end.
LAST_WRITE_S: Final = 2.0


@contextlib.asynccontextmanager
async def robots(
    config: RobotsConfig,
    *,
    database: Database,
    hub: Hub,
    access: Access,
    paths: Paths,
    api: "Api | None" = None,
) -> AsyncIterator[Robots]:
    wing = Robots(config, database, hub, access)
    for ts, device_id, name, values in await wing.keeper.load():
        wing.registry.remember(device_id, name, ts, values)
    if api is not None:
        from listener.robots.routes import router

        api.include(router(wing))
    offered = Offered(wing.session, RATE, BURST, for_robots=True, too_fast=TOO_FAST, is_urgent=is_stop)
    ends = [paths.add(path, offered) for path in PATHS]
    try:
        yield wing
    finally:
        for end in ends:
            end()
        wing.relay.close()
        wing.audience.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WRITE_S):
                await wing.keeper.write()
        wing.registry.storing = "stopped"  # who still says something is not told that it is saved
