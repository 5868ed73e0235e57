import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh import calls, requests
from listener.mesh.calls import MeshError, NobodyListens
from listener.mesh.data_types import DEFAULT, DataType

UUID = bytes(range(16))


@pytest.mark.parametrize(
    ("call", "octets"),
    [
        (calls.request("SEND-", 5, b"on"), b"SEND-\x00\x05on"),
        (calls.request("SENDI", 0x1234, "Küche", "T"), b"SENDI\x12\x34T" + "Küche".encode()),
        (calls.request("BCAST", 0, b"", 0x51), b"BCAST\x00\x00Q"),
        (calls.request("NETIF", payload="D"), b"NETIFD"),
        (calls.request("RST-R"), b"RST-R"),
    ],
)
def test_a_request_has_these_octets(call: bytes, octets: bytes) -> None:
    assert call == octets
    assert not isinstance(requests.parse_request(octets), requests.Refused)


def test_what_is_no_address_or_opcode_or_type_is_told_before_it_is_sent() -> None:
    for addr in (-1, 65536):
        with pytest.raises(ValueError, match="an address is in"):
            calls.request("SEND-", addr)
    for opcode in ("", "TT", "ü€"[1], 256, -1):
        with pytest.raises(ValueError, match="an opcode is"):
            calls.request("SEND-", 5, b"", opcode)
    for data_type in ("Colour", 256, -1):
        with pytest.raises(ValueError, match="no data type"):
            calls.find_type(DEFAULT, data_type)


def test_a_data_type_is_found_by_name_and_by_id_and_one_that_is_not_known_here_may_be_known_there() -> None:
    assert calls.find_type(DEFAULT, "Temperature") is calls.find_type(DEFAULT, 2) is DEFAULT.by_id[2]
    assert calls.find_type(DEFAULT, 77) == DataType("ID 77", 77, 0)


def test_a_message_is_an_address_an_opcode_and_a_payload() -> None:
    told = calls.message(b"\x01\x05Eecho")
    assert (told.addr, told.opcode, told.payload, told.raw) == (0x105, ord("E"), b"echo", b"\x01\x05Eecho")
    assert calls.message(b"ok").opcode == calls.NO_OPCODE


def test_a_refusal_is_an_error_with_its_reason() -> None:
    with pytest.raises(MeshError) as refused:
        calls.body(requests.failed("Node Not Found"))
    assert str(refused.value) == refused.value.reason == "Node Not Found"
    with pytest.raises(NobodyListens):
        calls.body(requests.NO_LISTENER)
    with pytest.raises(MeshError, match="no answer"):
        calls.body(b"")
    for strange in (b"HTTP/1.1 400 Bad Request", b"F"):
        with pytest.raises(MeshError, match="this is no answer of a mesh server"):
            calls.body(strange)


def test_responses_become_what_was_asked_for() -> None:
    nodes = [(5, True), (300, False)]
    assert calls.node_status(calls.body(requests.node_status_json(nodes))) == {5: True, 300: False}
    assert calls.active_count(calls.body(requests.active_count(7))) == 7
    assert calls.node_info(calls.body(requests.node_info_json([{"addr": 5}]))) == [{"addr": 5}]
    assert calls.net_interface(calls.body(requests.net_interface([(5, UUID)]))) == {5: UUID}
    told = calls.body(requests.data_response(2, 2, [(5, b"\x09\x23"), (6, b"\xff\x9c")]))
    found = calls.readings(told, DEFAULT.by_id[2])
    assert {addr: (each.value, each.unit) for addr, each in found.items()} == {
        5: (23.39, "°C"),
        6: (-1, "°C"),
    }
    (unknown,) = calls.readings(b"\x4d\x01\x01\x00\x05\x07", calls.find_type(DEFAULT, 77)).values()
    assert unknown.value == 7


@given(st.binary(max_size=60))
def test_what_cannot_be_read_is_an_error_and_nothing_worse(told: bytes) -> None:
    for read in (
        calls.body,
        calls.node_status,
        calls.active_count,
        calls.node_info,
        calls.net_interface,
        lambda octets: calls.readings(octets, DEFAULT.by_id[2]),
    ):
        with contextlib.suppress(MeshError):
            read(told)


@pytest.mark.parametrize("told", [b"[" * 100_000, b"[]", b"{}", b'{"node_addr_list":1,"node_status_list":1}'])
def test_nor_is_strange_json(told: bytes) -> None:
    for read in (calls.node_status, calls.node_info):
        with pytest.raises(MeshError, match="cannot be read"):
            read(told)
