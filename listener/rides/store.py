"""Rides in the database: functions of a connection, each a part of one transaction. `lesrides` uses the same.

A ride in progress is a row without a reason, and pieces of about a second. Its end makes of the pieces
one JSON array per channel. Whoever finds it without an end later closes it as `aborted`.

1. Every write may be repeated, and does nothing then.
2. What cannot be read of a ride is left out, and the summary says that something is missing (`incomplete_s`).
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Final

import msgspec

from listener.rides import signal_table
from listener.rides.floors import Floor
from listener.rides.motion import Motion
from listener.rides.signals import Tracks, fits, join

# channel -> [(microseconds after the start, raw)]
Samples = dict[str, list[tuple[int, int]]]

_encode = msgspec.json.Encoder().encode
LIST_LIMIT: Final = 500
# A piece of which nothing can be read counts for so long.
PIECE_S: Final = 1.0
_ROW: Final = (
    "number, id, source, start_ts, end_ts, direction, distance_mm, reason, summary, resolution_mm,"
    " specimen, note, is_reference, is_starred, size"
)


class NoSuchRide(LookupError):  # noqa: N818 - what there is none of
    """The text names it."""


class RideInProgress(NoSuchRide):
    """There is one, but not yet for this."""


# channel -> microseconds after the start, raw
Columns = dict[str, tuple[list[int], list[int]]]


class Piece(msgspec.Struct, omit_defaults=True):
    """What has come since the last one."""

    samples: Columns = {}
    events: list[msgspec.Raw] = []
    missing_s: float = 0.0  # so long, because its samples had to be given up
    signals: Tracks = {}


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

    direction: Annotated[str, msgspec.Meta(pattern="^(up|down)$")] | None = None
    reason: Annotated[str, msgspec.Meta(pattern="^(completed|aborted|error)$")] | None = None
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


def progress(connection: sqlite3.Connection, number: int) -> tuple[int, bool]:
    """How many pieces of it are there, and whether its end is."""
    query = (
        "SELECT (SELECT coalesce(max(number) + 1, 0) FROM pieces WHERE ride = ?1), reason IS NOT NULL"
        " FROM rides WHERE number = ?1"
    )
    pieces, is_over = connection.execute(query, (number,)).fetchone()
    return pieces, bool(is_over)


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
    more: Sequence[msgspec.Raw] = (),
) -> float:
    """With `more` events after those of its pieces. Says for how many seconds its samples are missing."""
    if progress(connection, number)[1]:
        return 0.0
    samples, tracks, events, missing_s = _joined(connection, number)
    if missing_s:
        summary = summary | {"incomplete_s": missing_s}
    events += more
    size = 0
    for channel, (offsets_us, raw) in samples.items():
        texts = _encode(offsets_us).decode(), _encode(raw).decode()
        connection.execute("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", (number, channel, *texts))
        size += sum(map(len, texts))
    size += signal_table.keep(connection, number, tracks)
    size += _keep_curve(connection, number, motions)
    text = _encode(events).decode()
    connection.execute(
        "UPDATE rides SET end_ts = ?, distance_mm = ?, reason = ?, summary = ?, events = ?, size = ?"
        " WHERE number = ?",
        (end_ts, distance_mm, reason, _encode(summary).decode(), text, size + len(text), number),
    )
    connection.execute("DELETE FROM pieces WHERE ride = ?", (number,))
    return missing_s


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


def set_relevels(connection: sqlite3.Connection, ride_id: str, count: int) -> None:
    """How many came after it until now."""
    connection.execute(
        "UPDATE rides SET summary = json_set(summary, '$.relevels', ?) WHERE id = ? AND json_valid(summary)",
        (count, ride_id),
    )


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
    if text and not rows and (not text.isdecimal() or len(text) >= 8):
        query = f"SELECT {_ROW} FROM rides WHERE id >= ? AND id < ? LIMIT 2"  # noqa: S608
        rows = connection.execute(query, begin_of_id).fetchall()
    if len(rows) != 1:
        raise NoSuchRide(f"{'more than one ride begins' if rows else 'there is no ride'} with {text[:40]!r}")
    return _ride(rows[0])


def find_finished(connection: sqlite3.Connection, which: str | int) -> Ride:
    ride = find(connection, which)
    if ride.reason is None:
        raise RideInProgress(f"ride {ride.number} is in progress")
    return ride


def columns(connection: sqlite3.Connection, number: int) -> Columns:
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


def signals(connection: sqlite3.Connection, number: int) -> Tracks:
    return signal_table.stored(connection, number) or _joined(connection, number)[1]


def samples(connection: sqlite3.Connection, number: int) -> Samples:
    found = columns(connection, number)
    return {channel: list(zip(*both, strict=True)) for channel, both in found.items()}


def events(connection: sqlite3.Connection, number: int) -> list[dict[str, Any]]:
    (text,) = connection.execute("SELECT events FROM rides WHERE number = ?", (number,)).fetchone()
    stored: list[dict[str, Any]] = msgspec.json.decode(text)
    if stored:
        return stored
    return [msgspec.json.decode(event) for event in _joined(connection, number)[2]]


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


def keep_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Unless it has been set."""
    connection.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, value))


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
    values["summary"] = _object(values["summary"])
    values["is_reference"] = bool(values["is_reference"])
    values["is_starred"] = bool(values["is_starred"])
    return Ride(**values)


def _object(text: str) -> dict[str, Any]:
    """One that is damaged must not hide all the others in a list."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _joined(connection: sqlite3.Connection, number: int) -> tuple[Columns, Tracks, list[msgspec.Raw], float]:
    """What its pieces hold; and for how many seconds there is nothing."""
    columns: Columns = {}
    tracks: Tracks = {}
    told: list[msgspec.Raw] = []
    missing_s = 0.0
    for piece in _pieces(connection, number):
        for channel, (offsets_us, raw) in piece.samples.items():
            joined = columns.setdefault(channel, ([], []))
            joined[0].extend(offsets_us)
            joined[1].extend(raw)
        join(tracks, piece.signals)
        told += piece.events
        missing_s += piece.missing_s
    return columns, tracks, told, round(missing_s, 3)


def _pieces(connection: sqlite3.Connection, number: int) -> Iterator[Piece]:
    # As a blob: damaged text need not even be UTF-8.
    query = "SELECT number, CAST(body AS BLOB) FROM pieces WHERE ride = ? ORDER BY number"
    expected = 0
    for piece_number, body in connection.execute(query, (number,)):
        if piece_number > expected:
            yield Piece(missing_s=(piece_number - expected) * PIECE_S)
        yield _piece(body)
        expected = piece_number + 1


def _piece(body: bytes) -> Piece:
    unread = Piece(missing_s=PIECE_S)
    try:
        piece = msgspec.json.decode(body, type=Piece)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return unread
    whole = all(len(offsets_us) == len(raw) for offsets_us, raw in piece.samples.values())
    return piece if whole and all(map(fits, piece.signals.values())) else unread


def _ints(text: str) -> list[int]:
    return msgspec.json.decode(text, type=list[int])
