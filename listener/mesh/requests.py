"""What client programs ask on TCP, and what they are answered.

Pure. A request is five letters and what belongs to them; `parse_request` makes a `Request` of it, or
`Refused` with the reason, and never raises. A response is `S` and what was asked for, or `F`, a length and a
reason.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from listener.mesh.messages import UUID_LENGTH
from listener.mesh.uart_codec import MAX_FRAME

SYN: Final = b"[syn]\0"  # a listening connection begins so,
SYN_ACK: Final = b"[ack]\0"  # and is answered so
NO_LISTENER: Final = b"[err]-listen_socket_disconnected"

REQUEST_MAX: Final = MAX_FRAME  # octets: it must pass the UART in one frame
COUNT_MAX: Final = 255  # of nodes in one response: its count is one octet
STATES: Final = "ADN"  # active, disconnected, not available
_COMMAND: Final = 5


@dataclass(frozen=True, slots=True)
class Request:
    command: str
    addr: int | None
    data_id: int | None
    state: str | None  # of NETIF
    payload: bytes
    raw: bytes  # what goes to the UART: the request without octets that do not belong to it


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str


@dataclass(frozen=True, slots=True)
class _Shape:
    parse: Callable[[str, bytes], Request | Refused]
    length: int = _COMMAND
    fixed: bool = True
    lacks: str = ""  # what is told when it is shorter


def _plain(command: str, raw: bytes) -> Request | Refused:
    return Request(command, None, None, None, raw[_COMMAND:], raw)


def _message(command: str, raw: bytes) -> Request | Refused:
    return Request(command, int.from_bytes(raw[5:7]), None, None, raw[7:], raw)


def _get(command: str, raw: bytes) -> Request | Refused:
    return Request(command, int.from_bytes(raw[5:7]), raw[7], None, b"", raw)


def _net_interface(command: str, raw: bytes) -> Request | Refused:
    state = chr(raw[5])
    if state not in STATES:
        return Refused("State Must Be A, D Or N")
    return Request(command, None, None, state, b"", raw)


_SHAPES: Final = {
    "NSTAT": _Shape(_plain),
    "ACT-C": _Shape(_plain),
    "NINFO": _Shape(_plain),
    "NETIF": _Shape(_net_interface, 6, lacks="State Missing"),
    "[GET]": _Shape(_get, 8, lacks="Node Address Or Data ID Missing"),
    "SEND-": _Shape(_message, 7, fixed=False, lacks="Node Address Missing"),
    "SENDI": _Shape(_message, 7, fixed=False, lacks="Node Address Missing"),
    "BCAST": _Shape(_message, 7, fixed=False, lacks="Node Address Missing"),
    "CLEAN": _Shape(_plain),
    "STATE": _Shape(_plain, fixed=False),
    "RST-R": _Shape(_plain),
}
COMMANDS: Final = tuple(_SHAPES)


def parse_request(data: bytes | bytearray) -> Request | Refused:
    """Octets behind a request that has a length of its own are ignored: often it is a line end."""
    if len(data) < _COMMAND:
        return Refused("Command Too Short")
    command = _name(data)
    shape = _SHAPES.get(command)
    if shape is None:
        return Refused(f"Unknown Command {''.join(c if ' ' <= c <= '~' else '?' for c in command)}")
    if len(data) < shape.length:
        return Refused(shape.lacks)
    if shape.fixed:
        data = data[: shape.length]
    elif len(data) > REQUEST_MAX:
        return Refused("Request Too Long")
    return shape.parse(command, bytes(data))


def needed(data: bytes | bytearray) -> int | None:
    """Octets that there must be before it can be answered, as far as its beginning tells; None: it ends where
    the client stops."""
    shape = _SHAPES.get(_name(data))
    if shape is None:
        return _COMMAND  # too short to tell, or already enough to refuse it
    return shape.length if shape.fixed or len(data) < shape.length else None


def _name(data: bytes | bytearray) -> str:
    return bytes(data[:_COMMAND]).decode("latin-1")


def ok(body: bytes = b"") -> bytes:
    return b"S" + body


def failed(reason: str) -> bytes:
    said = reason.encode("ascii", "replace")[:255]
    return b"F" + bytes((len(said),)) + said


def active_count(number: int) -> bytes:
    return ok(bytes((min(number, COUNT_MAX),)))


def node_status_json(nodes: Iterable[tuple[int, bool]]) -> bytes:
    """Of (address, is active)."""
    told = list(nodes)
    return _json(
        {
            "node_amount": len(told),
            "node_addr_list": [addr for addr, _ in told],
            "node_status_list": [int(active) for _, active in told],
        }
    )


def node_info_json(nodes: Iterable[Mapping[str, Any]]) -> bytes:
    told = list(nodes)
    return _json({"node_amount": len(told), "nodes": told})


def net_interface(nodes: Iterable[tuple[int, bytes]]) -> bytes:
    """A UUID that is not known is sixteen zeros."""
    told = [addr.to_bytes(2) + uuid.ljust(UUID_LENGTH, b"\0")[:UUID_LENGTH] for addr, uuid in nodes][
        :COUNT_MAX
    ]
    return ok(bytes((len(told),)) + b"".join(told))


def data_response(data_id: int, length: int, data: Iterable[tuple[int, bytes]]) -> bytes:
    """Octets of another length than the type's would shift all that follow: they are left out."""
    told = [addr.to_bytes(2) + octets for addr, octets in data if len(octets) == length][:COUNT_MAX]
    return ok(bytes((data_id, length, len(told))) + b"".join(told))


def _json(told: Mapping[str, Any]) -> bytes:
    return ok(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())


def to_uart(command: str, addr: int | None = None, payload: bytes = b"") -> bytes:
    """What the root module is told, before it is framed."""
    return command.encode("ascii") + (b"" if addr is None else addr.to_bytes(2)) + payload
