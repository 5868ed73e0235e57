"""Telemetry on its way to the disk, which may be full, locked or gone for a while."""

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
from listener.robots import keeper, store
from listener.robots.keeper import Keeper
from tests.listener.robots.hall import hall, until

VALUES = (84.5, 43.2, 35.1, 88.2)
TELEMETRY = {"battery": 84.5, "cpu": 43.2, "temperature": 35.1, "signal": 88.2}


class Troubled(Database):
    """A disk that is full as long as `wrong` is set."""

    wrong: str | None = None
    writes = 0

    async def write(self, job: Job[T]) -> T:
        self.writes += 1
        if self.wrong is not None:
            raise StorageError(self.wrong, "it is so")
        return await super().write(job)


class Kept:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.database = Troubled(folder / "les02.db", busy_s=0.1)
        self.states: list[str] = []
        settings = {"keep_days": 30.0, "keep_rows": 1000, **settings}
        self.keeper = Keeper(self.database, changed=self.states.append, **settings)

    async def rows(self, device_id: str = "a") -> list[dict[str, Any]]:
        def job(connection: sqlite3.Connection) -> list[dict[str, Any]]:
            return list(
                store.telemetry(connection, device_id, since=None, until=None, every_s=None, limit=10_000)
            )

        return await self.database.read(job)


@asynccontextmanager
async def keeping(folder: Path, **settings: Any) -> AsyncIterator[Kept]:
    kept = Kept(folder, **settings)
    kept.database.start()
    try:
        yield kept
    finally:
        await kept.database.stop(5.0)


async def test_what_comes_is_written_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "BATCH_MAX", 40)
    async with keeping(tmp_path) as kept:
        for number in range(100):
            kept.keeper.record(float(number), "a", "a", VALUES)
        await kept.keeper.write()
        assert kept.database.writes == 3
        assert len(await kept.rows()) == kept.keeper.written == 100
        await kept.keeper.write()
        assert kept.database.writes == 3  # nothing waits


@pytest.mark.parametrize("kind", ["full", "locked", "read_only", "cannot_open", "busy", "in_use"])
async def test_what_the_disk_does_not_take_waits_and_is_written_when_it_does(
    tmp_path: Path, kind: str
) -> None:
    async with keeping(tmp_path) as kept:
        with capture_logs() as logs:
            kept.keeper.record(1.0, "a", "a", VALUES)
            kept.database.wrong = kind
            await kept.keeper.write()
            kept.keeper.record(2.0, "a", "a", VALUES)
            await kept.keeper.write()
            assert kept.states == [kind]
            assert kept.keeper.state == kind
            kept.database.wrong = None
            await kept.keeper.write()
            assert kept.states == [kind, "ok"]
        assert [each["ts"] for each in await kept.rows()] == [1.0, 2.0]
        assert [each["event"] for each in logs] == ["telemetry_not_kept", "telemetry_is_kept_again"]


async def test_only_so_much_waits_and_the_oldest_is_lost_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "WAITING_MAX", 10)
    async with keeping(tmp_path) as kept:
        kept.database.wrong = "full"
        for number in range(25):
            kept.keeper.record(float(number), "a", "a", VALUES)
            await kept.keeper.write()
        kept.database.wrong = None
        await kept.keeper.write()
        assert kept.keeper.lost == 15
        assert [each["ts"] for each in await kept.rows()] == [float(number) for number in range(15, 25)]


async def test_a_disk_that_is_really_full_and_a_file_that_is_really_locked(tmp_path: Path) -> None:
    async with keeping(tmp_path) as kept:
        kept.keeper.record(1.0, "a", "a", VALUES)
        await kept.keeper.write()
        await kept.database.read(
            lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchall()
        )
        for number in range(2000):
            kept.keeper.record(2.0 + number, "a", "a", VALUES)
        await kept.keeper.write()
        assert kept.states == ["full"]
        await kept.database.read(
            lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchall()
        )
        with contextlib.closing(sqlite3.connect(kept.database.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await kept.keeper.write()
            assert kept.states == ["full", "locked"]
            other.execute("ROLLBACK")
        await kept.keeper.write()
        assert kept.states == ["full", "locked", "ok"]
        assert len(await kept.rows()) == 2001


async def test_what_is_old_goes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "BATCH_S", 0.01)
    monkeypatch.setattr(store, "ROWS_MAX", 10)
    async with keeping(tmp_path, keep_rows=5) as kept:
        kept.keeper.record(1.0, "old", "old", VALUES)  # more than thirty days ago
        for number in range(50):
            kept.keeper.record(4e9 + number, "a", "a", VALUES)
        running = asyncio.create_task(kept.keeper.run(), name="keep telemetry")
        async with asyncio.timeout(10):
            while len(await kept.rows()) != 5 or await kept.rows("old"):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        running.cancel()
        assert [each["ts"] for each in await kept.rows()] == [4e9 + number for number in range(45, 50)]


async def test_that_nothing_can_be_kept_is_told_to_dashboards_and_to_robots(tmp_path: Path) -> None:
    async with hall(tmp_path) as bench:
        website, robot = await bench.website(), await bench.robot()
        await robot.say("telemetry", **TELEMETRY)
        assert (await robot.hear("ack"))["message"] == "Telemetry data received and saved"
        await bench.written(1)
        with contextlib.closing(sqlite3.connect(tmp_path / "les02.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await robot.say("telemetry", **TELEMETRY)
            assert (await website.hear("telemetry_storing"))["state"] == "locked"
            await robot.say("telemetry", **TELEMETRY)
            await robot.hear("ack", message="Telemetry data received")
            late = await bench.website()
            assert (await late.next())["state"] == "locked"
            assert (await bench.get("/robots"))["storing"] == "locked"
            other.execute("ROLLBACK")
        assert (await website.hear("telemetry_storing"))["state"] == "ok"
        await bench.written(3)
        assert bench.wing.health()["storing"] == "ok"
        assert bench.wing.metrics()["les02_robots_telemetry_written_total"] == 3


async def test_after_a_restart_the_last_known_values_are_there(tmp_path: Path) -> None:
    async with hall(tmp_path) as bench:
        robot = await bench.robot()
        await robot.say("telemetry", **TELEMETRY, device_name="Anna")
        await robot.hear("ack")  # and is not waited for
    async with hall(tmp_path) as bench:
        website = await bench.website()
        told = await website.next()
        assert told.items() >= {"type": "telemetry_update", "device_name": "Anna", **TELEMETRY}.items()
        assert (await website.next())["status"] == "disconnected"
        (known,) = (await bench.get("/robots"))["robots"]
        assert (known["device_id"], known["status"], known["telemetry"]["battery"]) == (
            "robot_01",
            "disconnected",
            84.5,
        )
        assert len((await bench.get("/robots/robot_01/telemetry"))["samples"]) == 1


async def test_a_file_that_cannot_be_read_at_the_start_costs_what_is_in_it_and_no_more(
    tmp_path: Path,
) -> None:
    async with keeping(tmp_path) as kept:
        with contextlib.closing(sqlite3.connect(kept.database.path, isolation_level=None)) as other:
            other.execute("CREATE TABLE t (x)")
            other.execute("BEGIN EXCLUSIVE")
            assert await kept.keeper.load() == []
            assert kept.states == ["locked"]
            other.execute("ROLLBACK")
        kept.keeper.record(1.0, "a", "a", VALUES)
        await kept.keeper.write()
        assert kept.states == ["locked", "ok"]


async def test_hours_of_telemetry_wait_for_no_longer_than_the_loop_can_bear(tmp_path: Path) -> None:
    async with keeping(tmp_path) as kept:
        for number in range(keeper.WAITING_MAX):
            kept.keeper.record(float(number), f"robot_{number % 50}", "", VALUES)
        await kept.keeper.write()
        assert kept.keeper.written == keeper.WAITING_MAX
        await until(lambda: kept.keeper.lost == 0)
