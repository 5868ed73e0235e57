"""CAN identifiers with their kind, filters of them, and what J1939 reads in them.

Pure. An `Identifier` is one int, the number with bit 31 set when it is extended, as SocketCAN has it: 0x100
and 100x are two. Text that is wrong raises ValueError, which names the part that is wrong.

    of_frame(frame.arbitration_id, frame.flags)          -> Identifier
    identifier(number, is_extended)                      -> Identifier, checked
    number_of(i), is_extended(i), text_of(i)             -> 0x18FEF100, True, "18FEF100x"
    parse_identifier("0x100") / ("18FEF100x")            -> Identifier
    IdFilter.parse("0x100-0x1FF,0x300,18FEF100x")        -> filter; `identifier in filter`
    pgn_of(number), parse_j1939(number), j1939_number(…)

How they are written: 0x and hexadecimal digits; an x at the end, as in Vector's logs, makes it extended
whatever its size. What exceeds 11 bits can be nothing else. Digits alone could be either base: refused.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple, NewType, Self

from listener.raw_frame import Flag

Identifier = NewType("Identifier", int)

EXTENDED: Final = 1 << 31
STANDARD_MAX: Final = 0x7FF
EXTENDED_MAX: Final = 0x1FFF_FFFF

_FLAG: Final = int(Flag.EXTENDED)
_WRITTEN: Final = re.compile(r"(?P<prefix>0[xX])?(?P<digits>[0-9A-Fa-f]+)(?P<suffix>[xX])?")
_PARTS_MAX: Final = 1000


def of_frame(arbitration_id: int, flags: int) -> Identifier:
    return Identifier(arbitration_id | EXTENDED if flags & _FLAG else arbitration_id)


def identifier(number: int, is_extended: bool = False) -> Identifier:
    bits, highest = (29, EXTENDED_MAX) if is_extended else (11, STANDARD_MAX)
    if not 0 <= number <= highest:
        kind = "an extended" if is_extended else "a standard"
        raise ValueError(f"{number:#x} is not in 0…{highest:#x}, the {bits} bits of {kind} identifier")
    return Identifier(number | EXTENDED if is_extended else number)


def number_of(identifier: Identifier) -> int:
    return identifier & ~EXTENDED


def is_extended(identifier: Identifier) -> bool:
    return identifier >= EXTENDED


def text_of(identifier: Identifier) -> str:
    if is_extended(identifier):
        return f"{number_of(identifier):08X}x"
    return f"0x{identifier:03X}"


def parse_identifier(text: str) -> Identifier:
    shown = _shown(text)
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{shown} is not an identifier such as 0x100 or 18FEF100x")
    if not (match["prefix"] or match["suffix"]):
        raise ValueError(f"{shown} is not clear: 0x and hexadecimal digits, or an x at the end if extended")
    number = int(match["digits"], 16) if len(match["digits"]) <= 16 else EXTENDED_MAX + 1
    if number > EXTENDED_MAX:
        raise ValueError(f"{shown} is more than 29 bits")
    return identifier(number, bool(match["suffix"]) or number > STANDARD_MAX)


class IdFilter:
    """`identifier in filter`. An empty text lets everything through."""

    __slots__ = ("_bounds",)

    def __init__(self, ranges: Iterable[tuple[Identifier, Identifier]]) -> None:
        """Both ends belong to a range."""
        # Where it changes from outside to inside and back: what lies inside has passed an odd number of them.
        self._bounds: list[int] = []
        for first, last in sorted(ranges):
            if self._bounds and first <= self._bounds[-1]:
                self._bounds[-1] = max(self._bounds[-1], last + 1)
            else:
                self._bounds += [first, last + 1]

    @classmethod
    def parse(cls, text: str) -> Self:
        if not text.strip():
            return cls([(Identifier(0), Identifier(EXTENDED | EXTENDED_MAX))])
        parts = text.split(",", _PARTS_MAX)
        if len(parts) > _PARTS_MAX:
            raise ValueError(f"more than {_PARTS_MAX} parts")
        return cls(map(_parse_range, parts))

    def __contains__(self, identifier: Identifier) -> bool:
        return bisect_right(self._bounds, identifier) & 1 == 1


def _parse_range(part: str) -> tuple[Identifier, Identifier]:
    if not part.strip():
        raise ValueError("there is nothing between two commas")
    ends = part.split("-")
    if len(ends) > 2:
        raise ValueError(f"{_shown(part)} has more than two ends")
    first, last = parse_identifier(ends[0]), parse_identifier(ends[-1])
    if is_extended(first) != is_extended(last):
        raise ValueError(f"{_shown(part)}: one end is standard, the other extended ({text_of(last)})")
    if first > last:
        raise ValueError(f"{_shown(part)}: the first end is above the second")
    return first, last


def _shown(text: str) -> str:
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text.strip())
    return repr(clean if len(clean) <= 40 else f"{clean[:39]}…")


# SAE J1939-21: 3 bits priority, 18 bits parameter group (of which the lower 8 are a destination while the
# PDU format, its middle 8 bits, is below 240), 8 bits source address.

_PDU2: Final = 240


class J1939(NamedTuple):
    priority: int
    pgn: int
    destination: int | None
    source: int


def pgn_of(number: int) -> int:
    pgn = number >> 8 & 0x3_FFFF
    return pgn if pgn >> 8 & 0xFF >= _PDU2 else pgn & 0x3_FF00


def parse_j1939(number: int) -> J1939:
    pgn = pgn_of(number)
    destination = None if pgn >> 8 & 0xFF >= _PDU2 else number >> 8 & 0xFF
    return J1939(number >> 26 & 7, pgn, destination, number & 0xFF)


def j1939_number(pgn: int, source: int, *, priority: int = 6, destination: int = 0xFF) -> int:
    """`destination` belongs to parameter groups that have one; 255 is everybody."""
    if not (0 <= pgn <= 0x3_FFFF and 0 <= source <= 0xFF and 0 <= priority <= 7 and 0 <= destination <= 0xFF):
        raise ValueError(f"no J1939 identifier: {pgn=:#x} {source=:#x} {priority=} {destination=:#x}")
    if pgn >> 8 & 0xFF < _PDU2:
        if pgn & 0xFF:
            raise ValueError(f"{pgn:#x} is no parameter group: its lower 8 bits are a destination")
        pgn |= destination
    return priority << 26 | pgn << 8 | source
