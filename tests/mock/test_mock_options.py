from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mock.faults import parse_fault
from mock.options import MockOptions, make_car, make_sensor
from mock.profile import hydraulic, s_curve


def test_nothing_asked_is_the_profiles_own_default() -> None:
    assert MockOptions().ride(3000) == s_curve(3000)
    assert MockOptions(profile="hydraulic").ride(3000) == hydraulic(3000)


def test_what_is_asked_goes_into_the_ride() -> None:
    assert MockOptions(speed_mm_s=1000, acceleration_mm_s2=600, jerk_mm_s3=900).ride(-3000) == s_curve(
        -3000, 1000, 600, 900
    )
    assert MockOptions(profile="hydraulic", creep_speed_mm_s=50, creep_distance_mm=80).ride(
        3000
    ) == hydraulic(3000, creep_speed_mm_s=50, creep_distance_mm=80)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"speed_mm_s": 0}, "^speed_mm_s must"),
        ({"jerk_mm_s3": math.nan}, "^jerk_mm_s3 must"),
        ({"speed_up": 0}, "^speed_up must"),
        ({"speed_up": math.inf}, "^speed_up must"),
        ({"resolution_mm": -1}, "^resolution_mm must"),
        ({"pause_s": -1}, "^pause_s must"),
        ({"pause_s": math.nan}, "^pause_s must"),
        ({"count": -1}, "^count must"),
        ({"count": 1, "floors_mm": (1000.0,)}, "^count needs at least two floors"),
        ({"floors_mm": (1.7e7,)}, "^floor 1.7e\\+07 is off the band"),
        ({"creep_speed_mm_s": 50}, "^creep_speed_mm_s is for the hydraulic profile only"),
        ({"replay": Path("ride.log"), "faults": (parse_fault("drop"),)}, "^faults are for rides"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        MockOptions(**wrong)


def test_a_finer_resolution_makes_the_band_shorter() -> None:
    assert MockOptions(resolution_mm=0.1).top_mm == pytest.approx((2**24 - 1) / 10)


def test_faults_work_in_their_order_whatever_the_order_they_are_given_in() -> None:
    options = MockOptions(faults=(parse_fault("foreign"), parse_fault("silent,after=0,for=inf")))
    told: list[str] = []
    slots = make_sensor(options, make_car(options, told.append)).slots()
    assert len(next(slots).frames) == 1
    assert not next(slots).frames
