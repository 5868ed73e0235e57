"""Whole rides: positions as the sensor sends them, rides as a technician would count them."""

import random
from collections.abc import Iterable, Iterator

import pytest

from listener.rides.detector import Relevelled
from listener.rides.finder import RideBegan, RideEnded, RideFinder, Told
from mock.profile import Profile, hydraulic, s_curve
from tests.listener.rides.bench import BOTH, TS, Lift, Sample, found, kinds, ride_of


def drive(lift: Lift, until_s: float, **how: object) -> list[Told]:
    return found(RideFinder(1.0), lift.samples(until_s, channels=BOTH, **how))  # type: ignore[arg-type]


def level(distance_mm: float) -> Profile:
    """A re-level: slow and short."""
    return s_curve(distance_mm, 20.0, 100.0, 500.0)


@pytest.mark.parametrize("distance_mm", [3000.0, -5000.0, 600.0, -250.0, 12_000.0])
@pytest.mark.parametrize("missing", [0.0, 0.05], ids=["all frames", "5 % missing"])
def test_a_ride_is_found_with_its_distance_duration_and_direction(distance_mm: float, missing: float) -> None:
    ride = hydraulic(distance_mm)
    told = drive(Lift([(3.0, ride)]), 3.0 + ride.duration_s + 4.0, missing=missing)
    began, ended = ride_of(told)
    assert began.direction == (1 if distance_mm > 0 else -1)
    assert began.begin.ts - TS == pytest.approx(3.0, abs=0.05)
    assert not began.partial
    assert (ended.reason, ended.cause, ended.stops) == ("completed", None, 0)
    assert ended.summary.distance_mm == pytest.approx(abs(distance_mm), abs=1.0)
    assert ended.summary.duration_s == pytest.approx(ride.duration_s, abs=0.05)
    assert ended.end.ts - TS == pytest.approx(3.0 + ride.duration_s, abs=0.05)


def test_a_ride_is_told_while_it_goes_on_and_dated_back() -> None:
    finder = RideFinder(1.0)
    ride = hydraulic(5000.0)
    for channel, ts, raw in Lift([(3.0, ride)]).samples(20.0, channels=BOTH):
        for told in finder.position(channel, ts, raw):
            if isinstance(told, RideBegan):
                assert told.begin.ts - TS == pytest.approx(3.0, abs=0.05)
                assert ts - TS < 4.5
                return
    pytest.fail("no ride")


@pytest.mark.parametrize("seed", range(6))
def test_duration_and_distance_hold_for_any_floors_and_any_place_within_a_step(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        ride = hydraulic(chance.choice([-1, 1]) * chance.uniform(400, 3000))
        lift = Lift([(2.5, ride)], start_mm=10_000 + chance.random())
        _, ended = ride_of(drive(lift, 2.5 + ride.duration_s + 3.0, jitter_s=0.0005, seed=seed))
        assert ended.summary.distance_mm == pytest.approx(abs(ride.distance_mm), abs=1.0)
        assert ended.summary.duration_s == pytest.approx(ride.duration_s, abs=0.08)


def test_flicker_at_a_standstill_is_no_movement() -> None:
    chance = random.Random(1)
    samples = [
        (channel, ts, raw + chance.choice([0, 0, 1]))
        for channel, ts, raw in Lift().samples(30.0, channels=BOTH)
    ]
    assert found(RideFinder(1.0), samples) == []


@pytest.mark.parametrize("distance_mm", [5.0, -8.0, 20.0, -40.0])
def test_a_re_level_is_no_ride(distance_mm: float) -> None:
    told = drive(Lift([(3.0, level(distance_mm))]), 12.0)
    (relevelled,) = told
    assert isinstance(relevelled, Relevelled)
    assert relevelled.end.position_mm - relevelled.begin.position_mm == distance_mm


def test_a_car_that_sinks_too_slowly_to_ride_is_told_as_a_re_level_at_most() -> None:
    sinking = [("master", TS + n / 250, round(10_000 - min(80, n / 250))) for n in range(250 * 100)]
    assert set(kinds(found(RideFinder(1.0), sinking))) <= {"Relevelled"}


def test_a_creep_slower_than_any_ride_begins_does_not_end_one() -> None:
    ride = hydraulic(2000.0, creep_speed_mm_s=5.0, creep_distance_mm=30.0)
    _, ended = ride_of(drive(Lift([(3.0, ride)]), 3.0 + ride.duration_s + 4.0))
    assert ended.summary.distance_mm == pytest.approx(2000.0, abs=1.0)
    assert ended.summary.duration_s == pytest.approx(ride.duration_s, abs=0.25)


def test_two_rides_two_and_a_half_seconds_apart_are_two() -> None:
    first, second = hydraulic(2000.0), hydraulic(1500.0)
    lift = Lift([(3.0, first), (3.0 + first.duration_s + 2.5, second)])
    told = drive(lift, 3.0 + first.duration_s + 2.5 + second.duration_s + 3.0)
    assert kinds(told) == ["RideBegan", "RideEnded", "RideBegan", "RideEnded"]
    distances = [each.summary.distance_mm for each in told if isinstance(each, RideEnded)]
    assert distances == pytest.approx([2000.0, 1500.0], abs=1.0)


def test_a_ride_that_stops_between_floors_is_one_with_a_stop() -> None:
    first, second = hydraulic(2000.0), hydraulic(1500.0)
    lift = Lift([(3.0, first), (3.0 + first.duration_s + 1.2, second)])
    until_s = 3.0 + first.duration_s + 1.2 + second.duration_s
    _, ended = ride_of(drive(lift, until_s + 3.0))
    assert (ended.stops, ended.reason) == (1, "completed")
    assert ended.summary.distance_mm == pytest.approx(3500.0, abs=1.0)
    assert ended.end.ts - TS == pytest.approx(until_s, abs=0.05)


def test_a_car_that_turns_has_made_two_rides() -> None:
    up, down = s_curve(3000.0), s_curve(-3000.0)
    lift = Lift([(3.0, up), (3.0 + up.duration_s, down)])
    told = drive(lift, 3.0 + up.duration_s + down.duration_s + 3.0)
    assert kinds(told) == ["RideBegan", "RideEnded", "RideBegan", "RideEnded"]
    began = [each for each in told if isinstance(each, RideBegan)]
    ended = [each for each in told if isinstance(each, RideEnded)]
    assert [each.direction for each in began] == [1, -1]
    assert [each.summary.distance_mm for each in ended] == pytest.approx([3000.0, 3000.0], abs=2.0)
    assert began[1].begin.ts - TS == pytest.approx(3.0 + up.duration_s, abs=0.2)


def test_a_car_that_turns_after_a_short_stop_has_made_two_rides() -> None:
    up, down = hydraulic(3000.0), hydraulic(-2000.0)
    lift = Lift([(3.0, up), (3.0 + up.duration_s + 1.0, down)])
    told = drive(lift, 4.0 + up.duration_s + down.duration_s + 3.0)
    assert kinds(told) == ["RideBegan", "RideEnded", "RideBegan", "RideEnded"]
    first, second = (each for each in told if isinstance(each, RideEnded))
    assert first.end.ts - TS == pytest.approx(3.0 + up.duration_s, abs=0.05)
    assert second.summary.duration_s == pytest.approx(down.duration_s, abs=0.06)


def test_a_re_level_within_the_hold_does_not_move_the_end() -> None:
    ride = hydraulic(3000.0)
    lift = Lift([(3.0, ride), (3.0 + ride.duration_s + 1.0, level(-6.0))])
    told = drive(lift, 3.0 + ride.duration_s + 6.0)
    assert kinds(told) == ["RideBegan", "RideEnded", "Relevelled"]
    _, ended = ride_of(told)
    assert ended.end.ts - TS == pytest.approx(3.0 + ride.duration_s, abs=0.05)
    assert ended.summary.distance_mm == pytest.approx(3000.0, abs=1.0)
    relevelled = told[-1]
    assert isinstance(relevelled, Relevelled)
    assert (relevelled.begin.position_mm, relevelled.end.position_mm) == (13_000.0, 12_994.0)


def test_who_starts_in_the_middle_of_a_ride_sees_a_partial_one() -> None:
    ride = hydraulic(5000.0)
    lift = Lift([(0.0, ride)])
    told = found(RideFinder(1.0), lift.samples(ride.duration_s + 4.0, since_s=3.0, channels=BOTH))
    began, ended = ride_of(told)
    assert began.partial
    assert ended.partial
    assert began.begin.ts - TS == pytest.approx(3.2, abs=0.1)
    assert ended.end.ts - TS == pytest.approx(ride.duration_s, abs=0.05)


def without(samples: Iterable[Sample], from_s: float, to_s: float) -> Iterator[Sample]:
    return (sample for sample in samples if not from_s <= sample[1] - TS < to_s)


def test_a_short_gap_in_mid_ride_does_not_end_it() -> None:
    ride = hydraulic(8000.0)
    samples = Lift([(3.0, ride)]).samples(3.0 + ride.duration_s + 4.0, channels=BOTH)
    _, ended = ride_of(found(RideFinder(1.0), without(samples, 8.0, 8.5)))
    assert ended.reason == "completed"
    assert ended.summary.distance_mm == pytest.approx(8000.0, abs=1.0)


def test_a_long_gap_in_mid_ride_aborts_it_where_it_was_last_seen_and_the_rest_is_another() -> None:
    ride = hydraulic(12_000.0)
    lift = Lift([(3.0, ride)])
    samples = lift.samples(3.0 + ride.duration_s + 4.0, channels=BOTH)
    told = found(RideFinder(1.0), without(samples, 8.0, 12.0))
    assert kinds(told) == ["RideBegan", "RideEnded", "RideBegan", "RideEnded"]
    _, first, then, second = told
    assert isinstance(first, RideEnded)
    assert isinstance(then, RideBegan)
    assert isinstance(second, RideEnded)
    assert (first.reason, first.cause) == ("aborted", "gap")
    assert (second.reason, second.partial) == ("completed", True)
    assert first.end.ts - TS == pytest.approx(8.0, abs=0.01)
    assert first.end.position_mm == pytest.approx(lift.position_mm(8.0), abs=5.0)
    assert first.summary.distance_mm == pytest.approx(lift.position_mm(8.0) - 10_000.0, abs=5.0)
    assert first.summary.duration_s == pytest.approx(5.0, abs=0.05)
    assert then.begin.ts - TS == pytest.approx(12.2, abs=0.05)


def test_what_comes_after_a_gap_and_is_too_little_for_a_motion_is_not_its_end() -> None:
    finder = RideFinder(1.0)
    told = found(finder, Lift([(3.0, hydraulic(8000.0))]).samples(8.0, channels=BOTH))
    told += found(finder, Lift(start_mm=90_000.0).samples(86_400.2, since_s=86_400.0, channels=BOTH))
    told += list(finder.interrupt("no_data"))
    _, ended = ride_of(told)
    assert (ended.reason, ended.cause) == ("aborted", "no_data")
    assert ended.end.ts - TS == pytest.approx(8.0, abs=0.01)


def test_where_the_time_goes_back_one_ride_is_aborted_and_the_next_is_found() -> None:
    """As in two recordings of the same ride, one after the other."""
    ride = hydraulic(3000.0)
    lift = Lift([(3.0, ride)])
    finder = RideFinder(1.0)
    told = found(finder, lift.samples(7.0, channels=BOTH))
    told += found(finder, lift.samples(3.0 + ride.duration_s + 4.0, channels=BOTH))
    assert kinds(told) == ["RideBegan", "RideEnded", "RideBegan", "RideEnded"]
    first, second = (each for each in told if isinstance(each, RideEnded))
    assert (first.reason, first.cause) == ("aborted", "clock_step")
    assert first.end.ts - TS == pytest.approx(7.0, abs=0.01)
    assert first.summary.distance_mm == pytest.approx(lift.position_mm(7.0) - 10_000.0, abs=5.0)
    assert (second.reason, second.partial) == ("completed", False)
    assert second.summary.distance_mm == pytest.approx(3000.0, abs=1.0)
    assert second.summary.duration_s == pytest.approx(ride.duration_s, abs=0.05)
    assert min(ts for column in finder.since(0.0).values() for ts, _ in column) >= TS
    assert [ts for ts, _ in finder.since(0.0)["master"]] == sorted(
        ts for ts, _ in finder.since(0.0)["master"]
    )


def test_a_frame_that_comes_in_the_wrong_order_is_left_out() -> None:
    ride = hydraulic(3000.0)
    samples = list(Lift([(3.0, ride)]).samples(3.0 + ride.duration_s + 4.0, channels=BOTH))
    for number in range(700, len(samples) - 10, 50):
        samples[number], samples[number + 4] = samples[number + 4], samples[number]
    _, ended = ride_of(found(RideFinder(1.0), samples))
    assert ended.summary.distance_mm == pytest.approx(3000.0, abs=1.0)
    assert ended.summary.duration_s == pytest.approx(ride.duration_s, abs=0.05)


def test_an_interruption_aborts_the_ride_at_its_last_position() -> None:
    finder = RideFinder(1.0)
    lift = Lift([(3.0, hydraulic(8000.0))])
    told = found(finder, lift.samples(8.0, channels=BOTH))
    told += list(finder.interrupt("bus_lost"))
    _, ended = ride_of(told)
    assert (ended.reason, ended.cause) == ("aborted", "bus_lost")
    assert ended.end.position_mm == pytest.approx(lift.position_mm(8.0), abs=3.0)
    assert list(finder.interrupt("bus_lost")) == []


def test_the_slave_alone_is_enough() -> None:
    ride = hydraulic(3000.0)
    lift = Lift([(3.0, ride)])
    _, ended = ride_of(found(RideFinder(1.0), lift.samples(3.0 + ride.duration_s + 4.0, channels=("slave",))))
    assert ended.summary.distance_mm == pytest.approx(3000.0, abs=1.0)
    assert ended.summary.duration_s == pytest.approx(ride.duration_s, abs=0.05)


def test_the_resolution_is_the_sensors_own() -> None:
    ride = hydraulic(3000.0)
    lift = Lift([(3.0, ride)])
    samples = lift.samples(3.0 + ride.duration_s + 4.0, resolution_mm=0.5)
    _, ended = ride_of(found(RideFinder(0.5), samples))
    assert ended.summary.distance_mm == pytest.approx(3000.0, abs=1.0)


def test_a_replayed_ride_has_the_same_summary() -> None:
    ride = hydraulic(3000.0)
    samples = list(Lift([(3.0, ride)]).samples(3.0 + ride.duration_s + 4.0, channels=BOTH))
    assert found(RideFinder(1.0), samples) == found(RideFinder(1.0), samples)
