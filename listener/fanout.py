"""From one event to many clients, at little more than the price of one.

A write to a socket costs twenty times what an event costs; with many clients nothing else counts. So:

1. An event is encoded once. Events wait in one batch; a *flush* joins their frames and writes them to each
   client with one system call. Clients that asked for the same (a *group*) get the same bytes: server
   frames are not masked, and no compression is negotiated. One event stays one message.
2. The flush clocks itself (`pace`): an idle daemon answers at once, a loaded one joins more by itself.
3. Nothing here awaits a client. One whose write buffer would exceed its bound is *held back*: samples are
   skipped for it and counted, states wait in its queue. When half of the buffer has drained it is told
   what it missed (`gap`), gets its states and goes on with what is current. More states than its queue
   holds: closed with 1013. Held back for `stall_s`: aborted, a close frame would not reach it any more.
4. A client that resumes is held back too, and fed from the ring as fast as it takes it, until it is level.
"""

import asyncio
import time
from collections import Counter
from typing import Final

import structlog

from listener import events
from listener.config import WebsocketConfig
from listener.events import SAMPLES, EventEnvelope
from listener.outbound import Client, Item, address_of, gap_frame, numbered, render, text_frame
from listener.pace import Pace
from listener.ring import Kind, Ring
from listener.subscription import Subscription

_log = structlog.get_logger(__name__)

HELD_CHECK_S = 0.05
# States that wait for a client are bounded in number by the configuration, and in bytes by so many buffers.
STATES_FACTOR = 16
REPLAY_S = 0.005
# So long at a time for all that come back; then the live ones have their turn.
REPLAY_BUDGET_S = 0.005

COUNTED: Final = ("samples_skipped", "clients_aborted", "clients_overflowed")


class _Group:
    """The clients that asked for the same, and their share of a batch."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        # A tuple, replaced on change: clients come and go while a batch is being sent.
        self.clients: tuple[Client, ...] = ()
        self._latest: dict[Kind, Item] = {}
        self._due_at = 0.0

    @property
    def next_at(self) -> float | None:
        """When the latest values may go, if any wait."""
        return self._due_at if self._latest else None

    def select(self, batch: list[Item], now: float) -> list[Item]:
        subscription = self.subscription
        if subscription.types is not None or subscription.channel is not None:
            batch = [item for item in batch if subscription.wants(_kind(item[1]))]
        return batch if subscription.rate_hz is None else self._thin_out(batch, now, subscription.rate_hz)

    def _thin_out(self, batch: list[Item], now: float, rate_hz: float) -> list[Item]:
        """Of each kind of sample the latest value, at most so often; states as they come."""
        states = []
        for item in batch:
            if item[1].type in SAMPLES:
                self._latest[_kind(item[1])] = item
            else:
                states.append(item)
        if not self._latest or now < self._due_at:
            return states
        self._due_at = now + 1 / rate_hz
        items = sorted([*states, *self._latest.values()], key=lambda item: item[0])
        self._latest.clear()
        return items


class Fanout:
    def __init__(self, config: WebsocketConfig) -> None:
        self._config = config
        self._pace = Pace(self.flush, config.coalesce_ms / 1000)
        self._ring = Ring(config.resume_bytes, config.resume_s)
        self._groups: dict[Subscription, _Group] = {}
        self._batch: list[Item] = []
        self._batch_bytes = 0
        # Or a batch alone, with its headers and numbers, could exceed what may be held for a client.
        self._batch_limit = config.write_buffer * 3 // 4
        self._flushed = 0  # the number of the last event that is not in the batch any more
        self._rates_wanted = False
        self._rate_timer: asyncio.TimerHandle | None = None
        self._held: dict[Client, None] = {}  # in the order in which they have their turn
        self._held_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._clock = time.monotonic
        self.counts = Counter(dict.fromkeys(COUNTED, 0))

    # The way of every event

    def publish(self, event: EventEnvelope) -> None:
        payload = events.encode(event)
        seq = self._ring.append(_kind(event), payload, self._clock())
        if not self._groups:
            self._flushed = seq
            return
        self._batch.append((seq, event, payload))
        self._batch_bytes += len(payload)
        if self._batch_bytes > self._batch_limit:
            self.flush()
        elif self._pace.timer is None:
            self._pace.schedule()

    def flush(self) -> None:
        began = self._pace.begin()
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        for group in tuple(self._groups.values()):
            items = group.select(batch, began)
            if not items:
                continue
            data = render(group.subscription, items)
            for client in group.clients:
                if client.held_since is not None or not client.write(data):
                    self._hold(client, items)
        self._flushed = self._ring.head
        now = self._pace.end(began, alone=len(batch) <= 1)
        if self._rates_wanted:
            self._wait_for_rates(now)

    # Clients

    @property
    def head(self) -> int:
        """The number of the newest event."""
        return self._ring.head

    @property
    def clients(self) -> int:
        return sum(len(group.clients) for group in self._groups.values())

    def join(self, client: Client, subscription: Subscription) -> int:
        """From the next event on; also for another subscription. The number of the last event before."""
        self.flush()
        # The group of one that asks for the same again may hold values back for it.
        if client.subscription != subscription or not self._has(client):
            self.leave(client)
            client.subscription = subscription
            group = self._groups.setdefault(subscription, _Group(subscription))
            group.clients += (client,)
            self._rates_wanted = any(wanted.rate_hz for wanted in self._groups)
        return self.head if client.replay_from is None else client.replay_from - 1

    def leave(self, client: Client) -> None:
        if not self._has(client):
            return
        group = self._groups[client.subscription]
        group.clients = tuple(other for other in group.clients if other is not client)
        if not group.clients:
            del self._groups[client.subscription]
            self._rates_wanted = any(wanted.rate_hz for wanted in self._groups)

    def _has(self, client: Client) -> bool:
        group = self._groups.get(client.subscription)
        return group is not None and client in group.clients

    def forget(self, client: Client) -> None:
        """The connection has ended."""
        self.leave(client)
        self._held.pop(client, None)

    def resume(self, client: Client, epoch_is_ours: bool, after: int) -> None:
        """Everything after that number; what is not here any more is told as a gap."""
        self.flush()
        if not epoch_is_ours or after > self._flushed:
            client.write(gap_frame("resume", None, None, None))
        elif after < self._flushed:
            client.replay_from = after + 1
            self._hold_back(client)
            self._look_again(0.0)

    def send(self, client: Client, event: EventEnvelope) -> None:
        """To this client alone, after everything that was published before."""
        self.flush()
        payload = events.encode(event)
        if client.held_since is not None or not client.write(text_frame(payload)):
            self._hold_back(client)
            self._queue(client, payload)

    def stop(self) -> None:
        """The last events go out; who is held back is aborted, or the closing handshake would wait for it."""
        self.flush()
        self._pace.cancel()
        for timer in (self._rate_timer, self._held_timer):
            if timer is not None:
                timer.cancel()
        for client in self._held:
            client.connection.transport.abort()

    # Those who are held back

    def _hold(self, client: Client, items: list[Item]) -> None:
        self._hold_back(client)
        if client.replay_from is not None:
            return  # the ring has them
        for seq, event, payload in items:
            if event.type in SAMPLES:
                client.skip(seq, event.ts)
                self.counts["samples_skipped"] += 1
            else:
                self._queue(client, numbered(payload, seq) if client.subscription.seq else payload)

    def _queue(self, client: Client, payload: bytes) -> None:
        has_room = client.states_size < STATES_FACTOR * self._config.write_buffer
        if has_room and len(client.states) < self._config.state_queue:
            client.keep(text_frame(payload))
        elif client.is_open:
            self._refuse(client)

    def _hold_back(self, client: Client) -> None:
        if client.held_since is None:
            client.held_since = self._clock()
            self._held[client] = None
            if self._held_timer is None:
                self._look_again(HELD_CHECK_S)

    def _look_again(self, delay_s: float) -> None:
        if self._held_timer is not None:
            self._held_timer.cancel()
        self._held_timer = asyncio.get_running_loop().call_later(delay_s, self._attend)

    def _attend(self) -> None:
        self._held_timer = None
        began = now = self._clock()
        pause_s = HELD_CHECK_S
        for client in tuple(self._held):
            assert client.held_since is not None
            if client.has_moved():
                client.held_since = now
            # One that is closing stays under watch: its close frame waits behind a full buffer.
            if client.is_open and self._is_level(client, now):
                client.held_since = None
                del self._held[client]
            elif now - client.held_since > self._config.stall_s:
                self._abort(client)
            else:
                client.remember()
                if client.replay_from is not None:
                    pause_s = REPLAY_S
                    self._held[client] = self._held.pop(client)  # the others are first next time
            now = self._clock()
            if now - began > REPLAY_BUDGET_S:
                break
        if self._held:
            self._look_again(max(pause_s, now - began))

    def _is_level(self, client: Client, now: float) -> bool:
        while client.replay_from is not None:
            if self._clock() - now > REPLAY_BUDGET_S or not client.has_room():
                return False
            if not self._replay(client, client.replay_from):
                return False
        return client.catch_up()

    def _replay(self, client: Client, start: int) -> bool:
        """The next piece from the ring, of what has been flushed: the rest will be. False: no room."""
        subscription = client.subscription
        lost = self._ring.tail - start
        if lost > 0:
            if self._ring.has_lost(start, subscription.wants) and not client.write(
                gap_frame("resume", lost, None, None, start, start + lost - 1)
            ):
                return False
            start += lost
        piece = [entry for entry in self._ring.since(start) if entry[0] <= self._flushed]
        wanted = [
            entry
            for entry in piece
            # Who asks for the latest value only has no use for old ones.
            if subscription.wants(entry[1]) and not (subscription.rate_hz and entry[1][0] in SAMPLES)
        ]
        if wanted and not client.write(render(subscription, wanted)):
            client.replay_from = start
            return False
        start += len(piece)
        # Level only with room for what comes next, or that would be skipped while the ring has it.
        client.replay_from = start if start <= self._flushed or not client.has_room() else None
        return True

    def _abort(self, client: Client) -> None:
        self.counts["clients_aborted"] += 1
        self._held.pop(client, None)
        address = address_of(client.connection)
        _log.warning("client_aborted", address=address, reason="stalled", skipped=client.skipped)
        client.connection.transport.abort()

    def _refuse(self, client: Client) -> None:
        """Closes with 1013, *try again later*; `_attend` aborts whom this does not reach."""
        if not self._has(client):
            return  # refused already
        self.counts["clients_overflowed"] += 1
        _log.warning("client_overflowed", address=address_of(client.connection), states=len(client.states))
        self.leave(client)
        task = asyncio.create_task(
            client.connection.close(1013, "too many events are waiting for this client"),
            name="close overflowed client",
        )
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _wait_for_rates(self, now: float) -> None:
        due = [group.next_at for group in self._groups.values() if group.next_at is not None]
        if self._rate_timer is not None:
            self._rate_timer.cancel()
            self._rate_timer = None
        if due:
            delay_s = max(0.0, min(due) - now, self._pace.next_at - now)
            self._rate_timer = asyncio.get_running_loop().call_later(delay_s, self.flush)


_kinds: dict[Kind, Kind] = {}
_KINDS_MAX = 1024


def _kind(event: EventEnvelope) -> Kind:
    """One object for all that are alike: the ring holds tens of thousands."""
    kind = (event.type, event.payload.get("channel"))
    known = _kinds.get(kind)
    if known is None:
        known = kind
        if len(_kinds) < _KINDS_MAX:
            _kinds[kind] = kind
    return known
