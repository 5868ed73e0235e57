"""What the database files of one bus say: frames to named values and back.

Pure, and without cantools, which runs in a process of its own (`dbc_reading`) and hands over `FileContents`.

    codec.decode(identifier, data)   {message_name, signals, error?}, None if no file knows it; never raises
                                     signals: {name: {value, raw, unit?, scale, offset, min?, max?}}
    codec.encode("Motor", {"Speed": 3.2, "Mode": "On"})   Encoded, or EncodeError: a sentence for each mistake
    codec.messages()                 what GET /dbc/messages tells, JSON-able
    codec.cycle_time_s(identifier)   GenMsgCycleTime, or None
    codec.name_of(identifier)        name of the message, or None
    codec.described()                every message by its name, as the files describe it
    bool(codec)                      whether any file is loaded

1. `value` is the text of a choice where there is one. What cannot be decoded is left out; `error` says so.
2. Do not decode remote and error frames: they have no data.
3. A codec lives as long as its bus is known. Loading and deleting files changes what it says, and `version`.
4. The file loaded last speaks, if several know an identifier or a name. J1939 messages are known by their
   parameter group: an identifier that is described itself first, then one from the same source address.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from listener.workbench.descriptions import FileContents, MessageDescription, SignalDescription
from listener.workbench.identifiers import Identifier, identifier, is_extended, number_of, pgn_of
from listener.workbench.layout import Layout, Unencodable, Value, did_you_mean

__all__ = ["Codec", "EncodeError", "Encoded", "Value"]

# A bus with noise for identifiers must not fill the memory.
_CACHE_MAX: Final = 16_384
_NULL_ADDRESS: Final = 0xFE  # J1939's own placeholder for any source


class EncodeError(ValueError):
    """`problems`: one sentence each. `kind`: "unknown_message" or "bad_signals"."""

    def __init__(self, kind: str, problems: Iterable[str]) -> None:
        self.kind = kind
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Encoded(NamedTuple):
    identifier: Identifier
    data: bytes
    is_fd: bool


class _Known(NamedTuple):
    message: MessageDescription
    layout: Layout


class Codec:
    def __init__(self, files: Iterable[FileContents] = ()) -> None:
        self.version = 0
        self.replace(files)

    def replace(self, files: Iterable[FileContents]) -> None:
        """In the order of loading."""
        self.version += 1
        self.files = tuple(files)
        self._known: dict[Identifier, _Known | None] = {}
        self._layouts: dict[int, Layout] = {}
        self._by_identifier: dict[Identifier, MessageDescription] = {}
        self._by_name: dict[str, MessageDescription] = {}
        self._by_pgn: dict[int, list[MessageDescription]] = {}
        for file in self.files:
            for message in file.messages:
                self._by_identifier[identifier(message.number, message.is_extended)] = message
                self._by_name[message.name] = message
                if message.is_j1939:
                    self._by_pgn.setdefault(pgn_of(message.number), []).append(message)

    def __bool__(self) -> bool:
        return bool(self.files)

    def decode(self, identifier: Identifier, data: bytes) -> dict[str, Any] | None:
        known = self._lookup(identifier)
        return None if known is None else known.layout.decode(data)

    def name_of(self, identifier: Identifier) -> str | None:
        known = self._lookup(identifier)
        return None if known is None else known.message.name

    def described(self) -> Mapping[str, MessageDescription]:
        return self._by_name

    def cycle_time_s(self, identifier: Identifier) -> float | None:
        known = self._lookup(identifier)
        if known is None or not known.message.cycle_time_ms or known.message.cycle_time_ms < 0:
            return None
        return known.message.cycle_time_ms / 1000

    def encode(self, message: str, signals: Mapping[str, Value]) -> Encoded:
        known = self._by_name.get(message)
        if known is None:
            hint = did_you_mean(message, self._by_name)
            raise EncodeError("unknown_message", [f"there is no message {message[:100]!r}{hint}"])
        try:
            data = self._layout(known).encode(signals)
        except Unencodable as exc:
            raise EncodeError("bad_signals", exc.problems) from None
        is_fd = known.is_fd or known.length > 8
        return Encoded(identifier(known.number, known.is_extended), data, is_fd)

    def messages(self) -> list[dict[str, Any]]:
        return [_message(message, file.name) for file in self.files for message in file.messages]

    def _lookup(self, identifier: Identifier) -> _Known | None:
        try:
            return self._known[identifier]
        except KeyError:
            pass
        message = self._by_identifier.get(identifier) or self._by_parameter_group(identifier)
        known = None if message is None else _Known(message, self._layout(message))
        if len(self._known) >= _CACHE_MAX:
            self._known.clear()
        self._known[identifier] = known
        return known

    def _by_parameter_group(self, identifier: Identifier) -> MessageDescription | None:
        if not self._by_pgn or not is_extended(identifier):
            return None
        number = number_of(identifier)
        found = self._by_pgn.get(pgn_of(number), [])
        for source in (number & 0xFF, _NULL_ADDRESS):
            for message in reversed(found):
                if message.number & 0xFF == source:
                    return message
        return found[-1] if found else None

    def _layout(self, message: MessageDescription) -> Layout:
        layout = self._layouts.get(id(message))  # they live as long as the files
        if layout is None:
            layout = self._layouts[id(message)] = Layout(message)
        return layout


def _message(message: MessageDescription, file: str) -> dict[str, Any]:
    return {
        "name": message.name,
        "frame_id": message.number,
        "is_extended": message.is_extended,
        "dlc": message.length,
        "length": message.length,
        "signal_count": len(message.signals),
        "signals": [_signal(signal) for signal in message.signals],
        "file": file,
        "is_fd": message.is_fd or message.length > 8,
        "protocol": "j1939" if message.is_j1939 else None,
        "cycle_time_ms": message.cycle_time_ms,
        "senders": list(message.senders),
        "comment": message.comment,
    }


def _signal(signal: SignalDescription) -> dict[str, Any]:
    choices = signal.choices
    return {
        "name": signal.name,
        "start_bit": signal.start,
        "length": signal.length,
        "byte_order": "little_endian" if signal.is_little_endian else "big_endian",
        "scale": signal.scale,
        "offset": signal.offset,
        "minimum": signal.minimum,
        "maximum": signal.maximum,
        "unit": signal.unit,
        "choices": None if choices is None else {str(raw): text for raw, text in choices.items()},
        "is_signed": signal.is_signed,
        "is_float": signal.is_float,
        "initial": signal.initial,
        "is_multiplexer": signal.is_multiplexer,
        "multiplexer_signal": signal.multiplexer,
        "multiplexer_ids": list(signal.multiplexer_ids) or None,
        "comment": signal.comment,
    }
