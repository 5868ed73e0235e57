"""Frames to named values and back; cantools is the other opinion."""

import json
import math
import struct
from typing import Any

import cantools
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.workbench.codec import Codec, EncodeError
from listener.workbench.identifiers import Identifier, identifier
from tests.listener.workbench.databases import BENCH, KCD, SYM, contents, large

MOTOR = identifier(0x100)
CELLS = identifier(0x200)
FAST = identifier(0x300)
VEHICLE = identifier(0x18FEF100, True)

CODEC = Codec([contents(BENCH)])


def oracle(text: str) -> Any:
    return cantools.database.load_string(text, "dbc")


ORACLE = oracle(BENCH)


def values(decoded: dict[str, Any] | None) -> dict[str, Any]:
    assert decoded is not None
    return {name: signal["value"] for name, signal in decoded["signals"].items()}


def test_what_is_known_of_a_signal_goes_with_its_value() -> None:
    data = struct.pack("<hBBBBBB", -1234, 0x12, 0x30, 1, 105, 0, 0)

    assert CODEC.decode(MOTOR, data) == {
        "message_name": "Motor",
        "signals": {
            "Speed": {
                "value": -123.4,
                "raw": -1234,
                "unit": "rpm",
                "scale": 0.1,
                "offset": 0,
                "min": -3000,
                "max": 3000,
            },
            "Torque": {
                "value": 45.5,
                "raw": 0x123,
                "unit": "Nm",
                "scale": 0.5,
                "offset": -100,
                "min": -100,
                "max": 1900,
            },
            "Mode": {"value": "On", "raw": 1, "scale": 1, "offset": 0, "min": 0, "max": 15},
            "Temperature": {
                "value": 65,
                "raw": 105,
                "unit": "°C",
                "scale": 1,
                "offset": -40,
                "min": -40,
                "max": 215,
            },
        },
    }


def test_a_value_without_a_text_is_a_number() -> None:
    assert values(CODEC.decode(MOTOR, bytes([0, 0, 0, 0, 9, 0, 0, 0])))["Mode"] == 9


@given(st.binary(min_size=8, max_size=8))
def test_what_cantools_decodes_is_decoded_alike(data: bytes) -> None:
    for name in ("Motor", "Vehicle"):
        message = ORACLE.get_message_by_name(name)
        expected = {
            each: str(value) if hasattr(value, "name") else value
            for each, value in message.decode(data).items()
        }

        assert values(CODEC.decode(identifier(message.frame_id, message.is_extended_frame), data)) == expected


ORDERS = st.sampled_from(["little_endian", "big_endian"])


@st.composite
def one_signal(draw: st.DrawFn) -> tuple[str, int]:
    """A message with one signal anywhere in it, and its length."""
    length = draw(st.sampled_from([8, 12, 64, 3]))
    is_float = draw(st.booleans()) and length >= 8
    bits = draw(st.sampled_from([32, 64])) if is_float else draw(st.integers(1, min(64, 8 * length)))
    first = draw(st.integers(0, 8 * length - bits))
    little = draw(st.booleans())
    start = first if little else first // 8 * 8 + 7 - first % 8
    sign = "-" if is_float or draw(st.booleans()) else "+"
    scale = draw(st.sampled_from(["1", "2", "-3", "0.1", "0.001", "1e-6", "2.5"]))
    offset = draw(st.sampled_from(["0", "-40", "0.5", "1000"]))
    text = f'BO_ 5 M: {length} A\n SG_ S : {start}|{bits}@{int(little)}{sign} ({scale},{offset}) [0|0] "" A\n'
    return text + (f"SIG_VALTYPE_ 5 S : {1 if bits == 32 else 2};\n" if is_float else ""), length


@given(one_signal(), st.data())
def test_a_signal_anywhere_is_read_as_cantools_reads_it(one: tuple[str, int], data: st.DataObject) -> None:
    text, length = one
    octets = data.draw(st.binary(min_size=length, max_size=length))
    decoded = Codec([contents(text)]).decode(Identifier(5), octets)
    expected = oracle(text).decode_message(5, octets)["S"]

    value = values(decoded)["S"]
    # Integers beyond 64 bits are floats here.
    assert value == pytest.approx(expected, rel=1e-15) if math.isfinite(expected) else value is None


@given(one_signal(), st.data())
def test_what_was_decoded_is_encoded_to_the_same_frame(one: tuple[str, int], data: st.DataObject) -> None:
    text, length = one
    codec = Codec([contents(text)])
    octets = data.draw(st.binary(min_size=length, max_size=length))
    decoded = codec.decode(Identifier(5), octets)
    assert decoded is not None
    signal = decoded["signals"]["S"]
    if signal["value"] is None or abs(signal["raw"]) > 2**50 or isinstance(signal["raw"], float):
        return  # beyond what a float can carry there and back

    again = codec.decode(Identifier(5), codec.encode("M", {"S": signal["value"]}).data)
    assert again is not None
    assert again["signals"]["S"]["raw"] == signal["raw"]


@given(st.binary(max_size=64), st.sampled_from([MOTOR, CELLS, FAST, VEHICLE]))
def test_any_data_gives_a_message_that_is_json(data: bytes, one: Identifier) -> None:
    decoded = CODEC.decode(one, data)

    assert msgspec.json.decode(msgspec.json.encode(decoded)) == decoded
    json.dumps(decoded, allow_nan=False)


def test_an_unknown_identifier_is_no_message() -> None:
    assert CODEC.decode(Identifier(0x101), bytes(8)) is None
    assert CODEC.decode(Identifier(0x101), bytes(8)) is None
    assert Codec().decode(MOTOR, bytes(8)) is None


def test_an_extended_identifier_is_another_than_the_standard_one() -> None:
    decoded = CODEC.decode(identifier(0x100, True), b"\x34\x12")

    assert decoded is not None
    assert (decoded["message_name"], values(decoded)) == ("Extended100", {"Counter": 0x1234})


# Multiplexers


def test_only_what_the_multiplexer_selects_is_decoded() -> None:
    assert values(CODEC.decode(CELLS, bytes([0, 0xE8, 3, 0xD0, 7, 0, 0, 200]))) == {
        "Page": 0, "Cell1": 1.0, "Cell2": 2.0, "Health": 100.0
    }  # fmt: skip
    assert values(CODEC.decode(CELLS, bytes([1, 0xFF, 0, 0, 0, 0, 0, 2]))) == {
        "Page": 1, "Thermistor1": -1, "Health": 1.0
    }  # fmt: skip


def test_an_unknown_multiplexer_costs_nothing_but_what_it_selects() -> None:
    decoded = CODEC.decode(CELLS, bytes([7, 0, 0, 0, 0, 0, 0, 2]))

    assert values(decoded) == {"Page": 7, "Health": 1.0}
    assert decoded is not None
    assert decoded["error"] == "multiplexer Page is 7, for which nothing is described"


def test_a_short_frame_has_the_signals_that_are_whole() -> None:
    decoded = CODEC.decode(MOTOR, b"\x0a\x00\x00")

    assert values(decoded) == {"Speed": 1.0}
    assert decoded is not None
    assert decoded["error"] == "3 octets of 8: without Torque, Mode, Temperature"


def test_an_empty_frame_is_a_message_without_signals() -> None:
    decoded = CODEC.decode(CELLS, b"")

    assert decoded is not None
    assert decoded["signals"] == {}
    assert decoded["error"] == "0 octets of 8: without Page, Health"


NESTED = """BO_ 5 Nested: 8 A
 SG_ Outer M : 0|8@1+ (1,0) [0|0] "" A
 SG_ Inner m1M : 8|8@1+ (1,0) [0|0] "" A
 SG_ Deep m3 : 16|8@1+ (1,0) [0|0] "" A
 SG_ Other m2 : 8|8@1+ (1,0) [0|0] "" A
SG_MUL_VAL_ 5 Inner Outer 1-1, 5-6;
SG_MUL_VAL_ 5 Deep Inner 3-3;
SG_MUL_VAL_ 5 Other Outer 2-2;
"""


@given(st.lists(st.sampled_from([0, 1, 2, 3, 5, 6]), min_size=3, max_size=3))
def test_multiplexers_within_multiplexers_are_followed(octets: list[int]) -> None:
    data = bytes([*octets, 0, 0, 0, 0, 0])
    decoded = Codec([contents(NESTED)]).decode(Identifier(5), data)
    assert decoded is not None
    try:
        expected = oracle(NESTED).decode_message(5, data)
    except cantools.database.DecodeError:
        assert "nothing is described" in decoded["error"]
    else:
        assert values(decoded) == expected


# CAN FD, floats, J1939


def test_a_frame_of_64_octets_is_decoded_to_its_end() -> None:
    data = struct.pack("<i", -5) + bytes(56) + struct.pack("<f", 1.5)

    assert values(CODEC.decode(FAST, data)) == {"First": -5, "Last": 1.5}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(number: float) -> None:
    decoded = CODEC.decode(FAST, bytes(60) + struct.pack("<f", number))

    assert decoded is not None
    assert decoded["signals"]["Last"] == {"value": None, "raw": None, "unit": "A", "scale": 1, "offset": 0}


def test_integers_beyond_64_bits_are_floats() -> None:
    text = 'BO_ 5 M: 64 A\n SG_ S : 0|200@1+ (1,0) [0|0] "" A\n SG_ T : 200|64@1+ (4000000000,0) [0|0] "" A'
    decoded = Codec([contents(text)]).decode(Identifier(5), b"\xff" * 64)

    assert values(msgspec.json.decode(msgspec.json.encode(decoded))) == {
        "S": pytest.approx(2.0**200), "T": pytest.approx(2.0**64 * 4e9)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0x18FEF100, "Vehicle"),
        (0x18FEF1FE, "Vehicle"),  # another source
        (0x0CFEF121, "Vehicle"),  # another priority
        (0x18FEF200, None),  # another parameter group
    ],
)
def test_a_j1939_message_is_known_by_its_parameter_group(number: int, name: str | None) -> None:
    assert CODEC.name_of(identifier(number, True)) == name


def test_of_several_sources_the_right_one_is_taken() -> None:
    text = "".join(
        f'BO_ {2**31 + number} {name}: 8 A\n SG_ S_{name} : 0|8@1+ (1,0) [0|0] "" A\n\n'
        for number, name in [(0x18EA0000, "Any"), (0x18EA0003, "FromThree"), (0x18EA00FE, "Null")]
    )
    codec = Codec([contents(text + 'BA_DEF_ "ProtocolType" STRING;\nBA_ "ProtocolType" "J1939";\n')])
    named = {
        number: codec.name_of(identifier(number, True)) for number in (0x18EA2103, 0x18EA2100, 0x18EA2177)
    }

    assert named == {0x18EA2103: "FromThree", 0x18EA2100: "Any", 0x18EA2177: "Null"}


# Several files


def test_the_file_that_was_loaded_last_speaks() -> None:
    other = contents('BO_ 256 Other: 1 A\n SG_ S : 0|8@1+ (1,0) [0|0] "" A', name="other.dbc")
    codec = Codec([contents(BENCH), other])

    assert (codec.name_of(MOTOR), codec.name_of(CELLS)) == ("Other", "Cells")
    version = codec.version
    codec.replace([contents(BENCH)])
    assert (codec.name_of(MOTOR), codec.version > version) == ("Motor", True)


def test_a_bus_of_noise_does_not_fill_the_memory() -> None:
    codec = Codec([contents(BENCH)])
    for number in range(20_000):
        codec.decode(identifier(number, True), b"")

    assert len(codec._known) <= 16_384


def test_kcd_and_sym_are_read_as_well() -> None:
    codec = Codec([contents(KCD, "kcd", "b.kcd"), contents(SYM, "sym", "b.sym")])

    assert values(codec.decode(identifier(0x321), b"\xe8\x03\0\0")) == {"Oil": 9.0}
    assert values(codec.decode(identifier(0x123), b"\x03\0\0\0\0\0\0\0")) == {"Current": 1.5}
    assert (codec.cycle_time_s(identifier(0x321)), codec.cycle_time_s(identifier(0x123))) == (0.1, 0.05)


def test_cycle_times_are_told_where_there_are_any() -> None:
    assert (CODEC.cycle_time_s(MOTOR), CODEC.cycle_time_s(CELLS), CODEC.cycle_time_s(Identifier(1))) == (
        0.02,
        None,
        None,
    )


# To the bus


def test_a_message_is_encoded_from_its_values() -> None:
    encoded = CODEC.encode("Motor", {"Speed": -123.4, "Torque": 45.5, "Mode": "On", "Temperature": 65})

    assert encoded == (MOTOR, struct.pack("<hBBBBBB", -1234, 0x12, 0x30, 1, 105, 0, 0), False)


def test_what_is_not_given_is_its_initial_value_or_zero() -> None:
    decoded = CODEC.decode(MOTOR, CODEC.encode("Motor", {}).data)

    assert values(decoded) == {"Speed": 0, "Torque": 0.0, "Mode": "Off", "Temperature": 25}


def test_zero_is_what_is_nearest_to_it_in_the_range() -> None:
    ranges = {"A": "0|8@1+ (1,0) [5|9]", "B": "8|8@1- (1,0) [-9|-5]", "C": "16|8@1+ (0,0) [0|0]"}
    text = "\n".join(["BO_ 5 M: 8 A", *(f' SG_ {name} : {each} "" A' for name, each in ranges.items())])
    codec = Codec([contents(text)])

    assert values(codec.decode(Identifier(5), codec.encode("M", {}).data)) == {"A": 5, "B": -5, "C": 0}


def test_an_fd_message_has_a_length_that_can_fd_knows() -> None:
    text = 'BO_ 5 M: 9 A\n SG_ S : 64|8@1+ (1,0) [0|0] "" A'
    encoded = Codec([contents(text)]).encode("M", {"S": 1})

    assert (len(encoded.data), encoded.data[8], encoded.is_fd) == (12, 1, True)
    assert CODEC.encode("Fast", {"Last": 1.5}) == (FAST, bytes(60) + struct.pack("<f", 1.5), True)
    assert CODEC.encode("Vehicle", {"VehicleSpeed": 100}).identifier == VEHICLE


@pytest.mark.parametrize(
    ("message", "signals", "problems"),
    [
        ("Motr", {}, ["there is no message 'Motr', did you mean 'Motor'?"]),
        ("Motor", {"Sped": 1}, ["Motor has no signal 'Sped', did you mean 'Speed'?"]),
        ("Motor", {"Speed": 3000.2, "Torque": -101},
         ["Speed: 3000.2 is above 3000", "Torque: -101 is below -100"]),
        ("Motor", {"Mode": "Of"}, ["Mode: 'Of' is none of its values, did you mean 'Off'?"]),
        ("Motor", {"Mode": "wat"}, ["Mode: 'wat' is none of its values; there are 'Fault', 'On', 'Off'"]),
        ("Motor", {"Speed": "1"}, ["Speed: '1' is none of its values: a number is wanted"]),
        ("Motor", {"Speed": math.nan}, ["Speed: it is not a finite number"]),
        ("Motor", {"Speed": 10**400}, ["Speed: it is not a finite number"]),
        ("Fast", {"First": 2**31}, ["First: 2147483648 does not fit into 32 bits, -2147483648…2147483647"]),
        ("Fast", {"Last": 1e39}, ["Last: 1e+39 does not fit into a float of 32 bits"]),
        ("Cells", {"Page": 1, "Cell1": 1.0}, ["Cell1 is sent only while Page is 0; it is 1"]),
        ("Cells", {"Thermistor1": 1, "Cell1": 1.0}, ["Page: it cannot select all of these signals at once"]),
    ],
)  # fmt: skip
def test_each_mistake_is_told(message: str, signals: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(message, signals)

    assert list(caught.value.problems)[: len(problems)] == problems
    assert caught.value.kind == ("unknown_message" if message == "Motr" else "bad_signals")


def test_what_is_given_selects_the_page() -> None:
    assert CODEC.encode("Cells", {"Thermistor1": -1}).data[:2] == b"\x01\xff"
    assert CODEC.encode("Cells", {"Cell2": 2.0}).data[0] == 0
    nested = Codec([contents(NESTED)])
    assert nested.encode("Nested", {"Deep": 7}).data[:3] == b"\x01\x03\x07"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "Speed": st.floats(-3000, 3000),
            "Torque": st.integers(-100, 1900),
            "Mode": st.sampled_from(["Off", "On", "Fault"]),
            "Temperature": st.integers(-40, 215),
        },
    )
)
def test_what_cantools_encodes_is_encoded_alike(signals: dict[str, Any]) -> None:
    full = {"Speed": 0, "Torque": 0, "Mode": "Off", "Temperature": 25, **signals}

    assert CODEC.encode("Motor", signals).data == ORACLE.encode_message("Motor", full)


@given(
    st.dictionaries(
        st.sampled_from(["Speed", "Mode", "Page", "Cell1", "Last", "x"]),
        st.integers() | st.floats() | st.text(),
    )
)
def test_any_values_give_a_frame_or_an_error(signals: dict[str, Any]) -> None:
    for message in ("Motor", "Cells", "Fast"):
        try:
            assert len(CODEC.encode(message, signals).data) in (8, 64)
        except EncodeError as exc:
            assert all(exc.problems)  # noqa: PT017


def test_messages_longer_than_a_frame_cannot_be_sent_but_decoded() -> None:
    text = BENCH.replace("BO_ 2566844672 Vehicle: 8", "BO_ 2566844672 Vehicle: 20")
    codec = Codec([contents(text)])

    assert values(codec.decode(VEHICLE, bytes(8))) == {"VehicleSpeed": 0.0}
    with pytest.raises(EncodeError, match="Vehicle is 20 octets long: more than one frame"):
        codec.encode("Vehicle", {})


def test_signals_that_cannot_be_sent_are_told() -> None:
    rows = ['A : 60|8@1+ (1,0) [0|0] "" A', 'B : 0|8@1+ (0,0) [0|0] "" A']
    codec = Codec([contents("\n SG_ ".join(["BO_ 5 M: 8 A", *rows]))])

    assert values(codec.decode(Identifier(5), bytes(8))) == {"B": 0}
    with pytest.raises(EncodeError) as caught:
        codec.encode("M", {"B": 1})
    assert caught.value.problems == (
        "B: its scale is 0: no value can be sent",
        "A: it does not fit into 8 octets",
    )


# What is told of them


def test_messages_are_described() -> None:
    messages = {message["name"]: message for message in CODEC.messages()}
    motor = messages["Motor"]
    signals = {signal["name"]: signal for signal in motor["signals"]}

    assert {key: motor[key] for key in ("frame_id", "is_extended", "dlc", "length", "signal_count")} == {
        "frame_id": 256, "is_extended": False, "dlc": 8, "length": 8, "signal_count": 4
    }  # fmt: skip
    assert (motor["cycle_time_ms"], motor["comment"], motor["senders"], motor["file"]) == (
        20, "What the inverter measures", ["Inverter"], "bench.dbc"
    )  # fmt: skip
    keys = ("start_bit", "length", "byte_order", "scale", "offset")
    assert {key: signals["Torque"][key] for key in keys} == {
        "start_bit": 23, "length": 12, "byte_order": "big_endian", "scale": 0.5, "offset": -100
    }  # fmt: skip
    assert signals["Mode"]["choices"] == {"0": "Off", "1": "On", "2": "Fault"}
    assert (messages["Vehicle"]["protocol"], messages["Vehicle"]["frame_id"]) == ("j1939", 0x18FEF100)
    assert (messages["Fast"]["is_fd"], messages["Extended100"]["is_extended"]) == (True, True)
    json.dumps(CODEC.messages(), allow_nan=False)


def test_a_large_file_is_no_slower_to_ask() -> None:
    codec = Codec([contents(large(500))])

    assert values(codec.decode(identifier(499, True), b"\x01" + bytes(7)))["S499_0"] == pytest.approx(0.1)
