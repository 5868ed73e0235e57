import sqlite3
from collections.abc import Iterable, Iterator
from itertools import pairwise

import msgspec
import pytest

from listener.rides import files, intake, store
from listener.rides.files import Point, Sample, motion_rows, raw_rows, write_candump
from listener.rides.finder import RideEnded, RideFinder
from listener.rides.intake import Collector, Found, Kept, Recording, TooMuch, keep
from listener.schema import MIGRATIONS
from mock.profile import Profile, hydraulic, s_curve
from tests.listener.rides.bench import TS, Lift
from tests.listener.rides.bench import found as found_by

BOTH = ("master", "slave")
UP, DOWN = hydraulic(3000.0), hydraulic(-3000.0)
LEVEL = s_curve(-8.0, 20.0, 100.0, 500.0)
DOWN_S = 3.0 + UP.duration_s + 8.0
LIFT = Lift([(3.0, UP), (3.0 + UP.duration_s + 3.0, LEVEL), (DOWN_S, DOWN)], start_mm=1000.0)
UNTIL_S = DOWN_S + DOWN.duration_s + 3.0


def log(samples: Iterable[Sample], *others: str) -> list[str]:
    """Both channels, and lines in between, in the order of time."""
    return sorted([*write_candump(samples, []), *others])


def recording() -> Recording:
    return Recording(Collector(RideFinder(1.0), resolution_mm=1.0, source="les02"))


def from_log(lines: Iterable[str], bus: str | None = None) -> list[Found]:
    return list(recording().candump(lines, bus))


def at(at_s: float, frame: str, bus: str = "can0") -> str:
    return f"({TS + at_s:.6f}) {bus} {frame}\n"


def told(ride: Found) -> list[tuple[str, str | None]]:
    events = [msgspec.json.decode(event) for event in ride.events]
    return [
        (event["type"], event["payload"].get("code") or event["payload"].get("state")) for event in events
    ]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    for script in MIGRATIONS:
        connection.executescript(script)
    yield connection
    connection.close()


def test_rides_of_a_log_are_found_with_what_surrounds_them() -> None:
    up, down = from_log(log(LIFT.samples(UNTIL_S, channels=BOTH)))
    assert [(ride.direction, ride.reason) for ride in (up, down)] == [
        ("up", "completed"),
        ("down", "completed"),
    ]
    assert up.distance_mm == pytest.approx(3000.0, abs=1.0)
    assert up.start_ts == pytest.approx(TS + 3.0, abs=0.05)
    assert up.end_ts - up.start_ts == pytest.approx(UP.duration_s, abs=0.05)
    assert (up.summary["relevels"], down.summary["relevels"]) == (1, 0)
    assert told(up) == [("ride_start", None), ("ride_end", None)]
    for channel in BOTH:
        offsets_us, raw = up.samples[channel]
        assert offsets_us[0] / 1e6 == pytest.approx(-1.0, abs=0.005)
        assert offsets_us[-1] / 1e6 > UP.duration_s + 1.9
        for us, position in zip(offsets_us, raw, strict=True):
            at_s = up.start_ts - TS + us / 1e6
            assert position == pytest.approx(LIFT.position_mm(at_s), abs=0.6)


def test_what_the_sensor_says_during_a_ride_is_kept_with_it() -> None:
    others = [
        at(0.5, "021#0000000000000001"),
        at(6.0, "021#0000000000000007"),
        at(7.0, "030#00000000000000F0"),
    ]
    up, _ = from_log(log(LIFT.samples(UNTIL_S, channels=BOTH), *others))
    assert told(up) == [
        ("ride_start", None),
        ("error", "unknown_0x07"),
        ("status", "ready"),
        ("ride_end", None),
    ]


def test_channels_that_disagree_are_told_with_the_ride() -> None:
    samples = [
        (channel, ts, raw + (30 if channel == "slave" and 5.0 < ts - TS < 6.0 else 0))
        for channel, ts, raw in LIFT.samples(UNTIL_S, channels=BOTH)
    ]
    up, _ = from_log(log(samples))
    assert ("error", "channels_disagree") in told(up)
    assert ("status", "channels_disagree") in told(up)  # well again


def test_a_sensor_that_locks_in_mid_ride_aborts_it() -> None:
    locks = [at(7.01 + n / 100, f"01{n % 2}#ABCD0000000000F0") for n in range(30)]
    (ride,) = from_log(log(LIFT.samples(7.0, channels=BOTH), *locks))
    assert (ride.reason, ride.summary["cause"]) == ("aborted", "locked")


@pytest.mark.parametrize("slave_until_s", [0.0, 5.0, 6.99, 9.5])
def test_a_channel_that_locks_aborts_a_ride_when_the_other_is_silent(slave_until_s: float) -> None:
    samples = [
        sample
        for sample in LIFT.samples(max(7.0, slave_until_s), channels=BOTH)
        if sample[1] - TS < (7.0 if sample[0] == "master" else slave_until_s)
    ]
    locks = [at(7.01 + n / 100, "010#ABCD0000000000F0") for n in range(500)]
    # Ten minutes later somebody has unlocked it.
    later = [("master", ts + 600, raw) for _, ts, raw in Lift().samples(5.0)]
    (ride,) = from_log(log([*samples, *later], *locks))
    assert (ride.reason, ride.summary["cause"]) == ("aborted", "locked")
    assert ride.end_ts - TS == pytest.approx(max(7.0, slave_until_s), abs=0.1)


def test_one_channel_that_locks_does_not_end_a_ride() -> None:
    locks = [at(7.01 + n / 100, "011#ABCD0000000000F0") for n in range(30)]
    up, _ = from_log(log(LIFT.samples(UNTIL_S, channels=BOTH), *locks))
    assert up.reason == "completed"
    assert ("system", "locked") in told(up)


def test_a_log_that_ends_in_mid_ride_has_an_aborted_one() -> None:
    (ride,) = from_log(log(LIFT.samples(7.0, channels=BOTH)))
    assert (ride.reason, ride.summary["cause"]) == ("aborted", "end_of_file")
    assert ride.end_ts == pytest.approx(TS + 7.0, abs=0.1)


def test_positions_of_one_bus_are_taken_and_the_others_named() -> None:
    theirs = Lift([(3.0, hydraulic(1000.0))])
    lines = log(
        LIFT.samples(UNTIL_S, channels=BOTH),
        *write_candump(theirs.samples(UNTIL_S, channels=BOTH), [], bus="can1"),
        at(-1.0, "030#00000000000000F0", "can2"),
    )
    first, second, third = recording(), recording(), recording()
    assert [round(ride.distance_mm) for ride in first.candump(lines, None)] == [3000, 3000]
    assert first.left_out == ["can1", "can2"]
    assert [round(ride.distance_mm) for ride in second.candump(lines, "can1")] == [1000]
    assert list(third.candump(lines, "can7")) == []
    assert (third.positions, third.left_out) == (0, ["can0", "can1", "can2"])


def test_lines_that_are_not_understood_do_not_hide_a_ride() -> None:
    lines = log(LIFT.samples(UNTIL_S, channels=BOTH))
    lines[100:100] = ["nonsense\n"] * 3
    read = recording()
    assert len(list(read.candump(lines, None))) == 2
    assert (read.not_understood, read.reason) == ([101, 102, 103], "nonsense")
    assert read.positions == len(lines) - 3


def csv(lift: Lift, since_s: float, until_s: float, step_s: float) -> list[str]:
    count = round((until_s - since_s) / step_s)
    return [f"{n * step_s:.3f};{lift.position_mm(since_s + n * step_s):.1f}" for n in range(count)]


def test_a_csv_that_is_cut_where_the_ride_begins_and_ends_is_a_whole_ride() -> None:
    lines = csv(LIFT, 3.0, 3.0 + UP.duration_s + 0.1, 0.02)
    (ride,) = recording().csv(lines, TS, 1.0)
    assert (ride.direction, ride.reason, ride.source) == ("up", "completed", "les02")
    assert ride.distance_mm == pytest.approx(3000.0, abs=1.0)
    assert ride.summary["duration_s"] == pytest.approx(UP.duration_s, abs=0.06)
    assert not ride.summary["partial"]
    # Times that count from 0 end when the file was written; what was added to find the ride is not kept.
    offsets_us, _ = ride.samples["master"]
    assert ride.start_ts + offsets_us[-1] / 1e6 == pytest.approx(TS, abs=0.001)
    assert len(offsets_us) == len(lines)
    assert set(ride.samples) == {"master"}


def test_a_csv_with_dates_keeps_them() -> None:
    samples = LIFT.samples(3.0 + UP.duration_s + 3.0, channels=BOTH)
    lines = files.write_csv(files.RAW_HEADER, raw_rows(samples, 0.0, 1.0), decimal_comma=True)
    (ride,) = recording().csv(lines, 5.0, 1.0)
    assert ride.start_ts == pytest.approx(TS + 3.0, abs=0.05)
    assert set(ride.samples) == set(BOTH)


def test_a_csv_may_hold_several_rides() -> None:
    lines = csv(LIFT, 2.0, UNTIL_S, 0.02)
    up, down = recording().csv(lines, TS, 1.0)
    assert (up.direction, down.direction) == ("up", "down")
    assert down.start_ts - up.start_ts == pytest.approx(DOWN_S - 3.0, abs=0.2)


def test_who_recorded_from_the_middle_of_a_ride_has_a_partial_one() -> None:
    (ride, _) = from_log(log(LIFT.samples(UNTIL_S, since_s=5.0, channels=BOTH)))
    assert ride.summary["partial"]
    assert msgspec.json.decode(ride.events[0])["payload"]["partial"]


def test_a_csv_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = csv(LIFT, 3.0, 3.0 + UP.duration_s + 0.1, 0.02)
    monkeypatch.setattr(intake, "POSITIONS_MAX", len(lines))
    assert len(list(recording().csv(lines, TS, 1.0))) == 1
    monkeypatch.setattr(intake, "POSITIONS_MAX", len(lines) - 1)
    with pytest.raises(TooMuch, match=f"more than {len(lines) - 1} positions; cut it into several files"):
        list(recording().csv(lines, TS, 1.0))


def test_a_csv_without_positions_has_no_rides() -> None:
    read = recording()
    assert list(read.csv(["nothing", "at all"], TS, 1.0)) == []
    assert (read.positions, read.not_understood) == (0, [2])


def test_a_ride_is_stored_once(connection: sqlite3.Connection) -> None:
    up, down = from_log(log(LIFT.samples(UNTIL_S, channels=BOTH)))
    up.specimen, up.note, up.is_starred = "V-17", "from a log", True
    assert [keep(connection, up), keep(connection, down)] == [Kept(1), Kept(2)]
    ride = store.find(connection, 1)
    assert (ride.id, ride.start_ts, ride.end_ts, ride.summary) == (up.id, up.start_ts, up.end_ts, up.summary)
    assert (ride.specimen, ride.note, ride.is_starred, ride.is_reference) == (
        "V-17",
        "from a log",
        True,
        False,
    )
    assert store.columns(connection, 1) == up.samples
    assert len(store.curve(connection, 1)["velocity_mm_s"]) == pytest.approx((UP.duration_s + 2) * 50, abs=5)
    again = from_log(log(LIFT.samples(UNTIL_S, channels=BOTH)))
    assert [keep(connection, ride) for ride in again] == [Kept(None), Kept(None)]
    assert store.unfinished(connection) == []


def test_a_completed_ride_takes_the_place_of_an_aborted_part_of_it(connection: sqlite3.Connection) -> None:
    (part,) = from_log(log(LIFT.samples(7.0, channels=BOTH)))
    part.note = f"{intake.IMPORTED}half.log"
    assert keep(connection, part) == Kept(1)
    store.annotate(connection, 1, specimen="V-17", reference=True)
    up, down = from_log(log(LIFT.samples(UNTIL_S, channels=BOTH)))
    up.note, up.is_starred = f"{intake.IMPORTED}whole.log", True
    assert [keep(connection, up), keep(connection, down)] == [Kept(2, (1,)), Kept(3)]
    rides, count = store.rides(connection, store.Filter())
    assert count == 2
    # What was said of the part holds for the whole.
    whole = rides[1]
    assert (whole.reason, whole.specimen, whole.is_reference, whole.is_starred) == (
        "completed",
        "V-17",
        True,
        True,
    )
    assert whole.note == f"{intake.IMPORTED}whole.log"
    assert store.columns(connection, 1) == {}
    # A part does not take the place of the whole, nor does one of another part.
    for each in (up, part):
        each.id = f"another {each.reason}"
        assert keep(connection, each) == Kept(None)


def test_the_note_of_a_part_is_kept(connection: sqlite3.Connection) -> None:
    (part,) = from_log(log(LIFT.samples(7.0, channels=BOTH)))
    part.note = "half a turn"
    keep(connection, part)
    up, _ = from_log(log(LIFT.samples(UNTIL_S, channels=BOTH)))
    up.note = "from a log" * 400
    keep(connection, up)
    assert store.find(connection, 2).note == ("half a turn, " + 400 * "from a log")[:4000]


def test_a_ride_in_progress_is_no_part(connection: sqlite3.Connection) -> None:
    up, _ = from_log(log(LIFT.samples(UNTIL_S, channels=BOTH)))
    store.begin(
        connection,
        "now",
        source="les02",
        start_ts=up.start_ts,
        direction="up",
        resolution_mm=1.0,
        specimen="",
    )
    assert keep(connection, up) == Kept(None)


def test_a_log_in_which_the_time_goes_back_has_a_part_and_the_whole(connection: sqlite3.Connection) -> None:
    lines = log(LIFT.samples(UNTIL_S, channels=BOTH))
    part, up, down = from_log([*lines[:3500], *lines])
    assert (part.reason, part.summary["cause"]) == ("aborted", "clock_step")
    assert part.end_ts > part.start_ts
    assert [keep(connection, each) for each in (part, up, down)] == [Kept(1), Kept(2, (1,)), Kept(3)]


def test_standing_is_added_where_the_car_stands() -> None:
    points = [
        Point("slave", 10.0, 4.0),
        Point("master", 10.002, 5.0),
        Point("master", 10.006, 7.0),
        Point("slave", 10.008, 8.0),
    ]
    padded = list(intake.to_be_searched(points))
    assert padded[750:-750] == points
    assert {(point.channel, point.position_mm) for point in padded[:750]} == {("master", 5.0)}
    assert {(point.channel, point.position_mm) for point in padded[-750:]} == {("master", 7.0)}
    times = [point.ts for point in padded]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("course", "begins", "ends"),
    [
        ([(0.0, 0.0), (0.2, 3.0), (0.4, 3.0)], True, True),
        ([(0.0, 0.0), (0.2, 3.1), (0.4, 3.1)], False, True),
        ([(0.0, 5.0), (0.1, 5.0), (0.2, 5.0), (0.3, 9.0)], True, False),
        # Farther apart than the moment that is looked at.
        ([(0.0, 0.0), (0.4, 6.0), (0.8, 6.0)], True, True),
        ([(0.0, 0.0), (0.4, 6.1), (0.8, 6.1)], False, True),
        ([(0.0, 0.0)], True, True),
    ],
)
def test_a_car_that_moves_at_the_edge_of_a_file_does_not_stand_there(
    course: list[tuple[float, float]], begins: bool, ends: bool
) -> None:
    before, after = intake.standing([Point("slave", ts, mm) for ts, mm in course])
    assert (bool(before), bool(after)) == (begins, ends)


@pytest.mark.parametrize("cut_s", [4.5, 6.0, 8.0])
@pytest.mark.parametrize("ride", [UP, s_curve(-5000.0)], ids=["hydraulic", "s-curve"])
def test_a_csv_that_ends_in_mid_movement_has_an_aborted_ride_and_no_speeds_but_those_it_shows(
    ride: Profile, cut_s: float
) -> None:
    lift = Lift([(3.0, ride)], start_mm=9000.3)
    samples = list(lift.samples(cut_s, since_s=2.0, channels=BOTH))
    finder = RideFinder(1.0)
    live = [*found_by(finder, samples), *finder.interrupt("bus_lost")]
    before = next(each for each in live if isinstance(each, RideEnded))
    for header, rows, lag_s in ((files.RAW_HEADER, raw_rows, 0.0), (files.MOTION_HEADER, motion_rows, 0.2)):
        lines = files.write_csv(header, rows(samples, 3.0, 1.0), decimal_comma=False)
        (after,) = recording().csv(lines, TS, 1.0)
        assert (after.reason, after.summary["cause"], after.summary["phases"]) == (
            "aborted",
            "end_of_file",
            [],
        )
        assert after.end_ts - after.start_ts == pytest.approx(cut_s - 3.0 - lag_s, abs=0.05)
        fastest = max(abs(lift.velocity_mm_s(at / 50)) for at in range(round(50 * (cut_s - lag_s))))
        assert after.summary["max"]["velocity_mm_s"] <= fastest + 5.0
        if not lag_s:
            fastest = before.summary.max.velocity_mm_s
            assert after.summary["max"]["velocity_mm_s"] == pytest.approx(fastest, rel=0.02)
            assert after.distance_mm == before.summary.distance_mm


def test_a_csv_that_begins_in_mid_movement_has_a_partial_ride() -> None:
    lines = csv(LIFT, 5.0, 3.0 + UP.duration_s + 1.0, 0.02)
    (ride,) = recording().csv(lines, TS, 1.0)
    assert ride.summary["partial"]
    assert ride.reason == "completed"
    assert ride.summary["max"]["velocity_mm_s"] == pytest.approx(630.0, abs=5.0)


def test_what_is_kept_of_a_csv_is_what_was_in_it() -> None:
    lines = csv(LIFT, 2.0, UNTIL_S, 0.02)
    for ride in recording().csv(lines, TS, 1.0):
        offsets_us, raw = ride.samples["master"]
        steps = {b - a for a, b in pairwise(offsets_us)}
        assert min(steps) >= 19_999
        assert max(steps) <= 20_001
        assert len(raw) * 0.02 == pytest.approx(1.0 + ride.end_ts - ride.start_ts + 2.2, abs=0.2)


def test_a_csv_with_steps_of_a_second_says_why_there_is_no_ride_in_it() -> None:
    read = recording()
    assert list(read.csv(csv(LIFT, 2.0, UNTIL_S, 1.0), TS, 1.0)) == []
    assert read.too_sparse.startswith("its positions are 1 s apart")
