from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import can
import pytest

from mock.faults import parse_fault
from mock.mock_les02 import run
from mock.options import MockOptions, make_car
from mock.profile import s_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.mock.conftest import FakeTime

READY_FRAMES = 4


@pytest.fixture
def bus(channel: str) -> Iterator[can.BusABC]:
    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        yield bus


def raw_of(message: can.Message) -> int:
    return int.from_bytes(message.data[:3], "big")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for cannot set an event
        await asyncio.sleep(0.001)


async def test_a_ride_on_the_bus_is_500_frames_a_second_of_the_rides_positions(
    bus: can.BusABC, listening: Callable[[], list[can.Message]], fake_time: FakeTime
) -> None:
    fake_time.oversleep = 0.001
    options = MockOptions(floors_mm=(1000, 4000), pause_s=1, count=1)
    begin = fake_time.now
    told: list[str] = []
    await run(bus, options, tell=told.append, clock=fake_time.clock, sleep=fake_time.sleep)
    messages = listening()
    seconds = fake_time.now - begin
    assert seconds == pytest.approx(2 + s_curve(3000).duration_s, abs=0.01)
    assert len(messages) == pytest.approx((seconds - 0.2) * 500, abs=5)
    positions = messages[READY_FRAMES:]
    assert [message.arbitration_id for message in positions[:4]] == [0x80, 0x81, 0x80, 0x81]
    assert (raw_of(positions[0]), raw_of(positions[-1])) == (1000, 4000)
    assert told[-1] == f"{len(messages)} frames sent"


async def test_what_a_receiver_sees_is_the_time_of_sending(
    bus: can.BusABC, listening: Callable[[], list[can.Message]]
) -> None:
    before = time.time()
    await run(bus, MockOptions(floors_mm=(0, 50), pause_s=0.05, count=1, speed_up=5))
    after = time.time()
    stamps = [message.timestamp for message in listening()]
    assert before <= stamps[0] <= stamps[-1] <= after
    assert stamps == sorted(stamps)


async def test_it_goes_on_for_ever_until_cancelled_and_leaves_the_bus_open(
    bus: can.BusABC, listening: Callable[[], list[can.Message]]
) -> None:
    task = asyncio.create_task(run(bus, MockOptions(floors_mm=(0,), speed_up=100)))
    seen: list[can.Message] = []

    def enough() -> bool:
        seen.extend(listening())
        return len(seen) >= 500

    async with asyncio.timeout(10):
        await until(enough)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    bus.send(can.Message(arbitration_id=1))


async def test_the_caller_can_ask_for_a_ride_and_stop_it_while_it_runs(
    bus: can.BusABC, listening: Callable[[], list[can.Message]]
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    options = MockOptions(floors_mm=(1000,), speed_up=20)
    car = make_car(options, told.put_nowait)
    task = asyncio.create_task(run(bus, options, car=car))
    async with asyncio.timeout(10):
        car.start_ride(8000)
        assert await told.get() == "ride 1: up 8000 mm from 1000 mm, 7.8 s"
        await until(lambda: car.position_mm > 1500)
        assert car.stop()
        assert (await told.get()).startswith("ride 1: stopped at ")
        assert 1500 < car.position_mm < 9000
        listening()
        await until(lambda: any(raw_of(message) == round(car.position_mm) for message in listening()))
    task.cancel()
    await asyncio.wait({task})


async def test_foreign_frames_include_can_fd_only_on_a_can_fd_bus(
    bus: can.BusABC, listening: Callable[[], list[can.Message]], fake_time: FakeTime
) -> None:
    for fd in (False, True):
        options = MockOptions(
            floors_mm=(0, 50), pause_s=0.5, count=1, fd=fd, faults=(parse_fault("foreign"),)
        )
        await run(bus, options, clock=fake_time.clock, sleep=fake_time.sleep)
        messages = listening()
        assert any(message.is_fd for message in messages) == fd
        assert any(message.is_extended_id for message in messages)
        assert any(message.is_remote_frame and message.dlc == 4 for message in messages)


@pytest.mark.parametrize("suffix", [".log", ".asc", ".csv"])
@pytest.mark.parametrize("speed_up", [1, 4])
async def test_a_log_is_played_at_its_own_pace_or_faster(
    bus: can.BusABC,
    listening: Callable[[], list[can.Message]],
    fake_time: FakeTime,
    tmp_path: Path,
    write_log: Callable[..., Path],
    suffix: str,
    speed_up: float,
) -> None:
    options = MockOptions(replay=write_log(tmp_path / f"ride{suffix}", 301, 0.01), speed_up=speed_up)
    begin = fake_time.now
    await run(bus, options, clock=fake_time.clock, sleep=fake_time.sleep)
    assert fake_time.now - begin == pytest.approx(3.0 / speed_up, abs=0.001)
    assert [int.from_bytes(message.data, "big") for message in listening()] == list(range(301))


async def test_what_a_replay_could_not_send_is_counted_at_the_end(
    bus: can.BusABC, fake_time: FakeTime, tmp_path: Path, write_log: Callable[..., Path]
) -> None:
    told: list[str] = []
    log = write_log(tmp_path / "fd.log", 3, 0.01, is_fd=True)
    await run(
        bus, MockOptions(replay=log, count=2), tell=told.append, clock=fake_time.clock, sleep=fake_time.sleep
    )
    assert told == ["0 frames sent, 6 CAN FD frames left out (--fd sends them)"]
    told.clear()
    bus.shutdown()
    log = write_log(tmp_path / "classic.log", 3, 0.01)
    await run(bus, MockOptions(replay=log), tell=told.append, clock=fake_time.clock, sleep=fake_time.sleep)
    assert told == [
        "cannot send, waiting for the bus: Cannot operate on a closed bus",
        "0 frames sent, 3 could not be sent",
    ]
