"""One message: octets to values and back.

Pure. `Layout.decode` never raises: what cannot be decoded is left out, and `error` says why. `Layout.encode`
raises `Unencodable` with a sentence for each mistake. NaN and infinity are None.
"""

import contextlib
import difflib
import itertools
import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from listener.workbench.descriptions import MessageDescription, SignalDescription

Value = int | float | str

_FLOATS: Final = {16: struct.Struct(">e"), 32: struct.Struct(">f"), 64: struct.Struct(">d")}
_FD_LENGTHS: Final = (*range(9), 12, 16, 20, 24, 32, 48, 64)
# How far beyond its bound a value may be by rounding, in steps of the raw value.
_TOLERANCE: Final = 1e-6
_LARGEST: Final = 1e300
_NAMES_MAX: Final = 5
_PROBLEMS_MAX: Final = 20
# To look for a similar name takes a while.
_HINTS_MAX: Final = 2000


class Unencodable(ValueError):  # noqa: N818 - what was asked for is
    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class _Step(NamedTuple):
    """One signal, ready to be decoded."""

    name: str
    parent: str | None
    ids: frozenset[int]
    is_little: bool
    start: int
    end: int
    mask: int
    sign: int
    number: struct.Struct | None
    line: tuple[int | float, int | float] | None
    choices: Mapping[Any, str] | None
    more: dict[str, Any]
    selects: bool
    is_narrow: bool  # JSON libraries take integers of 64 bits


class Layout:
    def __init__(self, message: MessageDescription) -> None:
        self._message = message
        self._signals = _parents_first(message.signals)
        self._ids = _described_ids(self._signals)
        self._plan = [_step(signal, signal.name in self._ids) for signal in self._signals]

    def decode(self, data: bytes) -> dict[str, Any]:
        signals: dict[str, Any] = {}
        decoded: dict[str, Any] = {"message_name": self._message.name, "signals": signals}
        bits = 8 * len(data)
        little, big = int.from_bytes(data, "little"), int.from_bytes(data, "big")
        short: list[str] = []
        selected: dict[str, int | float | None] = {}
        for step in self._plan:
            if step.parent is not None and selected.get(step.parent) not in step.ids:
                continue
            if step.end > bits:
                short.append(step.name)
                continue
            raw: int | float | None
            raw = (little >> step.start if step.is_little else big >> bits - step.end) & step.mask
            if step.sign:
                raw = (raw ^ step.sign) - step.sign
            elif step.number is not None:
                raw = _finite(*step.number.unpack(raw.to_bytes(step.number.size, "big")))
            value: Any = raw
            if step.line is not None and raw is not None:
                value = raw * step.line[0] + step.line[1]
                if isinstance(value, float):
                    value = _finite(value)
            if step.choices is not None:
                value = step.choices.get(raw, value)
            if step.selects:
                selected[step.name] = raw
            signals[step.name] = {"value": value, "raw": raw if step.is_narrow else value, **step.more}
        if short or self._ids or self._message.is_container:
            self._explain(decoded, len(data), short, selected)
        return decoded

    def _explain(
        self, decoded: dict[str, Any], octets: int, short: list[str], selected: Mapping[str, Any]
    ) -> None:
        errors = []
        if short:
            names = ", ".join(short[:_NAMES_MAX]) + (", …" if len(short) > _NAMES_MAX else "")
            errors.append(f"{octets} octets of {self._message.length}: without {names}")
        for name, raw in selected.items():
            if raw not in self._ids[name]:
                errors.append(f"multiplexer {name} is {raw}, for which nothing is described")
        if self._message.is_container:
            errors.append("it contains other messages, which are not decoded")
        if errors:
            decoded["error"] = "; ".join(errors)

    # To the bus

    def encode(self, values: Mapping[str, Value]) -> bytes:
        message = self._message
        known = [each.name for each in self._signals]
        problems = [
            f"{message.name} has no signal {name[:100]!r}{did_you_mean(name, known)}"
            for name in [name for name in values if name not in known][:_PROBLEMS_MAX]
        ]
        if message.is_container:
            problems.append(f"{message.name} contains other messages: cannot be encoded")
        if message.length > (8 if message.is_j1939 else 64):
            problems.append(f"{message.name} is {message.length} octets long: more than one frame")
        if problems:
            raise Unencodable(problems)
        raws: dict[str, int | float] = {}
        bits = 0
        for signal in self._signals:
            parent, name = signal.multiplexer, signal.name
            if parent is not None and raws.get(parent) not in signal.multiplexer_ids:
                if name in values:
                    ids = _few(signal.multiplexer_ids)
                    problems.append(f"{name} is sent only while {parent} is {ids}; it is {raws.get(parent)}")
                continue
            try:
                if name in values:
                    raw = _to_raw(signal, values[name])
                elif name in self._ids:
                    raw = self._infer(signal, values)
                else:
                    raw = _default(signal)
                raws[name] = raw
                bits |= _place(signal, raw, message.length)
            except ValueError as exc:
                problems.append(f"{name}: {exc}")
        if problems:
            raise Unencodable(problems)
        return bits.to_bytes(message.length, "big").ljust(self.frame_length, b"\0")

    @property
    def frame_length(self) -> int:
        """CAN FD has no frames of 9, say."""
        return next((each for each in _FD_LENGTHS if each >= self._message.length), self._message.length)

    def _infer(self, multiplexer: SignalDescription, values: Mapping[str, Value]) -> int:
        """What is given says what is selected."""
        possible = set(self._ids[multiplexer.name])
        for signal in self._signals:
            if signal.multiplexer == multiplexer.name and self._is_wanted(signal, values):
                possible &= set(signal.multiplexer_ids)
        if not possible:
            raise ValueError("it cannot select all of these signals at once")
        default = _default(multiplexer)
        return int(default) if default in possible else min(possible)

    def _is_wanted(self, signal: SignalDescription, values: Mapping[str, Value]) -> bool:
        return signal.name in values or any(
            self._is_wanted(each, values) for each in self._signals if each.multiplexer == signal.name
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(name[:100], list(itertools.islice(known, _HINTS_MAX)), n=1)
    return f", did you mean {match[0]!r}?" if match else ""


def _parents_first(signals: Iterable[SignalDescription]) -> list[SignalDescription]:
    """Without those whose multiplexer is not there, or is selected by themselves: never sent."""
    ordered: list[SignalDescription] = []
    known: set[str | None] = {None}
    waiting = list(signals)
    while waiting:
        ready = [each for each in waiting if each.multiplexer in known]
        if not ready:
            break
        waiting = [each for each in waiting if each.multiplexer not in known]
        ordered += ready
        known.update(each.name for each in ready)
    return ordered


def _described_ids(signals: Iterable[SignalDescription]) -> dict[str, frozenset[int]]:
    """Of each multiplexer that selects anything."""
    ids: dict[str, set[int]] = {}
    for signal in signals:
        if signal.multiplexer is not None:
            ids.setdefault(signal.multiplexer, set()).update(signal.multiplexer_ids)
    return {name: frozenset(each) for name, each in ids.items()}


def _step(signal: SignalDescription, selects: bool) -> _Step:
    more: dict[str, Any] = {} if not signal.unit else {"unit": signal.unit}
    more |= {"scale": signal.scale, "offset": signal.offset}
    if signal.minimum is not None:
        more["min"] = signal.minimum
    if signal.maximum is not None:
        more["max"] = signal.maximum
    return _Step(
        name=signal.name,
        parent=signal.multiplexer,
        ids=frozenset(signal.multiplexer_ids),
        is_little=signal.is_little_endian,
        start=signal.start,
        end=_end(signal),
        mask=(1 << signal.length) - 1,
        sign=1 << signal.length - 1 if signal.is_signed and not signal.is_float else 0,
        number=_FLOATS[signal.length] if signal.is_float else None,
        line=_line(signal),
        choices=signal.choices or None,
        more=more,
        selects=selects,
        is_narrow=signal.length <= 64,
    )


def _end(signal: SignalDescription) -> int:
    """The bit behind the signal, counted in the direction of its octets."""
    if signal.is_little_endian:
        return signal.start + signal.length
    return signal.start // 8 * 8 + 7 - signal.start % 8 + signal.length


def _line(signal: SignalDescription) -> tuple[int | float, int | float] | None:
    """Integers stay integers, unless they could grow beyond what JSON libraries take."""
    scale, offset = (_integer(each) for each in (signal.scale, signal.offset))
    largest = 2**signal.length * max(1, abs(scale)) + abs(offset)
    if largest > 2**63 and not (signal.length <= 64 and (scale, offset) == (1, 0)):
        return float(scale), float(offset)
    return None if (scale, offset) == (1, 0) else (scale, offset)


def _integer(number: int | float) -> int | float:
    return int(number) if number == int(number) else number


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _bounds(signal: SignalDescription) -> tuple[int, int]:
    if signal.is_signed:
        return -(1 << signal.length - 1), (1 << signal.length - 1) - 1
    return 0, (1 << signal.length) - 1


def _to_raw(signal: SignalDescription, value: Value) -> int | float:
    """ValueError with what is wrong with it, to be read behind the name of the signal."""
    if isinstance(value, str):
        texts = {text: raw for raw, text in reversed((signal.choices or {}).items())}
        if value not in texts:
            known = (
                did_you_mean(value, texts) or f"; there are {_few(texts)}"
                if texts
                else ": a number is wanted"
            )
            raise ValueError(f"{value[:100]!r} is none of its values{known}")
        return _fitting(signal, texts[value], value)
    if not abs(value) < _LARGEST:
        raise ValueError("it is not a finite number")
    tolerance = abs(signal.scale) * _TOLERANCE
    if signal.minimum is not None and value < signal.minimum - tolerance:
        raise ValueError(f"{value} is below {signal.minimum}")
    if signal.maximum is not None and value > signal.maximum + tolerance:
        raise ValueError(f"{value} is above {signal.maximum}")
    return _fitting(signal, _unscaled(signal, value), value)


def _unscaled(signal: SignalDescription, value: int | float) -> int | float:
    scale, offset = (_integer(each) for each in (signal.scale, signal.offset))
    if not scale:
        raise ValueError("its scale is 0: no value can be sent")
    if signal.is_float:
        return (value - offset) / scale
    if isinstance(value, int) and isinstance(scale, int) and isinstance(offset, int):
        quotient, rest = divmod(value - offset, scale)
        if not rest:
            return quotient
    steps = (value - offset) / scale
    if not math.isfinite(steps):
        raise ValueError(f"{value} does not fit into {signal.length} bits")
    return round(steps)


def _fitting(signal: SignalDescription, raw: int | float, value: Value) -> int | float:
    if signal.is_float:
        with contextlib.suppress(OverflowError):
            if math.isfinite(*_FLOATS[signal.length].unpack(_FLOATS[signal.length].pack(raw))):
                return raw
        raise ValueError(f"{value} does not fit into a float of {signal.length} bits")
    lowest, highest = _bounds(signal)
    if not lowest <= raw <= highest:
        ends = sorted(each * signal.scale + signal.offset for each in (lowest, highest))
        raise ValueError(f"{value} does not fit into {signal.length} bits, {ends[0]}…{ends[1]}")
    return raw


def _default(signal: SignalDescription) -> int | float:
    """Its initial value; else 0, or what is nearest to it in its range."""
    if signal.initial is not None:
        raw = signal.initial if signal.is_float else round(signal.initial)
        with contextlib.suppress(ValueError):  # files from the field have values that do not fit
            return _fitting(signal, raw, raw)
    nearest = max(0, signal.minimum or 0) if signal.maximum is None or signal.maximum > 0 else signal.maximum
    try:
        return _to_raw(signal, nearest)
    except ValueError:
        return 0


def _place(signal: SignalDescription, raw: int | float, octets: int) -> int:
    """The signal's bits in the whole message, as a big-endian number."""
    end = _end(signal)
    if end > 8 * octets:
        raise ValueError(f"it does not fit into {octets} octets")
    if signal.is_float:
        pattern = int.from_bytes(_FLOATS[signal.length].pack(raw), "big")
    else:
        pattern = int(raw) & (1 << signal.length) - 1
    if signal.is_little_endian:
        return int.from_bytes((pattern << signal.start).to_bytes(octets, "little"), "big")
    return pattern << 8 * octets - end


def _few(items: Iterable[object]) -> str:
    texts = [repr(each) if isinstance(each, str) else str(each) for each in items]
    return ", ".join(texts[:_NAMES_MAX]) + (", …" if len(texts) > _NAMES_MAX else "")
