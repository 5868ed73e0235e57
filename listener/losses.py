"""What is missing, how much of it, and whose fault it was. Exact, and each loss told once.

Pure. There are two witnesses: the socket's drop counter (frames of any kind that the kernel had no room for)
and the sensor's cadence (samples of one channel that never came, for whatever reason). A frame that the
kernel dropped is missing from the cadence too; `Blame` keeps it from being told twice.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """So many, between these two moments."""

    count: int
    first_ts: float
    last_ts: float


class Cadence:
    """Counts one channel's missing samples from their timestamps.

    1. A sample may be late (an adapter that collects frames, a busy interrupt) but not early, so how late the
       *least* late one of a window is tells how many are missing. A burst after a pause of up to a window is
       not a loss.
    2. Both clocks drift: what remains of that lateness below one period moves the phase.
    3. An interval that no sensor and no loss explains starts anew.
    """

    WINDOW = 64  # samples; a loss is told within two windows, half a second
    LONGEST_S = 60.0

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._due = math.nan  # when the sample before this one should have come
        self._gap: tuple[float, float] | None = None  # around the long intervals
        self._window_ts = self._least_late_s = math.inf
        self._left = 0
        self.restart()

    def restart(self, ignore: int = 0) -> None:
        """`ignore` so many samples first: after a step of the clock old timestamps are still on their way."""
        self._ignore = ignore
        self._last_ts = math.nan

    def observe(self, ts: float) -> Missing | None:
        interval_s = ts - self._last_ts
        before_ts, self._last_ts = self._last_ts, ts
        if self._ignore or not 0 <= interval_s < self.LONGEST_S:
            self._ignore = max(0, self._ignore - 1)
            self._gap = None
            self._due = ts
            self._begin_window(ts)
            return None
        if interval_s > 1.5 * self._period_s:
            self._gap = (self._gap[0] if self._gap else before_ts, ts)
        self._due += self._period_s
        self._least_late_s = min(self._least_late_s, ts - self._due)
        self._left -= 1
        return None if self._left else self._judge(ts)

    def _begin_window(self, ts: float) -> None:
        self._least_late_s = math.inf
        self._left = self.WINDOW
        self._window_ts = ts

    def _judge(self, ts: float) -> Missing | None:
        late_s, began_ts = self._least_late_s, self._window_ts
        self._due += late_s
        self._begin_window(ts)
        if (count := round(late_s / self._period_s)) > 0:
            missing = Missing(count, *(self._gap or (began_ts, ts)))
            self._gap = None
            return missing
        if self._gap and self._gap[1] <= began_ts:
            self._gap = None  # it was a pause, and the burst after it has come
        return None


class Blame:
    """The kernel's drops, and what of the cadence's missing samples they do not explain."""

    def __init__(self, now: float) -> None:
        self._total = 0
        self.restart(now)

    def restart(self, now: float) -> None:
        self._read_ts = now
        # Dropped by the kernel and not yet seen missing by a cadence, and since when until when.
        self._unseen = 0
        self._unseen_from_ts = self._unseen_to_ts = now

    def kernel(self, total: int, now: float) -> Missing | None:
        """`total` is the drop counter, read `now`."""
        count, self._total = total - self._total, total
        since_ts, self._read_ts = self._read_ts, now
        if not count:
            return None
        if not self._unseen:
            self._unseen_from_ts = since_ts
        self._unseen += count
        self._unseen_to_ts = now
        return Missing(count, since_ts, now)

    def bus(self, missing: Missing) -> int:
        """How many of these the kernel did not drop. Its counter must have been read since."""
        if missing.first_ts > self._unseen_to_ts:
            self._unseen = 0  # neighbours' frames
        if missing.last_ts < self._unseen_from_ts:
            return missing.count
        explained = min(missing.count, self._unseen)
        self._unseen -= explained
        return missing.count - explained
