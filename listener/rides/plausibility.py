"""What the maker wants checked, as the bus's own checksum is not enough: do the positions make sense?

Pure. Positions and motions in, a `Finding` when something begins to be wrong and another when it is well
again.

1. Master and slave are compared at a common time: at 8 m/s they are 16 mm apart from one frame to the next.
   The earlier channel's position is interpolated between the two that enclose the other's.
2. A deviation counts when it has lasted for `debounce_s`, and is over when it has been absent for as long.
3. A jump is a step that no lift can make. It counts at once, and is over when the positions have been
   continuous for as long.
"""

from dataclasses import dataclass

JUMP = "position_jump"
DISAGREE = "channels_disagree"
OVERSPEED = "overspeed"
# Overspeed is over below so much of the limit.
HYSTERESIS = 0.95


@dataclass(frozen=True, slots=True)
class Limits:
    tolerance_mm: float = 10.0
    debounce_s: float = 0.1
    fastest_mm_s: float = 12_000.0  # what the sensor is functional at
    overspeed_mm_s: float = 8_000.0
    # Beyond this age two positions enclose nothing.
    gap_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Finding:
    ts: float
    channel: str
    code: str
    details: dict[str, float]
    well_again: bool = False


class _Condition:
    """Debounced both ways."""

    def __init__(self, channel: str, code: str, on_s: float, off_s: float) -> None:
        self._channel = channel
        self._code = code
        self._on_s = on_s
        self._off_s = off_s
        self._present = False
        self._changing_since: float | None = None
        self._began_ts = 0.0
        self._worst = 0.0

    def observe(
        self, ts: float, present: bool, details: dict[str, float], badness: float = 0.0
    ) -> list[Finding]:
        if present == self._present:
            self._changing_since = None
            if present:
                self._worst = max(self._worst, badness)
            return []
        if self._changing_since is None or ts < self._changing_since:
            self._changing_since = ts
        if ts - self._changing_since < (self._on_s if present else self._off_s):
            return []
        self._present = present
        began_ts, self._changing_since = self._changing_since, None
        if present:
            self._began_ts, self._worst = began_ts, badness
            return [Finding(began_ts, self._channel, self._code, details)]
        lasted = {"lasted_s": round(began_ts - self._began_ts, 3), "worst": self._worst}
        return [Finding(ts, self._channel, self._code, lasted, well_again=True)]


class Plausibility:
    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits = limits or Limits()
        self._last: dict[str, tuple[float, float]] = {}
        self._jumps = {
            channel: _Condition(channel, JUMP, 0.0, limits.debounce_s) for channel in ("master", "slave")
        }
        self._disagree = _Condition("system", DISAGREE, limits.debounce_s, limits.debounce_s)
        self._overspeed = _Condition("system", OVERSPEED, 0.0, limits.debounce_s)

    def restart(self) -> None:
        """What comes next has nothing to do with what was."""
        self._last.clear()

    def position(self, channel: str, ts: float, position_mm: float) -> list[Finding]:
        limits = self._limits
        before = self._last.get(channel)
        self._last[channel] = (ts, position_mm)
        if before is None or not ts - before[0] > 0:
            return []
        elapsed_s, step_mm = ts - before[0], position_mm - before[1]
        # A step of the sensor's own resolution may come at any time.
        jumped = abs(step_mm) > limits.fastest_mm_s * elapsed_s + limits.tolerance_mm
        found = self._jumps[channel].observe(
            ts, jumped, {"step_mm": step_mm, "elapsed_s": round(elapsed_s, 6)}, abs(step_mm)
        )
        other = self._last.get("slave" if channel == "master" else "master")
        if other is not None and elapsed_s <= limits.gap_s and before[0] <= other[0] <= ts and not jumped:
            here_mm = before[1] + step_mm * (other[0] - before[0]) / elapsed_s
            apart_mm = abs(other[1] - here_mm)
            details = {"difference_mm": round(apart_mm, 1), "tolerance_mm": limits.tolerance_mm}
            found += self._disagree.observe(ts, apart_mm > limits.tolerance_mm, details, round(apart_mm, 1))
        return found

    def velocity(self, ts: float, velocity_mm_s: float) -> list[Finding]:
        speed, limit = abs(velocity_mm_s), self._limits.overspeed_mm_s
        # Between limit and hysteresis what was stays.
        if limit * HYSTERESIS < speed <= limit:
            return []
        details = {"velocity_mm_s": round(speed, 1), "limit_mm_s": limit}
        return self._overspeed.observe(ts, speed > limit, details, round(speed, 1))
