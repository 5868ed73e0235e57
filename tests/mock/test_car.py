from __future__ import annotations

import pytest

from mock.car import Car
from mock.profile import s_curve

TOP_MM = 20_000.0


def car_of(*floors_mm: float, pause_s: float = 2.0, count: int = 0) -> tuple[Car, list[str]]:
    told: list[str] = []
    return Car(floors_mm, s_curve, top_mm=TOP_MM, pause_s=pause_s, count=count, tell=told.append), told


def standing_places(car: Car, until_s: float) -> list[float]:
    """Where the car stood, one after the other, looking ten times a second."""
    places: list[float] = []
    for tenth in range(round(until_s * 10)):
        car.advance(tenth / 10)
        if not car.riding and (not places or places[-1] != car.position_mm):
            places.append(car.position_mm)
    return places


def test_it_visits_the_floors_in_order_and_then_from_the_first_again() -> None:
    car, _ = car_of(0, 3000, 6500)
    assert standing_places(car, 60)[:5] == [0, 3000, 6500, 0, 3000]


def test_a_list_that_ends_where_it_begins_rides_on_without_a_second_visit() -> None:
    car, _ = car_of(0, 3000, 0)
    assert standing_places(car, 40)[:4] == [0, 3000, 0, 3000]


def test_it_pauses_before_each_ride_and_after_the_last_and_is_then_finished() -> None:
    car, told = car_of(1000, 4000, count=1)
    ride_s = s_curve(3000).duration_s
    seen: list[tuple[bool, bool, bool]] = []
    for now_s in (1.99, 2.0, 2.01 + ride_s, 3.99 + ride_s, 4.01 + ride_s):
        car.advance(now_s)
        seen.append((car.riding, car.finished, car.position_mm == 4000))
    assert seen == [
        (False, False, False),
        (True, False, False),
        (False, False, True),
        (False, False, True),
        (False, True, True),
    ]
    assert told == ["ride 1: up 3000 mm from 1000 mm, 4.8 s", "ride 1: arrived at 4000 mm"]
    with pytest.raises(ValueError, match="the last ride is over"):
        car.start_ride(100)


def test_rides_keep_their_times_however_seldom_the_car_is_looked_at() -> None:
    car, _ = car_of(0, 3000, pause_s=2.0)
    round_s = 2 * (s_curve(3000).duration_s + 2.0)
    # At 7 Hz an end of a ride is noticed up to 140 ms late; a thousand ends must not add up.
    for step in range(round(7 * 100 * round_s)):
        car.advance(step / 7)
    at_s = 100 * round_s + 2.0 + 1.234
    car.advance(at_s)
    assert car.position_mm == pytest.approx(s_curve(3000).position_mm(1.234), abs=1e-6)


def test_with_one_floor_it_stands_and_rides_only_when_asked() -> None:
    car, told = car_of(5000, pause_s=0)
    assert standing_places(car, 100) == [5000]
    car.start_ride(-2000)
    assert car.riding
    car.advance(110)
    assert (car.riding, car.position_mm) == (False, 3000)
    assert told[0] == "ride 1: down 2000 mm from 5000 mm, 4.1 s"


def test_a_floor_that_a_requested_ride_reached_already_is_skipped() -> None:
    car, _ = car_of(0, 3000, 6000)
    car.start_ride(3000)
    assert standing_places(car, 30)[:2] == [3000, 6000]


@pytest.mark.parametrize("distance_mm", [-5000.1, 15_000.1])
def test_a_ride_off_the_band_is_refused(distance_mm: float) -> None:
    car, told = car_of(5000)
    with pytest.raises(ValueError, match="would leave the band"):
        car.start_ride(distance_mm)
    assert told == []


def test_a_ride_during_a_ride_or_of_no_distance_is_refused() -> None:
    car, _ = car_of(5000)
    with pytest.raises(ValueError, match="distance_mm must"):
        car.start_ride(0)
    car.start_ride(1000)
    with pytest.raises(ValueError, match="a ride is in progress"):
        car.start_ride(1000)


def test_a_stop_ends_the_ride_smoothly_where_it_then_is() -> None:
    car, told = car_of(0)
    car.start_ride(10_000)
    car.advance(4.0)
    at_stop = car.position_mm
    assert car.stop()
    assert car.position_mm == at_stop
    car.advance(4.002)
    assert car.position_mm - at_stop == pytest.approx(1600 * 0.002, abs=0.01)
    car.advance(20.0)
    assert at_stop + 1000 < car.position_mm < 10_000
    assert told[-1] == f"ride 1: stopped at {car.position_mm:.0f} mm"


def test_a_stop_while_it_stands_says_that_there_was_nothing_to_stop() -> None:
    car, _ = car_of(0)
    assert not car.stop()


@pytest.mark.parametrize(
    ("floors_mm", "complaint"),
    [
        ((), "at least one height"),
        ((-1.0,), "floor -1 is off the band"),
        ((0.0, TOP_MM + 1), "floor 20001 is off the band"),
        ((0.0, float("nan")), "floor nan is off the band"),
        ((0.0, 3000.0, 3000.5), "floors 3000 and 3000.5 follow each other"),
    ],
)
def test_impossible_floors_are_errors_that_name_them(floors_mm: tuple[float, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Car(floors_mm, s_curve, top_mm=TOP_MM)
