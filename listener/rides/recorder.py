"""Listens to the positions, tells what it finds in them, and hands every ride to the `Writer`, once a second.

Twice in the hub's order: `annotate` before the clients are sent anything (a position of a ride carries its
`ride_id`), `follow` after it. What takes time happens in `follow`, for ten positions at once.

Other instruments speak on the same hub, in their own words or in the sensor's. A ride is made of the events
of one `source` alone; of all others it has the signals that the configuration names, and nothing else.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from sqlite3 import Connection
from typing import Any, Final

import msgspec
import structlog

from listener import events
from listener.config import RidesConfig
from listener.database import Database
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
from listener.rides.signals import SignalLog
from listener.rides.store import PIECE_S, Piece
from listener.rides.writer import SPECIMEN, End, Kept, Known, Writer

_log = structlog.get_logger(__name__)

# Positions looked at in one go, 20 ms of them: the way of a frame stays short, and its caches warm.
BATCH: Final = 10
PRE_ROLL_S: Final = 1.0
LOAD_S: Final = 6.0
# A ride that was ordered has begun by then.
EXPECTED_S: Final = 10.0
# Kept with a ride, and its end. A sensor that does nothing but lock and unlock would say more in a minute.
EVENTS_MAX: Final = 5000
NOTHING_EXPECTED: Final = (0.0, 0.0)
# States after which nothing is known of a ride; of a channel, and of both.
MUTE: Final = frozenset({"no_data", "locked"})
LOST: Final = frozenset({"bus_lost", "clock_step"})
# Who looks for the signals that are kept with rides, and what he says of those that he does not find.
FINDS_SIGNALS: Final = "workbench"
SIGNALS_UNKNOWN: Final = "signals_unknown"
CHANNELS: Final = frozenset({"master", "slave"})


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
        self._finder = RideFinder(resolution_mm, *limits_of(config))
        self._pending: list[tuple[str, float, int]] = []
        self._mute: frozenset[str] = frozenset()
        self._ride: Kept | None = None
        self._last: Kept | None = None
        self._piece = Piece()
        self._events_kept = 0
        self._handed_on = 0.0
        self._expected = NOTHING_EXPECTED
        self._signals = SignalLog(config.signal_names)
        self._troubles: dict[tuple[str, str], dict[str, Any]] = {}
        self._counts = {"rides": 0, "relevels": 0}
        self._writer = Writer(
            hub, database, config, source=source, load=self._read, known=self._known, wall=wall
        )
        self.floors: Floors | None = None  # not known yet
        self.specimen = ""

    @property
    def storing(self) -> str:
        return self._writer.storing

    @property
    def waiting(self) -> int:
        """Rides of which something is not on the disk yet."""
        return len(self._writer.waiting)

    @property
    def counts(self) -> dict[str, int]:
        return {**self._counts, **self._writer.counts}

    def health(self) -> dict[str, Any]:
        return {"storing": self.storing, **self.counts}

    def metrics(self) -> dict[str, float]:
        counts: dict[str, float] = {f"les02_{name}_total": n for name, n in self.counts.items()}
        return {**counts, "les02_storing": self.storing == "ok"}

    @property
    def ride(self) -> dict[str, Any] | None:
        """The one in progress, for who comes later."""
        ride = self._ride
        if ride is None:
            return None
        return {"ride_id": ride.id, "start_ts": ride.start_ts, "direction": ride.direction}

    @property
    def troubles(self) -> list[dict[str, Any]]:
        """What is wrong with positions and signals and not over yet, for who comes later."""
        return [
            {"channel": channel, "code": code, "details": details}
            for (channel, code), details in self._troubles.items()
        ]

    async def load(self) -> None:
        """What earlier runs have left; if the disk does not tell it now, it will later."""
        await self._writer.load(LOAD_S)

    async def run(self) -> None:
        """Writes what waits, for ever."""
        await self._writer.run()

    async def finish(self) -> None:
        await self._writer.finish()

    async def _read(self) -> None:
        """Rides without an end, floors, the specimen."""
        limits, checks = limits_of(self._config)

        def read(connection: Connection) -> tuple[list[EventEnvelope], list[Floor], str]:
            closed = close_unfinished(connection, limits, checks)
            return closed, store.floors(connection), store.setting(connection, SPECIMEN)

        closed, floors, self.specimen = await self._database.write(read)
        self.floors = Floors(floors)
        for ride in self._writer.waiting:  # begun when it was not known
            ride.specimen = ride.specimen or self.specimen
        for end in closed:
            self._hub.publish(end)

    def _known(self) -> Known:
        return Known(list(self.floors or ()), self.specimen)

    # In the hub's order

    def annotate(self, event: EventEnvelope) -> None:
        if event.type == "position_sample" and event.source == self._source:
            payload = event.payload
            self._pending.append((payload["channel"], event.ts, payload["position_raw"]))
            if self._ride is not None:
                payload["ride_id"] = self._ride.id

    def follow(self, event: EventEnvelope) -> None:
        kind = event.type
        if kind == "position_sample":
            if len(self._pending) >= BATCH:
                self._catch_up()
        elif kind == "signal_sample":
            self._signals.heard(event.ts, event.payload)
        elif event.source != self._source:
            if event.source == FINDS_SIGNALS:
                self._follow_signals(kind, event.payload)
        elif kind != "motion_sample":
            if kind == "status" and (cause := self._silenced(event.payload)):
                self.interrupt(cause)
            self._keep(event)

    def _keep(self, event: EventEnvelope) -> None:
        ride = self._ride
        if ride is None or event.payload.get("ride_id", ride.id) != ride.id:
            return
        if self._events_kept < EVENTS_MAX or event.type == "ride_end":
            self._events_kept += 1
            self._piece.events.append(msgspec.Raw(events.encode(event)))
        elif self._events_kept == EVENTS_MAX:  # said once, and now: a power cut must not make it look whole
            self._events_kept += 1
            _log.warning("ride_events_left_out", ride_id=ride.id, kept=EVENTS_MAX)
            gap = events.gap(event.ts, "ride", None, event.ts, None, self._source)
            self._piece.events.append(msgspec.Raw(events.encode(gap)))

    def _follow_signals(self, kind: str, payload: dict[str, Any]) -> None:
        """Who finds them has told, and has no session to greet."""
        trouble = "system", SIGNALS_UNKNOWN
        if kind == "error" and payload.get("code") == SIGNALS_UNKNOWN:
            self._troubles[trouble] = payload["details"]
        elif kind == "status" and payload.get("code") == SIGNALS_UNKNOWN:
            self._troubles.pop(trouble, None)

    def _silenced(self, status: dict[str, Any]) -> str | None:
        """By what; while one channel speaks, the ride goes on."""
        channel, state = str(status.get("channel")), str(status.get("state"))
        if state in LOST:
            return state
        channels = CHANNELS if channel == "system" else CHANNELS & {channel}
        if state == "receiving":
            self._mute -= channels
        elif state in MUTE:
            self._mute |= channels
            if self._mute == CHANNELS:
                return state
        return None

    def expect(self, distance_mm: float) -> None:
        """The next ride is known before it begins; below 0 is down."""
        self._expected = (distance_mm, self._clock() + EXPECTED_S)

    def interrupt(self, cause: str) -> None:
        self._catch_up()
        self._tell_all(self._finder.interrupt(cause))

    def _catch_up(self) -> None:
        pending, self._pending = self._pending, []
        for channel, ts, raw in pending:
            ride = self._ride
            self._tell_all(self._finder.position(channel, ts, raw))
            if ride is not None and ride is self._ride:
                self._note(ride, channel, ts, raw)
        ride = self._ride
        if ride is not None and self._clock() - self._handed_on >= PIECE_S:
            self._hand_on(ride)

    def _note(self, ride: Kept, channel: str, ts: float, raw: int) -> None:
        offsets_us, positions = self._piece.samples.setdefault(channel, ([], []))
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
        ride = self._ride = Kept(
            id=str(uuid.uuid4()),
            source=self._source,
            start_ts=began.begin.ts,
            direction=direction,
            resolution_mm=self._resolution_mm,
            specimen=self.specimen,
        )
        self._events_kept = 0
        for channel, samples in self._finder.since(ride.start_ts - PRE_ROLL_S).items():
            for ts, raw in samples:
                self._note(ride, channel, ts, raw)
        self._signals.begin(ride.start_ts)
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
        self._hub.publish(start)  # `follow` puts it into the first piece
        self._hand_on(ride)

    def _end(self, ended: RideEnded) -> None:
        ride = self._ride
        assert ride is not None
        summary = report(ended, self.floors)
        end = events.ride_end(ended.end.ts, ride.id, ended.reason, summary, self._source)
        self._counts["rides"] += 1
        _log.info(
            "ride_end",
            ride_id=ride.id,
            reason=ended.reason,
            distance_mm=summary["distance_mm"],
            duration_s=summary["duration_s"],
        )
        self._hub.publish(end)  # `follow` puts it into the last piece
        self._ride, self._last = None, ride
        ride.end = End(ended.end.ts, ended.reason, summary, ended.motions)
        self._hand_on(ride)
        self._signals.end()

    def _relevel(self, relevelled: Relevelled) -> None:
        self._counts["relevels"] += 1
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
        if self._last is not None:
            self._last.relevels += 1
            self._writer.want(self._last)

    def _complain(self, finding: Finding) -> None:
        kind = finding.channel, finding.code
        if finding.well_again:
            self._troubles.pop(kind, None)
            _log.info("well_again", code=finding.code, channel=finding.channel, **finding.details)
            more = {"code": finding.code, **finding.details}
            event = events.status(finding.ts, finding.channel, "well_again", self._source, **more)
        else:
            self._troubles[kind] = finding.details
            _log.warning(finding.code, channel=finding.channel, **finding.details)
            event = events.error(finding.ts, finding.channel, finding.code, finding.details, self._source)
        self._hub.publish(event)

    def _hand_on(self, ride: Kept) -> None:
        self._piece.signals = self._signals.take()
        ride.pieces.append(self._piece)
        self._piece = Piece()
        self._handed_on = self._clock()
        self._writer.want(ride)


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
