"""The parts of an HTTP call that are the same whoever makes it: bodies, what has come, and what was wrong.

Pure.
"""

import io
import operator
from collections.abc import Iterator
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from listener.arrays.npy import HEADER_MAX, NpyError, read_header
from listener.arrays.pieces import npy_header, octet_pieces

Array = NDArray[Any]
# Of an axis: `slice(0, 100)`, or "0:100".
Part = str | slice | None

_BOUNDARY: Final = "-------les02-arrays-8b0f5c2e9d7a"
_HEADER_ROOM: Final = HEADER_MAX + 64
_SHOWN: Final = 300
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


class ArraysError(Exception):
    """Why it could not be done. `status` is that of HTTP, if the listener was asked and said so."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Server:
    """Where the listener is: `http://liftbench.local:8000`, or `liftbench.local:8000` for short."""

    def __init__(self, address: str) -> None:
        given = address if "://" in address else f"http://{address}"
        try:
            parts = urlsplit(given)
            _ = parts.port
        except ValueError as exc:
            raise ArraysError(f"{address}: {exc}") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ArraysError(f"{address} is no address such as http://liftbench.local:8000")
        self.url = given.rstrip("/")
        # A proxy for this computer itself would be a mistake.
        self.is_here = parts.hostname in _LOOPBACK

    def stream_url(self, *, binary: bool) -> str:
        return f"ws{self.url.removeprefix('http')}/ws/stream{'?format=binary' if binary else ''}"


def bearer(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    if not (token.isascii() and token.isprintable()):
        raise ArraysError("this token has letters that no token has")
    return {"Authorization": f"Bearer {token}"}


def upload_type() -> str:
    return f"multipart/form-data; boundary={_BOUNDARY}"


def upload_ends(name: str) -> tuple[bytes, bytes]:
    """What stands before a file and after it."""
    field = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="'
    name = str(name or "").replace(_BOUNDARY, "")
    named = f'{field}name"\r\n\r\n{name}\r\n' if name else ""
    file = f'{field}file"; filename="array.npy"\r\nContent-Type: application/octet-stream\r\n\r\n'
    return f"{named}{file}".encode("utf-8", "replace"), f"\r\n--{_BOUNDARY}--\r\n".encode()


def npy_pieces(array: Array) -> tuple[int, Iterator[bytes]]:
    """How many octets, and they; nothing that is as large as the array."""
    if isinstance(array, np.ma.MaskedArray):
        raise ArraysError("it has a mask, for which a .npy file has no place: upload array.filled(np.nan)")
    if array.dtype.hasobject:
        raise ArraysError("it holds Python objects, which would be pickles, and those are never sent")

    def pieces() -> Iterator[bytes]:
        yield begin
        yield from octet_pieces(array)

    begin = npy_header(array)
    return len(begin) + array.dtype.itemsize * array.size, pieces()


class Incoming:
    """A .npy file as it comes, which is an array when it is all there, without having been copied."""

    def __init__(self, length: int) -> None:
        self._octets = bytearray(length)
        self._at = 0

    def feed(self, piece: bytes) -> None:
        end = self._at + len(piece)
        if end > len(self._octets):
            raise ArraysError("more has come than was announced")
        self._octets[self._at : end] = piece
        self._at = end

    def array(self) -> Array:
        if self._at != len(self._octets):
            raise ArraysError("it was cut off")
        try:
            header = read_header(io.BytesIO(self._octets[:_HEADER_ROOM]), len(self._octets))
        except NpyError as exc:
            raise ArraysError(f"what has come is no array: {exc}") from None
        order: Literal["C", "F"] = "F" if header.is_fortran else "C"
        if not header.size:
            return np.empty(header.shape, header.dtype, order)
        return np.ndarray(header.shape, header.dtype, self._octets, header.offset, order=order)


def slice_text(part: Part) -> str:
    if not isinstance(part, slice):
        return part or ""
    parts = [part.start, part.stop] + ([] if part.step is None else [part.step])
    return ":".join("" if part is None else str(operator.index(part)) for part in parts)


def ride_arrays(told: dict[str, Any]) -> dict[str, Array]:
    """Of `GET /rides/{ride}`. Times count from the beginning of the ride."""
    ride, curve = told["ride"], told.get("curve") or {}
    arrays: dict[str, Array] = {"start_ts": np.array(ride["start_ts"], np.float64)}
    arrays["time_s"] = _seconds(curve.get("offsets_us", []))
    for name in ("position_mm", "velocity_mm_s", "acceleration_mm_s2"):
        arrays[name] = np.array(curve.get(name, []), np.float64)
    for channel, (offsets_us, raw) in (told.get("samples") or {}).items():
        arrays[f"{channel}.time_s"] = _seconds(offsets_us)
        arrays[f"{channel}.position_mm"] = np.array(raw, np.float64) * ride["resolution_mm"]
    for name, track in (told.get("signals") or {}).items():
        arrays[f"{name}.time_s"] = _seconds(track["offsets_us"])
        arrays[name] = np.array(track["values"], np.float64)
    return arrays


def _seconds(offsets_us: list[int]) -> Array:
    return np.array(offsets_us, np.float64) / 1e6


def trouble(status: int, body: bytes) -> ArraysError:
    return ArraysError(_sentence(body) or f"HTTP {status}", status)


def _sentence(body: bytes) -> str:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return body.decode("utf-8", "replace").strip()[:_SHOWN]
    if not isinstance(told, dict):
        return str(told)[:_SHOWN]
    why = told.get("message", told.get("detail", told.get("reason", "")))
    if isinstance(why, list):  # parameters that do not fit
        why = "; ".join(f"{_place(each)}: {each.get('msg')}" for each in why if isinstance(each, dict))
    return str(why)[:_SHOWN]


def _place(fault: dict[str, Any]) -> str:
    return ".".join(str(part) for part in fault.get("loc", ())[1:])
