"""What comes from the mesh: the messages of nodes and root, the firmware's log lines, and nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh.data_types import DEFAULT as TYPES
from listener.mesh.data_types import DataType, DataTypes
from listener.mesh.message_opcodes import DEFAULT as OPCODES
from listener.mesh.messages import (
    NO_OPCODE,
    Ack,
    Forward,
    LogText,
    NetInfo,
    NodeData,
    NodeInfo,
    RootReset,
    UartMessage,
    parse_uart,
)
from listener.mesh.uart_codec import Decoder, encode

SEQUENCE, TEMPERATURE = TYPES.by_name["Sequence"], TYPES.by_name["Temperature"]
UUID, OTHER = bytes(range(16)), bytes(range(16, 32))
# Node, root and nobody; numbers that may be counts and data types; what is handled.
OCTETS = st.one_of(st.sampled_from((0, 1, 2, 5, 0x41, 0x44, 0x53)), st.integers(0, 255))


def parse(payload: bytes) -> UartMessage:
    return parse_uart(payload, OPCODES, TYPES)


CASES: list[tuple[bytes, UartMessage]] = [
    # Data
    (b"\x00\x05D\x01\x00\x07", NodeData(5, ((SEQUENCE, b"\x07"),))),
    (
        b"\x00\x05D\x02\x00\x07\x02\x09\x23",
        NodeData(5, ((SEQUENCE, b"\x07"), (TEMPERATURE, b"\x09\x23"))),
    ),
    (b"\x01\x04D\x02\x00\x07\x00\x08", NodeData(260, ((SEQUENCE, b"\x07"), (SEQUENCE, b"\x08")))),
    (b"\x00\x05D\x00", NodeData(5, ())),
    (b"\x00\x05D", NodeData(5, (), "no number of values")),
    (b"\x00\x05D\x01", NodeData(5, (), "ends before value 1 of 1")),
    (b"\x00\x05D\x02\x00\x07", NodeData(5, ((SEQUENCE, b"\x07"),), "ends before value 2 of 2")),
    (
        b"\x00\x05D\x02\x00\x07\x02\x09",
        NodeData(5, ((SEQUENCE, b"\x07"),), "ends within value 2 of 2, Temperature"),
    ),
    (
        b"\x00\x05D\x03\x00\x07\x63\x01\x00\x08",
        NodeData(5, ((SEQUENCE, b"\x07"),), "value 2 of 3: unknown data type 99"),
    ),
    (b"\x00\x05D\x01\x00\x07\r\n", NodeData(5, ((SEQUENCE, b"\x07"),), "2 octets behind value 1")),
    # The root measures nothing: these are log lines.
    (b"\x00\x00D\x01\x00\x07", Forward(0, 0x44, b"\x01\x00\x07")),
    (b"\x00\x01Disconnected\n", Forward(1, 0x44, b"isconnected\n")),
    # Who is there
    (b"\x00\x01\x01\x00", NetInfo(())),
    (b"\x00\x01\x01\x01\x00\x05" + UUID, NetInfo(((5, UUID),))),
    (b"\x00\x01\x01\x02\x00\x05" + UUID + b"\x01\x04" + OTHER, NetInfo(((5, UUID), (260, OTHER)))),
    (b"\x00\x01\x01\x02\x00\x01" + UUID + b"\x00\x05" + OTHER, NetInfo(((5, OTHER),))),
    (b"\x00\x01\x01", Forward(1, 1, b"")),
    (b"\x00\x01\x01\x01\x00\x05" + UUID[:-1], Forward(1, 1, b"\x01\x00\x05" + UUID[:-1])),
    (b"\x00\x01\x01\x00\n", Forward(1, 1, b"\x00\n")),
    (b"\x00\x05\x02" + UUID, NodeInfo(5, UUID)),
    (b"\x00\x01\x02\x00\x05" + UUID, NodeInfo(5, UUID)),
    (b"\x00\x00\x02\x00\x01" + UUID, Forward(0, 2, b"\x00\x01" + UUID)),
    (b"\x00\x01\x02" + UUID, Forward(1, 2, UUID)),
    (b"\x00\x05\x02" + UUID[:-1], Forward(5, 2, UUID[:-1])),
    (b"\x00\x05\x02\x00\x06" + UUID, Forward(5, 2, b"\x00\x06" + UUID)),
    # The root has started, which no node can say.
    (b"\x00\x00\x03online\n", RootReset(0, "online\n")),
    (b"\x00\x01\x03", RootReset(1, "")),
    (b"\x00\x00\x03\xff\0", RootReset(0, "\N{REPLACEMENT CHARACTER}")),
    (b"\x00\x05\x03online\n", Forward(5, 3, b"online\n")),
    # What has become of a message
    (b"\x00\x05AS\x01", Ack(5, delivered=True, attempts=1)),
    (b"\x00\x05AF\x04", Ack(5, delivered=False, attempts=4)),
    (b"\x00\x05A", Forward(5, 0x41, b"")),
    (b"\x00\x05AX\x01", Forward(5, 0x41, b"X\x01")),
    (b"\x00\x05ASK", Forward(5, 0x41, b"SK")),
    (b"\x00\x05AS\x01\x02", Forward(5, 0x41, b"S\x01\x02")),
    # For the programs that listen
    (b"\x00\x05\x00\x07", Forward(5, 0, b"\x07")),
    (b"\x00\x05E", Forward(5, 0x45, b"")),
    (b"\x00\x05\xc8\x07", Forward(5, 0xC8, b"\x07")),
    (b"\x00\x05", Forward(0, NO_OPCODE, b"\x00\x05")),
    (b"\x00", Forward(0, NO_OPCODE, b"\x00")),
    # Log lines that come without an address, whatever their third letter is
    (b"I (312) wifi: on", LogText("I (312) wifi: on")),
    (b"\x1b[0;32mok\x1b[0m\r\n\0", LogText("\x1b[0;32mok\x1b[0m\r\n")),
    (b"MODE", LogText("MODE")),
    (b"WRAP", LogText("WRAP")),
    (b"ok", LogText("ok")),
    (b"", Forward(0, NO_OPCODE, b"")),
]


@pytest.mark.parametrize(("payload", "message"), CASES)
def test_a_message_of_the_mesh(payload: bytes, message: UartMessage) -> None:
    assert parse(payload) == message


def test_all_that_comes_through_the_line_is_the_same_behind_it() -> None:
    line = b"".join(encode(payload) for payload, _ in CASES if payload)
    assert [parse(payload) for payload in Decoder().feed(line)] == [
        message for payload, message in CASES if payload
    ]


def test_data_that_happen_to_be_letters_are_data() -> None:
    name = DataType("Name", 0x61, 32, "text")
    payload = b"!!D" + b" " + (b"a" + b"b" * 32) * 32
    assert parse_uart(payload, OPCODES, DataTypes([name])) == NodeData(0x2121, ((name, b"b" * 32),) * 32)


@given(st.binary() | st.lists(OCTETS, max_size=40).map(bytes))
def test_whatever_comes_is_a_message(payload: bytes) -> None:
    assert isinstance(parse(payload), UartMessage)


@given(st.integers(2, 65535), st.lists(st.sampled_from(list(TYPES.by_id.values())), max_size=20), st.data())
def test_what_a_node_measures_arrives(addr: int, kinds: list[DataType], data: st.DataObject) -> None:
    values = tuple((kind, data.draw(st.binary(min_size=kind.length, max_size=kind.length))) for kind in kinds)
    body = b"".join(bytes((kind.id,)) + octets for kind, octets in values)
    payload = addr.to_bytes(2) + b"D" + bytes((len(values),)) + body
    assert parse(payload) == NodeData(addr, values)
    # Cut off anywhere, what was complete is kept.
    at = data.draw(st.integers(3, len(payload)))
    part = parse(payload[:at])
    if isinstance(part, NodeData):
        assert part.values == values[: len(part.values)]
        assert (part.problem == "") == (at == len(payload))
        assert sum(1 + kind.length for kind, _ in part.values) <= max(0, at - 4)
    else:
        assert isinstance(part, LogText)


@given(st.dictionaries(st.integers(2, 65535), st.binary(min_size=16, max_size=16), max_size=255))
def test_who_is_there_arrives(nodes: dict[int, bytes]) -> None:
    body = b"".join(addr.to_bytes(2) + uuid for addr, uuid in nodes.items())
    assert parse(b"\x00\x01\x01" + bytes((len(nodes),)) + body) == NetInfo(tuple(nodes.items()))
