"""The door. Wings put their routers in first; then it serves them on its own port, in the daemon's loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, cast

import structlog
import uvicorn
from fastapi import APIRouter
from starlette.types import Receive, Scope, Send

from listener.access import Access
from listener.api.application import build
from listener.api.sockets import Sockets
from listener.api.told import Answer, Health, Parts
from listener.api.visitors import Doorkeeper
from listener.config import ApiConfig, WebsocketConfig
from listener.origins import Origins
from listener.ports import bound, listen
from listener.sessions import Paths

__all__ = ["Api"]

_log = structlog.get_logger(__name__)

INBOUND_MAX_BYTES: Final = 64 * 1024
# An answer that is under way when the daemon stops has so long to reach its client.
LAST_ANSWER_S: Final = 0.2
# A browser keeps a few connections open; and files of them are as scarce as those of clients.
CONNECTIONS_BESIDE: Final = 100


class Api:
    def __init__(
        self,
        config: ApiConfig,
        limits: WebsocketConfig,
        access: Access,
        paths: Paths,
        health: Callable[[], Answer],
        page_port: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`limits` are those of clients that stay: how many, how slow; the page is on `page_port`."""
        self._config = config
        self._limits = limits
        origins = Origins(socket.gethostname(), config.host, config.cors_origins, page_port)
        doorkeeper = Doorkeeper(access, origins)
        self._sockets = Sockets(paths, limits, doorkeeper, self._transport_of)
        self.about = Parts()
        self.health = Health(health)
        self._uploads: dict[str, int] = {}
        self._app = build(doorkeeper, origins, self.about, self.health, self._uploads)
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.port = config.port

    @property
    def address(self) -> str:
        """Where the page finds it: a port beside its own, or what was configured."""
        return self._config.url or f":{self.port}"

    def include(self, router: APIRouter) -> None:
        self._app.include_router(router)

    def allow_upload(self, path: str, octets: int) -> None:
        self._uploads[path] = octets

    @property
    def clients(self) -> int:
        return self._sockets.clients

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        sockets = await listen(self._config.host, self._config.port, self._prepare)
        server = self._server = _Server(self._settings())
        task = self._task = asyncio.create_task(server.serve(sockets), name="serve the REST API")
        try:
            while not server.started:  # uvicorn tells nobody
                if task.done():
                    task.result()
                await asyncio.sleep(0.005)
            self.port = int(sockets[0].getsockname()[1])
            _log.info("api_started", url=f"http://{self._config.host}:{self.port}")
            yield
        finally:
            await self._sockets.stop()
            server.should_exit = True
            await task
            # Those that do not take the end of what they asked for.
            for connection in tuple(server.server_state.connections):
                connection.transport.abort()

    async def watch(self) -> None:
        """Raises what ends the server; cancelling this does not end it."""
        assert self._task is not None
        await asyncio.shield(self._task)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._sockets if scope["type"] == "websocket" else self._app
        await answer(scope, receive, send)

    def _transport_of(self, request: Scope) -> asyncio.BaseTransport | None:
        """ASGI tells no more of a connection than the address at its other end."""
        for connection in self._server.server_state.connections if self._server else ():
            if getattr(connection, "client", None) == request["client"]:
                return connection.transport
        return None

    def _settings(self) -> uvicorn.Config:
        return uvicorn.Config(
            self,
            http="h11",
            ws="websockets-sansio",
            interface="asgi3",
            lifespan="off",
            ws_max_size=INBOUND_MAX_BYTES,
            ws_ping_interval=self._limits.ping_interval_s,
            ws_ping_timeout=self._limits.ping_timeout_s,
            ws_per_message_deflate=False,
            limit_concurrency=self._limits.max_clients + CONNECTIONS_BESIDE,
            timeout_graceful_shutdown=cast("int", LAST_ANSWER_S),
            # What a peer does wrong is no news, and of our own defects the guard tells.
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            # An address that a proxy tells could as well be told by anybody.
            proxy_headers=False,
        )

    def _prepare(self, sock: socket.socket) -> None:
        bound(sock, self._limits.write_buffer)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's."""
        yield
