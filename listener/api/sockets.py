"""The sessions of all paths (see `sessions`) on this port, within the limits of [websocket].

1. What is offered or sent goes through one queue, in order; one task sends it. The queue has the bound
   `write_buffer`, and a single message may always go when nothing waits.
2. Who takes nothing for `stall_s` is given up, and his session is cancelled.
3. More than a client may say is not read, and who will not hear of it is given up, as on the other port.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, cast

import structlog
from starlette.types import Receive, Send
from starlette.types import Scope as Request
from starlette.websockets import WebSocket, WebSocketDisconnect

from listener.access import Scope
from listener.api.errors import problem
from listener.api.visitors import Doorkeeper, Visitor
from listener.config import WebsocketConfig
from listener.inbound import REFUSED_MAX
from listener.sessions import Offered, Paths, Session
from listener.throttle import TokenBucket
from listener.unread import unread

_log = structlog.get_logger(__name__)

CLOSE_S: Final = 0.2
# Of a close frame's payload 123 octets are the reason's (RFC 6455, 5.5).
_REASON_MAX: Final = 123


class SocketPeer:
    def __init__(
        self,
        websocket: WebSocket,
        visitor: Visitor,
        config: WebsocketConfig,
        terms: Offered,
        transport: asyncio.BaseTransport | None,
    ) -> None:
        self._websocket = websocket
        self._visitor = visitor
        self._terms = terms
        self._transport = transport
        self._bound = config.write_buffer
        self._stall_s = config.stall_s
        self._waiting: deque[tuple[bytes, bool]] = deque()  # and whether it is binary
        self._held = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._end: tuple[int, str] | None = None
        self._sent = asyncio.Event()  # all that will ever be
        self.code: int | None = None
        self.is_lost = False  # and does not know it

    @property
    def address(self) -> str:
        return self._visitor.address

    @property
    def path(self) -> str:
        return str(self._websocket.scope["path"])

    @property
    def query(self) -> str:
        return self._visitor.query

    @property
    def scope(self) -> Scope:
        return self._visitor.scope

    @property
    def unread(self) -> int:
        return self._held + unread(self._transport)

    def offer(self, messages: Sequence[bytes], binary: Sequence[bytes] = ()) -> bool:
        if self._end is not None or self._sent.is_set():
            return True
        size = sum(map(len, messages)) + sum(map(len, binary))
        if self._held and self._held + size > self._bound:
            return False
        self._waiting.extend((text, False) for text in messages)
        self._waiting.extend((octets, True) for octets in binary)
        self._held += size
        self._news.set()
        return True

    async def send(self, message: bytes) -> None:
        while not self.offer([message]):
            self._room.clear()
            await self._room.wait()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        bucket = TokenBucket(self._terms.rate, self._terms.burst)
        refused = 0
        while not self._sent.is_set():
            # Raises when the end of the connection was told already.
            with contextlib.suppress(RuntimeError):
                message = await self._websocket.receive()
                if message["type"] == "websocket.receive":
                    text = message.get("text")
                    was_dry = bucket.is_dry
                    said = message["bytes"] if text is None else text
                    if bucket.take(time.monotonic()):
                        yield said
                        continue
                    refused += 1
                    if self._terms.is_urgent(said):
                        yield said
                    if self._terms.too_fast and not was_dry:
                        self.offer([self._terms.too_fast])
                    if refused <= REFUSED_MAX:
                        continue
                    _log.warning("client_aborted", address=self.address, reason="flood")
                    self.is_lost = True
                else:
                    self.code = message["code"]
            self._over()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """After what waits, if it takes that in time."""
        if self._end is None:
            self._end = code, reason.encode()[:_REASON_MAX].decode(errors="ignore")
        self._news.set()
        await self._sent.wait()

    async def deliver(self) -> None:
        """Until the connection is over."""
        try:
            while not self._sent.is_set() and (self._end is None or self._waiting):
                if not self._waiting:
                    self._news.clear()
                    await self._news.wait()
                    continue
                message, is_binary = self._waiting.popleft()
                async with asyncio.timeout(self._stall_s):
                    if is_binary:
                        await self._websocket.send_bytes(message)
                    else:
                        await self._websocket.send_text(message.decode())
                self._held -= len(message)
                self._room.set()
            if self._end is not None and not self._sent.is_set():
                async with asyncio.timeout(CLOSE_S):
                    await self._websocket.close(*self._end)
                self.code = self._end[0]
        except TimeoutError:
            _log.warning("client_aborted", address=self.address, reason="stalled")
            self.is_lost = True
        # Abnormal ends are as ordinary as normal ones: a tablet goes out of range.
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass
        finally:
            self._over()

    def _over(self) -> None:
        self._sent.set()
        self._waiting.clear()
        self._held = 0
        self._news.set()
        self._room.set()


class Sockets:
    def __init__(
        self,
        paths: Paths,
        config: WebsocketConfig,
        doorkeeper: Doorkeeper,
        transport_of: Callable[[Request], asyncio.BaseTransport | None] = lambda _: None,
    ) -> None:
        """`transport_of` is asked for the connection of a request."""
        self._paths = paths
        self._transport_of = transport_of
        self._config = config
        self._doorkeeper = doorkeeper
        self._sessions: set[asyncio.Task[Any]] = set()
        self._handlers: set[asyncio.Task[Any]] = set()
        self._connections: Counter[str] = Counter()  # per address
        self._is_stopping = False

    @property
    def clients(self) -> int:
        return len(self._sessions)

    async def __call__(self, request: Request, receive: Receive, send: Send) -> None:
        websocket = WebSocket(request, receive, send)
        visitor = self._doorkeeper.look(request)
        found = self._paths.find(request["path"])
        if found is None:
            status, reason = 404, f"no WebSocket here; there is {', '.join(self._paths) or 'none'}"
        elif not visitor.is_of_our_page:
            status, reason = 403, "this origin is not allowed; see [api] cors_origins"
        else:
            status, reason = 503, self._full(visitor.host)
        await websocket.receive()
        # A client that has gone meanwhile is none.
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            if found is None or reason:
                await websocket.send_denial_response(problem(status, reason))
                return
            await websocket.accept()
            if visitor.unknown is not None:
                # After the handshake: of one that was refused a browser's page learns nothing.
                await websocket.close(1008, visitor.unknown)
                return
            if strange := self._paths.strange(visitor.scope, request["path"]):
                await websocket.close(1008, strange)
                return
            peer = SocketPeer(websocket, visitor, self._config, found, self._transport_of(request))
            await self._follow(found.session, peer, visitor)

    async def stop(self) -> None:
        self._is_stopping = True
        for task in self._sessions:
            task.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=2 * CLOSE_S)

    async def _follow(self, session: Session, peer: SocketPeer, visitor: Visitor) -> None:
        handler = cast("asyncio.Task[Any]", asyncio.current_task())
        task = asyncio.create_task(_run(session, peer), name="session of a client")
        sender = asyncio.create_task(peer.deliver(), name="send to a client")
        self._handlers.add(handler)
        self._sessions.add(task)
        self._connections[visitor.host] += 1
        _log.info("client_connected", address=peer.address, path=peer.path, total=self.clients)
        try:
            await asyncio.wait({task, sender}, return_when=asyncio.FIRST_COMPLETED)
            if peer.is_lost:
                task.cancel()
            await asyncio.wait({task})
            code, reason = self._verdict(task, peer)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await peer.close(code, reason)
        finally:
            task.cancel()
            sender.cancel()
            self._handlers.discard(handler)
            self._sessions.discard(task)
            self._connections -= Counter({visitor.host: 1})
            _log.info("client_disconnected", address=peer.address, code=peer.code, total=self.clients)

    def _verdict(self, task: asyncio.Task[Any], peer: SocketPeer) -> tuple[int, str]:
        if task.cancelled():
            return (1001, "server is stopping") if self._is_stopping else (1000, "")
        if exc := task.exception():
            _log.error("session_failed", address=peer.address, exc_info=exc)
            return 1011, "the session has failed; the log says why"
        return 1000, ""

    def _full(self, host: str) -> str:
        if self._is_stopping:
            return "the server is stopping"
        if self.clients >= self._config.max_clients:
            return f"{self.clients} clients are connected, more are not allowed; see [websocket] max_clients"
        if self._connections[host] >= self._config.max_per_address:
            return f"{host} has too many connections; see [websocket] max_per_address"
        return ""


async def _run(session: Session, peer: SocketPeer) -> None:
    await session(peer)
