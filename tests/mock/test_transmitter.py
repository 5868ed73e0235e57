from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any

import can
import pytest

from mock.sensor import Frame, Slot
from mock.transmitter import CATCH_UP_S, Transmitter, pace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mock.conftest import FakeTime

FULL = can.CanOperationError("Transmit buffer full")
NO_BUFFERS = can.CanOperationError("Failed to transmit", errno.ENOBUFS)
DOWN = can.CanOperationError("Failed to transmit: Network is down", errno.ENETDOWN)
GONE = can.CanOperationError("Failed to transmit: No such device", errno.ENODEV)
POSITION = Frame(0x80, bytes(4))


class TroubledBus(can.BusABC):
    """Fails with the errors in its list, one per call, then sends."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__("troubled")
        self.errors = list(errors)
        self.sent: list[can.Message] = []
        self.closed = False

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        assert timeout == 0  # anything else may block the event loop
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(msg)

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        return None, False

    def shutdown(self) -> None:
        super().shutdown()
        self.closed = True


def transmitter_on(
    bus: can.BusABC, fake_time: FakeTime, *, fd: bool = False, reopen: Any = None
) -> tuple[Transmitter, list[str]]:
    told: list[str] = []
    transmitter = Transmitter(
        bus, fd=fd, reopen=reopen, tell=told.append, clock=fake_time.clock, sleep=fake_time.sleep
    )
    return transmitter, told


async def paced(
    slots: Iterator[Slot], fake_time: FakeTime, speed_up: float = 1.0
) -> list[tuple[int, float, float]]:
    """Number, time since the start and lateness of each slot that was sent."""
    begin = fake_time.now
    sent: list[tuple[int, float, float]] = []

    async def send(slot: Slot, late_s: float) -> None:
        sent.append((slot.number, fake_time.now - begin, late_s))

    await pace(slots, send, speed_up=speed_up, clock=fake_time.clock, sleep=fake_time.sleep)
    return sent


def regular(count: int, period_s: float) -> Iterator[Slot]:
    return (Slot(number, number * period_s, (POSITION,)) for number in range(count))


async def test_over_an_hour_with_late_wake_ups_nothing_drifts_and_nothing_is_missed(
    fake_time: FakeTime,
) -> None:
    fake_time.oversleep = 0.0011
    sent = await paced(regular(18_001, 0.2), fake_time)
    assert [number for number, _, _ in sent] == list(range(18_001))
    for number, at, late in sent:
        assert 0 <= at - number * 0.2 < 0.0012
        assert late == pytest.approx(at - number * 0.2, abs=1e-6)
    assert sent[-1][1] == pytest.approx(3600, abs=0.0012)


async def test_a_wake_up_later_than_the_period_is_caught_up_at_once_and_in_order(fake_time: FakeTime) -> None:
    fake_time.oversleep = 0.005
    sent = await paced(regular(5_000, 0.002), fake_time)
    assert [number for number, _, _ in sent] == list(range(5_000))
    assert all(-1e-9 <= at - number * 0.002 <= 0.0071 for number, at, _ in sent)


async def test_after_a_suspend_the_pace_goes_on_from_there_without_a_burst(fake_time: FakeTime) -> None:
    def slots() -> Iterator[Slot]:
        for slot in regular(1_000, 0.002):
            if slot.number == 500:
                fake_time.now += 60
            yield slot

    sent = await paced(slots(), fake_time)
    assert len(sent) == 1_000
    assert sent[500][1] - sent[499][1] == pytest.approx(60, abs=0.003)
    assert sent[999][1] - sent[500][1] == pytest.approx(499 * 0.002, abs=0.003)
    assert max(late for _, _, late in sent) < CATCH_UP_S


async def test_faster_means_all_times_divided(fake_time: FakeTime) -> None:
    sent = await paced(regular(1_001, 0.01), fake_time, speed_up=4)
    assert sent[-1][1] == pytest.approx(10 / 4)


async def test_a_pace_that_cannot_be_kept_still_lets_others_run(fake_time: FakeTime) -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    async def slow_send(_slot: Slot, _late_s: float) -> None:
        fake_time.now += 0.01

    await pace(regular(1_000, 0.002), slow_send, speed_up=1, clock=fake_time.clock, sleep=nap)
    assert naps.count(0) >= 10


async def test_a_message_says_what_the_frame_says_and_when_it_was_due(fake_time: FakeTime) -> None:
    bus = TroubledBus()
    transmitter, _ = transmitter_on(bus, fake_time, fd=True)
    frames = (
        Frame(0x81, b"\x01\x02\x03\x04"),
        Frame(0x80, is_remote_frame=True, dlc=4),
        Frame(0x123456, bytes(12), is_extended_id=True, is_fd=True, bitrate_switch=True),
    )
    before = time.time()
    await transmitter.send(Slot(0, 0.0, frames), 0.5)
    after = time.time()
    for message, frame in zip(bus.sent, frames, strict=True):
        assert message.arbitration_id == frame.arbitration_id
        assert bytes(message.data) == frame.data
        assert message.dlc == (len(frame.data) if frame.dlc is None else frame.dlc)
        assert message.is_extended_id == frame.is_extended_id
        assert message.is_remote_frame == frame.is_remote_frame
        assert (message.is_fd, message.bitrate_switch) == (frame.is_fd, frame.bitrate_switch)
        assert before <= message.timestamp + 0.5 <= after
    assert (transmitter.sent, transmitter.lost, transmitter.left_out) == (3, 0, 0)


async def test_fd_frames_are_left_out_where_the_bus_cannot(fake_time: FakeTime) -> None:
    bus = TroubledBus()
    transmitter, _ = transmitter_on(bus, fake_time)
    await transmitter.send(Slot(0, 0.0, (Frame(0x80, bytes(4), is_fd=True), POSITION)))
    assert len(bus.sent) == 1
    assert (transmitter.sent, transmitter.lost, transmitter.left_out) == (1, 0, 1)


@pytest.mark.parametrize(
    "error", [FULL, NO_BUFFERS, OSError(errno.ENOBUFS, "full"), can.CanTimeoutError("late")]
)
async def test_a_queue_that_is_full_for_a_moment_loses_nothing_and_says_nothing(
    fake_time: FakeTime, error: Exception
) -> None:
    bus = TroubledBus(error, error, error)
    transmitter, told = transmitter_on(bus, fake_time)
    await transmitter.send(Slot(0, 0.0, (POSITION,)))
    assert (transmitter.sent, transmitter.lost, told) == (1, 0, [])


async def test_a_queue_that_stays_full_is_told_once_counted_and_not_waited_for_again(
    fake_time: FakeTime,
) -> None:
    bus = TroubledBus(*[FULL] * 15)
    transmitter, told = transmitter_on(bus, fake_time)
    begin = fake_time.now
    for number in range(20):
        await transmitter.send(Slot(number, 0.0, (POSITION,)))
    assert fake_time.now - begin < 0.01
    assert (transmitter.sent, transmitter.lost) == (10, 10)
    assert told == ["the transmit queue stays full, frames are lost: Transmit buffer full", "sending again"]


async def test_a_bus_that_is_down_is_told_once_and_used_again_when_it_is_up(fake_time: FakeTime) -> None:
    bus = TroubledBus(DOWN, DOWN, GONE)
    transmitter, told = transmitter_on(bus, fake_time)
    for number in range(5):
        await transmitter.send(Slot(number, 0.0, (POSITION,)))
    assert (transmitter.sent, transmitter.lost) == (2, 3)
    assert len(told) == 2
    assert told[0].startswith("cannot send, waiting for the bus: Failed to transmit: Network is down")
    assert told[1] == "sending again"


async def test_a_bus_that_was_made_anew_is_opened_anew_once_a_second_and_closed_at_the_end(
    fake_time: FakeTime,
) -> None:
    first, second, third = TroubledBus(*[GONE] * 100), TroubledBus(*[GONE] * 100), TroubledBus()
    answers: list[can.BusABC | Exception] = [OSError(errno.ENODEV, "No such device"), second, third]

    def reopen() -> can.BusABC:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    transmitter, told = transmitter_on(first, fake_time, reopen=reopen)
    for tenth in range(40):
        await transmitter.send(Slot(tenth, 0.0, (POSITION,)))
        fake_time.now += 0.1
    assert answers == []
    assert (first.closed, second.closed, third.closed) == (False, True, False)
    assert transmitter.sent == len(third.sent) > 10
    assert len(told) == 2
    transmitter.close()
    assert (first.closed, third.closed) == (False, True)
    first.shutdown()
