"""What becomes of messages that are tracked (`SENDI`): one wait for each, until the root tells how it ended.

1. The root's word names a node and no message, so the first word is for the message that was sent first.
   One lost word would shift all that follow: once it is known that the root tells at all, a message waits
   until the one before it to the same node has ended.
2. What the root has not told within ACK_S, or before it restarts or is gone, will never be known.
"""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Final

# Four sends of a message through a mesh of many hops; less than a program waits for its answer.
ACK_S: Final = 8.0
# Of one node.
WAITING_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """`sent`: the root module has it. `refused`: it has not. The other three end one that is tracked."""

    state: str  # sent, delivered, failed, unknown, refused
    attempts: int = 0
    reason: str = ""


@dataclass(eq=False, slots=True)
class Waiting:
    addr: int
    since: float
    ended: asyncio.Future[Outcome]


class Outcomes:
    def __init__(self) -> None:
        self._waiting: dict[int, deque[Waiting]] = {}
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._is_told = False  # there is firmware that tells nothing, and it must not be waited for

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def turn(self, addr: int) -> None:
        """Until the next one may be sent to that node; it is to be expected without waiting in between."""
        async with self._turns[addr]:
            while self._is_told and (line := self._waiting.get(addr)):
                await asyncio.wait({line[-1].ended})

    def expect(self, addr: int, now: float) -> Waiting:
        """Before it is sent: the answer may be here before the sender runs again."""
        waiting = Waiting(addr, now, asyncio.get_running_loop().create_future())
        line = self._waiting.setdefault(addr, deque())
        if len(line) >= WAITING_MAX:
            _end(line.popleft(), Outcome("unknown", reason="too many messages to this node wait"))
        line.append(waiting)
        return waiting

    def take_back(self, waiting: Waiting) -> None:
        """It was not sent."""
        line = self._waiting.get(waiting.addr, ())
        if waiting in line:
            self._waiting[waiting.addr].remove(waiting)
            self._tidy(waiting.addr)
        waiting.ended.cancel()

    def ended(self, addr: int, *, delivered: bool, attempts: int) -> None:
        """The root's word."""
        self._is_told = True
        if line := self._waiting.get(addr):
            reason = "" if delivered else f"not delivered in {attempts} attempts"
            _end(line.popleft(), Outcome("delivered" if delivered else "failed", attempts, reason))
            self._tidy(addr)

    def expire(self, now: float) -> None:
        for addr in tuple(self._waiting):
            line = self._waiting[addr]
            while line and now - line[0].since >= ACK_S:
                _end(line.popleft(), Outcome("unknown", reason=f"no word of it in {ACK_S:g} s"))
            self._tidy(addr)

    def give_up(self, reason: str) -> None:
        for line in self._waiting.values():
            for waiting in line:
                _end(waiting, Outcome("unknown", reason=reason))
        self._waiting.clear()

    def _tidy(self, addr: int) -> None:
        if not self._waiting[addr]:
            del self._waiting[addr]


def _end(waiting: Waiting, outcome: Outcome) -> None:
    if not waiting.ended.done():  # who waited may have gone
        waiting.ended.set_result(outcome)
