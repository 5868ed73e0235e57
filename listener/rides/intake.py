"""Rides from elsewhere: found in a recording as the daemon would have found them.

What becomes of them is a `Found`, as of those that `exchange` reads; `keep` stores one in a transaction,
unless it is there already.
"""

import sqlite3
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, takewhile
from operator import attrgetter
from typing import Any, Final, NamedTuple, get_args

import msgspec

from listener import events
from listener.events import EventEnvelope
from listener.frames import LOCKED, CANFrame, MessageType, parse_error, parse_status, parse_system
from listener.rides import files, filling, store
from listener.rides.commands import Text
from listener.rides.detector import Relevelled
from listener.rides.files import Frame, NotUnderstood, Point, Sample
from listener.rides.finder import COMPLETED, RideBegan, RideEnded, RideFinder, Told
from listener.rides.motion import Motion
from listener.rides.plausibility import Finding
from listener.rides.recorder import PRE_ROLL_S
from listener.rides.report import report
from listener.rides.signals import Tracks
from listener.rides.store import Filter, Piece, Ride

END_OF_FILE: Final = "end_of_file"
# What is to be said of what somebody has cut there.
BEGINS_LATE: Final = "it begins in mid-movement"
ENDS_EARLY: Final = "it ends in mid-movement"
# Times are kept in microseconds.
LEAST_S: Final = 1e-6
# Two rides that begin so close to each other, in the same direction, are one.
SAME_S: Final = 0.05
# Who has been silent for so long has nothing to say against the other one's being locked.
SILENCE_S: Final = 1.0
# Before this (1973) a time counts from anything but 1970.
EPOCH_MIN_S: Final = 1e8
# A car that goes no farther where a CSV begins or ends stands there, and has stood, or will, for a while.
EDGE_S: Final = 0.2
STILL_MM: Final = 3.0
STANDING_S: Final = 3.0
STANDING_STEP_S: Final = 0.004
# Of a CSV, which is looked at as a whole: an hour of both channels.
POSITIONS_MAX: Final = 2_000_000
# What the note of such a ride begins with, unless it was given one.
IMPORTED: Final = "imported from "
NOTE_MAX: Final[int] = get_args(Text)[1].max_length


class TooMuch(ValueError):  # noqa: N818 - what it is
    """The text says of what."""


class Kept(NamedTuple):
    number: int | None  # None: there is such a ride already
    replaced: tuple[int, ...] = ()  # what was there were only parts of it; they are gone


class Found(msgspec.Struct, kw_only=True):
    id: str
    source: str
    start_ts: float
    end_ts: float
    direction: str
    distance_mm: float
    reason: str
    summary: dict[str, Any]
    resolution_mm: float
    samples: dict[str, tuple[list[int], list[int]]]
    events: list[msgspec.Raw]
    signals: Tracks = {}
    motions: tuple[Motion, ...] = ()
    specimen: str = ""
    note: str = ""
    is_reference: bool = False
    is_starred: bool = False


class Collector:
    """Frames or positions in the order of time in, rides out; what is told of them as the daemon tells it."""

    def __init__(self, finder: RideFinder, *, resolution_mm: float, source: str) -> None:
        self._finder = finder
        self._resolution_mm = resolution_mm
        self._source = source
        self._locked: set[str] = set()
        self._heard: dict[str, float] = {}
        self._ride: Found | None = None
        # The last one over; a re-level after it is counted with it, so it is given out late.
        self._over: Found | None = None

    def frame(self, frame: CANFrame) -> Iterator[Found]:
        if files.is_position(frame):
            self._locked.clear()
            self._heard[frame.channel.label] = frame.timestamp
            yield from self.sample(*files.sample_of(frame))
            return
        event = self._event(frame)
        if self._ride is not None:
            self._ride.events.append(msgspec.Raw(events.encode(event)))
        if event.type == "system" and event.payload["state"] == LOCKED:
            self._locked.add(frame.channel.label)
            speaking = [ts for channel, ts in self._heard.items() if channel not in self._locked]
            if all(frame.timestamp - ts > SILENCE_S for ts in speaking):
                yield from self._tell(self._finder.interrupt(LOCKED))

    def sample(self, channel: str, ts: float, raw: int) -> Iterator[Found]:
        ride = self._ride
        yield from self._tell(self._finder.position(channel, ts, raw))
        if ride is not None and ride is self._ride:
            _note(ride, channel, ts, raw)

    def end(self, cause: str = END_OF_FILE) -> Iterator[Found]:
        yield from self._tell(self._finder.interrupt(cause))
        if self._over is not None:
            yield self._over
            self._over = None

    def _tell(self, told: Iterable[Told]) -> Iterator[Found]:
        for each in told:
            if isinstance(each, Motion):
                continue
            if isinstance(each, RideBegan):
                if self._over is not None:
                    yield self._over
                    self._over = None
                self._begin(each)
            elif isinstance(each, RideEnded):
                self._end(each)
            elif isinstance(each, Relevelled):
                if self._over is not None:
                    self._over.summary["relevels"] += 1
            elif self._ride is not None:
                self._ride.events.append(msgspec.Raw(events.encode(_finding(each, self._source))))

    def _begin(self, began: RideBegan) -> None:
        ride = self._ride = Found(
            id=str(uuid.uuid4()),
            source=self._source,
            start_ts=began.begin.ts,
            end_ts=began.begin.ts,
            direction="up" if began.direction > 0 else "down",
            distance_mm=0.0,
            reason="",
            summary={},
            resolution_mm=self._resolution_mm,
            samples={},
            events=[],
        )
        for channel, samples in self._finder.since(ride.start_ts - PRE_ROLL_S).items():
            for ts, raw in samples:
                _note(ride, channel, ts, raw)
        start = events.ride_start(ride.start_ts, ride.id, ride.direction, source=self._source)
        if began.partial:
            start.payload["partial"] = True
        start.payload["start_position_mm"] = round(began.begin.position_mm, 1)
        ride.events.append(msgspec.Raw(events.encode(start)))

    def _end(self, ended: RideEnded) -> None:
        ride, self._ride = self._ride, None
        assert ride is not None
        # Floors are those of this bench, and a recording may be from anywhere.
        ride.summary = report(ended, None)
        ride.end_ts, ride.reason, ride.motions = ended.end.ts, ended.reason, ended.motions
        ride.distance_mm = ride.summary["distance_mm"]
        end = events.ride_end(ride.end_ts, ride.id, ride.reason, ride.summary, self._source)
        ride.events.append(msgspec.Raw(events.encode(end)))
        self._over = ride

    def _event(self, frame: CANFrame) -> EventEnvelope:
        ts, channel = frame.timestamp, frame.channel.label
        if frame.message_type is MessageType.STATUS:
            status = parse_status(frame.data)
            return events.status(ts, channel, status.state, self._source, raw=status.raw)
        if frame.message_type is MessageType.ERROR:
            error = parse_error(frame.data)
            return events.error(ts, channel, error.code, {"raw": error.raw}, self._source)
        system = parse_system(frame.data)
        return events.system(ts, channel, system.state, system.raw, self._source)


class Recording:
    """The rides of a file, and what is to be said of it when all of them have been taken."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.positions = 0
        self.too_sparse = ""  # the positions of a CSV
        # The numbers of the lines, and what is wrong with the first.
        self.not_understood: list[int] = []
        self.reason = ""
        self.left_out: list[str] = []

    def candump(self, lines: Iterable[str], bus: str | None) -> Iterator[Found]:
        """Of that bus, else of the first one that has positions."""
        buses: set[str] = set()
        for each in files.read_candump(lines):
            if not isinstance(each, Frame):
                self._complain(each)
                continue
            buses.add(each.bus)
            if bus is None and files.is_position(each.frame):
                bus = each.bus
            if each.bus == bus:
                self.positions += files.is_position(each.frame)
                yield from self._collector.frame(each.frame)
        self.left_out = sorted(buses - {bus})
        yield from self._collector.end()

    def csv(self, lines: Iterable[str], file_ts: float, resolution_mm: float) -> Iterator[Found]:
        """Times that do not count from 1970 count to when the file was written."""
        points = list(bounded(self._points(lines)))
        self.too_sparse = filling.too_sparse(points)
        points = list(bounded(filling.dense(points)))
        self.positions = len(points)
        if not points:
            return
        begin_ts = file_ts - points[-1].ts if points[0].ts < EPOCH_MIN_S else 0.0
        for number, point in enumerate(points):  # there may be many, so not all of them twice
            points[number] = point._replace(ts=begin_ts + point.ts)
        for point in to_be_searched(points):
            for found in self._collector.sample(*sample_of(point, resolution_mm)):
                yield _of_the_file(found, points)
        for found in self._collector.end():
            yield _of_the_file(found, points)

    def _points(self, lines: Iterable[str]) -> Iterator[Point]:
        for each in files.read_csv(lines):
            if isinstance(each, NotUnderstood):
                self._complain(each)
            else:
                yield each

    def _complain(self, line: NotUnderstood) -> None:
        self.reason = self.reason or line.reason
        self.not_understood.append(line.line)


def bounded(points: Iterable[Point]) -> Iterator[Point]:
    """Raises TooMuch rather than fill the memory."""
    for number, point in enumerate(points):
        if number == POSITIONS_MAX:
            raise TooMuch(f"more than {POSITIONS_MAX} positions; cut it into several files")
        yield point


def to_be_searched(points: Sequence[Point]) -> Iterator[Point]:
    """The positions of a CSV as those of the sensor: as often, and standing before and after the rides."""
    before, after = standing(points)
    return chain(before, filling.dense(points, filling.FINDING_SPARSE_S, filling.FINDING_S), after)


def standing(points: Sequence[Point]) -> tuple[list[Point], list[Point]]:
    """What is missing where somebody has cut it; without having stood a ride has no beginning and no end.

    Nothing is missing where it begins or ends in mid-movement: of that ride no more is known.
    """
    # At the master, if there is one: to change the channel in the middle costs half a second.
    channel = min(point.channel for point in points)
    course = [point for point in points if point.channel == channel]
    steps = range(1, round(STANDING_S / STANDING_STEP_S) + 1)
    first, last = points[0].ts, points[-1].ts
    before = [course[0]._replace(ts=first - step * STANDING_STEP_S) for step in reversed(steps)]
    after = [course[-1]._replace(ts=last + step * STANDING_STEP_S) for step in steps]
    return before if _stands(course) else [], after if _stands(course[::-1]) else []


def _stands(course: Sequence[Point]) -> bool:
    """At the first of them."""
    ts = course[0].ts
    edge = list(takewhile(lambda point: abs(point.ts - ts) <= EDGE_S, course))
    if len(edge) < 2:  # they are farther apart
        edge = list(course[:2])
    heights = [point.position_mm for point in edge]
    return max(heights) - min(heights) <= STILL_MM * max(1.0, abs(edge[-1].ts - ts) / EDGE_S)


def sample_of(point: Point, resolution_mm: float) -> Sample:
    return point.channel, point.ts, round(point.position_mm / resolution_mm)


def keep(connection: sqlite3.Connection, found: Found) -> Kept:
    row = connection.execute("SELECT 1 FROM rides WHERE id = ?", (found.id,)).fetchone()
    begun_then = Filter(
        direction=found.direction, since=found.start_ts - SAME_S, until=found.start_ts + SAME_S
    )
    alike, _ = store.rides(connection, begun_then, limit=store.LIST_LIMIT)
    if row is not None or not all(_is_part(ride, found) for ride in alike):
        return Kept(None)
    for part in alike:
        _inherit(found, part)
        store.delete(connection, part.number)
    number = store.begin(
        connection,
        found.id,
        source=found.source,
        start_ts=found.start_ts,
        direction=found.direction,
        resolution_mm=found.resolution_mm,
        specimen=found.specimen,
    )
    store.append(connection, number, 0, Piece(found.samples, found.events, signals=found.signals))
    store.finish(
        connection,
        number,
        end_ts=found.end_ts,
        distance_mm=found.distance_mm,
        reason=found.reason,
        summary=found.summary,
        motions=found.motions,
    )
    store.annotate(
        connection, number, note=found.note, reference=found.is_reference, starred=found.is_starred
    )
    return Kept(number, tuple(sorted(part.number for part in alike)))


def _is_part(ride: Ride, found: Found) -> bool:
    return found.reason == COMPLETED and ride.reason not in (None, COMPLETED)


def _inherit(found: Found, part: Ride) -> None:
    """What somebody has said of a part holds for the whole."""
    found.specimen = found.specimen or part.specimen
    if part.note and not part.note.startswith(IMPORTED):
        found.note = f"{part.note}, {found.note}"[:NOTE_MAX] if found.note else part.note
    found.is_reference = found.is_reference or part.is_reference
    found.is_starred = found.is_starred or part.is_starred


def _note(ride: Found, channel: str, ts: float, raw: int) -> None:
    offsets_us, positions = ride.samples.setdefault(channel, ([], []))
    offsets_us.append(round((ts - ride.start_ts) * 1e6))
    positions.append(raw)


def _of_the_file(ride: Found, points: Sequence[Point]) -> Found:
    """With its own positions in place of those that were needed to find it."""
    offsets_us = [us for offsets, _ in ride.samples.values() for us in offsets]
    first_ts, last_ts = (ride.start_ts + us / 1e6 for us in (min(offsets_us), max(offsets_us)))
    time_of = attrgetter("ts")
    first = bisect_left(points, first_ts - LEAST_S, key=time_of)
    last = bisect_left(points, last_ts + LEAST_S, key=time_of)
    ride.samples = {}
    for point in points[first:last]:
        _note(ride, *sample_of(point, ride.resolution_mm))
    return ride


def _finding(finding: Finding, source: str) -> EventEnvelope:
    if finding.well_again:
        more = {"code": finding.code, **finding.details}
        return events.status(finding.ts, finding.channel, "well_again", source, **more)
    return events.error(finding.ts, finding.channel, finding.code, finding.details, source)
