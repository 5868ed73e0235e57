"""Nodes and what they measure in the database: functions of a connection, each a part of one transaction."""

import math
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from listener.mesh.node import Value

# Address, name of the data type, when, octets
Row = tuple[int, str, float, bytes]
# Address, UUID, when it was last heard
NodeRow = tuple[int, bytes, float | None]

ROWS_MAX: Final = 10_000


def add(connection: sqlite3.Connection, nodes: Iterable[NodeRow], rows: Iterable[Row]) -> None:
    """Written twice, it is there once."""
    connection.executemany(
        "INSERT INTO mesh_nodes (addr, uuid, last_seen) VALUES (?, ?, ?)"
        " ON CONFLICT (addr) DO UPDATE SET uuid = excluded.uuid, last_seen = excluded.last_seen",
        nodes,
    )
    connection.executemany(
        "INSERT OR REPLACE INTO mesh_data (addr, type, ts, data) VALUES (?, ?, ?, ?)", rows
    )


def nodes(connection: sqlite3.Connection, most: int) -> list[NodeRow]:
    """Who was heard last first."""
    found = connection.execute(
        "SELECT addr, uuid, last_seen FROM mesh_nodes ORDER BY last_seen DESC NULLS LAST, addr LIMIT ?",
        (most,),
    )
    return found.fetchall()


def last(
    connection: sqlite3.Connection, addrs: Iterable[int], types: Mapping[str, int], depth: int
) -> list[Row]:
    """Of each node and type, oldest first; those of another length than the type has now are left out.

    By an index, whatever millions there are.
    """
    rows: list[Row] = []
    for addr in addrs:
        for name, length in types.items():
            found = history(connection, addr, name, length, limit=depth)
            rows += [(addr, name, ts, data) for ts, data in found]
    return rows


def history(
    connection: sqlite3.Connection,
    addr: int,
    type_name: str,
    length: int,
    *,
    since: float | None = None,
    until: float | None = None,
    limit: int,
) -> list[Value]:
    """The last ones of that span, oldest first."""
    span = (-math.inf if since is None else since, math.inf if until is None else until)
    found = connection.execute(
        "SELECT ts, data FROM mesh_data WHERE addr = ? AND type = ? AND ts >= ? AND ts < ?"
        " AND length(data) = ? ORDER BY ts DESC LIMIT ?",
        (addr, type_name, *span, length, limit),
    )
    return [Value(ts, data) for ts, data in found][::-1]


def forget_stranger(connection: sqlite3.Connection, addr: int) -> None:
    """Its values stay for as long as all do: should it speak again, they are its history."""
    connection.execute("DELETE FROM mesh_nodes WHERE addr = ?", (addr,))


def forget_node(connection: sqlite3.Connection, addr: int) -> None:
    connection.execute("DELETE FROM mesh_data WHERE addr = ?", (addr,))
    connection.execute("DELETE FROM mesh_nodes WHERE addr = ?", (addr,))


def forget(connection: sqlite3.Connection, before_ts: float, most: int) -> int:
    """Values that are too old, and the oldest of too many; at most ROWS_MAX of each at a time."""
    removed = connection.execute(
        "DELETE FROM mesh_data WHERE rowid IN (SELECT rowid FROM mesh_data WHERE ts < ? ORDER BY ts LIMIT ?)",
        (before_ts, ROWS_MAX),
    ).rowcount
    (count,) = connection.execute("SELECT count(*) FROM mesh_data").fetchone()
    if count > most:
        removed += connection.execute(
            "DELETE FROM mesh_data WHERE rowid IN (SELECT rowid FROM mesh_data ORDER BY ts LIMIT ?)",
            (min(count - most, ROWS_MAX),),
        ).rowcount
    # Of whom nothing is left, and who was not heard either for so long: a destroyed octet makes up nodes.
    connection.execute(
        "DELETE FROM mesh_nodes WHERE coalesce(last_seen, 0) < ? AND NOT EXISTS"
        " (SELECT 1 FROM mesh_data d WHERE d.addr = mesh_nodes.addr)",
        (before_ts,),
    )
    return removed
