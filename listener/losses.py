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

    1. A sample may be late (an adapter that collects frames, a busy machine) but not early, so how late the
       *least* late one of a window is tells how many are missing from before it. A pause of up to a second
       with a burst after it is not a loss. The price: a loss is told within two windows.
    2. Both clocks drift, and the sensor's may be another: lateness without a long interval moves the phase.
    3. An interval that no sensor and no loss explains starts anew.
    4. When nothing more is to be expected, the lateness since the last long interval is judged, if there were
       enough samples since to tell it from a late one.
    """

    WINDOW = 250  # samples, a second
    ENOUGH = 25
    LONGEST_S = 60.0

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._due = math.nan  # when the sample before this one should have come
        self._holes: list[tuple[float, float]] = []  # the long intervals
        self._window_ts = self._least_late_s = math.inf
        self._least_late_since_hole_s = math.inf
        self._left = self._ignore = self._since_hole = 0
        self._last_ts = math.nan

    def restart(self, ignore: int = 0) -> Missing | None:
        """What was missing and not judged yet.

        `ignore` so many samples first: after a step of the clock old timestamps are still on their way.
        """
        enough = self._since_hole >= self.ENOUGH
        missing = self._missing(self._least_late_since_hole_s, self._holes) if enough else None
        self._since_hole = 0
        self._holes.clear()
        self._least_late_since_hole_s = math.inf
        self._ignore = ignore
        self._last_ts = math.nan
        return missing

    def observe(self, ts: float) -> Missing | None:
        interval_s = ts - self._last_ts
        before_ts, self._last_ts = self._last_ts, ts
        if self._ignore or not 0 <= interval_s < self.LONGEST_S:
            self._ignore = max(0, self._ignore - 1)
            self._holes.clear()
            self._least_late_since_hole_s = math.inf
            self._due = ts
            self._begin_window(ts)
            return None
        if interval_s > 1.25 * self._period_s:
            self._holes.append((before_ts, ts))
            self._least_late_since_hole_s = math.inf
            self._since_hole = 0
        self._since_hole += 1
        self._due += self._period_s
        late_s = ts - self._due
        if late_s < self._least_late_s:
            self._least_late_s = late_s
        if late_s < self._least_late_since_hole_s:
            self._least_late_since_hole_s = late_s
        self._left -= 1
        return None if self._left else self._judge(ts)

    def _begin_window(self, ts: float) -> None:
        self._least_late_s = math.inf
        self._left = self.WINDOW
        self._window_ts = ts

    def _judge(self, ts: float) -> Missing | None:
        late_s, began_ts = self._least_late_s, self._window_ts
        self._due += late_s
        self._least_late_since_hole_s -= late_s
        self._begin_window(ts)
        # A hole within this window is seen in the next one; one before it that does not count was a pause.
        before = [hole for hole in self._holes if hole[0] <= began_ts]
        self._holes = [hole for hole in self._holes if hole[0] > began_ts]
        return self._missing(late_s, before)

    def _missing(self, late_s: float, holes: list[tuple[float, float]]) -> Missing | None:
        if not holes or math.isinf(late_s) or (count := round(late_s / self._period_s)) <= 0:
            return None
        span = self._longest(holes, count)
        return Missing(count, min(span)[0], max(span)[1])

    def _longest(self, holes: list[tuple[float, float]], count: int) -> list[tuple[float, float]]:
        """As many as it takes to hold so many samples."""
        chosen: list[tuple[float, float]] = []
        for before_ts, after_ts in sorted(holes, key=lambda hole: hole[0] - hole[1]):
            if count <= 0:
                break
            chosen.append((before_ts, after_ts))
            count -= round((after_ts - before_ts) / self._period_s) - 1
        return chosen


class Blame:
    """The kernel's drops, and what of the cadence's missing samples they do not explain."""

    # Drops that no cadence has missed by then were a neighbour's. Frames may wait ten seconds in the kernel.
    FORGET_S = 30.0

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
        if since_ts - self._unseen_to_ts > self.FORGET_S:
            self._unseen = 0
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
