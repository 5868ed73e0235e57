"""The exact beginning and end of a movement, from the sensor's own steps.

Pure. A standstill reads the same whole number until the car has gone half a step, and a car that starts
gently needs a fifth of a second for that. So the beginning is calculated: what carries people sets off
with a limited jerk, hence distance grows with the third power of time and its cube root evenly; the line
through the roots of the first steps meets zero where the movement began. An end is a beginning with time
running backwards. Out of a creep it is short: then the whole way from the steady speed to rest is fitted.
"""

from collections.abc import Sequence
from math import inf, sqrt
from statistics import median

# time, raw position
Sample = tuple[float, int]

STEPS = 24
FIRST = 6
# The last of these steps are a creep's if they are hardly faster than those before them.
STEADY = 1.25
# Where within its step the car stood, from half a step before its middle to half a step after.
OFFSETS = tuple(step / 10 for step in range(-5, 6))
# What a valve or a drive may do, in steps/s³.
JERKS = tuple(200 * 1.35**step for step in range(12))
RESTING_S = 0.3


def begin(samples: Sequence[Sample], about: float) -> Sample | None:
    """When and where the movement began that was under way soon after; None if they do not show it."""
    rest = at_rest(samples, about)
    if rest is None:
        return None
    crossings = _crossings([sample for sample in samples if sample[0] >= about - RESTING_S], rest)
    return None if crossings is None else (_zero(crossings), rest)


def end(samples: Sequence[Sample], about: float) -> Sample | None:
    """The same for a movement that was over; at `about` the car had stood for a moment."""
    found = begin([(-ts, raw) for ts, raw in reversed(samples)], RESTING_S - about)
    return None if found is None else (-found[0], found[1])


def at_rest(samples: Sequence[Sample], until: float) -> int | None:
    """Where the car stood in the moment before; flicker is not counted."""
    resting = [raw for ts, raw in samples if until - RESTING_S <= ts <= until]
    return round(median(resting)) if resting else None


def _crossings(samples: Sequence[Sample], rest: int) -> list[float] | None:
    """When the first steps were passed for good: 1/2, 3/2, 5/2 … away from rest."""
    away = next((1 if raw > rest else -1 for _, raw in samples if abs(raw - rest) >= STEPS), 0)
    if not away:
        return None
    times: list[float] = []
    before_ts = samples[0][0]
    for ts, raw in samples:
        step = away * (raw - rest)
        del times[max(0, step) :]  # it came back: flicker
        while len(times) < min(step, STEPS):
            times.append((before_ts + ts) / 2)
        if step >= STEPS:
            return times
        before_ts = ts
    return None


def _zero(crossings: Sequence[float]) -> float:
    first = crossings[0]
    times = [ts - first for ts in crossings]
    third = STEPS // 3
    speed, before = (
        (third - 1) / (times[end - 1] - times[end - third]) if times[end - 1] > times[end - third] else inf
        for end in (STEPS, STEPS - third)
    )
    zero = _out_of_a_creep(times, speed) if speed < STEADY * before else _accelerating(times[:FIRST])
    return first + min(0.0, zero)


def _accelerating(times: Sequence[float]) -> float:
    """Of all offsets the line that fits best, and where it meets zero."""
    fits = []
    for offset in OFFSETS:
        zero, error = _line([(step + 0.5 - offset) ** (1 / 3) for step in range(len(times))], times)
        fits.append((error, zero))
    return min(fits)[1]


def _out_of_a_creep(times: Sequence[float], speed: float) -> float:
    """Of all jerks and offsets those that bring the car best from rest to this speed."""
    fits = []
    for jerk in JERKS:
        for offset in OFFSETS[::2]:
            late = [
                ts - _duration(step + 0.5 - offset, speed, jerk)
                for step, ts in enumerate(times[: STEPS // 2])
            ]
            mean = sum(late) / len(late)
            fits.append((sum((each - mean) ** 2 for each in late), mean))
    return min(fits)[1]


def _duration(distance: float, speed: float, jerk: float) -> float:
    """From rest, with this jerk and then as much against it, to this speed."""
    half_s = sqrt(speed / jerk)
    if distance <= speed * half_s / 6:
        return float((6 * distance / jerk) ** (1 / 3))
    if distance >= speed * half_s:
        return half_s + distance / speed
    low, high = half_s, 2 * half_s
    for _ in range(10):
        middle = (low + high) / 2
        left = 2 * half_s - middle
        if speed * (middle - half_s) + jerk * left**3 / 6 < distance:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Least squares: y where x is 0, and the sum of squares that is left."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    sxx = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sxx
    zero = mean_y - slope * mean_x
    return zero, sum((b - zero - slope * a) ** 2 for a, b in zip(x, y, strict=True))
