"""How many bits a frame is on the wire, stuff bits included.

Pure. Classic frames are counted exactly, CRC and all: after five equal bits, from the start of the frame to
the end of the CRC, the sender inserts one of the other kind (ISO 11898-1, 10.5). CAN FD frames are counted in
the same way up to the end of the data; their CRC has its stuff bits at fixed places. The bits between BRS and
the CRC delimiter go at the faster rate if the frame says so.

The octets go through tables, so a frame of eight costs little more than a microsecond.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from listener.raw_frame import LENGTH_SHIFT, Flag

# CRC delimiter, ACK slot and delimiter, end of frame (7), intermission (3): never stuffed.
_TAIL: Final = 13
_CRC_BITS: Final = 15
# All of a frame but its data, before stuffing.
OVERHEAD_STANDARD: Final = 47
OVERHEAD_EXTENDED: Final = 67
_POLYNOMIAL: Final = 0x4599
_FD_LENGTHS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)

# What the next bit does depends on the last one and how often it was there already, 1 to 4 times.
_STATES: Final = 8
_COUNT: Final = 0x0F


class Head(NamedTuple):
    """What is before the data, the same for all frames of one identifier and length."""

    is_fd: bool
    is_switched: bool
    base: int  # state of the stuffing, as an index into the table
    crc: int
    slow: int  # all bits but those of the data and their stuffing
    fast: int  # of those, the ones after BRS


def head_of(number: int, flags: int, length: int) -> Head:
    """`length` is that of its data; what a remote frame asks for is in its flags."""
    is_fd = bool(flags & Flag.FD)
    before, after = _head_bits(number, flags, length)
    state, crc = 4, 0  # the idle bus is recessive: a 1, and the first bit is a 0
    stuffed = []
    for bits in (before, after):
        count = 0
        for bit in bits:
            state, more = _step(state, bit)
            count += more
            crc = _crc_step(crc, bit)
        stuffed.append(len(bits) + count)
    if not is_fd:
        return Head(False, False, state << 8, crc, sum(stuffed) + _CRC_BITS + _TAIL, 0)
    # Stuff count and CRC with a fixed stuff bit before every four bits.
    check = 4 + 17 + 6 if length <= 16 else 4 + 21 + 7
    is_switched = bool(flags & Flag.BITRATE_SWITCH)
    return Head(True, is_switched, state << 8, 0, stuffed[0] + _TAIL, stuffed[1] + check)


def bits_of(head: Head, data: bytes) -> tuple[int, int]:
    """At the nominal bit rate, and at that of the data."""
    base, stuff = head.base, 0
    if head.is_fd:
        for octet in data:
            entry = _STUFF_8[base | octet]
            base = entry & 0x700
            stuff += entry & _COUNT
        fast = head.fast + 8 * len(data) + stuff
        return (head.slow, fast) if head.is_switched else (head.slow + fast, 0)
    crc = head.crc
    for octet in data:
        entry = _STUFF_8[base | octet]
        base = entry & 0x700
        stuff += entry & _COUNT
        crc = (crc << 8 & 0x7FFF) ^ _CRC_8[crc >> 7 ^ octet]
    entry = _STUFF_8[base | crc >> 7]
    stuff += (entry & _COUNT) + (_STUFF_7[(entry & 0x700) | crc & 0x7F] & _COUNT)
    return head.slow + 8 * len(data) + stuff, 0


def _head_bits(number: int, flags: int, length: int) -> tuple[list[int], list[int]]:
    """Up to BRS, and the rest; in classic frames all is before."""
    is_fd, remote = bool(flags & Flag.FD), int(bool(flags & Flag.REMOTE))
    brs, esi = int(bool(flags & Flag.BITRATE_SWITCH)), int(bool(flags & Flag.ERROR_STATE))
    if remote:
        length = flags >> LENGTH_SHIFT
    if flags & Flag.EXTENDED:
        # start, base identifier, SRR, IDE, the rest of it
        bits = [0, *_binary(number >> 18 & 0x7FF, 11), 1, 1, *_binary(number & 0x3_FFFF, 18)]
        bits += [0, 1, 0, brs] if is_fd else [remote, 0, 0]  # RRS, FDF, res, BRS, or RTR, r1, r0
    else:
        bits = [0, *_binary(number & 0x7FF, 11)]
        bits += [0, 0, 1, 0, brs] if is_fd else [remote, 0, 0]  # RRS, IDE, FDF, res, BRS, or RTR, IDE, r0
    code = next((code for code, each in enumerate(_FD_LENGTHS) if each >= length), 15)
    if is_fd:
        return bits, [esi, *_binary(code, 4)]
    return [*bits, *_binary(min(length, 8), 4)], []


def _binary(value: int, width: int) -> Iterator[int]:
    return (value >> position & 1 for position in reversed(range(width)))


def _step(state: int, bit: int) -> tuple[int, int]:
    """The next state, and whether a stuff bit was inserted. States 0 to 3: last bit 0; 4 to 7: last bit 1."""
    last, run = state >> 2, state & 3
    if bit != last:
        return bit << 2, 0
    if run < 3:
        return state + 1, 0
    return (1 - bit) << 2, 1  # and it counts as the first of its kind


def _crc_step(crc: int, bit: int) -> int:
    return (crc << 1 & 0x7FFF) ^ (_POLYNOMIAL if crc >> 14 ^ bit else 0)


def _stuff_table(width: int) -> list[int]:
    """By state and bits: the next state in bits 8 to 10, how many were inserted in the lowest four."""
    table = [0] * (_STATES << 8)
    for first in range(_STATES):
        for value in range(1 << width):
            state, count = first, 0
            for bit in _binary(value, width):
                state, more = _step(state, bit)
                count += more
            table[first << 8 | value] = state << 8 | count
    return table


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        crc = 0
        for bit in _binary(value, 8):
            crc = _crc_step(crc, bit)
        table.append(crc)
    return table


_STUFF_8: Final = _stuff_table(8)
_STUFF_7: Final = _stuff_table(7)
_CRC_8: Final = _crc_table()
