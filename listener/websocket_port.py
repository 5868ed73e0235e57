"""A WebSocket port: who may come in, how many, and which session is under which path. What a session says
is its own business.

A browser may connect only from a page of our own host or of a configured origin.
"""

import asyncio
import contextlib
import errno
import http
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from listener.access import Access, Scope, is_loopback, token_of
from listener.config import WebsocketConfig
from listener.origins import Origins
from listener.outbound import address_of
from listener.path_peer import Framer, PathPeer
from listener.ports import PortUnavailable, bound, explain
from listener.sessions import Paths, Session

_log = structlog.get_logger(__name__)

CLOSE_S = 0.5
# Shorter than the daemon's own deadline: a connection left idle by a browser must not outlast it.
OPEN_S = 3.0
INBOUND_MAX_BYTES = 64 * 1024
INBOUND_CHUNK_BYTES = 4096

_COUNTED = ("clients_refused", "messages_received", "messages_refused")

# An answer to a plain HTTP request: status, content type, body, headers beside the usual ones.
Answer = tuple[int, str, bytes] | tuple[int, str, bytes, Mapping[str, str]]
# What is at one path, given the headers of the request.
Page = Callable[[Headers], Answer]


class _Connection(ServerConnection):
    """Bounds what one peer can do to the loop and to the memory, also with frames that websockets answers."""

    def __init__(self, *arguments: Any, alive: set["_Connection"], bound: int, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.alive = alive
        self.bound = bound
        self.pongs_held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # asyncio would hand over 256 KiB at once: thirty thousand small messages, parsed in one turn.
        self.transport.max_size = INBOUND_CHUNK_BYTES  # type: ignore[attr-defined]
        self.alive.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        held = self.transport.get_write_buffer_size()
        super().data_received(data)
        # Pongs are written at once, and nobody has to read them.
        now_held = self.transport.get_write_buffer_size()
        self.pongs_held = self.pongs_held + now_held - held if now_held > self.bound else 0
        if self.pongs_held > self.bound:
            self.transport.abort()


class WebSocketPort:
    """`page_port` is that of our page, where it is another one; `section` of the config has `max_clients`."""

    def __init__(
        self,
        config: WebsocketConfig,
        access: Access,
        paths: Paths,
        pages: Mapping[str, Page],
        page_port: Callable[[], int | None] = lambda: None,
        section: str = "websocket",
    ) -> None:
        self._config = config
        self._access = access
        self._paths = paths
        self._pages = pages
        self._section = section
        self._origins = Origins(socket.gethostname(), config.host, config.origins, page_port)
        self._server: Server | None = None
        self._sessions: set[asyncio.Task[Any]] = set()
        self._alive: set[_Connection] = set()
        self._connections: Counter[str] = Counter()  # per address
        self._counts = Counter(dict.fromkeys(_COUNTED, 0))
        self._framer = Framer()

    @property
    def clients(self) -> int:
        return len(self._sessions)

    @property
    def counts(self) -> Counter[str]:
        return Counter(self._counts)

    @property
    def port(self) -> int:
        """The port that is really listened on, also when 0 was configured; that one before the start."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else self._config.port

    async def start(self) -> None:
        """Raises PortUnavailable."""
        host, port = self._config.host, self._config.port
        try:
            # `localhost` is two addresses, which would be given two different free ports.
            self._server = await self._listen(socket.AF_INET if port == 0 else socket.AF_UNSPEC)
        except (OSError, UnicodeError) as exc:  # UnicodeError: a host that no name server could be asked for
            if getattr(exc, "errno", None) != errno.EADDRNOTAVAIL or host != "localhost":
                raise PortUnavailable(explain(exc, host, port)) from exc
            # `localhost` names ::1 on many machines whose kernel has no IPv6.
            self._server = await self._listen(socket.AF_INET)

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close(code=1001, reason="server is stopping")
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._server.wait_closed()
        except TimeoutError:
            # Within its bound, and yet so full that websockets waits for room before its own deadline runs.
            for connection in tuple(self._alive):
                connection.transport.abort()
            # A session that waits for something else than its client.
            for session in tuple(self._sessions):
                session.cancel()
            await self._server.wait_closed()

    async def _listen(self, family: socket.AddressFamily) -> Server:
        return await serve(
            self._session,
            self._config.host,
            self._config.port,
            family=family,
            process_request=self._http,
            create_connection=cast(
                "type[ServerConnection]",
                partial(_Connection, alive=self._alive, bound=self._config.write_buffer),
            ),
            server_header=None,
            compression=None,
            max_size=INBOUND_MAX_BYTES,
            ping_interval=self._config.ping_interval_s,
            ping_timeout=self._config.ping_timeout_s,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
        )

    async def _session(self, connection: ServerConnection) -> None:
        address = connection.remote_address
        host = str(address[0]) if address else "gone"
        # Asked again: since the handshake was let in others may have come.
        if refusal := self._full(host):
            await connection.close(1013, refusal)
            return
        assert connection.request is not None
        token, query = _token_and_query(connection.request)
        scope = self._access.scope(token, from_here=_is_here(connection))
        if scope is Scope.NONE:
            # After the handshake: of one that was refused a browser's page learns nothing.
            await connection.close(1008, "a token is needed" if token is None else "this token is not known")
            return
        path = _path(connection.request)
        if reason := self._paths.strange(scope, path):
            await connection.close(1008, reason)
            return
        self._connections[host] += 1
        # With this one, which is about to come in.
        _log.info("client_connected", address=address_of(connection), path=path, total=self.clients + 1)
        try:
            bound(connection.transport.get_extra_info("socket"), self._config.write_buffer)
            await self._serve(connection, scope, path, query)
        finally:
            self._connections -= Counter({host: 1})
            code = connection.close_code
            _log.info("client_disconnected", address=address_of(connection), code=code, total=self.clients)

    # What a port with more than sessions does otherwise

    def _has(self, path: str) -> bool:
        return self._paths.find(path) is not None

    def _mistake(self, path: str, query: str) -> str:  # noqa: ARG002
        """What is wrong with the query of an address."""
        return ""

    async def _serve(self, connection: ServerConnection, scope: Scope, path: str, query: str) -> None:
        if found := self._paths.find(path):
            peer = PathPeer(connection, scope, query, self._config, self._counts, found, self._framer)
            await self._follow(found.session, peer)

    async def _follow(self, session: Session, peer: PathPeer) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._sessions.add(task)
        try:
            await session(peer)
        except Exception:  # noqa: BLE001 - its defect must not end the server
            _log.exception("session_failed", address=peer.address)
            await peer.close(1011, "the session has failed; the log says why")
        else:
            await peer.close()
        finally:
            self._sessions.discard(task)

    def _http(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets the WebSocket handshake go on; everything else is answered here."""
        path = _path(request)
        if self._has(path) and "websocket" in _header(request, "Upgrade").lower():
            return self._handshake(connection, request)
        if request.method not in {"GET", "HEAD"}:
            return _response(405, "text/plain", b"Only GET is answered here.\n")
        response = _response(*self._pages.get(path, self._nothing_here)(request.headers))
        if request.method == "HEAD":
            response.body = b""  # the headers stay those of GET
        # Websockets hangs up after CLOSE_S. What the kernel has taken by then still reaches a slow tablet.
        with contextlib.suppress(OSError):  # it has gone away
            sock = connection.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(response.body))
        return response

    def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        if not self._origins.admit(_header(request, "Origin"), _header(request, "Host")):
            return _response(403, "text/plain", b"This origin is not allowed; see [websocket] origins.\n")
        if mistake := self._mistake(_path(request), _token_and_query(request)[1]):
            return _response(400, "text/plain", f"{mistake}\n".encode())
        address = connection.remote_address
        if refusal := self._full(str(address[0]) if address else "gone"):
            self._counts["clients_refused"] += 1
            return _response(503, "text/plain", f"{refusal}\n".encode())
        return None

    def _nothing_here(self, _: Headers) -> Answer:
        *others, last = self._pages or ["nothing"]
        known = f"{', '.join(others)} or {last}" if others else last
        return 404, "text/plain", f"Nothing here; try {known}.\n".encode()

    def _full(self, host: str) -> str | None:
        if self.clients >= self._config.max_clients:
            where = f"[{self._section}] max_clients"
            return f"{self.clients} clients are connected, more are not allowed; see {where}."
        if self._connections[host] >= self._config.max_per_address:
            return f"{host} has too many connections; see [websocket] max_per_address."
        return None


def _is_here(connection: ServerConnection) -> bool:
    address = connection.remote_address
    return bool(address) and is_loopback(str(address[0]))


def _path(request: Request) -> str:
    return request.path.partition("?")[0]


def _token_and_query(request: Request) -> tuple[str | None, str]:
    return token_of(_header(request, "Authorization"), request.path.partition("?")[2])


def _header(request: Request, name: str) -> str:
    return next(iter(request.headers.get_all(name)), "")


def _response(status: int, content_type: str, body: bytes, more: Mapping[str, str] | None = None) -> Response:
    headers = {"Cache-Control": "no-store", "Connection": "close", **(more or {})}
    if status != http.HTTPStatus.NOT_MODIFIED:  # whose body the client has already
        headers["Content-Type"] = f"{content_type}; charset=utf-8"
        headers["Content-Length"] = str(len(body))
    return Response(status, http.HTTPStatus(status).phrase, Headers(headers), body)
