import pytest

from listener.rides.curves import (
    KNOWN_S,
    Curve,
    Point,
    Tolerance,
    begin_like,
    believable,
    compare,
    curve,
    same_class,
)
from listener.rides.finder import motions
from listener.rides.summary import Phase
from mock.profile import Profile, hydraulic
from tests.listener.rides.bench import TS, Lift

TOLERANCE = Tolerance(position_mm=20.0, velocity_mm_s=50.0)
RIDE = hydraulic(3000.0)


def curve_of(ride: Profile, start_mm: float = 10_000.0, begin_s: float = 2.0) -> Curve:
    lift = Lift([(begin_s, ride)], start_mm=start_mm)
    samples = lift.samples(begin_s + ride.duration_s + 2.0)
    known = [Point(each.ts, each.position_mm, each.velocity_mm_s) for each in motions(samples, 1.0)]
    return curve(known, TS + begin_s, TS + begin_s + ride.duration_s, 1 if ride.distance_mm > 0 else -1)


def test_a_curve_is_distance_and_speed_in_the_direction_of_travel() -> None:
    down = curve_of(hydraulic(-3000.0))
    assert down.duration_s == pytest.approx(RIDE.duration_s, abs=0.03)
    assert down.distance_mm[0] == pytest.approx(0.0, abs=1.0)
    assert down.distance_mm[-1] == pytest.approx(3000.0, abs=1.0)
    for number in range(0, len(down.distance_mm), 10):
        assert down.distance_mm[number] == pytest.approx(RIDE.position_mm(number * 0.02), abs=1.5)
        assert down.speed_mm_s[number] == pytest.approx(RIDE.velocity_mm_s(number * 0.02), abs=15.0)


def test_the_same_ride_elsewhere_and_at_another_time_does_not_deviate() -> None:
    compared = compare(curve_of(RIDE), curve_of(RIDE, 4000.0, 5.0), [], TOLERANCE)
    assert compared.passed
    assert compared.reasons == ()
    assert abs(compared.position.max) <= 1.0
    assert abs(compared.velocity.max) <= 5.0


def test_a_slower_ride_deviates_and_is_told_where_and_why() -> None:
    slower = hydraulic(3000.0, speed_mm_s=500.0)
    compared = compare(curve_of(slower), curve_of(RIDE), [], TOLERANCE)
    assert not compared.passed
    # It is slower all the way, and still at full speed when the other one is about to stop.
    lost = [slower.velocity_mm_s(n / 50) - RIDE.velocity_mm_s(n / 50) for n in range(600)]
    assert compared.velocity.max == pytest.approx(max(lost), abs=10.0)
    assert compared.velocity.at_s == pytest.approx(lost.index(max(lost)) / 50, abs=0.1)
    behind = [slower.position_mm(n / 50) - RIDE.position_mm(n / 50) for n in range(600)]
    assert compared.position.max == pytest.approx(min(behind), abs=2.0)
    assert compared.position.at_s == pytest.approx(behind.index(min(behind)) / 50, abs=0.1)
    assert compared.duration_s == pytest.approx(slower.duration_s - RIDE.duration_s, abs=0.05)
    assert compared.distance_mm == pytest.approx(0.0, abs=1.0)
    assert [reason.split(" ")[0] for reason in compared.reasons] == ["position", "velocity"]
    assert compared.position.rms < abs(compared.position.max)


def test_each_phase_has_its_own_deviation() -> None:
    creeping = hydraulic(3000.0, creep_speed_mm_s=80.0)
    phases = [Phase("acceleration", 0.0, 1.5, 0.0, 0.0), Phase("creep", 6.0, 2.0, 0.0, 0.0)]
    compared = compare(curve_of(creeping), curve_of(RIDE), phases, TOLERANCE)
    acceleration, creep = compared.phases
    assert abs(acceleration.velocity.max) < 5.0
    assert abs(creep.velocity.max) > 10.0
    assert 6.0 <= creep.velocity.at_s <= 8.0


def test_a_reference_of_the_other_direction_is_told_as_such() -> None:
    compared = compare(curve_of(hydraulic(-3000.0)), curve_of(RIDE), [], TOLERANCE)
    assert compared.reasons == ("the reference goes the other way",)


def table(factor: float = 1.0) -> list[Point]:
    """Every 40 ms."""
    times = [n * 0.04 for n in range(400)]
    return [
        Point(TS + at_s, 10_000.4 + RIDE.position_mm(at_s - 3.0), factor * RIDE.velocity_mm_s(at_s - 3.0))
        for at_s in times
    ]


@pytest.mark.parametrize("off_s", [-0.15, -0.04, 0.0, 0.1])
def test_a_movement_begins_where_its_first_way_is_like_that_of_the_ride(off_s: float) -> None:
    ride = curve_of(RIDE)
    assert begin_like(ride, table(), TS + 3.0 + off_s, 0.2, 1) == pytest.approx(TS + 3.0, abs=0.006)
    # But never farther away than that.
    assert begin_like(ride, table(), TS + 4.0, 0.2, 1) >= TS + 3.8


def test_where_a_ride_goes_on_otherwise_does_not_change_when_it_began() -> None:
    ride = curve_of(hydraulic(3000.0, speed_mm_s=300.0))
    assert begin_like(ride, table(), TS + 3.1, 0.2, 1) == pytest.approx(TS + 3.0, abs=0.006)


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, True), (1.04, True), (1.1, False), (-1.0, False), (0.001, False)]
)
def test_velocities_that_do_not_add_up_to_the_way_are_not_believed(factor: float, expected: bool) -> None:
    assert believable(table(factor)) is expected


def test_a_curve_is_as_long_as_something_is_known() -> None:
    """Whatever the end of the ride is said to be."""
    known = [Point(TS + n * 0.02, 10_000.0 + n, 50.0) for n in range(100)]
    found = curve(known, TS, TS + 1e10, 1)
    assert found.duration_s == pytest.approx(99 * 0.02 + KNOWN_S, abs=0.03)
    assert found.distance_mm[-1] == 99.0


def test_nothing_to_compare_is_no_failure() -> None:
    nothing = curve([], TS, TS, 1)
    assert compare(nothing, nothing, [], TOLERANCE).passed


def test_distances_within_five_per_cent_are_of_the_same_class() -> None:
    assert same_class("up", 3000.0, "up", 2900.0)
    assert not same_class("up", 3000.0, "down", 3000.0)
    assert not same_class("up", 3000.0, "up", 2500.0)
