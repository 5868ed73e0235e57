import sqlite3
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from listener.rides import recorder, store
from listener.rides.store import Piece
from mock.profile import s_curve
from tests.listener.rides.bench import TS, Lift
from tests.listener.rides.recording import BOTH, LIFT, Bench

Logs = list[MutableMapping[str, Any]]


def begun(connection: sqlite3.Connection, ride_id: str = "x") -> int:
    return store.begin(
        connection, ride_id, source="les02", start_ts=TS, direction="up", resolution_mm=1.0, specimen=""
    )


async def unfinished(bench: Bench, *bodies: str | bytes) -> None:
    """A ride that has these pieces."""

    def job(connection: sqlite3.Connection) -> None:
        number = begun(connection)
        connection.executemany(
            "INSERT INTO pieces VALUES (?, ?, CAST(? AS TEXT))",
            [(number, piece, body) for piece, body in enumerate(bodies)],
        )

    bench.database.start()
    await bench.database.write(job)


def as_killed(bench: Bench, path: Path) -> Bench:
    with sqlite3.connect(bench.database.path) as connection, sqlite3.connect(path) as copy:
        connection.backup(copy)
    connection.close()
    copy.close()
    return Bench(path)


async def test_a_ride_that_a_kill_has_cut_off_is_closed_as_aborted_at_the_next_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    async with bench.open():
        bench.feed(LIFT.samples(7.0, channels=BOTH))
        await bench.kept()
        as_killed = tmp_path / "killed.db"
        with sqlite3.connect(bench.database.path) as connection, sqlite3.connect(as_killed) as copy:
            connection.backup(copy)
        connection.close()
        copy.close()
    again = Bench(as_killed)
    async with again.open():
        (ride,) = await again.kept()
        kept = await again.database.read(lambda connection: store.events(connection, ride.number))
    (end,) = again.of("ride_end")
    assert (ride.reason, ride.summary["cause"]) == ("aborted", "restart")
    assert ride.end_ts == pytest.approx(TS + 7.0, abs=0.1)
    assert ride.distance_mm == pytest.approx(LIFT.position_mm(7.0) - LIFT.start_mm, abs=40.0)
    assert [event["type"] for event in kept] == ["ride_start", "ride_end"]
    assert end.payload["ride_id"] == ride.id


async def test_a_ride_cut_off_before_anything_was_written_is_closed_too(bench: Bench) -> None:
    bench.database.start()
    await bench.database.write(
        lambda connection: store.begin(
            connection, "x", source="les02", start_ts=TS, direction="up", resolution_mm=1.0, specimen=""
        )
    )
    async with bench.open():
        (ride,) = await bench.kept()
    assert (ride.reason, ride.distance_mm) == ("aborted", 0.0)


async def test_a_ride_that_began_by_turning_is_closed_as_itself_and_not_as_the_one_before_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    up, down = s_curve(3000.0), s_curve(-3000.0)
    turn_s = 3.0 + up.duration_s
    lift = Lift([(3.0, up), (turn_s, down)])
    async with bench.open():
        bench.feed(lift.samples(turn_s + 3.0, channels=BOTH))
        assert len(await bench.kept()) == 2
        again = as_killed(bench, tmp_path / "killed.db")
    async with again.open():
        ride = (await again.kept())[0]
    went_mm = lift.position_mm(turn_s) - lift.position_mm(turn_s + 3.0)
    assert (ride.direction, ride.reason, ride.summary["cause"]) == ("down", "aborted", "restart")
    assert ride.distance_mm == pytest.approx(went_mm, abs=40.0)
    assert ride.start_ts == pytest.approx(TS + turn_s, abs=0.2)
    assert ride.end_ts == pytest.approx(TS + turn_s + 3.0, abs=0.1)
    assert ride.summary["phases"] == []


async def test_a_ride_that_was_over_when_the_kill_came_has_no_phases_either(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recorder, "PIECE_S", 0.0)
    over_s = 3.0 + LIFT.rides[0][1].duration_s
    async with bench.open():
        bench.feed(LIFT.samples(over_s + 1.9, channels=BOTH))
        (ride,) = await bench.kept()
        assert ride.reason is None
        # The last of it was written, and its end was not.
        offsets_us = [round((over_s - 3.0 + 1.9 + n * 0.004) * 1e6) for n in range(250)]
        still = Piece({"master": (offsets_us, [13_000] * 250)})
        number, pieces = ride.number, (await bench.database.read(lambda c: store.progress(c, ride.number)))[0]
        await bench.database.write(lambda c: store.append(c, number, pieces, still))
        again = as_killed(bench, tmp_path / "killed.db")
    async with again.open():
        (ride,) = await again.kept()
    assert (ride.reason, ride.summary["cause"], ride.summary["phases"]) == ("aborted", "restart", [])
    assert ride.distance_mm == pytest.approx(3000.0, abs=1.0)


GOOD = '{"samples":{"master":[[0,4000],[10,14]]}}'


@pytest.mark.parametrize(
    "damaged",
    [
        '{"samples":{"master":[[1,2],[3]]}}',
        '{"samples":{"master":[[1,2],[3,"x"]]}}',
        '{"samples":{"mas',
        b'{"samples":{"m\xffster":[[1],[2]]}}',
        "",
    ],
    ids=str,
)
async def test_a_ride_with_a_damaged_piece_is_closed_with_the_others(
    bench: Bench, logs: Logs, damaged: str | bytes
) -> None:
    await unfinished(bench, GOOD, damaged)
    async with bench.open():
        (ride,) = await bench.kept()
        samples = await bench.database.read(lambda connection: store.samples(connection, ride.number))
    assert (ride.reason, ride.distance_mm, ride.summary["incomplete_s"]) == ("aborted", 4.0, 1.0)
    assert samples == {"master": [(0, 10), (4000, 14)]}
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], line["ride_id"], line["missing_s"]) == ("ride_closed", "x", 1.0)


async def test_a_missing_piece_is_told(bench: Bench) -> None:
    await unfinished(bench, GOOD)
    await bench.database.write(lambda c: store.append(c, 1, 3, Piece({"master": ([9], [10])})))
    async with bench.open():
        (ride,) = await bench.kept()
    assert ride.summary["incomplete_s"] == 2.0


async def test_a_ride_of_which_nothing_makes_sense_is_closed_and_the_others_with_it(
    bench: Bench, logs: Logs
) -> None:
    await unfinished(bench, f'{{"samples":{{"master":[[0],[1{"0" * 400}]]}}}}')
    await bench.database.write(lambda connection: begun(connection, "another"))
    async with bench.open() as rec:
        rides = await bench.kept()
        assert rec.storing == "ok"
    assert [(ride.id, ride.reason, ride.distance_mm) for ride in rides] == [
        ("another", "aborted", 0.0),
        ("x", "aborted", 0.0),
    ]
    assert rides[1].summary == {"distance_mm": 0.0, "duration_s": 0.0, "relevels": 0, "cause": "restart"}
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["ride_damaged"]


async def test_a_disk_that_fails_is_no_defect_of_a_ride(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(connection: sqlite3.Connection, *_arguments: object, **_more: object) -> float:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("INSERT INTO settings VALUES ('much', ?)", ("x" * 1_000_000,))
        raise AssertionError

    await unfinished(bench, GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(store, "finish", fails)
        async with bench.open() as rec:
            assert rec.storing == "full"
            (ride,), _ = await bench.database.read(lambda c: store.rides(c, store.Filter()))
    assert ride.reason is None
