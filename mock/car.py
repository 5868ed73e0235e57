"""The car that the sensor looks at: where it stands, when it rides.

Pure: time comes in with `advance`, never backwards. `start_ride` and `stop` are its push buttons; a ride that
cannot be is a `ValueError` with the reason as a sentence.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mock.profile import Profile

_SAME_PLACE_MM = 1.0


def _tell_nobody(_line: str) -> None:
    pass


class Car:
    """Visits the floors in the order given and from the first again, with a pause before and after each ride.

    With a single floor it stands there and rides only when asked. After `count` rides it is finished; 0 is
    for ever.
    """

    def __init__(
        self,
        floors_mm: Sequence[float],
        profile_of: Callable[[float], Profile],
        *,
        top_mm: float,
        pause_s: float = 4.0,
        count: int = 0,
        tell: Callable[[str], None] = _tell_nobody,
    ) -> None:
        self._floors_mm = check_floors(floors_mm, top_mm)
        self._profile_of = profile_of
        self._top_mm = top_mm
        self._pause_s = pause_s
        self._count = count
        self._tell = tell
        self._floor = 0
        self._standing_mm = self._floors_mm[0]
        self._rides = 0
        self._ride: Profile | None = None
        self._since_s = 0.0  # when the ride, or the standing, began
        self._now_s = 0.0
        self._stopped = False

    @property
    def riding(self) -> bool:
        return self._ride is not None

    @property
    def finished(self) -> bool:
        return 0 < self._count <= self._rides and self._ride is None and self._paused

    @property
    def position_mm(self) -> float:
        if self._ride is None:
            return self._standing_mm
        return self._standing_mm + self._ride.position_mm(self._now_s - self._since_s)

    def advance(self, now_s: float) -> None:
        self._now_s = now_s
        if self._ride is not None and now_s >= self._since_s + self._ride.duration_s:
            self._arrive(self._ride)
        if self._ride is None and self._paused and not self.finished:
            self._ride_to_next_floor()

    def start_ride(self, distance_mm: float) -> None:
        if self._ride is not None:
            raise ValueError("a ride is in progress")
        if self.finished:
            raise ValueError("the last ride is over")
        profile = self._profile_of(distance_mm)
        if not 0 <= self._standing_mm + distance_mm <= self._top_mm:
            raise ValueError(f"a ride of {distance_mm:g} mm would leave the band (0 to {self._top_mm:g} mm)")
        self._begin(profile, self._now_s)

    def stop(self) -> bool:
        """Whether there was a ride to stop; it ends as soon as its limits of acceleration and jerk allow."""
        if self._ride is None:
            return False
        self._ride = self._ride.stopped_at(self._now_s - self._since_s)
        self._stopped = True
        return True

    @property
    def _paused(self) -> bool:
        return self._now_s >= self._since_s + self._pause_s

    def _ride_to_next_floor(self) -> None:
        for _ in range(len(self._floors_mm) - 1):
            self._floor = (self._floor + 1) % len(self._floors_mm)
            distance_mm = self._floors_mm[self._floor] - self._standing_mm
            # Already there: by a ride on request, or as the list ends where it begins.
            if abs(distance_mm) >= _SAME_PLACE_MM:
                self._begin(self._profile_of(distance_mm), self._since_s + self._pause_s)
                return

    def _begin(self, ride: Profile, at_s: float) -> None:
        self._ride = ride
        self._since_s = at_s
        self._stopped = False
        self._rides += 1
        direction = "up" if ride.distance_mm > 0 else "down"
        self._tell(
            f"ride {self._rides}: {direction} {abs(ride.distance_mm):.0f} mm "
            f"from {self._standing_mm:.0f} mm, {ride.duration_s:.1f} s"
        )

    def _arrive(self, ride: Profile) -> None:
        self._standing_mm += ride.distance_mm
        # Not the time of this call: an hour of rides would drift by half a sample each.
        self._since_s += ride.duration_s
        self._ride = None
        how = "stopped" if self._stopped else "arrived"
        self._tell(f"ride {self._rides}: {how} at {self._standing_mm:.0f} mm")


def check_floors(floors_mm: Sequence[float], top_mm: float) -> tuple[float, ...]:
    if not floors_mm:
        raise ValueError("floors need at least one height")
    for floor in floors_mm:
        if not 0 <= floor <= top_mm:
            raise ValueError(f"floor {floor:g} is off the band (0 to {top_mm:g} mm)")
    for before, after in pairwise(floors_mm):
        if abs(after - before) < _SAME_PLACE_MM:
            raise ValueError(f"floors {before:g} and {after:g} follow each other and are the same place")
    return tuple(floors_mm)
