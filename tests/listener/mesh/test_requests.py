"""What programs ask, and what they are answered."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh.requests import (
    COMMANDS,
    REQUEST_MAX,
    Refused,
    Request,
    active_count,
    data_response,
    failed,
    needed,
    net_interface,
    node_info_json,
    node_status_json,
    ok,
    parse_request,
    to_uart,
)
from listener.mesh.uart_codec import Decoder, encode

FIXED = [
    (b"NSTAT", Request("NSTAT", None, None, None, b"", b"NSTAT")),
    (b"ACT-C", Request("ACT-C", None, None, None, b"", b"ACT-C")),
    (b"NINFO", Request("NINFO", None, None, None, b"", b"NINFO")),
    (b"CLEAN", Request("CLEAN", None, None, None, b"", b"CLEAN")),
    (b"RST-R", Request("RST-R", None, None, None, b"", b"RST-R")),
    (b"NETIFA", Request("NETIF", None, None, "A", b"", b"NETIFA")),
    (b"NETIFD", Request("NETIF", None, None, "D", b"", b"NETIFD")),
    (b"NETIFN", Request("NETIF", None, None, "N", b"", b"NETIFN")),
    (b"[GET]\x00\x05\x02", Request("[GET]", 5, 2, None, b"", b"[GET]\x00\x05\x02")),
    (b"[GET]\x00\x00\xff", Request("[GET]", 0, 255, None, b"", b"[GET]\x00\x00\xff")),
]
OPEN = [
    (b"SEND-\x00\x05Phi", Request("SEND-", 5, None, None, b"Phi", b"SEND-\x00\x05Phi")),
    (b"SEND-\x01\x04", Request("SEND-", 260, None, None, b"", b"SEND-\x01\x04")),
    (b"SENDI\x00\x05\xff\xfe", Request("SENDI", 5, None, None, b"\xff\xfe", b"SENDI\x00\x05\xff\xfe")),
    (b"BCAST\x00\x00T\n", Request("BCAST", 0, None, None, b"T\n", b"BCAST\x00\x00T\n")),
    (b"STATE", Request("STATE", None, None, None, b"", b"STATE")),
    (b"STATE\x00\x05", Request("STATE", None, None, None, b"\x00\x05", b"STATE\x00\x05")),
]


@pytest.mark.parametrize(("data", "request_"), FIXED + OPEN)
def test_a_request(data: bytes, request_: Request) -> None:
    assert parse_request(data) == request_


@pytest.mark.parametrize(("data", "request_"), FIXED)
def test_a_request_that_has_a_length_is_complete_at_once_and_not_before(
    data: bytes, request_: Request
) -> None:
    assert needed(data) == len(data)
    for length in range(len(data)):
        wanted = needed(data[:length])
        assert wanted is not None
        assert length < wanted <= len(data)
        assert isinstance(parse_request(data[:length]), Refused)


@pytest.mark.parametrize(("data", "request_"), FIXED)
def test_octets_behind_it_are_ignored(data: bytes, request_: Request) -> None:
    for junk in (b"\r\n", b"\0", b"\xff" * 100_000, b"NSTAT"):
        assert needed(data + junk) == len(data)
        assert parse_request(data + junk) == request_


@pytest.mark.parametrize(("data", "request_"), OPEN)
def test_a_message_ends_where_the_client_stops(data: bytes, request_: Request) -> None:
    assert needed(data[:4]) == 5
    assert needed(data[:5]) == (None if data[:5] == b"STATE" else 7)  # its address is still to come
    assert needed(data) is None


def test_a_request_in_another_buffer_is_the_same() -> None:
    assert parse_request(bytearray(b"SEND-\x00\x05P")) == parse_request(b"SEND-\x00\x05P")
    assert needed(bytearray(b"[GET]")) == 8


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Command Too Short"),
        (b"NSTA", "Command Too Short"),
        (b"nstat", "Unknown Command nstat"),
        (b"GET / HTTP/1.1\r\n", "Unknown Command GET /"),
        (b"\xff\x00\n~!", "Unknown Command ???~!"),
        (b"NETIF", "State Missing"),
        (b"NETIFa", "State Must Be A, D Or N"),
        (b"NETIF\xff", "State Must Be A, D Or N"),
        (b"[GET]", "Node Address Or Data ID Missing"),
        (b"[GET]\x00\x05", "Node Address Or Data ID Missing"),
        (b"SEND-", "Node Address Missing"),
        (b"SENDI\x00", "Node Address Missing"),
        (b"BCAST\x00", "Node Address Missing"),
        (b"SEND-" + bytes(REQUEST_MAX - 4), "Request Too Long"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    assert parse_request(data) == Refused(reason)
    wanted = needed(data)
    assert wanted is None or wanted > len(data) or data[:5].decode("latin-1") not in COMMANDS or wanted == 6


def test_the_longest_message_passes_the_line_in_one_frame() -> None:
    data = b"SEND-\x00\x05" + b"\xff" * (REQUEST_MAX - 7)
    request = parse_request(data)
    assert isinstance(request, Request)
    assert Decoder().feed(encode(request.raw)) == [data]


@given(
    st.binary() | st.tuples(st.sampled_from(COMMANDS), st.binary()).map(lambda two: two[0].encode() + two[1])
)
def test_whatever_is_asked_is_a_request_or_refused(data: bytes) -> None:
    request = parse_request(data)
    wanted = needed(data)
    if isinstance(request, Request):
        assert data.startswith(request.raw)
        assert wanted in (None, len(request.raw))
        assert request.raw == to_uart(request.command) + data[5 : len(request.raw)]
    else:
        assert 0 < len(request.reason) < 100
        assert failed(request.reason)[2:].decode() == request.reason


@pytest.mark.parametrize(
    ("response", "octets"),
    [
        (ok(), b"S"),
        (ok(b"\x07"), b"S\x07"),
        (failed("Node Not Found"), b"F\x0eNode Not Found"),
        (failed(""), b"F\x00"),
        (failed("größer"), b"F\x06gr??er"),
        (failed("x" * 300), b"F\xff" + b"x" * 255),
        (active_count(0), b"S\x00"),
        (active_count(200), b"S\xc8"),
        (active_count(1000), b"S\xff"),
        (node_status_json([]), b'S{"node_amount":0,"node_addr_list":[],"node_status_list":[]}'),
        (node_status_json([(5, True)]), b'S{"node_amount":1,"node_addr_list":[5],"node_status_list":[1]}'),
        (
            node_status_json(iter([(5, False), (260, True)])),
            b'S{"node_amount":2,"node_addr_list":[5,260],"node_status_list":[0,1]}',
        ),
        (
            node_info_json([{"addr": 5, "unit": "°C"}]),
            'S{"node_amount":1,"nodes":[{"addr":5,"unit":"°C"}]}'.encode(),
        ),
        (net_interface([]), b"S\x00"),
        (net_interface([(5, bytes(range(16)))]), b"S\x01\x00\x05" + bytes(range(16))),
        (net_interface([(5, b""), (6, b"\x01")]), b"S\x02\x00\x05" + bytes(16) + b"\x00\x06\x01" + bytes(15)),
        (data_response(2, 2, [(5, b"\x09\x23")]), b"S\x02\x02\x01\x00\x05\x09\x23"),
        (data_response(0, 1, [(5, b"\x07"), (260, b"\x08")]), b"S\x00\x01\x02\x00\x05\x07\x01\x04\x08"),
        (data_response(0, 1, [(5, b"\x07\x08"), (6, b""), (7, b"\x09")]), b"S\x00\x01\x01\x00\x07\x09"),
        (data_response(0, 1, []), b"S\x00\x01\x00"),
    ],
)
def test_a_response(response: bytes, octets: bytes) -> None:
    assert response == octets


def test_a_count_is_one_octet_so_the_first_255_nodes_are_told() -> None:
    many = range(2, 1000)
    assert len(net_interface((addr, bytes(16)) for addr in many)) == 2 + 255 * 18
    assert data_response(0, 1, ((addr, b"\x07") for addr in many))[:7] == b"S\x00\x01\xff\x00\x02\x07"
    assert len(json.loads(node_status_json((addr, True) for addr in many)[1:])["node_addr_list"]) == 998


@pytest.mark.parametrize(("data", "request_"), FIXED + OPEN)
def test_the_module_is_told_the_request_as_it_came(data: bytes, request_: Request) -> None:
    address = None if request_.command == "[GET]" else request_.addr
    if request_.command not in ("[GET]", "NETIF"):
        assert to_uart(request_.command, address, request_.payload) == data == request_.raw
