"""What nodes measure is kept, and that it cannot be is told."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.database import Database, Job, StorageError, T
from listener.mesh import keeper, store
from listener.mesh.keeper import Keeper
from listener.mesh.node import Value
from tests.listener.mesh.root import until

LENGTHS = {"Temperature": 2}
DATA = b"\x09\x23"


class Troubled(Database):
    """A disk that is full as long as `wrong` is set."""

    wrong: str | None = None
    writes = 0

    async def write(self, job: Job[T]) -> T:
        self.writes += 1
        if self.wrong is not None:
            raise StorageError(self.wrong, "it is so")
        return await super().write(job)


class Disk:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.database = Troubled(folder / "les02.db", busy_s=0.1)
        self.states: list[str] = []
        settings = {"keep_days": 30.0, "keep_rows": 1000, **settings}
        self.keeper = Keeper(self.database, changed=self.states.append, **settings)

    def record(self, ts: float, addr: int = 5) -> None:
        self.keeper.record_node(addr, b"", ts)
        self.keeper.record(addr, "Temperature", ts, DATA)

    async def times(self, addr: int = 5, **span: Any) -> list[float]:
        span = {"since": None, "until": None, "limit": 10_000, **span}
        return [ts for ts, _ in await self.keeper.history(addr, "Temperature", 2, **span)]


@asynccontextmanager
async def keeping(folder: Path, **settings: Any) -> AsyncIterator[Disk]:
    disk = Disk(folder, **settings)
    disk.database.start()
    try:
        yield disk
    finally:
        await disk.database.stop(5.0)


async def test_what_comes_is_written_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "BATCH_MAX", 40)
    async with keeping(tmp_path) as disk:
        for number in range(100):
            disk.record(float(number))
        await disk.keeper.write()
        assert disk.database.writes == 3
        assert len(await disk.times()) == disk.keeper.written == 100
        await disk.keeper.write()
        assert disk.database.writes == 3  # nothing waits


async def test_a_node_that_has_measured_nothing_is_written_too(tmp_path: Path) -> None:
    async with keeping(tmp_path) as disk:
        disk.keeper.record_node(5, b"u" * 16, None)
        await disk.keeper.write()
        assert await disk.keeper.load(LENGTHS, 10, 100) == ([(5, b"u" * 16, None)], [])


@pytest.mark.parametrize("kind", ["full", "locked", "read_only", "cannot_open", "busy", "in_use"])
async def test_what_the_disk_does_not_take_waits_and_is_written_when_it_does(
    tmp_path: Path, kind: str
) -> None:
    async with keeping(tmp_path) as disk:
        with capture_logs() as logs:
            disk.record(1.0, 6)
            disk.record(1.0)
            disk.database.wrong = kind
            await disk.keeper.write()
            disk.record(2.0)
            await disk.keeper.write()
            assert disk.states == [kind]
            disk.database.wrong = None
            await disk.keeper.write()
            assert disk.states == [kind, "ok"]
        assert await disk.times() == [1.0, 2.0]
        nodes, _ = await disk.keeper.load(LENGTHS, 10, 100)
        assert nodes == [(5, b"", 2.0), (6, b"", 1.0)]
        assert [each["event"] for each in logs] == ["node_data_not_kept", "node_data_is_kept_again"]


async def test_only_so_much_waits_and_the_oldest_is_lost_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "WAITING_MAX", 10)
    async with keeping(tmp_path) as disk:
        disk.database.wrong = "full"
        for number in range(25):
            disk.record(float(number))
            await disk.keeper.write()
        disk.database.wrong = None
        await disk.keeper.write()
        assert disk.keeper.lost == 15
        assert await disk.times() == [float(number) for number in range(15, 25)]


async def test_the_last_values_are_there_again_and_no_more(tmp_path: Path) -> None:
    async with keeping(tmp_path) as disk:
        for ts in range(5):
            disk.record(float(ts))
            disk.record(float(ts), 6)
        await disk.keeper.write()
        nodes, rows = await disk.keeper.load(LENGTHS, 2, 1)
        assert nodes == [(5, b"", 4.0)]
        assert rows == [(5, "Temperature", 3.0, DATA), (5, "Temperature", 4.0, DATA)]
        assert await disk.times(since=1.0, until=3.0) == [1.0, 2.0]
        assert await disk.keeper.history(5, "Temperature", 2, since=None, until=None, limit=1) == [
            Value(4.0, DATA)
        ]


async def test_a_node_is_forgotten_with_what_waits_of_it(tmp_path: Path) -> None:
    async with keeping(tmp_path) as disk:
        disk.record(1.0)
        disk.record(1.0, 6)
        await disk.keeper.write()
        disk.record(2.0)
        disk.record(2.0, 6)
        await disk.keeper.forget(5)
        await disk.keeper.write()
        assert (await disk.times(), await disk.times(6)) == ([], [1.0, 2.0])
        nodes, _ = await disk.keeper.load(LENGTHS, 10, 100)
        assert nodes == [(6, b"", 2.0)]


async def test_a_node_that_is_dropped_goes_with_the_next_batch_and_its_values_stay(tmp_path: Path) -> None:
    async with keeping(tmp_path) as disk:
        disk.record(1.0)
        await disk.keeper.write()
        disk.record(2.0)
        disk.keeper.drop(5)
        disk.database.wrong = "full"
        await disk.keeper.write()
        disk.database.wrong = None
        await disk.keeper.write()
        nodes, _ = await disk.keeper.load(LENGTHS, 10, 100)
        assert nodes == []
        disk.record(3.0)
        await disk.keeper.write()
        assert await disk.times() == [1.0, 2.0, 3.0]


async def test_what_is_old_goes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "BATCH_S", 0.01)
    monkeypatch.setattr(store, "ROWS_MAX", 10)
    async with keeping(tmp_path, keep_rows=5) as disk:
        disk.record(1.0, 6)  # more than thirty days ago
        for number in range(50):
            disk.record(4e9 + number)
        running = asyncio.create_task(disk.keeper.run(), name="keep node data")
        async with asyncio.timeout(15):
            while len(await disk.times()) != 5 or await disk.times(6):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        running.cancel()
        assert await disk.times() == [4e9 + number for number in range(45, 50)]


async def test_that_it_cannot_tidy_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "BATCH_S", 0.01)
    async with keeping(tmp_path) as disk:
        disk.database.wrong = "locked"
        running = asyncio.create_task(disk.keeper.run(), name="keep node data")
        await until(lambda: disk.states == ["locked"])
        running.cancel()


async def test_a_file_that_cannot_be_read_at_the_start_costs_what_is_in_it_and_no_more(
    tmp_path: Path,
) -> None:
    async with keeping(tmp_path) as disk:
        with contextlib.closing(sqlite3.connect(disk.database.path, isolation_level=None)) as other:
            other.execute("CREATE TABLE t (x)")
            other.execute("BEGIN EXCLUSIVE")
            assert await disk.keeper.load(LENGTHS, 10, 100) == ([], [])
            assert disk.states == ["locked"]
            other.execute("ROLLBACK")
        disk.record(1.0)
        await disk.keeper.write()
        assert disk.states == ["locked", "ok"]
