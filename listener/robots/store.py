"""Telemetry in the database: functions of a connection, each a part of one transaction."""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from listener.robots.messages import QUANTITIES

# When, which robot, its name, its values
Row = tuple[float, str, str, Sequence[float | None]]

ROWS_MAX: Final = 10_000
_COLUMNS: Final = ", ".join(QUANTITIES)


def add(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Written twice, it is there once."""
    places = ", ".join("?" * (2 + len(QUANTITIES)))
    listed = [(device_id, ts, *values) for ts, device_id, _, values in rows]
    connection.executemany(
        f"INSERT OR IGNORE INTO robot_telemetry (device_id, ts, {_COLUMNS}) VALUES ({places})",  # noqa: S608
        listed,
    )
    names = {device_id: name for _, device_id, name, _ in rows}
    connection.executemany(
        "INSERT INTO robots (device_id, name) VALUES (?, ?)"
        " ON CONFLICT (device_id) DO UPDATE SET name = excluded.name WHERE name <> excluded.name",
        list(names.items()),
    )


def last(connection: sqlite3.Connection) -> list[Row]:
    """The newest of each robot, who was seen last first. By an index, whatever millions there are."""
    rows = connection.execute(
        f"SELECT t.ts, r.device_id, r.name, {_COLUMNS} FROM robots r"  # noqa: S608
        " JOIN robot_telemetry t ON t.device_id = r.device_id AND"
        " t.ts = (SELECT max(ts) FROM robot_telemetry WHERE device_id = r.device_id) ORDER BY t.ts DESC"
    )
    return [(ts, device_id, name, values) for ts, device_id, name, *values in rows]


def forget(connection: sqlite3.Connection, before_ts: float, most: int) -> int:
    """Those that are too old, and the oldest of too many; at most ROWS_MAX at a time."""
    removed = connection.execute(
        "DELETE FROM robot_telemetry WHERE rowid IN"
        " (SELECT rowid FROM robot_telemetry WHERE ts < ? ORDER BY ts LIMIT ?)",
        (before_ts, ROWS_MAX),
    ).rowcount
    (count,) = connection.execute("SELECT count(*) FROM robot_telemetry").fetchone()
    if count > most:
        removed += connection.execute(
            "DELETE FROM robot_telemetry WHERE rowid IN"
            " (SELECT rowid FROM robot_telemetry ORDER BY ts LIMIT ?)",
            (min(count - most, ROWS_MAX),),
        ).rowcount
    if removed:
        # Of whom nothing is left; there may be as many as anybody has made up.
        connection.execute(
            "DELETE FROM robots WHERE NOT EXISTS"
            " (SELECT 1 FROM robot_telemetry t WHERE t.device_id = robots.device_id)"
        )
    return removed


def is_known(connection: sqlite3.Connection, device_id: str) -> bool:
    found = connection.execute("SELECT 1 FROM robots WHERE device_id = ?", (device_id,))
    return found.fetchone() is not None


def telemetry(
    connection: sqlite3.Connection,
    device_id: str,
    *,
    since: float | None,
    until: float | None,
    every_s: float | None,
    limit: int,
) -> Iterator[dict[str, Any]]:
    """Oldest first. With `every_s` the means of so long at a time, at the time of the first of each."""
    span = (device_id, -math.inf if since is None else since, math.inf if until is None else until)
    if every_s is None:
        chosen = f"SELECT ts, {_COLUMNS}, 1"
        grouped = "ORDER BY ts"
        more: tuple[float, ...] = ()
    else:
        means = ", ".join(f"avg({name})" for name in QUANTITIES)
        chosen = f"SELECT min(ts), {means}, count(*)"
        grouped = "GROUP BY CAST(ts / ? AS INTEGER) ORDER BY 1"
        more = (every_s,)
    rows = connection.execute(
        f"{chosen} FROM robot_telemetry WHERE device_id = ? AND ts >= ? AND ts < ? {grouped} LIMIT ?",
        (*span, *more, limit),
    )
    for ts, *values, count in rows:
        yield {"ts": ts, **dict(zip(QUANTITIES, values, strict=True)), "count": count}
