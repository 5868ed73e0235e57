import contextlib
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from listener import events
from listener.rides import recorder, store
from listener.schema import MIGRATIONS
from mock.profile import hydraulic, s_curve
from tests.listener.rides.bench import TS, Lift
from tests.listener.rides.recording import BOTH, LIFT, OVER_S, RIDE, Bench

STORED = Path(__file__).parents[1] / "stored"


async def test_a_ride_is_told_kept_and_read_again(bench: Bench) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(OVER_S, channels=BOTH))
        (ride,) = await bench.kept()
        samples = await bench.database.read(lambda connection: store.samples(connection, ride.number))
        kept = await bench.database.read(lambda connection: store.events(connection, ride.number))
    start, end = bench.of("ride_start", "ride_end")
    assert (start.type, start.payload["direction"]) == ("ride_start", "up")
    assert (end.type, end.payload["reason"]) == ("ride_end", "completed")
    summary = end.payload["summary"]
    assert summary["distance_mm"] == pytest.approx(3000.0, abs=1.0)
    assert summary["duration_s"] == pytest.approx(RIDE.duration_s, abs=0.05)
    assert [phase["name"] for phase in summary["phases"]] == [
        "start",
        "acceleration",
        "full_speed",
        "deceleration",
        "creep",
        "stop",
    ]
    assert (ride.id, ride.reason, ride.direction) == (start.payload["ride_id"], "completed", "up")
    assert (ride.start_ts, ride.end_ts) == (start.ts, end.ts)
    assert ride.summary == summary
    assert [event["type"] for event in kept] == ["ride_start", "ride_end"]
    # From a second before the ride to the moment when it was known to be over, every frame.
    for channel, offset_s in (("master", 0.0), ("slave", 0.002)):
        first, last = samples[channel][0], samples[channel][-1]
        assert first[0] / 1e6 == pytest.approx(-1.0, abs=0.004)
        assert last[0] / 1e6 > RIDE.duration_s + bench.config.hold_s
        assert len(samples[channel]) == pytest.approx((last[0] - first[0]) / 4000 + 1, abs=1)
        for offset_us, raw in samples[channel]:
            at_s = ride.start_ts - TS + offset_us / 1e6
            assert raw == pytest.approx(LIFT.position_mm(at_s), abs=0.6), offset_s


async def test_positions_of_a_ride_carry_its_id_and_motions_come_every_20_ms(bench: Bench) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(OVER_S, channels=BOTH))
    start, end = bench.of("ride_start", "ride_end")
    during = [
        e.payload.get("ride_id") for e in bench.told[bench.told.index(start) :] if e.type == "position_sample"
    ]
    before = [
        e.payload.get("ride_id") for e in bench.told[: bench.told.index(start)] if e.type == "position_sample"
    ]
    assert Counter(before) == {None: len(before)}
    assert Counter(during)[start.payload["ride_id"]] > RIDE.duration_s * 450
    after = [e for e in bench.told[bench.told.index(end) :] if e.type == "position_sample"]
    assert all("ride_id" not in event.payload for event in after[recorder.BATCH :])
    motions = bench.of("motion_sample")
    assert len(motions) == pytest.approx(OVER_S / 0.02, abs=25)
    for event in motions:
        assert event.payload["velocity_mm_s"] == pytest.approx(LIFT.velocity_mm_s(event.ts - TS), abs=12.0)


async def test_a_ride_in_progress_is_told_to_who_comes_later(bench: Bench) -> None:
    async with bench.open() as recorder:
        before = recorder.ride
        bench.feed(LIFT.samples(6.0, channels=BOTH))
        now = recorder.ride
    assert before is None
    assert now is not None
    assert now["ride_id"] == bench.of("ride_start")[0].payload["ride_id"]


async def test_a_ride_in_progress_is_on_the_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        (ride,) = await bench.kept()
        samples = await bench.database.read(lambda connection: store.samples(connection, ride.number))
        assert ride.reason is None
        assert samples["master"][-1][0] / 1e6 == pytest.approx(7.0 - 3.0, abs=0.1)


@pytest.mark.parametrize("state", ["bus_lost", "no_data", "locked", "clock_step"])
async def test_a_ride_whose_end_nobody_sees_is_aborted(bench: Bench, state: str) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        bench.hub.publish(events.status(TS + 7.0, "system", state))
        (ride,) = await bench.kept()
    (end,) = bench.of("ride_end")
    assert (end.payload["reason"], end.payload["summary"]["cause"]) == ("aborted", state)
    assert (ride.reason, ride.summary["cause"]) == ("aborted", state)


async def test_one_channel_that_falls_silent_does_not_end_a_ride(bench: Bench) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        bench.hub.publish(events.status(TS + 7.0, "slave", "no_data"))
        bench.feed(LIFT.samples(OVER_S, since_s=7.0))
        (ride,) = await bench.kept()
    assert ride.reason == "completed"


@pytest.mark.parametrize(
    ("states", "cause"),
    [
        ([("slave", "no_data"), ("master", "locked")], "locked"),
        ([("master", "locked"), ("slave", "no_data")], "no_data"),
        ([("slave", "locked"), ("slave", "receiving"), ("master", "locked")], None),
        ([("slave", "no_data"), ("system", "receiving"), ("master", "no_data")], None),
        ([("slave", "no_data"), ("master", "starting_up")], None),
    ],
)
async def test_a_ride_is_over_when_neither_channel_speaks_whatever_keeps_them_silent(
    bench: Bench, states: list[tuple[str, str]], cause: str | None
) -> None:
    async with bench.open() as recorder:
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        for channel, state in states:
            bench.hub.publish(events.status(TS + 7.0, channel, state))
        assert (recorder.ride is None) == (cause is not None)
    (end,) = bench.of("ride_end")
    assert end.payload["summary"]["cause"] == (cause or "stopped")


async def test_the_first_piece_of_a_ride_on_the_disk_has_its_beginning(bench: Bench) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(4.5, channels=BOTH))
        (ride,) = await bench.kept()
        kept = await bench.database.read(lambda connection: store.events(connection, ride.number))
        assert await bench.database.read(lambda c: store.progress(c, ride.number)) == (1, False)
    assert [event["type"] for event in kept] == ["ride_start"]


async def test_a_daemon_that_stops_in_mid_ride_has_told_and_kept_it(bench: Bench) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
    (end,) = bench.of("ride_end")
    assert end.payload["reason"] == "aborted"
    with sqlite3.connect(bench.database.path) as connection:
        assert connection.execute("SELECT reason FROM rides").fetchall() == [("aborted",)]
    connection.close()


async def test_what_else_happens_during_a_ride_is_kept_with_it(bench: Bench) -> None:
    async with bench.open():
        bench.hub.publish(events.error(TS, "master", "before", {}))
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        bench.hub.publish(events.error(TS + 7.0, "master", "unknown_0x01", {"raw": "01"}))
        bench.feed(LIFT.samples(OVER_S, since_s=7.0, channels=BOTH))
        bench.hub.publish(events.error(TS + OVER_S, "master", "after", {}))
        (ride,) = await bench.kept()
        kept = await bench.database.read(lambda connection: store.events(connection, ride.number))
    assert [(event["type"], event["payload"].get("code")) for event in kept] == [
        ("ride_start", None),
        ("error", "unknown_0x01"),
        ("ride_end", None),
    ]


# What a robot, a CAN device or a radio mesh may say, some of it in the sensor's own words.
NEIGHBOURS = [
    events.status(TS, "robot_01", "bus_lost", "robots", message="hello"),
    events.status(TS, "robot_01", "clock_step", "robots"),
    events.status(TS, "master", "no_data", "robots"),
    events.status(TS, "slave", "locked", "robots"),
    events.status(TS, "system", "bus_lost", "workbench"),
    events.error(TS, "system", "signals_unknown", {"signals": [], "reason": ""}, "workbench"),
    events.gap(TS, "bus", 3, TS, TS, "mesh"),
    events.ride_end(TS, "another", "aborted", {}, "mesh"),
    events.system(TS, "master", "locked", "", "mesh"),
    events.motion_sample(TS, 1.0, 1.0, 1.0, "mesh"),
    events.position_sample(TS, "master", 999_999, "mesh"),
    events.EventEnvelope(1, "node_data", TS, "mesh", {"node": 7}),
    events.EventEnvelope(1, "traffic", TS, "mesh", {}),
]


async def test_what_other_instruments_say_neither_ends_a_ride_nor_is_kept_with_it(bench: Bench) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        for _ in range(400):
            for event in NEIGHBOURS:
                bench.hub.publish(event)
        bench.feed(LIFT.samples(OVER_S, since_s=7.0, channels=BOTH))
        (ride,) = await bench.kept()
        kept = await bench.database.read(lambda connection: store.events(connection, ride.number))
        samples = await bench.database.read(lambda connection: store.samples(connection, ride.number))
    assert (ride.reason, ride.summary["cause"]) == ("completed", None)
    assert [event["type"] for event in kept] == ["ride_start", "ride_end"]
    assert 999_999 not in {raw for _, raw in samples["master"]}
    assert "ride_id" not in next(e for e in NEIGHBOURS if e.type == "position_sample").payload
    assert bench.of("error")[0].source == "workbench"
    assert all(event.source != "les02" for event in bench.of("error"))


async def test_other_instruments_do_not_silence_a_channel_for_the_rides_to_come(bench: Bench) -> None:
    async with bench.open() as recorder:
        for event in NEIGHBOURS:
            bench.hub.publish(event)
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        bench.hub.publish(events.status(TS + 7.0, "slave", "no_data"))
        assert recorder.ride is not None


async def test_events_of_a_ride_are_bounded_and_its_end_is_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "EVENTS_MAX", 20)
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        for number in range(100):
            bench.hub.publish(events.status(TS + 7.0, "slave", "locked" if number % 2 else "receiving"))
        bench.feed(LIFT.samples(OVER_S, since_s=7.0, channels=BOTH))
        (ride,) = await bench.kept()
        kept = await bench.database.read(lambda connection: store.events(connection, ride.number))
    assert [event["type"] for event in kept] == ["ride_start", *["status"] * 19, "gap", "ride_end"]
    assert kept[-2]["payload"]["where"] == "ride"
    assert ride.reason == "completed"


async def test_channels_that_disagree_are_told_and_when_they_agree_again(bench: Bench) -> None:
    async with bench.open():
        bench.feed(Lift().samples(1.0, channels=BOTH, slave_off_mm=15.0))
        bench.feed(Lift().samples(2.0, since_s=1.0, channels=BOTH))
    (raised,) = bench.of("error")
    (cleared,) = bench.of("status")
    assert (raised.payload["channel"], raised.payload["code"]) == ("system", "channels_disagree")
    assert (cleared.payload["state"], cleared.payload["code"]) == ("well_again", "channels_disagree")


async def test_a_partial_ride_did_not_start_at_the_floor_where_it_was_first_seen(bench: Bench) -> None:
    down = hydraulic(-3000.0)
    second_s = OVER_S + 3.0
    lift = Lift([(3.0, RIDE), (second_s, down)], start_mm=1000.0)
    async with bench.open():
        bench.feed(lift.samples(OVER_S, channels=BOTH))
        # It is seen again when it has left its floor by less than what makes another one.
        seen_s = next(t / 100 for t in range(10_000) if lift.position_mm(second_s + t / 100) < 3960.0)
        bench.feed(lift.samples(second_s + down.duration_s + 3.0, since_s=second_s + seen_s, channels=BOTH))
        await bench.kept()
    summary = bench.of("ride_end")[-1].payload["summary"]
    assert summary["partial"]
    assert summary["start_floor"] is None


async def test_stops_are_learnt_as_floors_and_survive_a_restart(bench: Bench) -> None:
    down = hydraulic(-3000.0)
    lift = Lift([(3.0, RIDE), (3.0 + RIDE.duration_s + 3.0, down)], start_mm=1000.0)
    until_s = 3.0 + RIDE.duration_s + 3.0 + down.duration_s + 3.0
    async with bench.open():
        bench.feed(lift.samples(until_s, channels=BOTH))
        await bench.kept()
    first, second = (end.payload["summary"] for end in bench.of("ride_end"))
    assert (first["start_floor"], first["stop_floor"], first["stop_offset_mm"]) == (None, 0, None)
    assert (second["start_floor"], second["stop_floor"]) == (1, 0)
    async with bench.open() as again:
        assert [round(floor.position_mm) for floor in again.floors or ()] == [1000, 4000]


async def test_a_re_level_after_a_ride_is_told_and_counted_with_it(bench: Bench) -> None:
    level = s_curve(-6.0, 20.0, 100.0, 500.0)
    lift = Lift([(3.0, RIDE), (OVER_S + 1.0, level)])
    async with bench.open():
        bench.feed(lift.samples(OVER_S + 6.0, channels=BOTH))
        (ride,) = await bench.kept()
    (relevel,) = bench.of("relevel")
    assert relevel.payload["distance_mm"] == pytest.approx(-6.0, abs=1.0)
    assert ride.summary["relevels"] == 1
    assert len(bench.of("ride_start")) == 1


async def test_a_ride_that_was_ordered_says_how_far_it_shall_go(bench: Bench) -> None:
    async with bench.open() as recorder:
        recorder.expect(3000.0)
        bench.feed(LIFT.samples(OVER_S, channels=BOTH))
    (start,) = bench.of("ride_start")
    assert (start.payload["expected_distance"], start.payload["unit"]) == (3000.0, "mm")


async def test_an_order_for_the_other_direction_is_not_meant(bench: Bench) -> None:
    async with bench.open() as recorder:
        recorder.expect(-3000.0)
        bench.feed(LIFT.samples(OVER_S, channels=BOTH))
    (start,) = bench.of("ride_start")
    assert "expected_distance" not in start.payload


async def test_a_file_of_the_first_version_is_migrated_and_nothing_in_it_is_lost(bench: Bench) -> None:
    """As that version has left it, a ride in progress included."""
    with contextlib.closing(sqlite3.connect(bench.database.path)) as connection:
        connection.executescript((STORED / "version-1.sql").read_text())
    async with bench.open() as recorder:
        kept = await bench.kept()
        assert [floor.position_mm for floor in recorder.floors or ()] == [1001.5, 4000.0]
        assert recorder.specimen == "V-17"
        samples = await bench.database.read(lambda connection: store.samples(connection, 1))
        curve = await bench.database.read(lambda connection: store.curve(connection, 1))
        version = await bench.database.read(lambda c: c.execute("PRAGMA user_version").fetchone())
    assert version == (len(MIGRATIONS),)
    assert [(ride.number, ride.reason, ride.is_reference, ride.is_starred) for ride in kept] == [
        (2, "aborted", False, False),
        (1, "completed", True, False),
    ]
    assert kept[1].note == "screw 2 a quarter turn out"
    assert samples == {
        "master": [(0, 1000), (4000, 1000), (8000, 1001)],
        "slave": [(2000, 1000), (6000, 1001)],
    }
    assert curve["velocity_mm_s"] == [0.0, 2.5]
