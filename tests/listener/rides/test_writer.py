import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import MutableMapping
from typing import Any

import pytest

from listener import events
from listener.commands import CommandError
from listener.database import StorageError
from listener.rides import recorder, store, writer
from mock.profile import Profile, hydraulic, s_curve
from tests.listener.rides.bench import TS, Lift
from tests.listener.rides.recording import BOTH, LIFT, OVER_S, RIDE, Bench

FULL = StorageError("full", "database or disk is full")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)


def there_and_back(count: int) -> tuple[Lift, float]:
    """So many rides, and when they are over."""
    drives: list[tuple[float, Profile]] = []
    at_s = 3.0
    for number in range(count):
        ride = hydraulic(-1000.0 if number % 2 else 1000.0)
        drives.append((at_s, ride))
        at_s += ride.duration_s + 3.0
    return Lift(drives), at_s


async def events_of(bench: Bench, ride: store.Ride) -> list[str]:
    told = await bench.database.read(lambda connection: store.events(connection, ride.number))
    return [event["type"] for event in told]


async def samples_of(bench: Bench, ride: store.Ride) -> store.Samples:
    return await bench.database.read(lambda connection: store.samples(connection, ride.number))


async def test_while_the_disk_fails_nothing_else_does_and_all_is_kept_when_it_works_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    database = bench.database
    database.failing = StorageError("full", "database or disk is full")
    async with bench.open():
        bench.feed(LIFT.samples(OVER_S, channels=BOTH))
        await asyncio.sleep(0.05)
        (failed,) = bench.of("error")
        assert failed.payload["code"] == "storing_failed"
        assert failed.payload["details"] == {"kind": "full", "reason": "database or disk is full"}
        assert len(bench.of("ride_end")) == 1
        assert len(bench.of("position_sample")) == pytest.approx(OVER_S * 500, abs=2)
        database.failing = None
        (ride,) = await bench.kept()
        samples = await database.read(lambda connection: store.samples(connection, ride.number))
    assert ride.reason == "completed"
    assert len(samples["master"]) > (RIDE.duration_s + 2.9) * 250
    (again,) = bench.of("status")
    assert (again.payload["state"], again.payload["pieces_lost"]) == ("storing_again", 0)


async def test_while_the_disk_fails_samples_are_given_up_first_and_a_ride_says_what_it_lacks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    monkeypatch.setattr(writer, "PIECES_MAX", 100)  # two seconds
    lift, over_s = there_and_back(4)
    async with bench.open() as rec:
        bench.feed(lift.samples(5.0, channels=BOTH))
        await bench.kept()
        bench.database.failing = FULL
        bench.feed(lift.samples(over_s, since_s=5.0, channels=BOTH))
        assert rec.counts["pieces_lost"] > 100
        bench.database.failing = None
        rides = await bench.kept()
        told = [await events_of(bench, ride) for ride in rides]
        kept_s = [len((await samples_of(bench, ride))["master"]) * 0.004 for ride in rides[-1:]]
    ends = [end.payload for end in reversed(bench.of("ride_end"))]
    assert [(ride.id, ride.reason) for ride in rides] == [(end["ride_id"], "completed") for end in ends]
    assert told == [["ride_start", "ride_end"]] * 4
    for ride, end in zip(rides, ends, strict=True):
        assert ride.summary == end["summary"] | {"incomplete_s": ride.summary["incomplete_s"]}
    # Of the first one about two seconds were stored before.
    whole_s = rides[-1].summary["duration_s"] + 1.0 + 2.1
    assert kept_s[0] + rides[-1].summary["incomplete_s"] == pytest.approx(whole_s, abs=1.0)
    assert kept_s[0] == pytest.approx(3.0, abs=0.3)
    assert rec.counts["rides_lost"] == 0


async def test_a_long_ride_does_not_stay_in_memory_and_is_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    monkeypatch.setattr(writer, "PIECES_MAX", 100)  # two seconds
    async with bench.open() as rec:
        for second in range(int(OVER_S)):
            bench.feed(LIFT.samples(second + 1.0, since_s=float(second), channels=BOTH))
            await bench.kept()
        bench.feed(LIFT.samples(OVER_S, since_s=float(int(OVER_S)), channels=BOTH))
        (ride,) = await bench.kept()
        samples = await samples_of(bench, ride)
        assert rec.counts["pieces_lost"] == 0
    assert "incomplete_s" not in ride.summary
    assert len(samples["master"]) > (RIDE.duration_s + 2.9) * 250


async def test_rides_that_wait_are_bounded_and_those_that_are_lost_are_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RIDES_MAX", 2)
    lift, over_s = there_and_back(4)
    bench.database.failing = FULL
    async with bench.open() as rec:
        bench.feed(lift.samples(over_s, channels=BOTH))
        assert (rec.waiting, rec.counts["rides_lost"]) == (2, 2)
        bench.database.failing = None
        rides = await bench.kept()
    assert [ride.id for ride in rides] == [end.payload["ride_id"] for end in bench.of("ride_end")[:1:-1]]


async def test_a_write_that_is_under_way_at_the_stop_is_not_done_twice(bench: Bench) -> None:
    async with bench.open() as rec:
        bench.feed(LIFT.samples(9.0, channels=BOTH))
        await bench.kept()
        bench.database.slow_s = 0.2
        bench.feed(LIFT.samples(OVER_S, since_s=9.0, channels=BOTH))
        await asyncio.sleep(0.1)
        assert rec.waiting == 1
    with contextlib.closing(sqlite3.connect(bench.database.path)) as connection:
        (ride,), _ = store.rides(connection, store.Filter())
        told = [event["type"] for event in store.events(connection, ride.number)]
        samples = store.samples(connection, ride.number)
        assert store.progress(connection, ride.number) == (0, True)
    assert (ride.reason, told) == ("completed", ["ride_start", "ride_end"])
    assert ride.size > 20 * len(samples["master"])


async def test_a_re_level_that_is_under_way_at_the_stop_is_counted_once(bench: Bench) -> None:
    lift = Lift([(3.0, RIDE), (OVER_S + 1.0, s_curve(-6.0, 20.0, 100.0, 500.0))])
    async with bench.open():
        bench.feed(lift.samples(OVER_S + 0.5, channels=BOTH))
        await bench.kept()
        bench.database.slow_s = 0.2
        bench.feed(lift.samples(OVER_S + 6.0, since_s=OVER_S + 0.5, channels=BOTH))
        await asyncio.sleep(0.1)
        assert len(bench.of("relevel")) == 1
    with contextlib.closing(sqlite3.connect(bench.database.path)) as connection:
        (ride,), _ = store.rides(connection, store.Filter())
    assert ride.summary["relevels"] == 1


async def test_a_re_level_does_not_bring_a_deleted_ride_back(bench: Bench) -> None:
    lift = Lift([(3.0, RIDE), (OVER_S + 1.0, s_curve(-6.0, 20.0, 100.0, 500.0))])
    async with bench.open():
        bench.feed(lift.samples(OVER_S, channels=BOTH))
        (ride,) = await bench.kept()
        await bench.ask("delete_ride", ride=ride.number)
        bench.feed(lift.samples(OVER_S + 6.0, since_s=OVER_S, channels=BOTH))
        assert len(bench.of("relevel")) == 1
        assert await bench.kept() == []


async def test_a_ride_goes_on_whole_in_a_new_file_with_what_was_set_and_learnt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    lift, over_s = there_and_back(2)
    second_s = over_s / 2 + 3.0

    def breaks(connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")
        bench.database._close()
        bench.database.path.write_bytes(b"garbage!" * 4096)

    async with bench.open() as rec:
        await bench.ask("set_specimen", specimen="V-1")
        bench.feed(lift.samples(second_s, channels=BOTH))
        assert len(await bench.kept()) == 2
        assert rec.ride is not None
        with pytest.raises(StorageError):
            await bench.database.read(breaks)
        bench.feed(lift.samples(second_s + 0.5, since_s=second_s, channels=BOTH))
        (ride,) = await bench.kept()
        assert ride.reason is None
        assert await bench.database.read(lambda c: store.setting(c, "specimen")) == "V-1"
        assert [floor.position_mm for floor in await bench.database.read(store.floors)] == [11_000.0]
        bench.feed(lift.samples(over_s, since_s=second_s + 0.5, channels=BOTH))
        (ride,) = await bench.kept()
        samples = await samples_of(bench, ride)
        told = await events_of(bench, ride)
    assert (ride.reason, ride.specimen, ride.direction) == ("completed", "V-1", "down")
    assert "incomplete_s" not in ride.summary
    assert samples["master"][0][0] == pytest.approx(-1_000_000, abs=5000)
    assert len(samples["master"]) == pytest.approx((ride.summary["duration_s"] + 3.1) * 250, abs=30)
    assert told == ["ride_start", "error", "ride_end"]
    assert bench.troubles() == [("database_moved_aside", "corrupt")]


async def test_what_has_been_set_in_a_file_is_not_set_again(bench: Bench) -> None:
    """Another specimen is just being set."""
    async with bench.open() as rec:
        await bench.database.write(lambda connection: store.set_setting(connection, "specimen", "V-2"))
        rec.specimen = "V-1"
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        await bench.kept()
        assert await bench.database.read(lambda c: store.setting(c, "specimen")) == "V-2"


async def test_a_defect_costs_the_ride_in_which_it_shows_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, logs: list[MutableMapping[str, Any]]
) -> None:
    def defective(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError

    lift, over_s = there_and_back(2)
    second_s = over_s / 2
    async with bench.open() as rec:
        with monkeypatch.context() as patch:
            patch.setattr(store, "append", defective)
            bench.feed(lift.samples(second_s, channels=BOTH))
            assert await bench.kept() == []
            assert rec.waiting == 0
        assert (rec.storing, rec.counts["rides_lost"]) == ("failed", 1)
        bench.feed(lift.samples(over_s, since_s=second_s, channels=BOTH))
        (ride,) = await bench.kept()
        assert not bench.writing.done()
    assert ride.id == bench.of("ride_end")[1].payload["ride_id"]
    assert bench.troubles() == [("storing_failed", "failed"), ("storing_again", "failed")]
    assert [line["event"] for line in logs if line.get("exc_info")] == ["ride_given_up"]


async def test_a_stop_while_the_disk_fails_says_how_many_rides_are_lost(
    bench: Bench, logs: list[MutableMapping[str, Any]]
) -> None:
    async with bench.open():
        bench.database.failing = FULL
        bench.feed(LIFT.samples(OVER_S, channels=BOTH))
    (line,) = [line for line in logs if line["event"] == "rides_not_written"]
    assert (line["log_level"], line["rides"], line["storing"]) == ("error", 1, "full")


async def test_a_stop_in_time_has_nothing_to_say(bench: Bench, logs: list[MutableMapping[str, Any]]) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
    assert [line["event"] for line in logs if line["log_level"] == "error"] == []


async def test_floors_and_specimen_that_could_not_be_read_at_the_start_are_not_lost(bench: Bench) -> None:
    lift, over_s = there_and_back(2)
    async with bench.open():
        bench.feed(lift.samples(over_s, channels=BOTH))
        await bench.ask("set_specimen", specimen="V-1")
        await bench.kept()
    other = Bench(bench.database.path)
    lock = sqlite3.connect(bench.database.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    async with other.open() as rec:
        assert (rec.storing, rec.floors) == ("locked", None)
        other.feed(Lift([(3.0, RIDE)], start_mm=20_000.0).samples(OVER_S, channels=BOTH))
        lock.close()
        ride = (await other.kept())[0]
        assert rec.specimen == ride.specimen == "V-1"
        assert ride.summary["stop_floor"] is None
        floors = await other.database.read(store.floors)
        assert [floor.position_mm for floor in floors] == [11_000.0, 10_000.0]
        assert list(rec.floors or ()) == floors[::-1]
    assert other.troubles() == [("storing_failed", "locked"), ("storing_again", "locked")]


async def test_a_disk_that_does_not_answer_does_not_hold_the_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "LOAD_S", 0.05)
    free = threading.Event()
    bench.database.start()
    hanging = asyncio.ensure_future(bench.database.read(lambda _connection: free.wait(5)))
    async with bench.open() as rec:
        assert rec.storing == "slow"
        bench.feed(LIFT.samples(OVER_S, channels=BOTH))
        free.set()
        (ride,) = await bench.kept()
        await hanging
    assert ride.reason == "completed"
    assert bench.troubles() == [("storing_failed", "slow"), ("storing_again", "slow")]


async def test_two_listeners_do_not_share_a_file_and_the_second_begins_when_the_first_has_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    second = Bench(bench.database.path)
    lift, over_s = there_and_back(3)
    async with contextlib.AsyncExitStack() as later:
        async with bench.open():
            bench.feed(LIFT.samples(7.0, channels=BOTH))
            await bench.kept()
            rec = await later.enter_async_context(second.open())
            assert rec.storing == "in_use"
            second.feed(lift.samples(over_s * 2 / 3 + 2.5, channels=BOTH))
            assert len(second.of("ride_end")) == 2
            assert len(second.of("position_sample")) > 1000
            with pytest.raises(CommandError, match="another listener"):
                await second.ask("list_rides")
            bench.feed(LIFT.samples(OVER_S, since_s=7.0, channels=BOTH))
            (ride,) = await bench.kept()
            samples = await samples_of(bench, ride)
            assert ride.reason == "completed"
            assert len(samples["master"]) > (RIDE.duration_s + 2.9) * 250
            assert "incomplete_s" not in ride.summary
        second.feed(lift.samples(over_s, since_s=over_s * 2 / 3 + 2.5, channels=BOTH))
        rides = await second.kept()
        whole = await samples_of(second, rides[0])
        assert rec.storing == "ok"
    # The first two the other one keeps, if it sees the same lift; the third was in progress when it ended.
    assert [each.id for each in rides] == [second.of("ride_end")[2].payload["ride_id"], ride.id]
    assert len(whole["master"]) == pytest.approx((rides[0].summary["duration_s"] + 3.1) * 250, abs=30)
    assert second.troubles() == [("storing_failed", "in_use"), ("storing_again", "in_use")]
    assert bench.troubles() == []


async def test_what_ends_in_another_run_is_no_event_of_the_ride_in_progress(bench: Bench) -> None:
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        bench.hub.publish(events.ride_end(TS, "another", "aborted", {}))
        bench.feed(LIFT.samples(OVER_S, since_s=7.0, channels=BOTH))
        (ride,) = await bench.kept()
        assert await events_of(bench, ride) == ["ride_start", "ride_end"]


async def test_a_defect_in_reading_what_is_there_is_told_and_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, logs: list[MutableMapping[str, Any]]
) -> None:
    def defective(_connection: object) -> None:
        raise ZeroDivisionError

    async with contextlib.AsyncExitStack() as stack:
        with monkeypatch.context() as patch:
            patch.setattr(store, "floors", defective)
            rec = await stack.enter_async_context(bench.open())
            bench.feed(LIFT.samples(OVER_S, channels=BOTH))
            await asyncio.sleep(0.1)
            assert (rec.storing, rec.waiting) == ("failed", 1)
        (ride,) = await bench.kept()
        assert (ride.reason, rec.storing) == ("completed", "ok")
    assert [line["event"] for line in logs if line.get("exc_info")] == ["rides_not_read"]
