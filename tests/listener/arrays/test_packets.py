"""What is asked of `/ws/stream`, and packets as text and as octets."""

import json
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.arrays import packets
from listener.arrays.packets import AskError, Packet, Wanted
from listener.query import QueryError


@pytest.mark.parametrize(
    ("message", "action", "wanted"),
    [
        ({"action": "start"}, "start", None),
        ({"action": "stop", "more": [1]}, "stop", None),
        ({"action": "ping"}, "ping", None),
        ({"action": "start", "source": "demo"}, "start", Wanted("demo", 100, 20.0)),
        ({"action": "start", "window": 7}, "start", Wanted("demo", 7, 20.0)),
        (
            {"action": "start", "source": "array:3", "window": 200, "rate": 2.5, "loop": True},
            "start",
            Wanted("array:3", 200, 2.5, True),
        ),
    ],
)
def test_what_is_asked(message: object, action: str, wanted: Wanted | None) -> None:
    assert packets.parse(json.dumps(message)) == (action, wanted)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("nonsense", "this is no JSON"),
        ("", "this is no JSON"),
        ("[1]", "Expected `object`, got `array`"),
        ("{}", "Object missing required field `action`"),
        ('{"action":1}', "Expected `str`, got `int` - at `$.action`"),
        ('{"action":"jump"}', "unknown action 'jump'; known are start, stop and ping"),
        ('{"action":"start","window":0}', "Expected `int` >= 1 - at `$.window`"),
        ('{"action":"start","window":100001}', "Expected `int` <= 100000 - at `$.window`"),
        ('{"action":"start","rate":101}', "Expected `float` <= 100.0 - at `$.rate`"),
        ('{"action":"start","window":100000,"rate":11}', "window times rate is more than 1000000"),
        (b"\x00\xff", "binary messages are not understood"),
        ('{"more":' + "[" * 5000, "this is no JSON"),
    ],
)
def test_what_cannot_be_understood_is_told(message: str | bytes, reason: str) -> None:
    with pytest.raises(AskError) as refused:
        packets.parse(message)
    assert str(refused.value).startswith(reason)


@given(st.one_of(st.text(), st.binary(), st.from_regex(r'\{"action":.*\}')))
def test_whatever_is_said_is_understood_or_refused(message: str | bytes) -> None:
    try:
        action, _ = packets.parse(message)
    except AskError:
        return
    assert action in {"start", "stop", "ping"}


@pytest.mark.parametrize(("query", "binary"), [("", False), ("format=json", False), ("format=binary", True)])
def test_the_address_says_the_form(query: str, binary: bool) -> None:
    assert packets.wants_binary(query) is binary


@pytest.mark.parametrize("query", ["format=xml", "speed=1"])
def test_of_an_address_that_is_wrong_the_parameter_is_named(query: str) -> None:
    with pytest.raises(QueryError, match=query.partition("=")[0]):
        packets.wants_binary(query)


def some(count: int, more: dict[str, Any] | None = None) -> Packet:
    x = np.arange(count, dtype=np.float64)
    return Packet(1.5, x, -x, 2**32 + 7, 3, 2**40, more)


def test_octets_are_laid_out_as_documented() -> None:
    octets = packets.binary(some(4))
    assert octets[:4] == b"LSIG"
    assert struct.unpack_from("<BBHIIdIIQ", octets, 4) == (1, 1, 40, 7, 4, 1.5, 3, 0, 2**40)
    assert np.frombuffer(octets, "<f8", 4, 40).tolist() == [0, 1, 2, 3]
    assert np.frombuffer(octets, "<f8", 4, 72).tolist() == [0, -1, -2, -3]
    assert len(octets) == 104


@pytest.mark.parametrize("count", [1, 100, 50_000])
def test_text_is_one_message_in_bounded_pieces(count: int) -> None:
    pieces = list(packets.text_pieces(some(count)))
    message = json.loads(b"".join(pieces))
    assert message == {
        "type": "data",
        "timestamp": 1.5,
        "shape": [count],
        "dtype": "float64",
        "x": list(range(count)),
        "y": [-n for n in range(count)],
    }
    assert max(map(len, pieces)) < 200_000


@pytest.mark.parametrize("points", [0, 1, 5])
def test_binary_is_read_as_it_was_written(points: int) -> None:
    wanted = some(points)
    again = packets.parse_binary(packets.binary(wanted))
    assert again.x.tolist() == wanted.x.tolist()
    assert again.y.tolist() == wanted.y.tolist()
    assert (again.timestamp, again.new, again.total) == (wanted.timestamp, wanted.new, wanted.total)
    assert again.sequence == wanted.sequence % 2**32
    again.x[:] = 1.0  # they are one's own


def test_a_longer_header_of_later_is_skipped() -> None:
    octets = bytearray(packets.binary(some(2)))
    octets[6] = 48
    octets[40:40] = b"later..."
    assert packets.parse_binary(bytes(octets)).y.tolist() == some(2).y.tolist()


@given(st.binary(max_size=120), st.integers(0, 60))
def test_what_is_no_packet_is_told(junk: bytes, keep: int) -> None:
    octets = packets.binary(some(2))[:keep] + junk
    try:
        packets.parse_binary(octets)
    except ValueError:
        return
    assert len(octets) >= packets.HEADER.size


def test_binary_takes_a_fifth_of_the_work_of_text_or_less() -> None:
    values = np.random.default_rng(1).normal(size=(2, 10_000))
    packet = Packet(1.5, values[0], values[1], more={})

    def cost_s(encode: Callable[[], object]) -> float:
        began = time.process_time()
        for _ in range(50):
            encode()
        return time.process_time() - began

    text_s, octets_s = (
        cost_s(lambda: list(packets.text_pieces(packet))),
        cost_s(lambda: packets.binary(packet)),
    )
    assert text_s > 5 * octets_s


def test_a_stream_of_ones_own_says_more() -> None:
    told = json.loads(b"".join(packets.text_pieces(some(2, {"source": "demo", "unit": ""}))))
    assert {key: told[key] for key in ("source", "unit", "sequence", "new", "total")} == {
        "source": "demo",
        "unit": "",
        "sequence": 2**32 + 7,
        "new": 3,
        "total": 2**40,
    }


def test_what_json_lacks_is_told_as_in_arrays() -> None:
    odd = np.array([np.nan, np.inf])
    assert json.loads(b"".join(packets.text_pieces(Packet(0.0, odd, odd))))["y"] == ["NaN", "Infinity"]
