"""What `/ws/can` says and what its address may ask for.

Pure. A frame in, one JSON text out, as the clients of the field have it:
`{id, data, timestamp, is_extended, is_remote, dlc, decoded?}`, `is_fd` where it is true.
"""

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from listener.raw_frame import Flag, RawFrame
from listener.workbench.identifiers import IdFilter

RATE_MAX_HZ: Final = 100.0
ALL_BUSES: Final = "*"
_NAME_MAX: Final = 64
_EXTENDED, _REMOTE, _, _FD = map(int, Flag)
_SWITCH: Final = {"0": False, "1": True}


class WantedError(ValueError):
    """Names the parameter and says what it may be."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Those who ask the same share the work."""

    bus: str | None = None  # None: the default one
    ids: str = ""
    decoded: bool = True
    rate_hz: float | None = None
    filter: IdFilter | None = field(default=None, compare=False)


class _Frame(msgspec.Struct):
    id: int
    data: list[int]
    timestamp: float
    is_extended: bool
    is_remote: bool
    dlc: int
    is_fd: bool | msgspec.UnsetType = msgspec.UNSET
    decoded: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


encode = msgspec.json.Encoder().encode


def frame_json(frame: RawFrame, decoded: dict[str, Any] | None = None) -> bytes:
    number, flags, data, timestamp = frame
    told = _Frame(number, list(data), timestamp, bool(flags & _EXTENDED), bool(flags & _REMOTE), len(data))
    if flags & _FD:
        told.is_fd = True
    if decoded is not None:
        told.decoded = decoded
    return encode(told)


def with_bus(payload: bytes, bus: str) -> bytes:
    return b'%b,"bus":%b}' % (payload[:-1], encode(bus))


def parse_query(query: str) -> tuple[Wanted, str]:
    """And the name by which the client calls itself, "" without."""
    values: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=16)
    except ValueError as exc:
        raise WantedError(f"query: {exc}") from None
    for name, text in pairs:
        if name not in {"bus", "ids", "decoded", "rate", "client"}:
            raise WantedError(f"{name[:32]}: unknown parameter; known are bus, client, decoded, ids, rate")
        if name in values:
            raise WantedError(f"{name}: given more than once")
        values[name] = text
    ids = values.get("ids", "")
    wanted = Wanted(
        values.get("bus", "")[:_NAME_MAX] or None,
        ids,
        _decoded(values.get("decoded", "1")),
        _rate(values["rate"]) if "rate" in values else None,
        _filter(ids) if ids else None,
    )
    return wanted, values.get("client", "")[:_NAME_MAX]


def _decoded(text: str) -> bool:
    if text not in _SWITCH:
        raise WantedError(f"decoded: {text[:32]!r} is not 0 or 1")
    return _SWITCH[text]


def _filter(text: str) -> IdFilter:
    try:
        return IdFilter.parse(text)
    except ValueError as exc:
        raise WantedError(f"ids: {exc}") from None


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.01 <= rate <= RATE_MAX_HZ:
        raise WantedError(f"rate: {text[:32]!r} is not a number of times a second in 0.01…{RATE_MAX_HZ:g}")
    return rate
