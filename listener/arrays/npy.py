"""The header of a .npy file, checked before anything of the data is believed.

numpy reads such a header as well, but trusts what it says of the size; and what it makes of an odd one is
any exception at all. Nothing is ever unpickled.
"""

import ast
import math
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib.format import descr_to_dtype

MAGIC: Final = b"\x93NUMPY"
_LENGTH_OCTETS: Final = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
# numpy's own bound: larger ones are slow to parse.
HEADER_MAX: Final = 10_000
DIMENSIONS_MAX: Final = 32
# Elements of no size cost nothing in the file, and time wherever they are counted.
ELEMENTS_MAX: Final = 2**40
EMPTY_MAX: Final = 100_000
# Of one element, which is told in one piece.
ELEMENT_OCTETS_MAX: Final = 1024 * 1024
ELEMENT_PARTS_MAX: Final = 100_000


class NpyError(ValueError):
    """Why this is no array that we take."""


@dataclass(frozen=True, slots=True)
class Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    offset: int  # of the data
    size: int  # of the data, in octets


def read_header(file: BinaryIO, length: int | None) -> Header:
    """`length` is that of the whole file, which has to be as long as the header says; None: not known yet."""
    magic = file.read(len(MAGIC) + 2)
    if not magic.startswith(MAGIC):
        raise NpyError(_what(magic))
    version = (magic[6], magic[7]) if len(magic) == 8 else None
    if version not in _LENGTH_OCTETS:
        raise NpyError(f"a .npy file of an unknown version {version}")
    octets = _LENGTH_OCTETS[version]
    header_length = int.from_bytes(file.read(octets), "little")
    if header_length > HEADER_MAX:
        raise NpyError(f"its header is {header_length} octets long, more than {HEADER_MAX}")
    text = file.read(header_length)
    if len(text) < header_length:
        raise NpyError("it ends in the middle of its header")
    shape, dtype, is_fortran = _parse(text, "utf-8" if version == (3, 0) else "latin-1")
    offset = len(MAGIC) + 2 + octets + header_length
    size = dtype.itemsize * math.prod(shape)
    if length is not None and offset + size != length:
        raise NpyError(f"its header promises {size} octets of data, there are {length - offset}")
    return Header(shape, dtype, is_fortran, offset, size)


def _what(begin: bytes) -> str:
    if begin.startswith(b"PK"):
        return "a zip file, perhaps .npz: upload its arrays one by one, each as .npy"
    if begin.startswith(b"\x80"):
        return "a pickle, which is never read"
    return "not a .npy file"


def _parse(text: bytes, encoding: str) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    try:
        found = ast.literal_eval(text.decode(encoding))
    # Whatever Python's parser makes of hostile text.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as exc:
        raise NpyError("its header cannot be read") from exc
    if not isinstance(found, dict) or found.keys() != {"descr", "fortran_order", "shape"}:
        raise NpyError("its header has other entries than descr, fortran_order and shape")
    shape, is_fortran = found["shape"], found["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(each) is int and each >= 0 for each in shape):
        raise NpyError("its shape is not one")
    if len(shape) > DIMENSIONS_MAX:
        raise NpyError(f"it has {len(shape)} dimensions, more than {DIMENSIONS_MAX}")
    if not isinstance(is_fortran, bool):
        raise NpyError("fortran_order is neither True nor False")
    dtype = _dtype(found["descr"])
    if dtype.itemsize > ELEMENT_OCTETS_MAX or parts_of(dtype) > ELEMENT_PARTS_MAX:
        raise NpyError("one of its elements is too large")
    # Without the empty dimensions, too: somebody may walk along the others.
    elements = math.prod(each for each in shape if each)
    has_data = dtype.itemsize and math.prod(shape)
    if elements > (ELEMENTS_MAX if has_data else EMPTY_MAX):
        raise NpyError(f"{elements} elements are too many")
    return shape, dtype, is_fortran


def _dtype(descr: Any) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = descr_to_dtype(descr)
    except Exception as exc:  # numpy raises anything
        raise NpyError("its dtype is unknown") from exc
    if dtype.subdtype is not None:  # numpy would make more dimensions of it, and never writes it
        raise NpyError("its dtype is an array itself")
    if dtype.hasobject:
        raise NpyError("it holds Python objects, which are pickles, and these are never read")
    return dtype


def parts_of(dtype: np.dtype[Any]) -> int:
    """How many values stand in one element: more than one in a record."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return math.prod(shape) * parts_of(base)
    if dtype.names is None:
        return 1
    return 1 + sum(parts_of(dtype[name]) for name in dtype.names)
