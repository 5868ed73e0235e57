import io
from typing import Any

import numpy as np
import pytest

from listener.arrays import calls
from listener.arrays.calls import ArraysError, Incoming, Server
from tests.listener.arrays.benches import array_of, octets_of


@pytest.mark.parametrize(
    ("given", "http", "live"),
    [
        ("http://bench:8000", "http://bench:8000", "ws://bench:8000/ws/stream"),
        ("http://bench:8000/", "http://bench:8000", "ws://bench:8000/ws/stream"),
        ("bench:8000", "http://bench:8000", "ws://bench:8000/ws/stream"),
        ("bench", "http://bench", "ws://bench/ws/stream"),
        ("https://hall/les02/", "https://hall/les02", "wss://hall/les02/ws/stream"),
        ("http://[::1]:8000", "http://[::1]:8000", "ws://[::1]:8000/ws/stream"),
    ],
)
def test_an_address_is_one_for_both(given: str, http: str, live: str) -> None:
    server = Server(given)
    assert server.url == http
    assert server.stream_url(binary=False) == live
    assert server.stream_url(binary=True) == f"{live}?format=binary"


@pytest.mark.parametrize("given", ["", "ftp://bench", "http://bench:x", "http://", "http://bench/?a=1"])
def test_what_is_no_address_is_told(given: str) -> None:
    with pytest.raises(ArraysError):
        Server(given)


def test_only_this_computer_is_reached_around_a_proxy() -> None:
    assert Server("localhost:8000").is_here
    assert not Server("liftbench.local:8000").is_here


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24)[::3],
        np.array(7, ">i2"),
        np.empty((0, 3)),
        np.array(["a", "µ"]),
        np.ones((3, 400_000))[:, ::2],
    ],
)
def test_pieces_are_the_file_that_numpy_reads(array: Any) -> None:
    size, pieces = calls.npy_pieces(array)
    octets = b"".join(pieces)
    assert len(octets) == size
    again = array_of(octets)
    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_python_objects_are_never_sent() -> None:
    with pytest.raises(ArraysError, match="Python objects"):
        calls.npy_pieces(np.array([None]))


def test_what_a_mask_hides_is_not_sent_as_if_it_were_there() -> None:
    with pytest.raises(ArraysError, match="it has a mask"):
        calls.npy_pieces(np.ma.array([1.0, 2.0], mask=[False, True]))


def test_a_name_cannot_end_the_body_that_it_stands_in() -> None:
    boundary = calls.upload_type().partition("boundary=")[2]
    head, tail = calls.upload_ends(f"a\r\n--{boundary}--\r\n")
    assert (head + tail).count(boundary.encode()) == 3


@pytest.mark.parametrize("token", ["ü", "a\nb", "☃"])
def test_a_token_that_no_header_can_carry_is_told(token: str) -> None:
    with pytest.raises(ArraysError, match="this token has letters"):
        calls.bearer(token)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_what_comes_in_pieces_is_an_array_of_its_own(step: int) -> None:
    wanted = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    octets = octets_of(wanted)
    incoming = Incoming(len(octets))
    for begin in range(0, len(octets), step):
        incoming.feed(octets[begin : begin + step])
    array = incoming.array()
    array[0, 0] = 5.0
    assert array[0].tolist() == [5.0, 1.0, 2.0, 3.0]


def test_what_is_no_whole_array_is_told() -> None:
    octets = octets_of(np.arange(3))
    incoming = Incoming(len(octets))
    incoming.feed(octets[:-1])
    with pytest.raises(ArraysError, match="cut off"):
        incoming.array()
    with pytest.raises(ArraysError, match="more has come"):
        incoming.feed(b"xx")
    file = io.BytesIO()
    np.save(file, np.array([None]), allow_pickle=True)
    incoming = Incoming(len(file.getvalue()))
    incoming.feed(file.getvalue())
    with pytest.raises(ArraysError, match="never read"):
        incoming.array()


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (None, ""),
        ("3:", "3:"),
        (slice(None), ":"),
        (slice(1, 5), "1:5"),
        (slice(-9, None, 2), "-9::2"),
        (slice(np.int64(3)), ":3"),
    ],
)
def test_rows_are_a_slice_or_its_text(rows: Any, text: str) -> None:
    assert calls.slice_text(rows) == text


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"status":"error","message":"Array not found","detail":"x"}', "Array not found"),
        (b'{"detail":"a token is needed"}', "a token is needed"),
        (b'{"detail":[{"loc":["query","rows"],"msg":"is no slice"}]}', "rows: is no slice"),
        (b"Bad Gateway", "Bad Gateway"),
        (b"[1]", "[1]"),
        (b"{}", "HTTP 502"),
        (b"", "HTTP 502"),
    ],
)
def test_trouble_is_a_sentence(body: bytes, sentence: str) -> None:
    error = calls.trouble(502, body)
    assert (str(error), error.status) == (sentence, 502)


def test_a_ride_is_arrays_by_name() -> None:
    arrays = calls.ride_arrays(
        {
            "ride": {"start_ts": 100.5, "resolution_mm": 0.5},
            "curve": {
                "offsets_us": [0, 20_000],
                "position_mm": [1, 2],
                "velocity_mm_s": [3, 4],
                "acceleration_mm_s2": [5, 6],
            },
            "samples": {"master": [[-4000, 0], [10, 12]]},
            "signals": {"a.B.C": {"unit": "bar", "offsets_us": [1000], "values": [2.5], "words": {}}},
        }
    )
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "start_ts": 100.5,
        "time_s": [0.0, 0.02],
        "position_mm": [1.0, 2.0],
        "velocity_mm_s": [3.0, 4.0],
        "acceleration_mm_s2": [5.0, 6.0],
        "master.time_s": [-0.004, 0.0],
        "master.position_mm": [5.0, 6.0],
        "a.B.C.time_s": [0.001],
        "a.B.C": [2.5],
    }
    empty = calls.ride_arrays({"ride": {"start_ts": 1.0}, "curve": None})
    assert empty["velocity_mm_s"].size == 0
