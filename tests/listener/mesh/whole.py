"""The wing in this process, with its UART, the REST API, TCP and the monitoring WebSocket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from listener.access import Access
from listener.api.wing import Api
from listener.config import ApiConfig, MeshConfig, WebsocketConfig
from listener.database import Database
from listener.hub import Hub
from listener.mesh.wing import Mesh, mesh
from listener.sessions import Paths
from tests.listener.mesh.root import PATIENCE_S, until

if TYPE_CHECKING:
    from listener.events import EventEnvelope

HERE = "127.0.0.1"


class Whole:
    def __init__(self, wing: Mesh, http: httpx.AsyncClient, hub: Hub) -> None:
        self.wing = wing
        self.http = http
        self.events: list[EventEnvelope] = []
        hub.subscribe(self.events.append)

    @property
    def websocket(self) -> str:
        return f"ws://{HERE}:{self.wing.monitor.port}/"

    async def get(self, path: str, status: int = 200) -> Any:
        return _body(await self.http.get(path), status)

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        return _body(await self.http.post(path, json=body), status)

    async def ask(self, request: bytes) -> bytes:
        """On a sending connection."""
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(HERE, self.wing.sockets.ports[0])
            writer.write(request)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        return answer

    async def listen(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(HERE, self.wing.sockets.ports[0])
            writer.write(b"[syn]\0")
            assert await reader.readexactly(6) == b"[ack]\0"
        return reader, writer

    def active(self) -> int:
        return int(self.wing.health()["nodes"]["active"])

    async def until_active(self, count: int) -> None:
        await until(lambda: self.active() == count)


def _body(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


@asynccontextmanager
async def whole(
    folder: Path, device: str, access: Access | None = None, **settings: Any
) -> AsyncIterator[Whole]:
    paths, hub = Paths(), Hub()
    access = access or Access()
    limits = WebsocketConfig(host=HERE, port=0)
    api = Api(ApiConfig(host=HERE, port=0), limits, access, paths, lambda: (200, "text/plain", b""))
    database = Database(folder / "les02.db", busy_s=0.2)
    database.start()
    given = {"host": HERE, "tcp_ports": (0,), "websocket_port": 0, "reopen_s": 0.5, "scan": (), **settings}
    config = MeshConfig(enabled=True, device=device, **given)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.stop, PATIENCE_S)
        wing = await stack.enter_async_context(
            mesh(config, database=database, hub=hub, access=access, limits=limits, api=api)
        )
        await stack.enter_async_context(api.serving())
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{HERE}:{api.port}", timeout=PATIENCE_S, trust_env=False)
        )
        found = Whole(wing, http, hub)
        work = asyncio.create_task(wing.run(), name="run the mesh")
        await asyncio.sleep(0)
        try:
            yield found
        finally:
            work.cancel()
            await asyncio.wait({work})
            assert work.cancelled()
