"""The commands that wait for one robot, and those that it has been given.

Pure: time comes in as an argument.

1. Of each type the newest wins; the one before it has expired.
2. Of each type the robot gets one every PACE_S at most, on the average. A stop after a move need not wait;
   what comes after it waits for so much longer.
3. What is past its deadline is never given. What a robot is given cannot be taken back: so one that confirms
   what it has executed gets no more than UNCONFIRMED_MAX before it confirms again, stops excepted. If it is
   frozen, that much can arrive late and no more.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PACE_S: Final = 0.05
UNCONFIRMED_MAX: Final = 3
# Who has confirmed, and says nothing for so long, has forgotten it.
FORGOTTEN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    number: int
    kind: str
    values: Mapping[str, float]
    deadline_at: float
    is_stop: bool = False
    website: str = ""  # that gave it; the listener itself otherwise
    given_id: str | int | None = None  # by which the website knows it


@dataclass(slots=True)
class Outbox:
    confirms: bool = False
    _waiting: dict[str, Order] = field(default_factory=dict)
    _free_at: dict[str, float] = field(default_factory=dict)
    _last_was_stop: dict[str, bool] = field(default_factory=dict)
    _given: dict[int, tuple[float, Order]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def put(self, order: Order) -> Order | None:
        """Returns the one whose place it takes."""
        before = self._waiting.pop(order.kind, None)
        self._waiting[order.kind] = order
        return before

    def expire(self, now: float) -> list[Order]:
        late = [order for order in self._waiting.values() if now >= order.deadline_at]
        for order in late:
            del self._waiting[order.kind]
        return late

    def ready(self, now: float, *, is_clear: bool) -> list[Order]:
        """Those that may go now. `is_clear`: nothing is stuck on the way; stops go anyhow."""
        is_open = is_clear and not self._is_silent(now)
        return [
            order
            for order in self._waiting.values()
            if (order.is_stop or is_open) and now >= self._due_at(order)
        ]

    def given(self, order: Order, now: float) -> None:
        del self._waiting[order.kind]
        # One that comes a little late does not put off the next: else a stick that is repeated every PACE_S
        # would be as late as its latest move, for ever.
        due_at = self._free_at.get(order.kind, -math.inf)
        self._free_at[order.kind] = (due_at if now - due_at < PACE_S else now) + PACE_S
        self._last_was_stop[order.kind] = order.is_stop
        self._given = {n: item for n, item in self._given.items() if now - item[0] < FORGOTTEN_S}
        self._given[order.number] = now, order

    def confirmed(self, number: int) -> Order | None:
        """The order that this is about; None if it is none that was given, or an old one.

        A robot does one after the other, so of those of this type before it nothing more is expected.
        """
        item = self._given.get(number)
        if item is None:
            return None
        self.confirms = True
        order = item[1]
        self._given = {n: each for n, each in self._given.items() if n > number or each[1].kind != order.kind}
        return order

    def unfinished(self) -> list[Order]:
        """What waits; and what was given to a robot that confirms, and was not confirmed."""
        given = [order for _, order in self._given.values()] if self.confirms else []
        return [*self._waiting.values(), *given]

    def next_at(self, now: float, retry_s: float) -> float | None:
        """When to look again, if there is anything to look at."""
        times = [
            min(order.deadline_at, max(self._due_at(order), now + retry_s))
            for order in self._waiting.values()
        ]
        return min(times, default=None)

    def _due_at(self, order: Order) -> float:
        if order.is_stop and not self._last_was_stop.get(order.kind, True):
            return 0.0
        return self._free_at.get(order.kind, 0.0)

    def _is_silent(self, now: float) -> bool:
        recent = sum(now - at < FORGOTTEN_S for at, _ in self._given.values())
        return self.confirms and recent >= UNCONFIRMED_MAX
