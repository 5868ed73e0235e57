from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mock.profile import Profile, hydraulic, s_curve

if TYPE_CHECKING:
    from collections.abc import Callable

speeds = st.floats(10.0, 12_000.0)
accelerations = st.floats(10.0, 5_000.0)
jerks = st.floats(10.0, 20_000.0)
distances = st.floats(0.01, 400_000.0).flatmap(lambda mm: st.sampled_from((mm, -mm)))
fractions = st.floats(0.0, 1.0)


@st.composite
def s_curves(draw: st.DrawFn) -> tuple[Profile, float]:
    speed = draw(speeds)
    return s_curve(draw(distances), speed, draw(accelerations), draw(jerks)), speed


@st.composite
def hydraulics(draw: st.DrawFn) -> tuple[Profile, float]:
    speed = draw(speeds)
    creep_speed = speed * draw(st.floats(0.01, 1.0))
    creep_distance = draw(st.floats(0.0, 1_000.0))
    profile = hydraulic(draw(distances), speed, draw(accelerations), draw(jerks), creep_speed, creep_distance)
    return profile, speed


@st.composite
def stopped(draw: st.DrawFn) -> tuple[Profile, float]:
    profile, speed = draw(s_curves() | hydraulics())
    return profile.stopped_at(profile.duration_s * draw(fractions)), speed


rides = s_curves() | hydraulics() | stopped()


def rounding(profile: Profile, slope: float) -> float:
    """What a value of that slope changes by when the time is off by its last bits."""
    return 8 * math.ulp(profile.duration_s) * slope + 1e-9


def boundaries(profile: Profile) -> list[float]:
    return [segment.start_s for segment in profile.segments] + [profile.duration_s]


@given(rides)
def test_a_ride_begins_at_rest_at_zero_and_ends_at_rest_at_its_distance(ride: tuple[Profile, float]) -> None:
    profile, _ = ride
    assert profile.position_mm(-1) == profile.position_mm(0) == 0
    for later in (0.0, 1e-9, 1.0, 1e6):
        t = profile.duration_s + later
        assert profile.position_mm(t) == profile.distance_mm
        assert profile.velocity_mm_s(t) == profile.acceleration_mm_s2(t) == profile.jerk_mm_s3(t) == 0


@given(rides, fractions)
def test_no_limit_is_ever_exceeded(ride: tuple[Profile, float], fraction: float) -> None:
    profile, speed = ride
    for t in (*boundaries(profile), fraction * profile.duration_s):
        acceleration, jerk = profile.acceleration_limit_mm_s2, profile.jerk_limit_mm_s3
        assert abs(profile.velocity_mm_s(t)) <= speed + rounding(profile, acceleration)
        assert abs(profile.acceleration_mm_s2(t)) <= acceleration + rounding(profile, jerk)
        assert abs(profile.jerk_mm_s3(t)) <= jerk


@given(rides)
def test_position_velocity_and_acceleration_are_continuous(ride: tuple[Profile, float]) -> None:
    profile, speed = ride
    functions: list[tuple[Callable[[float], float], float, float]] = [
        (profile.position_mm, speed, abs(profile.distance_mm) + 1),
        (profile.velocity_mm_s, profile.acceleration_limit_mm_s2, speed),
        (profile.acceleration_mm_s2, profile.jerk_limit_mm_s3, profile.acceleration_limit_mm_s2),
    ]
    for t in boundaries(profile):
        before, after = math.nextafter(t, -1), math.nextafter(t, math.inf)
        for function, slope, size in functions:
            allowed = rounding(profile, slope) + 1e-9 * size
            assert abs(function(after) - function(before)) <= allowed


@given(rides, fractions, fractions)
def test_velocity_is_the_derivative_of_position_and_acceleration_that_of_velocity(
    ride: tuple[Profile, float], one: float, other: float
) -> None:
    profile, speed = ride
    for begin, end in pairwise(boundaries(profile)):
        first, last = sorted((begin + one * (end - begin), begin + other * (end - begin)))
        middle, step = (first + last) / 2, last - first
        # Within a segment position is a cubic, for which Simpson's rule is exact.
        velocity = profile.velocity_mm_s
        # The exact ends of a ride are outside its last segment only by definition.
        assume(last < profile.duration_s)
        travelled = step / 6 * (velocity(first) + 4 * velocity(middle) + velocity(last))
        assert profile.position_mm(last) - profile.position_mm(first) == pytest.approx(
            travelled, abs=1e-8 * (abs(profile.distance_mm) + 1)
        )
        gained = step / 2 * (profile.acceleration_mm_s2(first) + profile.acceleration_mm_s2(last))
        assert velocity(last) - velocity(first) == pytest.approx(gained, abs=1e-8 * speed)


@given(rides, fractions, fractions)
def test_a_ride_never_turns_round(ride: tuple[Profile, float], one: float, other: float) -> None:
    profile, _ = ride
    earlier, later = sorted((one * profile.duration_s, other * profile.duration_s))
    way = profile.direction * (profile.position_mm(later) - profile.position_mm(earlier))
    assert way >= -1e-9 * (abs(profile.distance_mm) + 1)


@given(distances, speeds, accelerations, jerks, fractions)
def test_down_is_the_mirror_image_of_up(
    distance: float, speed: float, acceleration: float, jerk: float, fraction: float
) -> None:
    up, down = (s_curve(sign * abs(distance), speed, acceleration, jerk) for sign in (1, -1))
    t = fraction * up.duration_s
    assert up.duration_s == down.duration_s
    assert up.position_mm(t) == -down.position_mm(t)
    assert up.velocity_mm_s(t) == -down.velocity_mm_s(t)
    assert up.acceleration_mm_s2(t) == -down.acceleration_mm_s2(t)
    assert up.jerk_mm_s3(t) == -down.jerk_mm_s3(t)


@given(distances, speeds, accelerations, jerks)
def test_an_s_curve_takes_the_shortest_time_that_the_limits_allow(
    distance_mm: float, speed: float, acceleration: float, jerk: float
) -> None:
    distance = abs(distance_mm)
    # The textbook's closed form, case by case.
    ramp = min(acceleration / jerk, math.sqrt(speed / jerk))
    to_full_speed = speed / (jerk * ramp) + ramp
    if distance >= speed * to_full_speed:
        expected = distance / speed + to_full_speed
    elif distance >= 2 * acceleration**3 / jerk**2:
        ramp = acceleration / jerk
        peak = acceleration / 2 * (math.sqrt(ramp**2 + 4 * distance / acceleration) - ramp)
        expected = 2 * (peak / acceleration + ramp)
    else:
        expected = 4 * math.cbrt(distance / (2 * jerk))
    assert s_curve(distance, speed, acceleration, jerk).duration_s == pytest.approx(expected, rel=1e-6)


@given(s_curves() | hydraulics(), fractions)
def test_a_stop_leaves_the_past_as_it_was_and_comes_to_rest_no_later(
    ride: tuple[Profile, float], fraction: float
) -> None:
    profile, speed = ride
    at = fraction * profile.duration_s
    assert profile.stopped_at(profile.duration_s) is profile
    halted = profile.stopped_at(at)
    for share in (0.0, 0.3, 0.9, 1.0):
        assert halted.position_mm(share * at) == pytest.approx(profile.position_mm(share * at), abs=1e-9)
        assert halted.velocity_mm_s(share * at) == pytest.approx(
            profile.velocity_mm_s(share * at), abs=1e-6 * speed
        )
    assert halted.duration_s <= profile.duration_s * (1 + 1e-6)
    assert abs(halted.distance_mm) <= abs(profile.distance_mm) * (1 + 1e-9) + 1e-9


def test_the_default_ride_is_that_of_a_rope_lift() -> None:
    ride = s_curve(10_000)
    middle = ride.duration_s / 2
    assert (ride.velocity_mm_s(middle), ride.acceleration_mm_s2(middle)) == (1600, 0)
    assert ride.acceleration_mm_s2(1.0) == pytest.approx(800)
    assert ride.jerk_mm_s3(0) == 1000
    assert ride.duration_s == pytest.approx(10_000 / 1600 + 1600 / 800 + 800 / 1000)
    assert len(ride.segments) == 7


def test_a_hydraulic_ride_creeps_over_the_creep_distance_before_it_stops() -> None:
    ride = hydraulic(3_000)
    assert max(segment.velocity_mm_s for segment in ride.segments) == 630
    (creep,) = [
        (segment, following)
        for segment, following in pairwise(ride.segments)
        if segment.jerk_mm_s3 == 0 and segment.velocity_mm_s == 60
    ]
    segment, following = creep
    assert following.position_mm - segment.position_mm == pytest.approx(100)
    assert ride.velocity_mm_s((segment.start_s + following.start_s) / 2) == pytest.approx(60)
    assert ride.position_mm(ride.duration_s) == 3_000


def test_a_hydraulic_ride_too_short_for_the_creep_distance_is_a_levelling_movement() -> None:
    ride = hydraulic(-15)
    assert max(abs(segment.velocity_mm_s) for segment in ride.segments) <= 60
    assert ride.position_mm(99) == -15


def test_a_hydraulic_ride_may_stop_without_creeping() -> None:
    assert hydraulic(3_000, creep_distance_mm=0).position_mm(99) == 3_000


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("name", ["speed_mm_s", "acceleration_mm_s2", "jerk_mm_s3", "creep_speed_mm_s"])
def test_a_limit_that_is_no_positive_number_is_an_error_that_names_it(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        hydraulic(1_000, **{name: bad})
    if not name.startswith("creep"):
        with pytest.raises(ValueError, match=f"^{name} must"):
            s_curve(1_000, **{name: bad})


@pytest.mark.parametrize("bad", [0, math.nan, math.inf, -math.inf])
def test_a_distance_of_nothing_or_no_number_is_an_error_that_names_it(bad: float) -> None:
    for profile_of in (s_curve, hydraulic):
        with pytest.raises(ValueError, match=r"^distance_mm must"):
            profile_of(bad)


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf])
def test_a_creep_distance_below_nothing_is_an_error_that_names_it(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^creep_distance_mm must"):
        hydraulic(1_000, creep_distance_mm=bad)


def test_creeping_faster_than_riding_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^creep_speed_mm_s \(700\) must not exceed speed_mm_s"):
        hydraulic(1_000, creep_speed_mm_s=700)
