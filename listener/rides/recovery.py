"""Rides that have no end because the daemon had none: closed as `aborted`, with what is known of them.

On the database's thread, in one transaction. A defect in one of them costs that ride its summary, and the
listener nothing.
"""

from collections.abc import Iterator
from heapq import merge
from sqlite3 import Connection
from typing import Any

import msgspec
import structlog

from listener import events
from listener.rides import detector, plausibility, store
from listener.rides.finder import ABORTED, RideBegan, RideEnded, RideFinder
from listener.rides.report import report

_log = structlog.get_logger(__name__)

CAUSE = "restart"
# channel, time, raw position
Sample = tuple[str, float, int]


def close_unfinished(
    connection: Connection, limits: detector.Limits, checks: plausibility.Limits
) -> list[events.EventEnvelope]:
    """The `ride_end` of each."""
    ends = []
    for number in store.unfinished(connection):
        connection.execute("SAVEPOINT ride")
        try:
            ends.append(_close(connection, number, limits, checks))
        except Exception as exc:
            if hasattr(exc, "sqlite_errorcode"):
                raise  # it is the disk, not the ride
            connection.execute("ROLLBACK TO ride")
            _log.exception("ride_damaged", number=number)
            _close_unread(connection, number)
        connection.execute("RELEASE ride")
    return ends


def _close(
    connection: Connection, number: int, limits: detector.Limits, checks: plausibility.Limits
) -> events.EventEnvelope:
    ride = store.find(connection, number)
    samples = list(merged(store.samples(connection, number), ride.start_ts))
    ended = _ended(RideFinder(ride.resolution_mm, limits, checks), samples, ride.start_ts)
    if ended is None:
        end_ts = samples[-1][1] if samples else ride.start_ts
        positions = [raw for channel, _, raw in samples if channel == samples[0][0]] or [0]
        summary = _little(abs(positions[-1] - positions[0]) * ride.resolution_mm, end_ts - ride.start_ts)
    else:
        end_ts = ended.end.ts
        # Whatever it looks like: it has not been seen to its end.
        summary = report(ended, None) | {"cause": CAUSE, "phases": []}
    end = events.ride_end(end_ts, ride.id, ABORTED, summary, ride.source)
    missing_s = store.finish(
        connection,
        number,
        end_ts=end_ts,
        distance_mm=summary["distance_mm"],
        reason=ABORTED,
        summary=summary,
        motions=() if ended is None else ended.motions,
        more=[msgspec.Raw(events.encode(end))],
    )
    say = _log.error if missing_s else _log.warning
    say("ride_closed", ride_id=ride.id, reason="the listener had no end", missing_s=missing_s)
    return end


def _ended(finder: RideFinder, samples: list[Sample], start_ts: float) -> RideEnded | None:
    """Before it, in the pre-roll, another one may have ended: that from which this one has turned."""
    told = [each for sample in samples for each in finder.position(*sample)]
    told += finder.interrupt(CAUSE)
    begins = [each.begin.ts for each in told if isinstance(each, RideBegan)]
    ends = [each for each in told if isinstance(each, RideEnded)]
    pairs = zip(begins, ends, strict=True)
    return min(pairs, key=lambda pair: abs(pair[0] - start_ts), default=(None, None))[1]


def _close_unread(connection: Connection, number: int) -> None:
    """What there is of it stays where it is."""
    connection.execute(
        "UPDATE rides SET end_ts = start_ts, distance_mm = 0, reason = ?, summary = ? WHERE number = ?",
        (ABORTED, msgspec.json.encode(_little(0.0, 0.0)).decode(), number),
    )


def _little(distance_mm: float, duration_s: float) -> dict[str, Any]:
    return {
        "distance_mm": distance_mm,
        "duration_s": round(duration_s, 3),
        "relevels": 0,
        "cause": CAUSE,
    }


def merged(samples: store.Samples, start_ts: float) -> Iterator[Sample]:
    """Of all channels in the order of time."""
    columns = [
        [(start_ts + offset_us / 1e6, channel, raw) for offset_us, raw in column]
        for channel, column in samples.items()
    ]
    return ((channel, ts, raw) for ts, channel, raw in merge(*columns))
