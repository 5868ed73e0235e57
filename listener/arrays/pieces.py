"""An array as the octets of a .npy file, or as CSV, a bounded piece at a time.

Pure. JSON is in `notation`, and the cells of CSV are what it says there; what is a list there is one in its
cell, too.
"""

import csv
import io
import math
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from listener.arrays.notation import elements_at_once, to_lists
from listener.arrays.npy import MAGIC

Array = NDArray[Any]

PIECE_OCTETS: Final = 1024 * 1024
COLUMNS_MAX: Final = 16_384
_ALIGNED: Final = 64
_encode: Final = msgspec.json.Encoder().encode


class NoTableError(ValueError):
    """Why it cannot be told in rows and columns."""


def npy_header(array: Array) -> bytes:
    """Of one in C order, in version 1.0, or 3.0 for names that Latin-1 has no letters for."""
    described = np.lib.format.dtype_to_descr(array.dtype)
    text = f"{{'descr': {described!r}, 'fortran_order': False, 'shape': {array.shape!r}, }}"
    try:
        octets, version, length = text.encode("latin-1"), b"\x01\x00", 2
    except UnicodeEncodeError:
        octets, version, length = text.encode(), b"\x03\x00", 4
    begin = len(MAGIC) + len(version) + length
    octets += b" " * (-(begin + len(octets) + 1) % _ALIGNED) + b"\n"
    return MAGIC + version + len(octets).to_bytes(length, "little") + octets


def octet_pieces(array: Array) -> Iterator[bytes]:
    """The data of one in C order, however it lies here."""
    if array.size * array.itemsize <= PIECE_OCTETS:
        yield array.tobytes()
        return
    row = array.itemsize * math.prod(array.shape[1:])
    if row > PIECE_OCTETS and array.ndim > 1:
        for each in array:
            yield from octet_pieces(each)
        return
    step = max(1, PIECE_OCTETS // row)
    for begin in range(0, len(array), step):
        yield array[begin : begin + step].tobytes()


def csv_pieces(array: Array) -> Iterator[bytes]:
    """Raises at once."""
    names = array.dtype.names
    if array.ndim > (2 if names is None else 1):
        what = f"an array of {array.ndim} dimensions" if names is None else "such an array of records"
        raise NoTableError(f"{what} is no table; take format=json or npy")
    if array.ndim == 2 and array.shape[1] > COLUMNS_MAX:
        raise NoTableError(f"more than {COLUMNS_MAX} columns; take format=json or npy")
    return _csv_pieces(array.reshape(1) if array.ndim == 0 else array, names)


def _csv_pieces(array: Array, names: tuple[str, ...] | None) -> Iterator[bytes]:
    if names is not None:
        yield _lines([list(names)])
    is_rows = names is not None or array.ndim == 2
    width = array.shape[1] if array.ndim == 2 else 1
    step = max(1, elements_at_once(array.dtype) // max(1, width))
    for begin in range(0, len(array), step):
        rows = to_lists(array[begin : begin + step])
        yield _lines(rows if is_rows else [[value] for value in rows])


def _lines(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    return _encode(value).decode() if isinstance(value, list | bool) else value
