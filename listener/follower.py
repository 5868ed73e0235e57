"""One who follows what a session tells, and may be slower than that.

1. Nothing here waits for a client. What it has no room for is skipped for it and counted; it is told how
   many (`{"type":"gap","skipped":…}`) with what it gets next.
2. States and answers wait for room instead, in order; beyond a bound the oldest are skipped as well.
3. Whoever owns followers calls `catch_up` every RETRY_S while one of them is behind.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from listener.sessions import Peer

RETRY_S: Final = 0.05
STATES_MAX: Final = 64


class Follower:
    def __init__(self, peer: Peer, states_max: int = STATES_MAX) -> None:
        self.peer = peer
        self.skipped = 0
        self.states: deque[bytes] = deque()
        self._states_max = states_max

    @property
    def is_behind(self) -> bool:
        return bool(self.skipped or self.states)

    def give(self, pieces: Sequence[Sequence[bytes]], *, binary: bool = False) -> int:
        """What waits first; how many of these were skipped."""
        skipped = 0
        for piece in pieces:
            head = self._head() if self.is_behind else []
            text = () if binary else piece
            if self.peer.offer([*head, *text] if head else text, piece if binary else ()):
                self._forget()
            else:
                self.skipped += len(piece)
                skipped += len(piece)
        return skipped

    def say(self, payload: bytes) -> None:
        if len(self.states) >= self._states_max:
            self.states.popleft()
            self.skipped += 1
        self.states.append(payload)
        self.catch_up()

    def catch_up(self) -> None:
        if self.is_behind and self.peer.offer(self._head()):
            self._forget()

    def _head(self) -> list[bytes]:
        gap = [b'{"type":"gap","skipped":%d}' % self.skipped] if self.skipped else []
        return [*gap, *self.states]

    def _forget(self) -> None:
        self.skipped = 0
        self.states.clear()
