import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from listener.rides import store
from listener.rides.exchange import exported, from_json
from listener.rides.files import Frame, read_candump, write_candump
from listener.rides.finder import LONGEST_S, RideFinder
from listener.rides.intake import Collector, Found, Kept, keep
from listener.rides.store import RideInProgress
from listener.schema import MIGRATIONS
from mock.profile import hydraulic
from tests.listener.rides.bench import TS, Lift

RIDE_UP = hydraulic(1500.0)
LIFT = Lift([(3.0, RIDE_UP)], start_mm=1000.0)
ERROR_FRAME = "(1700000006.000000) can0 021#0000000000000007"


def one_ride() -> Found:
    lines = [
        *write_candump(LIFT.samples(3.0 + RIDE_UP.duration_s + 3.0, channels=("master", "slave")), []),
        ERROR_FRAME,
    ]
    collector = Collector(RideFinder(1.0), resolution_mm=1.0, source="les02")
    frames = [each.frame for each in read_candump(sorted(lines)) if isinstance(each, Frame)]
    (ride,) = [*(ride for frame in frames for ride in collector.frame(frame)), *collector.end()]
    return ride


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    for script in MIGRATIONS:
        connection.executescript(script)
    yield connection
    connection.close()


def test_json_is_everything_and_comes_back(connection: sqlite3.Connection) -> None:
    up = one_ride()
    up.note, up.is_reference = "the one", True
    keep(connection, up)
    text = msgspec.json.encode(exported(connection, store.find(connection, 1)))
    assert len(msgspec.json.decode(text)["curve"]["offsets_us"]) > 300
    assert keep(connection, from_json(text)) == Kept(None)
    store.delete(connection, 1)
    assert keep(connection, from_json(text)) == Kept(2)
    again = msgspec.json.encode(exported(connection, store.find(connection, 2)))
    before, after = msgspec.json.decode(text), msgspec.json.decode(again)
    assert [event["type"] for event in after["events"]] == ["ride_start", "error", "ride_end"]
    assert after["ride"].pop("number") == 2
    assert before["ride"].pop("number") == 1
    # The curve is derived once more; its grid begins with the samples that are there.
    for each in (before, after):
        each["ride"].pop("size")
        each.pop("curve")
    assert after == before


RIDE = {
    "number": 1,
    "id": "a",
    "source": "les02",
    "start_ts": TS,
    "end_ts": TS + 1,
    "direction": "up",
    "distance_mm": 1.0,
    "reason": "completed",
    "summary": {},
    "resolution_mm": 1.0,
    "specimen": "",
    "note": "",
    "is_reference": False,
    "is_starred": False,
    "size": 0,
}


PHASE = {"name": "start", "begin_s": 0.0, "duration_s": 1.0, "distance_mm": 1.0, "speed_mm_s": 1.0}
EVENT = {"type": "status", "ts": TS, "payload": {"channel": "master", "state": "ready"}}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ride": RIDE | {"reason": 5}}, "reason"),
        ({"ride": RIDE | {"specimen": "x" * 201}}, "specimen"),
        ({"ride": RIDE | {"note": "x" * 4001}}, "note"),
        ({"ride": RIDE | {"direction": "left"}}, "direction"),
        ({"ride": RIDE | {"reason": "completed\n"}}, "reason"),
        ({"ride": RIDE | {"start_ts": -1.0}}, "start_ts"),
        ({"ride": RIDE | {"start_ts": 0.0}}, "start_ts.*end_ts"),
        ({"ride": RIDE | {"end_ts": 1e11}}, "start_ts.*end_ts"),
        ({"ride": RIDE | {"end_ts": TS - 0.1}}, "start_ts.*end_ts"),
        ({"ride": RIDE | {"end_ts": 1e300}}, "end_ts"),
        ({"ride": RIDE | {"distance_mm": 1e308}}, "distance_mm"),
        ({"ride": RIDE | {"distance_mm": -1.0}}, "distance_mm"),
        ({"ride": RIDE | {"resolution_mm": 1e-300}}, "resolution_mm"),
        ({"ride": RIDE | {"summary": {"phases": 5}}}, r"`\$\.ride\.summary\.phases`"),
        ({"ride": RIDE | {"summary": {"phases": [PHASE | {"begin_s": 1e300}]}}}, r"phases\[0\]\.begin_s"),
        ({"ride": RIDE | {"summary": {"phases": [PHASE | {"name": "x" * 65}]}}}, r"phases\[0\]\.name"),
        ({"ride": RIDE | {"summary": {"max": None}}}, r"summary\.max"),
        ({"ride": RIDE | {"summary": {"p95": None}}}, r"summary\.p95"),
        ({"ride": RIDE | {"summary": {"relevels": -1}}}, r"summary\.relevels"),
        ({"ride": RIDE | {"summary": {"cause": ["x"]}}}, r"summary\.cause"),
        ({"ride": RIDE | {"summary": {"stop_floor": 10**30}}}, r"summary\.stop_floor"),
        ({"ride": RIDE | {"summary": {"max": {"velocity_mm_s": "fast"}}}}, "velocity_mm_s"),
        ({"ride": {"number": 1}}, "missing"),
        ({"samples": {"master": [[0, 1], [5]]}}, "do not fit"),
        ({"samples": {"third": [[0], [5]]}}, "do not fit"),
        ({"samples": {"master": [["x"], [5]]}}, "int"),
        ({"samples": {"master": [[10**30], [5]]}}, r"samples\[\.\.\.\]\[0\]\[0\]"),
        ({"samples": {"master": [[0, -(10**9)], [5, 5]]}}, r"samples\[\.\.\.\]\[0\]\[1\]"),
        ({"samples": {"master": [[0], [10**400]]}}, r"samples\[\.\.\.\]\[1\]\[0\]"),
        ({"events": [5]}, r"object.*`\$\.events\[0\]`"),
        ({"events": [{"type": "status", "ts": 5.0}]}, r"payload.*`\$\.events\[0\]`"),
        ({"events": [EVENT, EVENT | {"ts": 1e308}]}, r"`\$\.events\[1\]\.ts`"),
        ({"events": [EVENT | {"payload": {"channel": ["x"]}}]}, r"`\$\.events\[0\]\.payload\.channel`"),
        ({"events": [EVENT | {"payload": {"details": None}}]}, r"`\$\.events\[0\]\.payload\.details`"),
        ({"lesrides": 2}, "lesrides"),
    ],
    ids=str,
)
def test_json_that_is_no_ride_is_refused_in_one_line_that_names_the_field(
    change: dict[str, object], complaint: str
) -> None:
    whole: dict[str, Any] = {
        "lesrides": 1,
        "ride": RIDE | {"summary": {"phases": [PHASE]}},
        "samples": {"master": [[0], [5]]},
        "events": [EVENT],
    }
    assert from_json(json.dumps(whole).encode()).id == "a"
    with pytest.raises(msgspec.ValidationError, match=complaint) as raised:
        from_json(json.dumps(whole | change).encode())
    assert "\n" not in str(raised.value)


def test_a_ride_in_progress_is_none_yet_and_that_is_told(connection: sqlite3.Connection) -> None:
    store.begin(
        connection, "now", source="les02", start_ts=TS, direction="up", resolution_mm=1.0, specimen=""
    )
    text = msgspec.json.encode(exported(connection, store.find(connection, 1)))
    with pytest.raises(RideInProgress, match="the ride was in progress when this was written"):
        from_json(text)


def test_the_longest_ride_that_is_recorded_comes_back() -> None:
    """It is ended as too long after an hour."""
    longest = {
        "lesrides": 1,
        "ride": RIDE | {"end_ts": TS + LONGEST_S + 1.0},
        "samples": {"slave": [[-1_000_000, round(1e6 * (LONGEST_S + 1.0))], [-5, 2**24]]},
        "events": [],
    }
    assert from_json(json.dumps(longest).encode()).end_ts == TS + LONGEST_S + 1.0
