"""What goes wrong between the sensor and here: told as events, logged without a flood, counted.

1. Missing samples are a `gap`: `kernel` from the socket's drop counter, `bus` from the sensor's cadence.
2. What the CAN controller says of its bus, and malformed frames, are an `error`. One event per kind and
   interval, one log line per code and ten seconds: either may come 500 times a second.
3. A clock that was set (NTP on a Raspberry Pi without a clock of its own) is a `status`, and whatever is
   derived from timestamps starts anew.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

import structlog

from listener import events
from listener.can_errors import parse_can_error
from listener.events import EventEnvelope
from listener.frames import POSITION_PERIOD_S, Malformed
from listener.losses import Blame, Cadence, Missing
from listener.throttle import Throttle

_log = structlog.get_logger(__name__)

CLOCK_STEP: Final = "clock_step"

COUNTER_S = 0.95  # every second, asked five times a second
# NTP slews by half a millisecond a second; more than this at once is a step.
CLOCK_STEP_S = 0.05
CAN_ERROR_S = 1.0
MALFORMED_S = 10.0
LINE_S = 10.0


class Diagnosis:
    def __init__(
        self,
        publish: Callable[[EventEnvelope], None],
        source: str,
        channels: Iterable[str],
        *,
        dropped: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._publish = publish
        self._source = source
        self._dropped = dropped
        self._clock = clock
        self._wall = wall
        self._cadence = {channel: Cadence(POSITION_PERIOD_S) for channel in channels}
        self._blame = Blame(wall())
        self._counter_read_at = clock()
        # Constant while nobody sets the clock: slewing moves both.
        self._wall_ahead_s = wall() - clock()
        self._can_errors = Throttle(CAN_ERROR_S)
        self._malformed = Throttle(MALFORMED_S)
        self._lines = Throttle(LINE_S)
        self.lost = Counter({"kernel": 0, "bus": 0})
        self.can_errors: Counter[str] = Counter()
        self.clock_steps = 0

    def watch(self) -> None:
        """To be called often; the counter is read every second."""
        if self._clock() - self._counter_read_at >= COUNTER_S:
            self.check_kernel()

    def sample(self, channel: str, ts: float) -> None:
        if missing := self._cadence[channel].observe(ts):
            self._miss(channel, missing)

    def restart(self, channel: str, ignore: int = 0) -> None:
        """What does not come from here on is not a missing sample."""
        if missing := self._cadence[channel].restart(ignore):
            self._miss(channel, missing)

    def check_kernel(self) -> None:
        self._counter_read_at = self._clock()
        if missing := self._blame.kernel(self._dropped(), self._wall()):
            self._lose("kernel", missing.count, missing.first_ts, missing.last_ts)

    def clock_moved(self, now: float) -> bool:
        """Cheap enough for every frame; `check_clock` knows for sure."""
        return abs(self._wall() - now - self._wall_ahead_s) > CLOCK_STEP_S

    def check_clock(self) -> bool:
        """True when the clock was set."""
        before = self._clock()
        ahead_s = self._wall() - before
        step_s = ahead_s - self._wall_ahead_s
        # The process may have been stopped between the two readings; then the next look tells.
        if abs(step_s) <= CLOCK_STEP_S or self._clock() - before > CLOCK_STEP_S:
            return False
        self._wall_ahead_s = ahead_s
        self.clock_steps += 1
        self.check_kernel()
        for channel in self._cadence:
            self.restart(channel, ignore=Cadence.WINDOW)
        self._blame.restart(self._wall())
        _log.warning(CLOCK_STEP, step_s=round(step_s, 3))
        more = {"step_s": round(step_s, 6)}
        self._publish(events.status(self._wall(), "system", CLOCK_STEP, self._source, **more))
        return True

    def malformed(self, frame: Malformed) -> None:
        details = {
            "id": f"0x{frame.arbitration_id:03X}",
            "reason": frame.reason,
            "raw": frame.data.hex(),
        }
        self._trouble("malformed_frame", frame.timestamp, details, frame.reason, self._malformed)

    def controller(self, arbitration_id: int, data: bytes, ts: float) -> None:
        """An error frame: not of the bus but what the controller says of it."""
        error = parse_can_error(arbitration_id, data)
        self.can_errors.update(error.classes)
        details: dict[str, Any] = {"classes": error.classes, "more": error.more, "raw": data.hex()}
        if error.tx_errors is not None:
            details |= {"tx_errors": error.tx_errors, "rx_errors": error.rx_errors}
        self._trouble("can_error", ts, details, (error.classes, error.more), self._can_errors)

    def _trouble(
        self, code: str, ts: float, details: dict[str, Any], kind: Hashable, throttle: Throttle
    ) -> None:
        now = self._clock()
        unsaid = throttle.admit(kind, now)
        if unsaid is not None:
            self._publish(events.error(ts, "system", code, {**details, "repeated": unsaid}, self._source))
        unsaid = self._lines.admit(code, now)
        if unsaid is not None:
            _log.warning(code, **details, repeated=unsaid)

    def _miss(self, channel: str, missing: Missing) -> None:
        self.check_kernel()
        if count := self._blame.bus(missing):
            self._lose("bus", count, missing.first_ts, missing.last_ts, channel=channel)

    def _lose(self, where: str, count: int, first_ts: float, last_ts: float, **more: str) -> None:
        self.lost[where] += count
        unsaid = self._lines.admit((where, *more.values()), self._clock())
        if unsaid is not None:
            _log.warning(
                "frames_lost", where=where, lost=count, total=self.lost[where], repeated=unsaid, **more
            )
        self._publish(events.gap(self._wall(), where, count, first_ts, last_ts, self._source, **more))
