"""Writes telemetry in batches, and tells when it cannot.

What comes while the disk does not take it waits, up to WAITING_MAX; beyond that the oldest is lost, and
counted. Whether it is kept is told to every dashboard when it changes.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from listener.database import Database, StorageError
from listener.robots import store

_log = structlog.get_logger(__name__)

BATCH_S: Final = 1.0
# In one transaction; a batch keeps other writers of the file waiting.
BATCH_MAX: Final = 5000
WAITING_MAX: Final = 50_000
RETENTION_S: Final = 600.0
DAY_S: Final = 86_400.0


class Keeper:
    """`changed` is given "ok", or the kind of what keeps it from storing."""

    def __init__(
        self, database: Database, *, keep_days: float, keep_rows: int, changed: Callable[[str], None]
    ) -> None:
        self._database = database
        self._keep_s = keep_days * DAY_S
        self._keep_rows = keep_rows
        self._changed = changed
        self._waiting: deque[store.Row] = deque()
        self.state = "ok"
        self.written = 0
        self.lost = 0

    def record(self, ts: float, device_id: str, name: str, values: Sequence[float | None]) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append((ts, device_id, name, values))

    async def load(self) -> list[store.Row]:
        try:
            return await self._database.read(store.last)
        except StorageError as exc:
            self._tell(exc.kind, str(exc))
            return []

    async def run(self) -> None:
        tidied_at = -RETENTION_S
        while True:
            await asyncio.sleep(BATCH_S)
            await self.write()
            if time.monotonic() - tidied_at >= RETENTION_S:
                tidied_at = time.monotonic()
                await self._tidy()

    async def write(self) -> None:
        """What waits. What cannot be written waits on."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            try:
                await self._database.write(partial(store.add, rows=batch))
            except StorageError as exc:
                self._waiting.extendleft(reversed(batch))
                self._tell(exc.kind, str(exc))
                return
            self.written += len(batch)
            self._tell("ok", "")

    async def _tidy(self) -> None:
        def forget(connection: sqlite3.Connection) -> int:
            return store.forget(connection, time.time() - self._keep_s, self._keep_rows)

        try:
            while await self._database.write(forget) >= store.ROWS_MAX:
                pass
        except StorageError as exc:
            self._tell(exc.kind, str(exc))

    def _tell(self, state: str, reason: str) -> None:
        if state == self.state:
            return
        self.state = state
        if state == "ok":
            _log.info("telemetry_is_kept_again", lost=self.lost)
        else:
            _log.error("telemetry_not_kept", kind=state, reason=reason)
        self._changed(state)
