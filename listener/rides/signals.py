"""What other devices said during a ride: each signal a `Track`, with times of its own beside the curve.

Pure. `signal_sample` events in, tracks of the ride in progress out, piece by piece.

1. The times of a track only go on; a sample that does not is left out.
2. A ride has a track of every signal that is wanted, also of one that said nothing.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

# Of each signal for so long, at the most that is told in a second (250): a ride may be told ten seconds late.
RECENT_MAX: Final = 3000
# Before a ride; and so much older the last sample before that may be, for signals that are told rarely.
LEAD_IN_S: Final = 1.0
OLDEST_S: Final = 30.0
# What is later is not of this ride, whatever the clock of its adapter says: no ride is longer than an hour.
LATEST_S: Final = 3650.0


class Track(msgspec.Struct):
    unit: str = ""
    offsets_us: list[int] = []  # after the beginning of the ride
    values: list[float] = []
    words: dict[str, str] = {}  # of values that have one, by their text


Tracks = dict[str, Track]


class _Sample(NamedTuple):
    ts: float
    value: float
    unit: str
    text: str | None


class SignalLog:
    def __init__(self, names: Iterable[str]) -> None:
        self._recent: dict[str, deque[_Sample]] = {name: deque(maxlen=RECENT_MAX) for name in names}
        self._start_ts: float | None = None
        self._tracks: Tracks = {}
        self._last_us: dict[str, int] = {}

    def heard(self, ts: float, payload: dict[str, Any]) -> None:
        name = payload["channel"]
        recent = self._recent.get(name)
        if recent is None:
            return
        if recent and ts < recent[-1].ts:  # the clock was set
            recent.clear()
        sample = _Sample(ts, float(payload["value"]), payload["unit"], payload.get("text"))
        recent.append(sample)
        self._note(name, sample)

    def begin(self, start_ts: float) -> None:
        """A ride, which began then."""
        self._start_ts = start_ts
        self._tracks = {name: Track() for name in self._recent}
        self._last_us = {}
        for name, recent in self._recent.items():
            since = start_ts - LEAD_IN_S
            before = [sample for sample in recent if since - OLDEST_S <= sample.ts < since]
            for sample in [*before[-1:], *(sample for sample in recent if sample.ts >= since)]:
                self._note(name, sample)

    def take(self) -> Tracks:
        """What has come since it was asked last."""
        tracks, self._tracks = self._tracks, {}
        return tracks

    def end(self) -> None:
        self._start_ts = None

    def _note(self, name: str, sample: _Sample) -> None:
        if self._start_ts is None or abs(sample.ts - self._start_ts) > LATEST_S:
            return
        us = round((sample.ts - self._start_ts) * 1e6)
        if us <= self._last_us.get(name, us - 1):
            return
        self._last_us[name] = us
        track = self._tracks.setdefault(name, Track())
        track.unit = sample.unit
        track.offsets_us.append(us)
        track.values.append(sample.value)
        if sample.text is not None:
            track.words[word_key(sample.value)] = sample.text


def word_key(value: float) -> str:
    return f"{value:.10g}"


def fits(track: Track) -> bool:
    return len(track.offsets_us) == len(track.values)


def join(tracks: Tracks, more: Tracks) -> None:
    for name, track in more.items():
        known = tracks.setdefault(name, Track())
        known.unit = track.unit or known.unit
        known.offsets_us.extend(track.offsets_us)
        known.values.extend(track.values)
        known.words.update(track.words)


def count(tracks: Tracks) -> int:
    return sum(len(track.values) for track in tracks.values())
