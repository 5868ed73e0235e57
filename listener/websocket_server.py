"""The stream of events, on a WebSocket port: what its clients may say, and what becomes of it.

What comes in is small, bounded and validated; a bad message is answered with an `error`, and the session
goes on.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import structlog
from websockets.asyncio.server import ServerConnection

from listener import events
from listener.access import Access, Scope
from listener.commands import Command, CommandError, Commands, Id, call, parameters
from listener.config import WebsocketConfig
from listener.events import EventEnvelope
from listener.fanout import Fanout
from listener.inbound import heard
from listener.outbound import Client
from listener.query import QueryError
from listener.sessions import INBOUND_RATE, Paths
from listener.subscription import Resume, Subscription, from_command, parse_query
from listener.websocket_port import Answer, Page, WebSocketPort

__all__ = ["Answer", "Page", "WebSocketEventServer"]

_log = structlog.get_logger(__name__)

REASON_MAX = 200
# Commands that wait for the disk or whatever they need, of all clients.
CALLS_MAX = 64


class _Inbound(msgspec.Struct):
    """What a client may send; fields that we do not know are its own business."""

    type: str
    id: Id | None = None


class _Subscribe(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters of the address, anew; what is left out is the default again."""

    types: list[str] | None = None
    channel: str | None = None
    rate: float | None = None
    seq: bool = False


class WebSocketEventServer(WebSocketPort):
    """Events at `/`, and what the wings offer under their paths."""

    def __init__(
        self,
        config: WebsocketConfig,
        hello: Callable[[], EventEnvelope],
        pages: Mapping[str, Page],
        commands: Commands | None = None,
        access: Access | None = None,
        paths: Paths | None = None,
    ) -> None:
        super().__init__(config, access or Access(), Paths() if paths is None else paths, pages)
        self._commands = Commands() if commands is None else commands
        self._calls: set[asyncio.Task[None]] = set()
        self._hello = hello
        self._fanout = Fanout(config)
        self.broadcast = self._fanout.publish

    @property
    def clients(self) -> int:
        """Of events, and of sessions under other paths."""
        return self._fanout.clients + super().clients

    @property
    def counts(self) -> Counter[str]:
        own = Counter({"events": self._fanout.head, **self._fanout.counts})
        own.update(super().counts)
        return own

    async def start(self) -> None:
        host = self._config.host
        _log.info("websocket_server_starting", host=host, port=self._config.port)
        await super().start()
        _log.info("websocket_server_started", url=f"ws://{host}:{self.port}")
        _log.info("waiting_for_clients")

    async def stop(self) -> None:
        for task in self._calls:
            task.cancel()
        if self._server is not None:
            self._fanout.stop()
        await super().stop()

    def _has(self, path: str) -> bool:
        return path == "/" or super()._has(path)

    def _mistake(self, path: str, query: str) -> str:
        try:
            if path == "/":
                parse_query(query)
        except QueryError as exc:
            return str(exc)
        return super()._mistake(path, query)

    async def _serve(self, connection: ServerConnection, scope: Scope, path: str, query: str) -> None:
        if path == "/":
            await self._events(connection, scope, query)
        else:
            await super()._serve(connection, scope, path, query)

    async def _events(self, connection: ServerConnection, scope: Scope, query: str) -> None:
        client = self._welcome(connection, scope, *parse_query(query))
        too_many = partial(self._answer_error, client, "too_many_messages", f"{INBOUND_RATE:g} a second")
        try:
            async for message in heard(connection, self._counts, too_many):
                self._receive(client, message)
        finally:
            self._fanout.forget(client)

    def _welcome(
        self,
        connection: ServerConnection,
        scope: Scope,
        subscription: Subscription,
        resume: Resume | None,
    ) -> Client:
        client = Client(connection, self._config.write_buffer, scope)
        head = self._fanout.join(client, subscription)
        hello = self._hello()
        hello.payload["seq"] = head
        hello.payload["access"] = scope.name.lower()
        self._fanout.send(client, hello)
        if resume is not None:
            self._fanout.resume(client, resume.epoch == hello.payload.get("epoch"), resume.seq)
        return client

    def _receive(self, client: Client, message: str | bytes) -> None:
        try:
            inbound = msgspec.json.decode(message, type=_Inbound)
        # RecursionError: JSON may be nested deeper than Python's stack; UnicodeDecodeError is a ValueError.
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            self._answer_error(client, "bad_message", str(exc))
            return
        if inbound.type == "command:subscribe":
            self._subscribe(client, inbound, message)
        else:
            self._call(client, inbound, message)

    def _subscribe(self, client: Client, inbound: _Inbound, message: str | bytes) -> None:
        try:
            wanted = parameters(message, _Subscribe)
            subscription = from_command(wanted.types, wanted.channel, wanted.rate, wanted.seq)
        except (CommandError, QueryError) as exc:
            self._answer_error(client, "bad_message", str(exc), inbound.id)
            return
        more: dict[str, Any] = {} if inbound.id is None else {"id": inbound.id}
        more["seq"] = self._fanout.join(client, subscription)
        self._fanout.send(client, events.result(time.time(), "subscribe", more))

    def _call(self, client: Client, inbound: _Inbound, message: str | bytes) -> None:
        command = self._commands.find(inbound.type)
        if command is None:
            reason = f"no such command: {inbound.type[:64]}"
            self._answer_error(client, "unknown_command", reason, inbound.id)
        elif len(self._calls) >= CALLS_MAX:
            self._answer_error(client, "busy", f"{CALLS_MAX} commands are under way", inbound.id)
        else:
            task = asyncio.create_task(self._do(client, command, inbound, message), name=inbound.type[:64])
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _do(self, client: Client, command: Command, inbound: _Inbound, message: str | bytes) -> None:
        try:
            result = await call(command, message, refused=self._access.refusal(client.scope))
        except CommandError as exc:
            self._answer_error(client, exc.code, str(exc), inbound.id)
        except Exception:  # noqa: BLE001 - its defect must not end the session
            _log.exception("command_failed", command=command.name)
            self._answer_error(client, "failed", f"{command.name} has failed; the log says why", inbound.id)
        else:
            if inbound.id is not None:
                more = {"id": inbound.id, **result}
                self._fanout.send(client, events.result(time.time(), command.name, more))

    def _answer_error(self, client: Client, code: str, reason: str, given: str | int | None = None) -> None:
        details: dict[str, str | int] = {"reason": reason[:REASON_MAX]}
        if given is not None:
            details["id"] = given
        self._fanout.send(client, events.error(time.time(), "system", code, details))
