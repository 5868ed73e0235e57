"""Nodes and their values in a database file: what is kept, forgotten and given back."""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from listener.mesh import store
from listener.mesh.node import Value
from listener.schema import MIGRATIONS

UUID = bytes(range(16))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        for script in MIGRATIONS:
            opened.executescript(script)
        yield opened


def row(ts: float, addr: int = 5, data: bytes = b"\x09\x23", type_name: str = "Temperature") -> store.Row:
    return addr, type_name, ts, data


def read(connection: sqlite3.Connection, addr: int = 5, **more: float) -> list[Value]:
    limit = int(more.pop("limit", 100))
    return store.history(connection, addr, "Temperature", 2, **more, limit=limit)


def test_what_was_measured_is_given_back_as_it_came(connection: sqlite3.Connection) -> None:
    store.add(connection, [(5, UUID, 2.5), (6, b"", None)], [row(1.5), row(2.5, data=b"\0\xff")])
    assert read(connection) == [Value(1.5, b"\x09\x23"), Value(2.5, b"\0\xff")]
    assert read(connection, 6) == []
    assert store.nodes(connection, 10) == [(5, UUID, 2.5), (6, b"", None)]


def test_a_batch_that_is_written_twice_is_there_once(connection: sqlite3.Connection) -> None:
    for seen in (1.0, 2.0):
        store.add(connection, [(5, UUID, seen)], [row(1.0), row(2.0)])
    assert len(read(connection)) == 2
    assert store.nodes(connection, 10) == [(5, UUID, 2.0)]


def test_a_span_has_its_beginning_and_not_its_end_and_the_last_ones_are_given(
    connection: sqlite3.Connection,
) -> None:
    store.add(connection, [], [row(float(ts)) for ts in range(10)])
    assert [ts for ts, _ in read(connection, since=1.0, until=3.0)] == [1.0, 2.0]
    assert [ts for ts, _ in read(connection, limit=3)] == [7.0, 8.0, 9.0]
    assert [ts for ts, _ in read(connection, until=5.0, limit=2)] == [3.0, 4.0]


def test_values_from_when_the_type_had_another_length_are_left_out(connection: sqlite3.Connection) -> None:
    store.add(connection, [], [row(1.0, data=b"\x01"), row(2.0), row(3.0, data=b"\x01\x02\x03")])
    assert [ts for ts, _ in read(connection)] == [2.0]
    assert store.last(connection, [5], {"Temperature": 2}, 10) == [row(2.0)]


def test_the_last_values_of_each_node_and_type_are_found_oldest_first(connection: sqlite3.Connection) -> None:
    rows = [row(float(ts), addr) for ts in range(5) for addr in (5, 6)]
    store.add(connection, [], [*rows, row(9.0, type_name="Gone")])
    assert store.last(connection, [5, 6, 7], {"Temperature": 2, "Battery": 2}, 2) == [
        row(3.0, 5),
        row(4.0, 5),
        row(3.0, 6),
        row(4.0, 6),
    ]


def test_of_too_many_nodes_those_heard_last_are_known(connection: sqlite3.Connection) -> None:
    store.add(connection, [(5, b"", 1.0), (6, b"", 3.0), (7, b"", None), (8, b"", 2.0)], [])
    assert [addr for addr, _, _ in store.nodes(connection, 2)] == [6, 8]
    assert [addr for addr, _, _ in store.nodes(connection, 9)] == [6, 8, 5, 7]


def test_what_is_too_old_and_what_is_too_much_goes_piece_by_piece(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROWS_MAX", 3)
    store.add(connection, [], [row(float(ts)) for ts in range(20)])
    assert store.forget(connection, 4.0, 100) == 3
    assert store.forget(connection, 4.0, 100) == 1
    assert store.forget(connection, 4.0, 14) == 2
    assert [ts for ts, _ in read(connection)] == [float(ts) for ts in range(6, 20)]
    assert store.forget(connection, 0.0, 14) == 0


def test_a_node_goes_with_its_last_value_if_it_was_not_heard_either(connection: sqlite3.Connection) -> None:
    nodes = [(5, b"", 1.0), (6, b"", 9.0), (7, b"", None), (8, b"", 1.0)]
    store.add(connection, nodes, [row(1.0), row(9.0, 8)])
    store.forget(connection, 5.0, 100)
    assert [addr for addr, _, _ in store.nodes(connection, 9)] == [6, 8]


def test_a_node_is_forgotten_with_all_that_it_has_measured(connection: sqlite3.Connection) -> None:
    store.add(connection, [(5, b"", 1.0), (6, b"", 1.0)], [row(1.0), row(2.0, 6)])
    store.forget_node(connection, 5)
    assert read(connection) == []
    assert len(read(connection, 6)) == 1
    assert [addr for addr, _, _ in store.nodes(connection, 9)] == [6]


def test_the_last_values_are_found_by_an_index(connection: sqlite3.Connection) -> None:
    (plan,) = connection.execute(
        "EXPLAIN QUERY PLAN SELECT ts, data FROM mesh_data WHERE addr = ? AND type = ? AND ts >= ? AND ts < ?"
        " AND length(data) = ? ORDER BY ts DESC LIMIT ?",
        (5, "Temperature", 0.0, 9.0, 2, 10),
    )
    assert "USING INDEX" in plan[3]
