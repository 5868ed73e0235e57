"""A kept ride against a kept reference: which one, and what `curves` says of them."""

import sqlite3
from typing import Any

import msgspec

from listener.rides import signal_report, store
from listener.rides.curves import Curve, Point, Tolerance, begin_like, compare, curve, same_class
from listener.rides.motion import INTERVAL_S
from listener.rides.report import rounded
from listener.rides.store import Filter, NoSuchRide, Ride
from listener.rides.summary import Phase

# A ride and its reference may each be dated so much too early or too late.
BEGIN_S = 0.06


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
    ours, theirs, shift_s = _aligned(connection, ride, other)
    phases = msgspec.convert(other.summary.get("phases", []), list[Phase])
    compared = compare(ours, theirs, phases, tolerance)
    answer = {
        "ride": ride.number,
        "reference": other.number,
        "tolerance": {"position_mm": tolerance.position_mm, "velocity_mm_s": tolerance.velocity_mm_s},
        **rounded(msgspec.to_builtins(compared)),
    }
    tracks = store.signals(connection, ride.number), store.signals(connection, other.number)
    count = max(len(ours.distance_mm), len(theirs.distance_mm))
    answer["signals"] = signal_report.deviations(*tracks, phases, count=count, shift_s=shift_s)
    if curves:
        answer["interval_s"] = INTERVAL_S
        answer["curves"] = {
            "ride": rounded(msgspec.to_builtins(ours)),
            "reference": rounded(msgspec.to_builtins(theirs)),
            "signals": signal_report.curves(*tracks, shift_s),
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


def _aligned(connection: sqlite3.Connection, ride: Ride, reference: Ride) -> tuple[Curve, Curve, float]:
    """Both from the start of movement on; where exactly that was the first centimetres know best.

    And how much later than its own beginning that of the ride is taken.

    The sensor's first step tells the beginning to some hundredths of a second only, and at full speed that
    is more than a ride may be off.
    """
    ours, theirs = motions_of(connection, ride), motions_of(connection, reference)
    for known, which in ((ours, ride), (theirs, reference)):
        if not known:
            raise NoSuchRide(f"there is no curve of ride {which.number}")
    reference_curve = _curve(theirs, reference, reference.start_ts)
    begin_ts = ride.start_ts
    if ride.direction == reference.direction and _set_off(ride) and _set_off(reference):
        begin_ts = begin_like(reference_curve, ours, begin_ts, BEGIN_S, _sign(ride))
    return _curve(ours, ride, begin_ts), reference_curve, begin_ts - ride.start_ts


def _set_off(ride: Ride) -> bool:
    """Or it was seen later, or came from the other direction."""
    return not (ride.summary.get("partial") or ride.summary.get("turned"))


def _sign(ride: Ride) -> int:
    return 1 if ride.direction == "up" else -1


def _curve(motions: list[Point], ride: Ride, begin_ts: float) -> Curve:
    return curve(motions, begin_ts, ride.start_ts if ride.end_ts is None else ride.end_ts, _sign(ride))


def curve_of(connection: sqlite3.Connection, ride: Ride) -> Curve:
    return _curve(motions_of(connection, ride), ride, ride.start_ts)


def motions_of(connection: sqlite3.Connection, ride: Ride) -> list[Point]:
    stored = store.curve(connection, ride.number)
    return [
        Point(ride.start_ts + offset_us / 1e6, position_mm, velocity_mm_s)
        for offset_us, position_mm, velocity_mm_s in zip(
            stored["offsets_us"], stored["position_mm"], stored["velocity_mm_s"], strict=True
        )
    ]
