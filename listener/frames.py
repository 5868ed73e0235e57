"""The LES02's CAN protocol and nothing else: a frame in, a value out.

Pure. `decode` returns a `CANFrame`, a `Malformed` (one of our identifiers in a shape that the sensor
never sends) or None (a neighbour on the bus); it never raises. The `parse_*` functions take the data of
a `CANFrame` of their type. Sources: [M] the maker's CAN manual R67073, [D] the design notes.

Rules, each of them once broken by an implementation in the field:
1. The whole identifier decides. Masking one bit away (`& 0xFE`) also drops bits 8-10, and 0x180 passes
   for a position.
2. Extended, remote, error and CAN FD frames are never the sensor's, whatever their identifier.
3. The length of the data decides, not the DLC: a remote frame has a DLC and no data. CANopen's SYNC
   (0x80, empty) and EMCY (0x81, eight bytes) differ from a position by nothing else.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Channel(Enum):
    MASTER = "master"
    SLAVE = "slave"

    def __init__(self, label: str) -> None:
        self.label = label  # `value` is a property of Enum's, and costs three calls


class MessageType(Enum):
    POSITION = "position"
    STATUS = "status"
    ERROR = "error"
    SYSTEM = "system"


@dataclass(slots=True)
class CANFrame:
    arbitration_id: int
    dlc: int
    data: bytes
    timestamp: float
    channel: Channel
    message_type: MessageType


@dataclass(frozen=True, slots=True)
class Malformed:
    arbitration_id: int
    reason: str
    data: bytes
    timestamp: float


@dataclass(frozen=True, slots=True)
class StatusReading:
    state: str
    raw: str
    software_crc: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorReading:
    code: str
    raw: str


@dataclass(frozen=True, slots=True)
class SystemReading:
    state: str
    raw: str


# base identifier (even: master, odd: slave) -> meaning, length of the data [D]
_BASES: Final = {
    0x80: (MessageType.POSITION, 4),
    0x30: (MessageType.STATUS, 8),
    0x20: (MessageType.ERROR, 8),
    0x10: (MessageType.SYSTEM, 8),
}
_IDENTIFIERS: Final = {
    base + parity: (channel, message_type, length)
    for base, (message_type, length) in _BASES.items()
    for parity, channel in enumerate(Channel)
}

# Each channel sends one so often, the slave half of it later [D].
POSITION_PERIOD_S: Final = 0.004

STARTING_UP: Final = "starting_up"
READY: Final = "ready"
LOCKED: Final = "locked"
UNLOCK: Final = "unlock"

# Byte 8 of each kind [D]. The list of error codes is not public: each stays `unknown_0xNN`.
_SUB_STATUS: Final = {0x0F: STARTING_UP, 0xF0: READY}
_LOCK_STATES: Final = {0xF0: LOCKED, 0xFF: UNLOCK}
_ERROR_CODES: Final[dict[int, str]] = {}


def decode(arbitration_id: int, flags: int, data: bytes, timestamp: float) -> CANFrame | Malformed | None:
    known = _IDENTIFIERS.get(arbitration_id)
    if known is None or flags:
        return None
    channel, message_type, length = known
    if len(data) != length:
        return Malformed(
            arbitration_id, f"{message_type.value}_length_{len(data)}_not_{length}", data, timestamp
        )
    return CANFrame(arbitration_id, length, data, timestamp, channel, message_type)


def parse_position(data: bytes) -> int:
    """24 bits, most significant byte first; byte 4 is not specified and may hold anything [D]."""
    return data[0] << 16 | data[1] << 8 | data[2]


def parse_status(data: bytes) -> StatusReading:
    state = _named(data[7], _SUB_STATUS)
    crc = data[:4].hex() if state == STARTING_UP else None
    return StatusReading(state, data.hex(), crc)


def parse_error(data: bytes) -> ErrorReading:
    return ErrorReading(_named(data[7], _ERROR_CODES), data.hex())


def parse_system(data: bytes) -> SystemReading:
    """An `unlock` is sent by the evaluation unit, so its parity names no channel of the sensor [M]."""
    return SystemReading(_named(data[7], _LOCK_STATES), data.hex())


def _named(code: int, names: dict[int, str]) -> str:
    return names.get(code) or f"unknown_0x{code:02X}"
