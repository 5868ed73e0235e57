"""The length of a frame on the wire, against a sender that works bit by bit."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.raw_frame import LENGTH_SHIFT, Flag
from listener.workbench.frame_bits import OVERHEAD_EXTENDED, OVERHEAD_STANDARD, bits_of, head_of

SWITCHED = Flag.FD | Flag.BITRATE_SWITCH
DATA = (
    st.binary(max_size=8)
    | st.integers(0, 8).map(bytes)
    | st.integers(0, 8).map(lambda count: b"\xff" * count)
)


def binary(value: int, width: int) -> str:
    return f"{value:0{width}b}"


def checksum(bits: str) -> str:
    """CRC-15 of CAN as its specification states it: the remainder of a division."""
    divisor, rest = 0b1100010110011001, int(bits + "0" * 15, 2)
    while rest.bit_length() > 15:
        rest ^= divisor << rest.bit_length() - 16
    return binary(rest, 15)


def stuffed(bits: Iterable[str]) -> Iterator[str]:
    run = ""
    for bit in bits:
        run = run + bit if run.endswith(bit) else bit
        yield bit
        if len(run) == 5:
            run = "1" if bit == "0" else "0"
            yield run


def sent(number: int, extended: bool, data: bytes, asks_for: int | None = None) -> str:
    rtr = str(int(asks_for is not None))
    length = len(data) if asks_for is None else asks_for
    arbitration = (
        f"{binary(number >> 18, 11)}11{binary(number & 0x3FFFF, 18)}{rtr}00"
        if extended
        else f"{binary(number, 11)}{rtr}00"
    )
    bits = f"0{arbitration}{binary(length, 4)}" + "".join(binary(octet, 8) for octet in data)
    return "".join(stuffed(bits + checksum(bits))) + "1" * 13


@given(st.booleans(), st.integers(0, 2**29 - 1), DATA)
def test_every_bit_of_a_classic_frame_is_counted(extended: bool, number: int, data: bytes) -> None:
    number = number if extended else number & 0x7FF
    flags = Flag.EXTENDED * extended

    assert bits_of(head_of(number, flags, len(data)), data) == (len(sent(number, extended, data)), 0)


@given(st.booleans(), st.integers(0, 2**29 - 1), st.integers(0, 8))
def test_every_bit_of_a_remote_frame_is_counted(extended: bool, number: int, length: int) -> None:
    number = number if extended else number & 0x7FF
    flags = Flag.EXTENDED * extended | Flag.REMOTE | length << LENGTH_SHIFT

    assert bits_of(head_of(number, flags, 0), b"") == (len(sent(number, extended, b"", length)), 0)


@given(st.booleans(), st.integers(0, 2**29 - 1), DATA)
def test_a_frame_is_never_longer_than_the_worst_case_of_schedulers(
    extended: bool, number: int, data: bytes
) -> None:
    """Davis, Burns, Bril and Lukkien, 2007: g + 8s + 13 bits and a stuff bit for each four of g + 8s - 1."""
    overhead = OVERHEAD_EXTENDED if extended else OVERHEAD_STANDARD
    plain = overhead + 8 * len(data)
    bits, _ = bits_of(head_of(number if extended else number & 0x7FF, int(extended), len(data)), data)

    assert plain <= bits <= plain + (plain - 13 - 1) // 4


def test_a_frame_of_zeros_has_a_stuff_bit_for_each_five_of_them() -> None:
    worst = max(sum(bits_of(head_of(number, 0, 8), bytes(8))) for number in range(0x800))

    assert 111 + 64 // 5 < worst <= 135


@pytest.mark.parametrize(
    ("flags", "data", "expected"),
    [
        # start, identifier 0x555, RRS, IDE, FDF, res, BRS; 13 at the end. 27 of CRC17 with stuff count
        (SWITCHED, b"", (17 + 13, 5 + 27)),
        (SWITCHED, b"\x55" * 16, (17 + 13, 5 + 8 * 16 + 27)),
        (SWITCHED, b"\x55" * 20, (17 + 13, 5 + 8 * 20 + 32)),
        (SWITCHED, b"\x55" * 64, (17 + 13, 5 + 8 * 64 + 32)),
        (SWITCHED, bytes(12), (17 + 13, 5 + 8 * 12 + 27 + 8 * 12 // 5)),
    ],
)
def test_an_fd_frame_has_a_slow_and_a_fast_part(flags: int, data: bytes, expected: tuple[int, int]) -> None:
    slow, fast = bits_of(head_of(0x555, flags, len(data)), data)

    assert slow == expected[0]
    assert abs(fast - expected[1]) <= 1  # the length code may be stuffed


def test_an_extended_fd_frame_has_a_longer_slow_part() -> None:
    slow, _ = bits_of(head_of(0x15555555, SWITCHED | Flag.EXTENDED, 8), b"\x55" * 8)

    assert slow == 36 + 13


def test_an_fd_frame_that_does_not_switch_is_slow_all_along() -> None:
    data = bytes(range(64))
    slow, fast = bits_of(head_of(0x555, SWITCHED, 64), data)
    all_slow, none = bits_of(head_of(0x555, Flag.FD, 64), data)

    assert none == 0
    assert abs(all_slow - slow - fast) <= 1  # BRS is another bit, which may be stuffed
