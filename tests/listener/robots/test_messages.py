"""What dashboards and robots may say, and what becomes of everything else."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.robots.answers import values_of
from listener.robots.messages import (
    NOT_JSON,
    QUANTITIES,
    TEXT_MAX,
    Brightness,
    Camera,
    Move,
    Rejected,
    Release,
    Result,
    Speed,
    Status,
    Stop,
    Take,
    Telemetry,
    from_robot,
    from_website,
)

AXES = "x and y are numbers from -1 to 1"
VALUE = "value is a number from 1 to 100"
QUANTITY = "battery, cpu and signal are numbers from 0 to 100, temperature one from -100 to 300"
DEVICE = "device_id is 1 to 64 letters, digits and .:_-"
ID = "id is a text of 1 to 64 letters, or a whole number"
DONE = "status is executed or failed"
OF_WEBSITES = "robot_move, camera_move, set_speed, set_brightness, stop, take_robot, release_robot"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":"robot_move","x":0.5,"y":-0.3}', Move(x=0.5, y=-0.3)),
        ('{"type":"robot_move","x":1,"y":-1}', Move(x=1, y=-1)),
        ('{"type":"robot_move","x":0,"y":0,"timestamp":"now","speed":3}', Move(x=0, y=0)),
        ('{"type":"camera_move","x":0.5,"y":-0.3,"id":7}', Camera(x=0.5, y=-0.3, id=7)),
        ('{"type":"set_speed","value":60}', Speed(value=60)),
        ('{"type":"set_speed","value":1,"device_id":"robot_01"}', Speed(value=1, device_id="robot_01")),
        ('{"type":"set_brightness","value":100,"group":"stairs"}', Brightness(value=100, group="stairs")),
        ('{"type":"robot_move","x":0,"y":1,"deadline_ms":50}', Move(x=0, y=1, deadline_ms=50)),
        ('{"type":"stop"}', Stop()),
        ('{"type":"stop","id":"a"}', Stop(id="a")),
        ('{"type":"take_robot","force":true}', Take(force=True)),
        ('{"type":"release_robot","device_id":"Küche.1:a-b"}', Release(device_id="Küche.1:a-b")),
    ],
)
def test_a_dashboard_says(text: str, message: object) -> None:
    assert from_website(text) == message
    assert from_website(text.encode()) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"type":"telemetry","device_id":"x","battery":85.0,"cpu":45,"temperature":35.0,"signal":90.0}',
            Telemetry(battery=85, cpu=45, temperature=35, signal=90),
        ),
        ('{"type":"telemetry","temperature":-40}', Telemetry(temperature=-40)),
        ('{"type":"telemetry","cpu":0,"device_name":"Anna"}', Telemetry(cpu=0, device_name="Anna")),
        (
            '{"type":"status","status":"climbing","message":"step 3"}',
            Status(status="climbing", message="step 3"),
        ),
        ('{"type":"status","status":"ok"}', Status(status="ok")),
        ('{"type":"command_result","id":3,"status":"executed"}', Result(id=3, status="executed")),
        (
            '{"type":"command_result","id":3,"status":"failed","message":"no"}',
            Result(id=3, status="failed", message="no"),
        ),
    ],
)
def test_a_robot_says(text: str, message: object) -> None:
    assert from_robot(text) == message


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ('{"type":"robot_move","x":1.01,"y":0}', "robot_move", AXES),
        ('{"type":"robot_move","x":0,"y":-1.01}', "robot_move", AXES),
        ('{"type":"robot_move","x":0}', "robot_move", AXES),
        ('{"type":"robot_move","x":"0","y":0}', "robot_move", AXES),
        ('{"type":"robot_move","x":null,"y":0}', "robot_move", AXES),
        ('{"type":"robot_move","x":true,"y":0}', "robot_move", AXES),
        ('{"type":"camera_move","x":1e308,"y":0}', "camera_move", AXES),
        ('{"type":"robot_move","x":99999999999999999999999,"y":0}', "robot_move", AXES),
        ('{"type":"set_speed","value":0}', "set_speed", VALUE),
        ('{"type":"set_speed","value":100.5}', "set_speed", VALUE),
        ('{"type":"set_speed","value":[1]}', "set_speed", VALUE),
        ('{"type":"set_speed"}', "set_speed", VALUE),
        ('{"type":"set_brightness","value":"60%"}', "set_brightness", VALUE),
        ('{"type":"take_robot","device_id":"a/b"}', "take_robot", DEVICE),
        ('{"type":"take_robot","device_id":""}', "take_robot", DEVICE),
        ('{"type":"take_robot","device_id":"🤖"}', "take_robot", DEVICE),
        ('{"type":"take_robot","device_id":"a\\n"}', "take_robot", DEVICE),
        ('{"type":"take_robot","group":7}', "take_robot", "group is a name of at most 64 letters"),
        ('{"type":"take_robot","id":1.5}', "take_robot", ID),
        ('{"type":"take_robot","id":""}', "take_robot", ID),
        ('{"type":"take_robot","id":9007199254740993}', "take_robot", ID),
        (
            '{"type":"robot_move","x":0,"y":0,"deadline_ms":49}',
            "robot_move",
            "deadline_ms is a number from 50 to 10000",
        ),
        ('{"type":"take_robot","force":1}', "take_robot", "force is true or false"),
        (
            '{"type":"take_robot","device_id":"a","group":"b"}',
            "take_robot",
            "give a device_id or a group, not both",
        ),
        ('{"type":"fly"}', "fly", f"unknown type; known are {OF_WEBSITES}"),
        ('{"type":"telemetry","battery":1}', "telemetry", f"unknown type; known are {OF_WEBSITES}"),
        ('{"type":7}', "", "type is missing"),
        ('{"x":0}', "", "type is missing"),
        ("{}", "", "type is missing"),
        ('{"type":"take_robot"}' + " " * TEXT_MAX, "", "longer than 4096 octets"),
        ('{"a":{"type":"stop"}}', "", "type is missing"),
    ],
)
def test_what_a_dashboard_says_wrong_is_rejected_with_the_reason(text: str, kind: str, reason: str) -> None:
    found = from_website(text)
    assert isinstance(found, Rejected)
    assert (found.type, found.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        ('{"type":"stop","id":1.5,"device_id":"a"}', Stop(device_id="a")),
        ('{"type":"stop","id":"","group":"b"}', Stop(group="b")),
        ('{"type":"stop","id":9007199254740993}', Stop()),
        ('{"type":"stop","id":3,"device_id":"a/b"}', Stop(id=3)),
        ('{"type":"stop","id":3,"group":7}', Stop(id=3)),
        ('{"type":"stop","id":3,"device_id":"a","group":"b"}', Stop(id=3)),
        ('{"type":"stop"}' + " " * TEXT_MAX, Stop()),
        ('{"type" : "stop","speed":NaN}', Stop()),
        ('{"type":"stop"} more', Stop()),
        ('{"type":"stop","z":' + "[" * 4000, Stop()),
        (b'{"type":"stop","z":"\xff"}', Stop()),
    ],
)
def test_a_stop_is_one_whatever_else_is_wrong_with_it(text: str | bytes, stop: Stop) -> None:
    assert from_website(text) == stop


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ('{"type":"robot_move","x":1,"y":0}', [1, 0]),
        ('{"type":"robot_move","x":1.0,"y":-0.5}', [1.0, -0.5]),
        ('{"type":"set_speed","value":60}', [60]),
    ],
)
def test_whole_numbers_stay_whole(text: str, numbers: list[float]) -> None:
    found = from_website(text)
    assert isinstance(found, (Move, Speed))
    values = list(values_of(found).values())
    assert [(type(value), value) for value in values] == [(type(value), value) for value in numbers]


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ('{"type":"telemetry","battery":100.1}', "telemetry", QUANTITY),
        ('{"type":"telemetry","battery":-0.1}', "telemetry", QUANTITY),
        ('{"type":"telemetry","cpu":"45"}', "telemetry", QUANTITY),
        ('{"type":"telemetry","temperature":301}', "telemetry", QUANTITY),
        ('{"type":"telemetry","temperature":-273}', "telemetry", QUANTITY),
        ('{"type":"telemetry","signal":[]}', "telemetry", QUANTITY),
        ('{"type":"telemetry","battery":50,"signal":1e308}', "telemetry", QUANTITY),
        ('{"type":"telemetry"}', "telemetry", "one of battery, cpu, temperature, signal at least"),
        (
            f'{{"type":"telemetry","cpu":1,"device_name":"{"x" * 65}"}}',
            "telemetry",
            "device_name is a name of at most 64 letters",
        ),
        ('{"type":"status"}', "status", "status is a text of 1 to 64 letters"),
        ('{"type":"status","status":""}', "status", "status is a text of 1 to 64 letters"),
        (
            f'{{"type":"status","status":"a","message":"{"x" * 501}"}}',
            "status",
            "message is a text of at most 500 letters",
        ),
        ('{"type":"command_result","id":3,"status":"done"}', "command_result", DONE),
        ('{"type":"command_result","id":3}', "command_result", DONE),
        (
            '{"type":"robot_move","x":0,"y":0}',
            "robot_move",
            "unknown type; known are telemetry, status, command_result",
        ),
    ],
)
def test_what_a_robot_says_wrong_is_rejected_with_the_reason(text: str, kind: str, reason: str) -> None:
    found = from_robot(text)
    assert isinstance(found, Rejected)
    assert (found.type, found.reason) == (kind, reason)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{nonsense",
        "[1,2]",
        "null",
        "7",
        '"robot_move"',
        '{"type":"robot_move","x":NaN,"y":0}',
        '{"type":"robot_move","x":Infinity,"y":0}',
        b"\x00\xff",
        b'{"type":"\xff"}',
        '{"type":"fly"} more',
        "[" * 4000,
        '{"a":' * 600,
        '{"type":"fly","z":' + "[" * 4000,
    ],
)
def test_what_is_no_json_object_is_told_apart(text: str | bytes) -> None:
    assert from_website(text) == NOT_JSON
    assert from_robot(text) == NOT_JSON


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400])
def test_a_number_that_is_too_large_is_never_taken(number: str) -> None:
    for text in (f'{{"type":"robot_move","x":{number},"y":0}}', f'{{"type":"telemetry","battery":{number}}}'):
        assert isinstance(from_website(text), Rejected) or from_website(text) == NOT_JSON
        assert isinstance(from_robot(text), Rejected) or from_robot(text) == NOT_JSON


def test_half_a_character_is_never_taken() -> None:
    for text in (
        '{"type":"telemetry","cpu":1,"device_name":"\\ud800"}',
        '{"type":"status","status":"\\udfff"}',
    ):
        found = from_robot(text)
        assert isinstance(found, Rejected) or found == NOT_JSON


def test_the_id_of_what_is_rejected_is_told() -> None:
    found = from_website('{"type":"robot_move","id":"m-7","x":2,"y":0}')
    assert found == Rejected("robot_move", "m-7", AXES)
    found = from_website(json.dumps({"type": "fly", "id": "x" * 100}))
    assert isinstance(found, Rejected)
    assert found.id == "x" * 64
    odds: list[Any] = [True, None, 1.5, [], {}]
    for odd in odds:
        found = from_website(json.dumps({"type": "fly", "id": odd}))
        assert isinstance(found, Rejected)
        assert found.id is None


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_TYPES = st.sampled_from([*OF_WEBSITES.split(", "), "telemetry", "status", "command_result", "fly", 3, None])
_FIELDS = st.sampled_from(
    [*QUANTITIES, "x", "y", "value", "device_id", "group", "id", "deadline_ms", "force", "status", "message"]
)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_gets_a_verdict(text: str | bytes) -> None:
    from_website(text)
    from_robot(text)


@given(_TYPES, st.dictionaries(_FIELDS, _ANYTHING, max_size=6))
def test_any_object_gets_a_verdict_and_what_is_taken_is_in_its_range(
    kind: Any, fields: dict[str, Any]
) -> None:
    text = json.dumps({"type": kind, **fields})
    match from_website(text):
        case Move(x=x, y=y) | Camera(x=x, y=y):
            assert -1 <= x <= 1
            assert -1 <= y <= 1
        case Speed(value=value) | Brightness(value=value):
            assert 1 <= value <= 100
        case Rejected(reason=reason):
            assert reason
    match from_robot(text):
        case Telemetry() as telemetry:
            given_values = [value for value in telemetry.values() if value is not None]
            assert given_values
            assert all(math.isfinite(value) for value in given_values)
        case Rejected(reason=reason):
            assert reason


@given(
    st.sampled_from([Move, Camera]),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.none() | st.integers(-(2**53), 2**53) | st.text(min_size=1, max_size=64),
)
def test_a_move_comes_out_as_it_went_in(kind: type[Move], x: float, y: float, given_id: Any) -> None:
    move = kind(x=x, y=y, id=given_id)
    assert from_website(msgspec.json.encode(move)) == move
    assert move.is_zero == (x == 0 and y == 0)
