"""The wing at a hub, a client behind it, and a real file; with a disk that fails when it is told to."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from listener import events
from listener.commands import Commands, call
from listener.config import RidesConfig
from listener.database import Database, StorageError
from listener.events import EventEnvelope
from listener.hub import Hub
from listener.rides import store
from listener.rides.recorder import Recorder
from listener.rides.wing import rides
from mock.profile import hydraulic
from tests.listener.rides.bench import TS, Lift, Sample

BOTH = ("master", "slave")
RIDE = hydraulic(3000.0)
LIFT = Lift([(3.0, RIDE)])
OVER_S = 3.0 + RIDE.duration_s + 3.0


class Disk(Database):
    """It fails, or commits and takes its time to say so."""

    failing: StorageError | None = None
    slow_s = 0.0

    async def write(self, job: Any) -> Any:
        if self.failing is not None:
            raise self.failing
        return await super().write(job)

    def _transact(self, job: Any, *, writes: bool) -> Any:
        result = super()._transact(job, writes=writes)
        time.sleep(self.slow_s)
        return result


class Bench:
    """A hub with the wing at it and a client behind it; the database is a real file."""

    def __init__(self, path: Path, config: RidesConfig | None = None) -> None:
        self.hub = Hub()
        self.told: list[EventEnvelope] = []
        self.hub.subscribe(self.told.append)
        self.database = Disk(path, busy_s=0.05, replaced=self._replaced)
        self.config = config or RidesConfig()

    def _replaced(self, why: str, aside: Path | None) -> None:
        code = "database_gone" if aside is None else "database_moved_aside"
        self.hub.publish(events.error(TS, "system", code, {"kind": why, "moved_to": str(aside)}))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Recorder]:
        if self.database._thread is None or not self.database._thread.is_alive():
            self.database.start()
        self.commands = Commands()
        async with rides(
            self.hub, self.commands, self.database, self.config, resolution_mm=1.0, source="les02"
        ) as recorder:
            self.recorder = recorder
            self.writing = asyncio.create_task(recorder.run())
            yield recorder
            self.writing.cancel()
        await self.database.stop(5.0)

    def feed(self, samples: Iterable[Sample]) -> None:
        for channel, ts, raw in samples:
            self.hub.publish(events.position_sample(ts, channel, raw))

    def troubles(self) -> list[tuple[str, str]]:
        """What was told of the disk: what, and of which kind."""
        codes = "storing_failed", "storing_again", "database_moved_aside", "database_gone"
        payloads = [event.payload for event in self.of("error", "status")]
        told = [
            (p.get("code") or p["state"], p.get("after") or p.get("details", {}).get("kind", ""))
            for p in payloads
        ]
        return [each for each in told if each[0] in codes]

    async def ask(self, command: str, **parameters: Any) -> dict[str, Any]:
        found = self.commands.find(f"command:{command}")
        assert found is not None
        message = json.dumps({"type": f"command:{command}", **parameters})
        return await call(found, message)

    def of(self, *types: str) -> list[EventEnvelope]:
        return [event for event in self.told if event.type in types]

    async def kept(self) -> list[store.Ride]:
        async with asyncio.timeout(5):
            while self.recorder.waiting:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        found, _ = await self.database.read(lambda connection: store.rides(connection, store.Filter()))
        return found
