"""The words and fields that the field's clients know, to the letter."""

import json
from typing import Any

import pytest

from listener.robots import answers
from listener.robots.messages import Brightness, Camera, Command, Move, Release, Speed

TS = 1705314645.123456
STAMP = "2024-01-15T10:30:45.123456Z"


def read(text: bytes) -> Any:
    return json.loads(text)


def test_a_dashboard_is_greeted() -> None:
    told = read(answers.website_greeting("website-1", may_command=True, hold_ms=250))
    assert list(told)[:3] == ["status", "device_type", "message"]
    assert told == {
        "status": "connected",
        "device_type": "website",
        "message": "Dashboard connected to server",
        "website_id": "website-1",
        "may_command": True,
        "hold_ms": 250,
    }


def test_a_robot_is_greeted() -> None:
    assert read(answers.robot_greeting("robot_01", hold_ms=500)) == {
        "status": "connected",
        "device_type": "robot",
        "message": "Robot robot_01 connected to server",
        "device_id": "robot_01",
        "hold_ms": 500,
    }


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Move(x=0.5, y=-0.3), "Robot move x=0.5, y=-0.3"),
        (Move(x=0, y=0), "Robot move x=0, y=0"),
        (Camera(x=-1, y=1), "Camera move x=-1, y=1"),
        (Speed(value=60), "Speed set to 60%"),
        (Brightness(value=33.5), "Brightness set to 33.5%"),
    ],
)
def test_a_command_is_acknowledged_in_words(command: Command, words: str) -> None:
    told = read(answers.ack(TS, command.type, "received", f"Command received: {answers.in_words(command)}"))
    assert told == {
        "type": "ack",
        "original_type": command.type,
        "status": "received",
        "message": f"Command received: {words}",
        "timestamp": STAMP,
    }


def test_nothing_else_is_a_command() -> None:
    with pytest.raises(AssertionError):
        answers.in_words(Release())  # type: ignore[arg-type]


def test_what_is_not_known_is_left_out_of_an_acknowledgement() -> None:
    told = read(answers.ack(TS, "stop", "received", "", id=7, robots=["a"], refused=None))
    assert told == {
        "type": "ack",
        "original_type": "stop",
        "status": "received",
        "message": "",
        "id": 7,
        "robots": ["a"],
        "timestamp": STAMP,
    }


@pytest.mark.parametrize(
    ("command", "values"),
    [
        (Move(x=0.5, y=-0.3), {"x": 0.5, "y": -0.3}),
        (Camera(x=0, y=1), {"x": 0.0, "y": 1.0}),
        (Speed(value=60), {"value": 60.0}),
    ],
)
def test_a_robot_is_told_what_to_do(command: Command, values: dict[str, float]) -> None:
    assert answers.values_of(command) == values
    told = read(answers.order(TS, command.type, values, 3, None))
    assert told == {"type": command.type, **values, "timestamp": STAMP, "id": 3}
    assert read(answers.order(TS, command.type, values, 3, 500.0))["hold_ms"] == 500


def test_telemetry_goes_to_dashboards_in_the_seeds_fields() -> None:
    told = read(answers.telemetry_update(TS, "robot_01", "Anna", (84.5, 43.2, None, 88.2)))
    assert told == {
        "type": "telemetry_update",
        "device_id": "robot_01",
        "device_name": "Anna",
        "battery": 84.5,
        "cpu": 43.2,
        "temperature": None,
        "signal": 88.2,
        "timestamp": STAMP,
    }


def test_what_is_told_of_a_robot() -> None:
    assert read(answers.robot_status(TS, "a", "disconnected", "Robot a has disconnected")) == {
        "type": "robot_status",
        "device_id": "a",
        "status": "disconnected",
        "message": "Robot a has disconnected",
        "timestamp": STAMP,
    }
    assert read(answers.command_state(TS, "m-7", "a", "robot_move", "delivered")) == {
        "type": "command_state",
        "id": "m-7",
        "device_id": "a",
        "original_type": "robot_move",
        "state": "delivered",
        "message": "",
        "timestamp": STAMP,
    }
    assert read(answers.operator(TS, "a", None, "", "released")) == {
        "type": "robot_operator",
        "device_id": "a",
        "website_id": None,
        "name": "",
        "reason": "released",
        "timestamp": STAMP,
    }
    assert read(answers.stopped(TS, "a", "nobody has repeated the move")) == {
        "type": "robot_stopped",
        "device_id": "a",
        "reason": "nobody has repeated the move",
        "timestamp": STAMP,
    }
    assert read(answers.storing(TS, "full")) == {
        "type": "telemetry_storing",
        "state": "full",
        "timestamp": STAMP,
    }


def test_what_is_no_json_is_told_as_the_field_knows_it() -> None:
    assert read(answers.NOT_JSON) == {"error": "Invalid JSON format"}


def test_a_time_has_all_its_digits() -> None:
    assert answers.stamp(0.0) == "1970-01-01T00:00:00.000000Z"
