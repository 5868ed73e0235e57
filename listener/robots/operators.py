"""Who commands which robot: one website at a time, and for as long as it says something.

Pure: time comes in as an argument.

A website that commands a free robot has it, until it has said nothing for BY_THE_WAY_S: dashboards of the
field know no more than that. One that has asked for it keeps it for `idle_s`. Either loses it by releasing
it, by leaving, or to one that takes it by force.

Dead man's switch: who moves a robot says so again and again; `hold_s` after the last time it is over.

Halt: whoever it was that pressed the stop, moves are refused until the stick was let go: until it says zero,
or nothing for HALT_S. A robot that was lost while it moved is halted as well: it does not set off by itself
when it is back.
"""

import math
from dataclasses import dataclass, field
from typing import Final

HALT_S: Final = 1.0
BY_THE_WAY_S: Final = 2.0


@dataclass(slots=True)
class Hold:
    """Of one robot: who has it, and which of its parts move."""

    hold_s: float
    idle_s: float
    website: str | None = None
    _is_asked_for: bool = False
    _said_at: float = -math.inf
    _moves: dict[str, float] = field(default_factory=dict)  # kind -> when it was said last
    _halted_at: float = -math.inf

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

    def moved(self, kind: str, now: float, *, is_stop: bool) -> bool:
        """False if this move is not to be: it was halted, and the stick has not been let go since."""
        if is_stop:
            self._halted_at = -math.inf
            self._moves.pop(kind, None)
        elif self.is_halted(now):
            return False
        else:
            self._moves[kind] = now
        return True

    def is_halted(self, now: float) -> bool:
        """Asked for a move that somebody wants, which shows that the stick was not let go."""
        if now - self._halted_at >= HALT_S:
            return False
        self._halted_at = now
        return True

    def halt(self, now: float) -> list[str]:
        """The kinds of moves that this ends."""
        self._halted_at = now
        return self.stop()

    @property
    def moving(self) -> list[str]:
        return list(self._moves)

    def stop(self) -> list[str]:
        """The kinds of moves that this ends."""
        kinds = list(self._moves)
        self._moves.clear()
        return kinds

    def let_go(self, now: float) -> list[str]:
        """The kinds of moves that nobody has repeated in time, which are over by this."""
        kinds = [kind for kind, at in self._moves.items() if now - at >= self.hold_s]
        for kind in kinds:
            del self._moves[kind]
        return kinds

    def is_idle(self, now: float) -> bool:
        return self.website is not None and not self._moves and now - self._said_at >= self._patience_s

    def next_at(self) -> float | None:
        if self._moves:
            return min(self._moves.values()) + self.hold_s
        return None if self.website is None else self._said_at + self._patience_s

    @property
    def _patience_s(self) -> float:
        return self.idle_s if self._is_asked_for else min(self.idle_s, BY_THE_WAY_S)
