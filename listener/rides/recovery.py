"""Rides that have no end because the daemon had none: closed as `aborted`, with what is known of them.

On the database's thread, in one transaction each.
"""

from collections.abc import Iterator
from heapq import merge
from sqlite3 import Connection
from typing import Any

import msgspec

from listener import events
from listener.rides import detector, plausibility, store
from listener.rides.finder import ABORTED, RideEnded, RideFinder, Told
from listener.rides.report import report

CAUSE = "restart"


def close_unfinished(
    connection: Connection, limits: detector.Limits, checks: plausibility.Limits
) -> list[events.EventEnvelope]:
    """The `ride_end` of each."""
    return [_close(connection, number, limits, checks) for number in store.unfinished(connection)]


def _close(
    connection: Connection, number: int, limits: detector.Limits, checks: plausibility.Limits
) -> events.EventEnvelope:
    ride = store.find(connection, number)
    samples = list(merged(store.samples(connection, number), ride.start_ts))
    finder = RideFinder(ride.resolution_mm, limits, checks)
    told: list[Told] = [each for sample in samples for each in finder.position(*sample)]
    told += finder.interrupt(CAUSE)
    ended = next((each for each in told if isinstance(each, RideEnded)), None)
    last_ts = samples[-1][1] if samples else ride.start_ts
    summary: dict[str, Any]
    if ended is None:
        positions = [raw * ride.resolution_mm for channel, _, raw in samples if channel == samples[0][0]] or [
            0.0
        ]
        distance_mm = abs(positions[-1] - positions[0])
        summary = {"distance_mm": distance_mm, "duration_s": round(last_ts - ride.start_ts, 3), "relevels": 0}
    else:
        last_ts = ended.end.ts
        summary = report(ended, None)
    summary["cause"] = CAUSE
    end = events.ride_end(last_ts, ride.id, ABORTED, summary, ride.source)
    store.append(connection, number, store.LAST_PIECE, store.Piece({}, [msgspec.Raw(events.encode(end))]))
    store.finish(
        connection,
        number,
        end_ts=last_ts,
        distance_mm=summary["distance_mm"],
        reason=ABORTED,
        summary=summary,
        motions=() if ended is None else ended.motions,
    )
    return end


def merged(samples: store.Samples, start_ts: float) -> Iterator[tuple[str, float, int]]:
    """Of all channels in the order of time."""
    columns = [
        [(start_ts + offset_us / 1e6, channel, raw) for offset_us, raw in column]
        for channel, column in samples.items()
    ]
    return ((channel, ts, raw) for ts, channel, raw in merge(*columns))
