"""Floors, learnt from where rides stop.

Pure. Rules of a maker's manual:

1. A stop within 50 mm of a known floor is that floor; any other is a new one.
2. A floor follows its stops, but not what is only 5 mm off, and never farther than 100 mm from where it was
   first learnt.
3. The order of the floors does not change: one that would pass its neighbour stays.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

SAME_MM = 50.0
IGNORED_MM = 5.0
FARTHEST_MM = 100.0
# A floor goes so much of the way to a stop that is off: one bad stop does not move it.
FOLLOW = 0.25


@dataclass(frozen=True, slots=True)
class Floor:
    key: int  # for ever; the number of a floor changes when one is learnt below it
    first_mm: float
    position_mm: float
    stops: int = 1


@dataclass(frozen=True, slots=True)
class Stop:
    floor: Floor
    number: int  # from the lowest, 0
    offset_mm: float  # of the stop from the floor as it was known before; 0 where it is new
    new: bool


class Floors:
    def __init__(self, floors: Iterable[Floor] = ()) -> None:
        self._floors = sorted(floors, key=lambda floor: floor.position_mm)

    def __iter__(self) -> Iterator[Floor]:
        return iter(self._floors)

    def find(self, position_mm: float) -> Stop | None:
        nearest = min(self._floors, key=lambda floor: abs(floor.position_mm - position_mm), default=None)
        if nearest is None or abs(nearest.position_mm - position_mm) > SAME_MM:
            return None
        number = self._floors.index(nearest)
        return Stop(nearest, number, position_mm - nearest.position_mm, new=False)

    def learn(self, position_mm: float) -> Stop:
        known = self.find(position_mm)
        if known is None:
            key = 1 + max((floor.key for floor in self._floors), default=0)
            floor = Floor(key, position_mm, position_mm)
            self._floors = sorted([*self._floors, floor], key=lambda floor: floor.position_mm)
            return Stop(floor, self._floors.index(floor), 0.0, new=True)
        floor = replace(known.floor, stops=known.floor.stops + 1)
        if abs(known.offset_mm) > IGNORED_MM:
            floor = replace(floor, position_mm=self._moved(floor, known))
        self._floors[known.number] = floor
        return replace(known, floor=floor)

    def _moved(self, floor: Floor, stop: Stop) -> float:
        wanted = floor.position_mm + FOLLOW * stop.offset_mm
        wanted = min(max(wanted, floor.first_mm - FARTHEST_MM), floor.first_mm + FARTHEST_MM)
        below = self._floors[stop.number - 1].position_mm if stop.number else float("-inf")
        above = (
            self._floors[stop.number + 1].position_mm if stop.number + 1 < len(self._floors) else float("inf")
        )
        return wanted if below < wanted < above else floor.position_mm
