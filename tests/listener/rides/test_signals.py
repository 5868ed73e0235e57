"""What other devices say, kept with the rides: from the hub to the disk, and out again."""

import contextlib
import csv
import itertools
import json
import math
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener import events
from listener.config import RidesConfig
from listener.database import StorageError
from listener.rides import exchange, signal_report, store
from listener.rides.signal_report import Held, Range
from listener.rides.signals import RECENT_MAX, SignalLog, Track
from listener.rides.summary import Phase
from listener.rides.writer import PIECES_MAX
from listener.schema import MIGRATIONS
from tests.listener.rides.bench import TS, Lift
from tests.listener.rides.recording import BOTH, LIFT, OVER_S, RIDE, Bench
from tests.listener.rides.terminal import Typed

STORED = Path(__file__).parents[1] / "stored"
PRESSURE, MODE = "inverter.PressureSensor.Pressure", "default.InverterState.Mode"
SIGNALS = RidesConfig(signals=(PRESSURE, "InverterState.Mode"))
PERIOD_S = 0.02


def bar(at_s: float) -> float:
    return round(40.0 + 20.0 * math.sin(at_s), 2)


def feed(bench: Bench, until_s: float = OVER_S, lift: Lift = LIFT, since_s: float = 0.0) -> None:
    """Positions with the pressure among them, 50 times a second."""
    number = math.ceil(since_s / PERIOD_S)
    for channel, ts, raw in lift.samples(until_s, since_s=since_s, channels=BOTH):
        while TS + number * PERIOD_S < ts:
            at_s = number * PERIOD_S
            bench.hub.publish(events.signal_sample(TS + at_s, PRESSURE, bar(at_s), "bar"))
            if number % 50 == 0:
                bench.hub.publish(events.signal_sample(TS + at_s, MODE, 2.0, "", "Run"))
            number += 1
        bench.hub.publish(events.position_sample(ts, channel, raw))


@pytest.fixture
def bench(tmp_path: Path, logs: object) -> Bench:
    return Bench(tmp_path / "les02.db", SIGNALS)


async def kept(bench: Bench, number: int = 1) -> dict[str, Track]:
    await bench.kept()
    return await bench.database.read(lambda connection: store.signals(connection, number))


# From the hub to the disk


async def test_a_ride_has_its_signals_at_their_own_times_from_a_second_before_it_until_it_is_over(
    bench: Bench,
) -> None:
    async with bench.open():
        feed(bench)
        tracks = await kept(bench)
        (ride,) = await bench.kept()
    pressure = tracks[PRESSURE]
    times_s = [us / 1e6 for us in pressure.offsets_us]
    assert list(tracks) == [PRESSURE, MODE]
    assert pressure.unit == "bar"
    assert times_s[1] == pytest.approx(-1.0, abs=PERIOD_S)
    assert times_s[-1] == pytest.approx(RIDE.duration_s + 2.1, abs=0.2)
    assert {round(b - a, 6) for a, b in itertools.pairwise(times_s[1:])} == {PERIOD_S}
    assert pressure.values[1:] == [bar(ride.start_ts - TS + at_s) for at_s in times_s[1:]]
    assert tracks[MODE].words == {"2": "Run"}
    assert set(tracks[MODE].values) == {2.0}


async def test_a_signal_that_says_nothing_is_there_without_values(bench: Bench) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(OVER_S, channels=BOTH))
        tracks = await kept(bench)
        answer = await bench.ask("get_ride", ride=1)
    assert tracks == {PRESSURE: Track(), MODE: Track()}
    assert answer["signals"][PRESSURE] == {"unit": "", "offsets_us": [], "values": [], "words": {}}


async def test_signals_are_no_events_of_the_ride_and_others_are_not_kept(bench: Bench) -> None:
    async with bench.open():
        bench.hub.publish(events.signal_sample(TS, "other.One.Signal", 1.0))
        feed(bench)
        answer = await bench.ask("get_ride", ride=(await bench.kept())[0].number)
    assert [event["type"] for event in answer["events"]] == ["ride_start", "ride_end"]
    assert list(answer["signals"]) == [PRESSURE, MODE]


async def test_a_ride_in_progress_has_what_was_told_and_keeps_it_when_the_listener_is_killed(
    bench: Bench, tmp_path: Path
) -> None:
    async with bench.open():
        bench.recorder._clock = itertools.count(0, 2).__next__  # every batch is handed on
        feed(bench, until_s=8.0)
        tracks = await kept(bench)
        # As it is on the disk at this moment.
        with contextlib.closing(sqlite3.connect(bench.database.path)) as connection:
            connection.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    assert len(tracks[PRESSURE].values) > 50 * 5
    other = Bench(tmp_path / "copy.db", SIGNALS)
    async with other.open():
        (ride,) = await other.kept()
        assert (ride.reason, ride.summary["cause"]) == ("aborted", "restart")
        assert await kept(other) == tracks


async def test_signals_wait_with_the_ride_for_a_disk_that_fails(bench: Bench) -> None:
    async with bench.open():
        await bench.kept()
        bench.database.failing = StorageError("full", "no room")
        feed(bench)
        bench.database.failing = None
        tracks = await kept(bench)
    assert len(tracks[PRESSURE].values) > 50 * RIDE.duration_s


async def test_what_waits_is_bounded_with_its_signals(bench: Bench) -> None:
    async with bench.open():
        await bench.kept()
        bench.database.failing = StorageError("full", "no room")
        bench.feed(LIFT.samples(5.0, channels=BOTH))
        for number in range(PIECES_MAX):
            for each in range(1000):
                at_s = 5.0 + number + each / 1000
                bench.hub.publish(events.signal_sample(TS + at_s, PRESSURE, 1.0, "bar"))
            bench.recorder._hand_on(bench.recorder._writer.waiting[0])
        (ride,) = bench.recorder._writer.waiting
        assert sum(len(t.values) for p in ride.pieces for t in p.signals.values()) <= PIECES_MAX * 500
        assert bench.recorder.counts["pieces_lost"] > PIECES_MAX / 2
        bench.database.failing = None


async def test_who_comes_later_is_told_of_signals_that_nobody_knows(bench: Bench) -> None:
    async with bench.open() as recorder:
        details = {"signals": [PRESSURE], "reason": "no file"}
        bench.hub.publish(events.error(TS, "system", "signals_unknown", details, "workbench"))
        assert recorder.troubles == [{"channel": "system", "code": "signals_unknown", "details": details}]
        well = events.status(TS, "system", "well_again", "workbench", code="signals_unknown")
        bench.hub.publish(well)
        assert recorder.troubles == []


def test_a_signal_that_is_told_rarely_has_its_last_value_before_the_ride() -> None:
    log = SignalLog([PRESSURE])
    for ts in (TS - 40, TS - 12, TS + 3):
        log.heard(ts, {"channel": PRESSURE, "value": ts - TS, "unit": "bar"})
    log.begin(TS)
    assert log.take()[PRESSURE].values == [-12.0, 3.0]


def test_times_only_go_on_and_what_is_of_another_clock_is_left_out() -> None:
    log = SignalLog([PRESSURE])
    log.begin(TS)
    for ts in (TS + 1, TS + 1, TS + 2, TS + 1.5, TS + 1e6, TS - 1e6, TS + 3):
        log.heard(ts, {"channel": PRESSURE, "value": 1, "unit": "bar"})
    assert log.take()[PRESSURE].offsets_us == [1_000_000, 2_000_000, 3_000_000]


def test_what_was_told_before_a_ride_is_bounded() -> None:
    log = SignalLog([PRESSURE])
    for number in range(2 * RECENT_MAX):
        log.heard(TS + number * 1e-4, {"channel": PRESSURE, "value": number, "unit": "bar"})
    log.begin(TS)
    assert len(log.take()[PRESSURE].values) == RECENT_MAX


async def test_a_file_of_the_second_version_is_migrated_and_nothing_in_it_is_lost(bench: Bench) -> None:
    with contextlib.closing(sqlite3.connect(bench.database.path)) as connection:
        connection.executescript((STORED / "version-2.sql").read_text())
    async with bench.open():
        rides = {ride.number: ride for ride in await bench.kept()}
        assert await kept(bench, 1) == {}
        feed(bench)
        assert len((await kept(bench, 3))[PRESSURE].values) > 50 * RIDE.duration_s
        version = await bench.database.read(lambda c: c.execute("PRAGMA user_version").fetchone())
    assert version == (len(MIGRATIONS),)
    assert (rides[1].note, rides[1].is_starred) == ("screw 2 a quarter turn out", True)
    assert rides[2].reason == "aborted"


# Out again


@pytest.fixture
async def recorded(bench: Bench, tmp_path: Path) -> Path:
    """Two rides, the second faster, with its pressure 2 bar higher."""
    async with bench.open():
        feed(bench)
        await bench.ask("set_reference", ride=(await bench.kept())[0].number)
        for number in range(-100, round(OVER_S / PERIOD_S)):
            at_s = number * PERIOD_S
            bench.hub.publish(events.signal_sample(TS + 60 + at_s, PRESSURE, bar(at_s) + 2, "bar"))
            if number >= 0:
                for channel, ts, raw in LIFT.samples(at_s + PERIOD_S, since_s=at_s, channels=BOTH):
                    bench.hub.publish(events.position_sample(ts + 60, channel, raw))
        assert len(await bench.kept()) == 2
    return bench.database.path


@pytest.fixture
def files(recorded: Path, terminal: None) -> Iterator[Path]:
    os.environ["LES02_DATABASE__PATH"] = str(recorded)
    yield recorded
    os.environ.pop("LES02_DATABASE__PATH", None)


def test_export_and_import_bring_back_the_same_signals(files: Path, lesrides: Typed, tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    lesrides("export", "1", "--json", "-o", str(one))
    fresh = str(tmp_path / "fresh.db")
    lesrides("--database", fresh, "import", str(one))
    lesrides("--database", fresh, "export", "1", "--json", "-o", str(other))
    ours, theirs = json.loads(one.read_bytes()), json.loads(other.read_bytes())
    assert ours["signals"] == theirs["signals"]
    assert len(ours["signals"][PRESSURE]["values"]) > 500


@pytest.mark.parametrize(
    "change",
    [
        {"offsets_us": [1, 2]},
        {"offsets_us": [2, 1, 3]},
        {"offsets_us": [1, 2, 10**12]},
        {"values": [1, "2", 3]},
        {"words": {"1": 1}},
        {"unit": "x" * 100},
    ],
)
def test_signals_from_elsewhere_have_bounds(
    files: Path, lesrides: Typed, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "one.json"
    lesrides("export", "1", "--json", "-o", str(path))
    ride = json.loads(path.read_bytes())
    good = {"unit": "bar", "offsets_us": [1, 2, 3], "values": [1, 2, 3], "words": {}}
    ride["signals"] = {PRESSURE: good}
    assert exchange.from_json(msgspec.json.encode(ride)).signals[PRESSURE].values == [1.0, 2.0, 3.0]
    ride["signals"] = {PRESSURE: good | change}
    with pytest.raises(msgspec.ValidationError):
        exchange.from_json(msgspec.json.encode(ride))


def test_a_file_of_before_signals_is_imported(files: Path, lesrides: Typed, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    lesrides("export", "1", "--json", "-o", str(path))
    ride = json.loads(path.read_bytes())
    del ride["signals"]
    assert exchange.from_json(msgspec.json.encode(ride)).signals == {}


@pytest.mark.parametrize("comma", [False, True])
def test_the_table_has_a_column_for_each_signal_with_its_last_value(
    files: Path, lesrides: Typed, comma: bool
) -> None:
    flags = ["--decimal-comma"] if comma else []
    lines = lesrides("export", "1", "--csv", *flags)
    rows = list(csv.reader(lines, delimiter=";" if comma else ","))
    assert rows[0][4:] == [f"{PRESSURE}_(bar)", MODE]
    point = "," if comma else "."
    ride = lesrides.json("export", "1")
    track = ride["signals"][PRESSURE]
    known = dict(zip(track["offsets_us"], track["values"], strict=True))
    for row in rows[1:]:
        us = float(row[0].replace(point, ".")) * 1e6 + 0.5
        last = max(each for each in known if each <= us)
        assert float(row[4].replace(point, ".")) == known[last]
        assert us - last <= 20_002
    assert lesrides("export", "1", "--csv", "--raw")[0] == "time_s,position_mm,channel,position_raw"


def test_a_table_with_signals_is_still_a_curve_to_compare_with(
    files: Path, lesrides: Typed, tmp_path: Path
) -> None:
    path = tmp_path / "one.csv"
    lesrides("export", "1", "--csv", "-o", str(path))
    answer = lesrides.json("compare", "1", "--csv", str(path))
    assert abs(answer["position"]["max"]) < 1.0


def test_show_tells_mean_and_bounds_of_every_phase(files: Path, lesrides: Typed) -> None:
    lines = [line.strip() for line in lesrides("show", "1")]
    at = lines.index(f"{PRESSURE} bar")
    assert lines[at + 1].split() == ["mean", "min", "max"]
    names = [line.split("  ")[0] for line in lines[at + 2 : at + 9]]
    assert names == ["whole ride", "start", "acceleration", "full speed", "deceleration", "creep", "stop"]
    mean, low, high = map(float, lines[at + 2].split()[-3:])
    assert 20.0 <= low < mean < high <= 60.0


def test_rides_are_compared_in_their_signals_at_the_same_moments(files: Path, lesrides: Typed) -> None:
    answer = lesrides.json("compare", "2", "--curves")
    assert answer["passed"]
    (pressure,) = answer["signals"]  # the other said nothing in the second ride
    assert (pressure["name"], pressure["unit"]) == (PRESSURE, "bar")
    # A ride is laid over the other to some milliseconds, in which the pressure changes by 0.2 bar at most.
    for each in [pressure, *pressure["phases"]]:
        assert each["ride_mean"] - each["reference_mean"] == pytest.approx(2.0, abs=0.6)
        assert each["rms"] == pytest.approx(2.0, abs=1.0)
    assert [each["name"] for each in pressure["phases"]] == [each["name"] for each in answer["phases"]]
    both = answer["curves"]["signals"][PRESSURE]
    assert both["unit"] == "bar"
    assert len(both["ride"]["times_s"]) == len(both["ride"]["values"]) > 500
    text = "\n".join(lesrides("compare", "2"))
    assert f"{PRESSURE} bar" in text
    assert "whole ride" in text


def test_signals_in_different_units_are_not_compared() -> None:
    times = list(range(0, 1_000_000, 20_000))
    ours = {PRESSURE: Track("bar", times, [1.0] * 50)}
    theirs = {PRESSURE: Track("kPa", times, [100.0] * 50)}
    assert signal_report.deviations(ours, theirs, [], count=50, shift_s=0.0) == []
    assert signal_report.curves(ours, theirs, 0.0)[PRESSURE]["reference"]["values"] == []


def test_a_comparison_says_nothing_where_one_of_both_is_silent() -> None:
    ours = {PRESSURE: Track("bar", [0, 20_000, 40_000], [1.0, 1.0, 1.0])}
    theirs = {PRESSURE: Track("bar", [0, 20_000, 40_000], [1.0, 2.0, 1.0])}
    phase = Phase("start", 0.0, 0.06, 0.0, 0.0), Phase("stop", 1.0, 0.5, 0.0, 0.0)
    (found,) = signal_report.deviations(ours, theirs, phase, count=100, shift_s=0.0)
    assert (found["max"], found["at_s"]) == (-1.0, 0.02)
    assert found["phases"][0]["max"] == -1.0
    assert found["phases"][1] == dict.fromkeys(("ride_mean", "reference_mean", "max", "rms", "at_s")) | {
        "name": "stop"
    }


@given(st.lists(st.tuples(st.integers(0, 10**7), st.floats(-1e6, 1e6)), unique_by=lambda each: each[0]))
def test_a_held_value_is_one_that_was_told_before_and_not_long_ago(pairs: list[tuple[int, float]]) -> None:
    pairs.sort()
    held = Held(Track("", [us for us, _ in pairs], [value for _, value in pairs]))
    for us in range(-100_000, 10_100_000, 333_333):
        before = [value for at, value in pairs if at <= us]
        value = held.at(us)
        assert value is None or value == before[-1]
    for us, value in pairs:
        assert held.at(us) == value


def test_a_phase_has_the_values_that_were_told_in_it() -> None:
    track = Track("bar", [0, 1_000_000, 2_000_000], [1.0, 2.0, 6.0])
    assert signal_report.within(track, 0.0, 2.0) == Range(1.5, 1.0, 2.0)
    assert signal_report.within(track, 2.0, 3.0) == Range(6.0, 6.0, 6.0)
    assert signal_report.within(track, 0.1, 0.9) is None


def test_a_phase_has_the_words_that_were_told_in_it_in_their_order() -> None:
    words = {"0": "Off", "1": "Ready", "2": "Run"}
    track = Track("", [second * 1_000_000 for second in range(5)], [0.0, 1.0, 1.0, 2.0, 7.0], words)
    assert signal_report.words_within(track, 0.0, 4.0) == ["Off", "Ready", "Run"]
    assert signal_report.words_within(track, 3.0, 5.0) == ["Run", "7"]
    assert signal_report.words_within(track, 0.1, 0.9) == []
    restless = Track("", list(range(20)), [0.0, 1.0] * 10, words)
    assert signal_report.words_within(restless, 0.0, 1.0) == ["Off", "Ready", "Off", "Ready", "Off", "…"]


def test_a_name_cannot_break_the_table() -> None:
    assert signal_report.header({'a.b c;d,"e".f': Track("m/s, or so"), "a.b.c": Track()}) == [
        "a.b_c_d_e_.f_(m/s_or_so)",
        "a.b.c",
    ]
