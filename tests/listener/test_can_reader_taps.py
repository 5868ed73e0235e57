"""Onlookers of a bus that somebody else reads, and closing one without holding up the loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import can
import pytest
from structlog.testing import capture_logs

from listener import can_reader
from listener.can_reader import CANBusReader
from listener.config import CanConfig
from listener.raw_frame import RawFrame
from tests.listener.serving import until

CHANNEL = "taps"


@pytest.fixture
async def reader() -> AsyncIterator[CANBusReader]:
    reader = CANBusReader(CanConfig(interface="virtual", channel=CHANNEL))
    reader.open()
    yield reader
    await reader.close_in_thread()


@pytest.fixture
async def handled(reader: CANBusReader) -> AsyncIterator[list[Any]]:
    frames: list[Any] = []
    task = asyncio.create_task(reader.deliver(lambda frame: frames.append(("handler", frame.arbitration_id))))
    await asyncio.sleep(0)
    yield frames
    task.cancel()
    await asyncio.wait([task])


def say(*numbers: int) -> None:
    with can.Bus(CHANNEL, "virtual", ignore_config=True) as bus:
        for number in numbers:
            bus.send(can.Message(arbitration_id=number, is_extended_id=False))


async def test_an_onlooker_gets_each_frame_after_the_handler_until_it_ends(
    reader: CANBusReader, handled: list[Any]
) -> None:
    say(1)
    await until(lambda: len(handled) == 1)
    end = reader.tap(lambda frame: handled.append(("onlooker", frame.arbitration_id)))
    say(2, 3)
    await until(lambda: len(handled) == 5)
    end()
    say(4)
    await until(lambda: len(handled) == 6)
    assert handled == [
        ("handler", 1),
        ("handler", 2),
        ("onlooker", 2),
        ("handler", 3),
        ("onlooker", 3),
        ("handler", 4),
    ]


async def test_one_that_fails_is_cut_off_and_the_others_see_on(
    reader: CANBusReader, handled: list[Any]
) -> None:
    calls: list[str] = []

    def fails(_frame: RawFrame) -> None:
        calls.append("fails")
        raise ZeroDivisionError

    reader.tap(fails)
    reader.tap(lambda _frame: calls.append("sees"))
    with capture_logs() as logs:
        say(1, 2)
        await until(lambda: len(handled) == 2 and len(calls) >= 3)
    assert calls.count("sees") == 2
    assert "onlooker_failed" in [entry["event"] for entry in logs]
    say(3)
    await until(lambda: calls.count("sees") == 3)
    assert len(handled) == 3


async def test_a_tap_from_before_is_there_when_reading_begins(reader: CANBusReader) -> None:
    seen: list[int] = []
    reader.tap(lambda frame: seen.append(frame.arbitration_id))
    task = asyncio.create_task(reader.deliver(lambda _frame: None))
    await asyncio.sleep(0)
    say(7)
    await until(lambda: seen == [7])
    task.cancel()
    await asyncio.wait([task])


async def test_closing_an_adapter_with_a_thread_does_not_hold_up_the_loop(
    reader: CANBusReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_reader, "THREAD_POLL_S", 1.0)  # its thread looks so often
    task = asyncio.create_task(reader.deliver(lambda _frame: None))
    await asyncio.sleep(0.01)
    longest_s = 0.0
    closing = asyncio.create_task(reader.close_in_thread())
    while not closing.done():
        before = time.monotonic()
        await asyncio.sleep(0.001)
        longest_s = max(longest_s, time.monotonic() - before)
    assert reader.bus is None
    assert longest_s < 0.5
    await asyncio.wait([task])
    assert task.cancelled()


async def test_opening_in_a_thread() -> None:
    reader = CANBusReader(CanConfig(interface="virtual", channel="elsewhere"))
    await reader.open_in_thread()
    assert reader.bus is not None
    await reader.close_in_thread()
