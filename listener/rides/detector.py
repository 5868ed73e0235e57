"""Where a ride begins and where it ends, and what is only a re-level.

Pure. A `Motion` in, what has become known out: `Began`, `Ended`, `Relevelled`. Positions are in mm, times
are the motion's own; `edges` makes both exact.

1. A movement becomes a ride when it has been fast enough (`start_speed`) and gone far enough (`ride_mm`). It
   is told then and dated back to its beginning. Every other movement is a re-level, however long it takes.
2. A ride is over when the car has stood for `hold_s`: slower than `rest_speed` and within `still_mm`. So a
   creep at less than `rest_speed` keeps a ride alive, and flicker at a standstill does not.
3. The end is the first stop that the car did not leave by more than `ride_mm`. What it moved from there
   within the hold is a re-level; if it went on in the same direction, the stop was one between floors.
4. A car that turns and goes back by more than `ride_mm` has ended one ride and begun another.
5. Who comes in the middle of a ride sees a `partial` one: it begins where it was first seen.
"""

from dataclasses import dataclass, field
from enum import Enum

from listener.rides.motion import Motion

# So long a car stands, within half of `still_mm`, that has stopped and does not just turn or creep.
SETTLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    start_speed_mm_s: float = 30.0
    rest_speed_mm_s: float = 8.0
    ride_mm: float = 50.0
    still_mm: float = 3.0
    hold_s: float = 2.0
    # Longer without a motion, and nobody knows what the car did.
    gap_s: float = 1.5


@dataclass(frozen=True, slots=True)
class Place:
    ts: float
    position_mm: float


@dataclass(frozen=True, slots=True)
class Began:
    at: Place
    direction: int  # 1 up, -1 down
    partial: bool = False
    turned: bool = False  # it did not begin at a standstill


@dataclass(frozen=True, slots=True)
class Ended:
    at: Place
    rested_ts: float  # when the car surely stood there
    cause: str | None = None  # None: the car has arrived
    stops: int = 0  # between floors
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Relevelled:
    begin: Place
    end: Place


Found = Began | Ended | Relevelled


class State(Enum):
    UNKNOWN = "unknown"
    RESTING = "resting"
    MOVING = "moving"  # and nobody knows yet whether it becomes a ride
    RIDING = "riding"


@dataclass(slots=True)
class _Movement:
    begin: Place
    partial: bool
    fastest_mm_s: float = 0.0


@dataclass(slots=True)
class _Ride:
    direction: int
    farthest: Place
    stop: Place | None = None
    stopped_until: float = 0.0
    rest: Place | None = None  # where the car stood last
    stops: int = 0
    relevelled: list[Relevelled] = field(default_factory=list)


class _Standstill:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.since: Place | None = None
        self._last_ts = 0.0

    @property
    def lasted_s(self) -> float:
        return 0.0 if self.since is None else self._last_ts - self.since.ts

    def add(self, motion: Motion) -> None:
        self._last_ts = motion.ts
        if abs(motion.velocity_mm_s) >= self._limits.rest_speed_mm_s:
            self.since = None
        elif self.since is None or abs(motion.position_mm - self.since.position_mm) > self._limits.still_mm:
            self.since = Place(motion.ts, motion.position_mm)


class RideDetector:
    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.state = State.UNKNOWN
        self._last: Motion | None = None
        self._standstill = _Standstill(self._limits)
        self._rest = Place(0.0, 0.0)
        self._movement = _Movement(self._rest, partial=True)
        self._ride = _Ride(0, self._rest)

    def interrupt(self, cause: str) -> list[Found]:
        """What follows has nothing to do with what was: bus lost, sensor locked, daemon stopped."""
        found: list[Found] = []
        if self.state is State.RIDING and self._last is not None:
            here = _place(self._last)
            found = [Ended(here, here.ts, cause, self._ride.stops)]
        self.state = State.UNKNOWN
        self._standstill.since = None
        self._last = None
        return found

    def add(self, motion: Motion) -> list[Found]:
        found: list[Found] = []
        if self._last is not None and not 0 < motion.ts - self._last.ts <= self._limits.gap_s:
            found = self.interrupt("gap")
        self._last = motion
        self._standstill.add(motion)
        return found + self._STEPS[self.state](self, motion)

    def _begin(self, motion: Motion) -> list[Found]:
        here = _place(motion)
        if self._standstill.since is not None:
            self._rest = here
            self.state = State.RESTING
        else:
            self._movement = _Movement(here, partial=True)
            self.state = State.MOVING
        return []

    def _stand(self, motion: Motion) -> list[Found]:
        if self._standstill.since is not None:
            self._rest = _place(motion)
            return []
        self._movement = _Movement(self._rest, partial=False)
        self.state = State.MOVING
        return self._move(motion)

    def _move(self, motion: Motion) -> list[Found]:
        limits, movement = self._limits, self._movement
        movement.fastest_mm_s = max(movement.fastest_mm_s, abs(motion.velocity_mm_s))
        went_mm = motion.position_mm - movement.begin.position_mm
        if abs(went_mm) > limits.ride_mm and movement.fastest_mm_s >= limits.start_speed_mm_s:
            self._ride = _Ride(1 if went_mm > 0 else -1, _place(motion))
            self.state = State.RIDING
            return [Began(movement.begin, self._ride.direction, movement.partial)]
        since = self._standstill.since
        if since is None or self._standstill.lasted_s < limits.hold_s:
            return []
        self.state = State.RESTING
        self._rest = Place(motion.ts, since.position_mm)
        if movement.partial or abs(since.position_mm - movement.begin.position_mm) <= limits.still_mm:
            return []
        return [Relevelled(movement.begin, since)]

    def _travel(self, motion: Motion) -> list[Found]:
        ride, limits, here = self._ride, self._limits, _place(motion)
        if ride.direction * (here.position_mm - ride.farthest.position_mm) > 0:
            ride.farthest = here
        since = self._standstill.since
        if since is not None and self._standstill.lasted_s >= SETTLE_S:
            self._note_stop(since, here)
        if ride.stop is not None:
            went_mm = here.position_mm - ride.stop.position_mm
            if ride.direction * went_mm < -limits.ride_mm:
                return self._turn(ride.rest or ride.stop, here)
            if ride.direction * went_mm > limits.ride_mm:
                ride.stop = None
                ride.stops += 1
                ride.relevelled.clear()
        elif ride.direction * (ride.farthest.position_mm - here.position_mm) > limits.ride_mm:
            return self._turn(ride.farthest, here)
        if since is None or self._standstill.lasted_s < limits.hold_s:
            return []
        self.state = State.RESTING
        self._rest = Place(motion.ts, since.position_mm)
        return [self._ended(ride, Place(since.ts, here.position_mm), here.ts), *ride.relevelled]

    def _note_stop(self, since: Place, here: Place) -> None:
        ride = self._ride
        if abs(here.position_mm - since.position_mm) > self._limits.still_mm / 2:
            return  # it creeps
        if ride.stop is None:
            ride.stop = Place(since.ts, here.position_mm)
        if abs(here.position_mm - ride.stop.position_mm) <= self._limits.still_mm and not ride.relevelled:
            ride.stopped_until = here.ts
        elif ride.rest is not None and abs(since.position_mm - ride.rest.position_mm) > self._limits.still_mm:
            ride.relevelled.append(Relevelled(ride.rest, since))
        ride.rest = Place(here.ts, since.position_mm)

    def _turn(self, begin: Place, here: Place) -> list[Found]:
        before, self._ride = self._ride, _Ride(-self._ride.direction, here)
        ended = self._ended(before, before.farthest, here.ts)
        return [ended, *before.relevelled, Began(begin, self._ride.direction, turned=ended.turned)]

    @staticmethod
    def _ended(ride: _Ride, otherwise: Place, ts: float) -> Ended:
        if ride.stop is not None:
            return Ended(ride.stop, ride.stopped_until, None, ride.stops)
        return Ended(otherwise, ts, None, ride.stops, turned=otherwise is ride.farthest)

    _STEPS = {  # noqa: RUF012 - the table
        State.UNKNOWN: _begin,
        State.RESTING: _stand,
        State.MOVING: _move,
        State.RIDING: _travel,
    }


def _place(motion: Motion) -> Place:
    return Place(motion.ts, motion.position_mm)
