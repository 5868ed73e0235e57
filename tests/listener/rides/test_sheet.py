from typing import Any

import pytest

from listener.rides import sheet
from listener.rides.motion import Motion
from listener.rides.plot import ASCII, BRAILLE
from listener.rides.store import Ride

TS = 1_700_000_000.0
PHASES = [
    {"name": "start", "begin_s": 0.0, "duration_s": 0.5, "distance_mm": 5.0, "speed_mm_s": 10.0},
    {"name": "full_speed", "begin_s": 0.5, "duration_s": 4.5, "distance_mm": 2000.0, "speed_mm_s": 630.4},
]
EXTREMES = {
    "velocity_mm_s": 631.2,
    "acceleration_mm_s2": 500.0,
    "deceleration_mm_s2": 480.0,
    "jerk_mm_s3": 1e3,
}
SUMMARY = {
    "duration_s": 5.004,
    "distance_mm": 2005.0,
    "start_position_mm": 1000.0,
    "stop_position_mm": 3005.0,
    "max": EXTREMES,
    "p95": EXTREMES,
    "full_speed_mm_s": 630.4,
    "creep_speed_mm_s": None,
    "phases": PHASES,
    "start_floor": 0,
    "stop_floor": 1,
    "stop_offset_mm": -2.0,
    "cause": None,
    "partial": False,
    "turned": False,
    "stops": 0,
    "relevels": 2,
}


def ride(**more: Any) -> Ride:
    values: dict[str, Any] = {
        "number": 7,
        "id": "3f2a",
        "source": "les02",
        "start_ts": TS,
        "end_ts": TS + 5.004,
        "direction": "up",
        "distance_mm": 2005.0,
        "reason": "completed",
        "summary": SUMMARY,
        "resolution_mm": 1.0,
        "specimen": "V-17",
        "note": "half a turn",
        "is_reference": True,
        "is_starred": True,
        "size": 5,
    }
    return Ride(**(values | more))


def motions(until_s: float) -> list[Motion]:
    return [Motion(TS - 1 + n / 50, 1000.0 + n, 50.0, 0.0, 0.0) for n in range(round((until_s + 1) * 50))]


@pytest.mark.usefixtures("terminal")
def test_a_list_is_aligned_and_notes_are_cut_to_the_width() -> None:
    rides = [ride(), ride(number=123, is_reference=False, specimen="", note="a" * 80, reason=None)]
    assert sheet.table(rides, 90) == [
        " no  start                way    mm     s  mm/s  end          specimen      note",
        "  7  2023-11-14 23:13:20  up   2005  5.00   630  completed    V-17      R*  half a turn",
        "123  2023-11-14 23:13:20  up   2005  5.00   630  in progress            *   aaaaaaaaaaa...",
    ]
    assert sheet.table(rides, 200)[-1].endswith("a" * 80)


@pytest.mark.usefixtures("terminal")
def test_a_long_specimen_leaves_room_for_the_rest() -> None:
    rides = [ride(specimen="V" * 200), ride()]
    lines = sheet.table(rides, 100)
    assert max(map(len, lines)) <= 100
    assert f"{'V' * 15}...  R*  half a turn" in lines[1]
    assert lines[2].index("half") == lines[1].index("half")
    assert "V" * 12 not in sheet.table(rides, 20)[1]
    assert "V" * 200 in sheet.table(rides, 800)[1]


@pytest.mark.usefixtures("terminal")
def test_a_ride_in_numbers() -> None:
    assert sheet.summary(ride()) == [
        "Ride 7, 2023-11-14 23:13:20, up, completed, a reference, starred",
        "  id           3f2a",
        "  specimen     V-17",
        "  note         half a turn",
        "  distance     2005.0 mm   from 1000 to 3005, from floor 0 to floor 1",
        "  duration     5.00 s",
        "  full speed   630 mm/s",
        "  stop offset  -2.0 mm     from the floor as it was known",
        "  re-levels    2           after it",
        "",
        "  position-derived       max    95 %",
        "  velocity               631     631  mm/s",
        "  acceleration           500     500  mm/s²",
        "  deceleration           480     480  mm/s²",
        "  jerk                  1000    1000  mm/s³",
        "",
        "  phase               from s   for s      mm    mm/s",
        "  start                 0.00    0.50       5      10",
        "  full speed            0.50    4.50    2000     630",
    ]


def test_numbers_that_are_not_known_are_left_out() -> None:
    lines = sheet.summary(ride(summary=SUMMARY | {"max": None, "p95": None, "phases": []}))
    assert not any("position-derived" in line for line in lines)


def test_what_is_odd_about_a_ride_is_told() -> None:
    odd = SUMMARY | {"cause": "bus_lost", "partial": True, "turned": True, "stops": 1, "incomplete_s": 2.0}
    lines = sheet.summary(ride(reason="aborted", summary=odd))
    assert "aborted (bus_lost)" in lines[0]
    assert any(line.startswith("  stops        1 ") for line in lines)
    assert "  missing      2.0 s       of its positions" in lines
    assert "  partial: seen from its middle on only" in lines
    assert "  the car turned without having stood" in lines


@pytest.mark.usefixtures("terminal")
def test_a_ride_of_which_nothing_is_known_yet_is_a_headline() -> None:
    lines = sheet.summary(
        ride(summary={}, reason=None, end_ts=None, distance_mm=None, specimen="", note="", is_starred=False)
    )
    assert lines == ["Ride 7, 2023-11-14 23:13:20, up, in progress, a reference", "  id           3f2a"]


@pytest.mark.parametrize("glyphs", [BRAILLE, ASCII], ids=["braille", "ascii"])
def test_both_curves_and_the_phases_stand_exactly_above_each_other(glyphs: Any) -> None:
    lines = sheet.curves(ride(), motions(9.0), 80, glyphs)
    floors = [line for line in lines if glyphs.corner + glyphs.floor in line]
    assert len(floors) == 2
    assert floors[0] == floors[1]
    assert len(floors[0]) == 80
    assert "full speed" in lines[-1]
    assert lines[-1].index(glyphs.side) > floors[0].index(glyphs.corner)


def test_a_ride_in_progress_has_its_curve_until_now() -> None:
    lines = sheet.curves(ride(end_ts=None, summary={}, reason=None), motions(3.0), 80, ASCII)
    assert lines[-1].split() == ["0", "1", "2"]
    assert len(lines[-2]) == 80


def test_without_motions_there_is_no_curve() -> None:
    assert sheet.curves(ride(), [], 80, ASCII) == ["no curve: too few positions"]


def test_what_happened_is_told_without_beginning_and_end() -> None:
    events = [
        {"type": "ride_start", "ts": TS, "payload": {"ride_id": "x"}},
        {"type": "error", "ts": TS + 1.5, "payload": {"channel": "master", "code": "unknown_0x07"}},
        {
            "type": "error",
            "ts": TS + 2.0,
            "payload": {"channel": "system", "code": "overspeed", "details": {"limit_mm_s": 8000, "at": 1}},
        },
        {
            "type": "status",
            "ts": TS + 3.0,
            "payload": {"channel": "slave", "state": "ready", "raw": "\x1b0f"},
        },
        {"type": "ride_end", "ts": TS + 5.0, "payload": {"ride_id": "x"}},
    ]
    assert sheet.told(events, TS) == [
        "what happened",
        "      1.50 s  error  master  unknown_0x07",
        "      2.00 s  error  system  overspeed  at 1  limit_mm_s 8000",
        "      3.00 s  status  slave  ready  raw  0f",
    ]
    assert sheet.told(events[::4], TS) == []


@pytest.mark.parametrize("ts", [1e20, -1e20, float("inf")])
def test_a_time_that_is_none_does_no_harm(ts: float) -> None:
    assert sheet.when(ts).endswith(" s")
