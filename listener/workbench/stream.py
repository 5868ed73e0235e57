"""From the frames of all buses to the clients who look at them.

1. Frames wait in one batch and go out as `pace` has it, joined for each client by its `offer`.
2. A frame is encoded once for all who want it plain, once for all who want it decoded, and decoded only
   when one of these is there.
3. With `rate` the newest of each identifier goes out, so often and not oftener.
4. Nothing here awaits a client (see `follower`): frames may be skipped for one, states and answers wait.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from listener.follower import RETRY_S, Follower
from listener.pace import Pace
from listener.raw_frame import Flag, RawFrame
from listener.workbench.codec import Codec
from listener.workbench.identifiers import Identifier, of_frame
from listener.workbench.messages import ALL_BUSES, Wanted, encode, frame_json, with_bus

BATCH_MAX: Final = 256
# So many octets in one `offer`: of a larger one all would be lost when there is room for half of it.
OFFER_MAX: Final = 16_384
# Identifiers whose newest frame waits for `rate`; a bus that has more of them is served earlier.
LATEST_MAX: Final = 4096
_UNDECODABLE: Final = int(Flag.REMOTE) | int(Flag.ERROR)


class Item:
    __slots__ = ("_decoded", "_plain", "bus", "frame", "identifier")

    def __init__(self, bus: str, identifier: Identifier, frame: RawFrame) -> None:
        self.bus = bus
        self.identifier = identifier
        self.frame = frame
        self._plain: bytes | None = None
        self._decoded: bytes | None = None

    def plain(self) -> bytes:
        if self._plain is None:
            self._plain = frame_json(self.frame)
        return self._plain

    def decoded(self, codec: Codec) -> bytes:
        if self._decoded is None:
            known = codec and not self.frame.flags & _UNDECODABLE
            decoded = codec.decode(self.identifier, self.frame.data) if known else None
            self._decoded = self.plain() if decoded is None else frame_json(self.frame, decoded)
        return self._decoded


class _Group:
    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.clients: tuple[Follower, ...] = ()
        self._latest: dict[tuple[str, Identifier], Item] = {}
        self._due_at = 0.0

    @property
    def next_at(self) -> float | None:
        return self._due_at if self._latest else None

    def select(self, batch: list[Item], default: str, now: float) -> list[Item]:
        wanted = self.wanted
        bus = wanted.bus or default
        if bus != ALL_BUSES:
            batch = [item for item in batch if item.bus == bus]
        if wanted.filter is not None:
            batch = [item for item in batch if item.identifier in wanted.filter]
        if wanted.rate_hz is None:
            return batch
        for item in batch:
            self._latest[item.bus, item.identifier] = item
        if not self._latest or (now < self._due_at and len(self._latest) < LATEST_MAX):
            return []
        self._due_at = now + 1 / wanted.rate_hz
        newest = list(self._latest.values())
        self._latest.clear()
        return newest


class FrameStream:
    """`codec` says how the frames of a bus are decoded; `default` is the bus of those who name none."""

    def __init__(self, default: str, codec: Callable[[str], Codec]) -> None:
        self._default = default
        self._codec = codec
        self._groups: dict[Wanted, _Group] = {}
        self._batch: list[Item] = []
        self._pace = Pace(self.flush)
        self._rate_timer: asyncio.TimerHandle | None = None
        self._retry_timer: asyncio.TimerHandle | None = None
        self.skipped = 0

    @property
    def clients(self) -> int:
        return sum(len(group.clients) for group in self._groups.values())

    def feed(self, bus: str, frame: RawFrame) -> None:
        if not self._groups:
            return
        self._batch.append(Item(bus, of_frame(frame.arbitration_id, frame.flags), frame))
        if len(self._batch) >= BATCH_MAX:
            self.flush()
        elif self._pace.timer is None:
            self._pace.schedule()

    def flush(self) -> None:
        began = self._pace.begin()
        batch, self._batch = self._batch, []
        for group in tuple(self._groups.values()):
            items = group.select(batch, self._default, began)
            if items:
                pieces = _pieces(self._payloads(group.wanted, items))
                for client in group.clients:
                    self.skipped += client.give(pieces)
                    if client.is_behind:
                        self._retry_later()
        now = self._pace.end(began, alone=len(batch) <= 1)
        self._wait_for_rates(now)

    def tell(self, bus: str, message: dict[str, Any]) -> None:
        """A state of this bus, to those who look at it; after every frame that came before."""
        self.flush()
        payload = encode(message)
        for group in self._groups.values():
            if (group.wanted.bus or self._default) in {bus, ALL_BUSES}:
                for client in group.clients:
                    self.answer(client, payload)

    def answer(self, client: Follower, payload: bytes) -> None:
        client.say(payload)
        if client.is_behind:
            self._retry_later()

    def join(self, client: Follower, wanted: Wanted) -> Callable[[], None]:
        """From the next frame on, until the function is called that it returns."""
        self.flush()
        group = self._groups.setdefault(wanted, _Group(wanted))
        group.clients += (client,)

        def leave() -> None:
            group.clients = tuple(other for other in group.clients if other is not client)
            if not group.clients and self._groups.get(wanted) is group:
                del self._groups[wanted]

        return leave

    def stop(self) -> None:
        self.flush()
        self._pace.cancel()
        for timer in (self._rate_timer, self._retry_timer):
            if timer is not None:
                timer.cancel()

    def _payloads(self, wanted: Wanted, items: list[Item]) -> list[bytes]:
        if wanted.decoded:
            codecs = {bus: self._codec(bus) for bus in {item.bus for item in items}}
            payloads = [item.decoded(codecs[item.bus]) for item in items]
        else:
            payloads = [item.plain() for item in items]
        if wanted.bus != ALL_BUSES:
            return payloads
        return [with_bus(payload, item.bus) for item, payload in zip(items, payloads, strict=True)]

    def _wait_for_rates(self, now: float) -> None:
        if self._rate_timer is not None:
            self._rate_timer.cancel()
            self._rate_timer = None
        due = [group.next_at for group in self._groups.values() if group.next_at is not None]
        if due:
            delay_s = max(0.0, min(due) - now)
            self._rate_timer = asyncio.get_running_loop().call_later(delay_s, self.flush)

    def _retry_later(self) -> None:
        if self._retry_timer is None:
            self._retry_timer = asyncio.get_running_loop().call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._retry_timer = None
        for group in self._groups.values():
            for client in group.clients:
                client.catch_up()
                if client.is_behind:
                    self._retry_later()


def _pieces(payloads: Sequence[bytes]) -> list[Sequence[bytes]]:
    if sum(map(len, payloads)) <= OFFER_MAX:
        return [payloads]
    pieces: list[Sequence[bytes]] = []
    begin = size = 0
    for number, payload in enumerate(payloads):
        if size and size + len(payload) > OFFER_MAX:
            pieces.append(payloads[begin:number])
            begin, size = number, 0
        size += len(payload)
    pieces.append(payloads[begin:])
    return pieces
