"""Who commands which robot: one website at a time, and for as long as it says something.

Pure: time comes in as an argument.

A website that commands a free robot has it, until it has said nothing for BY_THE_WAY_S: dashboards of the
field know no more than that. One that has asked for it keeps it for `idle_s`. Either loses it by releasing
it, by leaving, or to one that takes it by force.

Dead man's switch: who moves a robot says so again and again; `hold_s` after the last time it is over.

Whoever has a hand on a stick when somebody comes between must take it anew: for each website, each kind of
move and each robot

1. a move that was refused, a robot that was lost or has come, was released or taken from him (`Sticks` says
   whose stick is held) is not moved before the website has said zero of this kind,
2. after a halt this is so for everybody who was there, his stick held or not, and for who comes within
   HALT_S after it: it may be the same hand,
3. nobody's zero lets go of somebody else's stick, and no stick of another one.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

HALT_S: Final = 1.0
BY_THE_WAY_S: Final = 2.0


@dataclass(slots=True)
class Hold:
    """Of one robot: who has it, which of its parts move, and whose sticks must be let go first."""

    hold_s: float
    idle_s: float
    website: str | None = None
    _is_asked_for: bool = False
    _said_at: float = -math.inf
    _moves: dict[str, float] = field(default_factory=dict)  # kind -> when it was said last
    _halted_at: float = -math.inf
    _to_let_go: set[tuple[str, str]] = field(default_factory=set)  # website, kind

    # Who has it

    def may(self, website: str) -> bool:
        return self.website in {None, website}

    def take(self, website: str, now: float, *, is_asked_for: bool = False) -> bool:
        """True if it is new that this website has it."""
        is_new = self.website != website
        self._is_asked_for = is_asked_for or (self._is_asked_for and not is_new)
        self.website = website
        self._said_at = now
        return is_new

    def release(self) -> None:
        self.website = None

    def is_idle(self, now: float) -> bool:
        return self.website is not None and not self._moves and now - self._said_at >= self._patience_s

    # Whose sticks must be let go

    def must_let_go(self, website: str, kind: str) -> bool:
        return (website, kind) in self._to_let_go

    def wants_let_go(self, website: str, kinds: Iterable[str]) -> None:
        self._to_let_go.update((website, kind) for kind in kinds)

    def has_let_go(self, website: str, kind: str) -> None:
        self._to_let_go.discard((website, kind))

    def forget(self, website: str, kinds: Iterable[str]) -> None:
        """It has gone."""
        self._to_let_go.difference_update((website, kind) for kind in kinds)

    def halt(self, now: float) -> list[str]:
        """The kinds of moves that this ends."""
        self._halted_at = now
        return self.stop()

    def was_halted(self, now: float) -> bool:
        """A moment ago."""
        return now - self._halted_at < HALT_S

    # What moves

    def moves(self, kind: str, now: float) -> None:
        self._moves[kind] = now

    def stands(self, kind: str) -> None:
        self._moves.pop(kind, None)

    @property
    def moving(self) -> list[str]:
        return list(self._moves)

    def stop(self) -> list[str]:
        """The kinds of moves that this ends."""
        kinds = list(self._moves)
        self._moves.clear()
        return kinds

    def not_repeated(self, now: float) -> list[str]:
        """The kinds of moves that nobody has repeated in time, which are over by this."""
        kinds = [kind for kind, at in self._moves.items() if now - at >= self.hold_s]
        for kind in kinds:
            del self._moves[kind]
        return kinds

    def next_at(self) -> float | None:
        if self._moves:
            return min(self._moves.values()) + self.hold_s
        return None if self.website is None else self._said_at + self._patience_s

    @property
    def _patience_s(self) -> float:
        return self.idle_s if self._is_asked_for else min(self.idle_s, BY_THE_WAY_S)
