"""The way out to one connection: frames prebuilt, writes bounded, what was left out told.

`connection.transport` is not documented by websockets; tests hold it to what is used here.
"""

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from listener import events
from listener.access import Scope
from listener.events import EventEnvelope
from listener.subscription import EVERYTHING, Subscription

# number, event, JSON
Item = tuple[int, EventEnvelope, bytes]


class Client:
    """The way out to one connection, bounded."""

    def __init__(self, connection: ServerConnection, write_buffer: int, scope: Scope = Scope.READ) -> None:
        self.connection = connection
        self.scope = scope
        self.write_buffer = write_buffer
        self.subscription = EVERYTHING
        self.states: deque[bytes] = deque()
        self.states_size = 0
        self.held_since: float | None = None  # None: live. Else since when it has not moved
        self.replay_from: int | None = None  # the number of the next event from the ring
        self._held_size = 0
        self.skipped = 0
        self._first = self._last = (0, 0.0)

    @property
    def is_open(self) -> bool:
        return self.connection.protocol.state is State.OPEN and not self.connection.transport.is_closing()

    def write(self, data: bytes) -> bool:
        """False when there is no room. To a connection that is closing nothing may be written."""
        connection = self.connection
        transport = connection.transport
        if connection.protocol.state is not State.OPEN or transport.is_closing():
            return True
        held = transport.get_write_buffer_size()
        if held and held + len(data) > self.write_buffer:
            return False
        transport.write(data)
        return True

    def skip(self, seq: int, ts: float) -> None:
        if not self.skipped:
            self._first = (seq, ts)
        self._last = (seq, ts)
        self.skipped += 1

    def has_room(self) -> bool:
        return self.connection.transport.get_write_buffer_size() <= self.write_buffer // 2

    def catch_up(self) -> bool:
        """Sends what waits as far as there is room; True when nothing waits any more."""
        if not self.has_room():
            return False
        if self.skipped:
            (first_seq, first_ts), (last_seq, last_ts) = self._first, self._last
            if not self.write(gap_frame("client", self.skipped, first_ts, last_ts, first_seq, last_seq)):
                return False
            self.skipped = 0
        while self.states and self.write(self.states[0]):
            self.states_size -= len(self.states.popleft())
        return not self.states

    def keep(self, frame: bytes) -> None:
        self.states.append(frame)
        self.states_size += len(frame)

    def has_moved(self) -> bool:
        """Whether the peer has taken anything since `remember`: it is slow then, not stuck."""
        return self.connection.transport.get_write_buffer_size() < self._held_size

    def remember(self) -> None:
        self._held_size = self.connection.transport.get_write_buffer_size()


def render(subscription: Subscription, items: Sequence[tuple[int, object, bytes]]) -> bytes:
    """The frames of these events, joined."""
    if subscription.seq:
        payloads = [numbered(payload, seq) for seq, _, payload in items]
    elif len(items) == 1:
        return text_frame(items[0][2])
    else:
        payloads = [payload for _, _, payload in items]
    return b"".join([part for payload in payloads for part in (header(len(payload)), payload)])


def numbered(payload: bytes, seq: int) -> bytes:
    """The envelope with its sixth field."""
    return b'%b,"seq":%d}' % (payload[:-1], seq)


def text_frame(payload: bytes) -> bytes:
    return header(len(payload)) + payload


def header(length: int, *, binary: bool = False) -> bytes:
    """Of one complete, final, unmasked frame (RFC 6455, 5.2)."""
    kind = b"\x82" if binary else b"\x81"
    if length < 126:
        return kind + length.to_bytes()
    if length < 65536:
        return kind + b"\x7e" + length.to_bytes(2, "big")
    return kind + b"\x7f" + length.to_bytes(8, "big")


def address_of(connection: ServerConnection) -> str:
    address: Any = connection.remote_address
    return f"{address[0]}:{address[1]}" if address else "gone"


def gap_frame(
    where: str,
    skipped: int | None,
    first_ts: float | None,
    last_ts: float | None,
    first_seq: int | None = None,
    last_seq: int | None = None,
) -> bytes:
    numbers: dict[str, Any] = {"first_seq": first_seq, "last_seq": last_seq}
    gap = events.gap(time.time(), where, skipped, first_ts, last_ts, **numbers)
    return text_frame(events.encode(gap))
