"""What the mock is asked to do, and the parts that this makes. A mistake is a `ValueError` that names it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mock.car import Car, check_floors
from mock.faults import in_order
from mock.profile import hydraulic, s_curve
from mock.sensor import HIGHEST_RAW, Sensor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mock.profile import Profile
    from mock.sensor import Fault

ProfileName = Literal["s-curve", "hydraulic"]
_CREEP = ("creep_speed_mm_s", "creep_distance_mm")


@dataclass(frozen=True, slots=True)
class MockOptions:
    """None means: what the profile has as its default."""

    floors_mm: tuple[float, ...] = (1000.0, 4000.0, 9000.0)
    profile: ProfileName = "s-curve"
    speed_mm_s: float | None = None
    acceleration_mm_s2: float | None = None
    jerk_mm_s3: float | None = None
    creep_speed_mm_s: float | None = None
    creep_distance_mm: float | None = None
    resolution_mm: float = 1.0
    pause_s: float = 4.0
    count: int | None = None  # rides, or passes of the log; 0 for ever; None: rides for ever, a log once
    speed_up: float = 1.0
    faults: tuple[Fault, ...] = ()
    seed: int | None = None
    fd: bool = False
    replay: Path | None = None

    def __post_init__(self) -> None:
        for name in ("resolution_mm", "speed_up"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a positive number, not {getattr(self, name)}")
        if not 0 <= self.pause_s < math.inf:
            raise ValueError(f"pause_s must be 0 or a positive number, not {self.pause_s}")
        if self.count is not None and self.count < 0:
            raise ValueError(f"count must be 0 or a positive number, not {self.count}")
        if self.profile == "s-curve":
            for name in _CREEP:
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is for the hydraulic profile only")
        if self.replay is not None and self.faults:
            raise ValueError("faults are for rides, a log is played as it is")
        if self.count and self.replay is None and len(self.floors_mm) == 1:
            raise ValueError("count needs at least two floors: between one there is no ride")
        check_floors(self.floors_mm, self.top_mm)
        self.ride(1000.0)

    @property
    def top_mm(self) -> float:
        return HIGHEST_RAW * self.resolution_mm

    def ride(self, distance_mm: float) -> Profile:
        names = ("speed_mm_s", "acceleration_mm_s2", "jerk_mm_s3", *_CREEP)
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return (hydraulic if self.profile == "hydraulic" else s_curve)(distance_mm, **given)


def make_car(options: MockOptions, tell: Callable[[str], None]) -> Car:
    return Car(
        options.floors_mm,
        options.ride,
        top_mm=options.top_mm,
        pause_s=options.pause_s,
        count=options.count or 0,
        tell=tell,
    )


def make_sensor(options: MockOptions, car: Car) -> Sensor:
    return Sensor(car, in_order(options.faults), resolution_mm=options.resolution_mm, seed=options.seed)
