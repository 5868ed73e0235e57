"""The arrays in this process, with both servers on free ports, and clients of them."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from listener import events
from listener.access import Access
from listener.api.wing import Api
from listener.arrays.parts import Arrays
from listener.arrays.wing import arrays
from listener.config import ApiConfig, ArraysConfig, WebsocketConfig
from listener.events import EventEnvelope
from listener.hub import Hub
from listener.sessions import Paths
from listener.websocket_server import WebSocketEventServer

PATIENCE_S = 20.0
CONTROL, READ = "controls-0001", "reads-only-0001"


class FakeSignals:
    """What the workbench is to this wing."""

    def __init__(self) -> None:
        self.wanted: dict[str, Callable[[EventEnvelope], None]] = {}
        self.units = {"inverter.PressureSensor.Pressure": "bar", "inverter.Mode.Mode": ""}

    def want(self, channel: str, tell: Callable[[EventEnvelope], None]) -> Callable[[], None]:
        self.wanted[channel] = tell

        def end() -> None:
            del self.wanted[channel]

        return end

    def unknown(self, channel: str) -> str | None:
        return "no file is loaded for its bus" if "Unknown" in channel else None

    def known(self) -> Iterable[tuple[str, str]]:
        return self.units.items()

    def unit(self, channel: str) -> str:
        return self.units.get(channel, "")


class Running:
    def __init__(
        self,
        wing: Arrays,
        api: Api,
        server: WebSocketEventServer,
        http: httpx.AsyncClient,
        hub: Hub,
        folder: Path,
    ) -> None:
        self.wing = wing
        self.api = api
        self.server = server
        self.http = http
        self.hub = hub
        self.folder = folder
        self.signals = FakeSignals()

    def client(self, query: str = "", *, on_api: bool = False, **settings: Any) -> connect:
        port = self.api.port if on_api else self.server.port
        return connect(f"ws://127.0.0.1:{port}/ws/stream{query}", proxy=None, max_size=None, **settings)

    async def upload(self, array: Any, name: str = "a.npy") -> httpx.Response:
        return await self.put(octets_of(array), name)

    async def put(self, octets: bytes, name: str = "a.npy") -> httpx.Response:
        return await self.http.post("/upload", files={"file": (name, octets)})

    def files(self) -> set[str]:
        return {path.name for path in (self.folder / "arrays").iterdir()} - {"next_index"}

    def position(self, ts: float, raw: int, channel: str = "master") -> None:
        self.hub.publish(events.position_sample(ts, channel, raw))

    def motion(self, ts: float, velocity: float) -> None:
        self.hub.publish(events.motion_sample(ts, 0.0, velocity, -velocity))


@asynccontextmanager
async def running(
    folder: Path,
    *,
    access: Access | None = None,
    has_motion: bool = True,
    with_signals: bool = True,
    limits: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Running]:
    access = access or Access()
    hub, paths, signals = Hub(), Paths(), FakeSignals()
    websocket = WebsocketConfig(host="127.0.0.1", port=0, **(limits or {}))
    healthy = 200, "application/json", b'{"status":"ok"}'
    api = Api(ApiConfig(host="127.0.0.1", port=0), websocket, access, paths, lambda: healthy)
    server = WebSocketEventServer(websocket, lambda: events.hello(1.0, {}), {}, None, access, paths)
    async with AsyncExitStack() as stack:
        wing = await stack.enter_async_context(
            arrays(
                ArraysConfig(enabled=True, **settings),
                folder=folder,
                hub=hub,
                paths=paths,
                resolution_mm=0.5,
                has_motion=has_motion,
                signals=signals if with_signals else None,
                api=api,
            )
        )
        await stack.enter_async_context(api.serving())
        await server.start()
        stack.push_async_callback(server.stop)
        work = asyncio.create_task(wing.run())
        try:
            url = f"http://127.0.0.1:{api.port}"
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
                found = Running(wing, api, server, http, hub, folder)
                found.signals = signals
                yield found
        finally:
            work.cancel()
            await asyncio.wait({work})


def octets_of(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def array_of(octets: bytes) -> Any:
    return np.load(io.BytesIO(octets), allow_pickle=False)


async def ask(client: ClientConnection, **message: Any) -> None:
    await client.send(json.dumps(message))


async def hear(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        message = json.loads(await client.recv(decode=True))
    assert isinstance(message, dict)
    return message


async def hear_octets(client: ClientConnection) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = await client.recv()
            if isinstance(message, bytes):
                return message


async def hear_until(client: ClientConnection, kind: str, **parts: Any) -> dict[str, Any]:
    """The next of this type with these parts, past others."""
    while True:
        message = await hear(client)
        if message["type"] == kind and parts.items() <= message.items():
            return message


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
