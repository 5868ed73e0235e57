"""The mesh over HTTP: its nodes, what they measure, its traffic, and messages to it."""

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from listener.database import StorageError
from listener.mesh import notation, store
from listener.mesh.data_types import DataType
from listener.mesh.news import LINES_MAX
from listener.mesh.node import Node, Value
from listener.mesh.outcomes import Outcome
from listener.mesh.parts import Mesh
from listener.rest import STATUS_OF, needs_control, problems

Addr = Annotated[int, Path(ge=0, le=65_535, examples=[5])]
Which = Annotated[
    str,
    Path(min_length=1, max_length=64, description="Name or ID of the data type", examples=["Temperature"]),
]
_Time = Annotated[float | None, Field(allow_inf_nan=False, ge=-1e12, le=1e12, examples=[1795294864.0])]
_Hex = Annotated[
    str,
    Field(pattern=r"^([0-9A-Fa-f]{2} ?)*$", max_length=3072, description="Octets as hex", examples=["01 ff"]),
]
_Code = Annotated[
    int | Annotated[str, Field(min_length=1, max_length=64)],
    Field(description="Name or code of an opcode; it goes before the payload", examples=["echo"]),
]
# As the field's server reads at most.
PAYLOAD_MAX: Final = 1024
_SOURCE: Final = "REST"
_CONTROL: Final = {403: "The sender may only read"}
_AWAY: Final = {503: "There is no serial connection, or it takes nothing more"}
_UNWRITTEN: Final = {503: "The database cannot be written now"}
_NO_NODE: Final = {404: "There was never such a node"}

_VALUE: Final = {"raw": "0923", "value": 23.39, "unit": "°C"}
_NODE: Final = {
    "addr": 5,
    "name": "Node-5",
    "uuid": "000102030405060708090a0b0c0d0e0f",
    "status": 1,
    "state": "active",
    "last_seen": 1795294864.067,
    "age_s": 0.412,
    "data": {"Temperature": {"id": 2, "ts": 1795294864.067, **_VALUE}},
}
_HISTORY: Final = {
    "addr": 5,
    "type": "Temperature",
    "id": 2,
    "length": 2,
    "unit": "°C",
    "values": [{"ts": 1795294864.067, "raw": "0923", "value": 23.39}],
}
_LINE: Final = {
    "ts": 1795294864.067,
    "direction": "note",
    "addr": 5,
    "text": "Node-5 connected",
    "raw": "",
}
_SENT: Final = {"state": "delivered", "attempts": 2, "reason": ""}


class Span(BaseModel):
    model_config = ConfigDict(extra="forbid")

    history: int = Field(
        0,
        ge=0,
        le=store.ROWS_MAX,
        description="0: the last value alone. 1: those in memory, or all of a span. More: the last so many",
    )
    since: _Time = Field(None, description="Unix seconds; this one is the first")
    until: _Time = Field(None, description="Unix seconds; this one is not there any more")

    @property
    def is_bounded(self) -> bool:
        return self.since is not None or self.until is not None

    def most(self, in_memory: int) -> int:
        """So many values are wanted."""
        if self.history == 1:
            return store.ROWS_MAX if self.is_bounded else max(1, in_memory)
        return max(1, self.history)


class Lines(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(200, ge=1, le=LINES_MAX)


class Body(BaseModel):
    """What a message says: octets or text, behind its opcode if there is one."""

    model_config = ConfigDict(extra="forbid")

    payload: _Hex | None = None
    text: str | None = Field(None, max_length=PAYLOAD_MAX)
    opcode: _Code | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Body":
        if self.payload is not None and self.text is not None:
            raise ValueError("either payload or text")
        if self.payload is None and self.text is None and self.opcode is None:
            raise ValueError("payload, text or opcode is needed")
        return self


class Message(Body):
    addr: int = Field(ge=0, le=65_535, description="Of the node; 0 is the root", examples=[5])
    important: bool = Field(False, description="Tracked, and sent again up to three times")
    wait_s: float = Field(
        0.0, ge=0, le=10, allow_inf_nan=False, description="How long to wait for how an important one ends"
    )


class Sent(BaseModel):
    state: str
    attempts: int
    reason: str


def router(mesh: Mesh) -> APIRouter:
    routes = APIRouter(prefix="/mesh", tags=["mesh"])

    def node_of(addr: int) -> Node:
        if (node := mesh.registry.get(addr)) is None:
            raise HTTPException(404, f"there is no node {addr}")
        return node

    def type_of(told: str) -> DataType:
        if (data_type := mesh.types.find(told)) is None:
            raise HTTPException(404, f"there is no data type {told}")
        return data_type

    def octets_of(body: Body) -> bytes:
        head = b""
        if body.opcode is not None:
            if (code := mesh.opcodes.code(body.opcode)) is None:
                raise HTTPException(422, f"there is no opcode {body.opcode}")
            head = bytes((code,))
        octets = head + (bytes.fromhex(body.payload) if body.payload else (body.text or "").encode())
        if len(octets) > PAYLOAD_MAX:
            raise HTTPException(422, f"{len(octets)} octets are too many: {PAYLOAD_MAX} at most")
        return octets

    @routes.get("", summary="The mesh: its UART, its programs, how many nodes", responses=_json(_ABOUT))
    async def about() -> dict[str, Any]:
        return mesh.told()

    @routes.get("/nodes", summary="All nodes that are or were here", responses=_json({"nodes": [_NODE]}))
    async def list_nodes() -> dict[str, Any]:
        ts, now = time.time(), time.monotonic()
        return {"nodes": [notation.node(node, mesh.types, ts, now) for node in mesh.registry]}

    @routes.get("/nodes/{addr}", summary="One node", responses=_json(_NODE) | problems(_NO_NODE))
    async def get_node(addr: Addr) -> dict[str, Any]:
        return notation.node(node_of(addr), mesh.types, time.time(), time.monotonic())

    @routes.delete(
        "/nodes/{addr}",
        summary="Forget a node, and all that it has measured",
        dependencies=[needs_control],
        responses=_json({"addr": 5}) | problems(_NO_NODE | _CONTROL | _UNWRITTEN),
    )
    async def forget_node(addr: Addr) -> dict[str, Any]:
        """Such as one that a destroyed octet has made up. If it says something again it is a new one."""
        node_of(addr)
        try:
            await mesh.keeper.forget(addr)
        except StorageError as exc:
            raise HTTPException(STATUS_OF["storing_failed"], str(exc)) from None
        mesh.manager.forget(addr)
        return {"addr": addr}

    @routes.get(
        "/nodes/{addr}/data/{type}",
        summary="What a node has measured",
        responses=_json(_HISTORY)
        | problems(
            {404: "There is no such node or data type", 503: "The database cannot be read now"},
        ),
    )
    async def get_data(
        addr: Addr, kind: Annotated[Which, Path(alias="type")], span: Annotated[Span, Query()]
    ) -> dict[str, Any]:
        """Oldest first. The last values are in memory; more, and those of a span, come from the database."""
        node, data_type = node_of(addr), type_of(kind)
        found = list(node.history(data_type.name))
        most = span.most(len(found))
        if span.is_bounded or most > len(found):
            found = await written(addr, data_type, span, found, most)
        return notation.history(addr, data_type, found[-most:])

    async def written(
        addr: int, data_type: DataType, span: Span, latest: list[Value], most: int
    ) -> list[Value]:
        """And the latest, which may be on their way to the disk still."""
        try:
            found = await mesh.keeper.history(
                addr,
                data_type.name,
                data_type.length,
                since=span.since,
                until=span.until,
                limit=most,
            )
        except StorageError as exc:
            raise HTTPException(STATUS_OF["storing_failed"], str(exc)) from None
        by_time = {value.ts: value for value in (*found, *latest) if _is_in(span, value.ts)}
        return [by_time[ts] for ts in sorted(by_time)]

    @routes.get("/traffic", summary="What was said lately", responses=_json({"lines": [_LINE]}))
    async def get_traffic(wanted: Annotated[Lines, Query()]) -> dict[str, Any]:
        """Oldest first: what came "up" from the mesh, went "down" to it, and notes."""
        return {"lines": mesh.manager.news.lines(wanted.limit)}

    changing: dict[str, Any] = {
        "dependencies": [needs_control],
        "responses": _json(_SENT) | problems(_CONTROL | _AWAY),
        "response_model": Sent,
    }

    @routes.post("/send", summary="Send a message to a node", **changing)
    async def send(message: Message) -> dict[str, Any]:
        """`sent`: the root module has it. An important one that was waited for is `delivered`, `failed`, or
        `unknown` if the root has not said."""
        return _told(
            await mesh.manager.send(
                message.addr,
                octets_of(message),
                important=message.important,
                wait_s=message.wait_s,
                source=_SOURCE,
            )
        )

    @routes.post("/broadcast", summary="Send a message to all nodes", **changing)
    async def broadcast(message: Body) -> dict[str, Any]:
        return _told(await mesh.manager.broadcast(octets_of(message), _SOURCE))

    @routes.post("/reset", summary="Restart the root module", **changing)
    async def reset() -> dict[str, Any]:
        """All nodes are disconnected until they have joined again."""
        return _told(await mesh.manager.reset(_SOURCE))

    @routes.post("/clean", summary="Let the root module forget its network", **changing)
    async def clean() -> dict[str, Any]:
        """From its persistent memory too: all nodes have to join anew. What they measured stays here."""
        return _told(await mesh.manager.clean(_SOURCE))

    return routes


def _told(outcome: Outcome) -> dict[str, Any]:
    if outcome.state == "refused":
        raise HTTPException(503, outcome.reason)
    return {"state": outcome.state, "attempts": outcome.attempts, "reason": outcome.reason}


def _is_in(span: Span, ts: float) -> bool:
    return (span.since is None or ts >= span.since) and (span.until is None or ts < span.until)


def _json(example: object) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": example}}}}


_ABOUT: Final = {
    "uart": {
        "state": "connected",
        "why": "",
        "device": "/dev/ttyUSB0",
        "baudrate": 115200,
        "counts": {"opened": 1, "lost": 0, "frames_in": 4711, "octets_in": 84_798, "frames_out": 12},
    },
    "tcp_ports": [5002],
    "websocket_port": 7654,
    "listeners": 1,
    "nodes": {"active": 12, "idle": 1, "disconnected": 0},
    "storing": "ok",
    "messages": {"data": 4698, "broken_data": 0, "net_info": 1},
    "types": [
        {
            "name": "Temperature",
            "id": 2,
            "length": 2,
            "kind": "int",
            "scale": 0.01,
            "offset": 0.0,
            "unit": "°C",
        }
    ],
    "opcodes": [{"name": "echo", "code": 69, "handling": "forward"}],
}
