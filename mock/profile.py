"""Jerk-limited rides as exact functions of time.

In: a distance and limits, in mm and seconds. Out: a `Profile`, which tells position, velocity, acceleration
and jerk at any time. A limit that is not a positive number is a `ValueError` that names the parameter.

1. Position, velocity and acceleration are continuous; the jerk is piecewise constant.
2. A ride begins and ends at rest, and ends exactly at its distance.
3. Speed, acceleration and jerk never exceed their limits, however short the ride.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_start_of = attrgetter("start_s")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of constant jerk and the state at its beginning, positive in the direction of travel."""

    start_s: float
    position_mm: float
    velocity_mm_s: float
    acceleration_mm_s2: float
    jerk_mm_s3: float


@dataclass(frozen=True, slots=True)
class Profile:
    distance_mm: float
    duration_s: float
    acceleration_limit_mm_s2: float
    jerk_limit_mm_s3: float
    segments: tuple[Segment, ...]

    @property
    def direction(self) -> float:
        return math.copysign(1.0, self.distance_mm)

    def position_mm(self, t: float) -> float:
        """Relative to the start of the ride; before it 0, after it the distance."""
        if t >= self.duration_s:
            return self.distance_mm
        return self.direction * self._state(t).position_mm if t > 0 else 0.0

    def velocity_mm_s(self, t: float) -> float:
        return self.direction * self._state(t).velocity_mm_s if 0 < t < self.duration_s else 0.0

    def acceleration_mm_s2(self, t: float) -> float:
        return self.direction * self._state(t).acceleration_mm_s2 if 0 < t < self.duration_s else 0.0

    def jerk_mm_s3(self, t: float) -> float:
        """At a step of the jerk, the value that follows."""
        return self.direction * self._state(t).jerk_mm_s3 if 0 <= t < self.duration_s else 0.0

    def stopped_at(self, t: float) -> Profile:
        """The same ride until `t`, from there to rest as soon as the limits allow."""
        if t >= self.duration_s:
            return self
        builder = _Builder(self.acceleration_limit_mm_s2, self.jerk_limit_mm_s3)
        if t > 0:
            builder.segments = list(self.segments[: bisect_right(self.segments, t, key=_start_of)])
            builder.now = self._state(t)
        builder.halt()
        return builder.profile(self.direction)

    def _state(self, t: float) -> Segment:
        segment = self.segments[bisect_right(self.segments, t, key=_start_of) - 1]
        return _after(segment, t - segment.start_s, t)


def s_curve(
    distance_mm: float,
    speed_mm_s: float = 1600.0,
    acceleration_mm_s2: float = 800.0,
    jerk_mm_s3: float = 1000.0,
) -> Profile:
    """The ride of a rope lift: up to full speed, if the distance allows it, and down again."""
    _check_distance(distance_mm)
    _check_positive(speed_mm_s=speed_mm_s, acceleration_mm_s2=acceleration_mm_s2, jerk_mm_s3=jerk_mm_s3)
    distance = abs(distance_mm)
    builder = _Builder(acceleration_mm_s2, jerk_mm_s3)

    def travel(peak: float) -> float:
        return 2 * builder.travel(0, peak)

    peak = _peak_speed(distance, 0.0, speed_mm_s, travel)
    builder.change_speed(peak)
    builder.cruise(distance - travel(peak))
    builder.change_speed(0.0)
    return builder.profile(math.copysign(1.0, distance_mm), distance)


def hydraulic(
    distance_mm: float,
    speed_mm_s: float = 630.0,
    acceleration_mm_s2: float = 500.0,
    jerk_mm_s3: float = 1000.0,
    creep_speed_mm_s: float = 60.0,
    creep_distance_mm: float = 100.0,
) -> Profile:
    """The ride of a hydraulic lift: full speed, creep speed over the creep distance, stop.

    A ride too short for the creep distance is a levelling movement: an S-curve at creep speed.
    """
    _check_distance(distance_mm)
    _check_positive(
        speed_mm_s=speed_mm_s,
        acceleration_mm_s2=acceleration_mm_s2,
        jerk_mm_s3=jerk_mm_s3,
        creep_speed_mm_s=creep_speed_mm_s,
    )
    if creep_speed_mm_s > speed_mm_s:
        raise ValueError(
            f"creep_speed_mm_s ({creep_speed_mm_s:g}) must not exceed speed_mm_s ({speed_mm_s:g})"
        )
    if not 0 <= creep_distance_mm < math.inf:
        raise ValueError(f"creep_distance_mm must be 0 or a positive number, not {creep_distance_mm}")
    distance = abs(distance_mm)
    builder = _Builder(acceleration_mm_s2, jerk_mm_s3)
    creep = creep_distance_mm + builder.travel(creep_speed_mm_s, 0)

    def travel(peak: float) -> float:
        return builder.travel(0, peak) + builder.travel(peak, creep_speed_mm_s) + creep

    if distance <= travel(creep_speed_mm_s):
        return s_curve(distance_mm, creep_speed_mm_s, acceleration_mm_s2, jerk_mm_s3)
    peak = _peak_speed(distance, creep_speed_mm_s, speed_mm_s, travel)
    builder.change_speed(peak)
    builder.cruise(distance - travel(peak))
    builder.change_speed(creep_speed_mm_s)
    builder.cruise(creep_distance_mm)
    builder.change_speed(0.0)
    return builder.profile(math.copysign(1.0, distance_mm), distance)


class _Builder:
    """Appends segments at a running end state."""

    def __init__(self, acceleration: float, jerk: float) -> None:
        self._acceleration = acceleration
        self._jerk = jerk
        self.segments: list[Segment] = []
        self.now = Segment(0.0, 0.0, 0.0, 0.0, 0.0)

    def travel(self, before: float, after: float) -> float:
        """The distance of a change of speed; by its symmetry the mean speed times its time."""
        ramp, hold = self._ramp_and_hold(abs(after - before))
        return (before + after) / 2 * (2 * ramp + hold)

    def change_speed(self, speed: float) -> None:
        change = speed - self.now.velocity_mm_s
        ramp, hold = self._ramp_and_hold(abs(change))
        jerk = math.copysign(self._jerk, change)
        self._append(ramp, jerk)
        self._append(hold, 0.0)
        self._append(ramp, -jerk)
        # Rounding would otherwise leave a trace of acceleration that a long cruise multiplies.
        self.now = Segment(self.now.start_s, self.now.position_mm, speed, 0.0, 0.0)

    def cruise(self, distance: float) -> None:
        if distance > 0:
            self._append(distance / self.now.velocity_mm_s, 0.0)

    def halt(self) -> None:
        """To rest from any state of a ride, even while it still accelerates.

        Ramp to the deceleration `peak`, hold it, ramp to nothing; the three take away the speed there is now.
        """
        speed, acceleration = self.now.velocity_mm_s, self.now.acceleration_mm_s2
        # In the last moments of a ride rounding may leave a speed just below 0.
        lost = max(0.0, speed + acceleration * acceleration / (2 * self._jerk))
        peak = max(min(self._acceleration, math.sqrt(self._jerk * lost)), -acceleration)
        if peak > 0:
            self._append((acceleration + peak) / self._jerk, -self._jerk)
            self._append(lost / peak - peak / self._jerk, 0.0)
            self._append(peak / self._jerk, self._jerk)

    def profile(self, direction: float, distance: float | None = None) -> Profile:
        return Profile(
            direction * (self.now.position_mm if distance is None else distance),
            self.now.start_s,
            self._acceleration,
            self._jerk,
            tuple(self.segments),
        )

    def _ramp_and_hold(self, change: float) -> tuple[float, float]:
        ramp = min(self._acceleration / self._jerk, math.sqrt(change / self._jerk))
        return ramp, max(0.0, change / (self._jerk * ramp) - ramp) if ramp else 0.0

    def _append(self, duration: float, jerk: float) -> None:
        end = self.now.start_s + duration
        if end > self.now.start_s:
            begin = self.now
            segment = Segment(
                begin.start_s, begin.position_mm, begin.velocity_mm_s, begin.acceleration_mm_s2, jerk
            )
            self.segments.append(segment)
            # Not `end - start_s`: that has lost the last bits of a short ramp late in a long ride.
            self.now = _after(segment, duration, end)


def _after(segment: Segment, dt: float, t: float) -> Segment:
    """The state at `t`, which is `dt` after the beginning of the segment."""
    jerk, acceleration, velocity = segment.jerk_mm_s3, segment.acceleration_mm_s2, segment.velocity_mm_s
    return Segment(
        t,
        segment.position_mm + dt * (velocity + dt * (acceleration / 2 + dt * jerk / 6)),
        velocity + dt * (acceleration + dt * jerk / 2),
        acceleration + dt * jerk,
        jerk,
    )


def _peak_speed(distance: float, lowest: float, highest: float, travel: Callable[[float], float]) -> float:
    """The highest speed whose changes of speed fit into the distance, to the last bit.

    A search, as the closed form has a case for each limit that is reached or not. What is left of the
    distance, at most a rounding error, is cruised.
    """
    if travel(highest) <= distance:
        return highest
    while lowest < (middle := (lowest + highest) / 2) < highest:
        if travel(middle) <= distance:
            lowest = middle
        else:
            highest = middle
    return lowest


def _check_distance(distance_mm: float) -> None:
    if not math.isfinite(distance_mm) or distance_mm == 0:
        raise ValueError(f"distance_mm must be a finite number other than 0, not {distance_mm}")


def _check_positive(**limits: float) -> None:
    for name, value in limits.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number, not {value}")
