"""What the maker wants checked, as the bus's own checksum is not enough: do the positions make sense?

Pure. Positions and motions in, a `Finding` when something begins to be wrong and another when it is well
again; of each position its `verdict`.

1. Master and slave are compared at a common time: at 8 m/s they are 16 mm apart from one frame to the next.
   The earlier channel's position is interpolated between the two that enclose the other's.
2. A deviation counts when it has lasted for `debounce_s`, and is over when it has been absent for as long.
3. A jump is a step that no lift can make. It counts at once, and is over when the positions have been
   continuous for as long.
4. What comes after a jump is left out until the channel goes on where it was. If the other channel agreed
   with it before, that one is the witness: then both must agree again, however long that takes.
5. Without a witness, after `gap_s`, the car is elsewhere: what was has nothing to do with what comes.
6. A position that is hardly later than the one before, or a little earlier, is left out.
"""

from dataclasses import dataclass
from enum import Enum
from math import inf, nan

from listener.rides.motion import GAP_S, TOO_CLOSE_S

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
    # Beyond this age two positions enclose nothing, and the motion begins anew.
    gap_s: float = GAP_S


class Verdict(Enum):
    GOOD = "good"
    LEFT_OUT = "left out"
    ELSEWHERE = "elsewhere"  # the first one there
    BACK_IN_TIME = "back in time"


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
        self.idle = True  # neither there nor about to be
        self._changing_since: float | None = None
        self._began_ts = 0.0
        self._worst = 0.0

    def observe(
        self, ts: float, present: bool, details: dict[str, float], badness: float = 0.0
    ) -> list[Finding]:
        found = self._observe(ts, present, details, badness)
        self.idle = not self._present and self._changing_since is None
        return found

    def _observe(self, ts: float, present: bool, details: dict[str, float], badness: float) -> list[Finding]:
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


class _Track:
    """What one channel says."""

    __slots__ = ("before", "has_witness", "jump", "mm", "other", "ts")

    def __init__(self, channel: str, off_s: float) -> None:
        self.jump = _Condition(channel, JUMP, 0.0, off_s)
        self.other = self
        self.restart()

    def restart(self) -> None:
        self.ts, self.mm = nan, 0.0
        # Where it was before it jumped; None while it is believed.
        self.before: tuple[float, float] | None = None
        self.has_witness = False

    @property
    def believed_ts(self) -> float:
        return self.ts if self.before is None else self.before[0]


class Plausibility:
    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits = limits or Limits()
        master, slave = _Track("master", limits.debounce_s), _Track("slave", limits.debounce_s)
        master.other, slave.other = slave, master
        self._tracks = {"master": master, "slave": slave}
        self._disagree = _Condition("system", DISAGREE, limits.debounce_s, limits.debounce_s)
        self._overspeed = _Condition("system", OVERSPEED, 0.0, limits.debounce_s)
        self._agreed_ts = -inf
        self.verdict = Verdict.GOOD  # of the last position

    def restart(self) -> None:
        """What comes next has nothing to do with what was."""
        for track in self._tracks.values():
            track.restart()
        self._agreed_ts = -inf

    def position(self, channel: str, ts: float, position_mm: float) -> list[Finding]:
        limits = self._limits
        track = self._tracks[channel]
        was_ts, was_mm = track.ts, track.mm
        elapsed_s = ts - was_ts
        if elapsed_s < TOO_CLOSE_S:  # not so of the first
            back = elapsed_s < -limits.gap_s
            self.verdict = Verdict.BACK_IN_TIME if back else Verdict.LEFT_OUT
            if back:
                self.restart()
                track.ts, track.mm = ts, position_mm
            return []
        track.ts, track.mm = ts, position_mm
        step_mm = position_mm - was_mm
        # A step of the sensor's own resolution may come at any time.
        reach_mm = limits.fastest_mm_s * elapsed_s + limits.tolerance_mm
        jumped = step_mm > reach_mm or step_mm < -reach_mm
        found: list[Finding] = []
        if jumped or not track.jump.idle:
            details = {"step_mm": step_mm, "elapsed_s": round(elapsed_s, 6)}
            found = track.jump.observe(ts, jumped, details, abs(step_mm))
        other = track.other
        agrees = False
        if was_ts <= other.ts <= ts and elapsed_s <= limits.gap_s and not jumped:
            apart_mm = abs(other.mm - was_mm - step_mm * (other.ts - was_ts) / elapsed_s)
            agrees = apart_mm <= limits.tolerance_mm
            if not agrees or not self._disagree.idle:
                apart_mm = round(apart_mm, 1)
                details = {"difference_mm": apart_mm, "tolerance_mm": limits.tolerance_mm}
                found += self._disagree.observe(ts, not agrees, details, apart_mm)
        if jumped or track.before is not None:
            self.verdict = self._judge(track, was_ts, was_mm, jumped=jumped, agrees=agrees)
        else:
            self.verdict = Verdict.GOOD
            if agrees:
                self._agreed_ts = ts
        return found

    def _judge(self, track: _Track, was_ts: float, was_mm: float, *, jumped: bool, agrees: bool) -> Verdict:
        """Rules 4 and 5."""
        other, ts, gap_s = track.other, track.ts, self._limits.gap_s
        if track.before is None:
            track.before = was_ts, was_mm
            track.has_witness = was_ts - self._agreed_ts <= gap_s
            return Verdict.LEFT_OUT
        left_ts, left_mm = track.before
        young = ts - left_ts <= gap_s
        has_witness = track.has_witness and ts - other.believed_ts <= gap_s
        if has_witness and other.before is None:
            is_back = agrees
        else:
            reach_mm = self._limits.fastest_mm_s * (ts - left_ts) + self._limits.tolerance_mm
            is_back = jumped and young and abs(track.mm - left_mm) <= reach_mm
        if not is_back and (young or has_witness):
            return Verdict.LEFT_OUT
        track.before = None
        if is_back:
            return Verdict.GOOD
        other.has_witness = False
        return Verdict.ELSEWHERE

    def velocity(self, ts: float, velocity_mm_s: float) -> list[Finding]:
        speed, limit = abs(velocity_mm_s), self._limits.overspeed_mm_s
        # Between limit and hysteresis what was stays.
        if limit * HYSTERESIS < speed <= limit:
            return []
        details = {"velocity_mm_s": round(speed, 1), "limit_mm_s": limit}
        return self._overspeed.observe(ts, speed > limit, details, round(speed, 1))
