"""The middle of the mesh: what comes over the UART goes into the registry or to programs, what programs ask
is answered from the registry or goes to the UART.

1. Every request is answered, with `S` or with `F` and a reason.
2. Data, node lists and new nodes are kept here; everything else the UART says goes to every listening
   program, octet by octet, its address first.
3. Nothing here waits but for the UART to take a command.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from listener.events import EventEnvelope
from listener.mesh import notation, requests
from listener.mesh.data_types import DataType, DataTypes
from listener.mesh.message_opcodes import Opcodes
from listener.mesh.messages import Ack, Forward, LogText, NetInfo, NodeData, NodeInfo, RootReset, parse_uart
from listener.mesh.news import News
from listener.mesh.node import Node, Status
from listener.mesh.notation import ROOT, Told, name_of
from listener.mesh.outcomes import Outcome, Outcomes
from listener.mesh.priority import Priority
from listener.mesh.registry import Change, Registry
from listener.mesh.requests import Refused, Request
from listener.mesh.subscribers import Subscribers

NO_UART: Final = "No Serial Connection"
# Between two looks at who has grown silent.
AGE_S: Final = 1.0
# Between two questions to the root whether it knows somebody who has spoken.
ASK_AGAIN_S: Final = 10.0
_STATUS_OF: Final = {"A": Status.ACTIVE, "D": Status.DISCONNECT, "N": Status.IDLE}
_PRIORITIES: Final = {"RST-R": Priority.RESET, "CLEAN": Priority.RESET, "SENDI": Priority.IMPORTANT}
_WITHOUT_NODES: Final = {"RST-R": "the root module restarts", "CLEAN": "the network was cleaned"}


class Uart(Protocol):
    @property
    def state(self) -> str:
        """connected, disconnected, searching or silent."""

    @property
    def device(self) -> str: ...

    async def send(self, payload: bytes, priority: Priority) -> str:
        """ "" when the octets are with the driver, otherwise why not."""


class Record(Protocol):
    """Who keeps it on the disk; neither waits."""

    def record_node(self, addr: int, uuid: bytes, last_seen: float | None) -> None: ...

    def record(self, addr: int, type_name: str, ts: float, data: bytes) -> None: ...

    def drop(self, addr: int) -> None: ...


class NetworkManager:
    def __init__(
        self,
        registry: Registry,
        types: DataTypes,
        opcodes: Opcodes,
        *,
        publish: Callable[[EventEnvelope], None],
        record: Record,
    ) -> None:
        self.registry = registry
        self.types = types
        self.opcodes = opcodes
        self.news = News(registry, publish)
        self.outcomes = Outcomes()
        self.counts = dict.fromkeys(
            ("data", "broken_data", "net_info", "node_info", "root_reset", "ack", "forwarded", "log"), 0
        )
        self._record = record
        self._uart: Uart | None = None
        self._listeners: Subscribers[bytes] = Subscribers(self._connection_changed)
        self._ask = asyncio.Event()
        self._asked_at = -math.inf
        self._received: Mapping[type, Callable[[Any, bytes, float, float], None]] = {
            NodeData: self._on_data,
            NetInfo: self._on_net_info,
            NodeInfo: self._on_node_info,
            RootReset: self._on_root_reset,
            Ack: self._on_ack,
            Forward: self._on_forward,
            LogText: self._on_log,
        }
        self._answers: Mapping[str, Callable[[Request], bytes]] = {
            "NSTAT": self._node_status,
            "ACT-C": self._active_count,
            "NINFO": self._node_info,
            "NETIF": self._net_interface,
            "[GET]": self._get,
        }

    # For the sides of it

    def attach(self, uart: Uart) -> None:
        """Until then there is no serial connection."""
        self._uart = uart

    def add_listener(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """A program that wants every message; returns the function that ends it. It is never waited for."""
        return self._listeners.add(listener)

    def add_monitor(self, monitor: Callable[[Told], None]) -> Callable[[], None]:
        """A page that wants `trafficLog`, `networkStatus` and `connectionStatus`, as dicts to be encoded."""
        return self.news.monitors.add(monitor)

    def present(self) -> list[Told]:
        """What a new monitor is told at once: connectionStatus and networkStatus."""
        return self.news.present()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    @property
    def uart_state(self) -> str:
        return "disconnected" if self._uart is None else self._uart.state

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._grow_old(), name="let nodes grow old")
            tasks.create_task(self._ask_for_nodes(), name="ask the root for its nodes")

    def close(self) -> None:
        self.outcomes.give_up("the listener ends")
        self.news.close()

    # From the UART

    def received(self, frame: bytes) -> None:
        """A payload, without its frame."""
        message = parse_uart(frame, self.opcodes, self.types)
        self._received[type(message)](message, frame, time.time(), time.monotonic())

    def uart_changed(self, state: str, why: str) -> None:
        if state == "connected":
            self.registry.reopened()
        else:
            self.outcomes.give_up("the root module is away")
        self.news.uart(state, self._uart.device if self._uart is not None else "", why)
        self._connection_changed()

    def _on_data(self, message: NodeData, frame: bytes, ts: float, now: float) -> None:
        self.counts["broken_data" if message.problem else "data"] += 1
        # A destroyed octet may be one of the address.
        changes = self.registry.heard(message.addr, ts, now, add=not message.problem)
        self._changed(ts, changes)
        node = self.registry.get(message.addr)
        if node is not None:
            if changes and self.registry.is_strange(node) and now - self._asked_at >= ASK_AGAIN_S:
                self._asked_at = now
                self._ask.set()
            self._record.record_node(node.addr, node.uuid, ts)
            for data_type, data in message.values:
                stored_ts = node.store(data_type.name, data, ts)
                self._record.record(node.addr, data_type.name, stored_ts, data)
            self.news.data(ts, message.addr, message.values, frame)
        if message.problem:
            self.news.note(message.addr, f"{name_of(message.addr)}: broken data: {message.problem}")

    def _on_net_info(self, message: NetInfo, frame: bytes, ts: float, now: float) -> None:
        self.counts["net_info"] += 1
        self.news.up(ROOT, f"root: has {len(message.nodes)} nodes", frame)
        self._changed(ts, self.registry.net_info(message.nodes, now))
        for addr, _ in message.nodes:
            if (node := self.registry.get(addr)) is not None:
                self._record.record_node(addr, node.uuid, node.last_seen)

    def _on_node_info(self, message: NodeInfo, frame: bytes, ts: float, now: float) -> None:
        self.counts["node_info"] += 1
        self.news.up(message.addr, f"{name_of(message.addr)}: joins, {message.uuid.hex()}", frame)
        self._changed(ts, self.registry.node_info(message.addr, message.uuid, ts, now))
        self._record.record_node(message.addr, message.uuid, ts)

    def _on_root_reset(self, message: RootReset, frame: bytes, ts: float, _: float) -> None:
        self.counts["root_reset"] += 1
        self.news.up(ROOT, f"root: has started: {message.text.strip()}", frame)
        self._lose_all(ts, "the root module has restarted")
        self._ask.set()
        self._listeners.tell(frame)

    def _on_ack(self, message: Ack, frame: bytes, ts: float, now: float) -> None:
        self.counts["ack"] += 1
        if message.delivered:
            self._changed(ts, self.registry.heard(message.addr, ts, now, add=False))
        done = "has got a message, at" if message.delivered else "has not got a message, after"
        self.news.up(message.addr, f"{name_of(message.addr)}: {done} attempt {message.attempts}", frame)
        self.outcomes.ended(message.addr or ROOT, delivered=message.delivered, attempts=message.attempts)
        self._listeners.tell(frame)

    def _on_forward(self, message: Forward, frame: bytes, ts: float, now: float) -> None:
        self.counts["forwarded"] += 1
        known = self.registry.get(message.addr)
        self._changed(ts, self.registry.heard(message.addr, ts, now, add=False))
        opcode = self.opcodes.by_code.get(message.opcode)
        said = opcode.name if opcode is not None else f"opcode {message.opcode}"
        who = name_of(message.addr) if known is not None or message.addr <= ROOT else f"from {message.addr}"
        self.news.up(message.addr, f"{who}: {said} {notation.octets(message.body)}".rstrip(), frame)
        self._listeners.tell(frame)

    def _on_log(self, message: LogText, frame: bytes, _ts: float, _now: float) -> None:
        self.counts["log"] += 1
        self.news.up(None, message.text, frame)
        self._listeners.tell(frame)

    # From programs

    async def request(self, data: bytes, source: str, *, refusal: str | None = None) -> bytes:
        """The response. `refusal`: why who asks may not change anything; None when he may."""
        request = requests.parse_request(data)
        if isinstance(request, Refused):
            return requests.failed(request.reason)
        if request.command in self._answers:
            return self._answers[request.command](request)
        if refusal is not None:
            return requests.failed(refusal)
        outcome = await self._forward(request, source)
        return requests.ok() if outcome.state != "refused" else requests.failed(outcome.reason)

    async def send(
        self, addr: int, payload: bytes, *, important: bool = False, wait_s: float = 0.0, source: str = ""
    ) -> Outcome:
        """0 as the address is the root. An important one is waited for `wait_s`, until it is known how it
        ended."""
        command = "SENDI" if important else "SEND-"
        return await self._forward(self._request(command, addr, payload), source, wait_s)

    async def broadcast(self, payload: bytes, source: str = "") -> Outcome:
        return await self._forward(self._request("BCAST", 0, payload), source)

    async def reset(self, source: str = "") -> Outcome:
        return await self._forward(self._request("RST-R"), source)

    async def clean(self, source: str = "") -> Outcome:
        return await self._forward(self._request("CLEAN"), source)

    def forget(self, addr: int) -> bool:
        """False if there is no such node. One that says something again is a new one."""
        changes = self.registry.forget(addr)
        self._changed(time.time(), changes)
        return bool(changes)

    def _request(self, command: str, addr: int | None = None, payload: bytes = b"") -> Request:
        raw = requests.to_uart(command, addr, payload)
        return Request(command, addr, None, None, payload, raw)

    async def _forward(self, request: Request, source: str, wait_s: float = 0.0) -> Outcome:
        command, addr = request.command, request.addr
        whom = f" to {name_of(addr)}" if addr is not None and command != "BCAST" else ""
        text = f"{command}{whom} {notation.octets(request.payload)}".rstrip()
        if source:
            text = f"{text} (from {source})"
        waiting = None
        if command == "SENDI" and addr is not None:
            await self.outcomes.turn(addr or ROOT)
            waiting = self.outcomes.expect(addr or ROOT, time.monotonic())
        reason = "it was given up"
        try:
            reason = await self._to_uart(request.raw, _PRIORITIES.get(command, Priority.NORMAL))
        finally:
            if reason and waiting is not None:
                self.outcomes.take_back(waiting)
        if reason:
            self.news.note(addr, f"{text}: {reason}")
            return Outcome("refused", reason=reason)
        self.news.down(addr, text, request.raw)
        if command in _WITHOUT_NODES:
            self._lose_all(time.time(), _WITHOUT_NODES[command])
        if waiting is None or wait_s <= 0:
            return Outcome("sent")
        await asyncio.wait({waiting.ended}, timeout=wait_s)
        if waiting.ended.done():
            return waiting.ended.result()
        return Outcome("unknown", reason=f"no word of it in {wait_s:g} s")

    async def _to_uart(self, payload: bytes, priority: Priority) -> str:
        return NO_UART if self._uart is None else await self._uart.send(payload, priority)

    # Answers that need no UART

    def _node_status(self, _: Request) -> bytes:
        return requests.node_status_json((node.addr, node.status is Status.ACTIVE) for node in self.registry)

    def _active_count(self, _: Request) -> bytes:
        return requests.active_count(self.registry.count(Status.ACTIVE))

    def _node_info(self, _: Request) -> bytes:
        ts, now = time.time(), time.monotonic()
        return requests.node_info_json(notation.node_info(node, ts, now) for node in self.registry)

    def _net_interface(self, request: Request) -> bytes:
        nodes = self.registry.in_status(_STATUS_OF[request.state or "A"])
        return requests.net_interface((node.addr, node.uuid) for node in nodes)

    def _get(self, request: Request) -> bytes:
        node = self.registry.get(request.addr or 0)
        if request.addr and node is None:
            return requests.failed("Node Not Found")
        data_type = self.types.by_id.get(request.data_id or 0)
        if data_type is None:
            return requests.failed("Data Type Not Found")
        found = self._latest(data_type, self.registry if node is None else (node,))
        if node is not None and not found:
            return requests.failed("Data Type Not Found")
        return requests.data_response(data_type.id, data_type.length, found)

    def _latest(self, data_type: DataType, nodes: Iterable[Node]) -> list[tuple[int, bytes]]:
        name = data_type.name
        return [(node.addr, last.data) for node in nodes if (last := node.last(name)) is not None]

    # By itself

    async def _grow_old(self) -> None:
        while True:
            await asyncio.sleep(AGE_S)
            now = time.monotonic()
            changes = self.registry.age(now)
            self._changed(time.time(), changes)
            for change in changes:
                if self.registry.get(change.addr) is None:
                    self._record.drop(change.addr)
            self.outcomes.expire(now)

    async def _ask_for_nodes(self) -> None:
        """After each start of the root, and when somebody new has spoken whom it has not named. The UART's
        manager asks when it has opened the port."""
        while True:
            await self._ask.wait()
            self._ask.clear()
            await self._to_uart(requests.to_uart("NINFO"), Priority.NORMAL)

    def _lose_all(self, ts: float, reason: str) -> None:
        self.outcomes.give_up(reason)
        self._changed(ts, self.registry.root_reset(reason))

    def _changed(self, ts: float, changes: list[Change]) -> None:
        if changes:
            self.news.changes(ts, changes)

    def _connection_changed(self) -> None:
        self.news.connection(self.listeners, self.uart_state)
