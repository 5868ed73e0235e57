"""When a batch goes out, by what the last one has cost."""

import asyncio
import time

from listener.pace import SPARSE_S, Pace


class Flushes:
    def __init__(self, cost_s: float = 0.0, at_least_s: float = 0.0) -> None:
        self.pace = Pace(self.flush, at_least_s)
        self.cost_s = cost_s
        self.at: list[float] = []
        self.batch = 0

    def come(self, count: int = 1) -> None:
        for _ in range(count):
            self.batch += 1
            if self.pace.timer is None:
                self.pace.schedule()

    def flush(self) -> None:
        began = self.pace.begin()
        self.at.append(began)
        count, self.batch = self.batch, 0
        time.sleep(self.cost_s)
        self.pace.end(began, alone=count <= 1)


async def test_what_comes_alone_goes_at_once() -> None:
    flushes = Flushes()
    for number in range(1, 4):
        await asyncio.sleep(10 * SPARSE_S)
        flushes.come()
        assert len(flushes.at) == number


async def test_what_comes_together_goes_together() -> None:
    flushes = Flushes()
    flushes.come(2)  # the first was taken for one that is alone
    flushes.come(20)
    await asyncio.sleep(0.02)
    assert len(flushes.at) == 2


async def test_a_flush_is_paid_for_with_a_pause_as_long() -> None:
    flushes = Flushes(cost_s=0.02)
    flushes.come()
    flushes.come()
    await asyncio.sleep(0.1)
    assert len(flushes.at) == 2
    assert flushes.at[1] - flushes.at[0] >= 0.039


async def test_no_sooner_than_configured() -> None:
    flushes = Flushes(at_least_s=0.05)
    flushes.come()
    flushes.come()
    await asyncio.sleep(0.15)
    assert flushes.at[1] - flushes.at[0] >= 0.049


async def test_what_was_cancelled_does_not_come() -> None:
    flushes = Flushes(at_least_s=0.02)
    flushes.come()
    flushes.come()
    flushes.pace.cancel()
    await asyncio.sleep(0.05)
    assert len(flushes.at) == 1
