"""A frame as the bus had it, before anybody asks whose it is: four values, in the order `decode` takes them.

Pure. python-can's `Message` holds the same in a dozen fields and costs more than to parse and publish a
position; it is made only where python-can makes it anyway.
"""

from enum import IntFlag
from typing import NamedTuple


class Flag(IntFlag):
    """What distinguishes a frame from a classic 11-bit data frame. 0 is such a frame."""

    EXTENDED = 1
    REMOTE = 2
    ERROR = 4
    FD = 8


class RawFrame(NamedTuple):
    arbitration_id: int
    flags: int
    data: bytes
    timestamp: float
