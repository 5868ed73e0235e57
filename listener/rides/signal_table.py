"""The signals of rides in the database: a row each, functions of a connection as those of `store`."""

import sqlite3

import msgspec

from listener.rides.signals import Track, Tracks

_encode = msgspec.json.Encoder().encode


def keep(connection: sqlite3.Connection, number: int, tracks: Tracks) -> int:
    """So many bytes of it. Again, it changes nothing."""
    size = 0
    for name, track in tracks.items():
        texts = [_encode(each).decode() for each in (track.offsets_us, track.values, track.words)]
        row = (number, name, track.unit, *texts)
        connection.execute("INSERT OR REPLACE INTO signals VALUES (?, ?, ?, ?, ?, ?)", row)
        size += sum(map(len, texts))
    return size


def stored(connection: sqlite3.Connection, number: int) -> Tracks:
    """In the order in which they were configured."""
    rows = connection.execute(
        "SELECT name, unit, offsets_us, value, words FROM signals WHERE ride = ? ORDER BY rowid", (number,)
    )
    return {
        name: Track(
            unit,
            msgspec.json.decode(offsets_us, type=list[int]),
            msgspec.json.decode(values, type=list[float]),
            msgspec.json.decode(words, type=dict[str, str]),
        )
        for name, unit, offsets_us, values, words in rows
    }
