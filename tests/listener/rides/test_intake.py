import sqlite3
from collections.abc import Iterable, Iterator

import msgspec
import pytest

from listener.rides import files, intake, store
from listener.rides.files import Sample, raw_rows, write_candump
from listener.rides.finder import RideFinder
from listener.rides.intake import Collector, Found, Kept, Recording, TooMuch, keep
from listener.schema import MIGRATIONS
from mock.profile import hydraulic, s_curve
from tests.listener.rides.bench import TS, Lift

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
    assert ride.summary["duration_s"] == pytest.approx(UP.duration_s, abs=0.2)
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
    up.note = "from a log"
    keep(connection, up)
    assert store.find(connection, 2).note == "half a turn, from a log"


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


def test_standing_is_added_at_both_ends() -> None:
    samples = [("slave", 10.0, 4), ("master", 10.002, 5), ("master", 10.006, 7), ("slave", 10.008, 8)]
    padded = list(intake.standing(samples))
    assert padded[750:-750] == samples
    assert {(channel, raw) for channel, _, raw in padded[:750]} == {("master", 5)}
    assert {(channel, raw) for channel, _, raw in padded[-750:]} == {("master", 7)}
    times = [ts for _, ts, _ in padded]
    assert times == sorted(times)
