"""The vocabulary of the WebSocket: one envelope, one constructor per event type.

Pure: values in, values out. Time and source come in as arguments. `encode` is the only way an event
becomes bytes; it raises TypeError or ValueError for what JSON cannot hold, and says NaN as null.

A client ignores types and payload fields that it does not know, so both may be added, never changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

PROTO: Final = 1
SOURCE: Final = "les02"

# Samples may be skipped for a client that cannot keep up; every other type is a state and may not.
SAMPLES: Final = frozenset({"position_sample", "motion_sample", "signal_sample", "node_data", "traffic"})
TYPES: Final = SAMPLES | {
    "hello",
    "status",
    "error",
    "system",
    "gap",
    "ride_start",
    "ride_end",
    "relevel",
    "result",
    "node_connected",
    "node_status",
}
# Only for who names it: other devices may say a lot, and the field's clients do not expect them.
USUAL: Final = TYPES - {"signal_sample"}

Payload = dict[str, Any]


# Neither frozen nor with slots: 500 of these are built and encoded a second, and a plain dataclass is
# the fastest to construct and for msgspec to encode.
@dataclass
class EventEnvelope:
    proto: int
    type: str
    ts: float
    source: str
    payload: Payload

    def to_dict(self) -> dict[str, Any]:
        return {
            "proto": self.proto,
            "type": self.type,
            "ts": self.ts,
            "source": self.source,
            "payload": self.payload,
        }


encode = msgspec.json.Encoder().encode


def position_sample(ts: float, channel: str, position_raw: int, source: str = SOURCE) -> EventEnvelope:
    return EventEnvelope(
        PROTO, "position_sample", ts, source, {"channel": channel, "position_raw": position_raw}
    )


def motion_sample(
    ts: float,
    position_mm: float,
    velocity_mm_s: float,
    acceleration_mm_s2: float,
    source: str = SOURCE,
) -> EventEnvelope:
    payload = {
        "position_mm": position_mm,
        "velocity_mm_s": velocity_mm_s,
        "acceleration_mm_s2": acceleration_mm_s2,
    }
    return EventEnvelope(PROTO, "motion_sample", ts, source, payload)


def signal_sample(
    ts: float,
    channel: str,
    value: float,
    unit: str = "",
    text: str | None = None,
    source: str = "workbench",
) -> EventEnvelope:
    """What another CAN device says: `channel` is bus.message.signal, `text` the word of its value."""
    payload: Payload = {"channel": channel, "value": value, "unit": unit}
    if text is not None:
        payload["text"] = text
    return EventEnvelope(PROTO, "signal_sample", ts, source, payload)


def ride_start(
    ts: float,
    ride_id: str,
    direction: str,
    expected_distance: float | None = None,
    unit: str | None = None,
    source: str = SOURCE,
) -> EventEnvelope:
    payload: Payload = {"ride_id": ride_id, "direction": direction}
    if expected_distance is not None:
        payload |= {"expected_distance": expected_distance, "unit": unit or "mm"}
    return EventEnvelope(PROTO, "ride_start", ts, source, payload)


def ride_end(
    ts: float, ride_id: str, reason: str, summary: Mapping[str, Any], source: str = SOURCE
) -> EventEnvelope:
    return EventEnvelope(
        PROTO, "ride_end", ts, source, {"ride_id": ride_id, "reason": reason, "summary": dict(summary)}
    )


def relevel(
    ts: float, distance_mm: float, position_mm: float, duration_s: float, source: str = SOURCE
) -> EventEnvelope:
    """The car has moved, and it was no ride."""
    payload = {"distance_mm": distance_mm, "position_mm": position_mm, "duration_s": duration_s}
    return EventEnvelope(PROTO, "relevel", ts, source, payload)


def status(ts: float, channel: str, state: str, source: str = SOURCE, **more: Any) -> EventEnvelope:
    return EventEnvelope(PROTO, "status", ts, source, {"channel": channel, "state": state, **more})


def error(
    ts: float, channel: str, code: str, details: Mapping[str, Any], source: str = SOURCE
) -> EventEnvelope:
    return EventEnvelope(
        PROTO, "error", ts, source, {"channel": channel, "code": code, "details": dict(details)}
    )


def system(ts: float, channel: str, state: str, raw: str, source: str = SOURCE, **more: Any) -> EventEnvelope:
    payload = {"channel": channel, "state": state, "raw": raw, **more}
    return EventEnvelope(PROTO, "system", ts, source, payload)


def gap(
    ts: float,
    where: str,
    skipped: int | None,
    first_ts: float | None,
    last_ts: float | None,
    source: str = SOURCE,
    **more: Any,
) -> EventEnvelope:
    """Told to whom something was lost for: how much and between which two moments, as far as it is known."""
    payload = {"where": where, "skipped": skipped, "first_ts": first_ts, "last_ts": last_ts, **more}
    return EventEnvelope(PROTO, "gap", ts, source, payload)


def hello(ts: float, payload: Mapping[str, Any], source: str = SOURCE) -> EventEnvelope:
    """The first event of every session: who speaks, and the last known state of everything."""
    return EventEnvelope(PROTO, "hello", ts, source, dict(payload))


def result(ts: float, command: str, more: Mapping[str, Any], source: str = SOURCE) -> EventEnvelope:
    """The answer to a command that was done; one that was not is an `error`."""
    return EventEnvelope(PROTO, "result", ts, source, {"command": command, **more})
