"""What dashboards and robots are told on `/ws/telemetry/`.

Pure: values in, one JSON text out. Words and fields of the seed's messages are those that the field's
clients know; fields that we have added are for clients that look for them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from listener.robots.messages import QUANTITIES, Brightness, Camera, Command, Move, Speed

_encode: Final = msgspec.json.Encoder().encode

NOT_JSON: Final = b'{"error":"Invalid JSON format"}'


def stamp(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def website_greeting(website: str, *, may_command: bool, hold_ms: float) -> bytes:
    return _encode(
        {
            "status": "connected",
            "device_type": "website",
            "message": "Dashboard connected to server",
            "website_id": website,
            "may_command": may_command,
            "hold_ms": hold_ms,
        }
    )


def robot_greeting(device_id: str, *, hold_ms: float) -> bytes:
    return _encode(
        {
            "status": "connected",
            "device_type": "robot",
            "message": f"Robot {device_id} connected to server",
            "device_id": device_id,
            "hold_ms": hold_ms,
        }
    )


def ack(ts: float, kind: str, status: str, message: str, **more: Any) -> bytes:
    return _encode(
        {
            "type": "ack",
            "original_type": kind,
            "status": status,
            "message": message,
            **{name: value for name, value in more.items() if value is not None},
            "timestamp": stamp(ts),
        }
    )


def in_words(command: Command) -> str:
    match command:
        case Move(x=x, y=y):
            return f"Robot move x={x:g}, y={y:g}"
        case Camera(x=x, y=y):
            return f"Camera move x={x:g}, y={y:g}"
        case Speed(value=value):
            return f"Speed set to {value:g}%"
        case Brightness(value=value):
            return f"Brightness set to {value:g}%"
    raise AssertionError(command)


def values_of(command: Command) -> dict[str, float]:
    """As they were given."""
    return {name: getattr(command, name) for name in ("x", "y", "value") if hasattr(command, name)}


def order(ts: float, kind: str, values: Mapping[str, float], number: int, hold_ms: float | None) -> bytes:
    """To a robot; `number` is what its `command_result` names."""
    more = {} if hold_ms is None else {"hold_ms": hold_ms}
    return _encode({"type": kind, **values, "timestamp": stamp(ts), "id": number, **more})


def telemetry_update(
    ts: float, device_id: str, device_name: str, values: Sequence[float | None], **more: Any
) -> bytes:
    quantities = dict(zip(QUANTITIES, values, strict=True))
    return _encode(
        {
            "type": "telemetry_update",
            "device_id": device_id,
            "device_name": device_name,
            **quantities,
            "timestamp": stamp(ts),
            **more,
        }
    )


def robot_status(ts: float, device_id: str, status: str, message: str) -> bytes:
    return _encode(
        {
            "type": "robot_status",
            "device_id": device_id,
            "status": status,
            "message": message,
            "timestamp": stamp(ts),
        }
    )


def command_state(
    ts: float, number: str | int, device_id: str, kind: str, state: str, message: str = ""
) -> bytes:
    """What has become of a command that came with an `id`: delivered, executed, failed, expired."""
    return _encode(
        {
            "type": "command_state",
            "id": number,
            "device_id": device_id,
            "original_type": kind,
            "state": state,
            "message": message,
            "timestamp": stamp(ts),
        }
    )


def operator(ts: float, device_id: str, website: str | None, name: str, reason: str) -> bytes:
    """Who may command a robot now; nobody has it when the website is null."""
    return _encode(
        {
            "type": "robot_operator",
            "device_id": device_id,
            "website_id": website,
            "name": name,
            "reason": reason,
            "timestamp": stamp(ts),
        }
    )


def stopped(ts: float, device_id: str, reason: str) -> bytes:
    """The listener has stopped a robot by itself."""
    return _encode(
        {"type": "robot_stopped", "device_id": device_id, "reason": reason, "timestamp": stamp(ts)}
    )


def storing(ts: float, state: str) -> bytes:
    return _encode({"type": "telemetry_storing", "state": state, "timestamp": stamp(ts)})
