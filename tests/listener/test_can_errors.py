import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.can_errors import CANError, parse_can_error


@pytest.mark.parametrize(
    ("identifier", "data", "expected"),
    [
        (0x040, "0000000000000000", CANError(("bus_off",), ())),
        (0x100, "0000000000000000", CANError(("restarted",), ())),
        (0x020, "0000000000000000", CANError(("no_acknowledgement",), ())),
        (0x001, "0000000000000000", CANError(("tx_timeout",), ())),
        (0x002, "0500000000000000", CANError(("lost_arbitration",), ())),
        (0x010, "0000000400000000", CANError(("transceiver",), ())),
        (0x004, "0001000000000000", CANError(("controller",), ("rx_overflow",))),
        (0x204, "0030000000008087", CANError(("controller",), ("rx_passive", "tx_passive"), 128, 135)),
        (0x004, "0040000000000000", CANError(("controller",), ("active",))),
        # mcp251x: a stuff error found while receiving
        (0x088, "0000040000000000", CANError(("protocol", "bus_error"), ("stuff",))),
        (0x200, "0000000000000102", CANError(("unknown",), (), 1, 2)),
        (0x000, "0000000000000000", CANError(("unknown",), ())),
        (0x004, "", CANError(("controller",), ())),
    ],
)
def test_the_classes_of_the_kernel_have_names(identifier: int, data: str, expected: CANError) -> None:
    assert parse_can_error(identifier, bytes.fromhex(data)) == expected


@given(st.integers(0, 2**29 - 1), st.binary(max_size=64))
def test_whatever_a_driver_says_has_a_class(identifier: int, data: bytes) -> None:
    assert parse_can_error(identifier, data).classes
