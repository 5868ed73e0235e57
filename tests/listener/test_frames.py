from pathlib import Path
from typing import Any

import cantools
import pytest
from hypothesis import given
from hypothesis import strategies as st

import listener
from listener.frames import (
    CANFrame,
    Channel,
    ErrorReading,
    Malformed,
    MessageType,
    StatusReading,
    SystemReading,
    decode,
    parse_error,
    parse_position,
    parse_status,
    parse_system,
)
from listener.raw_frame import Flag

TS = 1_700_000_000.25

# The maker's table, written out once more: the parser must not be checked against itself.
SENSOR = {
    0x80: (Channel.MASTER, MessageType.POSITION, 4),
    0x81: (Channel.SLAVE, MessageType.POSITION, 4),
    0x30: (Channel.MASTER, MessageType.STATUS, 8),
    0x31: (Channel.SLAVE, MessageType.STATUS, 8),
    0x20: (Channel.MASTER, MessageType.ERROR, 8),
    0x21: (Channel.SLAVE, MessageType.ERROR, 8),
    0x10: (Channel.MASTER, MessageType.SYSTEM, 8),
    0x11: (Channel.SLAVE, MessageType.SYSTEM, 8),
}
IDENTIFIERS = sorted(SENSOR)
LENGTHS_OF_CAN_FD = [*range(9), 12, 16, 20, 24, 32, 48, 64]

dbc: Any = cantools.database.load_file(Path(listener.__file__).with_name("les02.dbc"))


@given(
    arbitration_id=st.integers(0, 2**29) | st.sampled_from(IDENTIFIERS),
    flags=st.integers(0, 15) | st.just(0),
    data=st.binary(max_size=64) | st.binary(min_size=4, max_size=8),
    timestamp=st.floats(allow_nan=False),
)
def test_any_frame_is_the_sensors_or_malformed_or_a_neighbours_and_never_raises(
    arbitration_id: int, flags: int, data: bytes, timestamp: float
) -> None:
    frame = decode(arbitration_id, flags, data, timestamp)
    if flags or arbitration_id not in SENSOR:
        assert frame is None
        return
    channel, message_type, length = SENSOR[arbitration_id]
    if len(data) == length:
        assert frame == CANFrame(arbitration_id, length, data, timestamp, channel, message_type)
    else:
        reason = f"{message_type.value}_length_{len(data)}_not_{length}"
        assert frame == Malformed(arbitration_id, reason, data, timestamp)


def test_of_all_11_bit_identifiers_exactly_eight_are_the_sensors() -> None:
    ours = [i for i in range(2**11) if any(decode(i, 0, bytes(n), TS) for n in LENGTHS_OF_CAN_FD)]
    assert ours == IDENTIFIERS


@pytest.mark.parametrize("arbitration_id", IDENTIFIERS)
@pytest.mark.parametrize("high_bits", range(1, 8))
def test_the_bits_above_the_eighth_count(arbitration_id: int, high_bits: int) -> None:
    data = bytes(SENSOR[arbitration_id][2])
    assert decode(high_bits << 8 | arbitration_id, 0, data, TS) is None


@pytest.mark.parametrize("flag", list(Flag))
@pytest.mark.parametrize("arbitration_id", IDENTIFIERS)
def test_extended_remote_error_and_fd_frames_are_never_the_sensors(arbitration_id: int, flag: Flag) -> None:
    for length in LENGTHS_OF_CAN_FD:
        assert decode(arbitration_id, flag, bytes(length), TS) is None


@pytest.mark.parametrize(
    ("arbitration_id", "data", "reason"),
    [
        pytest.param(0x80, "", "position_length_0_not_4", id="CANopen SYNC"),
        pytest.param(0x81, "00" * 8, "position_length_8_not_4", id="CANopen EMCY of node 1"),
        pytest.param(0x80, "000102", "position_length_3_not_4", id="position without byte 4"),
        pytest.param(0x31, "f0", "status_length_1_not_8", id="short status"),
        pytest.param(0x20, "00" * 7, "error_length_7_not_8", id="short error"),
        pytest.param(0x11, "0000f0", "system_length_3_not_8", id="short lock message"),
    ],
)
def test_a_wrong_length_is_malformed_and_says_which(arbitration_id: int, data: str, reason: str) -> None:
    raw = bytes.fromhex(data)
    assert decode(arbitration_id, 0, raw, TS) == Malformed(arbitration_id, reason, raw, TS)


@pytest.mark.parametrize(
    ("data", "position"),
    [
        ("00000000", 0),
        ("00000100", 1),
        ("00010000", 256),
        ("01000000", 65_536),
        ("0186a000", 100_000),
        ("ffffff00", 2**24 - 1),
        ("7fffffff", 2**23 - 1),
        ("ffffffff", 2**24 - 1),
    ],
)
def test_a_position_is_three_bytes_unsigned_the_most_significant_first(data: str, position: int) -> None:
    assert parse_position(bytes.fromhex(data)) == position


@pytest.mark.parametrize(
    ("data", "reading"),
    [
        ("deadbeef0000000f", StatusReading("starting_up", "deadbeef0000000f", "deadbeef")),
        ("deadbeef000000f0", StatusReading("ready", "deadbeef000000f0", None)),
        ("0000000000000000", StatusReading("unknown_0x00", "0000000000000000", None)),
        ("0f0f0f0f0f0f0fff", StatusReading("unknown_0xFF", "0f0f0f0f0f0f0fff", None)),
    ],
)
def test_a_status_names_the_state_and_keeps_the_bytes(data: str, reading: StatusReading) -> None:
    assert parse_status(bytes.fromhex(data)) == reading


@pytest.mark.parametrize("code", range(256))
def test_an_error_code_is_told_as_it_is_because_the_makers_list_is_not_public(code: int) -> None:
    raw = bytes([1, 2, 3, 4, 5, 6, 7, code])
    assert parse_error(raw) == ErrorReading(f"unknown_0x{code:02X}", raw.hex())


@pytest.mark.parametrize(
    ("data", "reading"),
    [
        ("abcd0000000000f0", SystemReading("locked", "abcd0000000000f0")),
        ("abcd0000000000ff", SystemReading("unlock", "abcd0000000000ff")),
        ("abcd000000000000", SystemReading("unknown_0x00", "abcd000000000000")),
        ("abcd00000000000f", SystemReading("unknown_0x0F", "abcd00000000000f")),
    ],
)
def test_a_lock_message_names_the_state_and_keeps_the_key(data: str, reading: SystemReading) -> None:
    assert parse_system(bytes.fromhex(data)) == reading


def test_the_dbc_has_the_parsers_identifiers_and_lengths_and_no_others() -> None:
    described = {message.frame_id: message.length for message in dbc.messages}
    assert described == {arbitration_id: length for arbitration_id, (_, _, length) in SENSOR.items()}
    assert not any(message.is_extended_frame for message in dbc.messages)


@given(arbitration_id=st.sampled_from([0x80, 0x81]), data=st.binary(min_size=4, max_size=4))
def test_the_dbc_and_the_parser_read_the_same_position(arbitration_id: int, data: bytes) -> None:
    assert dbc.decode_message(arbitration_id, data) == {"PositionRaw": parse_position(data)}


@given(arbitration_id=st.sampled_from([0x80, 0x81]), position=st.integers(0, 2**24 - 1))
def test_the_parser_reads_what_the_dbc_writes(arbitration_id: int, position: int) -> None:
    assert parse_position(dbc.encode_message(arbitration_id, {"PositionRaw": position})) == position


@pytest.mark.parametrize("arbitration_id", [0x30, 0x31])
@given(rest=st.binary(min_size=7, max_size=7))
def test_the_dbc_and_the_parser_read_the_same_status(arbitration_id: int, rest: bytes) -> None:
    for code in range(256):
        data = rest + bytes([code])
        described = dbc.decode_message(arbitration_id, data)
        reading = parse_status(data)
        assert _name(described["SubStatus"]) == reading.state
        if reading.software_crc is not None:
            assert f"{described['SoftwareCrc']:08x}" == reading.software_crc


@pytest.mark.parametrize("arbitration_id", [0x20, 0x21])
@given(data=st.binary(min_size=8, max_size=8))
def test_the_dbc_and_the_parser_read_the_same_error_code(arbitration_id: int, data: bytes) -> None:
    assert _name(dbc.decode_message(arbitration_id, data)["ErrorCode"]) == parse_error(data).code


@pytest.mark.parametrize("arbitration_id", [0x10, 0x11])
@given(rest=st.binary(min_size=7, max_size=7))
def test_the_dbc_and_the_parser_read_the_same_lock_state(arbitration_id: int, rest: bytes) -> None:
    for code in range(256):
        data = rest + bytes([code])
        described = dbc.decode_message(arbitration_id, data)
        reading = parse_system(data)
        assert _name(described["LockState"]) == reading.state
        assert f"{described['Key']:04x}" == reading.raw[:4]


def _name(described: Any) -> str:
    """What the dbc has no word for comes as a plain number, for which the parser has its own word."""
    return f"unknown_0x{described:02X}" if isinstance(described, int) else str(described)
