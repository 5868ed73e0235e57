"""Whether this process was away: stopped, starved, or asleep together with the computer.

Pure: time comes in as an argument, from `clock`.

What came meanwhile waits in the kernel, and looks new when it is read: a hand that was on a stick then may
long be off it. So for CATCH_UP_S after it is back whatever is heard counts as late.
"""

import time
from typing import Final

# What waits is read within that; who has sent more is cut off for that.
CATCH_UP_S: Final = 0.5


def clock() -> float:
    """Seconds that nobody sets, those in which the computer slept included where the system counts them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Stalls:
    """`look` must be called every `period_s`, and may be called more often."""

    def __init__(self, period_s: float, patience_s: float) -> None:
        self._most_s = period_s + patience_s
        self._looked_at: float | None = None
        self._late_until = 0.0

    def look(self, now: float) -> bool:
        """True if it has been away, the first time it is asked after that."""
        was_away = self._looked_at is not None and now - self._looked_at > self._most_s
        self._looked_at = now
        if was_away:
            self._late_until = now + CATCH_UP_S
        return was_away

    def is_late(self, now: float) -> bool:
        """Whether what is heard now may have waited all the time."""
        return now < self._late_until
