import random

import pytest

from listener.rides import edges
from mock.profile import Profile, hydraulic, s_curve
from tests.listener.rides.bench import TS, Lift


def samples(ride: Profile, start_mm: float = 5000.0, **how: float) -> list[edges.Sample]:
    lift = Lift([(2.0, ride)], start_mm=start_mm)
    return [(ts, raw) for _, ts, raw in lift.samples(ride.duration_s + 4.0, **how)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ride",
    [hydraulic(3000.0), hydraulic(-3000.0), s_curve(2000.0, 1600.0, 800.0, 1000.0), s_curve(-900.0, 500.0)],
    ids=["hydraulic up", "hydraulic down", "s-curve up", "s-curve down"],
)
@pytest.mark.parametrize("offset_mm", [0.0, 0.3, -0.4])
def test_a_movement_begins_and_ends_before_and_after_its_first_and_last_step(
    ride: Profile, offset_mm: float
) -> None:
    chance = random.Random(1)
    known = samples(ride, 5000.0 + offset_mm)
    begin = edges.begin(known, TS + 2.0 + chance.uniform(0, 0.1))
    end = edges.end(known, TS + 2.0 + ride.duration_s + chance.uniform(0.2, 2.0))
    assert begin is not None
    assert end is not None
    assert begin[0] - TS == pytest.approx(2.0, abs=0.05)
    assert end[0] - TS == pytest.approx(2.0 + ride.duration_s, abs=0.05)
    assert (begin[1], end[1]) == (known[0][1], known[-1][1])


def test_without_the_first_steps_nothing_is_calculated() -> None:
    standing = [(TS + n / 250, 1000) for n in range(500)]
    assert edges.begin(standing, TS + 1) is None
    assert edges.end(standing, TS + 1) is None
    assert edges.begin([], TS) is None
    assert edges.begin(standing, TS + 100) is None
    assert edges.begin([*standing, (TS + 2.0, 1000 + edges.STEPS - 1)], TS + 1) is None


def test_flicker_before_the_first_step_is_not_taken_for_it() -> None:
    ride = hydraulic(3000.0)
    chance = random.Random(2)
    known = [(ts, raw + (chance.random() < 0.2 if ts - TS < 2.0 else 0)) for ts, raw in samples(ride, 5000.4)]
    begin = edges.begin(known, TS + 2.0)
    assert begin is not None
    assert begin[0] - TS == pytest.approx(2.0, abs=0.06)


def test_a_step_that_was_missed_lies_where_its_neighbours_were_seen() -> None:
    ride = hydraulic(3000.0)
    begin = edges.begin(samples(ride, missing=0.3), TS + 2.0)
    assert begin is not None
    assert begin[0] - TS == pytest.approx(2.0, abs=0.06)
