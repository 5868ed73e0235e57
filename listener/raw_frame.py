"""A frame as the bus had it, before anybody asks whose it is: four values, in the order `decode` takes them.

Pure. python-can's `Message` holds the same in a dozen fields and costs more than to parse and publish a
position; it is made only where python-can makes it anyway.
"""

from enum import IntFlag
from typing import Final, NamedTuple


class Flag(IntFlag):
    """What distinguishes a frame from a classic 11-bit data frame. 0 is such a frame."""

    EXTENDED = 1
    REMOTE = 2
    ERROR = 4
    FD = 8
    BITRATE_SWITCH = 16  # these two of FD frames alone
    ERROR_STATE = 32


# A remote frame has no data: how much it asks for stands in the flags, above the others.
LENGTH_SHIFT: Final = 8
_REMOTE: Final = int(Flag.REMOTE)


class RawFrame(NamedTuple):
    arbitration_id: int
    flags: int
    data: bytes
    timestamp: float


def length_of(flags: int, data: bytes) -> int:
    """As the frame states it: of a remote frame what it asks for."""
    return flags >> LENGTH_SHIFT if flags & _REMOTE else len(data)
