"""Lets what repeats 500 times a second be said once per interval, with how often it went unsaid.

Pure: time comes in as an argument.
"""

import math
from collections.abc import Hashable


class Throttle:
    # Keys may come from the bus. Beyond this many different ones, all newcomers share one.
    MAX_KEYS = 64

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._said: dict[Hashable, tuple[float, int]] = {}  # key -> when last, how many unsaid since

    def admit(self, key: Hashable, now: float) -> int | None:
        """How many were suppressed since the last one admitted, or None: this one is too."""
        if key not in self._said and len(self._said) >= self.MAX_KEYS:
            key = None
        said_at, suppressed = self._said.get(key, (-math.inf, 0))
        if now - said_at < self._interval_s:
            self._said[key] = (said_at, suppressed + 1)
            return None
        self._said[key] = (now, 0)
        return suppressed


class TokenBucket:
    """So many a second, and so many at once after a pause."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._tokens = burst
        self._filled_at = -math.inf
        self.is_dry = False

    def take(self, now: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        self.is_dry = self._tokens < 1
        if not self.is_dry:
            self._tokens -= 1
        return not self.is_dry
