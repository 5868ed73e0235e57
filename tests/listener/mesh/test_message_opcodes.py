"""Opcodes: those of every mesh, and a project's own."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh.data_types import DefinitionError
from listener.mesh.message_opcodes import DEFAULT, Handling, Opcode, parse

OPCODES = {
    0x00: ("custom", Handling.FORWARD, "0x00"),
    0x01: ("net_info", Handling.NET_INFO, "0x01"),
    0x02: ("node_info", Handling.NODE_INFO, "0x02"),
    0x03: ("root_reset", Handling.ROOT_RESET, "0x03"),
    0x44: ("data", Handling.DATA, "'D'"),
    0x52: ("request", Handling.FORWARD, "'R'"),
    0x45: ("echo", Handling.FORWARD, "'E'"),
    0x41: ("ack", Handling.ACK, "'A'"),
    0x54: ("test", Handling.FORWARD, "'T'"),
    0x53: ("reset", Handling.FORWARD, "'S'"),
}


def test_the_opcodes_of_every_mesh() -> None:
    assert {
        code: (opcode.name, opcode.handling, opcode.told) for code, opcode in DEFAULT.by_code.items()
    } == OPCODES
    assert {name: opcode.code for name, opcode in DEFAULT.by_name.items()} == {
        name: code for code, (name, _, _) in OPCODES.items()
    }


def test_what_is_not_in_the_table_is_forwarded() -> None:
    for code in range(256):
        assert DEFAULT.handling(code) is OPCODES.get(code, ("", Handling.FORWARD, ""))[1]


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("data", 0x44),
        ("D", 0x44),
        ("~", 0x7E),
        ("7", 0x37),
        ("0x07", 7),
        ("0xfF", 255),
        (0, 0),
        (255, 255),
        ("P", 0x50),
        ("0x", None),
        ("0x100", None),
        ("0x-1", None),
        ("0x+1", None),
        ("17", None),
        ("nothing", None),
        ("", None),
        ("é", None),
        (" ", None),
        (256, None),
        (-1, None),
        (True, None),
    ],
)
def test_an_opcode_is_found_by_its_name_letter_or_number(told: int | str, code: int | None) -> None:
    assert DEFAULT.code(told) == code


def test_a_project_adds_its_own() -> None:
    opcodes = parse('{"Alarm": "P", "Heating": 81, "Light": "0x52"}')
    assert opcodes.by_code[0x50] == opcodes.by_name["Alarm"] == Opcode("Alarm", 0x50)
    assert opcodes.by_code[0x51] == Opcode("Heating", 0x51)
    assert opcodes.by_code[0x52] == Opcode("Light", 0x52)
    assert "request" not in opcodes.by_name
    assert opcodes.handling(0x44) is Handling.DATA
    assert opcodes.code("Alarm") == 0x50
    assert len(opcodes.by_code) == len(opcodes.by_name) == len(OPCODES) + 2


def test_the_name_of_an_opcode_that_is_forwarded_may_move() -> None:
    opcodes = parse('{"test": "S", "reset": "T"}')
    assert (opcodes.code("test"), opcodes.code("reset")) == (0x53, 0x54)


def test_a_file_without_any_is_fine() -> None:
    assert parse("{}").by_code == DEFAULT.by_code


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "is no JSON"),
        ('["P"]', "is no JSON object"),
        ('{"1": "P"}', '"1": a name is'),
        ('{"Alarm": "PQ"}', "Alarm: must be a letter such as"),
        ('{"Alarm": 256}', "Alarm: must be a letter such as"),
        ('{"Alarm": null}', "Alarm: must be a letter such as"),
        ('{"Alarm": {"ID": 1}}', "Alarm: must be a letter such as"),
        ('{"Alarm": "D"}', "Alarm: 'D' is data, which is not forwarded as it is"),
        ('{"Alarm": 1}', "Alarm: 0x01 is net_info, which is not forwarded as it is"),
        ('{"data": "P"}', "data: is 'D' and 'P'"),
        ('{"test": "P"}', "test: is 'T' and 'P'"),
        ('{"Alarm": "P", "Light": 80}', "Light: 'P' is Alarm already"),
        ('{"Alarm": "P", "Alarm": "Q"}', "Alarm: is 'P' and 'Q'"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str, reason: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(text)
    assert reason in str(caught.value)


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_a_file_of_anything_is_read_or_its_mistake_is_named(given_: dict[str, object]) -> None:
    try:
        opcodes = parse(json.dumps(given_))
    except DefinitionError:
        return
    for name in given_:
        assert opcodes.by_name[name].handling is Handling.FORWARD
