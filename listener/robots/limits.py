"""When a robot's telemetry is worth a word: a low battery, too hot, a weak signal, none at all.

Pure. Each is told once, and once more when it is over; a little more than the limit is needed for that, so
that a value at the limit is not told again and again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Change:
    status: str
    message: str


@dataclass(slots=True)
class Watch:
    limits: Limits
    wrong: set[str] = field(default_factory=set)

    def look(self, values: Sequence[float | None]) -> list[Change]:
        limits = self.limits
        rules = (
            ("low_battery", "battery", values[_BATTERY], limits.low_battery, limits.again_percent, "%"),
            ("weak_signal", "signal", values[_SIGNAL], limits.weak_signal, limits.again_percent, "%"),
            # Of these too much is wrong.
            ("hot", "temperature", _negative(values[_TEMPERATURE]), -limits.hot_c, limits.again_c, " °C"),
        )
        changes = []
        for status, what, value, limit, again, unit in rules:
            if value is None:
                continue
            told = f"{what} {abs(value):g}{unit}"
            if status not in self.wrong and value < limit:
                self.wrong.add(status)
                side = "above" if limit < 0 else "below"
                changes.append(Change(status, f"{told}, {side} {abs(limit):g}{unit}"))
            elif status in self.wrong and value >= limit + again:
                self.wrong.discard(status)
                changes.append(Change(f"{status}_over", f"{told} again"))
        return changes


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
