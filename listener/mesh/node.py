"""One sensor node of the mesh: what is known of it, heard or only told of.

Pure: both clocks come in as arguments; `ts` is Unix time, for people, `now` is the clock that nobody sets.

1. A node that says something is ACTIVE. One that says nothing grows IDLE, then DISCONNECT, see `Registry`.
2. Values stay octets, as they came; what they mean is up to their data type.
3. The values of one type have rising times, so that the time of a value names it. If somebody sets the clock
   back, they start anew from there.
"""

from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

# Between values that came at the same moment; a clock that is only corrected goes back by less than SET_S.
STEP_S: Final = 1e-6
SET_S: Final = 1.0


class Status(IntEnum):
    """As on the wire."""

    ACTIVE = 1
    IDLE = 2
    DISCONNECT = 3


class Value(NamedTuple):
    ts: float
    data: bytes


class Node:
    def __init__(self, addr: int, uuid: bytes = b"", depth: int = 10) -> None:
        self.addr = addr
        self.uuid = uuid  # empty: it has not been told
        self.status = Status.DISCONNECT
        self.last_seen: float | None = None  # None: it was told of, and has not said anything itself
        # On the clock that nobody sets; None: not since the start.
        self.heard_at: float | None = None
        self.alive_at: float | None = None  # heard or told of
        self.is_named = False  # by the root: no destroyed octet has made it up
        # Whether the root's word brings it back: not if it was silent while it could have been heard.
        self.is_vouched = True
        self._depth = depth
        self._values: dict[str, deque[Value]] = {}

    @property
    def name(self) -> str:
        return f"Node-{self.addr}"

    @property
    def types(self) -> Sequence[str]:
        """The names of the data types that there is a value of."""
        return tuple(self._values)

    def heard(self, ts: float, now: float) -> None:
        self.last_seen, self.heard_at = ts, now
        self.told_of(now)

    def told_of(self, now: float) -> None:
        """By the root: it is in the network."""
        self.alive_at = now
        self.status = Status.ACTIVE
        self.is_vouched = True

    def age_s(self, ts: float, now: float) -> float | None:
        """Since it was heard; None if it never was. By the other clock if that was before the start."""
        if self.last_seen is None:
            return None
        return max(0.0, ts - self.last_seen if self.heard_at is None else now - self.heard_at)

    def store(self, type_name: str, data: bytes, ts: float) -> float:
        """Its time, which may be a little later than the one that was given."""
        values = self._values.get(type_name)
        if values is None:
            values = self._values[type_name] = deque(maxlen=self._depth)
        if values and 0 <= values[-1].ts - ts < SET_S:
            ts = values[-1].ts + STEP_S
        values.append(Value(ts, data))
        return ts

    def last(self, type_name: str) -> Value | None:
        values = self._values.get(type_name)
        return values[-1] if values else None

    def history(self, type_name: str) -> Sequence[Value]:
        """Oldest first."""
        return tuple(self._values.get(type_name, ()))
