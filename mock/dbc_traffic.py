"""Traffic as a DBC file describes it: messages at their cycle times, signals as sines, ramps and choices.

Messages without a cycle time are left out, unless none has one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mock.slcan_firmware import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BENCH_DBC: Final = "bench.dbc"
CYCLE_S: Final = 0.1  # of messages that say none
_CHOICE_S: Final = 2.0


class TrafficError(ValueError):
    """The file cannot be read, or says nothing that could be sent."""


@dataclass(frozen=True)
class Source:
    """One message, or one of its multiplexed variants."""

    message: Any
    multiplex: dict[str, int]
    period_s: float
    offset_s: float = 0.0

    def frame(self, at_s: float) -> Frame:
        values: dict[str, int | float] = dict(self.multiplex)
        for number, name in enumerate(self._names()):
            if name not in values:
                values[name] = _raw(self.message.get_signal_by_name(name), number, at_s)
        data = self.message.encode(values, scaling=False, padding=True, strict=False)
        return Frame(self.message.frame_id, bytes(data), self.message.is_extended_frame)

    def _names(self) -> Iterator[str]:
        for signal in self.message.signals:
            wanted = signal.multiplexer_ids
            if wanted is None or self.multiplex.get(signal.multiplexer_signal) in wanted:
                yield signal.name


def sources(path: Path) -> list[Source]:
    import cantools

    try:
        database: Any = cantools.database.load_file(path)
    except Exception as exc:
        raise TrafficError(f"{path}: {exc}") from exc
    cyclic = [message for message in database.messages if message.cycle_time]
    found = [source for message in cyclic or database.messages for source in _variants(message)]
    if not found:
        raise TrafficError(f"{path}: no message of 8 octets or less")
    return found


def schedule(found: list[Source]) -> Iterator[tuple[float, Source]]:
    """When each is due, in order, for ever; they do not all begin at once."""
    import heapq

    order = itertools.count()
    due = [(0.0007 * number + source.offset_s, next(order), source) for number, source in enumerate(found)]
    heapq.heapify(due)
    while True:
        at_s, _, source = heapq.heappop(due)
        yield at_s, source
        heapq.heappush(due, (at_s + source.period_s, next(order), source))


def _variants(message: Any) -> Iterator[Source]:
    if message.length > 8 or message.is_fd:
        return
    period_s = (message.cycle_time or 1000 * CYCLE_S) / 1000
    selectors = [signal for signal in message.signals if signal.is_multiplexer]
    if len(selectors) != 1 or selectors[0].multiplexer_ids is not None:
        if not selectors:
            yield Source(message, {}, period_s)
        return
    name = selectors[0].name
    numbers = sorted(
        {n for signal in message.signals if signal.multiplexer_signal == name for n in signal.multiplexer_ids}
    )
    for turn, number in enumerate(numbers):
        yield Source(message, {name: number}, period_s * len(numbers), period_s * turn)


def _raw(signal: Any, number: int, at_s: float) -> int | float:
    if signal.choices:
        keys = sorted(signal.choices)
        return int(keys[int(at_s / _CHOICE_S) % len(keys)])
    low, high = _range(signal)
    period_s = 5.0 + number
    share = at_s % period_s / period_s if number % 2 else (1 + math.sin(2 * math.pi * at_s / period_s)) / 2
    raw = low + (high - low) * share
    return raw if signal.is_float else round(raw)


def _range(signal: Any) -> tuple[float, float]:
    """Raw: what the file calls possible, within what the bits can hold."""
    if signal.is_float:
        return (signal.minimum or 0.0), (signal.maximum or 100.0)
    bits = min(signal.length, 32)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signal.is_signed else (0, 2**bits - 1)
    if signal.minimum is not None and signal.maximum is not None and signal.maximum > signal.minimum:
        ends = sorted((bound - signal.offset) / signal.scale for bound in (signal.minimum, signal.maximum))
        low, high = max(low, math.ceil(ends[0])), min(high, math.floor(ends[1]))
    return (low, high) if low <= high else (0, 0)
