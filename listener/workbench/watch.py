"""The signals that are wanted beside the rides: out of the frames of their buses, onto the hub.

    watch = Watch(hub, ["inverter.PressureSensor.Pressure"], codec)   codec: that of a bus, by its name
    watch.of(bus).feed(frame)   every frame of that bus; what is wanted of it becomes a `signal_sample`
    watch.files_changed()       tells which signals no file knows that is loaded, and when all are known
    await watch.run()           meanwhile

1. Of buses and messages of which nothing is wanted no frame is decoded.
2. A sample has the timestamp of its frame. Of a signal at most `RATE_MAX_HZ` are told in a second; of those
   that come sooner the newest is told when its time has come.
3. A value that has a word is told as a number, with the word. What is no number (NaN) is not told.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import structlog

from listener import events
from listener.hub import Hub
from listener.raw_frame import Flag, RawFrame
from listener.workbench.codec import Codec
from listener.workbench.identifiers import Identifier, of_frame
from listener.workbench.layout import did_you_mean

_log = structlog.get_logger(__name__)

RATE_MAX_HZ: Final = 250
FLUSH_S: Final = 0.1
UNKNOWN: Final = "signals_unknown"
_LEAST_S: Final = 1 / RATE_MAX_HZ - 1e-6
# A bus with noise for identifiers must not fill the memory.
_CACHE_MAX: Final = 16_384
_UNDECODABLE: Final = int(Flag.REMOTE) | int(Flag.ERROR)

Tell = Callable[[events.EventEnvelope], None]


class _Signal:
    """One that is wanted, and what was told of it last."""

    __slots__ = ("_last_ts", "_waiting", "bus", "channel", "message", "name", "tell")

    def __init__(self, channel: str, tell: Tell) -> None:
        self.channel = channel
        self.bus, self.message, self.name = channel.split(".")
        self.tell = tell
        self._last_ts = 0.0
        self._waiting: events.EventEnvelope | None = None

    def take(self, ts: float, entry: dict[str, Any]) -> None:
        told = _number(entry)
        if told is None:
            return
        self._waiting = events.signal_sample(ts, self.channel, *told)
        # Time that goes back is that of a clock that was set.
        if not 0 <= ts - self._last_ts < _LEAST_S:
            self.flush()

    def flush(self) -> None:
        event, self._waiting = self._waiting, None
        if event is not None:
            self._last_ts = event.ts
            self.tell(event)


class BusWatch:
    def __init__(self, signals: list[_Signal], codec: Codec) -> None:
        self._signals = signals
        self._codec = codec
        self._version = codec.version
        self._messages = {signal.message for signal in signals}
        self._wanted: dict[Identifier, tuple[_Signal, ...]] = {}

    def add(self, signal: _Signal) -> None:
        self._change([*self._signals, signal])

    def remove(self, signal: _Signal) -> None:
        self._change([other for other in self._signals if other is not signal])

    def _change(self, signals: list[_Signal]) -> None:
        self._signals = signals
        self._messages = {signal.message for signal in signals}
        self._wanted.clear()

    def feed(self, frame: RawFrame) -> None:
        if not self._signals or frame.flags & _UNDECODABLE:
            return
        if self._version != self._codec.version:
            self._version = self._codec.version
            self._wanted.clear()
        identifier = of_frame(frame.arbitration_id, frame.flags)
        wanted = self._wanted.get(identifier)
        if wanted is None:
            wanted = self._look_up(identifier)
        if wanted and (decoded := self._codec.decode(identifier, frame.data)) is not None:
            values = decoded["signals"]
            for signal in wanted:
                if (entry := values.get(signal.name)) is not None:  # else another page of its multiplexer
                    signal.take(frame.timestamp, entry)

    def flush(self) -> None:
        for signal in self._signals:
            signal.flush()

    def known(self) -> Iterator[tuple[str, str]]:
        """Message and signal, and its unit; a point within a name would be taken for one between names."""
        for message in self._codec.described().values():
            for signal in message.signals:
                if "." not in message.name and "." not in signal.name:
                    yield f"{message.name}.{signal.name}", signal.unit or ""

    def unit(self, message: str, name: str) -> str:
        described = self._codec.described().get(message)
        signals = described.signals if described is not None else ()
        return next((signal.unit or "" for signal in signals if signal.name == name), "")

    def unknown(self) -> list[tuple[str, str]]:
        """Each with the reason."""
        known: dict[str, set[str]] = {}
        for file in self._codec.files:
            for message in file.messages:
                if message.name in self._messages:  # the one that was loaded last speaks
                    known[message.name] = {signal.name for signal in message.signals}
        found = []
        for signal in self._signals:
            names = known.get(signal.message)
            if names is None:
                found.append((signal.channel, self._no_message(signal.message)))
            elif signal.name not in names:
                found.append(
                    (signal.channel, f"{signal.message} has no signal {signal.name}{_hint(signal, names)}")
                )
        return found

    def _no_message(self, name: str) -> str:
        if not self._codec:
            return "no file is loaded for its bus"
        names = (message.name for file in self._codec.files for message in file.messages)
        return f"no file that is loaded for its bus has a message {name}{did_you_mean(name, names)}"

    def _look_up(self, identifier: Identifier) -> tuple[_Signal, ...]:
        name = self._codec.name_of(identifier)
        wanted = tuple(signal for signal in self._signals if signal.message == name)
        if len(self._wanted) >= _CACHE_MAX:
            self._wanted.clear()
        self._wanted[identifier] = wanted
        return wanted


class Watch:
    def __init__(
        self,
        hub: Hub,
        channels: Iterable[str],
        codec: Callable[[str], Codec],
        *,
        source: str = "workbench",
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`channels` are bus.message.signal."""
        self._hub = hub
        self._codec = codec
        self._source = source
        self._wall = wall
        self._unknown: list[str] = []
        wanted: dict[str, list[_Signal]] = {}
        self._channels = tuple(channels)  # those that are for the hub
        for channel in self._channels:
            wanted.setdefault(channel.partition(".")[0], []).append(_Signal(channel, hub.publish))
        self._buses = {bus: BusWatch(signals, codec(bus)) for bus, signals in wanted.items()}
        self._early: list[_Signal] = []  # whose bus is not there yet

    def of(self, bus: str) -> BusWatch:
        """Always the same one: something may be wanted of it later."""
        found = self._buses.get(bus)
        if found is None:
            came = [signal for signal in self._early if signal.bus == bus]
            self._early = [signal for signal in self._early if signal.bus != bus]
            found = self._buses[bus] = BusWatch(came, self._codec(bus))
        return found

    def want(self, channel: str, tell: Tell) -> Callable[[], None]:
        """Besides the others, and to `tell` alone, until the function is called that it returns."""
        signal = _Signal(channel, tell)
        bus = self._buses.get(signal.bus)
        # Names that somebody has made up leave nothing behind.
        if bus is None:
            self._early.append(signal)
        else:
            bus.add(signal)

        def end() -> None:
            if signal in self._early:
                self._early.remove(signal)
            else:
                self._buses[signal.bus].remove(signal)

        return end

    def unknown(self, channel: str) -> str | None:
        """Why nothing can come of one that is wanted."""
        name = channel.partition(".")[0]
        bus = self._buses.get(name)
        if bus is None:
            return f"there is no bus {name}{did_you_mean(name, self._buses)}"
        return next((reason for name, reason in bus.unknown() if name == channel), None)

    def known(self) -> Iterator[tuple[str, str]]:
        """All that can be wanted of the buses that there are, and their units."""
        for bus in sorted(self._buses):
            for name, unit in self._buses[bus].known():
                yield f"{bus}.{name}", unit

    def unit(self, channel: str) -> str:
        """As far as a file says it; a sample has it, too."""
        bus, message, name = channel.split(".")
        found = self._buses.get(bus)
        return "" if found is None else found.unit(message, name)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            for bus in tuple(self._buses.values()):
                bus.flush()

    def files_changed(self) -> None:
        found = dict(each for bus in self._buses.values() for each in bus.unknown())
        unknown = [(channel, found[channel]) for channel in self._channels if channel in found]
        names = [channel for channel, _ in unknown]
        if names == self._unknown:
            return
        self._unknown = names
        now = self._wall()
        if not unknown:
            _log.info("signals_known")
            event = events.status(now, "system", "well_again", self._source, code=UNKNOWN)
        else:
            reason = f"{names[0]}: {unknown[0][1]}"
            _log.error(UNKNOWN, signals=names, reason=reason)
            details = {"signals": names, "reason": reason}
            event = events.error(now, "system", UNKNOWN, details, self._source)
        self._hub.publish(event)


def _hint(signal: _Signal, names: Iterable[str]) -> str:
    return did_you_mean(signal.name, sorted(names))


def _number(entry: dict[str, Any]) -> tuple[float, str, str | None] | None:
    """With unit and word."""
    value, text = entry["value"], None
    if isinstance(value, str):
        text, raw = value, entry["raw"]
        if isinstance(raw, str):  # too long for a number
            return None
        value = None if raw is None else raw * entry["scale"] + entry["offset"]
    if value is None:
        return None
    # Of 646 steps of 0.1 nobody wants to see 64.60000000000001.
    return float(f"{value:.12g}"), entry.get("unit", ""), text
