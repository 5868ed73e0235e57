"""A kept ride against a kept reference: which one, and what `curves` says of them."""

import sqlite3
from typing import Any

import msgspec

from listener.rides import store
from listener.rides.curves import Curve, Point, Tolerance, compare, curve, same_class
from listener.rides.motion import INTERVAL_S
from listener.rides.report import rounded
from listener.rides.store import Filter, NoSuchRide, Ride
from listener.rides.summary import Phase


def compare_rides(
    connection: sqlite3.Connection,
    which: str | int,
    reference: str | int | None,
    tolerance: Tolerance,
    *,
    curves: bool = False,
) -> dict[str, Any]:
    """The newest reference of its direction and distance, if none is named."""
    ride = store.find_finished(connection, which)
    other = suitable(connection, ride) if reference is None else store.find_finished(connection, reference)
    ours, theirs = _known(connection, ride), _known(connection, other)
    phases = msgspec.convert(other.summary.get("phases", []), list[Phase])
    compared = compare(ours, theirs, phases, tolerance)
    answer = {
        "ride": ride.number,
        "reference": other.number,
        "tolerance": {"position_mm": tolerance.position_mm, "velocity_mm_s": tolerance.velocity_mm_s},
        **rounded(msgspec.to_builtins(compared)),
    }
    if curves:
        answer["interval_s"] = INTERVAL_S
        answer["curves"] = {
            "ride": rounded(msgspec.to_builtins(ours)),
            "reference": rounded(msgspec.to_builtins(theirs)),
        }
    return answer


def suitable(connection: sqlite3.Connection, ride: Ride) -> Ride:
    references, _ = store.rides(
        connection, Filter(reference=True, direction=ride.direction), limit=store.LIST_LIMIT
    )
    for reference in references:
        if reference.number == ride.number or reference.reason is None:
            continue
        if same_class(
            ride.direction, ride.distance_mm or 0.0, reference.direction, reference.distance_mm or 0.0
        ):
            return reference
    raise NoSuchRide(f"no reference goes {ride.direction} about as far as ride {ride.number}")


def _known(connection: sqlite3.Connection, ride: Ride) -> Curve:
    if not store.curve(connection, ride.number)["offsets_us"]:
        raise NoSuchRide(f"there is no curve of ride {ride.number}")
    return curve_of(connection, ride)


def curve_of(connection: sqlite3.Connection, ride: Ride) -> Curve:
    stored = store.curve(connection, ride.number)
    motions = [
        Point(ride.start_ts + offset_us / 1e6, position_mm, velocity_mm_s)
        for offset_us, position_mm, velocity_mm_s in zip(
            stored["offsets_us"], stored["position_mm"], stored["velocity_mm_s"], strict=True
        )
    ]
    end_ts = ride.start_ts if ride.end_ts is None else ride.end_ts
    return curve(motions, ride.start_ts, end_ts, 1 if ride.direction == "up" else -1)
