"""The nodes by their address, what happens to each, and the answers that need nothing but them.

Pure: both clocks come in as arguments (`listener.mesh.node`). What happens is given back as changes, for
whoever tells people and programs of it.

1. A node is there from its first word, or from the first time that the root tells of it.
2. A node that says nothing for `idle_s` is IDLE, for `disconnect_s` DISCONNECT.
3. When the root starts anew it has no nodes: all are DISCONNECT until they are heard or told of. The same
   holds for those that are remembered from before the listener was started.
4. The root's list may name nodes that are long gone. It brings back whom it has lost itself, and nobody who
   was silent for `disconnect_s` while the root was there.
5. A destroyed octet makes up an address. Where the root lists its nodes, one that it has never named is
   forgotten when it has said nothing for `idle_s`.
6. There are at most NODES_MAX. The one that has said nothing for longest goes, and before it those that the
   root has never named.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from listener.mesh.node import Node, Status

NODES_MAX: Final = 1024
# 0 means the root or all nodes, 1 is the root.
FIRST: Final = 2


@dataclass(frozen=True, slots=True)
class Connected:
    addr: int
    uuid: bytes
    again: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """To another status, but not by connecting."""

    addr: int
    status: Status
    reason: str


Change = Connected | Moved


class Registry:
    def __init__(self, depth: int = 10, idle_s: float = 60.0, disconnect_s: float = 300.0) -> None:
        self._depth = depth
        self._idle_s = idle_s
        self._disconnect_s = disconnect_s
        self._nodes: dict[int, Node] = {}
        self._lists_nodes = False  # the root has, at least once

    def __iter__(self) -> Iterator[Node]:
        """By address."""
        return iter(sorted(self._nodes.values(), key=lambda node: node.addr))

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, addr: int) -> Node | None:
        return self._nodes.get(addr)

    def in_status(self, status: Status) -> Sequence[Node]:
        return [node for node in self if node.status is status]

    def count(self, status: Status) -> int:
        return sum(node.status is status for node in self._nodes.values())

    def remember(self, addr: int, uuid: bytes, last_seen: float | None) -> Node | None:
        """One from before the start; None if there is no room."""
        if addr < FIRST or (addr not in self._nodes and len(self._nodes) >= NODES_MAX):
            return None
        node = self._nodes.setdefault(addr, Node(addr, uuid, self._depth))
        node.last_seen, node.is_named = last_seen, bool(uuid)
        return node

    def heard(self, addr: int, ts: float, now: float, *, add: bool = True) -> list[Change]:
        """It said something. Without `add` one that is not known is not believed in."""
        if addr < FIRST or not (add or addr in self._nodes):
            return []
        node, before = self._find_or_add(addr)
        node.heard(ts, now)
        return _came(node, before)

    def node_info(self, addr: int, uuid: bytes, ts: float, now: float) -> list[Change]:
        """The root says that it has connected."""
        if addr < FIRST:
            return []
        node, before = self._find_or_add(addr)
        node.uuid, node.is_named = uuid, True
        node.heard(ts, now)
        return _came(node, before)

    def net_info(self, nodes: Iterable[tuple[int, bytes]], now: float) -> list[Change]:
        """The root lists whom it has. Those that are here keep their age."""
        changes: list[Change] = []
        for addr, uuid in nodes:
            if addr < FIRST:
                continue
            node, before = self._find_or_add(addr)
            node.uuid, node.is_named = uuid, True
            self._lists_nodes = True
            if node.status is Status.DISCONNECT and node.is_vouched:
                node.told_of(now)
                changes += _came(node, before)
        return changes

    def root_reset(self, reason: str) -> list[Change]:
        """The root has no nodes any more."""
        changes: list[Change] = []
        for node in self:
            node.is_vouched = True
            if node.status is not Status.DISCONNECT:
                node.status = Status.DISCONNECT
                changes.append(Moved(node.addr, node.status, reason))
        return changes

    def reopened(self) -> None:
        """The root could not be heard, and can again: who was silent meanwhile may not be to blame."""
        for node in self._nodes.values():
            node.is_vouched = True

    def age(self, now: float) -> list[Change]:
        changes: list[Change] = []
        for node in self:
            silent_s = -math.inf if node.alive_at is None else now - node.alive_at
            if self.is_strange(node) and silent_s >= self._idle_s:
                changes += self.forget(node.addr, "the root does not know it")
            elif node.status is not Status.DISCONNECT and silent_s >= self._disconnect_s:
                node.status, node.is_vouched = Status.DISCONNECT, False
                changes.append(Moved(node.addr, node.status, f"silent for {self._disconnect_s:g} s"))
            elif node.status is Status.ACTIVE and silent_s >= self._idle_s:
                node.status = Status.IDLE
                changes.append(Moved(node.addr, node.status, f"silent for {self._idle_s:g} s"))
        return changes

    def is_strange(self, node: Node) -> bool:
        """The root lists its nodes, and has never named this one."""
        return self._lists_nodes and not node.is_named

    def forget(self, addr: int, reason: str = "") -> list[Change]:
        node = self._nodes.pop(addr, None)
        told = f"forgotten: {reason}" if reason else "forgotten"
        return [] if node is None else [Moved(addr, Status.DISCONNECT, told)]

    def _find_or_add(self, addr: int) -> tuple[Node, Status | None]:
        """And its status until now, None if it was not known."""
        if (node := self._nodes.get(addr)) is not None:
            return node, node.status
        if len(self._nodes) >= NODES_MAX:
            del self._nodes[min(self._nodes.values(), key=_last_wanted).addr]
        node = self._nodes[addr] = Node(addr, b"", self._depth)
        return node, None


def _last_wanted(node: Node) -> tuple[bool, float]:
    return node.is_named, -math.inf if node.alive_at is None else node.alive_at


def _came(node: Node, before: Status | None) -> list[Change]:
    if before is None or before is Status.DISCONNECT:
        return [Connected(node.addr, node.uuid, again=before is not None)]
    return [Moved(node.addr, node.status, "heard again")] if before is Status.IDLE else []
