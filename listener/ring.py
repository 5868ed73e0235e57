"""The last minute of events as they went out, for a client that comes back.

Pure. Every event has a number, one more than the one before it. Bounded in bytes and in time, both by whole
segments, so that appending costs next to nothing and a replay finds its place at once.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

# (type, channel): all that a subscription asks of an event.
Kind = tuple[str, str | None]
Entry = tuple[int, Kind, bytes]


@dataclass(slots=True)
class _Segment:
    kinds: list[Kind] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    size: int = 0
    newest_at: float = 0.0


class Ring:
    SEGMENT = 256  # events
    OVERHEAD = 50  # bytes that Python needs beside those of an event

    def __init__(self, max_bytes: int, keep_s: float) -> None:
        self._max_bytes = max_bytes
        self._keep_s = keep_s
        self._segments = deque([_Segment()])
        self._bytes = 0
        self._gone: dict[Kind, int] = {}  # the number of the newest of each kind that is not here any more
        self.tail = 1  # the number of the oldest that is still here
        self.head = 0  # the number of the newest

    def append(self, kind: Kind, payload: bytes, now: float) -> int:
        """The event's number."""
        segment = self._segments[-1]
        if len(segment.kinds) == self.SEGMENT:
            segment = _Segment()
            self._segments.append(segment)
            while self._segments[0].newest_at < now - self._keep_s and len(self._segments) > 1:
                self._drop()
        size = len(payload) + self.OVERHEAD
        segment.kinds.append(kind)
        segment.payloads.append(payload)
        segment.size += size
        segment.newest_at = now
        self._bytes += size
        while self._bytes > self._max_bytes and len(self._segments) > 1:
            self._drop()
        self.head += 1
        return self.head

    def since(self, number: int) -> list[Entry]:
        """From this number to the end of its segment; ask again from there. Empty when there is none yet."""
        number = max(number, self.tail)
        index, offset = divmod(number - self.tail, self.SEGMENT)  # all segments but the last are full
        if index >= len(self._segments):
            return []
        segment = self._segments[index]
        return [
            (number + place, kind, payload)
            for place, (kind, payload) in enumerate(
                zip(segment.kinds[offset:], segment.payloads[offset:], strict=True)
            )
        ]

    def has_lost(self, number: int, wants: Callable[[Kind], bool]) -> bool:
        """Whether something that is wanted has gone, from this number on."""
        return any(newest >= number and wants(kind) for kind, newest in self._gone.items())

    def _drop(self) -> None:
        gone = self._segments.popleft()
        self._bytes -= gone.size
        self._gone.update(zip(gone.kinds, range(self.tail, self.tail + len(gone.kinds)), strict=True))
        self.tail += len(gone.kinds)
