"""WebSocket clients and plain HTTP on one port: who may come in, and what they may say. `fanout` sends.

What comes in is small, bounded and validated; a bad message is answered with an `error`, and the session
goes on. A browser may connect only from a page of our own host or of a configured origin.
"""

import asyncio
import contextlib
import errno
import http
import ipaddress
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import msgspec
import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from listener import events
from listener.access import Access, Scope, token_of
from listener.commands import Command, CommandError, Commands, Id, call, parameters
from listener.config import WebsocketConfig
from listener.events import EventEnvelope
from listener.fanout import Fanout
from listener.inbound import heard
from listener.origins import Origins
from listener.outbound import Client, Framer, address_of
from listener.path_peer import PathPeer
from listener.ports import PortUnavailable, bound, explain
from listener.query import QueryError
from listener.sessions import INBOUND_RATE, Paths, Session
from listener.subscription import Resume, Subscription, from_command, parse_query

_log = structlog.get_logger(__name__)

CLOSE_S = 0.5
# Shorter than the daemon's own deadline: a connection left idle by a browser must not outlast it.
OPEN_S = 3.0
INBOUND_MAX_BYTES = 64 * 1024
INBOUND_CHUNK_BYTES = 4096
REASON_MAX = 200
# Commands that wait for the disk or whatever they need, of all clients.
CALLS_MAX = 64

_COUNTED = ("clients_refused", "messages_received", "messages_refused")

# An answer to a plain HTTP request: status, content type, body, headers beside the usual ones.
Answer = tuple[int, str, bytes] | tuple[int, str, bytes, Mapping[str, str]]
# What is at one path, given the headers of the request.
Page = Callable[[Headers], Answer]


class _Inbound(msgspec.Struct):
    """What a client may send; fields that we do not know are its own business."""

    type: str
    id: Id | None = None


class _Subscribe(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters of the address, anew; what is left out is the default again."""

    types: list[str] | None = None
    channel: str | None = None
    rate: float | None = None
    seq: bool = False


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


class WebSocketEventServer:
    def __init__(
        self,
        config: WebsocketConfig,
        hello: Callable[[], EventEnvelope],
        pages: Mapping[str, Page],
        commands: Commands | None = None,
        access: Access | None = None,
        paths: Paths | None = None,
    ) -> None:
        self._config = config
        self._paths = Paths() if paths is None else paths
        self._sessions: set[asyncio.Task[Any]] = set()
        self._commands = Commands() if commands is None else commands
        self._calls: set[asyncio.Task[None]] = set()
        self._hello = hello
        self._pages = pages
        self._access = access or Access()
        self._origins = Origins(socket.gethostname(), config.host, config.origins)
        self._server: Server | None = None
        self._fanout = Fanout(config)
        self._framer = Framer()
        self._alive: set[_Connection] = set()
        self._connections: Counter[str] = Counter()  # per address
        self.broadcast = self._fanout.publish
        self._counts = Counter(dict.fromkeys(_COUNTED, 0))

    @property
    def clients(self) -> int:
        """Of events, and of sessions under other paths."""
        return self._fanout.clients + len(self._sessions)

    @property
    def counts(self) -> Counter[str]:
        own = Counter({"events": self._fanout.head, **self._fanout.counts})
        own.update(self._counts)
        return own

    @property
    def port(self) -> int:
        """The port that is really listened on, also when 0 was configured; that one before the start."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else self._config.port

    async def start(self) -> None:
        host, port = self._config.host, self._config.port
        _log.info("websocket_server_starting", host=host, port=port)
        try:
            # `localhost` is two addresses, which would be given two different free ports.
            self._server = await self._listen(socket.AF_INET if port == 0 else socket.AF_UNSPEC)
        except (OSError, UnicodeError) as exc:  # UnicodeError: a host that no name server could be asked for
            if getattr(exc, "errno", None) != errno.EADDRNOTAVAIL or host != "localhost":
                raise PortUnavailable(explain(exc, host, port)) from exc
            # `localhost` names ::1 on many machines whose kernel has no IPv6.
            self._server = await self._listen(socket.AF_INET)
        _log.info("websocket_server_started", url=f"ws://{host}:{self.port}")
        _log.info("waiting_for_clients")

    async def stop(self) -> None:
        if self._server is None:
            return
        for task in self._calls:
            task.cancel()
        self._fanout.stop()
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
            if path == "/":
                await self._events(connection, scope, query)
            elif found := self._paths.find(path):
                peer = PathPeer(connection, scope, query, self._config, self._counts, found, self._framer)
                await self._follow(found.session, peer)
        finally:
            self._connections -= Counter({host: 1})
            code = connection.close_code
            _log.info("client_disconnected", address=address_of(connection), code=code, total=self.clients)

    async def _events(self, connection: ServerConnection, scope: Scope, query: str) -> None:
        client = self._welcome(connection, scope, *parse_query(query))
        too_many = partial(self._answer_error, client, "too_many_messages", f"{INBOUND_RATE:g} a second")
        try:
            async for message in heard(connection, self._counts, too_many):
                self._receive(client, message)
        finally:
            self._fanout.forget(client)

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

    def _welcome(
        self,
        connection: ServerConnection,
        scope: Scope,
        subscription: Subscription,
        resume: Resume | None,
    ) -> Client:
        client = Client(connection, self._config.write_buffer, scope)
        head = self._fanout.join(client, subscription)
        hello = self._hello()
        hello.payload["seq"] = head
        hello.payload["access"] = scope.name.lower()
        self._fanout.send(client, hello)
        if resume is not None:
            self._fanout.resume(client, resume.epoch == hello.payload.get("epoch"), resume.seq)
        return client

    def _receive(self, client: Client, message: str | bytes) -> None:
        try:
            inbound = msgspec.json.decode(message, type=_Inbound)
        # RecursionError: JSON may be nested deeper than Python's stack; UnicodeDecodeError is a ValueError.
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            self._answer_error(client, "bad_message", str(exc))
            return
        if inbound.type == "command:subscribe":
            self._subscribe(client, inbound, message)
        else:
            self._call(client, inbound, message)

    def _subscribe(self, client: Client, inbound: _Inbound, message: str | bytes) -> None:
        try:
            wanted = parameters(message, _Subscribe)
            subscription = from_command(wanted.types, wanted.channel, wanted.rate, wanted.seq)
        except (CommandError, QueryError) as exc:
            self._answer_error(client, "bad_message", str(exc), inbound.id)
            return
        more: dict[str, Any] = {} if inbound.id is None else {"id": inbound.id}
        more["seq"] = self._fanout.join(client, subscription)
        self._fanout.send(client, events.result(time.time(), "subscribe", more))

    def _call(self, client: Client, inbound: _Inbound, message: str | bytes) -> None:
        command = self._commands.find(inbound.type)
        if command is None:
            reason = f"no such command: {inbound.type[:64]}"
            self._answer_error(client, "unknown_command", reason, inbound.id)
        elif len(self._calls) >= CALLS_MAX:
            self._answer_error(client, "busy", f"{CALLS_MAX} commands are under way", inbound.id)
        else:
            task = asyncio.create_task(self._do(client, command, inbound, message), name=inbound.type[:64])
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _do(self, client: Client, command: Command, inbound: _Inbound, message: str | bytes) -> None:
        try:
            result = await call(command, message, refused=self._access.refusal(client.scope))
        except CommandError as exc:
            self._answer_error(client, exc.code, str(exc), inbound.id)
        except Exception:  # noqa: BLE001 - its defect must not end the session
            _log.exception("command_failed", command=command.name)
            self._answer_error(client, "failed", f"{command.name} has failed; the log says why", inbound.id)
        else:
            if inbound.id is not None:
                more = {"id": inbound.id, **result}
                self._fanout.send(client, events.result(time.time(), command.name, more))

    def _answer_error(self, client: Client, code: str, reason: str, given: str | int | None = None) -> None:
        details: dict[str, str | int] = {"reason": reason[:REASON_MAX]}
        if given is not None:
            details["id"] = given
        self._fanout.send(client, events.error(time.time(), "system", code, details))

    def _http(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets the WebSocket handshake go on; everything else is answered here."""
        path = _path(request)
        known = path == "/" or self._paths.find(path) is not None
        if known and "websocket" in _header(request, "Upgrade").lower():
            return self._handshake(connection, request)
        if request.method not in {"GET", "HEAD"}:
            return _response(405, "text/plain", b"Only GET is answered here.\n")
        response = _response(*self._pages.get(path, _nothing_here)(request.headers))
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
        try:
            if _path(request) == "/":
                parse_query(_token_and_query(request)[1])
        except QueryError as exc:
            return _response(400, "text/plain", f"{exc}\n".encode())
        address = connection.remote_address
        if refusal := self._full(str(address[0]) if address else "gone"):
            self._counts["clients_refused"] += 1
            return _response(503, "text/plain", f"{refusal}\n".encode())
        return None

    def _full(self, host: str) -> str | None:
        if self.clients >= self._config.max_clients:
            return f"{self.clients} clients are connected, more are not allowed; see [websocket] max_clients."
        if self._connections[host] >= self._config.max_per_address:
            return f"{host} has too many connections; see [websocket] max_per_address."
        return None


def _is_here(connection: ServerConnection) -> bool:
    address = connection.remote_address
    return bool(address) and ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback


def _nothing_here(_: Headers) -> Answer:
    return 404, "text/plain", b"Nothing here; try /, /healthz or /metrics.\n"


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
