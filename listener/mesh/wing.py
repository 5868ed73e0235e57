"""The door: while it is open programs find the mesh on TCP, monitoring pages on their WebSocket, and the
REST API has its routes.

`Mesh.run`, which reads the UART, is to be run meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from listener.access import Access
from listener.config import ConfigError, MeshConfig, WebsocketConfig
from listener.database import Database
from listener.hub import Hub
from listener.mesh import data_types, message_opcodes
from listener.mesh.parts import Mesh

if TYPE_CHECKING:
    from listener.rest import Api

__all__ = ["Mesh", "check", "mesh"]

T = TypeVar("T")

# What waits has so long to reach the disk at the end.
LAST_WRITE_S: Final = 2.0


def check(config: MeshConfig) -> tuple[data_types.DataTypes, message_opcodes.Opcodes]:
    """What is in the files that the section names. Raises ConfigError."""
    return (
        _read("data_types", config.data_types, data_types.parse, data_types.DEFAULT),
        _read("opcodes", config.opcodes, message_opcodes.parse, message_opcodes.DEFAULT),
    )


@contextlib.asynccontextmanager
async def mesh(
    config: MeshConfig,
    *,
    database: Database,
    hub: Hub,
    access: Access,
    limits: WebsocketConfig,
    avoid: Callable[[], Collection[str]] = tuple,
    page_port: Callable[[], int | None] = lambda: None,
    api: "Api | None" = None,
) -> AsyncIterator[Mesh]:
    """`avoid` names the serial devices that others use; `limits` are those of pages that are slow."""
    types, opcodes = check(config)
    wing = Mesh(
        config,
        types,
        opcodes,
        database=database,
        hub=hub,
        access=access,
        limits=limits,
        avoid=avoid,
        page_port=page_port,
    )
    await wing.load()
    if api is not None:
        from listener.mesh.routes import router

        api.include(router(wing))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(_write_last, wing)
        stack.callback(wing.manager.close)
        await wing.sockets.start()
        stack.push_async_callback(wing.sockets.stop)
        await wing.monitor.start()
        stack.push_async_callback(wing.monitor.stop)
        yield wing


async def _write_last(wing: Mesh) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WRITE_S):
            await wing.keeper.write()


def _read(key: str, name: str, parse: Callable[[bytes], T], default: T) -> T:
    if not name:
        return default
    try:
        return parse(Path(name).read_bytes())
    except data_types.DefinitionError as exc:
        raise ConfigError(f"[mesh] {key}: {name}: {exc}") from exc
    except OSError as exc:
        raise ConfigError(f"[mesh] {key}: {name}: {exc.strerror or exc}") from exc
