"""A ride in numbers: extremes, percentiles, and the phases of a hydraulic ride. docs/rides.md defines each.

Pure. The motions between beginning and end in, a `Summary` out. All speeds count in the direction of travel.
Derived from positions: what a passenger feels needs an accelerometer on the floor of the car.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from listener.rides.motion import Motion

# Full speed is what reaches so much of the highest; below so little the car has not set off yet.
FULL = 0.95
SET_OFF = 0.05
# Creep: slower than half of full speed, and steady, for so long.
CREEP_BELOW = 0.5
CREEP_STEADY_MM_S2 = 60.0
CREEP_S = 0.3
CREEP_BAND = 0.15
# Below so much of the creep speed the car is about to stop.
STOPPING = 0.8
# The car gets faster, or slower, when it does so by this share of the most.
GAIN_SHARE = 0.1
# No creep without a speed worth the name; below it is the end of the stop.
CREEP_LEAST_MM_S = 10.0


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    begin_s: float  # after the beginning of the ride
    duration_s: float
    distance_mm: float
    speed_mm_s: float  # its mean


@dataclass(frozen=True, slots=True)
class Extremes:
    velocity_mm_s: float
    acceleration_mm_s2: float
    deceleration_mm_s2: float
    jerk_mm_s3: float


@dataclass(frozen=True, slots=True)
class Summary:
    duration_s: float
    distance_mm: float
    start_position_mm: float
    stop_position_mm: float
    max: Extremes
    p95: Extremes
    full_speed_mm_s: float | None
    creep_speed_mm_s: float | None
    phases: tuple[Phase, ...]


def summarise(
    motions: Iterable[Motion], begin_ts: float, end_ts: float, start_mm: float, stop_mm: float, direction: int
) -> Summary:
    inside = [motion for motion in motions if begin_ts <= motion.ts <= end_ts]
    speeds = [direction * motion.velocity_mm_s for motion in inside]
    gains = [direction * motion.acceleration_mm_s2 for motion in inside]
    jerks = sorted(abs(motion.jerk_mm_s3) for motion in inside)
    marks = _marks(inside, speeds, begin_ts, end_ts)
    return Summary(
        duration_s=end_ts - begin_ts,
        distance_mm=abs(stop_mm - start_mm),
        start_position_mm=start_mm,
        stop_position_mm=stop_mm,
        max=_extremes(speeds, gains, jerks, 1.0),
        p95=_extremes(speeds, gains, jerks, 0.95),
        full_speed_mm_s=marks.full_mm_s,
        creep_speed_mm_s=marks.creep_mm_s,
        phases=tuple(_phases(inside, marks, begin_ts, end_ts, start_mm, stop_mm)),
    )


@dataclass(frozen=True, slots=True)
class _Marks:
    """When one phase ends and the next begins; creep is None where there was none."""

    set_off: float
    full: float
    slowing: float
    creep: float | None
    stopping: float
    full_mm_s: float | None
    creep_mm_s: float | None


def _marks(motions: Sequence[Motion], speeds: Sequence[float], begin_ts: float, end_ts: float) -> _Marks:
    highest = max(speeds, default=0.0)
    if highest <= 0:
        return _Marks(begin_ts, begin_ts, end_ts, None, end_ts, None, None)
    times = [motion.ts for motion in motions]
    set_off = next(i for i, speed in enumerate(speeds) if speed >= SET_OFF * highest)
    fast = [i for i, speed in enumerate(speeds) if speed >= FULL * highest]
    full_mm_s = median(speeds[i] for i in range(fast[0], fast[-1] + 1))
    steady = _creep(motions, speeds, fast[-1], highest)
    if steady is None:
        last = max(i for i, speed in enumerate(speeds) if speed >= SET_OFF * highest)
        return _Marks(
            times[set_off],
            times[fast[0]],
            times[fast[-1]],
            None,
            max(times[last], times[fast[-1]]),
            full_mm_s,
            None,
        )
    creep_mm_s = median(speeds[i] for i in steady)
    band = [i for i in range(fast[-1], len(speeds)) if speeds[i] <= (1 + CREEP_BAND) * creep_mm_s]
    last = max(i for i in range(steady[0], len(speeds)) if speeds[i] >= STOPPING * creep_mm_s)
    return _Marks(
        times[set_off], times[fast[0]], times[fast[-1]], times[band[0]], times[last], full_mm_s, creep_mm_s
    )


def _creep(motions: Sequence[Motion], speeds: Sequence[float], after: int, highest: float) -> range | None:
    """The longest steady stretch after full speed."""
    best = range(0)
    begin: int | None = None
    for i in range(after, len(speeds) + 1):
        steady = (
            i < len(speeds)
            and CREEP_LEAST_MM_S <= speeds[i] <= CREEP_BELOW * highest
            and abs(motions[i].acceleration_mm_s2) <= CREEP_STEADY_MM_S2
        )
        if steady and begin is None:
            begin = i
        elif not steady and begin is not None:
            best = max(best, range(begin, i), key=len)
            begin = None
    if not best or motions[best[-1]].ts - motions[best[0]].ts < CREEP_S:
        return None
    return best


def _phases(
    motions: Sequence[Motion], marks: _Marks, begin_ts: float, end_ts: float, start_mm: float, stop_mm: float
) -> Iterable[Phase]:
    borders = [
        ("start", begin_ts),
        ("acceleration", marks.set_off),
        ("full_speed", marks.full),
        ("deceleration", marks.slowing),
        *([] if marks.creep is None else [("creep", marks.creep)]),
        ("stop", marks.stopping),
    ]
    ends = [ts for _, ts in borders[1:]] + [end_ts]
    for (name, ts), until_ts in zip(borders, ends, strict=True):
        duration_s = max(0.0, until_ts - ts)
        here = _position(motions, ts, begin_ts, end_ts, start_mm, stop_mm)
        there = _position(motions, until_ts, begin_ts, end_ts, start_mm, stop_mm)
        distance_mm = abs(there - here)
        speed = distance_mm / duration_s if duration_s else 0.0
        yield Phase(name, ts - begin_ts, duration_s, distance_mm, speed)


def _position(
    motions: Sequence[Motion], ts: float, begin_ts: float, end_ts: float, start_mm: float, stop_mm: float
) -> float:
    if ts <= begin_ts:
        return start_mm
    if ts >= end_ts:
        return stop_mm
    return min(motions, key=lambda motion: abs(motion.ts - ts)).position_mm


def _extremes(speeds: list[float], gains: list[float], jerks: list[float], share: float) -> Extremes:
    return Extremes(
        _percentile(sorted(speeds), share),
        _percentile(_worth_the_name(gains), share),
        _percentile(_worth_the_name([-gain for gain in gains]), share),
        _percentile(jerks, share),
    )


def _worth_the_name(gains: list[float]) -> list[float]:
    """At full speed the car gets faster and slower all of the time, by what the sensor's millimetres make."""
    most = max(gains, default=0.0)
    return sorted(gain for gain in gains if gain > 0 and gain >= GAIN_SHARE * most)


def _percentile(ascending: list[float], share: float) -> float:
    """The smallest value that so much of them do not exceed."""
    if not ascending:
        return 0.0
    return ascending[ceil(share * len(ascending)) - 1]
