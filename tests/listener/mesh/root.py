"""A root module that a test plays itself, at the other end of the manager's UART."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from listener.mesh.data_types import DEFAULT as TYPES
from listener.mesh.message_opcodes import DEFAULT as OPCODES
from listener.mesh.network_manager import NetworkManager
from listener.mesh.priority import Priority
from listener.mesh.registry import Registry

if TYPE_CHECKING:
    from listener.events import EventEnvelope

PATIENCE_S = 15.0


def data(addr: int, *values: tuple[int, bytes]) -> bytes:
    body = b"".join(bytes([data_id]) + octets for data_id, octets in values)
    return addr.to_bytes(2) + b"D" + bytes([len(values)]) + body


def temperature(addr: int, celsius: float) -> bytes:
    return data(addr, (2, round(celsius * 100).to_bytes(2, signed=True)))


def net_info(*addrs: int) -> bytes:
    return b"\x00\x01\x01" + bytes([len(addrs)]) + b"".join(a.to_bytes(2) + uuid(a) for a in addrs)


def node_info(addr: int) -> bytes:
    return addr.to_bytes(2) + b"\x02" + uuid(addr)


def ack(addr: int, how: bytes = b"S", attempts: int = 1) -> bytes:
    return addr.to_bytes(2) + b"A" + how + bytes([attempts])


def uuid(addr: int) -> bytes:
    return addr.to_bytes(2) * 8


ONLINE = b'\x00\x00\x03"online\n'


class Root:
    """Takes what it is sent, or does not; `answer` is called with each and may say something at once."""

    def __init__(self) -> None:
        self.state = "connected"
        self.device = "/dev/ttyUSB0"
        self.refusal = ""
        self.sent: list[tuple[bytes, Priority]] = []
        self.answer: Callable[[bytes], None] = lambda _payload: None

    async def send(self, payload: bytes, priority: Priority) -> str:
        if self.refusal:
            return self.refusal
        self.sent.append((payload, priority))
        self.answer(payload)
        await asyncio.sleep(0)
        return ""

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _ in self.sent]


class Kept:
    """What the manager gives to the disk."""

    def __init__(self) -> None:
        self.nodes: dict[int, tuple[bytes, float | None]] = {}
        self.rows: list[tuple[int, str, float, bytes]] = []

    def record_node(self, addr: int, uuid: bytes, last_seen: float | None) -> None:
        self.nodes[addr] = uuid, last_seen

    def record(self, addr: int, type_name: str, ts: float, data: bytes) -> None:
        self.rows.append((addr, type_name, ts, data))

    def drop(self, addr: int) -> None:
        del self.nodes[addr]


class Middle:
    """The manager between a root and those who are told."""

    def __init__(self, *, attached: bool = True, **ages: float) -> None:
        self.root, self.kept = Root(), Kept()
        self.events: list[EventEnvelope] = []
        self.registry = Registry(3, **ages)
        self.manager = NetworkManager(
            self.registry, TYPES, OPCODES, publish=self.events.append, record=self.kept
        )
        self.heard: list[bytes] = []
        self.shown: list[dict[str, Any]] = []
        if attached:
            self.manager.attach(self.root)

    def say(self, *frames: bytes) -> None:
        for frame in frames:
            self.manager.received(frame)

    async def ask(self, request: bytes, **more: Any) -> bytes:
        return await self.manager.request(request, "127.0.0.1:4711", **more)

    def of_type(self, type: str) -> list[dict[str, Any]]:  # noqa: A002 - its name on the wire
        return [event.payload for event in self.events if event.type == type]

    @property
    def lines(self) -> list[tuple[str, int | None, str]]:
        return [(each["direction"], each["addr"], each["text"]) for each in self.manager.news.lines(500)]

    def is_recent(self, ts: float) -> bool:
        return abs(time.time() - ts) < PATIENCE_S


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
