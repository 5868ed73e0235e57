"""Lines to samples and back."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.frames import MessageType
from listener.rides.files import (
    MOTION_HEADER,
    RAW_HEADER,
    Frame,
    NotUnderstood,
    Point,
    Sample,
    begins_with_ride,
    encoding_of,
    is_position,
    kind_of,
    motion_rows,
    not_understood,
    raw_rows,
    read_candump,
    read_csv,
    sample_of,
    spans,
    write_candump,
    write_csv,
)
from listener.rides.finder import RideBegan, RideEnded, RideFinder
from mock.profile import hydraulic
from mock.replay import replay_slots
from tests.listener.rides.bench import TS, Lift, found

BOTH = ("master", "slave")
RIDE = hydraulic(3000.0)
LIFT = Lift([(3.0, RIDE)])
SAMPLES = list(LIFT.samples(3.0 + RIDE.duration_s + 2.3, since_s=2.0, channels=BOTH))


def positions(lines: Iterable[str]) -> list[Sample]:
    read = list(read_candump(lines))
    assert all(isinstance(each, Frame) and is_position(each.frame) for each in read)
    return [sample_of(each.frame) for each in read if isinstance(each, Frame)]


def event(kind: str, payload: dict[str, Any], ts: float = TS + 5.0) -> dict[str, Any]:
    return {"proto": 1, "type": kind, "ts": ts, "source": "les02", "payload": payload}


# candump


def test_a_position_is_a_line_of_candump() -> None:
    samples = [("master", 1_700_000_000.25, 1000), ("slave", 1_700_000_000.252, 0xFFFFFF)]
    lines = list(write_candump(samples, []))
    assert lines == ["(1700000000.250000) can0 080#0003E8FF\n", "(1700000000.252000) can0 081#FFFFFFFF\n"]
    assert positions(lines) == samples


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("(1700000000.250000) can0 080#0003E8FF", ("master", 1_700_000_000.25, 1000)),
        ("(1700000000.250000) vcan1 081#0003e800 R", ("slave", 1_700_000_000.25, 1000)),
        (" (1700000000.250000)  can0  080   [4]  00 03 E8 FF", ("master", 1_700_000_000.25, 1000)),
        (" (0000000012.500000)  can0  081   [4]  00 03 E8 FF\r\n", ("slave", 12.5, 1000)),
    ],
)
def test_what_candump_writes_and_what_it_prints_is_read(line: str, expected: Sample) -> None:
    assert positions([line]) == [expected]


@pytest.mark.parametrize(
    "line",
    [
        "(1700000000.250000) can0 00000080#0003E8FF",  # 29 bits
        "(1700000000.250000) can0 080#R",
        "(1700000000.250000) can0 080#R4",
        "(1700000000.250000) can0 080##10003E8FF",  # CAN FD
        "(1700000000.250000) can0 20000080#0000000000000000",  # of the controller
        "(1700000000.250000) can0 180#0003E8FF",
        "(1700000000.250000) can0 100#",
        " (1700000000.250000)  can0  080   [4]  remote request",
        " (1700000000.250000)  can0  100   [0] ",
        " (1700000000.250000)  can0  20000004   [8]  00 01 00 00 00 00 00 00   ERRORFRAME",
        "",
        "   \n",
    ],
)
def test_neighbours_and_empty_lines_are_left_out(line: str) -> None:
    assert list(read_candump([line])) == []


def test_other_messages_of_the_sensor_come_in_their_place() -> None:
    lines = [
        "(1.000000) can0 030#01020304000000F0",
        "(1.004000) can0 080#0003E8FF",
        "(1.008000) can0 011#ABCD0000000000F0",
    ]
    frames = [each.frame for each in read_candump(lines) if isinstance(each, Frame)]
    assert [(frame.message_type, frame.channel.label) for frame in frames] == [
        (MessageType.STATUS, "master"),
        (MessageType.POSITION, "master"),
        (MessageType.SYSTEM, "slave"),
    ]


def test_lines_that_are_not_understood_are_told_by_their_number() -> None:
    lines = [
        "(1.000000) can0 080#0003E8FF",
        "",
        "nonsense",
        "(1.000000) can0 080#0003E8F",
        "(1.000000) can0 080#0003E8",
        "(x) can0 080#0003E8FF",
        "\x00\x1b[2J" + "x" * 100,
        "(1.004000) can0 080#0003E8FF",
    ]
    wrong = [each for each in read_candump(lines) if isinstance(each, NotUnderstood)]
    assert [each.line for each in wrong] == [3, 4, 5, 6, 7]
    assert wrong[2].reason == "position_length_3_not_4"
    assert wrong[0].reason == "nonsense"
    assert wrong[-1].reason.isprintable()
    assert len(wrong[-1].reason) == 40


@given(st.lists(st.text(max_size=60) | st.from_regex(r"\([0-9.]{1,9}\) \w{1,4} [0-9A-F]{3}#\w{0,9}")))
def test_any_lines_are_read_or_told(lines: list[str]) -> None:
    for each in read_candump(lines):
        assert isinstance(each, Frame | NotUnderstood)
    for other in read_csv(lines):
        assert isinstance(other, Point | NotUnderstood)
    kind_of("\n".join(lines))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(BOTH), st.integers(0, 10**15).map(lambda us: us / 1e6), st.integers(0, 2**24 - 1)
        )
    )
)
def test_any_samples_survive_a_log_in_the_order_of_time(samples: list[Sample]) -> None:
    read = positions(write_candump(samples, []))
    assert [ts for _, ts, _ in read] == sorted(ts for _, ts, _ in read)
    assert sorted(read) == sorted((channel, round(ts, 6), raw) for channel, ts, raw in samples)


@pytest.mark.parametrize("raw", [-1, 2**24])
def test_a_position_that_the_sensor_cannot_tell_is_an_error(raw: int) -> None:
    with pytest.raises(ValueError, match=f"cannot tell the position {raw}"):
        list(write_candump([("master", TS, raw)], []))


def test_what_the_sensor_said_besides_is_in_the_log_and_an_unlock_is_not() -> None:
    events = [
        event("ride_start", {"ride_id": "x", "direction": "up"}),
        event("status", {"channel": "master", "state": "ready", "raw": "01020304000000f0"}),
        event("status", {"channel": "system", "state": "no_data"}),
        event("error", {"channel": "slave", "code": "unknown_0x07", "details": {"raw": "0000000000000007"}}),
        event("error", {"channel": "system", "code": "overspeed", "details": {"limit_mm_s": 8000}}),
        event("error", {"channel": "master", "code": "strange", "details": "text"}),
        event("system", {"channel": "master", "state": "locked", "raw": "abcd0000000000f0"}),
        event("system", {"channel": "system", "state": "unlock", "raw": "abcd0000000000ff"}),
        event("status", {"channel": ["master"], "raw": "01020304000000f0"}),
        event("status", {"channel": "master", "raw": "no hexadecimals!"}),
        event("status", {"channel": "master", "raw": ["01020304000000f0"]}),
    ]
    lines = list(write_candump([("master", TS, 1000)], events, bus="can1"))
    assert [line.split(" ")[1:] for line in lines] == [
        ["can1", "080#0003E8FF\n"],
        ["can1", "010#ABCD0000000000F0\n"],
        ["can1", "021#0000000000000007\n"],
        ["can1", "030#01020304000000F0\n"],
    ]


def test_a_replayed_log_is_the_same_ride(tmp_path: Path) -> None:
    """By the reader of `lesmock --replay`, at another time."""
    path = tmp_path / "ride.log"
    path.write_text("".join(write_candump(SAMPLES, [], arrived_ts=TS + 3.0 + RIDE.duration_s)))
    finder = RideFinder(1.0)
    samples = []
    for slot in replay_slots(path, 1):
        (frame,) = slot.frames
        samples.append(
            (BOTH[frame.arbitration_id & 1], TS + 1e6 + slot.due_s, int.from_bytes(frame.data[:3]))
        )
    assert samples[-1][1] - samples[0][1] == pytest.approx(1.0 + RIDE.duration_s + 3.0, abs=0.005)
    began, ended = found(finder, samples)
    original = found(RideFinder(1.0), LIFT.samples(20.0, channels=BOTH))
    assert isinstance(began, RideBegan)
    assert isinstance(ended, RideEnded)
    assert isinstance(original[1], RideEnded)
    assert (began.direction, began.partial, ended.reason) == (1, False, "completed")
    assert ended.summary.distance_mm == original[1].summary.distance_mm
    assert ended.summary.duration_s == pytest.approx(original[1].summary.duration_s, abs=0.001)
    assert [phase.name for phase in ended.summary.phases] == [
        phase.name for phase in original[1].summary.phases
    ]


@pytest.mark.parametrize(("arrived_s", "until_s"), [(2.0, 5.0), (-9.0, 2.5), (1e10, 5.0)])
def test_a_car_that_has_arrived_stands_at_the_end_of_a_log(arrived_s: float, until_s: float) -> None:
    samples = [("master", TS, 5), ("slave", TS + 1.998, 6), ("master", TS + 2.0, 7)]
    read = positions(write_candump(samples, [], arrived_ts=TS + arrived_s))
    assert read[:3] == samples
    assert {(channel, raw) for channel, _, raw in read[3:]} == {("master", 7), ("slave", 6)}
    assert read[-1][1] == pytest.approx(TS + until_s, abs=0.005)
    assert list(write_candump([], [], arrived_ts=TS)) == []
    # One that had fallen silent does not come back.
    samples[1] = ("slave", TS + 1.0, 6)
    read = positions(write_candump(samples, [], arrived_ts=TS + arrived_s))
    assert {(channel, raw) for channel, _, raw in read[3:]} == {("master", 7)}


def test_the_log_is_one_that_python_can_reads(tmp_path: Path) -> None:
    path = tmp_path / "ride.log"
    path.write_text("".join(write_candump(SAMPLES[:10], [])))
    with can.LogReader(path) as reader:
        messages = list(reader)
    assert [message.arbitration_id for message in messages] == [0x80, 0x81] * 5
    assert [round(message.timestamp, 6) for message in messages] == [
        round(ts, 6) for _, ts, _ in SAMPLES[:10]
    ]


# CSV


def test_a_spreadsheet_gets_a_row_every_20_ms_that_begins_with_the_ride() -> None:
    start_ts = TS + 3.0
    header, *rows = write_csv(MOTION_HEADER, motion_rows(SAMPLES, start_ts, 1.0), decimal_comma=False)
    assert header == "time_s,position_mm,velocity_mm_s,acceleration_mm_s2\r\n"
    values = [[float(cell) for cell in row.split(",")] for row in rows]
    assert values[0][0] == pytest.approx(-0.8)
    assert values[-1][0] == pytest.approx(RIDE.duration_s + 2.1, abs=0.05)
    for at_s, position_mm, velocity_mm_s, _ in values:
        assert position_mm == pytest.approx(LIFT.position_mm(3.0 + at_s), abs=1.0)
        assert velocity_mm_s == pytest.approx(LIFT.velocity_mm_s(3.0 + at_s), abs=12.0)
    assert {round(b[0] - a[0], 4) for a, b in pairwise(values)} == {0.02}
    assert not any("-0.00," in row for row in rows)


def test_german_spreadsheets_get_semicolons_and_decimal_commas() -> None:
    lines = list(write_csv(RAW_HEADER, raw_rows([("slave", 12.5, 2001)], 12.0, 0.5), decimal_comma=True))
    assert lines == ["time_s;position_mm;channel;position_raw\r\n", "0,500000;1000,5;slave;2001\r\n"]


@pytest.mark.parametrize("decimal_comma", [False, True])
def test_raw_csv_comes_back_as_it_was(decimal_comma: bool) -> None:
    lines = write_csv(RAW_HEADER, raw_rows(SAMPLES, TS, 0.5), decimal_comma=decimal_comma)
    read = list(read_csv(lines))
    assert all(isinstance(each, Point) for each in read)
    back = [(each.channel, each.ts + TS, round(each.position_mm / 0.5)) for each in read]  # type: ignore[union-attr]
    assert [(channel, raw) for channel, _, raw in back] == [(channel, raw) for channel, _, raw in SAMPLES]
    assert [ts for _, ts, _ in back] == pytest.approx([ts for _, ts, _ in SAMPLES], abs=1e-6)


@pytest.mark.parametrize(
    "lines",
    [
        ["0.5,1000", "1.5,1001.5"],
        ["0.5, 1000 ", "1.5 ,1001.5"],
        ["0,5;1000", "1,5;1001,5"],
        ["0.5;1000", "1.5;1001.5"],
        ["0,5\t1000", "1,5\t1001,5"],
        ["time,position", "0.5,1000", "1.5,1001.5"],
        ['"Zeit [s]";"Weg [mm]"', "0,5;1000", '"1,5";"1001,5"'],
        ["# of the old system", "", "t,pos", "0.5,1000", "", "1.5,1001.5"],
        ["time_ms,position_m", "500,1", "1500,1.0015"],
        ["Position (cm);Time (ms);Speed", "100;500;7", "100,15;1500;8"],
        ["number,time_s,position_raw,position_mm", "1,0.5,77,1000", "2,1.5,78,1001.5"],
        ["something,else", "0.5,1000", "1.5,1001.5"],
        ["5e-1,1e3", "1.5,1001.5", ""],
    ],
    ids="|".join,
)
def test_csv_of_many_kinds_is_read(lines: list[str]) -> None:
    first, second = read_csv(line + "\n" for line in lines)
    assert isinstance(first, Point)
    assert isinstance(second, Point)
    assert (first.channel, first.ts) == ("master", 0.5)
    assert (second.channel, second.ts) == ("master", 1.5)
    assert (first.position_mm, second.position_mm) == pytest.approx((1000.0, 1001.5))


def test_csv_lines_that_are_not_understood_are_told_by_their_number() -> None:
    lines = ["time;position;channel", "0;1;master", "x;1;master", "1;1", "0;1;master", "1;inf;master"]
    lines += ["1;1;third", "0,5;7;slave", "1;2;master"]
    read = list(read_csv(lines))
    assert [each.line for each in read if isinstance(each, NotUnderstood)] == [3, 4, 5, 6, 7]
    assert [each.reason for each in read if isinstance(each, NotUnderstood)][2] == "time does not go on"
    assert [each for each in read if isinstance(each, Point)] == [
        Point("master", 0.0, 1.0),
        Point("slave", 0.5, 7.0),
        Point("master", 1.0, 2.0),
    ]


@pytest.mark.parametrize(
    ("name", "unit_mm_s"),
    [
        ("velocity_mm_s", 1.0),
        ("Speed (cm/s)", 10.0),
        ("v [m/s]", 1000.0),
        ("Geschwindigkeit_m_s", 1000.0),
        ("speed", None),
        ("acceleration_mm_s2", None),
        ("volume m/s", None),
    ],
)
def test_velocities_are_read_where_their_unit_is_told(name: str, unit_mm_s: float | None) -> None:
    first, second, third = read_csv([f"time;position;{name}", "0;1000;-1,5", "1;1001;?", "2;1002"])
    expected = None if unit_mm_s is None else -1.5 * unit_mm_s
    assert [each.velocity_mm_s for each in (first, second, third) if isinstance(each, Point)] == [
        expected,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("line", "is_export"),
    [
        (",".join(RAW_HEADER), True),
        (";".join(MOTION_HEADER), True),
        ('"' + '"\t"'.join(MOTION_HEADER) + '"\r\n', True),
        (",".join(MOTION_HEADER[:2]), False),
        ("0.5,1000", False),
        ("", False),
    ],
)
def test_a_table_of_export_is_known_by_its_header(line: str, is_export: bool) -> None:
    assert begins_with_ride(["# bench 2", "", line, "0,1000"]) is is_export


# Any


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ('{"ride":1}', "json"),
        ('\ufeff \n{"ride":1}', "json"),
        ("(1700000000.250000) can0 080#0003E8FF\n", "candump"),
        ("some remark\n (1700000000.250000)  can0  080   [4]  00 03 E8 FF\n", "candump"),
        ("(17000", "candump"),
        ("time,position\n1,2\n", "csv"),
        ("anything", "csv"),
        ("", "csv"),
        ("\x7fELF\x02\x00", ""),
    ],
)
def test_what_a_file_is_is_seen_at_its_beginning(head: str, kind: str) -> None:
    assert kind_of(head) == kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_what_spreadsheets_call_unicode_is_read(encoding: str) -> None:
    text = ("\ufeff" if encoding == "utf-16-be" else "") + "Zeit;Höhe\n0;1\n"
    content = text.encode(encoding)
    assert content.decode(encoding_of(content)).removeprefix("\ufeff") == "Zeit;Höhe\n0;1\n"


def test_many_lines_are_told_in_few_words() -> None:
    assert spans([]) == ""
    assert spans([7]) == "7"
    assert spans([3, 4, 5, 9, 11, 12]) == "3-5, 9, 11-12"
    assert spans(range(1, 100, 2), at_most=2) == "1, 3 and 48 more places"
    assert not_understood([3], "x") == "line 3 not understood (x)"
    assert not_understood([3, 4], "x") == "lines 3-4 not understood (x)"
