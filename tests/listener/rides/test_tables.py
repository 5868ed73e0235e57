import random
from collections.abc import Sequence
from functools import cache

import pytest

from listener.config import RidesConfig
from listener.rides import files, intake
from listener.rides.curves import Comparison, Curve, Point, Tolerance, compare, curve
from listener.rides.files import MOTION_HEADER, RAW_HEADER, motion_rows, raw_rows, write_csv
from listener.rides.finder import RideFinder
from listener.rides.recorder import limits_of
from listener.rides.tables import NoCurve, Reference, reference
from mock.profile import Profile, hydraulic, s_curve
from tests.listener.rides.bench import TS, Lift, Sample, found, ride_of

HYDRAULIC, FAST = hydraulic(3000.0), s_curve(-5000.0)
RIDES = pytest.mark.parametrize("ride", [HYDRAULIC, FAST], ids=["hydraulic", "s-curve"])
TOLERANCE = Tolerance(position_mm=20.0, velocity_mm_s=50.0)


@cache
def recorded(ride: Profile, start_mm: float = 10_000.3) -> tuple[list[Sample], float, Curve]:
    """What is kept of it: positions, when it began, its curve."""
    lift = Lift([(3.0, ride)], start_mm=start_mm)
    samples = list(lift.samples(3.0 + ride.duration_s + 2.3, since_s=2.0, channels=("master", "slave")))
    began, ended = ride_of(found(RideFinder(1.0), samples))
    known = [Point(each.ts, each.position_mm, each.velocity_mm_s) for each in ended.motions]
    return samples, began.begin.ts, curve(known, began.begin.ts, ended.end.ts, began.direction)


def read(lines: Sequence[str], ride: Curve) -> Reference:
    return reference(lines, ride, 1.0, limits_of(RidesConfig()))


def compared(lines: Sequence[str], ride: Curve) -> Comparison:
    against = read(lines, ride)
    assert against.remarks == ()
    return compare(ride, against.curve, against.phases, TOLERANCE)


def table(ride: Profile, step_s: float, digits: int, *, before_s: float = 2.0, seed: int = 1) -> list[str]:
    """Of another system, which begins to count anywhere."""
    chance = random.Random(seed)
    first_s, height_mm = chance.uniform(0.0, step_s) - before_s, 1000.0 + chance.random()
    rows = [
        (n * step_s, height_mm + ride.position_mm(first_s + n * step_s))
        for n in range(round((before_s + ride.duration_s + 2.0) / step_s))
    ]
    return [f"{at_s:.3f};{mm:.{digits}f}" for at_s, mm in rows]


@RIDES
@pytest.mark.parametrize("start_mm", [10_000.0, 10_000.3, 10_000.8])
def test_a_ride_does_not_deviate_from_its_own_table(ride: Profile, start_mm: float) -> None:
    samples, start_ts, ours = recorded(ride, start_mm)
    for header, rows in ((MOTION_HEADER, motion_rows), (RAW_HEADER, raw_rows)):
        told = compared(list(write_csv(header, rows(samples, start_ts, 1.0), decimal_comma=True)), ours)
        assert abs(told.position.max) < 0.5
        assert abs(told.velocity.max) < 3.0
        assert abs(told.duration_s) <= 0.021
        assert [phase.name for phase in told.phases][::5] == ["start", "stop"][: 1 + (ride is HYDRAULIC)]


def test_a_table_of_the_page_begins_with_the_ride() -> None:
    samples, start_ts, ours = recorded(FAST)
    header, *rows = write_csv(MOTION_HEADER, motion_rows(samples, start_ts, 1.0), decimal_comma=False)
    told = compared([header, *(row for row in rows if not row.startswith("-"))], ours)
    assert abs(told.position.max) < 0.5


@RIDES
@pytest.mark.parametrize("step_s", [0.004, 0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("digits", [1, 0])
def test_a_ride_does_not_deviate_from_the_table_of_another_system(
    ride: Profile, step_s: float, digits: int
) -> None:
    _, _, ours = recorded(ride)
    for seed in range(3):
        told = compared(table(ride, step_s, digits, seed=seed), ours)
        assert abs(told.position.max) < 8.0
        assert abs(told.velocity.max) < 20.0
        assert abs(told.duration_s) <= 0.05
        assert told.passed


def test_another_ride_deviates_from_a_table_all_the_same() -> None:
    slower = hydraulic(3000.0, speed_mm_s=500.0)
    _, _, ours = recorded(slower)
    told = compared(table(HYDRAULIC, 0.1, 0), ours)
    lost = min(slower.position_mm(n / 50) - HYDRAULIC.position_mm(n / 50) for n in range(600))
    assert told.position.max == pytest.approx(lost, abs=10.0)
    assert not told.passed


def with_velocities(factor: float) -> list[str]:
    rows = [(n * 0.02, FAST.position_mm(n * 0.02 - 1), FAST.velocity_mm_s(n * 0.02 - 1)) for n in range(450)]
    return [
        "t;weg;v (mm/s)",
        *(f"{at_s:.2f};{mm + 9000:.1f};{factor * speed:.1f}" for at_s, mm, speed in rows),
    ]


def test_velocities_of_a_table_are_taken_if_they_fit_its_positions() -> None:
    _, _, ours = recorded(FAST)
    theirs = read(with_velocities(1.02), ours).curve
    assert max(theirs.speed_mm_s) == pytest.approx(1.02 * 1600.0, abs=0.2)
    # In m/s, or without a sign: then they are derived.
    for factor in (0.001, -1.0):
        theirs = read(with_velocities(factor), ours).curve
        assert max(theirs.speed_mm_s) == pytest.approx(1600.0, abs=5.0)


def test_a_table_that_ends_in_mid_movement_is_said_to() -> None:
    _, _, ours = recorded(FAST)
    lines = table(FAST, 0.02, 1)
    assert read(lines[:200], ours).remarks == (intake.ENDS_EARLY,)
    assert (
        max(read(lines[:180], ours).curve.speed_mm_s) < 1300.0
    )  # and not faster than it is told to have been
    assert read(lines[200:], ours).remarks == (intake.BEGINS_LATE,)


def test_a_table_of_export_says_when_its_ride_began_whatever_it_shows_besides() -> None:
    """It has turned, so there is another one before it."""
    up = HYDRAULIC.stopped_at(3.0)
    turned_s = 3.0 + up.duration_s - 0.3
    down = hydraulic(-1500.0)
    lift = Lift([(3.0, up), (turned_s, down)])
    samples = list(lift.samples(turned_s + down.duration_s + 2.3, since_s=turned_s - 1.0))
    rows = raw_rows(samples, TS + turned_s + 0.3, 1.0)
    _, _, ours = recorded(down)
    theirs = read(list(write_csv(RAW_HEADER, rows, decimal_comma=False)), ours).curve
    assert theirs.direction == -1
    assert theirs.distance_mm[-1] == pytest.approx(1500.0, abs=8.0)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "no positions in it"),
        (["nonsense", "more of it"], "no positions in it; line 2 not understood (more of it)"),
        ([f"{n / 50},1000" for n in range(500)], "no ride in it"),
        (
            table(HYDRAULIC, 1.0, 0),
            "no ride in it; its positions are 1 s apart, and a ride cannot be seen above",
        ),
        (table(HYDRAULIC, 0.02, 0) * 2, None),
    ],
)
def test_why_a_table_is_no_curve_is_told(lines: list[str], reason: str | None) -> None:
    _, _, ours = recorded(HYDRAULIC)
    if reason is None:
        assert read(lines, ours).remarks[0].endswith("(time does not go on)")
        return
    with pytest.raises(NoCurve) as raised:
        read(lines, ours)
    assert str(raised.value).startswith(reason)


def test_of_several_rides_none_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, ours = recorded(HYDRAULIC)
    first = table(HYDRAULIC, 0.02, 1)
    again = [f"{len(first) / 50 + n / 50:.2f};{line.split(';')[1]}" for n, line in enumerate(first[::-1])]
    with pytest.raises(NoCurve, match="2 rides in it; import it and name one"):
        read(first + again, ours)
    monkeypatch.setattr(intake, "POSITIONS_MAX", 100)
    with pytest.raises(NoCurve, match="more than 100 positions"):
        read(first, ours)


def test_positions_that_are_rather_far_apart_are_remarked() -> None:
    _, _, ours = recorded(HYDRAULIC)
    (remark,) = read(table(HYDRAULIC, 0.4, 1), ours).remarks
    assert remark == "its positions are 0.4 s apart, so beginning, end and speed are rough"


def test_what_was_not_understood_is_remarked() -> None:
    _, _, ours = recorded(HYDRAULIC)
    lines = table(HYDRAULIC, 0.1, 1)
    lines[7] = "?"
    assert read(lines, ours).remarks == (files.not_understood([8], "?"),)
