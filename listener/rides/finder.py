"""Rides from positions: the estimator, the detector, the edges and the checks, put together.

Pure. A channel's raw position and its time in, everything that this tells out, in the order of telling. Live
positions and those of a log take the same way, so a replayed ride is found as it was.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import Final

from listener.rides import detector, edges, plausibility
from listener.rides.detector import Began, Ended, Place, Relevelled, RideDetector
from listener.rides.motion import Motion, MotionEstimator, OneChannel
from listener.rides.plausibility import JUMP, Finding, Plausibility
from listener.rides.summary import Summary, summarise

# A movement is dated back by at most so much.
HISTORY_S: Final = 10.0
SAMPLES_A_SECOND: Final = 250
# Nobody rides so long; a lift that never rests must not fill the memory.
LONGEST_S: Final = 3600.0

COMPLETED: Final = "completed"
ABORTED: Final = "aborted"
ERROR: Final = "error"


@dataclass(frozen=True, slots=True)
class RideBegan:
    begin: Place
    direction: int
    partial: bool


@dataclass(frozen=True, slots=True)
class RideEnded:
    end: Place
    reason: str
    cause: str | None
    direction: int
    partial: bool
    turned: bool
    stops: int
    summary: Summary
    motions: tuple[Motion, ...]  # from the beginning to when it was known to be over


Told = Motion | RideBegan | RideEnded | Relevelled | Finding


class RideFinder:
    def __init__(
        self,
        resolution_mm: float,
        limits: detector.Limits | None = None,
        checks: plausibility.Limits | None = None,
    ) -> None:
        self._resolution_mm = resolution_mm
        self._one_channel = OneChannel(MotionEstimator())
        self._detector = RideDetector(limits)
        self._checks = Plausibility(checks)
        self._history: dict[str, deque[edges.Sample]] = {}
        self._motions: deque[Motion] = deque(maxlen=round(HISTORY_S * 50))
        self._began: RideBegan | None = None
        self._ride: list[Motion] = []

    def position(self, channel: str, ts: float, raw: int) -> Iterator[Told]:
        history = self._history.get(channel)
        if history is None:
            history = self._history[channel] = deque(maxlen=round(HISTORY_S * SAMPLES_A_SECOND))
        history.append((ts, raw))
        position_mm = raw * self._resolution_mm
        for finding in self._checks.position(channel, ts, position_mm):
            yield finding
            if finding.code == JUMP and not finding.well_again:
                yield from self.interrupt(JUMP, ERROR)
        for motion in self._one_channel.add(channel, ts, position_mm):
            yield motion
            yield from self._checks.velocity(motion.ts, motion.velocity_mm_s)
            self._motions.append(motion)
            if self._began is not None:
                self._ride.append(motion)
            for found in self._detector.add(motion):
                yield self._tell(found, ABORTED)
            if self._began is not None and motion.ts - self._began.begin.ts > LONGEST_S:
                yield from self.interrupt("too_long")

    def interrupt(self, cause: str, reason: str = ABORTED) -> Iterator[Told]:
        """What comes next has nothing to do with what was."""
        for found in self._detector.interrupt(cause):
            yield self._tell(found, reason)
        self._checks.restart()
        self._one_channel.restart()
        self._motions.clear()
        self._history.clear()

    def since(self, ts: float) -> dict[str, list[edges.Sample]]:
        """Of each channel what is still known, in the order of time."""
        return {
            channel: list(dropwhile(lambda sample: sample[0] < ts, history))
            for channel, history in self._history.items()
        }

    def _tell(self, found: detector.Found, reason: str) -> Told:
        if isinstance(found, Began):
            return self._begin(found)
        if isinstance(found, Ended):
            return self._end(found, reason)
        # It stood before, and half a second after: the sensor's own positions are exact.
        begin, end = found.begin, found.end
        return Relevelled(
            replace(begin, position_mm=self._stood(begin.ts, begin)),
            replace(end, position_mm=self._stood(end.ts + detector.SETTLE_S, end)),
        )

    def _begin(self, found: Began) -> RideBegan:
        begin = found.at
        if not (found.partial or found.turned):
            begin = self._exact(edges.begin(self._samples, begin.ts), begin)
        self._began = RideBegan(begin, found.direction, found.partial)
        self._ride = list(dropwhile(lambda motion: motion.ts < begin.ts, self._motions))
        return self._began

    def _end(self, found: Ended, reason: str) -> RideEnded:
        assert self._began is not None
        began, self._began = self._began, None
        end = found.at
        if found.cause is None and not found.turned:
            end = self._exact(edges.end(self._samples, found.rested_ts), end)
        elif found.cause is not None and self._samples:
            ts, raw = self._samples[-1]
            end = Place(ts, raw * self._resolution_mm) if reason != ERROR else end
        summary = summarise(
            self._ride, began.begin.ts, end.ts, began.begin.position_mm, end.position_mm, began.direction
        )
        if found.cause is not None:
            summary = replace(summary, phases=())  # it did not get to the end of them
        motions, self._ride = tuple(self._ride), []
        return RideEnded(
            end,
            COMPLETED if found.cause is None else reason,
            found.cause,
            began.direction,
            began.partial,
            found.turned,
            found.stops,
            summary,
            motions,
        )

    @property
    def _samples(self) -> list[edges.Sample]:
        return list(self._history.get(self._one_channel.channel, ()))

    def _stood(self, until: float, about: Place) -> float:
        raw = edges.at_rest(self._samples, until)
        return about.position_mm if raw is None else raw * self._resolution_mm

    def _exact(self, sample: edges.Sample | None, about: Place) -> Place:
        return about if sample is None else Place(sample[0], sample[1] * self._resolution_mm)
