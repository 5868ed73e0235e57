import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from listener.rides import store
from listener.rides.floors import Floor
from listener.rides.store import Filter, NoSuchRide, Piece
from listener.schema import MIGRATIONS

EVENT = msgspec.Raw(b'{"proto":1,"type":"status","ts":1.5,"source":"les02","payload":{}}')


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    for script in MIGRATIONS:
        connection.executescript(script)
    yield connection
    connection.close()


def begun(connection: sqlite3.Connection, ride_id: str, **more: Any) -> int:
    values: dict[str, Any] = {"source": "les02", "start_ts": 1000.0, "direction": "up"}
    values |= {"resolution_mm": 1.0, "specimen": ""}
    return store.begin(connection, ride_id, **(values | more))


def kept(connection: sqlite3.Connection, ride_id: str, *, distance_mm: float = 3000.0, **more: Any) -> int:
    number = begun(connection, ride_id, **more)
    store.append(connection, number, 0, Piece({"master": ([0, 4000], [10, 11])}, [EVENT]))
    store.append(connection, number, 1, Piece({"master": ([8000], [12]), "slave": ([2000], [10])}))
    end = {"end_ts": 1010.0, "reason": "completed", "summary": {"relevels": 0}}
    store.finish(connection, number, distance_mm=distance_mm, **end)  # type: ignore[arg-type]
    return number


def test_a_ride_in_progress_has_its_samples_and_no_reason(connection: sqlite3.Connection) -> None:
    number = begun(connection, "a")
    store.append(connection, number, 0, Piece({"master": ([0, 4000], [10, 11])}, [EVENT]))
    assert store.find(connection, number).reason is None
    assert store.samples(connection, number) == {"master": [(0, 10), (4000, 11)]}
    assert store.events(connection, number) == [msgspec.json.decode(EVENT)]
    assert store.unfinished(connection) == [number]


def test_a_finished_ride_is_one_array_per_channel_and_its_pieces_are_gone(
    connection: sqlite3.Connection,
) -> None:
    number = kept(connection, "a")
    assert store.samples(connection, number) == {
        "master": [(0, 10), (4000, 11), (8000, 12)],
        "slave": [(2000, 10)],
    }
    assert store.events(connection, number) == [msgspec.json.decode(EVENT)]
    assert store.unfinished(connection) == []
    assert connection.execute("SELECT count(*) FROM pieces").fetchone() == (0,)
    stored = connection.execute("SELECT channel, offsets_us, raw FROM samples ORDER BY channel").fetchall()
    assert stored == [("master", "[0,4000,8000]", "[10,11,12]"), ("slave", "[2000]", "[10]")]
    size = sum(len(row[1]) + len(row[2]) for row in stored) + len(EVENT) + len("[]") + 4 * len("[]")
    assert store.find(connection, number).size == size


def test_every_write_may_be_repeated(connection: sqlite3.Connection) -> None:
    first = begun(connection, "a")
    assert begun(connection, "a") == first
    assert begun(connection, "b") == first + 1, "no number is left out"
    piece = Piece({"master": ([0], [10])}, [EVENT])
    store.append(connection, first, 0, piece)
    store.append(connection, first, 0, piece)
    assert store.samples(connection, first) == {"master": [(0, 10)]}
    end: dict[str, Any] = {"end_ts": 1010.0, "distance_mm": 1.0, "summary": {"relevels": 0}}
    store.finish(connection, first, reason="completed", **end)
    before = list(connection.iterdump())
    store.finish(connection, first, reason="aborted", **end)
    assert list(connection.iterdump()) == before


def test_it_is_known_how_far_the_writing_of_a_ride_has_come(connection: sqlite3.Connection) -> None:
    number = begun(connection, "a")
    assert store.progress(connection, number) == (0, False)
    store.append(connection, number, 0, Piece())
    store.append(connection, number, 1, Piece())
    assert store.progress(connection, number) == (2, False)
    assert store.progress(connection, kept(connection, "b")) == (0, True)


def test_what_a_ride_lacks_is_added_up_in_its_summary(connection: sqlite3.Connection) -> None:
    number = begun(connection, "a")
    store.append(connection, number, 0, Piece({}, [EVENT], missing_s=1.9))
    store.append(connection, number, 1, Piece({"master": ([8000], [12])}))
    store.append(connection, number, 3, Piece({"master": ([1, 2], [3])}))
    end: dict[str, Any] = {"end_ts": 1010.0, "distance_mm": 1.0, "reason": "completed", "summary": {"a": 1}}
    assert store.finish(connection, number, **end, more=[EVENT]) == 3.9
    assert store.find(connection, number).summary == {"a": 1, "incomplete_s": 3.9}
    assert store.samples(connection, number) == {"master": [(8000, 12)]}
    assert store.events(connection, number) == 2 * [msgspec.json.decode(EVENT)]


def test_a_damaged_summary_does_not_hide_the_other_rides(connection: sqlite3.Connection) -> None:
    kept(connection, "a")
    kept(connection, "b")
    kept(connection, "c")
    connection.execute("UPDATE rides SET summary = '{\"relev' WHERE id = 'a'")
    connection.execute("UPDATE rides SET summary = '[]' WHERE id = 'b'")
    store.set_relevels(connection, "a", 1)
    page, _ = store.rides(connection, Filter())
    assert [ride.summary for ride in page] == [{"relevels": 0}, {}, {}]


def test_the_newest_come_first_and_page_by_page(connection: sqlite3.Connection) -> None:
    numbers = [kept(connection, f"ride-{n}") for n in range(7)]
    page, total = store.rides(connection, Filter(), limit=3)
    assert ([ride.number for ride in page], total) == (numbers[:3:-1], 7)
    page, total = store.rides(connection, Filter(), limit=3, before=page[-1].number)
    assert ([ride.number for ride in page], total) == (numbers[3:0:-1], 7)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(direction="down"), [2]),
        (Filter(specimen="V-17"), [3]),
        (Filter(text="screw"), [1]),
        (Filter(text="v-1"), [3]),
        (Filter(since=2000.0), [4]),
        (Filter(until=2000.0, direction="up"), [3, 1]),
        (Filter(distance_min_mm=4000.0), [2]),
        (Filter(distance_max_mm=3500.0, reason="completed"), [4, 3, 1]),
        (Filter(reference=True), [3]),
        (Filter(starred=True), [4]),
        (Filter(reason="aborted"), []),
    ],
    ids=str,
)
def test_rides_are_found_by_what_is_known_of_them(
    connection: sqlite3.Connection, wanted: Filter, expected: list[int]
) -> None:
    kept(connection, "a")
    kept(connection, "b", direction="down", distance_mm=5000.0)
    kept(connection, "c", specimen="V-17")
    kept(connection, "d", start_ts=2500.0)
    store.annotate(connection, 1, note="before the SCREW was turned")
    store.annotate(connection, 3, reference=True)
    store.annotate(connection, 4, starred=True)
    page, total = store.rides(connection, wanted)
    assert ([ride.number for ride in page], total) == (expected, len(expected))


def test_a_ride_is_found_by_number_by_id_and_by_the_beginning_of_its_id(
    connection: sqlite3.Connection,
) -> None:
    first = kept(connection, "3f2a-1111")
    kept(connection, "3f2b-2222")
    third = kept(connection, "04041580-3333")
    assert store.find(connection, "04041580").number == third
    with pytest.raises(NoSuchRide):
        store.find(connection, "0404")
    for which in (first, str(first), "3f2a-1111", "3f2a"):
        assert store.find(connection, which).number == first
    for which, reason in (("3f2", "more than one"), ("77", "no ride"), ("zz", "no ride"), ("%", "no ride")):
        with pytest.raises(NoSuchRide, match=reason):
            store.find(connection, which)


def test_a_deleted_ride_takes_its_samples_along(connection: sqlite3.Connection) -> None:
    store.delete(connection, kept(connection, "a"))
    for table in ("rides", "samples", "pieces"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_the_number_of_a_deleted_ride_is_never_given_again(connection: sqlite3.Connection) -> None:
    store.delete(connection, kept(connection, "a"))
    assert kept(connection, "b") == 2


def test_retention_takes_the_oldest_and_leaves_references_starred_ones_and_the_last(
    connection: sqlite3.Connection,
) -> None:
    for n in range(8):
        kept(connection, f"ride-{n}")
    store.annotate(connection, 1, reference=True)
    store.annotate(connection, 3, starred=True)
    in_progress = begun(connection, "now")
    assert store.retain(connection, most=5, most_bytes=10**9) == [2, 4, 5, 6]
    page, _ = store.rides(connection, Filter())
    assert [ride.number for ride in page] == [in_progress, 8, 7, 3, 1]
    assert store.retain(connection, most=100, most_bytes=1) == [7, 8]
    page, _ = store.rides(connection, Filter())
    assert [ride.number for ride in page] == [in_progress, 3, 1]


def test_floors_and_settings_are_kept(connection: sqlite3.Connection) -> None:
    floors = [Floor(1, 1000.0, 1001.5, 3), Floor(2, 4000.0, 4000.0, 1)]
    store.keep_floors(connection, floors)
    assert store.floors(connection) == floors
    assert store.setting(connection, "specimen", "none") == "none"
    store.set_setting(connection, "specimen", "V-17")
    store.set_setting(connection, "specimen", "V-18")
    store.keep_setting(connection, "specimen", "V-19")
    assert store.setting(connection, "specimen") == "V-18"
    store.keep_setting(connection, "another", "V-19")
    assert store.setting(connection, "another") == "V-19"


def test_re_levels_are_counted_with_the_ride_before_them(connection: sqlite3.Connection) -> None:
    number = kept(connection, "a")
    store.set_relevels(connection, "a", 1)
    store.set_relevels(connection, "a", 2)
    store.set_relevels(connection, "a", 2)
    store.set_relevels(connection, "unknown", 1)
    assert store.find(connection, number).summary == {"relevels": 2}


def test_the_file_can_be_read_with_nothing_but_sqlite(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "les02.db", isolation_level=None)
    for script in MIGRATIONS:
        connection.executescript(script)
    kept(connection, "a")
    query = (
        "SELECT rides.direction, o.value, r.value FROM rides JOIN samples ON ride = rides.number,"
        " json_each(offsets_us) AS o JOIN json_each(raw) AS r ON o.key = r.key WHERE channel = 'master'"
    )
    assert connection.execute(query).fetchall() == [("up", 0, 10), ("up", 4000, 11), ("up", 8000, 12)]
    connection.close()
