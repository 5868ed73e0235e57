"""How a ride differs from another: both from the start of movement on, at the same moments.

Pure. A `Curve` is what is left of a ride for that: distance and speed in the direction of travel, every
20 ms.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import sub
from typing import NamedTuple

from listener.rides.motion import INTERVAL_S
from listener.rides.summary import Phase

# A ride belongs to the same class as a reference when their distances differ by no more than this share.
SAME_DISTANCE = 0.05
# What is later than that after the last motion, nobody knows.
KNOWN_S = 5.0
# So far a table is laid over a ride to see when it began, in such steps.
ALIKE_MM = 50.0
ALIKE_STEP_S = 0.002


class Point(NamedTuple):
    ts: float
    position_mm: float
    velocity_mm_s: float


@dataclass(frozen=True, slots=True)
class Curve:
    direction: int
    distance_mm: tuple[float, ...]
    speed_mm_s: tuple[float, ...]

    @property
    def duration_s(self) -> float:
        return max(0, len(self.distance_mm) - 1) * INTERVAL_S

    def at(self, number: int) -> tuple[float, float]:
        """After its end a car stands."""
        if number < len(self.distance_mm):
            return self.distance_mm[number], self.speed_mm_s[number]
        return self.distance_mm[-1], 0.0


@dataclass(frozen=True, slots=True)
class Tolerance:
    position_mm: float
    velocity_mm_s: float


@dataclass(frozen=True, slots=True)
class Deviation:
    """Of the ride from the reference; `at_s` after the start of movement is where it is greatest."""

    max: float
    rms: float
    at_s: float


@dataclass(frozen=True, slots=True)
class PhaseDeviation:
    name: str
    position: Deviation
    velocity: Deviation


@dataclass(frozen=True, slots=True)
class Comparison:
    position: Deviation
    velocity: Deviation
    phases: tuple[PhaseDeviation, ...]
    duration_s: float  # how much longer the ride took
    distance_mm: float  # how much farther it went
    passed: bool
    reasons: tuple[str, ...]


def curve(motions: Sequence[Point], begin_ts: float, end_ts: float, direction: int) -> Curve:
    """Of what was known between these moments."""
    if not motions:
        return Curve(direction, (0.0,), (0.0,))
    times = [point.ts for point in motions]
    heights = [point.position_mm for point in motions]
    velocities = [point.velocity_mm_s for point in motions]
    start = _between(times, heights, begin_ts)
    end_ts = min(end_ts, times[-1] + KNOWN_S)
    # Times of this century are known to a quarter of a microsecond.
    count = max(1, math.ceil((end_ts - begin_ts) / INTERVAL_S - 1e-4) + 1)
    moments = [min(begin_ts + number * INTERVAL_S, end_ts) for number in range(count)]
    return Curve(
        direction,
        tuple(direction * (_between(times, heights, ts) - start) for ts in moments),
        tuple(direction * _between(times, velocities, ts) for ts in moments),
    )


def believable(known: Sequence[Point]) -> bool:
    """Whether the velocities of a table are those of its positions, downwards as well."""
    went_mm = sum((b.ts - a.ts) * (a.velocity_mm_s + b.velocity_mm_s) / 2 for a, b in pairwise(known))
    way_mm = known[-1].position_mm - known[0].position_mm
    return abs(went_mm - way_mm) <= SAME_DISTANCE * abs(way_mm)


def begin_like(ride: Curve, known: Sequence[Point], about: float, within_s: float, direction: int) -> float:
    """When a movement began that is known from a table: where its first way is most like that of the ride.

    `about` then, give or take `within_s`.
    """
    rows = next((row for row, mm in enumerate(ride.distance_mm) if mm > ALIKE_MM), len(ride.distance_mm))
    steps = round(within_s / ALIKE_STEP_S)
    fits = []
    for begin_ts in (about + step * ALIKE_STEP_S for step in range(-steps, steps + 1)):
        theirs = curve(known, begin_ts, begin_ts + (rows - 1) * INTERVAL_S, direction)
        apart = list(map(sub, ride.distance_mm[:rows], theirs.distance_mm))
        mean = sum(apart) / len(apart)  # where within its millimetre a car stood, nobody knows
        fits.append((sum((each - mean) ** 2 for each in apart), begin_ts))
    return min(fits)[1]


def end_like(ride: Curve, known: Sequence[Point], about: float, within_s: float, direction: int) -> float:
    """The same for its end, which is a beginning with time running backwards."""
    back = Curve(
        -ride.direction,
        tuple(ride.distance_mm[-1] - mm for mm in reversed(ride.distance_mm)),
        ride.speed_mm_s[::-1],
    )
    backwards = [Point(-each.ts, each.position_mm, -each.velocity_mm_s) for each in reversed(known)]
    return -begin_like(back, backwards, -about, within_s, -direction)


def compare(ride: Curve, reference: Curve, phases: Iterable[Phase], tolerance: Tolerance) -> Comparison:
    """The phases are those of the reference."""
    count = max(len(ride.distance_mm), len(reference.distance_mm))
    pairs = [(ride.at(number), reference.at(number)) for number in range(count)]
    positions = [ours[0] - theirs[0] for ours, theirs in pairs]
    velocities = [ours[1] - theirs[1] for ours, theirs in pairs]
    position, velocity = _deviation(positions), _deviation(velocities)
    reasons = [
        f"{what} {abs(deviation.max):.1f} {unit} off at {deviation.at_s:.2f} s (allowed {allowed:g} {unit})"
        for what, deviation, allowed, unit in (
            ("position", position, tolerance.position_mm, "mm"),
            ("velocity", velocity, tolerance.velocity_mm_s, "mm/s"),
        )
        if abs(deviation.max) > allowed
    ]
    if ride.direction != reference.direction:
        reasons.insert(0, "the reference goes the other way")
    return Comparison(
        position,
        velocity,
        tuple(_of_phase(phase, positions, velocities) for phase in phases),
        ride.duration_s - reference.duration_s,
        ride.distance_mm[-1] - reference.distance_mm[-1],
        not reasons,
        tuple(reasons),
    )


def same_class(direction: str, distance_mm: float, other_direction: str, other_distance_mm: float) -> bool:
    return (
        direction == other_direction
        and abs(distance_mm - other_distance_mm) <= SAME_DISTANCE * other_distance_mm
    )


def _of_phase(phase: Phase, positions: Sequence[float], velocities: Sequence[float]) -> PhaseDeviation:
    first = round(phase.begin_s / INTERVAL_S)
    last = max(first + 1, round((phase.begin_s + phase.duration_s) / INTERVAL_S))
    return PhaseDeviation(
        phase.name, _deviation(positions[first:last], first), _deviation(velocities[first:last], first)
    )


def _deviation(values: Sequence[float], first: int = 0) -> Deviation:
    if not values:
        return Deviation(0.0, 0.0, first * INTERVAL_S)
    worst = max(range(len(values)), key=lambda number: abs(values[number]))
    rms = math.sqrt(sum(value * value for value in values) / len(values))
    return Deviation(values[worst], rms, (first + worst) * INTERVAL_S)


def _between(times: Sequence[float], values: Sequence[float], ts: float) -> float:
    """Interpolated; before the first and after the last, these. 0 where there is none."""
    if not times:
        return 0.0
    after = bisect_right(times, ts)
    if after == 0:
        return values[0]
    if after == len(times):
        return values[-1]
    share = (ts - times[after - 1]) / (times[after] - times[after - 1])
    return values[after - 1] + share * (values[after] - values[after - 1])
