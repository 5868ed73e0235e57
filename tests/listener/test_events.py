import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener import events, node_events
from listener.events import EventEnvelope, encode

TS = 1_700_000_000.25
SUMMARY = {"distance_mm": 3000.0, "duration_s": 6.5}

# One row for each way to build each type; the payload in its order on the wire.
TABLE: list[tuple[str, EventEnvelope, dict[str, Any]]] = [
    (
        "position_sample",
        events.position_sample(TS, "master", 12_345),
        {"channel": "master", "position_raw": 12_345},
    ),
    (
        "motion_sample",
        events.motion_sample(TS, 12_345.5, -800.0, 0.25),
        {"position_mm": 12_345.5, "velocity_mm_s": -800.0, "acceleration_mm_s2": 0.25},
    ),
    (
        "signal_sample",
        events.signal_sample(TS, "inverter.State.Mode", 2.0, "", "Run", source="les02"),
        {"channel": "inverter.State.Mode", "value": 2.0, "unit": "", "text": "Run"},
    ),
    ("ride_start", events.ride_start(TS, "r1", "up"), {"ride_id": "r1", "direction": "up"}),
    (
        "relevel",
        events.relevel(TS, -6.0, 12_345.0, 1.25),
        {"distance_mm": -6.0, "position_mm": 12_345.0, "duration_s": 1.25},
    ),
    (
        "ride_start",
        events.ride_start(TS, "r1", "down", 3000.0, "counts"),
        {"ride_id": "r1", "direction": "down", "expected_distance": 3000.0, "unit": "counts"},
    ),
    (
        "ride_start",
        events.ride_start(TS, "r1", "down", 0.0),
        {"ride_id": "r1", "direction": "down", "expected_distance": 0.0, "unit": "mm"},
    ),
    (
        "ride_end",
        events.ride_end(TS, "r1", "completed", SUMMARY),
        {"ride_id": "r1", "reason": "completed", "summary": SUMMARY},
    ),
    (
        "node_connected",
        node_events.node_connected(TS, 5, "00ff", again=True, source="les02"),
        {"channel": "node-5", "addr": 5, "name": "Node-5", "uuid": "00ff", "again": True},
    ),
    (
        "node_status",
        node_events.node_status(TS, 5, "idle", "nothing for 60 s", source="les02"),
        {"channel": "node-5", "addr": 5, "name": "Node-5", "state": "idle", "reason": "nothing for 60 s"},
    ),
    (
        "node_data",
        node_events.node_data(TS, 5, {"Sequence": {"raw": "07", "value": 7, "unit": ""}}, source="les02"),
        {
            "channel": "node-5",
            "addr": 5,
            "name": "Node-5",
            "values": {"Sequence": {"raw": "07", "value": 7, "unit": ""}},
        },
    ),
    (
        "traffic",
        node_events.traffic(TS, "up", 5, "online", "6f6e", source="les02"),
        {"channel": "mesh", "direction": "up", "addr": 5, "text": "online", "raw": "6f6e"},
    ),
    ("status", events.status(TS, "system", "no_data"), {"channel": "system", "state": "no_data"}),
    (
        "status",
        events.status(TS, "slave", "locked", position_stale=True),
        {"channel": "slave", "state": "locked", "position_stale": True},
    ),
    (
        "error",
        events.error(TS, "slave", "unknown_0x07", {"raw": "0007"}),
        {"channel": "slave", "code": "unknown_0x07", "details": {"raw": "0007"}},
    ),
    (
        "system",
        events.system(TS, "master", "locked", "abcd0000000000f0"),
        {"channel": "master", "state": "locked", "raw": "abcd0000000000f0"},
    ),
    (
        "system",
        events.system(TS, "master", "locked", "f0", repeated=3),
        {"channel": "master", "state": "locked", "raw": "f0", "repeated": 3},
    ),
    (
        "gap",
        events.gap(TS, "client", 7, 1.0, 2.0),
        {"where": "client", "skipped": 7, "first_ts": 1.0, "last_ts": 2.0},
    ),
    (
        "gap",
        events.gap(TS, "resume", None, None, None, first_seq=None),
        {"where": "resume", "skipped": None, "first_ts": None, "last_ts": None, "first_seq": None},
    ),
    ("hello", events.hello(TS, {"version": "0.1.0"}), {"version": "0.1.0"}),
    ("result", events.result(TS, "subscribe", {"id": 7}), {"command": "subscribe", "id": 7}),
]

# All of Unicode is slow to generate; these are the corners: escapes, the BMP's edge, beyond it.
texts = st.text(st.sampled_from('aé"\\/\x00\x1f\x7f\u2028\ud7ff\uffff😀'), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
payloads = st.dictionaries(texts, values, max_size=5)


@pytest.mark.parametrize(("type_", "event", "payload"), TABLE)
def test_each_type_has_the_fields_of_protocol_1(
    type_: str, event: EventEnvelope, payload: dict[str, Any]
) -> None:
    expected = {"proto": 1, "type": type_, "ts": TS, "source": "les02", "payload": payload}
    assert event.to_dict() == expected
    assert encode(event) == json.dumps(expected, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "event",
    [
        events.position_sample(TS, "master", 1, "bench 7"),
        events.motion_sample(TS, 0, 0, 0, "bench 7"),
        events.ride_start(TS, "r1", "up", source="bench 7"),
        events.ride_end(TS, "r1", "aborted", {}, "bench 7"),
        events.status(TS, "system", "bus_up", "bench 7"),
        events.error(TS, "system", "malformed_frame", {}, "bench 7"),
        events.system(TS, "system", "unlock", "", "bench 7"),
        events.gap(TS, "client", 1, 0, 0, "bench 7"),
        events.hello(TS, {}, "bench 7"),
    ],
    ids=lambda event: event.type,
)
def test_every_type_can_name_another_source(event: EventEnvelope) -> None:
    assert json.loads(encode(event))["source"] == "bench 7"


@given(
    type_=texts,
    ts=st.floats(allow_nan=False, allow_infinity=False),
    source=texts,
    payload=payloads,
)
def test_an_envelope_is_five_keys_in_order_and_reads_back_as_it_was(
    type_: str, ts: float, source: str, payload: dict[str, Any]
) -> None:
    event = EventEnvelope(events.PROTO, type_, ts, source, payload)
    read_back = json.loads(encode(event))
    assert list(read_back) == ["proto", "type", "ts", "source", "payload"]
    assert read_back == json.loads(json.dumps(event.to_dict())) == event.to_dict()
    assert list(read_back["payload"]) == list(payload)


@given(payload=payloads)
def test_an_encoded_event_is_one_line(payload: dict[str, Any]) -> None:
    assert b"\n" not in encode(events.hello(TS, payload))


@pytest.mark.parametrize("value", [object(), "\ud800", {("a",): 1}, 1j])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(events.hello(TS, {"value": value}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_no_word_for_becomes_null(value: float) -> None:
    assert json.loads(encode(events.motion_sample(TS, 1.0, value, 0.0)))["payload"]["velocity_mm_s"] is None


def test_only_samples_may_be_skipped() -> None:
    assert {type_ for type_, _, _ in TABLE if type_ in events.SAMPLES} == events.SAMPLES
    assert {
        "position_sample",
        "motion_sample",
        "signal_sample",
        "node_data",
        "traffic",
    } == events.SAMPLES


def test_every_type_can_be_asked_for() -> None:
    assert {type_ for type_, _, _ in TABLE} == events.TYPES


def test_an_event_keeps_what_it_was_given_when_the_giver_changes_its_mind() -> None:
    details = {"raw": "00"}
    given_away = [
        events.error(TS, "master", "unknown_0x00", details),
        events.ride_end(TS, "r1", "error", details),
        events.hello(TS, details),
    ]
    before = [encode(event) for event in given_away]
    details["raw"] = "ff"
    assert [encode(event) for event in given_away] == before
