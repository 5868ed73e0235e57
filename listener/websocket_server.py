"""Fans events out to WebSocket clients on one port, and answers /healthz and /metrics there.

Rules that keep one client from harming the others or the process:
1. An event is encoded and framed once; the same bytes go to every client's transport. (Server frames are
   not masked, and no compression is negotiated.) Nothing here ever awaits a client.
2. A client whose write buffer would exceed `write_buffer` is *lagging*: samples are skipped for it and
   counted, states wait in its queue. `SO_SNDBUF` is bounded alike, or the kernel alone would keep a
   minute of stale samples.
3. When the buffer has drained to half, the client is told what it missed (`gap`), gets its states and
   lives on. More states than `state_queue`: closed with 1013. Lagging for `stall_s`: aborted, since a
   close frame would not reach it any more.
4. Lagging clients are aborted before the server closes, or the closing handshake would wait for them.

`connection.transport` is not documented by websockets; tests hold it to what is used here.
"""

import asyncio
import contextlib
import errno
import http
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from listener import events
from listener.config import WebsocketConfig
from listener.events import SAMPLES, EventEnvelope
from listener.throttle import Throttle

_log = structlog.get_logger(__name__)

LAG_CHECK_S = 0.05
CLOSE_S = 1.0
# Shorter than the daemon's own deadline: a connection left idle by a browser must not outlast it.
OPEN_S = 3.0
INBOUND_MAX_BYTES = 64 * 1024
FAILURE_LOG_S = 10.0

_COUNTED = (
    "events",
    "samples_skipped",
    "clients_aborted",
    "clients_overflowed",
    "messages_received",
    "encoding_failures",
)

# An answer to a plain HTTP request: status, content type, body.
Answer = tuple[int, str, bytes]


class PortUnavailable(Exception):  # noqa: N818 - a condition of the machine
    """The address cannot be listened on; the text says why."""


class _Inbound(msgspec.Struct):
    """What a client may send; fields that we do not know are its own business."""

    type: str
    id: str | int | None = None


class _Client:
    """The way out to one connection, bounded."""

    def __init__(self, connection: ServerConnection, write_buffer: int) -> None:
        self.connection = connection
        self.write_buffer = write_buffer
        self.states: deque[bytes] = deque()
        self.lagging_since: float | None = None
        self.skipped = 0
        self.first_ts = self.last_ts = 0.0

    def send(self, frame: bytes) -> bool:
        """False when there is no room. To a connection that is closing nothing may be written."""
        if self.connection.protocol.state is not State.OPEN:
            return True
        held = self.connection.transport.get_write_buffer_size()
        if held and held + len(frame) > self.write_buffer:
            return False
        self.connection.transport.write(frame)
        return True

    def skip(self, ts: float) -> None:
        if not self.skipped:
            self.first_ts = ts
        self.last_ts = ts
        self.skipped += 1

    def catch_up(self) -> bool:
        """Sends what waits as far as there is room; True when nothing waits any more."""
        if self.connection.transport.get_write_buffer_size() > self.write_buffer // 2:
            return False
        if self.skipped:
            gap = events.gap(time.time(), "client", self.skipped, self.first_ts, self.last_ts)
            if not self.send(text_frame(events.encode(gap))):
                return False
            self.skipped = 0
        while self.states and self.send(self.states[0]):
            self.states.popleft()
        return not self.states


class WebSocketEventServer:
    def __init__(
        self,
        config: WebsocketConfig,
        hello: Callable[[], EventEnvelope],
        pages: Mapping[str, Callable[[], Answer]],
    ) -> None:
        self._config = config
        self._hello = hello
        self._pages = pages
        self._server: Server | None = None
        # A tuple, replaced on change: clients come and go while an event is being sent.
        self._clients: tuple[_Client, ...] = ()
        self._laggards: set[_Client] = set()
        self._lag_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._failures = Throttle(FAILURE_LOG_S)
        self.counts = Counter(dict.fromkeys(_COUNTED, 0))

    @property
    def clients(self) -> int:
        return len(self._clients)

    @property
    def port(self) -> int:
        """The port that is really listened on, also when 0 was configured."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        host, port = self._config.host, self._config.port
        _log.info("websocket_server_starting", host=host, port=port)
        try:
            # `localhost` is two addresses, which would be given two different free ports.
            self._server = await self._listen(socket.AF_INET if port == 0 else socket.AF_UNSPEC)
        except (OSError, UnicodeError) as exc:  # UnicodeError: a host that no name server could be asked for
            if getattr(exc, "errno", None) != errno.EADDRNOTAVAIL or host != "localhost":
                raise PortUnavailable(_explain(exc, host, port)) from exc
            # `localhost` names ::1 on many machines whose kernel has no IPv6.
            self._server = await self._listen(socket.AF_INET)
        _log.info("websocket_server_started", url=f"ws://{host}:{self.port}")
        _log.info("waiting_for_clients")

    async def stop(self) -> None:
        if self._server is None:
            return
        for client in self._laggards:
            client.connection.transport.abort()
        self._server.close(code=1001, reason="server is stopping")
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._server.wait_closed()
        except TimeoutError:
            # Within its bound, and yet so full that websockets waits for room before its own deadline runs.
            for client in self._clients:
                client.connection.transport.abort()
            await self._server.wait_closed()

    def broadcast(self, event: EventEnvelope) -> None:
        try:
            frame = text_frame(events.encode(event))
        except Exception:  # noqa: BLE001 - whatever a payload holds, only this event is lost
            self._encoding_failed(event)
            return
        self.counts["events"] += 1
        for client in self._clients:
            if client.lagging_since is not None or not client.send(frame):
                self._hold(client, event, frame)

    async def _listen(self, family: socket.AddressFamily) -> Server:
        return await serve(
            self._session,
            self._config.host,
            self._config.port,
            family=family,
            process_request=self._http,
            server_header=None,
            compression=None,
            max_size=INBOUND_MAX_BYTES,
            ping_interval=self._config.ping_interval_s,
            ping_timeout=self._config.ping_timeout_s,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
        )

    async def _session(self, connection: ServerConnection) -> None:
        connection.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, self._config.write_buffer
        )
        client = _Client(connection, self._config.write_buffer)
        self._send(client, self._hello())
        self._clients += (client,)
        _log.info("client_connected", address=_address(connection), total=self.clients)
        try:
            # Abnormal ends are as ordinary as normal ones: a tablet goes out of range.
            with contextlib.suppress(ConnectionClosed):
                async for message in connection:
                    self._receive(client, message)
        finally:
            self._clients = tuple(c for c in self._clients if c is not client)
            self._laggards.discard(client)
            _log.info(
                "client_disconnected",
                address=_address(connection),
                code=connection.close_code,
                total=self.clients,
            )

    def _receive(self, client: _Client, message: str | bytes) -> None:
        self.counts["messages_received"] += 1
        try:
            inbound = msgspec.json.decode(message, type=_Inbound)
        # RecursionError: JSON may be nested deeper than Python's stack; UnicodeDecodeError is a ValueError.
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            code, details = "bad_message", {"reason": str(exc)}
        else:
            code = "unknown_command"
            details = {"reason": f"no such command: {inbound.type[:64]}"}
            if inbound.id is not None:
                details["id"] = str(inbound.id)[:64]
        self._send(client, events.error(time.time(), "system", code, details))

    def _send(self, client: _Client, event: EventEnvelope) -> None:
        frame = text_frame(events.encode(event))
        if client.lagging_since is not None or not client.send(frame):
            self._hold(client, event, frame)

    def _hold(self, client: _Client, event: EventEnvelope, frame: bytes) -> None:
        """The client has no room: skip a sample, keep a state, give up on who needs too many."""
        if client.lagging_since is None:
            client.lagging_since = time.monotonic()
            self._laggards.add(client)
            if self._lag_timer is None:
                self._watch_laggards()
        if event.type in SAMPLES:
            client.skip(event.ts)
            self.counts["samples_skipped"] += 1
        elif len(client.states) < self._config.state_queue:
            client.states.append(frame)
        elif client in self._clients and client.connection.protocol.state is State.OPEN:
            self._refuse(client)

    def _watch_laggards(self) -> None:
        self._lag_timer = asyncio.get_running_loop().call_later(LAG_CHECK_S, self._check_laggards)

    def _check_laggards(self) -> None:
        now = time.monotonic()
        for client in tuple(self._laggards):
            assert client.lagging_since is not None
            # One that is closing stays under watch: its close frame waits behind a full buffer.
            if client.connection.protocol.state is State.OPEN and client.catch_up():
                client.lagging_since = None
                self._laggards.discard(client)
            elif now - client.lagging_since > self._config.stall_s:
                self._abort(client, "stalled")
        self._lag_timer = None
        if self._laggards:
            self._watch_laggards()

    def _abort(self, client: _Client, reason: str) -> None:
        self.counts["clients_aborted"] += 1
        self._laggards.discard(client)
        address = _address(client.connection)
        _log.warning("client_aborted", address=address, reason=reason, skipped=client.skipped)
        client.connection.transport.abort()

    def _refuse(self, client: _Client) -> None:
        """Closes with 1013, *try again later*; `_check_laggards` aborts whom this does not reach."""
        self.counts["clients_overflowed"] += 1
        _log.warning("client_overflowed", address=_address(client.connection), states=len(client.states))
        self._clients = tuple(c for c in self._clients if c is not client)
        task = asyncio.create_task(
            client.connection.close(1013, "too many events are waiting for this client"),
            name="close overflowed client",
        )
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _encoding_failed(self, event: EventEnvelope) -> None:
        self.counts["encoding_failures"] += 1
        suppressed = self._failures.admit(event.type, time.monotonic())
        if suppressed is not None:
            _log.exception("event_not_serialisable", type=event.type, suppressed=suppressed)

    def _http(self, _connection: ServerConnection, request: Request) -> Response | None:
        """None lets the WebSocket handshake go on; everything else is answered here."""
        path = request.path.partition("?")[0]
        if path == "/" and "websocket" in _header(request, "Upgrade").lower():
            if self._foreign_origin(request):
                return _response(403, "text/plain", b"This origin is not allowed; see [websocket] origins.\n")
            return None
        if request.method not in {"GET", "HEAD"}:
            return _response(405, "text/plain", b"Only GET is answered here.\n")
        response = _response(*self._pages.get(path, _nothing_here)())
        if request.method == "HEAD":
            response.body = b""  # the headers stay those of GET
        return response

    def _foreign_origin(self, request: Request) -> bool:
        """Browsers send an Origin: another site's page must not read the bench through its visitor."""
        origin = _header(request, "Origin")
        same = origin.partition("://")[2].lower() == _header(request, "Host").lower()
        return bool(origin) and not same and origin not in self._config.origins


def text_frame(payload: bytes) -> bytes:
    """One complete, final, unmasked text frame (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        header = bytes((0x81, length))
    elif length < 65536:
        header = b"\x81\x7e" + length.to_bytes(2, "big")
    else:
        header = b"\x81\x7f" + length.to_bytes(8, "big")
    return header + payload


def _explain(exc: OSError | UnicodeError, host: str, port: int) -> str:
    if getattr(exc, "errno", None) == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; is another listener running? (ss -ltnp 'sport = :{port}')"
    return f"cannot listen on {host} port {port}: {getattr(exc, 'strerror', None) or exc}"


def _nothing_here() -> Answer:
    return 404, "text/plain", b"Nothing here; try /, /healthz or /metrics.\n"


def _header(request: Request, name: str) -> str:
    return next(iter(request.headers.get_all(name)), "")


def _response(status: int, content_type: str, body: bytes) -> Response:
    headers = Headers(
        {
            "Content-Type": f"{content_type}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    return Response(status, http.HTTPStatus(status).phrase, headers, body)


def _address(connection: ServerConnection) -> Any:
    address = connection.remote_address
    return f"{address[0]}:{address[1]}" if address else "gone"
