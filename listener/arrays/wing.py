"""The door: while it is open `/ws/stream` answers, and the REST API has the arrays' routes if there is one.

`Arrays.run` is to be run meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from listener.arrays import packets
from listener.arrays.library import Library
from listener.arrays.parts import Arrays
from listener.arrays.sources import Signals, Sources
from listener.config import ArraysConfig
from listener.hub import Hub
from listener.sessions import INBOUND_BURST, INBOUND_RATE, Offered, Paths

if TYPE_CHECKING:
    from listener.rest import Api

__all__ = ["Arrays", "arrays"]

_log = structlog.get_logger(__name__)

_ANY: Final = 2**62
PATH: Final = "/ws/stream"
TOO_FAST: Final = packets.error(f"too many messages: {INBOUND_RATE:g} a second")


@contextlib.asynccontextmanager
async def arrays(
    config: ArraysConfig,
    *,
    folder: Path,
    hub: Hub,
    paths: Paths,
    resolution_mm: float,
    has_motion: bool,
    signals: Signals | None = None,
    api: "Api | None" = None,
) -> AsyncIterator[Arrays]:
    """`folder` is where the daemon keeps things; `has_motion`: the hub is told velocity and acceleration."""
    library = Library(
        Path(config.folder or folder / "arrays"), most=config.max_bytes, most_in_all=config.max_total_bytes
    )
    await asyncio.to_thread(library.open)
    sources = Sources(hub, library, resolution_mm=resolution_mm, has_motion=has_motion, signals=signals)
    wing = Arrays(library, sources)
    if api is not None:
        from listener.arrays.routes import router

        api.include(router(wing))
        api.allow_upload("/upload", _ANY)  # the route has its own bound, and reads on to say so
        api.health.add(wing.told)
    end = paths.add(PATH, Offered(wing.session, INBOUND_RATE, INBOUND_BURST, too_fast=TOO_FAST))
    _log.info("arrays_started", folder=str(library.folder), arrays=len(library))
    try:
        yield wing
    finally:
        end()
        wing.stream.close()
