"""What a CAN controller says of its bus: the error frames of SocketCAN, as linux/can/error.h has them.

Pure. They are no frames of the bus: the driver makes them. Drivers differ in how many they make, some none.
"""

from dataclasses import dataclass
from typing import Final

_CLASSES: Final = {
    0x001: "tx_timeout",
    0x002: "lost_arbitration",
    0x004: "controller",
    0x008: "protocol",
    0x010: "transceiver",
    0x020: "no_acknowledgement",
    0x040: "bus_off",
    0x080: "bus_error",
    0x100: "restarted",
}
_COUNTERS: Final = 0x200  # octets 7 and 8 hold the controller's error counters
_OCTET_2: Final = {
    0x01: "rx_overflow",
    0x02: "tx_overflow",
    0x04: "rx_warning",
    0x08: "tx_warning",
    0x10: "rx_passive",
    0x20: "tx_passive",
    0x40: "active",
}
_OCTET_3: Final = {
    0x01: "bit",
    0x02: "form",
    0x04: "stuff",
    0x08: "dominant_bit",
    0x10: "recessive_bit",
    0x20: "overload",
    0x40: "active_announcement",
    0x80: "transmission",
}


@dataclass(frozen=True, slots=True)
class CANError:
    classes: tuple[str, ...]
    more: tuple[str, ...]
    tx_errors: int | None = None
    rx_errors: int | None = None


def parse_can_error(arbitration_id: int, data: bytes) -> CANError:
    octets = data[:8].ljust(8, b"\0")
    classes = _named(arbitration_id, _CLASSES) or ("unknown",)
    more: tuple[str, ...] = ()
    if "controller" in classes:
        more += _named(octets[1], _OCTET_2)
    if "protocol" in classes:
        more += _named(octets[2], _OCTET_3)
    if arbitration_id & _COUNTERS:
        return CANError(classes, more, octets[6], octets[7])
    return CANError(classes, more)


def _named(bits: int, names: dict[int, str]) -> tuple[str, ...]:
    return tuple(name for bit, name in names.items() if bits & bit)
