"""What comes from the mesh over the UART, as typed values.

Pure. One payload in, one value out, whatever the octets are: nothing raises. Address (2 octets), opcode (1),
body. What does not fit its opcode is passed on as it is, for the firmware's log lines arrive in the same
framing, and their first letter looks like an opcode.

`NodeData`, `NetInfo` and `NodeInfo` are kept here; everything else goes to the listening programs, the
payload as it came.
"""

from dataclasses import dataclass
from typing import Final

from listener.mesh.data_types import DataType, DataTypes
from listener.mesh.message_opcodes import Handling, Opcodes

ALL: Final = 0  # as a destination: the root; in a request for data: every node
ROOT: Final = 1
_NOT_NODES: Final = (ALL, ROOT)
UUID_LENGTH: Final = 16
NO_OPCODE: Final = -1
_ENTRY: Final = 2 + UUID_LENGTH
_ATTEMPTS_MAX: Final = 31  # no letter: what begins like an acknowledgement may be a text
_PRINTABLE: Final = bytes((*range(0x20, 0x7F), *b"\t\r\n\x1b"))  # log lines are coloured


@dataclass(frozen=True, slots=True)
class NodeData:
    """`problem`: why the rest of the message is not among the values."""

    addr: int
    values: tuple[tuple[DataType, bytes], ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NetInfo:
    nodes: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class NodeInfo:
    addr: int
    uuid: bytes


@dataclass(frozen=True, slots=True)
class RootReset:
    addr: int
    text: str


@dataclass(frozen=True, slots=True)
class Ack:
    """What has become of a message that was sent with `SENDI`."""

    addr: int
    delivered: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class Forward:
    """For the programs that listen. Without an opcode: too short for one, and all in `body`."""

    addr: int
    opcode: int
    body: bytes


@dataclass(frozen=True, slots=True)
class LogText:
    """A line of the firmware."""

    text: str


UartMessage = NodeData | NetInfo | NodeInfo | RootReset | Ack | Forward | LogText


def parse_uart(payload: bytes, opcodes: Opcodes, types: DataTypes) -> UartMessage:
    addr = int.from_bytes(payload[:2])
    if len(payload) < 3:
        return LogText(_text(payload)) if _is_text(payload) else Forward(ALL, NO_OPCODE, payload)
    opcode, body = payload[2], payload[3:]
    found: UartMessage | None = None
    match opcodes.handling(opcode):
        case Handling.DATA:
            found = _node_data(addr, body, types)
        case Handling.NET_INFO:
            found = _net_info(body)
        case Handling.NODE_INFO:
            found = _node_info(addr, body)
        case Handling.ROOT_RESET if addr in _NOT_NODES:
            found = RootReset(addr, _text(body))
        case Handling.ACK:
            found = _ack(addr, body)
        case _:
            pass
    if (found is None or (isinstance(found, NodeData) and found.problem)) and _is_text(payload):
        return LogText(_text(payload))
    return Forward(addr, opcode, body) if found is None else found


def _node_data(addr: int, body: bytes, types: DataTypes) -> NodeData | None:
    if addr in _NOT_NODES:
        return None
    if not body:
        return NodeData(addr, (), "no number of values")
    count, at = body[0], 1
    values: list[tuple[DataType, bytes]] = []
    for number in range(1, count + 1):
        if at >= len(body):
            return NodeData(addr, tuple(values), f"ends before value {number} of {count}")
        kind = types.by_id.get(body[at])
        if kind is None:
            return NodeData(addr, tuple(values), f"value {number} of {count}: unknown data type {body[at]}")
        data = body[at + 1 : at + 1 + kind.length]
        if len(data) < kind.length:
            return NodeData(addr, tuple(values), f"ends within value {number} of {count}, {kind.name}")
        values.append((kind, data))
        at += 1 + kind.length
    left = len(body) - at
    return NodeData(addr, tuple(values), f"{left} octets behind value {count}" if left else "")


def _net_info(body: bytes) -> NetInfo | None:
    """The root, should it be listed, is no node."""
    if not body or len(body) != 1 + body[0] * _ENTRY:
        return None
    entries = (body[at : at + _ENTRY] for at in range(1, len(body), _ENTRY))
    nodes = ((int.from_bytes(entry[:2]), entry[2:]) for entry in entries)
    return NetInfo(tuple((addr, uuid) for addr, uuid in nodes if addr not in _NOT_NODES))


def _node_info(addr: int, body: bytes) -> NodeInfo | None:
    """From the node's address; or from the root's, and the node's address stands before its UUID."""
    if addr in _NOT_NODES and len(body) == _ENTRY:
        addr, body = int.from_bytes(body[:2]), body[2:]
    return NodeInfo(addr, body) if addr not in _NOT_NODES and len(body) == UUID_LENGTH else None


def _ack(addr: int, body: bytes) -> Ack | None:
    if len(body) != 2 or body[:1] not in (b"S", b"F") or body[1] > _ATTEMPTS_MAX:
        return None
    return Ack(addr, body[:1] == b"S", body[1])


def _is_text(octets: bytes) -> bool:
    """No message of a node that has an address below 2313 does."""
    text = octets.rstrip(b"\0")
    return bool(text) and not text.translate(None, _PRINTABLE)


def _text(octets: bytes) -> str:
    return octets.rstrip(b"\0").decode(errors="replace")
