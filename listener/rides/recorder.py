"""Listens to the positions, tells what it finds in them, and keeps every ride.

1. Twice in the hub's order: `annotate` before the clients are sent anything (a position of a ride carries its
   `ride_id`), `follow` after it. What takes time happens in `follow`, for ten positions at once.
2. A ride is written about once a second, by one task; what could not be written waits and is tried again.
   Every write may be repeated, also into a new file.
3. While the disk fails, everything else goes on: told once as an `error`, and when it is over as a `status`.
"""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, Final

import msgspec
import structlog

from listener import events
from listener.config import RidesConfig
from listener.database import Database, StorageError
from listener.events import EventEnvelope
from listener.hub import Hub
from listener.rides import detector, plausibility, store
from listener.rides.detector import Relevelled
from listener.rides.finder import RideBegan, RideEnded, RideFinder, Told
from listener.rides.floors import Floor, Floors
from listener.rides.motion import Motion
from listener.rides.plausibility import Finding
from listener.rides.recovery import close_unfinished
from listener.rides.report import report

_log = structlog.get_logger(__name__)

# Positions looked at in one go, 20 ms of them: the way of a frame stays short, and its caches warm.
BATCH: Final = 10
PRE_ROLL_S: Final = 1.0
PIECE_S: Final = 1.0
RETRY_S: Final = 1.0
LOAD_S: Final = 6.0
# A ride that was ordered has begun by then.
EXPECTED_S: Final = 10.0
NOTHING_EXPECTED: Final = (0.0, 0.0)
# What waits for a disk that fails: ten minutes of a ride. Beyond, the oldest pieces are lost, and counted.
WAITING_MAX: Final = 600
SPECIMEN: Final = "specimen"
# States of the sensor after which nothing is known of a ride.
INTERRUPTS: Final = frozenset({"bus_lost", "no_data", "locked", "clock_step"})

Write = Callable[[Connection], Any]


@dataclass(slots=True)
class _Ride:
    id: str
    start_ts: float
    direction: str
    specimen: str
    piece: store.Piece = field(default_factory=store.Piece)
    pieces: int = 0
    written_at: float = 0.0


class Recorder:
    def __init__(
        self,
        hub: Hub,
        database: Database,
        config: RidesConfig,
        *,
        resolution_mm: float,
        source: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._database = database
        self._config = config
        self._resolution_mm = resolution_mm
        self._source = source
        self._clock = clock
        self._wall = wall
        self._finder = RideFinder(resolution_mm, *limits_of(config))
        self._pending: list[tuple[str, float, int]] = []
        self._ride: _Ride | None = None
        self._waiting: deque[Write] = deque()
        self._wake = asyncio.Event()
        self._failing: str | None = None
        self._last_id = ""
        self._expected = NOTHING_EXPECTED
        self.floors = Floors()
        self.specimen = ""
        self.counts = {"rides": 0, "relevels": 0, "pieces_lost": 0}

    @property
    def storing(self) -> str:
        return self._failing or "ok"

    @property
    def ride(self) -> dict[str, Any] | None:
        """The one in progress, for who comes later."""
        ride = self._ride
        if ride is None:
            return None
        return {"ride_id": ride.id, "start_ts": ride.start_ts, "direction": ride.direction}

    async def load(self) -> None:
        """What earlier runs have left: rides without an end, floors, the specimen."""
        limits, checks = limits_of(self._config)

        def close(connection: Connection) -> list[EventEnvelope]:
            return close_unfinished(connection, limits, checks)

        def read(connection: Connection) -> tuple[list[Floor], str]:
            return store.floors(connection), store.setting(connection, SPECIMEN)

        try:
            async with asyncio.timeout(LOAD_S):
                closed = await self._database.write(close)
                floors, self.specimen = await self._database.read(read)
        except TimeoutError:
            self._fail(StorageError("slow", "the disk does not answer"))
        except StorageError as exc:
            self._fail(exc)
        else:
            self.floors = Floors(floors)
            for end in closed:
                _log.warning("ride_closed", ride_id=end.payload["ride_id"], reason="the listener had no end")
                self._hub.publish(end)
            return
        self._enqueue(close)  # before any ride of this run

    # In the hub's order

    def annotate(self, event: EventEnvelope) -> None:
        if event.type == "position_sample":
            payload = event.payload
            self._pending.append((payload["channel"], event.ts, payload["position_raw"]))
            if self._ride is not None:
                payload["ride_id"] = self._ride.id

    def follow(self, event: EventEnvelope) -> None:
        kind = event.type
        if kind == "position_sample":
            if len(self._pending) >= BATCH:
                self._catch_up()
        elif kind != "motion_sample":
            if kind == "status" and event.payload.get("state") in INTERRUPTS and self._is_whole(event):
                self.interrupt(event.payload["state"])
            if self._ride is not None:
                self._ride.piece.events.append(msgspec.Raw(events.encode(event)))

    def expect(self, distance_mm: float) -> None:
        """The next ride is known before it begins; below 0 is down."""
        self._expected = (distance_mm, self._clock() + EXPECTED_S)

    def interrupt(self, cause: str) -> None:
        self._catch_up()
        self._tell_all(self._finder.interrupt(cause))

    @staticmethod
    def _is_whole(event: EventEnvelope) -> bool:
        """Both channels; while one of them speaks, the ride goes on."""
        return event.payload.get("channel") == "system"

    def _catch_up(self) -> None:
        pending, self._pending = self._pending, []
        for channel, ts, raw in pending:
            ride = self._ride
            self._tell_all(self._finder.position(channel, ts, raw))
            if ride is not None and ride is self._ride:
                self._note(ride, channel, ts, raw)
        ride = self._ride
        if ride is not None and self._clock() - ride.written_at >= PIECE_S:
            self._write_piece(ride)

    @staticmethod
    def _note(ride: _Ride, channel: str, ts: float, raw: int) -> None:
        offsets_us, positions = ride.piece.samples.setdefault(channel, ([], []))
        offsets_us.append(round((ts - ride.start_ts) * 1e6))
        positions.append(raw)

    # What has been found

    def _tell_all(self, told: Iterable[Told]) -> None:
        for each in told:
            if isinstance(each, Motion):
                self._hub.publish(
                    events.motion_sample(
                        each.ts,
                        round(each.position_mm, 2),
                        round(each.velocity_mm_s, 2),
                        round(each.acceleration_mm_s2, 1),
                        self._source,
                    )
                )
            elif isinstance(each, RideBegan):
                self._begin(each)
            elif isinstance(each, RideEnded):
                self._end(each)
            elif isinstance(each, Relevelled):
                self._relevel(each)
            else:
                self._complain(each)

    def _begin(self, began: RideBegan) -> None:
        direction = "up" if began.direction > 0 else "down"
        ride = self._ride = _Ride(str(uuid.uuid4()), began.begin.ts, direction, self.specimen)
        for channel, samples in self._finder.since(ride.start_ts - PRE_ROLL_S).items():
            for ts, raw in samples:
                self._note(ride, channel, ts, raw)
        self._write_piece(ride)
        _log.info("ride_start", ride_id=ride.id, direction=direction)
        (expected_mm, until), self._expected = self._expected, NOTHING_EXPECTED
        is_it = expected_mm * began.direction > 0 and self._clock() < until
        known = abs(expected_mm) if is_it else None
        start = events.ride_start(ride.start_ts, ride.id, direction, known, source=self._source)
        if began.partial:
            start.payload["partial"] = True
        if ride.specimen:
            start.payload["specimen"] = ride.specimen
        start.payload["start_position_mm"] = round(began.begin.position_mm, 1)
        self._hub.publish(start)

    def _end(self, ended: RideEnded) -> None:
        ride = self._ride
        assert ride is not None
        summary = report(ended, self.floors)
        end = events.ride_end(ended.end.ts, ride.id, ended.reason, summary, self._source)
        self.counts["rides"] += 1
        _log.info(
            "ride_end",
            ride_id=ride.id,
            reason=ended.reason,
            distance_mm=summary["distance_mm"],
            duration_s=summary["duration_s"],
        )
        self._hub.publish(end)  # `follow` puts it into the last piece
        self._ride = None
        self._last_id = ride.id
        self._write_piece(ride)
        floors = list(self.floors)

        def finish(connection: Connection) -> None:
            store.finish(
                connection,
                self._row(connection, ride),
                end_ts=ended.end.ts,
                distance_mm=summary["distance_mm"],
                reason=ended.reason,
                summary=summary,
                motions=ended.motions,
            )
            store.keep_floors(connection, floors)
            config = self._config
            store.retain(connection, most=config.keep_rides, most_bytes=config.keep_megabytes * 1_000_000)

        self._enqueue(finish)

    def _relevel(self, relevelled: Relevelled) -> None:
        self.counts["relevels"] += 1
        moved = relevelled.end.position_mm - relevelled.begin.position_mm
        self._hub.publish(
            events.relevel(
                relevelled.begin.ts,
                round(moved, 1),
                round(relevelled.end.position_mm, 1),
                round(relevelled.end.ts - relevelled.begin.ts, 3),
                self._source,
            )
        )

        last_id = self._last_id
        self._enqueue(lambda connection: store.count_relevel(connection, last_id))

    def _complain(self, finding: Finding) -> None:
        if finding.well_again:
            _log.info("well_again", code=finding.code, channel=finding.channel, **finding.details)
            more = {"code": finding.code, **finding.details}
            event = events.status(finding.ts, finding.channel, "well_again", self._source, **more)
        else:
            _log.warning(finding.code, channel=finding.channel, **finding.details)
            event = events.error(finding.ts, finding.channel, finding.code, finding.details, self._source)
        self._hub.publish(event)

    # To the disk

    def _write_piece(self, ride: _Ride) -> None:
        piece, ride.piece = ride.piece, store.Piece()
        number = ride.pieces
        ride.pieces += 1
        ride.written_at = self._clock()
        self._enqueue(lambda connection: store.append(connection, self._row(connection, ride), number, piece))

    def _row(self, connection: Connection, ride: _Ride) -> int:
        return store.begin(
            connection,
            ride.id,
            source=self._source,
            start_ts=ride.start_ts,
            direction=ride.direction,
            resolution_mm=self._resolution_mm,
            specimen=ride.specimen,
        )

    def _enqueue(self, write: Write) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self.counts["pieces_lost"] += 1
        self._waiting.append(write)
        self._wake.set()

    async def run(self) -> None:
        """Writes what waits, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if not await self._write_first():
                    await asyncio.sleep(RETRY_S)

    async def finish(self) -> None:
        """What waits goes to the disk, if that can still be."""
        while self._waiting and await self._write_first():
            pass

    async def _write_first(self) -> bool:
        write = self._waiting[0]
        try:
            await self._database.write(write)
        except StorageError as exc:
            self._fail(exc)
            return False
        if self._waiting and self._waiting[0] is write:  # unless it was one too many meanwhile
            self._waiting.popleft()
        if self._failing is not None:
            _log.info("storing_again", path=str(self._database.path))
            more = {"after": self._failing, "pieces_lost": self.counts["pieces_lost"]}
            self._failing = None
            self._hub.publish(events.status(self._wall(), "system", "storing_again", self._source, **more))
        return True

    def _fail(self, exc: StorageError) -> None:
        if self._failing == exc.kind:
            return
        self._failing = exc.kind
        _log.error("storing_failed", kind=exc.kind, reason=str(exc))
        details = {"kind": exc.kind, "reason": str(exc)}
        self._hub.publish(events.error(self._wall(), "system", "storing_failed", details, self._source))


def limits_of(config: RidesConfig) -> tuple[detector.Limits, plausibility.Limits]:
    return (
        detector.Limits(
            start_speed_mm_s=config.start_speed_mm_s,
            rest_speed_mm_s=config.rest_speed_mm_s,
            ride_mm=config.ride_mm,
            still_mm=config.still_mm,
            hold_s=config.hold_s,
        ),
        plausibility.Limits(
            tolerance_mm=config.channel_tolerance_mm,
            debounce_s=config.channel_debounce_s,
            overspeed_mm_s=config.overspeed_mm_s,
        ),
    )
