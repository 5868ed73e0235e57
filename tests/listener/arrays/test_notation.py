"""Any array that numpy can save: its header is understood, and JSON has a word for all of it."""

import io
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.arrays import notation, npy, pieces
from tests.listener.arrays.strategies import any_arrays


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def telling(array: Any) -> Any:
    """In a form that can be compared: NaN is the same as NaN."""
    return np.asarray(notation.to_lists(array), dtype=object).tolist()


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")  # names that Latin-1 has no letters for
@settings(max_examples=200)
@given(any_arrays(), st.booleans())
def test_any_array_is_read_and_told_and_made_again(array: Any, is_fortran: bool) -> None:
    array = np.asfortranarray(array) if is_fortran and array.ndim else array
    octets = saved(array)
    header = npy.read_header(io.BytesIO(octets), len(octets))
    assert (header.shape, header.dtype) == (array.shape, array.dtype)
    text = b"".join(notation.json_pieces(array))
    assert msgspec.json.encode(notation.to_lists(array)) == text
    if "g" in array.dtype.str.lower():
        return  # a long double is told as a double
    again = notation.from_lists(msgspec.json.decode(text), array.shape, array.dtype)
    assert (again.shape, again.dtype) == (array.shape, array.dtype)
    assert telling(again) == telling(array)


@settings(max_examples=100)
@given(any_arrays())
def test_what_is_sent_as_npy_is_what_numpy_would_save(array: Any) -> None:
    octets = pieces.npy_header(array) + b"".join(pieces.octet_pieces(array))
    again = np.load(io.BytesIO(octets), allow_pickle=False)
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.array([1.5, np.nan, np.inf, -np.inf]), [1.5, "NaN", "Infinity", "-Infinity"]),
        (np.array([1 + 2j, complex(np.nan, 0)]), [[1.0, 2.0], ["NaN", 0.0]]),
        (np.array(["2026-11-22T01:02", "NaT"], "M8[m]"), ["2026-11-22T01:02", "NaT"]),
        (np.array([90, "NaT"], "m8[s]"), [90, "NaT"]),
        (np.array([b"a\xff"]), ["a\xff"]),
        (np.array([(1, 2.5)], [("i", "i4"), ("f", "f8")]), [[1, 2.5]]),
        (np.array([[True], [False]]), [[True], [False]]),
        (np.array(7), 7),
        (np.zeros((2, 0)), [[], []]),
        (np.array([b"\x01\x02"], "V2"), ["0102"]),
        (np.array([1, 2], ">i2"), [1, 2]),
    ],
)
def test_what_json_lacks_has_an_agreed_word(array: Any, told: object) -> None:
    assert msgspec.json.decode(b"".join(notation.json_pieces(array))) == told


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(100_000,), (3, 40_000), (50_000, 2), (2, 3, 20_000), (1, 1, 70_000)])
def test_a_large_one_comes_in_bounded_pieces(shape: tuple[int, ...], order: Any) -> None:
    array = np.asarray(np.arange(np.prod(shape), dtype=np.int32).reshape(shape), order=order)
    told = list(notation.json_pieces(array))
    assert max(map(len, told)) <= 8 * notation.PIECE_MAX
    assert msgspec.json.decode(b"".join(told)) == array.tolist()
    octets = list(pieces.octet_pieces(array.astype(np.float64)))
    assert max(map(len, octets)) <= pieces.PIECE_OCTETS
    assert b"".join(octets) == array.astype(np.float64).tobytes()


def test_of_large_records_fewer_are_told_at_once() -> None:
    array = np.zeros(64, [("samples", "f8", (8192,))])
    assert max(map(len, notation.json_pieces(array))) <= 8 * notation.PIECE_MAX
