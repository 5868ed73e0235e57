"""The sensor as a source: CAN messages in, events out, and never silent about silence.

What clients are told of its state, as `status` events:
1. `receiving`, `locked` or `no_data`, for the `system` when both channels agree, else for the one channel
   that differs. A channel is `no_data` when neither position nor lock message came for `silence_s`.
2. A bus that comes back gets the benefit of the doubt: its first frame counts for both channels, so one
   event is told, not three. A channel that stays away is told after the silence, as ever.
3. While locked the sensor sends nothing but lock messages: the last position is stale, not standing.
4. The same value of a channel again is told once a second at most, with how often it went untold.
5. What goes wrong on the way to here is told by `diagnosis`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import structlog

from listener import events
from listener.can_reader import BusLost, CANBusReader
from listener.config import Les02Config
from listener.diagnosis import Diagnosis
from listener.frames import (
    LOCKED,
    UNLOCK,
    CANFrame,
    Channel,
    Malformed,
    MessageType,
    decode,
    parse_error,
    parse_position,
    parse_status,
    parse_system,
)
from listener.hub import Hub
from listener.raw_frame import Flag, RawFrame
from listener.throttle import Throttle

_log = structlog.get_logger(__name__)

RECEIVING: Final = "receiving"
NO_DATA: Final = "no_data"
BUS_UP: Final = "bus_up"
BUS_LOST: Final = "bus_lost"

WATCH_S = 0.2
STANDSTILL_S = 0.4
# One dead channel is told this much later than two, so that a dead bus is one event.
LONE_CHANNEL_FACTOR = 1.2
REPEAT_S = 1.0
# Before this (2001) a timestamp counts from an adapter's power-up, not from 1970.
EPOCH_MIN_S = 1e9

_ERROR_FRAME: Final = int(Flag.ERROR)
_CHANNELS: Final = tuple(channel.value for channel in Channel)
_COUNTED: Final = (*_CHANNELS, "status", "error", "system", "malformed", "foreign", "error_frame")


class LES02:
    def __init__(
        self,
        hub: Hub,
        config: Les02Config,
        *,
        dropped: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._publish = hub.publish
        self._source = config.source
        self._silence_s = config.silence_s
        self._clock = clock
        self._wall = wall
        now = clock()
        self._heard = dict.fromkeys(_CHANNELS, now)
        self._state = dict.fromkeys(_CHANNELS, "unknown")
        self._told = dict(self._state)
        self._last: dict[str, dict[str, Any]] = {channel: {} for channel in _CHANNELS}
        self._repeats = Throttle(REPEAT_S)
        self._clock_offset_s: float | None = None
        self.bus = BUS_LOST
        self.frame_at: float | None = None
        self.counts = Counter(dict.fromkeys(_COUNTED, 0))
        self.diagnosis = Diagnosis(
            hub.publish, config.source, _CHANNELS, dropped=dropped, clock=clock, wall=wall
        )

    async def run(self, reader: CANBusReader) -> None:
        """Reads an open bus for ever; one that is lost is told and looked for again."""
        self.bus = BUS_UP
        while True:
            try:
                await reader.deliver(self.feed)
            except BusLost as exc:
                self.bus_lost(str(exc))
            await reader.reopen()
            self.bus_up()

    async def watch(self) -> None:
        while True:
            asleep_at = self._clock()
            await asyncio.sleep(WATCH_S)
            self._check_clock()
            # After a standstill of the whole process the frames are there, only not read yet.
            if self._clock() - asleep_at < STANDSTILL_S:
                self.check_silence()
            self.diagnosis.watch()

    def feed(self, raw: RawFrame) -> None:
        now = self.frame_at = self._clock()
        if self.diagnosis.clock_moved(now):
            self._check_clock()
        arbitration_id, flags, data, timestamp = raw
        if timestamp < EPOCH_MIN_S:
            timestamp = self._unix_time(timestamp)
        frame = decode(arbitration_id, flags, data, timestamp)
        if isinstance(frame, CANFrame):
            if frame.message_type is MessageType.POSITION:
                self._position(frame, frame.channel.label)
            else:
                self.counts[frame.message_type.value] += 1
                self._HANDLERS[frame.message_type](self, frame, frame.channel.label)
        elif isinstance(frame, Malformed):
            self.counts["malformed"] += 1
            self.diagnosis.malformed(frame)
        elif flags & _ERROR_FRAME:
            self.counts["error_frame"] += 1
            self.diagnosis.controller(arbitration_id, data, timestamp)
        else:
            self.counts["foreign"] += 1

    def check_silence(self) -> None:
        if self.bus != BUS_UP:
            return
        now = self._clock()
        all_silent = now - max(self._heard.values()) > self._silence_s
        for channel, heard in self._heard.items():
            if all_silent or now - heard > self._silence_s * LONE_CHANNEL_FACTOR:
                self._state[channel] = NO_DATA
                self.diagnosis.restart(channel)
        self._tell(self._wall())

    def bus_lost(self, reason: str) -> None:
        self.bus = BUS_LOST
        self.diagnosis.check_kernel()
        for channel in _CHANNELS:
            self.diagnosis.restart(channel)
        # Nothing is known any more; the first frame after it is told as `receiving` (rule 2).
        self._state = dict.fromkeys(_CHANNELS, "unknown")
        self._told = dict(self._state)
        _log.error(BUS_LOST, reason=reason)
        lost = events.status(
            self._wall(), "system", BUS_LOST, self._source, position_stale=True, reason=reason
        )
        self._publish(lost)

    def bus_up(self) -> None:
        self.bus = BUS_UP
        self._clock_offset_s = None
        self._heard = dict.fromkeys(_CHANNELS, self._clock())
        _log.info(BUS_UP)
        self._publish(events.status(self._wall(), "system", BUS_UP, self._source, position_stale=True))

    def snapshot(self) -> dict[str, Any]:
        """The last known state, for who comes later."""
        channels = {name: {"state": state, **self._last[name]} for name, state in self._state.items()}
        return {"bus": self.bus, "channels": channels}

    def _position(self, frame: CANFrame, channel: str) -> None:
        raw = parse_position(frame.data)
        self.counts[channel] += 1
        last = self._last[channel]
        last["position_raw"] = raw
        last["position_ts"] = frame.timestamp
        self._hear(channel, RECEIVING, frame.timestamp)
        self.diagnosis.sample(channel, frame.timestamp)
        self._publish(events.position_sample(frame.timestamp, channel, raw, self._source))

    def _status(self, frame: CANFrame, channel: str) -> None:
        reading = parse_status(frame.data)
        more = {} if reading.software_crc is None else {"software_crc": reading.software_crc}
        self._last[channel]["sensor"] = reading.state
        self._say(
            events.status(frame.timestamp, channel, reading.state, self._source, raw=reading.raw, **more),
            reading.state,
        )

    def _error(self, frame: CANFrame, channel: str) -> None:
        reading = parse_error(frame.data)
        self._say(
            events.error(frame.timestamp, channel, reading.code, {"raw": reading.raw}, self._source),
            reading.code,
        )

    def _system(self, frame: CANFrame, channel: str) -> None:
        reading = parse_system(frame.data)
        sender = "system" if reading.state == UNLOCK else channel
        self._say(
            events.system(frame.timestamp, sender, reading.state, reading.raw, self._source), reading.state
        )
        if reading.state == LOCKED:
            if self._state[channel] != LOCKED:
                self.diagnosis.restart(channel)  # positions do not get lost that are not sent
            self._hear(channel, LOCKED, frame.timestamp)

    _HANDLERS: Final = {
        MessageType.STATUS: _status,
        MessageType.ERROR: _error,
        MessageType.SYSTEM: _system,
    }

    def _hear(self, channel: str, state: str, ts: float) -> None:
        assert self.frame_at is not None
        self._heard[channel] = self.frame_at
        if self._state[channel] == state:
            return
        if self._state[channel] in {NO_DATA, "unknown"} and len(set(self._state.values())) == 1:
            for each in _CHANNELS:  # rule 2
                self._heard[each], self._state[each] = self.frame_at, state
        self._state[channel] = state
        self._tell(ts)

    def _tell(self, ts: float) -> None:
        if self._state == self._told:
            return
        if len(set(self._state.values())) == 1:
            changed = {"system": self._state[_CHANNELS[0]]}
        else:
            changed = {name: state for name, state in self._state.items() if self._told[name] != state}
        self._told = dict(self._state)
        for name, state in changed.items():
            stale = state != RECEIVING
            (_log.warning if stale else _log.info)(state, channel=name)
            self._publish(events.status(ts, name, state, self._source, position_stale=stale))

    def _say(self, event: events.EventEnvelope, value: str) -> None:
        unsaid = self._repeats.admit((event.type, event.payload["channel"], value), self._clock())
        if unsaid is not None:
            if unsaid:
                event.payload["repeated"] = unsaid
            self._publish(event)

    def _check_clock(self) -> None:
        if self.diagnosis.check_clock():
            self._clock_offset_s = None

    def _unix_time(self, timestamp: float) -> float:
        """Some adapters stamp with their own clock: its first frame after opening is taken for now."""
        if self._clock_offset_s is None:
            self._clock_offset_s = self._wall() - timestamp
        return timestamp + self._clock_offset_s
