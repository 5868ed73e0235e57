"""Data types: numbers behind octets, and a project's file of them."""

import contextlib
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh.data_types import DEFAULT, DataType, DataTypes, DefinitionError, parse

KINDS = ["auto", "uint", "int", "float", "text", "hex"]


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (DataType("Sequence", 0, 1), "07", 7),
        (DataType("x", 0, 8), "ff" * 8, 2**64 - 1),
        (DataType("x", 0, 9), "00" * 8 + "0a", "00000000000000000a"),
        (DataType("x", 0, 2, "int"), "fffe", -2),
        (DataType("x", 0, 2, "int", 0.01, 0, "°C"), "0923", 23.39),
        (DataType("x", 0, 2, "int", 0.01, 0, "°C"), "fda8", -6.0),
        (DataType("x", 0, 2, "uint", 0.01, -273.15, "°C"), "73c3", 23.2),
        (DataType("x", 0, 3, "uint", 0.1), "000003", 0.3),
        (DataType("x", 0, 2, "float"), "3e00", 1.5),
        (DataType("x", 0, 4, "float", 2, 1), "3fc00000", 4.0),
        (DataType("x", 0, 8, "float"), "3ff8000000000000", 1.5),
        (DataType("x", 0, 4, "float"), "7fc00000", None),
        (DataType("x", 0, 4, "float"), "ff800000", None),
        (DataType("x", 0, 4, "float", 1e100), "7f7fffff", 3.4028234663852886e138),
        (DataType("x", 0, 8, "float", 1e100), "7fefffffffffffff", None),
        (DataType("x", 0, 8, "text"), b"M\xc3\xbchle\0\0".hex(), "Mühle"),
        (DataType("x", 0, 3, "text"), "61ff62", "a\N{REPLACEMENT CHARACTER}b"),
        (DataType("x", 0, 6, "hex"), "0102030405ff", "0102030405ff"),
        (DataType("x", 0, 2), "07", None),
        (DataType("x", 0, 2), "", None),
    ],
)
def test_the_value_of_octets(kind: DataType, data: str, value: object) -> None:
    assert kind.value(bytes.fromhex(data)) == value


@given(
    st.builds(
        lambda kind, length, scale, offset: DataType("x", 0, length, kind, scale, offset),
        st.sampled_from(["auto", "uint", "int", "text", "hex"]),
        st.integers(1, 255),
        st.floats(-1e100, 1e100),
        st.floats(-1e100, 1e100),
    )
    | st.builds(
        lambda length, scale: DataType("x", 0, length, "float", scale),
        st.sampled_from([2, 4, 8]),
        st.floats(-1e100, 1e100),
    ),
    st.data(),
)
def test_every_octets_have_a_value_that_json_has_a_word_for(kind: DataType, data: st.DataObject) -> None:
    octets = data.draw(st.binary(min_size=kind.length, max_size=kind.length) | st.binary(max_size=9))
    json.dumps(kind.value(octets), allow_nan=False)


@given(st.integers(-(2**15), 2**15 - 1))
def test_a_temperature_in_hundredths_has_two_decimals(hundredths: int) -> None:
    value = DEFAULT.by_name["Temperature"].value(hundredths.to_bytes(2, signed=True))
    assert value == hundredths / 100


@given(st.floats(width=32))
def test_a_float_is_that_float(number: float) -> None:
    value = DataType("x", 0, 4, "float").value(struct.pack(">f", number))
    assert value == (number if math.isfinite(number) else None)


def test_the_usual_types_are_there_without_a_file() -> None:
    assert [(kind.name, kind.id, kind.length) for kind in DEFAULT.by_id.values()] == [
        ("Sequence", 0, 1),
        ("GPS", 1, 6),
        ("Temperature", 2, 2),
        ("Pressure", 3, 4),
        ("Battery", 4, 2),
        ("Humidity", 5, 2),
    ]
    assert DEFAULT.by_name["Battery"].value(b"\x0c\xe4") == 3.3
    assert DEFAULT.by_name["GPS"].value(bytes(6)) == "000000000000"


def test_a_type_is_found_by_its_name_or_its_id() -> None:
    assert DEFAULT.find("Pressure") is DEFAULT.find("3") is DEFAULT.by_id[3]
    for unknown in ("pressure", "", "6", "-1", "3000", "²", "٣٤"):
        assert DEFAULT.find(unknown) is None


def test_a_file_as_the_field_has_it() -> None:
    types = parse('{"Sequence":{"ID":0,"Length":1},"GPS":{"ID":1,"Length":6}}')
    assert types.by_name == {"Sequence": DataType("Sequence", 0, 1), "GPS": DataType("GPS", 1, 6)}
    assert types.by_id == {0: DataType("Sequence", 0, 1), 1: DataType("GPS", 1, 6)}


def test_a_file_with_everything() -> None:
    text = {
        "Cabin temperature": {
            "ID": 255,
            "Length": 2,
            "Kind": "int",
            "Scale": 0.01,
            "Offset": -1,
            "Unit": "°C",
        }
    }
    types = parse(json.dumps(text).encode("utf-8-sig"))
    assert types.by_id[255] == DataType("Cabin temperature", 255, 2, "int", 0.01, -1.0, "°C")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"A": {"ID": 0, "Length": 1, "Scale": NaN}}', "NaN is no number"),
        ("[]", "is no JSON object"),
        ("7", "is no JSON object"),
        ('{"": {}}', '"": a name is 1 to 64 letters'),
        ('{"7": {}}', '"7": a name is 1 to 64 letters'),
        ('{"a/b": {}}', '"a/b": a name is 1 to 64 letters'),
        ('{"a\\n": {}}', "a name is 1 to 64 letters"),
        ('{"A": 7}', "A: is not an object such as"),
        ('{"A": {"Length": 1}}', "A: ID is missing"),
        ('{"A": {"ID": 1}}', "A: Length is missing"),
        ('{"A": {"ID": 1, "Lenght": 1}}', 'A: unknown key "Lenght", did you mean "Length"?'),
        ('{"A": {"ID": 1, "ID": 2, "Length": 1}}', "A: ID is given twice"),
        ('{"A": {"ID": 256, "Length": 1}}', "A: ID must be a whole number from 0 to 255"),
        ('{"A": {"ID": -1, "Length": 1}}', "A: ID must be a whole number from 0 to 255"),
        ('{"A": {"ID": true, "Length": 1}}', "A: ID must be a whole number from 0 to 255"),
        ('{"A": {"ID": 1.0, "Length": 1}}', "A: ID must be a whole number from 0 to 255"),
        ('{"A": {"ID": 1, "Length": 0}}', "A: Length must be a whole number from 1 to 255"),
        ('{"A": {"ID": 1, "Length": "1"}}', "A: Length must be a whole number from 1 to 255"),
        ('{"A": {"ID": 1, "Length": 1, "Kind": "bool"}}', f"A: Kind must be one of {', '.join(KINDS)}"),
        ('{"A": {"ID": 1, "Length": 1, "Kind": []}}', "A: Kind must be one of"),
        ('{"A": {"ID": 1, "Length": 1, "Scale": 0}}', "A: Scale must be a number other than 0"),
        ('{"A": {"ID": 1, "Length": 1, "Scale": 1e999}}', "A: Scale must be a number"),
        ('{"A": {"ID": 1, "Length": 1, "Scale": true}}', "A: Scale must be a number"),
        ('{"A": {"ID": 1, "Length": 1, "Offset": "1"}}', "A: Offset must be a number"),
        ('{"A": {"ID": 1, "Length": 1, "Unit": 1}}', "A: Unit must be a text of up to 16 letters"),
        ('{"A": {"ID": 1, "Length": 1, "Unit": "\\n"}}', "A: Unit must be a text of up to 16 letters"),
        ('{"A": {"ID": 1, "Length": 3, "Kind": "float"}}', "A: Length must be 2, 4 or 8 for float"),
        ('{"A": {"ID": 1, "Length": 9, "Kind": "int"}}', "A: Length must be 1 to 8 for int"),
        ('{"A": {"ID": 1, "Length": 9, "Kind": "uint"}}', "A: Length must be 1 to 8 for uint"),
        ('{"A": {"ID": 1, "Length": 9, "Kind": "text", "Scale": 2}}', "A: Scale is for numbers"),
        ('{"A": {"ID": 1, "Length": 9, "Offset": 2}}', "A: Offset is for numbers"),
        ('{"A": {"ID": 1, "Length": 1}, "A": {"ID": 2, "Length": 1}}', "A is defined twice"),
        ('{"A": {"ID": 1, "Length": 1}, "B": {"ID": 1, "Length": 2}}', "B: ID 1 is that of A"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str | bytes, reason: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.binary() | st.text())
def test_a_file_of_anything_is_read_or_its_mistake_is_named(text: bytes | str) -> None:
    with contextlib.suppress(DefinitionError):
        assert isinstance(parse(text), DataTypes)
