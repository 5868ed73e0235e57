"""The door: while it is open rides are found, and kept by `Recorder.run`, which is to be run meanwhile.

The file is this listener's alone: rides without an end that another one finds in it are not over.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import structlog

from listener.commands import Commands
from listener.config import RidesConfig
from listener.database import Database
from listener.hub import Hub
from listener.rides.commands import RideCommands
from listener.rides.recorder import Recorder

if TYPE_CHECKING:
    from listener.rest import Api

__all__ = ["Recorder", "rides"]

_log = structlog.get_logger(__name__)

# The end of a ride in progress has so long to reach the disk.
LAST_WRITE_S = 2.0


@contextlib.asynccontextmanager
async def rides(
    hub: Hub,
    commands: Commands,
    database: Database,
    config: RidesConfig,
    *,
    resolution_mm: float,
    source: str,
    api: "Api | None" = None,
) -> AsyncIterator[Recorder]:
    recorder = Recorder(hub, database, config, resolution_mm=resolution_mm, source=source)
    database.claim()
    await recorder.load()
    leave = hub.subscribe(recorder.annotate, first=True), hub.subscribe(recorder.follow)
    try:
        ride_commands = RideCommands(database, recorder, config)
        if api is not None:
            from listener.rides.routes import router

            api.include(router(ride_commands))
        with ride_commands.registered(commands):
            yield recorder
    finally:
        recorder.interrupt("stopped")
        for end in leave:
            end()
        await _finish(recorder)


async def _finish(recorder: Recorder) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WRITE_S):
            await recorder.finish()
    if recorder.waiting:
        _log.error("rides_not_written", rides=recorder.waiting, storing=recorder.storing)
