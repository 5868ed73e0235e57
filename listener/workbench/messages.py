"""What `/ws/can` says and what its address may ask for.

Pure. A frame in, one JSON text out, as the clients of the field have it:
`{id, data, timestamp, is_extended, is_remote, dlc, decoded?}`; `is_fd`, `bitrate_switch` and
`error_state_indicator` where they are true.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from listener.query import QueryError, number, parameters, switch
from listener.raw_frame import Flag, RawFrame, length_of
from listener.workbench.identifiers import IdFilter

RATE_MAX_HZ: Final = 100.0
ALL_BUSES: Final = "*"
_NAME_MAX: Final = 64
_EXTENDED, _REMOTE, _, _FD, _SWITCHED, _PASSIVE = map(int, Flag)
_KNOWN: Final = ("bus", "client", "decoded", "ids", "rate")


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
    bitrate_switch: bool | msgspec.UnsetType = msgspec.UNSET
    error_state_indicator: bool | msgspec.UnsetType = msgspec.UNSET
    decoded: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


encode = msgspec.json.Encoder().encode


def frame_json(frame: RawFrame, decoded: dict[str, Any] | None = None) -> bytes:
    number, flags, data, timestamp = frame
    is_extended, is_remote = bool(flags & _EXTENDED), bool(flags & _REMOTE)
    told = _Frame(number, list(data), timestamp, is_extended, is_remote, length_of(flags, data))
    if flags & _FD:
        told.is_fd = True
        if flags & _SWITCHED:
            told.bitrate_switch = True
        if flags & _PASSIVE:
            told.error_state_indicator = True
    if decoded is not None:
        told.decoded = decoded
    return encode(told)


def with_bus(payload: bytes, bus: str) -> bytes:
    return b'%b,"bus":%b}' % (payload[:-1], encode(bus))


def parse_query(query: str) -> tuple[Wanted, str]:
    """And the name by which the client calls itself, "" without."""
    values = parameters(query, _KNOWN)
    ids = values.get("ids", "")
    wanted = Wanted(
        values.get("bus", "")[:_NAME_MAX] or None,
        ids,
        switch("decoded", values.get("decoded", "1")),
        _rate(values["rate"]) if "rate" in values else None,
        _filter(ids) if ids else None,
    )
    return wanted, values.get("client", "")[:_NAME_MAX]


def _filter(text: str) -> IdFilter:
    try:
        return IdFilter.parse(text)
    except ValueError as exc:
        raise QueryError(f"ids: {exc}") from None


def _rate(text: str) -> float:
    return number("rate", text, 0.01, RATE_MAX_HZ, "a number of times a second")
