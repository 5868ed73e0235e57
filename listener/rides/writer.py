"""Brings rides to the disk: one task, one ride at a time, the oldest first.

1. A ride stays here whole until its end is on the disk. A write adds what the disk does not have of it yet:
   it may be repeated, also into a new file, and does nothing twice.
2. What earlier runs have left is read before anything is written.
3. While the disk fails everything waits, within bounds, and is tried again. Samples are given up first, the
   oldest of all; a ride says how many seconds of them it lacks.
4. A failure is told once as an `error`, and when it is over as a `status`. A defect costs the ride in which
   it shows, and nothing else.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, Final

import structlog

from listener import events
from listener.config import RidesConfig
from listener.database import Database, Job, StorageError
from listener.hub import Hub
from listener.rides import store
from listener.rides.floors import Floor
from listener.rides.motion import Motion
from listener.rides.signals import count
from listener.rides.store import Piece

_log = structlog.get_logger(__name__)

RETRY_S: Final = 1.0
# Ten minutes of riding, at 40 kB a second: 24 MB.
PIECES_MAX: Final = 600
# So many samples of signals are as much to hold as a second of positions.
SIGNALS_A_PIECE: Final = 500
# Rides that are over, with their curves: half a minute each, at 8 kB a second, is 48 MB.
RIDES_MAX: Final = 200
SPECIMEN: Final = "specimen"


@dataclass(frozen=True, slots=True)
class Known:
    """What is learnt and set, and belongs into whatever file there is."""

    floors: list[Floor]
    specimen: str


@dataclass(frozen=True, slots=True)
class End:
    ts: float
    reason: str
    summary: dict[str, Any]
    motions: tuple[Motion, ...]


@dataclass(slots=True, eq=False)
class Kept:
    """A ride as it shall be on the disk."""

    id: str
    source: str
    start_ts: float
    direction: str
    resolution_mm: float
    specimen: str
    pieces: list[Piece] = field(default_factory=list)
    end: End | None = None
    relevels: int = 0
    # How far it has come: so many of its pieces are stored, so many have no samples any more.
    stored: int = 0
    emptied: int = 0
    is_over: bool = False
    is_lost: bool = False
    changes: int = 0

    def empty_oldest(self) -> bool:
        """Whether that is a loss."""
        number = self.emptied
        self.pieces[number] = _without_samples(self.pieces[number])
        self.emptied += 1
        return number >= self.stored


class Writer:
    def __init__(
        self,
        hub: Hub,
        database: Database,
        config: RidesConfig,
        *,
        source: str,
        load: Callable[[], Awaitable[None]],
        known: Callable[[], Known],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`load` reads what earlier runs have left; `known` is asked for what to write with each ride."""
        self._hub = hub
        self._database = database
        self._config = config
        self._source = source
        self._load = load
        self._known = known
        self._wall = wall
        self._loaded = False
        self._failing: str | None = None
        self._wake = asyncio.Event()
        self.waiting: list[Kept] = []
        self.counts = {"pieces_lost": 0, "rides_lost": 0}

    @property
    def storing(self) -> str:
        return self._failing or "ok"

    async def load(self, patience_s: float) -> None:
        self._wake.set()  # what is not read now is read before the first ride is written
        try:
            async with asyncio.timeout(patience_s):
                await self._attempt()
        except TimeoutError:
            self._fail(StorageError("slow", "the disk does not answer"))

    def want(self, ride: Kept) -> None:
        """It has changed."""
        if ride.is_lost:
            ride.pieces.clear()
            return
        ride.changes += 1
        if ride not in self.waiting:
            self.waiting.append(ride)
        self._bound()
        self._wake.set()

    async def run(self) -> None:
        """Writes what waits, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.waiting or not self._loaded:
                if not await self._attempt():
                    await asyncio.sleep(RETRY_S)

    async def finish(self) -> None:
        """What waits goes to the disk, if that can still be."""
        while self.waiting and await self._attempt():
            pass

    async def _attempt(self) -> bool:
        """One step. False: in vain, and to be tried again."""
        ride = None
        try:
            if not self._loaded:
                await self._load()
                self._loaded = True
            elif self.waiting:
                ride = self.waiting[0]
                await self._write(ride)
        except StorageError as exc:
            self._fail(exc)
            return False
        except Exception as exc:  # noqa: BLE001 - rule 4
            if ride is not None:
                _log.exception("ride_given_up", ride_id=ride.id)
                self._lose(ride)
            elif self._failing != "failed":
                _log.exception("rides_not_read")
            self._fail(StorageError("failed", f"{type(exc).__name__}: {exc}"))
            return ride is not None
        self._succeed()
        return True

    async def _write(self, ride: Kept) -> None:
        changes, pieces, end = ride.changes, len(ride.pieces), ride.end
        missing_s = await self._database.write(self._job(ride))
        ride.stored = pieces
        if end is not None:
            ride.is_over, ride.end, ride.pieces, ride.emptied = True, None, [], 0
        if missing_s:
            _log.error("ride_incomplete", ride_id=ride.id, missing_s=missing_s)
        if ride.changes == changes and ride in self.waiting:
            self.waiting.remove(ride)

    def _job(self, ride: Kept) -> Job[float]:
        """Of the ride as it is now: the job runs while more of it comes."""
        pieces, end, relevels, is_over = tuple(ride.pieces), ride.end, ride.relevels, ride.is_over
        known, config = self._known(), self._config

        def job(connection: Connection) -> float:
            missing_s = 0.0
            if not is_over:
                number = _begin(connection, ride, known)
                missing_s = _continue(connection, number, pieces, end)
            if end is not None:
                store.keep_floors(connection, known.floors)
                most_bytes = config.keep_megabytes * 1_000_000
                store.retain(connection, most=config.keep_rides, most_bytes=most_bytes)
            if relevels:
                store.set_relevels(connection, ride.id, relevels)
            return missing_s

        return job

    # What cannot be

    def _bound(self) -> None:
        held = sum(sum(map(_weight, ride.pieces[ride.emptied :])) for ride in self.waiting)
        for ride in self.waiting:
            while held > PIECES_MAX and ride.emptied < len(ride.pieces):
                held -= _weight(ride.pieces[ride.emptied])
                self.counts["pieces_lost"] += ride.empty_oldest()
        for ride in self._ended[:-RIDES_MAX]:
            self._lose(ride)

    @property
    def _ended(self) -> list[Kept]:
        return [ride for ride in self.waiting if ride.end is not None]

    def _forget(self, ride: Kept) -> None:
        ride.is_lost = True
        if ride in self.waiting:
            self.waiting.remove(ride)

    def _lose(self, ride: Kept) -> None:
        self._forget(ride)
        self.counts["rides_lost"] += 1
        self.counts["pieces_lost"] += max(0, len(ride.pieces) - max(ride.stored, ride.emptied))

    def _fail(self, exc: StorageError) -> None:
        if exc.kind == "in_use":
            # The other one keeps them, if it reads the same bus: they must not be there twice.
            for ride in self._ended:
                self._forget(ride)
        if self._failing == exc.kind:
            return
        self._failing = exc.kind
        _log.error("storing_failed", kind=exc.kind, reason=str(exc))
        details = {"kind": exc.kind, "reason": str(exc)}
        self._hub.publish(events.error(self._wall(), "system", "storing_failed", details, self._source))

    def _succeed(self) -> None:
        if self._failing is None:
            return
        _log.info("storing_again", path=str(self._database.path), **self.counts)
        more = {"after": self._failing, **self.counts}
        self._failing = None
        self._hub.publish(events.status(self._wall(), "system", "storing_again", self._source, **more))


def _begin(connection: Connection, ride: Kept, known: Known) -> int:
    number = store.begin(
        connection,
        ride.id,
        source=ride.source,
        start_ts=ride.start_ts,
        direction=ride.direction,
        resolution_mm=ride.resolution_mm,
        specimen=ride.specimen,
    )
    if store.progress(connection, number) == (0, False):
        # The file may be a new one.
        store.keep_floors(connection, known.floors)
        if known.specimen:
            store.keep_setting(connection, SPECIMEN, known.specimen)
    return number


def _continue(connection: Connection, number: int, pieces: tuple[Piece, ...], end: End | None) -> float:
    stored, is_over = store.progress(connection, number)
    if is_over:
        return 0.0
    for piece_number in range(stored, len(pieces)):
        store.append(connection, number, piece_number, pieces[piece_number])
    if end is None:
        return 0.0
    return store.finish(
        connection,
        number,
        end_ts=end.ts,
        distance_mm=end.summary["distance_mm"],
        reason=end.reason,
        summary=end.summary,
        motions=end.motions,
    )


def _weight(piece: Piece) -> int:
    return 1 + count(piece.signals) // SIGNALS_A_PIECE


def _without_samples(piece: Piece) -> Piece:
    offsets_us = [each for column, _ in piece.samples.values() for each in (column[0], column[-1])]
    missing_s = (max(offsets_us) - min(offsets_us)) / 1e6 if offsets_us else 0.0
    return Piece(events=piece.events, missing_s=missing_s)
