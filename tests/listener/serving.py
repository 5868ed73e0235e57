"""A server of its own for each test, and clients of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from listener import events
from listener.access import Access
from listener.commands import Commands
from listener.config import WebsocketConfig
from listener.events import EventEnvelope
from listener.websocket_server import Page, WebSocketEventServer

PATIENCE_S = 20.0

Start = Callable[..., Awaitable[WebSocketEventServer]]


@asynccontextmanager
async def servers(hello: dict[str, Any], pages: Mapping[str, Page] | None = None) -> AsyncIterator[Start]:
    """A function that starts one; all are stopped at the end."""
    started = []

    async def start(
        *,
        epoch: str | None = None,
        access: Access | None = None,
        commands: Commands | None = None,
        **settings: Any,
    ) -> WebSocketEventServer:
        config = WebsocketConfig(**{"host": "127.0.0.1", "port": 0, **settings})
        payload = hello if epoch is None else hello | {"epoch": epoch}
        server = WebSocketEventServer(
            config, lambda: events.hello(1.0, dict(payload)), pages or {}, commands, access
        )
        started.append(server)
        await server.start()
        return server

    yield start
    async with asyncio.timeout(PATIENCE_S):
        for server in started:
            await server.stop()


def client_of(
    server: WebSocketEventServer, query: str = "", **settings: Any
) -> AbstractAsyncContextManager[ClientConnection]:
    return connect(f"ws://127.0.0.1:{server.port}/{query}", **settings)


async def receive(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        event = json.loads(await client.recv())
    assert isinstance(event, dict)
    return event


async def take(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [await receive(client) for _ in range(count)]


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


def sample(number: int, channel: str = "master") -> EventEnvelope:
    return events.position_sample(float(number), channel, number)


def state(number: int) -> EventEnvelope:
    return events.status(float(number), "system", f"state {number}")


def raws(received: list[dict[str, Any]]) -> list[int]:
    return [event["payload"]["position_raw"] for event in received]
