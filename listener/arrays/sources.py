"""Where points come from: the sensor, other CAN devices, an array that is played, and the seed's sine.

What is live is heard for as long as somebody wants it, through one subscriber to the hub, into one ring for
each source. Signals come from whoever `signals` is: the workbench, which is another wing.
"""

import asyncio
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import numpy as np

from listener.arrays.library import ArrayError, Library
from listener.arrays.packets import DEMO, AskError, Points, Wanted
from listener.arrays.ring import Ring
from listener.events import EventEnvelope
from listener.hub import Hub

# Of the seed: so far forward at every packet, of which there is one every 50 ms.
DEMO_STEP: Final = 0.1
DEMO_EVERY_S: Final = 0.05
DEMO_NOISE: Final = 0.1
_LES02: Final = {"les02.position": "mm", "les02.velocity": "mm/s", "les02.acceleration": "mm/s²"}
_MOTION: Final = {"les02.velocity": "velocity_mm_s", "les02.acceleration": "acceleration_mm_s2"}
_SIGNAL: Final = re.compile(r"signal:([A-Za-z0-9][\w-]{0,31}\.[^.\x00-\x1f]{1,128}\.[^.\x00-\x1f]{1,128})")
_ARRAY: Final = re.compile(r"array:(\d{1,12})", re.ASCII)
_PLAYED: Final = "biuf"
# That are listed: files may describe a hundred times as many.
SIGNALS_MAX: Final = 5000


class Signals(Protocol):
    def want(self, channel: str, tell: Callable[[EventEnvelope], None]) -> Callable[[], None]:
        """Every `signal_sample` of bus.message.signal from now on, until the function is called."""

    def unknown(self, channel: str) -> str | None:
        """Why it cannot come; None when it can."""

    def known(self) -> Iterable[tuple[str, str]]:
        """What can be wanted now, each with its unit."""

    def unit(self, channel: str) -> str:
        """ "" while nobody knows it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Of a live source x and y lie where it has them, and are as they are until something is awaited."""

    x: Points
    y: Points
    new: int


class Source(Protocol):
    @property
    def unit(self) -> str: ...

    @property
    def is_over(self) -> bool: ...

    async def take(self) -> Taken | None:
        """None: there is nothing new."""

    def trouble(self) -> str | None:
        """Why nothing comes, if that is known."""

    def close(self) -> None: ...


class Sources:
    def __init__(
        self,
        hub: Hub,
        library: Library,
        *,
        resolution_mm: float,
        has_motion: bool,
        signals: Signals | None,
    ) -> None:
        self._hub = hub
        self._library = library
        self._resolution_mm = resolution_mm
        self._has_motion = has_motion
        self._signals = signals
        self._feeds: dict[str, _Feed] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def told(self) -> dict[str, Any]:
        live = {name: unit for name, unit in _LES02.items() if self._has_motion or name not in _MOTION}
        listed = [{"source": DEMO, "unit": ""}]
        listed += [{"source": name, "unit": unit} for name, unit in live.items()]
        entries = [entry for entry in self._library.entries if _is_played(entry.header)]
        listed += [{"source": f"array:{entry.index}", "unit": "", "name": entry.name} for entry in entries]
        known = list(islice(self._signals.known() if self._signals is not None else (), SIGNALS_MAX + 1))
        signals = sorted(known[:SIGNALS_MAX])
        listed += [{"source": f"signal:{channel}", "unit": unit} for channel, unit in signals]
        return {"sources": listed, "more_signals": len(known) > SIGNALS_MAX}

    def open(self, wanted: Wanted) -> Source:
        """To be closed. Raises AskError."""
        name = wanted.source
        if name == DEMO:
            return Demo(wanted.window, DEMO_STEP / DEMO_EVERY_S / wanted.rate_hz)
        if found := _ARRAY.fullmatch(name):
            return self._playback(int(found[1]), wanted)
        if name in _MOTION and not self._has_motion:
            raise AskError(f"{name}: rides are switched off ([rides] enabled), and with them this")
        if name in _LES02:
            return Live(self._feed(name, _LES02[name], wanted.window), wanted.window)
        if found := _SIGNAL.fullmatch(name):
            if self._signals is None:
                raise AskError(f"{name}: the workbench is switched off ([workbench] enabled)")
            return self._signal(name, found[1], self._signals, wanted.window)
        known = ", ".join([DEMO, *_LES02, "signal:BUS.MESSAGE.SIGNAL", "array:INDEX"])
        raise AskError(f"unknown source {name[:64]!r}; known are {known}")

    def _playback(self, index: int, wanted: Wanted) -> Source:
        try:
            header = self._library.find(index).header
            if not _is_played(header):
                shape = "×".join(map(str, header.shape)) or "no dimensions"
                raise AskError(
                    f"array {index} ({header.dtype}, {shape}) is no curve: those are one row of numbers, "
                    "or two columns, x and y"
                )
            return Playback(self._library, index, wanted.window, loop=wanted.loop)
        except (ArrayError, OSError) as exc:
            raise AskError(f"array {index}: {exc}") from None

    def _signal(self, name: str, channel: str, signals: Signals, window: int) -> Source:
        feed = self._feed(name, signals.unit(channel), window)

        def tell(event: EventEnvelope) -> None:
            feed.unit = event.payload["unit"]
            feed.ring.add(event.ts, event.payload["value"])

        if feed.end is None:
            feed.end = signals.want(channel, tell)
        return Live(feed, window, lambda: signals.unknown(channel))

    def _feed(self, name: str, unit: str, window: int) -> "_Feed":
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds[name] = _Feed(unit, Ring(window), lambda: self._no_more(name))
        feed.ring.grow(window)
        feed.users += 1
        if self._unsubscribe is None and name in _LES02:
            self._unsubscribe = self._hub.subscribe(self._hear)
        return feed

    def _no_more(self, name: str) -> None:
        feed = self._feeds.pop(name)
        if feed.end is not None:
            feed.end()
        if self._unsubscribe is not None and not self._feeds.keys() & _LES02.keys():
            self._unsubscribe()
            self._unsubscribe = None

    def _hear(self, event: EventEnvelope) -> None:
        payload = event.payload
        if event.type == "position_sample":
            feed = self._feeds.get("les02.position")
            if feed is not None and payload["channel"] == "master":
                feed.ring.add(event.ts, payload["position_raw"] * self._resolution_mm)
        elif event.type == "motion_sample":
            for name, key in _MOTION.items():
                feed = self._feeds.get(name)
                if feed is not None:
                    feed.ring.add(event.ts, payload[key])


class _Feed:
    def __init__(self, unit: str, ring: Ring, no_more: Callable[[], None]) -> None:
        self.unit = unit
        self.ring = ring
        self.users = 0
        self.end: Callable[[], None] | None = None
        self._no_more = no_more

    def leave(self) -> None:
        self.users -= 1
        if not self.users:
            self._no_more()


class Live:
    is_over = False

    def __init__(self, feed: _Feed, window: int, trouble: Callable[[], str | None] = lambda: None) -> None:
        self._feed = feed
        self._window = window
        self._seen = feed.ring.total
        self.trouble = trouble

    @property
    def unit(self) -> str:
        return self._feed.unit

    async def take(self) -> Taken | None:
        ring = self._feed.ring
        new = ring.total - self._seen
        if not new:
            return None
        self._seen = ring.total
        return Taken(*ring.newest(self._window), new)

    def close(self) -> None:
        self._feed.leave()


class Demo:
    unit = ""
    is_over = False

    def __init__(self, window: int, step: float) -> None:
        self.t = 0.0
        self._window = window
        self._step = step
        self._noise = np.random.default_rng()

    async def take(self) -> Taken:
        x = np.linspace(self.t, self.t + 2 * math.pi, self._window)
        y = np.sin(x) + self._noise.normal(0.0, DEMO_NOISE, self._window)
        self.t += self._step
        return Taken(x, y, self._window)

    def trouble(self) -> None:
        return None

    def close(self) -> None:
        pass


class Playback:
    unit = ""

    def __init__(self, library: Library, index: int, window: int, *, loop: bool) -> None:
        self._opened = library.opened(index)
        self._window = window
        self._loop = loop
        self._at = 0
        self._played = 0
        self.is_over = False

    async def take(self) -> Taken | None:
        return await asyncio.to_thread(self._read)

    def trouble(self) -> None:
        return None

    def close(self) -> None:
        self._opened.close()

    def _read(self) -> Taken | None:
        array = self._opened.array
        with np.errstate(all="ignore"):  # a long double may be too large
            piece = np.array(array[self._at : self._at + self._window], np.float64)
        self._opened.forget()
        count = len(piece)
        if piece.ndim == 2:
            x, y = piece.T.copy()
        else:
            x, y = np.arange(self._played, self._played + count, dtype=np.float64), piece
        self._at += count
        self._played += count
        if self._at >= len(array):
            self._at = 0
            self.is_over = not self._loop or not count
        return Taken(x, y, count) if count else None


def _is_played(header: Any) -> bool:
    shape, dtype = header.shape, header.dtype
    return dtype.kind in _PLAYED and (len(shape) == 1 or (len(shape) == 2 and shape[1] == 2))
