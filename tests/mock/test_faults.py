from __future__ import annotations

from itertools import islice, pairwise

import pytest

from mock.car import Car
from mock.faults import KINDS, NEIGHBOURS, in_order, parse_fault
from mock.profile import s_curve
from mock.sensor import Frame, Sensor, Slot

READY_SLOT = 102


def slots_with(*texts: str, seconds: float = 10, seed: int | None = 1, floor_mm: float = 1000) -> list[Slot]:
    car = Car((floor_mm,), s_curve, top_mm=2**24 - 1)
    sensor = Sensor(car, in_order(parse_fault(text) for text in texts), seed=seed)
    return list(islice(sensor.slots(), READY_SLOT, round(seconds * 500)))


def frames_of(slots: list[Slot]) -> list[Frame]:
    return [frame for slot in slots for frame in slot.frames]


def raws_of(slots: list[Slot], arbitration_id: int) -> set[int]:
    return {
        int.from_bytes(frame.data[:3], "big")
        for frame in frames_of(slots)
        if frame.arbitration_id == arbitration_id
    }


def test_silent_sends_nothing_for_its_time_and_again_after_its_period() -> None:
    slots = slots_with("silent,after=2,for=1,every=3")
    for slot in slots:
        silent = 2 <= slot.due_s < 3 or 5 <= slot.due_s < 6 or 8 <= slot.due_s < 9
        assert len(slot.frames) == (not silent)


def test_a_fault_without_a_period_happens_once() -> None:
    quiet = [slot.due_s for slot in slots_with("silent,after=2,for=1,every=0") if not slot.frames]
    assert (quiet[0], quiet[-1], len(quiet)) == (2.0, 2.998, 500)


def test_locked_sends_only_locked_messages_with_changing_keys_and_then_recovers() -> None:
    slots = slots_with("locked,after=2,for=3")
    locked = [slot for slot in slots if 2 <= slot.due_s < 5]
    frames = frames_of(locked)
    assert {frame.arbitration_id for frame in frames} == {0x10, 0x11}
    assert all(len(frame.data) == 8 and frame.data[7] == 0xF0 for frame in frames)
    keys = [frame.data[:2] for frame in frames if frame.arbitration_id == 0x10]
    assert len(set(keys)) > 0.95 * len(keys)
    dues = [slot.due_s for slot in locked if slot.frames and slot.channel == 0]
    assert max(after - before for before, after in pairwise(dues)) < 0.030
    assert all(slot.frames[0].arbitration_id in (0x80, 0x81) for slot in slots if slot.due_s >= 5)


def test_locked_can_stay() -> None:
    after = frames_of([slot for slot in slots_with("locked,after=1,for=inf") if slot.due_s >= 1])
    assert {frame.arbitration_id for frame in after} == {0x10, 0x11}


def test_error_sends_one_error_frame_per_channel_and_the_positions_go_on() -> None:
    slots = slots_with("error=0x2a,after=2,every=4")
    errors = [
        (slot.due_s, frame.arbitration_id, frame.data[7])
        for slot in slots
        for frame in slot.frames
        if frame.arbitration_id in (0x20, 0x21)
    ]
    assert errors == [(2.0, 0x20, 42), (2.002, 0x21, 42), (6.0, 0x20, 42), (6.002, 0x21, 42)]
    assert all(slot.frames[-1].arbitration_id in (0x80, 0x81) for slot in slots)


@pytest.mark.parametrize(
    ("text", "slave"), [("mismatch=30", 1030), ("mismatch=-30", 970), ("mismatch=-5000", 0)]
)
def test_mismatch_moves_the_slave_and_leaves_the_master(text: str, slave: int) -> None:
    slots = slots_with(text)
    assert raws_of(slots, 0x80) == {1000}
    assert raws_of(slots, 0x81) == {slave}


def test_mismatch_leaves_the_start_up_frames_alone() -> None:
    car = Car((1000,), s_curve, top_mm=5000)
    frames = frames_of(list(islice(Sensor(car, [parse_fault("mismatch")]).slots(), READY_SLOT)))
    assert [frame.arbitration_id for frame in frames] == [0x30, 0x31, 0x30, 0x31]


def test_drop_loses_its_share_of_the_frames() -> None:
    sent = len(frames_of(slots_with("drop=0.25", seconds=60)))
    assert sent == pytest.approx(0.75 * (60 * 500 - READY_SLOT), rel=0.02)


def test_drop_of_everything_leaves_nothing() -> None:
    assert frames_of(slots_with("drop=1")) == []


def test_jitter_delays_by_up_to_its_time_and_keeps_the_order() -> None:
    slots = slots_with("jitter=5", seconds=20)
    delays = [slot.due_s - slot.number / 500 for slot in slots]
    assert min(delays) >= 0
    assert max(delays) <= 0.005
    assert max(delays) > 0.004
    dues = [slot.due_s for slot in slots]
    assert dues == sorted(dues)


def test_malformed_adds_frames_of_every_wrong_length_and_no_right_one() -> None:
    right = {0x80: 4, 0x30: 8, 0x20: 8, 0x10: 8}
    slots = slots_with("malformed=0.1", seconds=60)
    wrong = frames_of([Slot(slot.number, slot.due_s, slot.frames[1:]) for slot in slots])
    assert len(wrong) == pytest.approx(0.1 * len(slots), rel=0.1)
    assert {frame.arbitration_id & ~1 for frame in wrong} == set(right)
    assert all(len(frame.data) != right[frame.arbitration_id & ~1] for frame in wrong)
    assert {len(frame.data) for frame in wrong} == set(range(9))
    assert all(slot.frames[0].arbitration_id in (0x80, 0x81) for slot in slots)


def test_foreign_lets_all_the_neighbours_speak_in_turn() -> None:
    strangers = [frame for slot in slots_with("foreign") for frame in slot.frames[1:]]
    assert set(strangers) == set(NEIGHBOURS)
    kinds = {
        (frame.arbitration_id, frame.is_extended_id, frame.is_remote_frame, frame.is_fd, len(frame.data))
        for frame in strangers
    }
    assert kinds >= {
        (0x180, False, False, False, 4),
        (0x80, True, False, False, 4),
        (0x80, False, True, False, 0),
        (0x80, False, False, False, 0),
        (0x81, False, False, False, 8),
        (0x80, False, False, True, 4),
    }


def test_the_neighbours_speak_on_while_the_sensor_is_silent_or_locked() -> None:
    for other in ("silent,after=1,for=5", "locked,after=1,for=5", "drop=1"):
        frames = frames_of([slot for slot in slots_with("foreign", other) if 1 <= slot.due_s < 6])
        assert set(frames) >= set(NEIGHBOURS)


def test_the_same_seed_gives_the_same_frames_and_another_seed_others() -> None:
    faults = ("drop", "jitter", "malformed")
    assert slots_with(*faults, seed=7) == slots_with(*faults, seed=7)
    assert slots_with(*faults, seed=7) != slots_with(*faults, seed=8)


@pytest.mark.parametrize("name", KINDS)
def test_a_name_alone_is_a_fault_with_the_defaults_that_the_help_names(name: str) -> None:
    fault, kind = parse_fault(name), KINDS[name]
    assert (fault.value, fault.after_s, fault.for_s) == (kind.value, kind.after_s, kind.for_s)
    assert ("all the time" in kind.when) == (fault.active_since(10**9) is not None and not fault.every_s)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("explode", "unknown fault 'explode'; known are drop, error"),
        ("silent=3", "fault silent takes no value"),
        ("drop=1.5", "fault drop: 1.5 is not between 0 and 1"),
        ("drop=-0.1", "fault drop: -0.1 is not between"),
        ("drop=nan", "fault drop: nan is not between"),
        ("drop=much", "fault drop: 'much' is not a number"),
        ("error=256", "fault error: 256 is not between 0 and 255"),
        ("error=0xzz", "'0xzz' is not a number"),
        ("locked,for=-1", "fault locked: for: -1 is not between"),
        ("locked,during=1", "fault locked: unknown setting 'during'; known are after, every, for"),
        ("locked,after=inf", "only 'for' may be inf"),
        ("locked,every=inf", "only 'for' may be inf"),
    ],
)
def test_a_wrong_fault_is_an_error_that_names_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="^.*" + complaint):
        parse_fault(text)
