"""Velocity, acceleration and jerk from positions in steps of a millimetre.

Pure. Positions with the time they were taken in, a `Motion` every 20 ms out. A cubic is fitted by least
squares to all positions of a window and read in its middle, so every value is half a window old.

1. The frames' real timestamps count: even spacing, assumed where samples are missing, is off by 90 mm/s.
2. Of one channel alone. A millimetre between two would be read as 100 m/s².
3. Nothing before the window is full; after a gap, or a clock that was set, everything anew.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from operator import mul

WINDOW_S = 0.4
INTERVAL_S = 0.02
# Longer without a position, and the cubic would invent what happened in between.
GAP_S = 0.1
# No channel sends so often: an adapter that stamps what it has collected, or a flood.
TOO_CLOSE_S = 0.001
# A cubic through few points follows their steps.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Motion:
    ts: float
    position_mm: float
    velocity_mm_s: float
    acceleration_mm_s2: float
    jerk_mm_s3: float


class MotionEstimator:
    """Of one channel; `add` its positions in the order of their time."""

    def __init__(
        self, window_s: float = WINDOW_S, interval_s: float = INTERVAL_S, gap_s: float = GAP_S
    ) -> None:
        self._half_s = window_s / 2
        self._interval_s = interval_s
        self._gap_s = gap_s
        self._times: deque[float] = deque()
        self._positions: deque[float] = deque()
        self._middle = 0.0

    def restart(self) -> None:
        self._times.clear()
        self._positions.clear()

    def add(self, ts: float, position_mm: float) -> Iterator[Motion]:
        """Whatever has become known; to be exhausted before the next."""
        times, positions = self._times, self._positions
        if times:
            since_s = ts - times[-1]
            if 0 <= since_s < TOO_CLOSE_S:
                return
            if not 0 <= since_s <= self._gap_s:
                self.restart()
        if not times:
            self._middle = ts + self._half_s
        times.append(ts)
        positions.append(position_mm)
        while times and ts >= self._middle + self._half_s:
            begin = self._middle - self._half_s
            while times[0] < begin:
                times.popleft()
                positions.popleft()
            if len(times) >= ENOUGH:
                yield fit(times, positions, self._middle, self._half_s)
            self._middle += self._interval_s


def fit(times: deque[float], positions: deque[float], at: float, half_s: float) -> Motion:
    """The cubic through them by least squares, at that time."""
    # Relative to where it is read, in half windows and millimetres from the first: then the sums are of the
    # same size, and the coefficients are the derivatives.
    first = positions[0]
    u = [(ts - at) / half_s for ts in times]
    y = [position - first for position in positions]
    u2 = list(map(mul, u, u))
    u3 = list(map(mul, u2, u))
    s1, s2, s3 = sum(u), sum(u2), sum(u3)
    s4, s5, s6 = sum(map(mul, u2, u2)), sum(map(mul, u2, u3)), sum(map(mul, u3, u3))
    c0, c1, c2, c3 = _solve(
        [float(len(u)), s1, s2, s3, sum(y)],
        [s1, s2, s3, s4, sum(map(mul, u, y))],
        [s2, s3, s4, s5, sum(map(mul, u2, y))],
        [s3, s4, s5, s6, sum(map(mul, u3, y))],
    )
    return Motion(at, first + c0, c1 / half_s, 2 * c2 / half_s**2, 6 * c3 / half_s**3)


def _solve(*rows: list[float]) -> list[float]:
    """Gauss and Jordan; no pivoting, as the matrix of normal equations is positive definite."""
    for i, pivot in enumerate(rows):
        scale = pivot[i]
        for k in range(i, 5):
            pivot[k] /= scale
        for j, row in enumerate(rows):
            if j != i and (factor := row[i]):
                for k in range(i, 5):
                    row[k] -= factor * pivot[k]
    return [row[4] for row in rows]


class OneChannel:
    """The positions of the master to the estimator; those of the slave while the master is silent."""

    def __init__(self, estimator: MotionEstimator, gap_s: float = GAP_S) -> None:
        self._estimator = estimator
        self._gap_s = gap_s
        self._master_ts = -inf
        self.channel = "master"

    def restart(self) -> None:
        self._estimator.restart()

    def wanted(self, ts: float) -> str:
        return "master" if abs(ts - self._master_ts) <= self._gap_s else "slave"

    def add(self, channel: str, ts: float, position_mm: float) -> Iterator[Motion]:
        if channel == "master":
            self._master_ts = ts
        wanted = self.wanted(ts)
        if wanted != self.channel:
            self.channel = wanted
            self._estimator.restart()
        if channel == wanted:
            yield from self._estimator.add(ts, position_mm)
