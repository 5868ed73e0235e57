"""A lift whose every ride is known exactly, and the positions that the sensor makes of it."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from listener.rides.finder import RideBegan, RideEnded, RideFinder, Told
from listener.rides.motion import Motion
from mock.profile import Profile

TS = 1_700_000_000.0
PERIOD_S = 0.004
BOTH = ("master", "slave")
# channel, time, raw position
Sample = tuple[str, float, int]


@dataclass(frozen=True)
class Lift:
    """Stands, rides, stands: (when it sets off, the ride), one after the other."""

    rides: Sequence[tuple[float, Profile]] = ()
    start_mm: float = 10_000.0

    def position_mm(self, at_s: float) -> float:
        return self.start_mm + sum(ride.position_mm(at_s - begin_s) for begin_s, ride in self.rides)

    def velocity_mm_s(self, at_s: float) -> float:
        return sum(ride.velocity_mm_s(at_s - begin_s) for begin_s, ride in self.rides)

    def acceleration_mm_s2(self, at_s: float) -> float:
        return sum(ride.acceleration_mm_s2(at_s - begin_s) for begin_s, ride in self.rides)

    def samples(
        self,
        until_s: float,
        *,
        since_s: float = 0.0,
        channels: Iterable[str] = ("master",),
        missing: float = 0.0,
        jitter_s: float = 0.0,
        resolution_mm: float = 1.0,
        slave_off_mm: float = 0.0,
        seed: int = 1,
    ) -> Iterator[Sample]:
        chance = random.Random(seed)
        for number in range(round(since_s / PERIOD_S), round(until_s / PERIOD_S)):
            for channel in channels:
                at_s = number * PERIOD_S + (PERIOD_S / 2 if channel == "slave" else 0.0)
                if chance.random() < missing:
                    continue
                position_mm = self.position_mm(at_s) + (slave_off_mm if channel == "slave" else 0.0)
                yield (
                    channel,
                    TS + at_s + chance.uniform(-jitter_s, jitter_s),
                    round(position_mm / resolution_mm),
                )


def found(finder: RideFinder, samples: Iterable[Sample]) -> list[Told]:
    """Everything but the motions."""
    return [
        told
        for channel, ts, raw in samples
        for told in finder.position(channel, ts, raw)
        if not isinstance(told, Motion)
    ]


def ride_of(told: Iterable[Told]) -> tuple[RideBegan, RideEnded]:
    began, ended = (each for each in told if isinstance(each, RideBegan | RideEnded))
    assert isinstance(began, RideBegan)
    assert isinstance(ended, RideEnded)
    return began, ended


def kinds(told: Iterable[Told]) -> list[str]:
    return [type(each).__name__ for each in told]
