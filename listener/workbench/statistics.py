"""What was on one bus: counts, rates, periods, load, errors, and messages that have gone missing.

Pure. `now` is any steady clock of the caller's, such as time.monotonic(); the frames' own timestamps, which
some adapters take from a clock of their own, make the periods and nothing else.

    statistics = BusStatistics(bitrate, data_bitrate, cycle_time_s=codec.cycle_time_s)
    statistics.update(frame)             for each frame, error frames too
    statistics.update_own(frame)         one that was sent from here, and does not come back as a frame
    alarms = statistics.check(now)       Missing and Returned, each once; rates come from it: every 100 ms
    statistics.summary(now)              the bus alone, JSON-able
    statistics.snapshot(now)             the same with `ids`, a list of all its identifiers
    statistics.forget_cycle_times()      after database files were loaded or unloaded
    statistics.reset()

1. Periods are those of the last 64 frames of an identifier; rates and load those of the last second.
2. The load has every bit, stuff bits counted exactly (`frame_bits`), but not what error frames take: drivers
   do not tell of each, nor how long it was. Without a bit rate there is no load.
3. A message is missing when it has come and then does not for three cycles, and 0.2 s at least. One that was
   sent from here has not come.
4. More than 4096 identifiers are counted together (`others`).
"""

import itertools
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from listener.can_errors import parse_can_error
from listener.raw_frame import Flag, RawFrame
from listener.workbench.frame_bits import OVERHEAD_EXTENDED, OVERHEAD_STANDARD, Head, bits_of, head_of
from listener.workbench.identifiers import EXTENDED, Identifier, is_extended, number_of

IDENTIFIERS_MAX: Final = 4096
PERIODS: Final = 64
WINDOW_S: Final = 1.0
MISSING_CYCLES: Final = 3.0
MISSING_S: Final = 0.2
# Who did not ask for so long has read no frames either: nothing is missing because of that.
PAUSE_S: Final = 1.0

_EXTENDED: Final = int(Flag.EXTENDED)
_ERROR: Final = int(Flag.ERROR)
_REMOTE: Final = int(Flag.REMOTE)
_FD: Final = int(Flag.FD)


@dataclass(frozen=True, slots=True)
class Missing:
    identifier: Identifier
    cycle_time_s: float
    last_ts: float


@dataclass(frozen=True, slots=True)
class Returned:
    identifier: Identifier
    cycle_time_s: float
    missing_s: float


class _Seen:
    """One identifier."""

    __slots__ = (
        "alive_at",
        "before",
        "busy_s",
        "checked",
        "count",
        "cycle_s",
        "data",
        "flags",
        "head",
        "missing",
        "sent_at",
        "times",
        "was_sent",
    )

    def __init__(self, cycle_s: float | None) -> None:
        self.count = 0
        self.data: bytes = b""
        self.before: bytes = b""
        self.flags = -1
        self.head: Head | None = None
        self.busy_s = 0.0  # one frame with this data
        self.times: deque[float] = deque(maxlen=PERIODS + 1)
        self.cycle_s = cycle_s
        self.checked = 0
        self.alive_at: float | None = None
        self.missing = False
        self.was_sent = False  # from here, since the last check
        self.sent_at: float | None = None

    def is_late(self, now: float) -> bool:
        if self.alive_at is None or self.cycle_s is None:
            return False
        return now - self.alive_at > max(MISSING_CYCLES * self.cycle_s, MISSING_S)


class BusStatistics:
    def __init__(
        self,
        bitrate: int | None,
        data_bitrate: int | None = None,
        *,
        cycle_time_s: Callable[[Identifier], float | None] | None = None,
    ) -> None:
        self._bit_s = 1 / bitrate if bitrate else None
        self._data_bit_s = 1 / data_bitrate if data_bitrate else self._bit_s
        self._cycle_time_s = cycle_time_s
        self.reset()

    def reset(self) -> None:
        self._seen: dict[int, _Seen] = {}
        self.frames = 0
        self._busy_s = 0.0
        self._others = 0
        self._errors: Counter[str] = Counter()
        self._error_frames = 0
        self._error_counters: tuple[int | None, int | None] = (None, None)
        self._since: float | None = None
        # now, frames, busy: of each check within the window, and one before it
        self._checks: deque[tuple[float, int, float]] = deque()
        self._peak = 0.0

    def update(self, frame: RawFrame) -> None:
        number, flags, data, timestamp = frame
        if flags & _ERROR:
            self._count_error(number, data)
            return
        self.frames += 1
        key = number | EXTENDED if flags & _EXTENDED else number
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= IDENTIFIERS_MAX:
                self._count_other(flags, data)
                return
            cycle_s = None if self._cycle_time_s is None else self._cycle_time_s(Identifier(key))
            seen = self._seen[key] = _Seen(cycle_s)
        times = seen.times
        if times and timestamp < times[-1]:
            times.clear()  # the clock was set
        times.append(timestamp)
        seen.count += 1
        seen.before = seen.data
        if data != seen.data or flags != seen.flags:
            self._measure(seen, number, flags, data)
            seen.data, seen.flags = data, flags
        self._busy_s += seen.busy_s

    def update_own(self, frame: RawFrame) -> None:
        self.update(frame)
        number, flags, _, _ = frame
        if seen := self._seen.get(number | EXTENDED if flags & _EXTENDED else number):
            seen.checked += 1  # no sign of life
            seen.was_sent = True

    def _count_other(self, flags: int, data: bytes) -> None:
        """Noise, as at a wrong bit rate: not worth to be counted bit by bit."""
        self._others += 1
        if self._bit_s is not None and self._data_bit_s is not None:
            bits = OVERHEAD_EXTENDED if flags & _EXTENDED else OVERHEAD_STANDARD
            self._busy_s += bits * self._bit_s + 8 * len(data) * self._data_bit_s

    def _measure(self, seen: _Seen, number: int, flags: int, data: bytes) -> None:
        if self._bit_s is None or self._data_bit_s is None:
            return
        if seen.head is None or flags != seen.flags or len(data) != len(seen.data):
            seen.head = head_of(number, flags, len(data))
        slow, fast = bits_of(seen.head, data)
        seen.busy_s = slow * self._bit_s + fast * self._data_bit_s

    def _count_error(self, number: int, data: bytes) -> None:
        self._error_frames += 1
        error = parse_can_error(number, data)
        self._errors.update(error.classes)
        self._errors.update(f"{error.classes[0]}_{each}" for each in error.more)
        if error.tx_errors is not None:
            self._error_counters = error.tx_errors, error.rx_errors

    def check(self, now: float) -> list[Missing | Returned]:
        if self._since is None:
            self._since = now
        paused = bool(self._checks) and not 0 <= now - self._checks[-1][0] <= PAUSE_S
        if paused:
            self._checks.clear()
        self._checks.append((now, self.frames, self._busy_s))
        while len(self._checks) > 2 and now - self._checks[1][0] >= WINDOW_S:
            self._checks.popleft()
        if now - self._checks[0][0] >= WINDOW_S:
            self._peak = max(self._peak, self._share())
        alarms: list[Missing | Returned] = []
        for key, seen in self._seen.items():
            if seen.was_sent:
                seen.was_sent, seen.sent_at = False, now
            if seen.count != seen.checked or (paused and seen.alive_at is not None):
                if seen.missing and seen.count != seen.checked:
                    alarms.append(self._returned(Identifier(key), seen, now))
                seen.checked = seen.count
                if not seen.missing:
                    seen.alive_at = now
            elif not seen.missing and seen.cycle_s is not None and seen.is_late(now):
                seen.missing = True
                alarms.append(Missing(Identifier(key), seen.cycle_s, seen.times[-1]))
        return alarms

    @staticmethod
    def _returned(identifier: Identifier, seen: _Seen, now: float) -> Returned:
        seen.missing = False
        assert seen.alive_at is not None
        return Returned(identifier, seen.cycle_s or 0.0, now - seen.alive_at)

    def forget_cycle_times(self) -> None:
        """They are asked for again. What was missing and has no cycle any more is not missing."""
        for key, seen in self._seen.items():
            seen.cycle_s = None if self._cycle_time_s is None else self._cycle_time_s(Identifier(key))
            seen.missing = seen.missing and seen.cycle_s is not None

    # What is told

    def _share(self) -> float:
        (first, _, busy_first), (last, _, busy_last) = self._checks[0], self._checks[-1]
        return (busy_last - busy_first) / (last - first) if last > first else 0.0

    def _rate(self) -> float:
        if not self._checks:
            return 0.0
        (first, frames_first, _), (last, frames_last, _) = self._checks[0], self._checks[-1]
        return (frames_last - frames_first) / (last - first) if last > first else 0.0

    def summary(self, now: float) -> dict[str, Any]:
        has_load = self._bit_s is not None
        tx_errors, rx_errors = self._error_counters
        return {
            "frames": self.frames,
            "rate": round(self._rate(), 1),
            "uptime_s": round(now - self._since, 3) if self._since is not None else 0.0,
            "load_percent": round(100 * self._share(), 2) if has_load and self._checks else None,
            "load_peak_percent": round(100 * self._peak, 2) if has_load else None,
            "identifiers": len(self._seen),
            "others": self._others,
            "error_frames": self._error_frames,
            "errors": dict(self._errors),
            "tx_errors": tx_errors,
            "rx_errors": rx_errors,
            "missing": sum(seen.missing for seen in self._seen.values()),
        }

    def snapshot(self, now: float) -> dict[str, Any]:
        ids = [_told(Identifier(key), seen, now) for key, seen in sorted(self._seen.items())]
        return {**self.summary(now), "ids": ids}


def _told(identifier: Identifier, seen: _Seen, now: float) -> dict[str, Any]:
    times = seen.times
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean_s = (times[-1] - times[0]) / len(steps) if steps else None
    quiet_s = min((now - at for at in (seen.alive_at, seen.sent_at) if at is not None), default=0.0)
    rate = 0.0
    if mean_s:
        rate = 1 / (mean_s if quiet_s <= max(2 * mean_s, 2 * MISSING_S) else quiet_s)
    flags = max(seen.flags, 0)
    return {
        "id": number_of(identifier),
        "is_extended": is_extended(identifier),
        "is_remote": bool(flags & _REMOTE),
        "is_fd": bool(flags & _FD),
        "count": seen.count,
        "rate": round(rate, 2),
        "period_min_ms": _ms(min(steps, default=None)),
        "period_mean_ms": _ms(mean_s),
        "period_max_ms": _ms(max(steps, default=None)),
        "cycle_time_ms": _ms(seen.cycle_s),
        "missing": seen.missing,
        "last_ts": times[-1],
        "data": list(seen.data),
        "changed": _changed(seen.before, seen.data) if seen.count > 1 else [],
    }


def _changed(before: bytes, data: bytes) -> list[int]:
    """Which octets are others than in the frame before."""
    octets = itertools.zip_longest(data, before)
    return [place for place, (new, old) in enumerate(octets) if new is not None and new != old]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 3)
