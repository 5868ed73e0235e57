"""How exactly rides begin and end: the table of docs/rides.md, from simulated rides whose truth is known.

.venv/bin/python benchmarks/edges.py [--rides N]
"""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).parents[1]))

from listener.rides.finder import RideBegan, RideEnded, RideFinder
from mock.profile import Profile, hydraulic
from tests.listener.rides.bench import TS, Lift, found

SETS_OFF_S = 3.0
Kind = Callable[[random.Random, float], Profile]


def of_the_simulator(_chance: random.Random, distance_mm: float) -> Profile:
    return hydraulic(distance_mm, 630.0, 500.0, 1000.0, 60.0, 100.0)


def of_many_kinds(chance: random.Random, distance_mm: float) -> Profile:
    speed, acceleration, jerk = (
        chance.uniform(300.0, 800.0),
        chance.uniform(300.0, 700.0),
        chance.uniform(500.0, 1500.0),
    )
    creep_speed, creep_mm = chance.uniform(40.0, 90.0), chance.uniform(40.0, 150.0)
    return hydraulic(distance_mm, speed, acceleration, jerk, creep_speed, creep_mm)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rides", type=int, default=50)
    count = parser.parse_args().rides
    print("| rides | distance: max | rms | duration: max | rms | beginning: max | end: max |")
    print("|---" * 7 + "|")
    for name, kind in (("of the simulator's kind", of_the_simulator), ("of many kinds", of_many_kinds)):
        for how, missing, jitter_s in (
            ("", 0.0, 0.0),
            (", 5 % missing, times off by up to 1 ms", 0.05, 0.001),
        ):
            errors = [measure(kind, seed, missing, jitter_s) for seed in range(count)]
            distance, begin, end = ([each[place] for each in errors] for place in range(3))
            duration = [last - first for first, last in zip(begin, end, strict=True)]
            print(
                f"| {name}{how} | {worst(distance):.1f} mm | {rms(distance):.1f} mm"
                f" | {1000 * worst(duration):.0f} ms | {1000 * rms(duration):.0f} ms"
                f" | {1000 * worst(begin):.0f} ms | {1000 * worst(end):.0f} ms |"
            )


def measure(kind: Kind, seed: int, missing: float, jitter_s: float) -> tuple[float, float, float]:
    """Distance in mm, beginning and end in seconds: found minus true."""
    chance = random.Random(seed)
    distance_mm = chance.choice([-1, 1]) * chance.uniform(400.0, 5000.0)
    ride = kind(chance, distance_mm)
    lift = Lift([(SETS_OFF_S, ride)], 10_000 + chance.random())
    samples = lift.samples(SETS_OFF_S + ride.duration_s + 4.0, missing=missing, jitter_s=jitter_s, seed=seed)
    began, ended = found(RideFinder(1.0), samples)
    assert isinstance(began, RideBegan)
    assert isinstance(ended, RideEnded)
    return (
        ended.end.position_mm - began.begin.position_mm - distance_mm,
        began.begin.ts - TS - SETS_OFF_S,
        ended.end.ts - TS - SETS_OFF_S - ride.duration_s,
    )


def worst(errors: Sequence[float]) -> float:
    return max(map(abs, errors))


def rms(errors: Sequence[float]) -> float:
    return sqrt(fmean(error * error for error in errors))


if __name__ == "__main__":
    main()
