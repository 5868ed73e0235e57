"""More of the vocabulary: what is said of the nodes of a wireless mesh.

Pure, as `events` is.
"""

from collections.abc import Mapping
from typing import Any

from listener.events import PROTO, EventEnvelope, Payload


def node_connected(ts: float, addr: int, uuid: str, again: bool, source: str = "mesh") -> EventEnvelope:
    payload = {**_node(addr), "uuid": uuid, "again": again}
    return EventEnvelope(PROTO, "node_connected", ts, source, payload)


def node_status(ts: float, addr: int, state: str, reason: str, source: str = "mesh") -> EventEnvelope:
    return EventEnvelope(PROTO, "node_status", ts, source, {**_node(addr), "state": state, "reason": reason})


def node_data(ts: float, addr: int, values: Mapping[str, Any], source: str = "mesh") -> EventEnvelope:
    """What a node of the wireless mesh measures: name -> {raw, value, unit}."""
    return EventEnvelope(PROTO, "node_data", ts, source, {**_node(addr), "values": dict(values)})


def traffic(
    ts: float, direction: str, addr: int | None, text: str, raw: str, source: str = "mesh"
) -> EventEnvelope:
    """A line for people: what went "up" from the mesh or "down" to it, or a "note" of ours."""
    payload = {"channel": "mesh", "direction": direction, "addr": addr, "text": text, "raw": raw}
    return EventEnvelope(PROTO, "traffic", ts, source, payload)


def _node(addr: int) -> Payload:
    return {"channel": f"node-{addr}", "addr": addr, "name": f"Node-{addr}"}
