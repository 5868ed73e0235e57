"""The phases against the profile that made the ride: each border is where its definition puts it."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.rides.finder import RideEnded, RideFinder
from listener.rides.motion import Motion
from listener.rides.summary import CREEP_BAND, FULL, SET_OFF, STOPPING, Extremes, Summary, summarise
from mock.profile import Profile, hydraulic, s_curve
from tests.listener.rides.bench import Lift, found

NAMES = ["start", "acceleration", "full_speed", "deceleration", "creep", "stop"]


def summary_of(ride: Profile, **how: object) -> Summary:
    samples = Lift([(2.0, ride)]).samples(ride.duration_s + 6.0, **how)  # type: ignore[arg-type]
    (summary,) = (told.summary for told in found(RideFinder(1.0), samples) if isinstance(told, RideEnded))
    return summary


def first(ride: Profile, fact: Callable[[float], bool], from_s: float = 0.0) -> float:
    return next(
        n / 1000 for n in range(round(from_s * 1000), round(ride.duration_s * 1000)) if fact(n / 1000)
    )


def last(ride: Profile, fact: Callable[[float], bool]) -> float:
    return next(n / 1000 for n in range(round(ride.duration_s * 1000), 0, -1) if fact(n / 1000))


@pytest.mark.parametrize("distance_mm", [3000.0, -3000.0, 9000.0])
def test_the_phases_of_a_hydraulic_ride_are_where_they_are_defined(distance_mm: float) -> None:
    ride = hydraulic(distance_mm)
    summary = summary_of(ride, missing=0.05, jitter_s=0.0005)

    def speed(at_s: float) -> float:
        return abs(ride.velocity_mm_s(at_s))

    full_end = last(ride, lambda t: speed(t) >= FULL * 630)
    borders = [
        0.0,
        first(ride, lambda t: speed(t) >= SET_OFF * 630),
        first(ride, lambda t: speed(t) >= FULL * 630),
        full_end,
        first(ride, lambda t: speed(t) <= (1 + CREEP_BAND) * 60, full_end),
        last(ride, lambda t: speed(t) >= STOPPING * 60),
        ride.duration_s,
    ]
    assert [phase.name for phase in summary.phases] == NAMES
    # The window of the estimator rounds corners by less than half its length.
    assert [phase.begin_s for phase in summary.phases] == pytest.approx(borders[:-1], abs=0.12)
    assert summary.full_speed_mm_s == pytest.approx(630.0, abs=3.0)
    assert summary.creep_speed_mm_s == pytest.approx(60.0, abs=3.0)
    creep = summary.phases[4]
    assert creep.speed_mm_s == pytest.approx(60.0, abs=5.0)
    assert sum(phase.duration_s for phase in summary.phases) == pytest.approx(summary.duration_s)
    assert sum(phase.distance_mm for phase in summary.phases) == pytest.approx(summary.distance_mm, abs=3.0)


def test_a_ride_without_creep_has_no_such_phase() -> None:
    summary = summary_of(s_curve(6000.0, 1600.0, 800.0, 1000.0))
    assert [phase.name for phase in summary.phases] == [name for name in NAMES if name != "creep"]
    assert summary.creep_speed_mm_s is None


def test_the_extremes_are_those_of_the_profile() -> None:
    ride = s_curve(12_000.0, 1600.0, 800.0, 1000.0)
    extremes = summary_of(ride).max
    assert extremes.velocity_mm_s == pytest.approx(1600.0, abs=5.0)
    assert extremes.acceleration_mm_s2 == pytest.approx(800.0, rel=0.1)
    assert extremes.deceleration_mm_s2 == pytest.approx(800.0, rel=0.1)
    # Derived three times from steps of a millimetre, it overshoots.
    assert extremes.jerk_mm_s3 == pytest.approx(1000.0, rel=0.3)
    assert summary_of(ride).p95.jerk_mm_s3 == pytest.approx(1000.0, rel=0.15)


@pytest.mark.parametrize("direction", [1, -1], ids=["up", "down"])
def test_of_the_95th_percentile_a_twentieth_is_higher(direction: int) -> None:
    def motion(number: int) -> Motion:
        # While it gets faster by 1 to 100 mm/s² it gets slower by 2 to 200 mm/s² in between.
        gain = number + 1 if number % 2 else -2 * (number + 2)
        return Motion(
            number * 0.02, 0.0, direction * (number + 1.0), direction * gain / 2, -10.0 * (number + 1)
        )

    summary = summarise([motion(number) for number in range(200)], 0.0, 4.0, 0.0, 1000.0, direction)
    assert summary.max == Extremes(200.0, 100.0, 200.0, 2000.0)
    # Gains below a tenth of the most do not count.
    assert summary.p95 == Extremes(190.0, 96.0, 192.0, 1900.0)


def test_a_ride_of_which_nothing_is_known_has_a_summary_all_the_same() -> None:
    summary = summarise([], 10.0, 12.0, 1000.0, 4000.0, 1)
    assert (summary.duration_s, summary.distance_mm) == (2.0, 3000.0)
    assert (summary.full_speed_mm_s, summary.max.velocity_mm_s) == (None, 0.0)
    assert sum(phase.duration_s for phase in summary.phases) == 2.0


@settings(max_examples=200)
@given(st.lists(st.floats(-2000, 2000), max_size=60), st.sampled_from([1, -1]))
def test_whatever_the_motion_the_phases_follow_each_other_and_fill_the_ride(
    speeds: list[float], direction: int
) -> None:
    motions = [Motion(number * 0.02, 0.0, speed, 0.0, 0.0) for number, speed in enumerate(speeds)]
    end = len(speeds) * 0.02 + 0.1
    summary = summarise(motions, -0.1, end, 0.0, 1000.0, direction)
    begins = [phase.begin_s for phase in summary.phases]
    assert begins == sorted(begins)
    assert sum(phase.duration_s for phase in summary.phases) == pytest.approx(end + 0.1)


def test_a_long_full_speed_makes_nothing_of_the_percentiles() -> None:
    short, long = (summary_of(hydraulic(distance_mm)) for distance_mm in (3_000.0, 40_000.0))
    for name in ("acceleration_mm_s2", "deceleration_mm_s2"):
        assert getattr(long.p95, name) == pytest.approx(getattr(short.p95, name), rel=0.05)
        assert getattr(long.p95, name) > 450.0
