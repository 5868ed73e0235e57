"""Rides in the database: functions of a connection, each a part of one transaction. `lesrides` uses the same.

A ride in progress is a row without a reason, and pieces of about a second. Its end makes of the pieces
one JSON array per channel. Whoever finds it without an end later closes it as `aborted`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from listener.rides.floors import Floor
from listener.rides.motion import Motion

# channel -> [(microseconds after the start, raw)]
Samples = dict[str, list[tuple[int, int]]]

_encode = msgspec.json.Encoder().encode
LIST_LIMIT: Final = 500
# What is added to a ride after all of its pieces.
LAST_PIECE: Final = 2**31
_ROW: Final = (
    "number, id, source, start_ts, end_ts, direction, distance_mm, reason, summary, resolution_mm,"
    " specimen, note, is_reference, is_starred, size"
)


class NoSuchRide(LookupError):  # noqa: N818 - what there is none of
    """The text names it."""


class Piece(msgspec.Struct):
    """What has come since the last one."""

    samples: dict[str, tuple[list[int], list[int]]] = {}
    events: list[msgspec.Raw] = []


class Ride(msgspec.Struct, kw_only=True):
    number: int
    id: str
    source: str
    start_ts: float
    end_ts: float | None
    direction: str
    distance_mm: float | None
    reason: str | None
    summary: dict[str, Any]
    resolution_mm: float
    specimen: str
    note: str
    is_reference: bool
    is_starred: bool
    size: int


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    """Of these, whatever is given must be so."""

    direction: str | None = None
    reason: str | None = None
    specimen: str | None = None
    text: str | None = None  # in the note or the specimen
    since: float | None = None
    until: float | None = None
    distance_min_mm: float | None = None
    distance_max_mm: float | None = None
    reference: bool | None = None
    starred: bool | None = None


def begin(
    connection: sqlite3.Connection,
    ride_id: str,
    *,
    source: str,
    start_ts: float,
    direction: str,
    resolution_mm: float,
    specimen: str,
) -> int:
    """Its number. Again for the same ride, as after a failure, it changes nothing."""
    # Not ON CONFLICT DO NOTHING, which uses up a number each time.
    row = connection.execute("SELECT number FROM rides WHERE id = ?", (ride_id,)).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO rides (id, source, start_ts, direction, resolution_mm, specimen)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING number",
            (ride_id, source, start_ts, direction, resolution_mm, specimen),
        ).fetchone()
    return int(row[0])


def append(connection: sqlite3.Connection, number: int, piece_number: int, piece: Piece) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO pieces (ride, number, body) VALUES (?, ?, ?)",
        (number, piece_number, _encode(piece).decode()),
    )


def finish(
    connection: sqlite3.Connection,
    number: int,
    *,
    end_ts: float,
    distance_mm: float,
    reason: str,
    summary: dict[str, Any],
    motions: Sequence[Motion] = (),
) -> None:
    samples, events = _joined(connection, number)
    size = 0
    for channel, (offsets_us, raw) in samples.items():
        texts = _encode(offsets_us).decode(), _encode(raw).decode()
        connection.execute("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", (number, channel, *texts))
        size += sum(map(len, texts))
    size += _keep_curve(connection, number, motions)
    text = _encode(events).decode()
    connection.execute(
        "UPDATE rides SET end_ts = ?, distance_mm = ?, reason = ?, summary = ?, events = ?, size = ?"
        " WHERE number = ?",
        (end_ts, distance_mm, reason, _encode(summary).decode(), text, size + len(text), number),
    )
    connection.execute("DELETE FROM pieces WHERE ride = ?", (number,))


def _keep_curve(connection: sqlite3.Connection, number: int, motions: Sequence[Motion]) -> int:
    (start_ts,) = connection.execute("SELECT start_ts FROM rides WHERE number = ?", (number,)).fetchone()
    columns = (
        [round((motion.ts - start_ts) * 1e6) for motion in motions],
        [round(motion.position_mm, 2) for motion in motions],
        [round(motion.velocity_mm_s, 1) for motion in motions],
        [round(motion.acceleration_mm_s2) for motion in motions],
    )
    texts = [_encode(column).decode() for column in columns]
    connection.execute("INSERT OR REPLACE INTO curves VALUES (?, ?, ?, ?, ?)", (number, *texts))
    return sum(map(len, texts))


def unfinished(connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT number FROM rides WHERE reason IS NULL")]


def count_relevel(connection: sqlite3.Connection, ride_id: str) -> None:
    connection.execute(
        "UPDATE rides SET summary = json_set(summary, '$.relevels', json_extract(summary, '$.relevels') + 1)"
        " WHERE id = ?",
        (ride_id,),
    )


def update_summary(connection: sqlite3.Connection, number: int, summary: dict[str, Any]) -> None:
    connection.execute("UPDATE rides SET summary = ? WHERE number = ?", (_encode(summary).decode(), number))


def rides(
    connection: sqlite3.Connection, wanted: Filter, *, limit: int = 50, before: int | None = None
) -> tuple[list[Ride], int]:
    """The newest first, from below the number `before` on; and how many there are of them altogether."""
    conditions, values = _conditions(wanted)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    (total,) = connection.execute(f"SELECT count(*) FROM rides{where}", values).fetchone()  # noqa: S608
    if before is not None:
        where += f"{' AND' if conditions else ' WHERE'} number < ?"
        values.append(before)
    rows = connection.execute(
        f"SELECT {_ROW} FROM rides{where} ORDER BY number DESC LIMIT ?",  # noqa: S608
        (*values, min(limit, LIST_LIMIT)),
    )
    return [_ride(row) for row in rows], total


def find(connection: sqlite3.Connection, which: str | int) -> Ride:
    """By its number, its id, or the beginning of its id if that is enough to tell."""
    text = str(which)
    begin_of_id = (text, text + "\N{REPLACEMENT CHARACTER}")
    rows: list[Any] = []
    if text.isdecimal() and len(text) < 10:
        rows = connection.execute(f"SELECT {_ROW} FROM rides WHERE number = ?", (text,)).fetchall()  # noqa: S608
    # A number that was mistyped must not find a ride whose id happens to begin with it.
    if not rows and (not text.isdecimal() or len(text) >= 8):
        query = f"SELECT {_ROW} FROM rides WHERE id >= ? AND id < ? LIMIT 2"  # noqa: S608
        rows = connection.execute(query, begin_of_id).fetchall()
    if len(rows) != 1:
        raise NoSuchRide(f"{'more than one ride begins' if rows else 'there is no ride'} with {text[:40]!r}")
    return _ride(rows[0])


def columns(connection: sqlite3.Connection, number: int) -> dict[str, tuple[list[int], list[int]]]:
    """Of each channel the microseconds after the start, and the raw positions."""
    stored = connection.execute("SELECT channel, offsets_us, raw FROM samples WHERE ride = ?", (number,))
    found = {channel: (_ints(offsets_us), _ints(raw)) for channel, offsets_us, raw in stored}
    return found or _joined(connection, number)[0]


def curve(connection: sqlite3.Connection, number: int) -> dict[str, list[float]]:
    """What was derived from its samples; empty of a ride in progress."""
    row = connection.execute(
        "SELECT offsets_us, position_mm, velocity_mm_s, acceleration_mm_s2 FROM curves WHERE ride = ?",
        (number,),
    ).fetchone()
    names = ("offsets_us", "position_mm", "velocity_mm_s", "acceleration_mm_s2")
    return dict(zip(names, map(msgspec.json.decode, row or ["[]"] * len(names)), strict=True))


def samples(connection: sqlite3.Connection, number: int) -> Samples:
    found = columns(connection, number)
    return {channel: list(zip(*both, strict=True)) for channel, both in found.items()}


def events(connection: sqlite3.Connection, number: int) -> list[dict[str, Any]]:
    (text,) = connection.execute("SELECT events FROM rides WHERE number = ?", (number,)).fetchone()
    stored: list[dict[str, Any]] = msgspec.json.decode(text)
    if stored:
        return stored
    return [msgspec.json.decode(event) for event in _joined(connection, number)[1]]


def annotate(connection: sqlite3.Connection, number: int, **values: str | bool) -> None:
    known = {"note": "note", "specimen": "specimen", "reference": "is_reference", "starred": "is_starred"}
    for name, value in values.items():
        connection.execute(f"UPDATE rides SET {known[name]} = ? WHERE number = ?", (value, number))  # noqa: S608


def delete(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM rides WHERE number = ?", (number,))


def retain(connection: sqlite3.Connection, *, most: int, most_bytes: int) -> list[int]:
    """Deletes the oldest that are too many or too large; references, starred ones and the last are kept."""
    gone: list[int] = []
    count, size = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM rides").fetchone()
    rows = connection.execute(
        "SELECT number, size FROM rides WHERE reason IS NOT NULL AND NOT is_reference AND NOT is_starred"
        " AND number < (SELECT max(number) FROM rides) ORDER BY number"
    )
    for number, its_size in rows:
        if count <= most and size <= most_bytes:
            break
        gone.append(number)
        count -= 1
        size -= its_size
    connection.executemany("DELETE FROM rides WHERE number = ?", [(number,) for number in gone])
    return gone


def floors(connection: sqlite3.Connection) -> list[Floor]:
    return [Floor(*row) for row in connection.execute("SELECT key, first_mm, position_mm, stops FROM floors")]


def keep_floors(connection: sqlite3.Connection, learnt: Iterable[Floor]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO floors (key, first_mm, position_mm, stops) VALUES (?, ?, ?, ?)",
        [(floor.key, floor.first_mm, floor.position_mm, floor.stops) for floor in learnt],
    )


def setting(connection: sqlite3.Connection, name: str, default: str = "") -> str:
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return default if row is None else str(row[0])


def set_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))


def _conditions(wanted: Filter) -> tuple[list[str], list[Any]]:
    clauses = {
        "direction": "direction = ?",
        "reason": "reason = ?",
        "specimen": "specimen = ?",
        "since": "start_ts >= ?",
        "until": "start_ts < ?",
        "distance_min_mm": "distance_mm >= ?",
        "distance_max_mm": "distance_mm <= ?",
        "reference": "is_reference = ?",
        "starred": "is_starred = ?",
    }
    given = {name: getattr(wanted, name) for name in clauses if getattr(wanted, name) is not None}
    conditions = [clauses[name] for name in given]
    values = list(given.values())
    if wanted.text:
        conditions.append("(instr(lower(note), lower(?)) OR instr(lower(specimen), lower(?)))")
        values += [wanted.text, wanted.text]
    return conditions, values


def _ride(row: Sequence[Any]) -> Ride:
    names = Ride.__struct_fields__
    values = dict(zip(names, row, strict=True))
    values["summary"] = msgspec.json.decode(values["summary"])
    values["is_reference"] = bool(values["is_reference"])
    values["is_starred"] = bool(values["is_starred"])
    return Ride(**values)


def _joined(
    connection: sqlite3.Connection, number: int
) -> tuple[dict[str, tuple[list[int], list[int]]], list[msgspec.Raw]]:
    columns: dict[str, tuple[list[int], list[int]]] = {}
    told: list[msgspec.Raw] = []
    for piece in _pieces(connection, number):
        for channel, (offsets_us, raw) in piece.samples.items():
            joined = columns.setdefault(channel, ([], []))
            joined[0].extend(offsets_us)
            joined[1].extend(raw)
        told += piece.events
    return columns, told


def _pieces(connection: sqlite3.Connection, number: int) -> Iterator[Piece]:
    for (body,) in connection.execute("SELECT body FROM pieces WHERE ride = ? ORDER BY number", (number,)):
        yield msgspec.json.decode(body, type=Piece)


def _ints(text: str) -> list[int]:
    return msgspec.json.decode(text, type=list[int])
