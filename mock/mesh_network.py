"""The mesh behind a root module, as its firmware sees it: commands in, messages out.

Pure: octets of the computer go into `receive`, what the module says comes out of `advance` as payloads that
are not framed yet, and the clock is an argument. `next_s` is when there is something to say again.

1. The module boots (`00 00 03 "online\\n"`), then its nodes join one by one (0x02), then they report (D).
2. Addresses are given in the order of joining, from 5. They outlive a restart, but not `CLEAN`.
3. SENDI is tried four times, each time with a higher TTL; the end is `address 'A' S|F attempts`.
4. What of the mesh is lost or doubled are the messages of the nodes, never what the module itself says.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from mock.mesh_framing import Unframer
from mock.mesh_node import Node

ROOT: Final = 1
FIRST_ADDRESS: Final = 5
CUSTOM, NET_INFO, NODE_INFO, ROOT_RESET = range(4)
ECHO, REQUEST, TEST, RESTART, ACK = b"ERTSA"
# In one 0x01; the module's buffer for a message holds no more.
NODES_PER_MESSAGE: Final = 50
ATTEMPTS: Final = 4
FIRST_TTL: Final = 3
RETRY_S: Final = 0.2
HOP_S: Final = 0.01
_SHOWN: Final = 32  # octets of a command
# What the firmware prints goes over the same wire in the same framing. Some begin as a message would.
LOGS: Final = (
    b"I (%d) mesh: heap 143212 free, 98304 at least\n",
    b"W (%d) ble_mesh: no matching TX context for ack\n",
    b"E (%d) mesh: relay queue is full\n",
    b"NODE table: %d entries\n",  # an address, then D
    b"READY after %d ms\n",  # an address, then A
    b"\x00\x00D (%d) mesh: friend poll\n",
    b"\x00\x01\x01 beacon %d\n",
    b"\x00",
    b"",
)


@dataclass(frozen=True, slots=True)
class MeshOptions:
    nodes: int = 5
    interval_s: float = 5.0  # between the reports of a node
    hops: int = 3  # to the farthest nodes
    loss: float = 0.0  # the share of attempts to reach a node that fail
    drop: float = 0.0  # the share of the nodes' messages that the mesh loses
    duplicate: float = 0.0
    logs: float = 0.0  # the share of the nodes' messages that come with a line of the firmware's log
    corrupt: float = 0.0  # the share of octets that are others when they come out of the cable
    silent: int = 0  # so many nodes fall silent
    silent_after_s: float = 20.0
    reset_every_s: float = 0.0  # 0: it does not reset itself
    boot_s: float = 0.2
    join_s: float = 0.02  # from one node to the next
    baudrate: int = 0  # 0: as fast as the port takes it
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.nodes <= 65_000:
            raise ValueError(f"nodes must be 0 to 65000, not {self.nodes}")
        for name in ("loss", "drop", "duplicate", "logs", "corrupt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name):g}")
        if not 0 < self.interval_s < math.inf:
            raise ValueError(f"the interval must be a positive number of seconds, not {self.interval_s:g}")
        for name in ("silent_after_s", "reset_every_s", "boot_s", "join_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or a positive number, not {getattr(self, name):g}")
        for name in ("silent", "baudrate"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or a positive number, not {getattr(self, name)}")
        if self.hops < 1:
            raise ValueError(f"hops must be a positive number, not {self.hops}")


class Network:
    """`told` gets a line for whatever happens in it."""

    def __init__(
        self, options: MeshOptions, now_s: float, *, told: Callable[[str], None] = lambda _line: None
    ) -> None:
        seed = str(random.SystemRandom().random() if options.seed is None else options.seed)
        self.nodes = [Node(index, seed, 1 + index % options.hops) for index in range(options.nodes)]
        self.boots = 0
        self.is_up = False
        self._options = options
        self._told = told
        self._chance = random.Random(f"{seed} network")
        self._known: dict[int, Node] = {}  # by address; in the module's memory that lasts
        self._joined: set[int] = set()
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._says: list[bytes] = []
        self._unframer = Unframer()
        self._began_s = now_s
        self.boot(now_s)

    @property
    def next_s(self) -> float:
        return self._due[0][0] if self._due else math.inf

    def node(self, address: int) -> Node:
        return self._known[address]

    def joined(self) -> list[Node]:
        return [self._known[address] for address in sorted(self._joined)]

    def boot(self, now_s: float) -> None:
        """After a restart or a power failure. What was under way is forgotten."""
        self.is_up = False
        self._due.clear()
        self._joined.clear()
        self._unframer = Unframer()
        self._at(now_s + self._options.boot_s, self._come_up)

    def receive(self, octets: bytes, now_s: float) -> None:
        for command in self._unframer.feed(octets) if self.is_up else ():
            self._told(f"heard {_text(command)}")
            known = self._COMMANDS.get(command[:5])
            if known is None:
                self._log(b"E (%d) uart: unknown command\n", now_s)
            else:
                known(self, command[5:], now_s)

    def advance(self, now_s: float) -> list[bytes]:
        """The payloads of all messages up to now."""
        while self._due and self._due[0][0] <= now_s:
            at_s, _, act = heapq.heappop(self._due)
            act(at_s)
        says, self._says = self._says, []
        return says

    def _at(self, at_s: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), act))

    # Booting and joining

    def _come_up(self, now_s: float) -> None:
        self.is_up = True
        self.boots += 1
        self._says.append(b"\x00\x00\x03online\n")
        self._told("online")
        self._gather(now_s)
        if self._options.reset_every_s:
            self._at(now_s + self._options.reset_every_s, self._reset_itself)

    def _reset_itself(self, now_s: float) -> None:
        self._told("resets itself")
        self.boot(now_s)

    def _gather(self, now_s: float) -> None:
        nodes = self.nodes if self._known else self._chance.sample(self.nodes, len(self.nodes))
        for number, node in enumerate(nodes, start=1):
            self._at(now_s + number * self._options.join_s, partial(self._join, node))

    def _join(self, node: Node, now_s: float) -> None:
        if node.address not in self._known:
            node.address = FIRST_ADDRESS + len(self._known)
            self._known[node.address] = node
        self._joined.add(node.address)
        self._says.append(node.says(NODE_INFO, node.uuid))
        self._told(f"node {node.address} joined")
        if node.index < self._options.silent:
            # When it falls silent does not begin anew with each joining.
            fall_s = max(self._began_s + self._options.silent_after_s, now_s)
            self._at(fall_s, partial(self._fall_silent, node))
        self._at(now_s + self._chance.uniform(0, self._options.interval_s), partial(self._report, node))

    def _fall_silent(self, node: Node, _now_s: float) -> None:
        if not node.silent:
            node.silent = True
            self._told(f"node {node.address} falls silent")

    def _report(self, node: Node, now_s: float) -> None:
        self._at(now_s + self._options.interval_s, partial(self._report, node))
        self._say(node, node.report(now_s), now_s)

    # What comes out

    def _say(self, node: Node, message: bytes, now_s: float) -> None:
        """A node, over the mesh."""
        if node.silent or node.address not in self._joined or self._happens(self._options.drop):
            return
        if self._happens(self._options.logs):
            self._log(self._chance.choice(LOGS), now_s)
        self._says += [message] * (2 if self._happens(self._options.duplicate) else 1)

    def _log(self, text: bytes, now_s: float) -> None:
        milliseconds = round(1000 * (now_s - self._began_s))
        self._says.append(text % milliseconds if b"%d" in text else text)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._chance.random() < share

    def _root_says(self, opcode: int, body: bytes) -> None:
        self._says.append(ROOT.to_bytes(2, "big") + bytes((opcode,)) + body)

    # Commands

    def _net_info(self, _rest: bytes, _now_s: float) -> None:
        for nodes in _batches(self.joined()):
            entries = b"".join(node.address.to_bytes(2, "big") + node.uuid for node in nodes)
            self._root_says(NET_INFO, bytes((len(nodes),)) + entries)

    def _send(self, rest: bytes, now_s: float) -> None:
        if len(rest) < 2:
            self._log(b"E (%d) uart: SEND- is too short\n", now_s)
        elif not self._deliver(int.from_bytes(rest[:2], "big"), rest[2:], now_s, self._options.hops):
            self._log(b"W (%d) mesh: message not delivered\n", now_s)

    def _send_important(self, rest: bytes, now_s: float) -> None:
        if len(rest) < 2:
            self._log(b"E (%d) uart: SENDI is too short\n", now_s)
        else:
            self._attempt(int.from_bytes(rest[:2], "big"), rest[2:], 1, now_s)

    def _attempt(self, address: int, payload: bytes, number: int, now_s: float) -> None:
        address = address or ROOT
        delivered = self._deliver(address, payload, now_s, FIRST_TTL + number - 1)
        if not delivered and number < ATTEMPTS:
            self._at(now_s + RETRY_S, partial(self._attempt, address, payload, number + 1))
            return
        letter = b"S" if delivered else b"F"
        ack = address.to_bytes(2, "big") + bytes((ACK,)) + letter + bytes((number,))
        hops = self._known[address].hops if address in self._known else 0
        self._at(now_s + 2 * hops * HOP_S, lambda _at_s: self._says.append(ack))
        self._told(f"SENDI to {address} {'delivered' if delivered else 'failed'}, attempts {number}")

    def _broadcast(self, rest: bytes, now_s: float) -> None:
        for address in sorted(self._joined):
            self._deliver(address, rest[2:], now_s, self._options.hops)

    def _clean(self, _rest: bytes, now_s: float) -> None:
        """The nodes stay what they are, but to the module they are new."""
        self._told("forgets its nodes")
        self._due.clear()
        self._known.clear()
        self._joined.clear()
        for node in self.nodes:
            node.address = 0
        self._gather(now_s + self._options.boot_s)
        if self._options.reset_every_s:
            self._at(now_s + self._options.reset_every_s, self._reset_itself)

    def _restart(self, _rest: bytes, now_s: float) -> None:
        self.boot(now_s)

    def _state(self, _rest: bytes, _now_s: float) -> None:
        self._root_says(CUSTOM, b"connected, %d nodes\n" % len(self._joined))

    _COMMANDS: Final = {
        b"NINFO": _net_info,
        b"SEND-": _send,
        b"SENDI": _send_important,
        b"BCAST": _broadcast,
        b"CLEAN": _clean,
        b"RST-R": _restart,
        b"STATE": _state,
    }

    # Nodes that are told something

    def _deliver(self, address: int, payload: bytes, now_s: float, ttl: int) -> bool:
        if address in (0, ROOT):
            if payload[:1] == bytes((ECHO,)):
                self._root_says(ECHO, payload[1:])
            return True
        node = self._known.get(address)
        if node is None or address not in self._joined or node.silent:
            return False
        if node.hops > ttl or self._happens(self._options.loss):
            return False
        self._at(now_s + 2 * node.hops * HOP_S, partial(self._obey, node, payload))
        return True

    def _obey(self, node: Node, payload: bytes, now_s: float) -> None:
        node.heard.append(payload)
        opcode, rest = payload[:1], payload[1:]
        if opcode == bytes((ECHO,)):
            self._say(node, node.says(ECHO, rest), now_s)
        elif opcode == bytes((REQUEST,)):
            self._say(node, node.data(rest, now_s) if rest else node.report(now_s), now_s)
        elif opcode == bytes((TEST,)):
            self._say(node, node.says(TEST, b"passed\n"), now_s)
        elif opcode == bytes((RESTART,)):
            self._joined.discard(node.address)
            self._at(now_s + self._options.boot_s, partial(self._join_again, node))

    def _join_again(self, node: Node, _now_s: float) -> None:
        self._joined.add(node.address)
        self._says.append(node.says(NODE_INFO, node.uuid))
        self._told(f"node {node.address} joined again")


def _batches(nodes: list[Node]) -> Iterator[list[Node]]:
    for start in range(0, len(nodes) or 1, NODES_PER_MESSAGE):
        yield nodes[start : start + NODES_PER_MESSAGE]


def _text(command: bytes) -> str:
    name, rest = command[:5].decode("latin-1"), command[5:]
    printable = name if name.isprintable() else command[:5].hex(" ")
    more = f" … ({len(rest)} octets)" if len(rest) > _SHOWN else ""
    return f"{printable} {rest[:_SHOWN].hex(' ')}".rstrip() + more
