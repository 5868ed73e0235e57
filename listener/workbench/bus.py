"""What is common to all buses: what is known of their frames, and who gets them. And the sensor's own."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from listener.raw_frame import Flag, RawFrame
from listener.workbench.dbc import DatabaseLibrary
from listener.workbench.identifiers import Identifier, text_of
from listener.workbench.recording import Recorder
from listener.workbench.statistics import BusStatistics, Missing
from listener.workbench.stream import FrameStream
from listener.workbench.watch import Watch

UP: Final = "bus_up"
LOST: Final = "bus_lost"
FAILED: Final = "failed"
# A bus that is back has so long before messages are called missing.
SETTLE_S: Final = 1.0
# Before this (2001) a timestamp counts from an adapter's power-up, not from 1970.
EPOCH_MIN_S: Final = 1e9
_ERROR: Final = int(Flag.ERROR)


class BusError(Exception):
    """`kind`: `open_already`, `not_open`, `cannot_open`, `not_allowed`, `cannot_send`, `busy`, `too_many`."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Bus:
    def __init__(
        self,
        name: str,
        bitrate: int | None,
        library: DatabaseLibrary,
        stream: FrameStream,
        recordings: Path,
        watch: Watch,
        *,
        data_bitrate: int | None = None,
        pretrigger_s: float = 0.0,
    ) -> None:
        self.name = name
        self.state = UP
        self.reason = ""
        self.opened_at = time.time()
        self.received = 0
        self.sent = 0
        self.codec = library.codec(name)
        self.statistics = BusStatistics(bitrate, data_bitrate, cycle_time_s=self.codec.cycle_time_s)
        self.recorder = Recorder(recordings, name, pretrigger_s=pretrigger_s, changed=self._recorder_changed)
        self._stream, self._watch = stream, watch.of(name)
        self._clock_offset_s: float | None = None
        self._missing: set[Identifier] = set()  # as it was told
        self._quiet_until = 0.0

    @property
    def is_writable(self) -> bool:
        return False

    @property
    def uptime_s(self) -> float:
        return time.time() - self.opened_at

    def feed(self, frame: RawFrame) -> None:
        self._take(frame)

    def _take(self, frame: RawFrame, *, is_own: bool = False) -> None:
        """`is_own`: it was sent from here, and has come back."""
        if frame.timestamp < EPOCH_MIN_S:
            frame = frame._replace(timestamp=self._unix_time(frame.timestamp))
        self.received += 1
        (self.statistics.update_own if is_own else self.statistics.update)(frame)
        self.recorder.put(frame, is_rx=not is_own)
        if not frame.flags & _ERROR:  # which has no identifier
            self._watch.feed(frame)
            self._stream.feed(self.name, frame)

    def check(self, now: float) -> None:
        if self.state != UP:  # of which everything is missing
            self._missing.clear()
            self._quiet_until = now + SETTLE_S
        for alarm in self.statistics.check(now):
            missing = isinstance(alarm, Missing)
            if missing and now >= self._quiet_until:
                self._missing.add(alarm.identifier)
            elif alarm.identifier not in self._missing:
                continue
            else:
                self._missing.discard(alarm.identifier)
            self.tell(
                "missing" if missing else "returned",
                id=text_of(alarm.identifier),
                message_name=self.codec.name_of(alarm.identifier),
                cycle_time_s=alarm.cycle_time_s,
            )

    def summary(self) -> dict[str, Any]:
        return self.statistics.summary(time.monotonic())

    def snapshot(self) -> dict[str, Any]:
        return self.statistics.snapshot(time.monotonic())

    def tell(self, state: str, **more: Any) -> None:
        self._stream.tell(self.name, {"type": "status", "bus": self.name, "state": state, **more})

    def _recorder_changed(self) -> None:
        self.tell("recording", recording=self.recorder.status())

    def _unix_time(self, timestamp: float) -> float:
        """Some adapters stamp with their own clock: its first frame after opening is taken for now."""
        if self._clock_offset_s is None:
            self._clock_offset_s = time.time() - timestamp
        return timestamp + self._clock_offset_s


class SensorBus(Bus):
    """Fed by a tap on the heart's reader: the same frames, with no second socket, whatever the adapter."""

    def __init__(self, is_up: Callable[[], bool], *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._is_up = is_up

    def check(self, now: float) -> None:
        state = UP if self._is_up() else LOST
        if state != self.state:
            self.state = state
            self.tell(state)
        super().check(now)
