"""Rides from positions: the estimator, the detector, the edges and the checks, put together.

Pure. A channel's raw position and its time in, everything that this tells out, in the order of telling. Live
positions and those of a log take the same way, so a replayed ride is found as it was.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import Final

from listener.rides import detector, edges, plausibility
from listener.rides.detector import Began, Ended, Place, Relevelled, RideDetector
from listener.rides.motion import GAP_S, Motion, MotionEstimator, OneChannel
from listener.rides.plausibility import JUMP, Finding, Plausibility, Verdict
from listener.rides.summary import Summary, summarise

# Positions and motions are known for so long; a movement may have begun before that.
HISTORY_S: Final = 10.0
SAMPLES_A_SECOND: Final = 250
# Nobody rides so long; a lift that never rests must not fill the memory.
LONGEST_S: Final = 3600.0

COMPLETED: Final = "completed"
ABORTED: Final = "aborted"
ERROR: Final = "error"
CLOCK_STEP: Final = "clock_step"
MASTER: Final = "master"


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
        size = round(HISTORY_S * SAMPLES_A_SECOND)
        self._history, self._left_out = (
            {channel: deque[edges.Sample](maxlen=size) for channel in (MASTER, "slave")} for _ in range(2)
        )
        self._motions: deque[Motion] = deque(maxlen=round(HISTORY_S * 50))
        self._measured = MASTER  # where the last motion is from
        self._began: RideBegan | None = None
        self._ride: list[Motion] = []

    def position(self, channel: str, ts: float, raw: int) -> Iterator[Told]:
        position_mm = raw * self._resolution_mm
        if findings := self._checks.position(channel, ts, position_mm):
            yield from findings
        verdict = self._checks.verdict
        if verdict is Verdict.LEFT_OUT:
            self._left_out[channel].append((ts, raw))
            return
        if verdict is not Verdict.GOOD:
            yield from self._begin_anew(verdict, channel, ts)
            self._checks.position(channel, ts, position_mm)
        self._history[channel].append((ts, raw))
        for motion in self._one_channel.add(channel, ts, position_mm):
            yield motion
            self._measured = channel
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
        for channel in self._history:
            self._forget(channel)

    def since(self, ts: float) -> dict[str, list[edges.Sample]]:
        """Of each channel what is still known, in the order of time; also what was left out."""
        return {
            channel: sorted(sample for sample in (*history, *self._left_out[channel]) if sample[0] >= ts)
            for channel, history in self._history.items()
        }

    def _begin_anew(self, verdict: Verdict, channel: str, ts: float) -> Iterator[Told]:
        if verdict is Verdict.BACK_IN_TIME:
            yield from self.interrupt(CLOCK_STEP)
        elif channel in (MASTER, self._one_channel.wanted(ts)):
            yield from self.interrupt(JUMP, ERROR)
        else:
            self._forget(channel)  # the ride is measured by the other one

    def _forget(self, channel: str) -> None:
        self._history[channel].clear()
        self._left_out[channel].clear()

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
        elif found.cause is not None:
            end = self._exact(_before_gap(self._samples, end.ts), end)
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
        return list(self._history[self._measured])

    def _stood(self, until: float, about: Place) -> float:
        raw = edges.at_rest(self._samples, until)
        return about.position_mm if raw is None else raw * self._resolution_mm

    def _exact(self, sample: edges.Sample | None, about: Place) -> Place:
        return about if sample is None else Place(sample[0], sample[1] * self._resolution_mm)


def _before_gap(samples: Iterable[edges.Sample], ts: float) -> edges.Sample | None:
    """The last one that follows that moment without a gap."""
    last = None
    for sample in samples:
        if sample[0] < ts:
            continue
        if sample[0] - (ts if last is None else last[0]) > GAP_S:
            break
        last = sample
    return last


def motions(samples: Iterable[tuple[str, float, int]], resolution_mm: float) -> Iterator[Motion]:
    """What is derived from positions that have been kept, once more."""
    checks, one_channel = Plausibility(), OneChannel(MotionEstimator())
    for channel, ts, raw in samples:
        checks.position(channel, ts, raw * resolution_mm)
        if checks.verdict is Verdict.LEFT_OUT:
            continue
        if checks.verdict is not Verdict.GOOD:
            one_channel.restart()
        yield from one_channel.add(channel, ts, raw * resolution_mm)
