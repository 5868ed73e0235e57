"""What is made of the signals of a ride: columns of a table, means, deviations from a reference.

Pure. Nothing is interpolated: at any moment a signal has the last value that it told, but for no longer than
two of its usual periods (the median); after that nothing is known of it. A single value holds for a second.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from statistics import fmean, median
from typing import Any, Final, NamedTuple

from listener.rides.motion import INTERVAL_S
from listener.rides.signals import Track, Tracks, word_key
from listener.rides.summary import Phase

PERIODS: Final = 2
ALONE_US: Final = 1_000_000
WORDS_MAX: Final = 6
_STEP_US: Final = round(INTERVAL_S * 1e6)


class Held:
    """A track at any moment."""

    def __init__(self, track: Track) -> None:
        self._times = track.offsets_us
        self._values = track.values
        apart = [after - before for before, after in pairwise(self._times)]
        self._hold_us = PERIODS * median(apart) if apart else ALONE_US

    def at(self, us: float) -> float | None:
        number = bisect_right(self._times, us) - 1
        if number < 0 or us - self._times[number] > self._hold_us:
            return None
        return self._values[number]


# A table


def header(tracks: Tracks) -> list[str]:
    """The name with the unit behind it, without what separates columns."""
    return [
        re.sub(r"[,;\s\"']+", "_", f"{name} ({track.unit})" if track.unit else name)
        for name, track in tracks.items()
    ]


def with_signals(rows: Iterable[tuple[str, ...]], tracks: Tracks) -> Iterator[tuple[str, ...]]:
    """Behind each row, whose first cell is its time in seconds."""
    held = [Held(track) for track in tracks.values()]
    for row in rows:
        us = float(row[0]) * 1e6 + 0.5  # rounded as it is: a sample of that moment counts
        values = [each.at(us) for each in held]
        yield *row, *("" if value is None else f"{value:.10g}" for value in values)


# Numbers


class Range(NamedTuple):
    mean: float
    min: float
    max: float


def within(track: Track, begin_s: float, end_s: float) -> Range | None:
    """Of the values that it told in that time."""
    first, last = _between(track, begin_s, end_s)
    values = track.values[first:last]
    return Range(fmean(values), min(values), max(values)) if values else None


def words_within(track: Track, begin_s: float, end_s: float) -> list[str]:
    """What it told in that time, in its order: of a signal whose values are words."""
    first, last = _between(track, begin_s, end_s)
    told = [value for value, _ in groupby(track.values[first:last])]
    words = [track.words.get(word_key(value), f"{value:.10g}") for value in told]
    return words if len(words) <= WORDS_MAX else [*words[: WORDS_MAX - 1], "…"]


def _between(track: Track, begin_s: float, end_s: float) -> tuple[int, int]:
    first, last = (bisect_right(track.offsets_us, round(1e6 * s) - 1) for s in (begin_s, end_s))
    return first, last


def deviations(
    ride: Tracks, reference: Tracks, phases: Sequence[Phase], *, count: int, shift_s: float
) -> list[dict[str, Any]]:
    """Of each signal that both rides have in the same unit, at `count` moments from the beginning on.

    `shift_s` is how much later than its own beginning the ride is laid over the reference.
    """
    return [
        _deviations(name, track, reference[name], phases, count, 1e6 * shift_s)
        for name, track in ride.items()
        if _alike(track, reference.get(name))
    ]


def curves(ride: Tracks, reference: Tracks, shift_s: float) -> dict[str, Any]:
    """Of all signals of both, at their own times from the beginning on."""
    found = {}
    for name in [*ride, *(name for name in reference if name not in ride)]:
        track, other = ride.get(name), reference.get(name)
        if track is not None and other is not None and track.values and not _alike(track, other):
            other = None
        unit = next((each.unit for each in (track, other) if each is not None and each.values), "")
        found[name] = {
            "unit": unit,
            "ride": _curve(track, shift_s),
            "reference": _curve(other, 0.0),
            "words": {**(other.words if other else {}), **(track.words if track else {})},
        }
    return found


def _alike(track: Track, other: Track | None) -> bool:
    return other is not None and track.unit == other.unit and bool(track.values and other.values)


def _curve(track: Track | None, shift_s: float) -> dict[str, list[float]]:
    if track is None:
        return {"times_s": [], "values": []}
    times_s = [round(us / 1e6 - shift_s, 6) for us in track.offsets_us]
    return {"times_s": times_s, "values": track.values}


def _deviations(
    name: str, track: Track, other: Track, phases: Sequence[Phase], count: int, shift_us: float
) -> dict[str, Any]:
    held, held_other = Held(track), Held(other)
    ours = [held.at(number * _STEP_US + shift_us) for number in range(count)]
    theirs = [held_other.at(number * _STEP_US) for number in range(count)]
    spans = [
        (
            phase.name,
            round(phase.begin_s / INTERVAL_S),
            round((phase.begin_s + phase.duration_s) / INTERVAL_S),
        )
        for phase in phases
    ]
    return {
        "name": name,
        "unit": track.unit,
        **_deviation(ours, theirs, 0),
        "phases": [
            {"name": phase, **_deviation(ours[first : max(first + 1, last)], theirs[first:], first)}
            for phase, first, last in spans
        ],
    }


def _deviation(ours: Sequence[float | None], theirs: Sequence[float | None], first: int) -> dict[str, Any]:
    """Null where it cannot be said."""
    pairs = list(zip(ours, theirs, strict=False))
    apart = [
        (a - b, first + number) for number, (a, b) in enumerate(pairs) if a is not None and b is not None
    ]
    worst = max(apart, key=lambda each: abs(each[0]), default=None)
    return {
        "ride_mean": _mean(a for a, _ in pairs),
        "reference_mean": _mean(b for _, b in pairs),
        "max": None if worst is None else _rounded(worst[0]),
        "rms": _rounded(math.sqrt(fmean(each * each for each, _ in apart))) if apart else None,
        "at_s": None if worst is None else round(worst[1] * INTERVAL_S, 3),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(fmean(known)) if known else None


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
