"""What `/ws/stream` says, and what it is asked.

Pure. A packet is points, x and y, and goes out as one JSON text or as one binary message, little-endian:

    offset  type   what
    0       4 s    magic, "LSIG"
    4       u8     version, 1
    5       u8     1: x and y are float64
    6       u16    length of this header, 40: the data begins there
    8       u32    sequence: of the packets of this stream, from 0, modulo 2**32
    12      u32    points
    16      f64    timestamp
    24      u32    new: points at the end that the packet before did not have
    28      u32    0
    32      u64    total: points of this stream so far, with these
    40             x, then y
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from listener.arrays.notation import json_pieces
from listener.query import QueryError, parameters

MAGIC: Final = b"LSIG"
VERSION: Final = 1
FLOAT64: Final = 1
HEADER: Final = struct.Struct("<4sBBHIIdIIQ")
WINDOW_MAX: Final = 100_000
RATE_MAX_HZ: Final = 100.0
# Of one stream in a second: so much can be told without disturbing the others.
POINTS_MAX: Final = 1_000_000
# Points that are turned into text at once, in about 0.3 ms.
PIECE_MAX: Final = 4096
DEMO: Final = "demo"
_FORMATS: Final = {"json": False, "binary": True}
_SHOWN: Final = 64

Points = NDArray[np.float64]
encode: Final = msgspec.json.Encoder().encode


class AskError(ValueError):
    """What is wrong with what a client said."""


@dataclass(frozen=True, slots=True)
class Packet:
    timestamp: float
    x: Points
    y: Points
    sequence: int = 0
    new: int = 0
    total: int = 0
    more: dict[str, Any] | None = None  # None: what the field's clients know, no more


@dataclass(frozen=True, slots=True)
class Wanted:
    """Those who want the same share the work."""

    source: str = DEMO
    window: int = 100
    rate_hz: float = 20.0
    loop: bool = False

    def told(self) -> dict[str, Any]:
        return {"source": self.source, "window": self.window, "rate": self.rate_hz}


class _Ask(msgspec.Struct):
    """Fields that we do not know are the client's own business."""

    action: str
    source: Annotated[str, Meta(max_length=300)] | None = None
    window: Annotated[int, Meta(ge=1, le=WINDOW_MAX)] | None = None
    rate: Annotated[float, Meta(ge=0.01, le=RATE_MAX_HZ)] | None = None
    loop: bool = False


_decode: Final = msgspec.json.Decoder(_Ask).decode


def parse(message: str | bytes) -> tuple[str, Wanted | None]:
    """The action, and for a start what is wanted; None is the stream that all share."""
    if isinstance(message, bytes):
        raise AskError("binary messages are not understood; say it in JSON text")
    try:
        ask = _decode(message)
    except msgspec.ValidationError as exc:
        raise AskError(str(exc)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise AskError("this is no JSON") from None
    if ask.action not in {"start", "stop", "ping"}:
        raise AskError(f"unknown action {ask.action[:_SHOWN]!r}; known are start, stop and ping")
    if ask.source is None and ask.window is None and ask.rate is None:
        return ask.action, None
    usual = Wanted()
    wanted = Wanted(
        ask.source or usual.source, ask.window or usual.window, ask.rate or usual.rate_hz, ask.loop
    )
    if wanted.window * wanted.rate_hz > POINTS_MAX:
        raise AskError(f"window times rate is more than {POINTS_MAX} points a second")
    return ask.action, wanted


def wants_binary(query: str) -> bool:
    """Raises QueryError."""
    given = parameters(query, ("format",)).get("format", "json")
    if given not in _FORMATS:
        raise QueryError(f"format: {given[:_SHOWN]!r} is not json or binary")
    return _FORMATS[given]


def binary(packet: Packet) -> bytes:
    return b"".join(
        (
            HEADER.pack(
                MAGIC,
                VERSION,
                FLOAT64,
                HEADER.size,
                packet.sequence % 2**32,
                len(packet.x),
                packet.timestamp,
                packet.new,
                0,
                packet.total,
            ),
            # Joined as they lie there: this is the only copy.
            np.ascontiguousarray(packet.x, "<f8").data,
            np.ascontiguousarray(packet.y, "<f8").data,
        )
    )


def parse_binary(message: bytes) -> Packet:
    """Raises ValueError. A later version may have a longer header; what we know stays where it is."""
    if len(message) < HEADER.size or not message.startswith(MAGIC):
        raise ValueError("this is no packet of numbers")
    _, version, kind, begin, sequence, count, timestamp, new, _, total = HEADER.unpack_from(message)
    if version != VERSION or kind != FLOAT64:
        raise ValueError(f"a packet of version {version} and kind {kind}, which this client does not know")
    if begin < HEADER.size or len(message) != begin + 16 * count:
        raise ValueError("a packet of numbers is cut off")
    x, y = np.frombuffer(message, "<f8", 2 * count, begin).astype(np.float64).reshape(2, count)
    return Packet(timestamp, x, y, sequence, new, total)


def text_pieces(packet: Packet) -> Iterator[bytes]:
    """Joined they are one message: who does other things between them is not held up by a large one."""
    head = {"type": "data", "timestamp": packet.timestamp, "shape": packet.x.shape, "dtype": "float64"}
    if packet.more is not None:
        head |= packet.more | {"sequence": packet.sequence, "new": packet.new, "total": packet.total}
    yield encode(head)[:-1] + b',"x":'
    yield from json_pieces(packet.x, PIECE_MAX)
    yield b',"y":'
    yield from json_pieces(packet.y, PIECE_MAX)
    yield b"}"


def status(streaming: bool, wanted: Wanted | None = None, **more: Any) -> bytes:
    return encode({"type": "status", "streaming": streaming, **(wanted.told() if wanted else {}), **more})


def error(message: str) -> bytes:
    return encode({"type": "error", "message": message})


PONG: Final = encode({"type": "pong"})
