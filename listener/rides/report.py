"""The summary of a ride as `ride_end` tells it and the database keeps it. Pure."""

from dataclasses import asdict
from typing import Any

from listener.rides.finder import COMPLETED, RideEnded
from listener.rides.floors import Floors


def report(ended: RideEnded, floors: Floors | None) -> dict[str, Any]:
    """Learns from the stop of a completed ride where the floors are."""
    summary: dict[str, Any] = rounded(asdict(ended.summary))
    summary["stop_floor"] = summary["stop_offset_mm"] = None
    if floors is not None and ended.reason == COMPLETED and not ended.turned:
        stop = floors.learn(ended.summary.stop_position_mm)
        summary["stop_floor"] = stop.number
        summary["stop_offset_mm"] = None if stop.new else round(stop.offset_mm, 1)
    # After it: a floor that is learnt below it changes its number.
    # Where a partial ride was first seen it did not stand.
    start = None if floors is None or ended.partial else floors.find(ended.summary.start_position_mm)
    summary["start_floor"] = None if start is None else start.number
    return summary | {
        "cause": ended.cause,
        "partial": ended.partial,
        "turned": ended.turned,
        "stops": ended.stops,
        "relevels": 0,
    }


def rounded(value: Any) -> Any:
    """To what the positions can tell."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value
