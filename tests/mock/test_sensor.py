from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock.car import Car
from mock.profile import s_curve
from mock.sensor import Frame, Sensor, error_frame, locked_frame, position_frame, status_frame

if TYPE_CHECKING:
    from mock.sensor import Slot

READY_SLOT = 100


def slots_of(
    seconds: float, *floors_mm: float, pause_s: float = 1.0, resolution_mm: float = 1.0, count: int = 0
) -> list[Slot]:
    car = Car(floors_mm, s_curve, top_mm=2**24 - 1, pause_s=pause_s, count=count)
    return list(islice(Sensor(car, resolution_mm=resolution_mm).slots(), round(seconds * 500)))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (position_frame(0, 0x123456, 0x78), Frame(0x80, bytes.fromhex("12345678"))),
        (position_frame(1, 1), Frame(0x81, bytes.fromhex("00000100"))),
        (status_frame(0, 0x0F, bytes.fromhex("01020304")), Frame(0x30, bytes.fromhex("010203040000000f"))),
        (status_frame(1, 0xF0), Frame(0x31, bytes.fromhex("00000000000000f0"))),
        (error_frame(1, 0x42), Frame(0x21, bytes.fromhex("0000000000000042"))),
        (locked_frame(0, b"\xab\xcd"), Frame(0x10, bytes.fromhex("abcd0000000000f0"))),
    ],
)
def test_frames_are_laid_out_as_the_manual_says(frame: Frame, expected: Frame) -> None:
    assert frame == expected


def test_the_sensor_says_that_it_starts_then_that_it_is_ready_and_only_then_positions() -> None:
    frames = [frame for slot in slots_of(0.5, 1000) for frame in slot.frames]
    assert [(frame.arbitration_id, frame.data[7]) for frame in frames[:4]] == [
        (0x30, 0x0F),
        (0x31, 0x0F),
        (0x30, 0xF0),
        (0x31, 0xF0),
    ]
    assert any(frames[0].data[:4])
    assert {frame.arbitration_id for frame in frames[4:]} == {0x80, 0x81}


def test_each_channel_sends_every_4_ms_and_the_slave_2_ms_after_the_master_for_minutes() -> None:
    slots = slots_of(120, 1000, 4000)
    assert len(slots) == 60_000
    for number, slot in enumerate(slots):
        assert slot.due_s == number * 2 / 1000
        assert slot.channel == number % 2
        if number >= READY_SLOT + 2:
            (frame,) = slot.frames
            assert frame.arbitration_id == 0x80 + number % 2
            assert len(frame.data) == 4


def test_the_positions_are_those_of_the_ride_at_the_time_of_each_slot() -> None:
    ride = s_curve(3000)
    for slot in slots_of(15, 1000, 4000)[READY_SLOT + 2 :]:
        raw = int.from_bytes(slot.frames[0].data[:3], "big")
        elapsed = slot.due_s - 1.0
        if elapsed < ride.duration_s + 1.0:
            assert raw == pytest.approx(1000 + ride.position_mm(elapsed), abs=0.5001)


def test_the_standing_position_is_sent_on_between_the_rides() -> None:
    raws = {int.from_bytes(slot.frames[0].data[:3], "big") for slot in slots_of(5, 7777)[READY_SLOT + 2 :]}
    assert raws == {7777}


def test_byte_4_changes_so_that_nobody_relies_on_it() -> None:
    assert len({slot.frames[0].data[3] for slot in slots_of(2, 0)[READY_SLOT + 2 :]}) == 256


@given(st.floats(0, 2**24 - 1), st.floats(0.1, 10))
def test_a_position_beyond_24_bits_stays_at_the_end_of_the_scale(
    floor_mm: float, resolution_mm: float
) -> None:
    slot = slots_of(0.21, floor_mm, resolution_mm=resolution_mm)[-1]
    raw = int.from_bytes(slot.frames[0].data[:3], "big")
    assert raw == min(round(floor_mm / resolution_mm), 2**24 - 1)


def test_the_slots_end_with_the_last_ride() -> None:
    slots = slots_of(100, 1000, 2000, count=1)
    assert slots[-1].due_s == pytest.approx(1.0 + s_curve(1000).duration_s + 1.0, abs=0.002)
