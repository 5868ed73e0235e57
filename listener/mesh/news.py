"""Tells what happens in the mesh: as events on the hub, as lines of traffic, to monitoring pages.

Network status goes to the pages as a whole, so that many changes at once are told together, SETTLE_S after
the first of them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from listener import events, node_events
from listener.mesh import notation
from listener.mesh.data_types import DataType
from listener.mesh.notation import STATES, Told
from listener.mesh.registry import Change, Connected, Registry
from listener.mesh.subscribers import Subscribers

SOURCE: Final = "mesh"
LINES_MAX: Final = 500
SETTLE_S: Final = 0.1


class News:
    def __init__(self, registry: Registry, publish: Callable[[events.EventEnvelope], None]) -> None:
        self._registry = registry
        self._publish = publish
        self._lines: deque[Told] = deque(maxlen=LINES_MAX)
        self._due: asyncio.TimerHandle | None = None
        self.monitors: Subscribers[Told] = Subscribers()
        self._connection = notation.connection_status(0, "disconnected")

    def present(self) -> list[Told]:
        """What a monitoring page that has just come is told at once."""
        return [self._connection, notation.network_status(self._registry)]

    def lines(self, limit: int) -> Sequence[Told]:
        """The last ones, oldest first."""
        return list(islice(self._lines, max(0, len(self._lines) - limit), None))

    def up(self, addr: int | None, text: str, raw: bytes) -> None:
        self._line("up", addr, text, raw)

    def down(self, addr: int | None, text: str, raw: bytes) -> None:
        self._line("down", addr, text, raw)

    def note(self, addr: int | None, text: str) -> None:
        self._line("note", addr, text, b"")

    def data(self, ts: float, addr: int, found: Sequence[tuple[DataType, bytes]], raw: bytes) -> None:
        values = notation.values(found)
        if values:
            self._publish(node_events.node_data(ts, addr, values, SOURCE))
        self.up(addr, f"{notation.name_of(addr)}: {notation.measured(values)}", raw)

    def changes(self, ts: float, changes: Iterable[Change]) -> None:
        for change in changes:
            addr = change.addr
            if isinstance(change, Connected):
                uuid = change.uuid.hex()
                self._publish(node_events.node_connected(ts, addr, uuid, change.again, SOURCE))
                self.note(addr, f"Node-{addr} connected{' again' if change.again else ''}")
            else:
                state = STATES[change.status]
                self._publish(node_events.node_status(ts, addr, state, change.reason, SOURCE))
                self.note(addr, f"Node-{addr} is {state}: {change.reason}")
            self._network_changed()

    def uart(self, state: str, device: str, why: str) -> None:
        ts = time.time()
        self._publish(events.status(ts, "uart", state, SOURCE, device=device, why=why))
        self.note(None, f"UART {device} {state}".replace("  ", " ") + (f": {why}" if why else ""))

    def connection(self, listeners: int, uart: str) -> None:
        told = notation.connection_status(listeners, uart)
        if told != self._connection:
            self._connection = told
            self.monitors.tell(told)

    def close(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _line(self, direction: str, addr: int | None, text: str, raw: bytes) -> None:
        told: dict[str, Any] = notation.line(time.time(), direction, addr, text, raw)
        self._lines.append(told)
        self._publish(node_events.traffic(**told, source=SOURCE))
        if len(self.monitors):
            self.monitors.tell(notation.traffic_log(text))

    def _network_changed(self) -> None:
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(SETTLE_S, self._tell_network)

    def _tell_network(self) -> None:
        self._due = None
        self.monitors.tell(notation.network_status(self._registry))
