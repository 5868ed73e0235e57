"""Arrays in JSON, and how that is said for which JSON has no word.

Pure: an array in, lists out, and back. As lists nested like the array, of

- numbers, true and false; NaN and infinities as "NaN", "Infinity", "-Infinity"
- complex numbers as [real, imaginary]
- moments as ISO 8601 text, spans as whole numbers of the dtype's unit; "NaT" for what is neither
- text as text; octets (`S`) as text in Latin-1, others (`V`) as hexadecimal digits
- records as lists of their fields

A long double is told as a double.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from listener.arrays.npy import parts_of

Array = NDArray[Any]

# Values that are turned into text at once.
PIECE_MAX: Final = 16_384
_LONG_OCTETS: Final = 16
_encode: Final = msgspec.json.Encoder().encode
_WORDS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}
_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NAT: Final = np.iinfo(np.int64).min


def json_pieces(array: Array, piece_max: int = PIECE_MAX) -> Iterator[bytes]:
    """Of any size, a bounded piece at a time."""
    most = elements_at_once(array.dtype, piece_max)
    if array.ndim == 0 or array.size <= most:
        yield _encode(to_lists(array))
        return
    row_size = math.prod(array.shape[1:])
    yield b"["
    if row_size > most:
        for number, row in enumerate(array):
            if number:
                yield b","
            yield from json_pieces(row, piece_max)
    else:
        step = most // row_size
        for begin in range(0, len(array), step):
            text = _encode(to_lists(array[begin : begin + step]))
            yield (b"," if begin else b"") + text[1:-1]
    yield b"]"


def elements_at_once(dtype: np.dtype[Any], piece_max: int = PIECE_MAX) -> int:
    return max(1, piece_max // max(1, parts_of(dtype), dtype.itemsize // _LONG_OCTETS))


def to_lists(array: Array) -> Any:
    if not array.dtype.isnative and array.dtype.kind != "U":
        array = array.astype(array.dtype.newbyteorder("="))  # numpy's own functions do not always look
    dtype = array.dtype
    match dtype.kind:
        case "f":
            return _floats(array)
        case "c":
            return _floats(np.stack([array.real, array.imag], axis=-1))
        case "M":
            if np.datetime_data(dtype)[0] == "generic":  # only NaT can be told then
                return _spans(array)
            return np.datetime_as_string(array).tolist()
        case "m":
            return _spans(array)
        case "S":
            return np.char.decode(array, "latin-1").tolist()
        case "U":
            return _texts(array)
        case "V":
            return _nested(_records(array.reshape(-1)), array.shape)
    return array.tolist()


def from_lists(lists: Any, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """The array that `to_lists` was given, but for the order of its octets in memory."""
    flat = _flat(lists, len(shape))
    found = np.empty(len(flat), dtype)
    for number, value in enumerate(flat):
        found[number] = _value(value, dtype)
    return found.reshape(tuple(shape))


def _floats(array: Array) -> Any:
    with np.errstate(all="ignore"):  # a long double may be too long
        array = array.astype(np.float64, copy=False)
    is_finite = np.isfinite(array)
    if is_finite.all():
        return array.tolist()
    listed = array.astype(object)
    odd = array[~is_finite]
    listed[~is_finite] = [_WORDS.get(value, "NaN") for value in odd.tolist()]
    return listed.tolist()


def _spans(array: Array) -> Any:
    counts = array.astype(np.int64)
    is_nat = counts == _NAT
    if not is_nat.any():
        return counts.tolist()
    listed = counts.astype(object)
    listed[is_nat] = "NaT"
    return listed.tolist()


def _texts(array: Array) -> Any:
    """Text may hold what is no character, and then Python cannot even look at it."""
    try:
        listed = array.tolist()
        _encode(listed)
    except (ValueError, UnicodeError):
        encoding = "utf-32-be" if array.dtype.str.startswith(">") else "utf-32-le"
        octets = [each.tobytes() for each in np.ascontiguousarray(array).reshape(-1)]
        texts = [each.decode(encoding, "replace").rstrip("\0") for each in octets]
        return _nested(texts, array.shape)
    return listed


def _records(flat: Array) -> list[Any]:
    names = flat.dtype.names
    if names is None:
        return [each.tobytes().hex() for each in flat]
    columns = [to_lists(flat[name]) for name in names]
    return [list(record) for record in zip(*columns, strict=True)] if columns else [[] for _ in flat]


def _nested(flat: list[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return flat[0]
    for length in reversed(shape[1:]):
        count = len(flat) // length if length else math.prod(shape[:-1])
        flat = [flat[number * length : (number + 1) * length] for number in range(count)]
        shape = shape[:-1]
    return flat


def _flat(lists: Any, depth: int) -> list[Any]:
    if depth == 0:
        return [lists]
    flat = lists
    for _ in range(depth - 1):
        flat = [each for one in flat for each in one]
    return list(flat)


def _value(value: Any, dtype: np.dtype[Any]) -> Any:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return from_lists(value, shape, base)
    match dtype.kind:
        case "f":
            return _number(value)
        case "c":
            real, imaginary = map(_number, value)
            return complex(real, imaginary)
        case "m" | "M" if isinstance(value, int):
            return np.int64(value).view(dtype.newbyteorder("="))
        case "S":
            return value.encode("latin-1")
        case "V" if dtype.names is None:
            return np.frombuffer(bytes.fromhex(value), dtype)[0] if dtype.itemsize else np.void(b"")
        case "V":
            return tuple(
                _value(each, dtype[name]) for each, name in zip(value, dtype.names or (), strict=True)
            )
    return value


def _number(value: float | str) -> float:
    return _NUMBERS[value] if isinstance(value, str) else value
