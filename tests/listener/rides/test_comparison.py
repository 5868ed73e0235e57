"""The same ride again passes, wherever within a millimetre of the sensor it began."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from listener.rides import store
from listener.rides.comparison import compare_rides
from listener.rides.curves import Tolerance
from listener.rides.finder import RideEnded, RideFinder
from listener.rides.report import report
from listener.schema import MIGRATIONS
from mock.profile import Profile, hydraulic, s_curve
from tests.listener.rides.bench import Lift, found

TOLERANCE = Tolerance(20.0, 50.0)


def keep(connection: sqlite3.Connection, profile: Profile, start_mm: float, seed: int) -> int:
    lift = Lift([(3.0, profile)], start_mm)
    samples = lift.samples(profile.duration_s + 7.0, missing=0.02, jitter_s=0.0005, seed=seed)
    (ended,) = (told for told in found(RideFinder(1.0), samples) if isinstance(told, RideEnded))
    number = store.begin(
        connection,
        f"ride-{seed}",
        source="les02",
        start_ts=ended.end.ts - ended.summary.duration_s,
        direction="up" if ended.direction > 0 else "down",
        resolution_mm=1.0,
        specimen="",
    )
    store.finish(
        connection,
        number,
        end_ts=ended.end.ts,
        distance_mm=ended.summary.distance_mm,
        reason=ended.reason,
        summary=report(ended, None),
        motions=ended.motions,
    )
    return number


@pytest.mark.parametrize(
    ("profile", "most_mm"),
    [(hydraulic(3000.0), 5.0), (hydraulic(-3000.0), 5.0), (s_curve(8000.0, 1600.0, 800.0, 1000.0), 12.0)],
    ids=["hydraulic up", "hydraulic down", "fast"],
)
def test_the_same_ride_again_passes_wherever_within_a_millimetre_it_began(
    tmp_path: Path, profile: Profile, most_mm: float
) -> None:
    with closing(sqlite3.connect(tmp_path / "les02.db")) as connection:
        connection.executescript("".join(MIGRATIONS))
        reference = keep(connection, profile, 10_000.0, 0)
        for seed in range(1, 10):
            ride = keep(connection, profile, 10_000.0 + seed / 10, seed)
            compared = compare_rides(connection, ride, reference, TOLERANCE)
            assert compared["passed"], compared["reasons"]
            assert abs(compared["position"]["max"]) <= most_mm


def test_a_ride_that_sets_off_later_than_its_beginning_tells_is_not_shifted_away(tmp_path: Path) -> None:
    """What the shift may hide is less than anybody sees; a ride of another kind stays another."""
    with closing(sqlite3.connect(tmp_path / "les02.db")) as connection:
        connection.executescript("".join(MIGRATIONS))
        reference = keep(connection, hydraulic(3000.0), 10_000.0, 0)
        slower = keep(connection, hydraulic(3000.0, acceleration_mm_s2=400.0), 10_000.0, 1)
        compared = compare_rides(connection, slower, reference, TOLERANCE)
    assert not compared["passed"]
    assert compared["position"]["max"] < -50.0
