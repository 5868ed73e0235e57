"""Positions of a table that are far apart: how far, and what lies between them.

Pure. Points in, more points out; of all channels in the order of time.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import pairwise
from math import ceil
from operator import attrgetter
from statistics import median
from typing import Final

from listener.rides.files import Point

# Positions farther apart than that are too few for a velocity; those between are filled in so densely, and
# those that are much farther apart have a gap between them.
SPARSE_S: Final = 0.0205
DENSE_S: Final = 0.01
GAP_S: Final = 0.5
COARSE_S: Final = 0.25
# The same for what finds rides: beginning and end are calculated from when each millimetre was passed.
FINDING_SPARSE_S: Final = 0.009
FINDING_S: Final = 0.004


def spacing_s(points: Sequence[Point]) -> float:
    """What is usual between two of them."""
    times = [point.ts for point in points if point.channel == points[0].channel]
    return median([after - before for before, after in pairwise(times)] or [0.0])


def too_sparse(points: Sequence[Point]) -> str:
    """What is to be said of a table whose positions are far apart; empty if they are not."""
    apart_s = spacing_s(points)
    if apart_s > GAP_S:
        return f"its positions are {apart_s:.3g} s apart, and a ride cannot be seen above {GAP_S:g} s"
    if apart_s > COARSE_S:
        return f"its positions are {apart_s:.3g} s apart, so beginning, end and speed are rough"
    return ""


def dense(points: Iterable[Point], sparse_s: float = SPARSE_S, step_s: float = DENSE_S) -> Iterator[Point]:
    """Filled in between, so that there is a position often enough; of all channels in the order of time."""
    channels: dict[str, list[Point]] = {}
    for point in points:
        channels.setdefault(point.channel, []).append(point)
    return merge(*(_filled(each, sparse_s, step_s) for each in channels.values()), key=attrgetter("ts"))


def _filled(points: Sequence[Point], sparse_s: float, step_s: float) -> Iterator[Point]:
    """On cubics that follow the car as it gets faster and slower, and never turn where it did not."""
    for number, point in enumerate(points):
        before = points[max(0, number - 1)]
        elapsed_s = point.ts - before.ts
        if sparse_s < elapsed_s <= GAP_S:
            went_mm = point.position_mm - before.position_mm
            leaving, arriving = (elapsed_s * _slope(points, each) for each in (number - 1, number))
            count = ceil(elapsed_s / step_s - 1e-6)
            for share in (step / count for step in range(1, count)):
                on_the_way = share * share * (3 - 2 * share) * went_mm + share * (1 - share) * (
                    (1 - share) * leaving - share * arriving
                )
                ts = before.ts + share * elapsed_s
                yield Point(point.channel, ts, before.position_mm + on_the_way)
        yield point


def _slope(points: Sequence[Point], at: int) -> float:
    """That of the parabola through it and its neighbours, as far as the way between them allows."""
    ways = [
        (b.ts - a.ts, (b.position_mm - a.position_mm) / (b.ts - a.ts))
        for a, b in pairwise(points[max(0, at - 1) : at + 2])
    ]
    if len(ways) < 2:
        return ways[0][1]
    (before_s, before), (after_s, after) = ways
    if before * after <= 0:
        return 0.0
    slope = (before * after_s + after * before_s) / (before_s + after_s)
    most = 3 * min(abs(before), abs(after))
    return max(-most, min(most, slope))
