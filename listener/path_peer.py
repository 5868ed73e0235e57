"""The client of a session (see `sessions`) on the WebSocket port: bounded both ways, as those of events are.

1. What is offered goes out in one write, or not at all when it would exceed the write buffer's bound.
2. A single message that is larger than the kernel keeps for a client gets room there: in one piece it costs
   half as much as in two.
3. Who has no room for `stall_s` and takes nothing meanwhile is aborted, whatever the session does.
"""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import structlog
from websockets.asyncio.server import ServerConnection

from listener.access import Scope
from listener.config import WebsocketConfig
from listener.inbound import heard
from listener.outbound import Client, address_of, header
from listener.sessions import Offered
from listener.unread import unread

_log = structlog.get_logger(__name__)

LOOK_S = 0.02
# Octets of a message that is framed once for all who are sent it.
LARGE = 16_384
# Of a close frame's payload 123 octets are the reason's (RFC 6455, 5.5).
_REASON_MAX = 123


class Framer:
    """Large messages as frames: the last one is kept, for those who are sent the same."""

    def __init__(self) -> None:
        self._payload = self._frame = b""
        self._is_binary = False

    def frame(self, payload: bytes, *, binary: bool = False) -> bytes:
        if payload is not self._payload or binary is not self._is_binary:
            self._frame = header(len(payload), binary=binary) + payload
            self._payload, self._is_binary = payload, binary
        return self._frame


class PathPeer:
    def __init__(
        self,
        connection: ServerConnection,
        scope: Scope,
        query: str,
        config: WebsocketConfig,
        counts: Counter[str],
        terms: Offered,
        framer: Framer,
    ) -> None:
        self.address = address_of(connection)
        self.query = query
        self.scope = scope
        self._connection = connection
        self._client = Client(connection, config.write_buffer, scope)
        self._stall_s = config.stall_s
        self._counts = counts
        self._terms = terms
        self._framer = framer
        self._kept = config.write_buffer  # by the kernel, of one write
        self._stuck_since: float | None = None

    @property
    def unread(self) -> int:
        return unread(self._connection.transport)

    def offer(self, messages: Sequence[bytes], binary: Sequence[bytes] = ()) -> bool:
        parts = [part for text in messages for part in self._framed(text)]
        for octets in binary:
            parts += self._framed(octets, binary=True)
        return self._write(parts[0] if len(parts) == 1 else b"".join(parts))

    async def send(self, message: bytes) -> None:
        # Not websockets' own: its `send` waits for ever for one that does not read.
        frame = header(len(message)) + message
        while not self._write(frame):  # noqa: ASYNC110 - nobody tells that there is room
            await asyncio.sleep(LOOK_S)

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        terms = self._terms
        return heard(self._connection, self._counts, self._refuse, terms.rate, terms.burst, terms.is_urgent)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        text = reason.encode()[:_REASON_MAX].decode(errors="ignore")
        try:
            async with asyncio.timeout(self._stall_s):
                await self._connection.close(code, text)
        except TimeoutError:  # the close frame waits behind a full buffer
            self._connection.transport.abort()

    def _framed(self, payload: bytes, *, binary: bool = False) -> tuple[bytes, ...]:
        if len(payload) < LARGE:
            return header(len(payload), binary=binary), payload
        frame = self._framer.frame(payload, binary=binary)
        if len(frame) > self._kept:
            self._kept = len(frame)
            with contextlib.suppress(OSError):  # it is closed
                transport = self._connection.transport
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._kept)
        return (frame,)

    def _refuse(self) -> None:
        if self._terms.too_fast:
            self.offer([self._terms.too_fast])

    def _write(self, data: bytes) -> bool:
        client = self._client
        if client.write(data):
            self._stuck_since = None
            return True
        now = time.monotonic()
        if self._stuck_since is None or client.has_moved():
            self._stuck_since = now
        elif now - self._stuck_since > self._stall_s:
            self._counts["clients_aborted"] += 1
            _log.warning("client_aborted", address=self.address, reason="stalled")
            self._connection.transport.abort()
        client.remember()
        return False
