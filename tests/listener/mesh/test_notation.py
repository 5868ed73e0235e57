"""How nodes, values and traffic are told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh import notation
from listener.mesh.data_types import DEFAULT, DataType, DataTypes
from listener.mesh.node import Node

TEMPERATURE = DEFAULT.by_name["Temperature"]


def test_a_node_is_told_with_its_last_values() -> None:
    node = Node(5, bytes(range(16)))
    node.heard(1000.0, 10.0)
    node.store("Temperature", b"\x09\x22", 999.0)
    node.store("Temperature", b"\x09\x23", 1000.0)
    node.store("Of another configuration", b"1", 1000.0)
    assert notation.node(node, DEFAULT, 1000.5, 10.5) == {
        "addr": 5,
        "name": "Node-5",
        "uuid": "000102030405060708090a0b0c0d0e0f",
        "status": 1,
        "state": "active",
        "last_seen": 1000.0,
        "age_s": 0.5,
        "data": {"Temperature": {"id": 2, "ts": 1000.0, "raw": "0923", "value": 23.39, "unit": "°C"}},
    }


def test_a_node_that_was_never_heard_is_told_without_a_time() -> None:
    told = notation.node(Node(6), DEFAULT, 1000.0, 10.0)
    assert (told["last_seen"], told["age_s"], told["state"], told["uuid"]) == (None, None, "disconnected", "")
    assert notation.node_info(Node(6), 1000.0, 10.0) == {
        "addr": 6,
        "name": "Node-6",
        "uuid": "",
        "status": 3,
        "age_s": None,
        "data_types": [],
    }


def test_a_history_is_told_oldest_first() -> None:
    node = Node(5)
    node.store("Temperature", b"\x00\x64", 1.0)
    node.store("Temperature", b"\xff\x9c", 2.0)
    assert notation.history(5, TEMPERATURE, node.history("Temperature")) == {
        "addr": 5,
        "type": "Temperature",
        "id": 2,
        "length": 2,
        "unit": "°C",
        "values": [
            {"ts": 1.0, "raw": "0064", "value": 1.0},
            {"ts": 2.0, "raw": "ff9c", "value": -1.0},
        ],
    }


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", ""),
        (b"hi", "'hi'"),
        (b"online\n", "'online'"),
        (b"hi\0", "'hi'"),
        (b"\x01\xff", "01 ff"),
        (b"\0", "00"),
        (b"a" * 257, f"'{'a' * 256}' … (257 octets)"),
        (bytes(300), f"{'00 ' * 255}00 … (300 octets)"),
    ],
)
def test_octets_are_text_where_they_are_text(data: bytes, told: str) -> None:
    assert notation.octets(data) == told


def test_what_is_measured_is_said_with_its_unit() -> None:
    plain = DataTypes([DataType("Level", 9, 1)]).by_name["Level"]
    values = notation.values([(TEMPERATURE, b"\x09\x23"), (plain, b"\x07")])
    assert notation.measured(values) == "Temperature 23.39 °C, Level 7"
    assert notation.measured({}) == "nothing"


def test_the_root_has_a_name_of_its_own() -> None:
    assert [notation.name_of(addr) for addr in (0, 1, 5)] == ["root", "root", "Node-5"]


def test_monitoring_pages_are_told_in_the_words_of_the_field() -> None:
    here, gone = Node(5), Node(6)
    here.heard(1.0, 1.0)
    assert notation.network_status([here, gone]) == {
        "type": "networkStatus",
        "status": "nodeStatus",
        "nodes": [{"name": "Node-5", "status": "normal"}, {"name": "Node-6", "status": "error"}],
    }
    assert notation.traffic_log("Node-5 connected") == {"type": "trafficLog", "message": "Node-5 connected"}
    assert [notation.connection_status(count, "silent")["socket"] for count in (0, 1, 2)] == [
        "disconnected",
        "connected",
        "connected",
    ]


@given(st.binary(max_size=2000))
def test_a_line_is_short_and_json_whatever_was_said(raw: bytes) -> None:
    line = notation.line(1.0, "up", 5, notation.octets(raw), raw)
    assert len(json.dumps(line)) < 5000
    assert bytes.fromhex(line["raw"]) == raw[: notation.RAW_MAX]


@given(st.sampled_from(list(DEFAULT.by_id.values())), st.binary(max_size=9))
def test_any_octets_of_a_type_are_json(data_type: DataType, data: bytes) -> None:
    json.dumps(notation.value(data_type, data), allow_nan=False)
