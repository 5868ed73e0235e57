"""How REST, the hub, the monitoring WebSocket and the page are told of nodes, values and traffic.

Pure: values in, dicts and sentences out. Octets are written as hex.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from listener.mesh.data_types import DataType, DataTypes
from listener.mesh.node import Node, Status, Value

STATES: Final = {Status.ACTIVE: "active", Status.IDLE: "idle", Status.DISCONNECT: "disconnected"}
# Of one frame, in a line of the traffic.
RAW_MAX: Final = 256
_PRINTABLE: Final = bytes((*range(0x20, 0x7F), *b"\t\r\n"))
ROOT: Final = 1

Told = dict[str, Any]


def name_of(addr: int) -> str:
    """0 as a destination means the root."""
    return "root" if addr in {0, ROOT} else f"Node-{addr}"


def value(data_type: DataType, data: bytes) -> Told:
    return {"raw": data.hex(), "value": data_type.value(data), "unit": data_type.unit}


def values(found: Iterable[tuple[DataType, bytes]]) -> Told:
    return {data_type.name: value(data_type, data) for data_type, data in found}


def node(of: Node, types: DataTypes, ts: float, now: float) -> Told:
    """As `GET /mesh/nodes` has it."""
    age_s = of.age_s(ts, now)
    return {
        "addr": of.addr,
        "name": of.name,
        "uuid": of.uuid.hex(),
        "status": int(of.status),
        "state": STATES[of.status],
        "last_seen": of.last_seen,
        "age_s": None if age_s is None else round(age_s, 3),
        "data": {
            data_type.name: {"id": data_type.id, "ts": last.ts, **value(data_type, last.data)}
            for data_type in types.by_id.values()
            if (last := of.last(data_type.name)) is not None
        },
    }


def node_info(of: Node, ts: float, now: float) -> Told:
    """As `NINFO` has it."""
    age_s = of.age_s(ts, now)
    return {
        "addr": of.addr,
        "name": of.name,
        "uuid": of.uuid.hex(),
        "status": int(of.status),
        "age_s": None if age_s is None else round(age_s, 3),
        "data_types": list(of.types),
    }


def history(addr: int, data_type: DataType, found: Sequence[Value]) -> Told:
    """Oldest first."""
    return {
        "addr": addr,
        "type": data_type.name,
        "id": data_type.id,
        "length": data_type.length,
        "unit": data_type.unit,
        "values": [{"ts": ts, "raw": data.hex(), "value": data_type.value(data)} for ts, data in found],
    }


def described(data_type: DataType) -> Told:
    return {
        "name": data_type.name,
        "id": data_type.id,
        "length": data_type.length,
        "kind": data_type.kind,
        "scale": data_type.scale,
        "offset": data_type.offset,
        "unit": data_type.unit,
    }


def line(ts: float, direction: str, addr: int | None, text: str, raw: bytes = b"") -> Told:
    """Of the traffic; a long frame is told with its beginning and its length."""
    return {"ts": ts, "direction": direction, "addr": addr, "text": text, "raw": raw[:RAW_MAX].hex()}


def octets(data: bytes) -> str:
    """For people: text where it is text, else hex."""
    text = data.rstrip(b"\r\n\0")
    if text and not text.translate(None, _PRINTABLE):
        told = repr(text[:RAW_MAX].decode("ascii"))
    else:
        told = data[:RAW_MAX].hex(" ")
    return told if len(data) <= RAW_MAX else f"{told} … ({len(data)} octets)"


def measured(values: Told) -> str:
    """For people: what a node says of itself."""
    told = (
        f"{name} {each['value']}{' ' if each['unit'] else ''}{each['unit']}" for name, each in values.items()
    )
    return ", ".join(told) or "nothing"


# Of the monitoring WebSocket, in the words of the field's clients


def traffic_log(message: str) -> Told:
    return {"type": "trafficLog", "message": message}


def network_status(nodes: Iterable[Node]) -> Told:
    told = [
        {"name": each.name, "status": "error" if each.status is Status.DISCONNECT else "normal"}
        for each in nodes
    ]
    return {"type": "networkStatus", "status": "nodeStatus", "nodes": told}


def connection_status(listeners: int, uart: str) -> Told:
    return {"type": "connectionStatus", "socket": "connected" if listeners else "disconnected", "uart": uart}
