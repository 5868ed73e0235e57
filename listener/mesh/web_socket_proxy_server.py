"""The monitoring WebSocket (port 7654): traffic, the status of the nodes and of the connections, as JSON.

1. Whoever connects, to any path, gets `connectionStatus` and `networkStatus` at once, then what is new.
2. Origins, tokens and what one client may cost are those of [websocket]; only their number is of [mesh].
3. For one that is too slow lines of traffic are skipped, and it is told how many (see `followers`).
4. What a client says is ignored, as in the field, and bounded.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import structlog
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers

from listener.access import Access, Scope
from listener.config import MeshConfig, WebsocketConfig
from listener.follower import Follower
from listener.followers import Followers
from listener.sessions import Paths, Peer
from listener.websocket_port import Answer, WebSocketPort

_log = structlog.get_logger(__name__)

_PATH: Final = "/"
_ABOUT: Final = b"The mesh tells a WebSocket here what happens in it; its page is that of the listener.\n"


class Manager(Protocol):
    def add_monitor(self, monitor: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Returns the function that ends it."""

    def present(self) -> list[dict[str, Any]]:
        """What a new client is told at once."""


class WebSocketProxyServer:
    def __init__(
        self,
        config: MeshConfig,
        limits: WebsocketConfig,
        manager: Manager,
        access: Access | None = None,
        page_port: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`page_port` is that of the listener's page, which may connect here too."""
        settings = msgspec.structs.replace(
            limits, host=config.host, port=config.websocket_port, max_clients=config.max_clients
        )
        paths = Paths()
        paths.add(_PATH, self._session)
        self._port = _AnyPath(settings, access or Access(), paths, {_PATH: _about}, page_port, "mesh")
        self._host = config.host
        self._manager = manager
        self._followers: Followers[Follower] = Followers()
        self._remove: Callable[[], None] = lambda: None

    @property
    def port(self) -> int:
        """The port that is really listened on, also when 0 was configured; that one before the start."""
        return self._port.port

    @property
    def clients(self) -> int:
        return self._port.clients

    @property
    def counts(self) -> dict[str, int]:
        return {**self._port.counts, "messages_skipped": self._followers.skipped}

    async def start(self) -> None:
        """Raises PortUnavailable."""
        await self._port.start()
        self._remove = self._manager.add_monitor(self._tell)
        _log.info("mesh_websocket_started", url=f"ws://{self._host}:{self.port}")

    async def stop(self) -> None:
        """May be called again."""
        self._remove()
        self._followers.stop()
        await self._port.stop()

    async def _session(self, peer: Peer) -> None:
        follower = Follower(peer)
        leave = self._followers.add(follower)
        try:
            # In one piece: as many nodes as there are may be more than a client's states may be.
            follower.give([[msgspec.json.encode(told) for told in self._manager.present()]])
            async for _ in peer:
                pass
        finally:
            leave()

    def _tell(self, told: dict[str, Any]) -> None:
        if not len(self._followers):
            return
        payload = msgspec.json.encode(told)
        if told["type"] == "trafficLog":
            self._followers.sample(payload)
        else:
            self._followers.tell(payload)


class _AnyPath(WebSocketPort):
    """The clients of the field ask for whatever path their library does."""

    def _has(self, path: str) -> bool:  # noqa: ARG002
        return True

    async def _serve(self, connection: ServerConnection, scope: Scope, path: str, query: str) -> None:  # noqa: ARG002
        await super()._serve(connection, scope, _PATH, query)


def _about(_: Headers) -> Answer:
    return 200, "text/plain", _ABOUT
