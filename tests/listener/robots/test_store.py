"""Telemetry in a database file: what is kept, forgotten and given back."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from listener.database import Database
from listener.robots import store
from listener.schema import MIGRATIONS

STORED = Path(__file__).parents[1] / "stored"
VALUES = (84.5, 43.2, 35.1, 88.2)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        for script in MIGRATIONS:
            opened.executescript(script)
        yield opened


def read(connection: sqlite3.Connection, device_id: str = "a", **more: Any) -> list[dict[str, Any]]:
    asked = {"since": None, "until": None, "every_s": None, "limit": 100, **more}
    return list(store.telemetry(connection, device_id, **asked))


def row(ts: float, device_id: str = "a", battery: float = 50.0, name: str = "") -> store.Row:
    return ts, device_id, name or device_id, (battery, None, None, None)


def test_what_a_robot_said_is_given_back_as_it_was(connection: sqlite3.Connection) -> None:
    store.add(connection, [(1.5, "a", "Anna", VALUES), (2.5, "a", "Anna", (None, None, -40.0, None))])
    assert read(connection) == [
        {"ts": 1.5, "battery": 84.5, "cpu": 43.2, "temperature": 35.1, "signal": 88.2, "count": 1},
        {"ts": 2.5, "battery": None, "cpu": None, "temperature": -40.0, "signal": None, "count": 1},
    ]
    assert read(connection, "b") == []
    assert store.is_known(connection, "a")
    assert not store.is_known(connection, "b")


def test_a_batch_that_is_written_twice_is_there_once(connection: sqlite3.Connection) -> None:
    batch = [row(1.0), row(2.0)]
    store.add(connection, batch)
    store.add(connection, batch)
    assert len(read(connection)) == 2


def test_a_span_has_its_beginning_and_not_its_end(connection: sqlite3.Connection) -> None:
    store.add(connection, [row(float(ts)) for ts in range(5)])
    assert [each["ts"] for each in read(connection, since=1.0, until=3.0)] == [1.0, 2.0]
    assert [each["ts"] for each in read(connection, since=1.0, limit=2)] == [1.0, 2.0]


def test_means_are_taken_over_so_many_seconds_of_what_was_said(connection: sqlite3.Connection) -> None:
    store.add(connection, [row(10.0, battery=50), row(11.0, battery=60), row(12.5, battery=10)])
    store.add(connection, [(11.5, "a", "a", (None, None, 20.0, None))])
    assert read(connection, every_s=2.0) == [
        {"ts": 10.0, "battery": 55.0, "cpu": None, "temperature": 20.0, "signal": None, "count": 3},
        {"ts": 12.5, "battery": 10.0, "cpu": None, "temperature": None, "signal": None, "count": 1},
    ]


def test_the_newest_of_each_robot_is_found_with_its_latest_name(connection: sqlite3.Connection) -> None:
    store.add(
        connection, [row(1.0, battery=1, name="Anna"), row(5.0, battery=5, name="Berta"), row(3.0, "b")]
    )
    store.add(connection, [row(9.0, "c")])
    found = store.last(connection)
    assert [(ts, device_id, name, values[0]) for ts, device_id, name, values in found] == [
        (9.0, "c", "c", 50.0),
        (5.0, "a", "Berta", 5.0),
        (3.0, "b", "b", 50.0),
    ]
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT max(ts) FROM robot_telemetry WHERE device_id = 'a'"
    ).fetchall()
    assert "SEARCH" in plan[0][3]


def test_what_is_too_old_goes_and_the_oldest_of_too_many(connection: sqlite3.Connection) -> None:
    store.add(connection, [row(float(ts), "a" if ts < 5 else "b") for ts in range(10)])
    assert store.forget(connection, 3.0, 100) == 3
    assert [each["ts"] for each in read(connection)] == [3.0, 4.0]
    assert store.forget(connection, 0.0, 4) == 3
    assert read(connection) == []
    # Of whom nothing is left is not known any more.
    assert not store.is_known(connection, "a")
    assert [each["ts"] for each in read(connection, "b")] == [6.0, 7.0, 8.0, 9.0]
    assert store.forget(connection, 0.0, 4) == 0


def test_so_many_go_at_a_time(connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROWS_MAX", 4)
    store.add(connection, [row(float(ts)) for ts in range(10)])
    assert [store.forget(connection, 100.0, 100) for _ in range(4)] == [4, 4, 2, 0]


async def test_a_file_of_the_third_version_is_migrated_and_nothing_in_it_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "les02.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((STORED / "version-3.sql").read_text())
        before = connection.execute("SELECT * FROM signals").fetchall()
        rides = connection.execute("SELECT * FROM rides ORDER BY number").fetchall()
    database = Database(path)
    database.start()
    await database.write(lambda opened: store.add(opened, [row(1.0)]))
    assert await database.read(lambda opened: len(read(opened))) == 1
    assert await database.read(lambda c: c.execute("PRAGMA user_version").fetchone()) == (len(MIGRATIONS),)
    assert await database.read(lambda c: c.execute("SELECT * FROM signals").fetchall()) == before
    assert await database.read(lambda c: c.execute("SELECT * FROM rides ORDER BY number").fetchall()) == rides
    await database.stop(5.0)
    assert before
    assert rides
