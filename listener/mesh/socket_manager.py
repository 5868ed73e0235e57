"""Client programs on TCP: any number that listen, and those that ask, each on a connection of its own.

1. Without anybody who listens, a request is answered `[err]-listen_socket_disconnected`, as in the field.
2. TCP carries no token. From this computer everything is taken; from elsewhere what only reads, and nothing
   at all where [access] has tokens.
3. Not more than `max_clients` listen, and as many may ask at once. When there are more, the one that has
   kept us waiting longest makes room.
"""

import asyncio
import contextlib
import socket
import sys
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from listener.access import Access, Scope
from listener.config import MeshConfig
from listener.mesh import requests
from listener.mesh.socket_connection import WRITE_BUFFER, Connection, Stage
from listener.ports import bound, listen

_log = structlog.get_logger(__name__)

ANSWER_S: Final = 10.0
CLOSE_S: Final = 0.5
BACKLOG: Final = 256
# A peer that vanished without a word, while nothing is said to it (see also `ports.UNACKNOWLEDGED_S`).
KEEPALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

_COUNTED: Final = ("requests", "messages_skipped", "listeners_dropped")


class Manager(Protocol):
    """What answers, and what there is to listen to."""

    async def request(self, data: bytes, source: str, *, refusal: str | None = None) -> bytes:
        """`refusal`: why who asks may not change anything."""

    def add_listener(self, callback: Callable[[bytes], None]) -> Callable[[], None]: ...


class SocketManager:
    def __init__(
        self,
        config: MeshConfig,
        manager: Manager,
        access: Access | None = None,
        note: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`note` is told, in a sentence, what becomes of those that listen."""
        self._config = config
        self._manager = manager
        self._access = access or Access()
        self._note = note
        self._servers: list[asyncio.Server] = []
        self._alive: dict[Connection, None] = {}  # in the order in which they came
        self._listening: dict[Connection, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ports: tuple[int, ...] = config.tcp_ports
        self._empty = asyncio.Event()
        self.counts = Counter(dict.fromkeys(_COUNTED, 0))

    @property
    def ports(self) -> tuple[int, ...]:
        """Those that are really listened on, also when 0 was configured; those before the start."""
        return self._ports

    @property
    def listeners(self) -> int:
        return len(self._listening)

    async def start(self) -> None:
        """Raises PortUnavailable."""
        loop = asyncio.get_running_loop()
        ports = []
        try:
            for port in self._config.tcp_ports:
                sockets = await listen(self._config.host, port, _prepare)
                ports.append(int(sockets[0].getsockname()[1]))
                for sock in sockets:
                    server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=BACKLOG)
                    self._servers.append(server)
        except BaseException:
            await self.stop()
            raise
        self._ports = tuple(ports)
        _log.info("mesh_listening", host=self._config.host, ports=ports)

    async def stop(self) -> None:
        """May be called again."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        for connection in tuple(self._alive):
            if connection.stage is Stage.WORKING:
                connection.leave(requests.failed("the listener is stopping"))
            elif connection.stage is not Stage.LEAVING:
                connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._until_empty()
        for connection in tuple(self._alive):
            connection.abort()
        await self._until_empty()
        for server in servers:
            await server.wait_closed()

    async def _until_empty(self) -> None:
        while self._alive:
            self._empty.clear()
            await self._empty.wait()

    # Of connections (see `socket_connection.Host`)

    def came(self, connection: Connection) -> None:
        self._alive[connection] = None
        if len(self._alive) - len(self._listening) <= self._config.max_clients:
            return
        reason = f"more than {self._config.max_clients} connections at once; see [mesh] max_clients"
        # The new one is the last.
        next(each for each in self._alive if each.make_room(reason))

    def refuses(self, connection: Connection) -> str:
        if connection.is_here or not self._access.has_tokens:
            return ""
        return "TCP carries no token, and without one this computer alone may connect ([access])"

    def refuses_listener(self) -> str:
        if self.listeners < self._config.max_clients:
            return ""
        return f"{self.listeners} programs listen, more are not allowed; see [mesh] max_clients"

    def listens(self, connection: Connection) -> None:
        self._listening[connection] = self._manager.add_listener(connection.tell)
        _log.info("mesh_listener_connected", address=connection.address, total=self.listeners)
        self._note(f"{connection.address} listens")

    def asks(self, connection: Connection, request: bytes) -> None:
        self.counts["requests"] += 1
        task = asyncio.create_task(self._answer(connection, request), name="answer a request to the mesh")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def skipped(self, connection: Connection, messages: int) -> None:
        self.counts["messages_skipped"] += messages
        _log.warning("mesh_listener_is_slow", address=connection.address, skipped=messages)

    def dropped(self, connection: Connection) -> None:
        self.counts["listeners_dropped"] += 1
        _log.warning("mesh_listener_dropped", address=connection.address)
        self._note(f"{connection.address} does not read what it listens to; its connection is ended")

    def gone(self, connection: Connection) -> None:
        self._alive.pop(connection, None)
        if (remove := self._listening.pop(connection, None)) is not None:
            remove()
            _log.info("mesh_listener_disconnected", address=connection.address, total=self.listeners)
            self._note(f"{connection.address} does not listen any more")
        self._empty.set()

    async def _answer(self, connection: Connection, request: bytes) -> None:
        # Whoever has gone meanwhile may have sent something that is on its way to a node: it is not recalled.
        refusal = None if connection.is_here else self._access.refusal(Scope.READ)
        try:
            async with asyncio.timeout(ANSWER_S):
                response = await self._manager.request(request, connection.address, refusal=refusal)
        except TimeoutError:
            response = requests.failed(f"no answer within {ANSWER_S:g} s")
        except Exception:  # noqa: BLE001 - its defect must not leave a client without an answer
            _log.exception("mesh_request_failed", address=connection.address, request=request[:64].hex())
            response = requests.failed("the request has failed; the log says why")
        connection.leave(response)


def _prepare(sock: socket.socket) -> None:
    """What the connections inherit from the socket that listens for them."""
    bound(sock, WRITE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        for name, value in KEEPALIVE.items():
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
