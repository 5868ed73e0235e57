from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import can
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class FakeTime:
    """A clock that moves only while somebody sleeps, and a sleep that wakes late as a busy machine does."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.oversleep = 0.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds + self.oversleep
        await asyncio.sleep(0)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture
def listening(channel: str) -> Iterator[Callable[[], list[can.Message]]]:
    """Everything that was sent on the channel so far."""
    with can.Bus(channel, "virtual", ignore_config=True) as bus:

        def drain() -> list[can.Message]:
            messages = []
            while (message := bus.recv(0)) is not None:
                messages.append(message)
            return messages

        yield drain


@pytest.fixture
def write_log() -> Callable[..., Path]:
    return _write_log


def _write_log(path: Path, count: int, period_s: float, *, is_fd: bool = False) -> Path:
    """Numbered position frames at a regular period."""
    with can.Logger(path) as log:
        for number in range(count):
            data = number.to_bytes(4, "big")
            log(
                can.Message(
                    timestamp=100 + number * period_s,
                    arbitration_id=0x80 + number % 2,
                    data=data,
                    is_extended_id=False,
                    is_fd=is_fd,
                    channel=0,
                )
            )
    return path
