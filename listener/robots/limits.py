"""When a robot's telemetry is worth a word: a low battery, too hot, a weak signal, none at all.

Pure. Each is told once, and once more when it is over; a little more than the limit is needed for that, so
that a value at the limit is not told again and again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from listener.robots.messages import QUANTITIES

STALE_AFTER: Final = 3  # intervals
_BATTERY, _CPU, _TEMPERATURE, _SIGNAL = range(len(QUANTITIES))


@dataclass(frozen=True, slots=True)
class Limits:
    low_battery: float = 20.0
    hot_c: float = 70.0
    weak_signal: float = 25.0
    again_percent: float = 3.0
    again_c: float = 3.0

    def rules(self) -> tuple["_Rule", ...]:
        return (
            _Rule("low_battery", _BATTERY, "%", self.low_battery, self.again_percent, "below"),
            _Rule("weak_signal", _SIGNAL, "%", self.weak_signal, self.again_percent, "below"),
            _Rule("hot", _TEMPERATURE, " °C", self.hot_c, self.again_c, "above"),
        )


@dataclass(frozen=True, slots=True)
class Change:
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class _Rule:
    status: str
    quantity: int
    unit: str
    limit: float
    again: float  # so far on the right side it is over
    wrong_side: str  # "below" or "above"

    def is_wrong(self, value: float) -> bool:
        return value < self.limit if self.wrong_side == "below" else value > self.limit

    def is_over(self, value: float) -> bool:
        if self.wrong_side == "below":
            return value >= self.limit + self.again
        return value <= self.limit - self.again


class Watch:
    def __init__(self, limits: Limits) -> None:
        self.wrong: set[str] = set()
        self._rules = limits.rules()

    def look(self, values: Sequence[float | None]) -> list[Change]:
        changes = []
        for rule in self._rules:
            value = values[rule.quantity]
            if value is None:
                continue
            told = f"{QUANTITIES[rule.quantity]} {value:g}{rule.unit}"
            if rule.status not in self.wrong and rule.is_wrong(value):
                self.wrong.add(rule.status)
                changes.append(Change(rule.status, f"{told}, {rule.wrong_side} {rule.limit:g}{rule.unit}"))
            elif rule.status in self.wrong and rule.is_over(value):
                self.wrong.discard(rule.status)
                changes.append(Change(f"{rule.status}_over", f"{told} again"))
        return changes
