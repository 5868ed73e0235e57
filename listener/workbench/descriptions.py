"""What a database file says of its messages, as plain values: what the reading process hands over.

Pure. There may be a hundred thousand of them: the garbage collector, which stops everything, passes them by
(`gc=False`; nothing here refers to itself). All numbers are finite, and fit into 64 bits or are floats.
"""

import msgspec


class SignalDescription(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    start: (
        int  # as DBC counts: of the lowest bit if little-endian, else of the highest, bit 7 of an octet first
    )
    length: int
    is_little_endian: bool
    is_signed: bool
    is_float: bool
    scale: int | float
    offset: int | float
    minimum: int | float | None
    maximum: int | float | None
    unit: str | None
    choices: dict[int, str] | None
    initial: int | float | None  # raw
    is_multiplexer: bool
    multiplexer: str | None
    multiplexer_ids: tuple[int, ...]
    comment: str | None


class MessageDescription(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    number: int
    is_extended: bool
    length: int
    is_fd: bool
    is_j1939: bool
    is_container: bool
    cycle_time_ms: int | float | None
    comment: str | None
    senders: tuple[str, ...]
    signals: tuple[SignalDescription, ...]


class FileContents(msgspec.Struct, frozen=True, eq=False):  # to compare them takes too long
    name: str
    messages: tuple[MessageDescription, ...]
    warning: str = ""
