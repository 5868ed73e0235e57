"""Writes nodes and values in batches, and tells when it cannot.

What comes while the disk does not take it waits, up to WAITING_MAX values; beyond that the oldest is lost,
and counted.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from listener.database import Database, StorageError
from listener.mesh import store
from listener.mesh.node import Value

_log = structlog.get_logger(__name__)

BATCH_S: Final = 1.0
# In one transaction; a batch keeps other writers of the file waiting.
BATCH_MAX: Final = 5000
WAITING_MAX: Final = 100_000
RETENTION_S: Final = 600.0
DAY_S: Final = 86_400.0


class Keeper:
    """`changed` is given "ok", or the kind of what keeps it from storing."""

    def __init__(
        self,
        database: Database,
        *,
        keep_days: float,
        keep_rows: int,
        changed: Callable[[str], None] = lambda _state: None,
    ) -> None:
        self._database = database
        self._keep_s = keep_days * DAY_S
        self._keep_rows = keep_rows
        self._changed = changed
        self._waiting: deque[store.Row] = deque()
        self._nodes: dict[int, store.NodeRow] = {}
        self._dropped: set[int] = set()
        self.state = "ok"
        self.written = 0
        self.lost = 0

    def record_node(self, addr: int, uuid: bytes, last_seen: float | None) -> None:
        self._nodes[addr] = (addr, uuid, last_seen)

    def record(self, addr: int, type_name: str, ts: float, data: bytes) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append((addr, type_name, ts, data))

    async def load(
        self, types: Mapping[str, int], depth: int, most: int
    ) -> tuple[list[store.NodeRow], list[store.Row]]:
        """Nodes and their last values; `types` are lengths by name."""

        def job(connection: sqlite3.Connection) -> tuple[list[store.NodeRow], list[store.Row]]:
            nodes = store.nodes(connection, most)
            return nodes, store.last(connection, (addr for addr, _, _ in nodes), types, depth)

        try:
            return await self._database.read(job)
        except StorageError as exc:
            self._tell(exc.kind, str(exc))
            return [], []

    async def history(
        self, addr: int, type_name: str, length: int, *, since: float | None, until: float | None, limit: int
    ) -> list[Value]:
        """Those that are written. Raises StorageError."""

        def job(connection: sqlite3.Connection) -> list[Value]:
            return store.history(connection, addr, type_name, length, since=since, until=until, limit=limit)

        return await self._database.read(job)

    def drop(self, addr: int) -> None:
        """The node, not its values; with the next batch."""
        self._nodes.pop(addr, None)
        self._dropped.add(addr)

    async def forget(self, addr: int) -> None:
        """All of it, at once. Raises StorageError."""
        await self._database.write(lambda connection: store.forget_node(connection, addr))
        self._nodes.pop(addr, None)
        self._waiting = deque(row for row in self._waiting if row[0] != addr)

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
        while self._waiting or self._nodes or self._dropped:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            nodes, self._nodes = self._nodes, {}
            dropped, self._dropped = self._dropped, set()

            def job(
                connection: sqlite3.Connection,
                nodes: dict[int, store.NodeRow] = nodes,
                batch: list[store.Row] = batch,
                dropped: set[int] = dropped,
            ) -> None:
                for addr in dropped:
                    store.forget_stranger(connection, addr)
                store.add(connection, nodes.values(), batch)

            try:
                await self._database.write(job)
            except StorageError as exc:
                self._waiting.extendleft(reversed(batch))
                self._nodes = nodes | self._nodes
                self._dropped |= dropped
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
            _log.info("node_data_is_kept_again", lost=self.lost)
        else:
            _log.error("node_data_not_kept", kind=state, reason=reason)
        self._changed(state)
