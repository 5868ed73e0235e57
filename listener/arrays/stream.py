"""From the sources to the clients of `/ws/stream`.

1. Who comes is in the audience of the demo, which all share: one starts it, or stops it, for all, and it ends
   with the last of them. Who asks for a source has a stream of its own and leaves the audience.
2. Those who want the same of a live source share one stream, and each packet is encoded once for all who want
   JSON, once for all who want it binary. An array is played to each from its beginning.
3. Nothing here awaits a client (see `follower`), and a large packet is encoded in pieces, so that nothing
   else waits for it.
4. A live source that gives nothing is told, and so is that it gives again.
5. Its unit is told before its first packet, and anew when it changes.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any, Final

import structlog

from listener.arrays import packets
from listener.arrays.packets import AskError, Packet, Wanted
from listener.arrays.sources import DEMO_EVERY_S, Source, Sources
from listener.follower import RETRY_S, Follower
from listener.sessions import Peer

_log = structlog.get_logger(__name__)

STALE_S: Final = 1.0
# Octets that are encoded, or written, without letting others have their turn: each in about 0.3 ms.
SMALL: Final = 16_384
WRITTEN: Final = 1_048_576
# Points a second of all streams: more would disturb the sensor's events.
POINTS_MAX: Final = 4_000_000


class Listener(Follower):
    def __init__(self, peer: Peer, *, binary: bool) -> None:
        super().__init__(peer)
        self.binary = binary
        self.group: Group | None = None


class Group:
    """Those who get the same packets."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.listeners: tuple[Listener, ...] = ()
        self.source: Source | None = None  # None: it rests
        self.task: asyncio.Task[None] | None = None
        self.sequence = 0
        self.total = 0
        self.newest_at = 0.0
        self.is_waiting = False
        self.unit = ""  # that was told


class Stream:
    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.packets = 0
        self.skipped = 0
        self._listeners: set[Listener] = set()
        self._demo = Group(Wanted(rate_hz=1 / DEMO_EVERY_S))
        self._groups: list[Group] = []  # of those with a source of their own
        self._tasks: asyncio.TaskGroup | None = None
        self._retry: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        return len(self._listeners)

    @property
    def is_streaming(self) -> bool:
        return self._demo.source is not None or bool(self._groups)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                for group in (self._demo, *self._groups):
                    self._play_soon(group)
                await asyncio.Event().wait()
            finally:  # what is started now rests
                self._tasks = None

    def close(self) -> None:
        for group in (self._demo, *self._groups):
            self._rest(group)
        self._groups.clear()
        if self._retry is not None:
            self._retry.cancel()

    # Clients

    def join(self, peer: Peer, *, binary: bool) -> Listener:
        listener = Listener(peer, binary=binary)
        self._listeners.add(listener)
        self._enter(listener, self._demo)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._go(listener)

    def start(self, listener: Listener, wanted: Wanted | None) -> None:
        """Raises AskError."""
        if wanted is None:
            if listener.group is not self._demo:
                self._go(listener)
                self._enter(listener, self._demo)
            self.start_demo()
            return
        group = self._group_for(wanted)
        if group is not listener.group:
            self._go(listener)
            self._enter(listener, group)
        if group not in self._groups:
            self._groups.append(group)
            self._play_soon(group)
        self.say(listener, self._status(group))

    def stop(self, listener: Listener) -> None:
        if listener.group is self._demo:
            self.stop_demo()
            return
        wanted = listener.group.wanted if listener.group is not None else None
        self._go(listener)
        self.say(listener, packets.status(False, wanted))

    def start_demo(self) -> None:
        if self._demo.source is None:
            self._demo.source = self.sources.open(self._demo.wanted)
            self._demo.sequence = self._demo.total = 0
            self._play_soon(self._demo)
        self._tell(self._demo, packets.status(True))

    def stop_demo(self) -> None:
        self._rest(self._demo)
        self._tell(self._demo, packets.status(False))

    def say(self, listener: Listener, message: bytes) -> None:
        listener.say(message)
        if listener.is_behind:
            self._retry_later()

    # Groups

    def _group_for(self, wanted: Wanted) -> Group:
        is_played = wanted.source.startswith("array:")
        if not is_played:
            wanted = replace(wanted, loop=False)
            for group in self._groups:
                if group.wanted == wanted:
                    return group
        points = sum(group.wanted.window * group.wanted.rate_hz for group in self._groups)
        if points + wanted.window * wanted.rate_hz > POINTS_MAX:
            raise AskError("others have as much streamed as the listener can; ask for less, or later")
        group = Group(wanted)
        group.source = self.sources.open(wanted)
        group.unit = group.source.unit
        group.newest_at = time.monotonic()
        return group

    def _enter(self, listener: Listener, group: Group) -> None:
        listener.group = group
        group.listeners += (listener,)

    def _go(self, listener: Listener) -> None:
        group, listener.group = listener.group, None
        if group is None:
            return
        group.listeners = tuple(other for other in group.listeners if other is not listener)
        if not group.listeners:
            self._end(group)

    def _end(self, group: Group) -> None:
        self._rest(group)
        if group in self._groups:
            self._groups.remove(group)

    def _rest(self, group: Group) -> None:
        if group.task is not None:
            group.task.cancel()
            group.task = None
        if group.source is not None:
            group.source.close()
            group.source = None

    def _tell(self, group: Group, message: bytes) -> None:
        for listener in group.listeners:
            self.say(listener, message)

    def _status(self, group: Group, **more: Any) -> bytes:
        source = group.source
        if source is not None and group.is_waiting:
            more = {"waiting": True, "reason": source.trouble(), **more}
        return packets.status(source is not None, group.wanted, unit=source.unit if source else "", **more)

    # Packets

    def _play_soon(self, group: Group) -> None:
        if self._tasks is not None and group.source is not None:
            name = f"stream {group.wanted.source}"
            group.task = self._tasks.create_task(self._play(group, group.source), name=name)

    async def _play(self, group: Group, source: Source) -> None:
        period_s = 1 / group.wanted.rate_hz
        due = time.monotonic()
        try:
            while not source.is_over:
                began = time.monotonic()
                await self._tick(group, source)
                now = time.monotonic()
                # Who cannot keep up has at least as long a pause as its packet took.
                due = max(due + period_s, 2 * now - began)
                await asyncio.sleep(due - now)
            more: dict[str, Any] = {"ended": True}
        except Exception as exc:  # noqa: BLE001 - one stream's defect is no end of the others
            _log.exception("stream_failed", source=group.wanted.source)
            more = {"reason": f"{type(exc).__name__}: {exc}"[:200]}
        group.task = None  # this one, which needs no end
        listeners = group.listeners
        for listener in listeners:
            listener.group = None
        group.listeners = ()
        self._end(group)
        for listener in listeners:
            self.say(listener, packets.status(False, group.wanted, **more))

    async def _tick(self, group: Group, source: Source) -> None:
        taken = await source.take()
        if taken is None:
            self._nothing_new(group)
            return
        group.newest_at = time.monotonic()
        if group.is_waiting:
            group.is_waiting = False
            self._tell(group, self._status(group, waiting=False))
        elif source.unit != group.unit:
            self._tell(group, self._status(group))
        group.unit = source.unit
        group.total += taken.new
        if group is self._demo:
            packet = Packet(float(taken.x[0]), taken.x, taken.y, group.sequence, taken.new, group.total)
        else:
            more = {"source": group.wanted.source, "unit": source.unit}
            packet = Packet(time.time(), taken.x, taken.y, group.sequence, taken.new, group.total, more)
        group.sequence += 1
        self.packets += 1
        await self._give(group, packet)

    async def _give(self, group: Group, packet: Packet) -> None:
        encoded: dict[bool, bytes] = {}
        wanted = {listener.binary for listener in group.listeners}
        if True in wanted:
            encoded[True] = packets.binary(packet)
        if False in wanted:
            # Others have their turn meanwhile, and new points come.
            encoded[False] = await _text(replace(packet, x=packet.x.copy(), y=packet.y.copy()))
        written = 0
        for listener in group.listeners:
            message = encoded.get(listener.binary)
            # Else it came, or went, while the packet was being made.
            if message is not None and listener.group is group:
                self.skipped += listener.give([[message]], binary=listener.binary)
                if listener.is_behind:
                    self._retry_later()
                written += len(message)
                if written > WRITTEN:
                    written = 0
                    await asyncio.sleep(0)

    def _nothing_new(self, group: Group) -> None:
        if not group.is_waiting and time.monotonic() - group.newest_at > STALE_S:
            group.is_waiting = True
            self._tell(group, self._status(group))

    def _retry_later(self) -> None:
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        for listener in self._listeners:
            listener.catch_up()
            if listener.is_behind:
                self._retry_later()


async def _text(packet: Packet) -> bytes:
    pieces: list[bytes] = []
    for piece in packets.text_pieces(packet):
        pieces.append(piece)
        if len(piece) > SMALL:
            await asyncio.sleep(0)
    return b"".join(pieces)
