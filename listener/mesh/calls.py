"""What a program asks the mesh, and what it is answered, as values.

Pure. Requests are `requests.to_uart`'s; a response becomes what was asked for, or a `MeshError` with the
reason. A message to a program that listens is an address (2 octets), an opcode (1) and a payload.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from listener.mesh import requests
from listener.mesh.data_types import DataType, DataTypes, Value

NO_OPCODE: Final = -1
_UUID: Final = 16
_ADDRESS: Final = 2

# Of a message: its octet, or the letter with that code.
OpcodeLike = int | str


class MeshError(Exception):
    """What cannot be had, in a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NobodyListens(MeshError):  # noqa: N818 - the server's state
    """The server wants to have a listening program before it answers anything."""


@dataclass(frozen=True, slots=True)
class Message:
    """Without an opcode it was too short for one."""

    addr: int
    opcode: int
    payload: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """What a node measured last."""

    addr: int
    type: DataType
    raw: bytes

    @property
    def value(self) -> Value:
        return self.type.value(self.raw)

    @property
    def unit(self) -> str:
        return self.type.unit


def message(raw: bytes) -> Message:
    if len(raw) <= _ADDRESS:
        return Message(0, NO_OPCODE, raw, raw)
    return Message(int.from_bytes(raw[:_ADDRESS], "big"), raw[_ADDRESS], raw[_ADDRESS + 1 :], raw)


def opcode(of: OpcodeLike) -> int:
    code = ord(of) if isinstance(of, str) and len(of) == 1 else of
    if not isinstance(code, int) or not 0 <= code <= 255:
        raise ValueError(f"an opcode is a number in 0…255 or one letter, not {of!r}")
    return code


def request(
    command: str, addr: int | None = None, payload: bytes | str = b"", of: OpcodeLike | None = None
) -> bytes:
    """`of` is the opcode that goes before the payload."""
    if addr is not None and not 0 <= addr <= 0xFFFF:
        raise ValueError(f"an address is in 0…65535, not {addr}")
    octets = payload.encode() if isinstance(payload, str) else payload
    head = b"" if of is None else bytes([opcode(of)])
    return requests.to_uart(command, addr, head + octets)


def find_type(types: DataTypes, of: str | int) -> DataType:
    """By name or ID. An ID that is not known here may be known there."""
    found = types.find(of) if isinstance(of, str) else types.by_id.get(of)
    if found is not None:
        return found
    if isinstance(of, str) or not 0 <= of <= 255:
        raise ValueError(f"there is no data type {of!r}")
    return DataType(f"ID {of}", of, 0)


def body(response: bytes) -> bytes:
    """What comes behind the `S`."""
    if response == requests.NO_LISTENER:
        raise NobodyListens("the server answers nothing while no program listens")
    if response[:1] == b"S":
        return response[1:]
    if response[:1] == b"F" and len(response) > 1:
        raise MeshError(response[2 : 2 + response[1]].decode(errors="replace"))
    raise MeshError(f"this is no answer of a mesh server: {response[:60]!r}" if response else "no answer")


def node_status(told: bytes) -> dict[int, bool]:
    """Address: is it active?"""
    found = _object(told)
    try:
        return dict(zip(found["node_addr_list"], map(bool, found["node_status_list"]), strict=True))
    except (KeyError, TypeError, ValueError) as exc:
        raise _nonsense(told) from exc


def active_count(told: bytes) -> int:
    if not told:
        raise _nonsense(told)
    return told[0]


def node_info(told: bytes) -> list[dict[str, Any]]:
    nodes = _object(told).get("nodes")
    if not isinstance(nodes, list):
        raise _nonsense(told)
    return nodes


def net_interface(told: bytes) -> dict[int, bytes]:
    """Address: UUID."""
    return _entries(told[:1], told[1:], _UUID)


def readings(told: bytes, of: DataType) -> dict[int, Reading]:
    """Of each node that has sent any."""
    if len(told) < 3 or told[0] != of.id:
        raise _nonsense(told)
    if not of.length:  # which is known there alone
        of = DataType(of.name, of.id, told[1])
    return {addr: Reading(addr, of, data) for addr, data in _entries(told[2:3], told[3:], told[1]).items()}


def _entries(count: bytes, entries: bytes, length: int) -> dict[int, bytes]:
    step = _ADDRESS + length
    if not count or len(entries) != count[0] * step:
        raise _nonsense(count + entries)
    pieces = [entries[start : start + step] for start in range(0, len(entries), step)]
    return {int.from_bytes(piece[:_ADDRESS], "big"): piece[_ADDRESS:] for piece in pieces}


def _object(told: bytes) -> dict[str, Any]:
    try:
        found = json.loads(told)
    except (ValueError, RecursionError) as exc:
        raise _nonsense(told) from exc
    if not isinstance(found, dict):
        raise _nonsense(told)
    return found


def _nonsense(told: bytes) -> MeshError:
    return MeshError(f"the answer cannot be read: {told[:60]!r}")
