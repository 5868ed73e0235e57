"""A workbench in this process, with both its servers on free ports, and other members of its buses."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import can
import httpx
from websockets.asyncio.client import ClientConnection, connect

from listener import events
from listener.access import Access
from listener.api.wing import Api
from listener.can_reader import CANBusReader
from listener.config import ApiConfig, CanConfig, WebsocketConfig, WorkbenchConfig
from listener.hub import Hub
from listener.raw_frame import RawFrame
from listener.sessions import Paths
from listener.websocket_server import WebSocketEventServer
from listener.workbench.wing import Bench, workbench

PATIENCE_S = 20.0
DBC = Path(__file__).parents[3] / "mock" / "bench.dbc"
SENSOR = CanConfig(interface="virtual", channel="the sensor's")


class Member:
    """Another device on a virtual bus."""

    def __init__(self, channel: str) -> None:
        self.bus = can.Bus(channel, "virtual", ignore_config=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.bus.shutdown()

    def say(self, can_id: int, data: bytes = b"", **more: Any) -> None:
        more = {"is_extended_id": False, **more}
        self.bus.send(can.Message(arbitration_id=can_id, data=data, **more))

    async def hear(self) -> can.Message:
        message = await asyncio.to_thread(self.bus.recv, PATIENCE_S)
        assert message is not None
        return message


class Running:
    def __init__(
        self, bench: Bench, api: Api, server: WebSocketEventServer, http: httpx.AsyncClient, hub: Hub
    ) -> None:
        self.bench = bench
        self.hub = hub
        self.api = api
        self.server = server
        self.http = http
        self.sensor_is_up = True

    def client(self, query: str = "", **settings: Any) -> connect:
        return connect(f"ws://127.0.0.1:{self.server.port}/ws/can{query}", proxy=None, **settings)

    async def joined(self, clients: int = 1) -> None:
        await until(lambda: self.bench.stream.clients == clients)

    async def connect(self, channel: str, bus: str = "default", **more: Any) -> None:
        wanted = {"device_type": "virtual", "channel": channel, "bus": bus, **more}
        answer = await self.http.post("/connect", json=wanted)
        assert answer.status_code == 200, answer.text

    async def post(self, path: str, body: object = None, status: int = 200) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(self, path: str, status: int = 200) -> Any:
        answer = await self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def load_dbc(self, bus: str = "default", path: Path = DBC) -> Any:
        content = await asyncio.to_thread(path.read_bytes)
        files = {"file": (path.name, content)}
        answer = await self.http.post("/dbc/upload", params={"bus": bus}, files=files)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def running(
    folder: Path,
    access: Access | None = None,
    limits: WebsocketConfig | None = None,
    signals: Sequence[str] = (),
    **settings: Any,
) -> AsyncIterator[Running]:
    paths, hub = Paths(), Hub()
    access = access or Access()
    limits = limits or WebsocketConfig(host="127.0.0.1", port=0)
    config = WorkbenchConfig(**{"enabled": True, "transmit": True, **settings})
    api = Api(ApiConfig(host="127.0.0.1", port=0), limits, access, paths, lambda: (200, "text/plain", b""))
    server = WebSocketEventServer(limits, lambda: events.hello(1.0, {}), {}, None, access, paths)
    reader = CANBusReader(SENSOR)
    async with AsyncExitStack() as stack:
        reader.open()
        stack.callback(reader.close)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        bench = await stack.enter_async_context(
            workbench(
                config,
                sensor=SENSOR,
                reader=reader,
                sensor_is_up=lambda: found.sensor_is_up,
                folder=folder,
                paths=paths,
                hub=hub,
                signals=signals,
                api=api,
            )
        )
        await stack.enter_async_context(api.serving())
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", timeout=PATIENCE_S, trust_env=False)
        )
        found = Running(bench, api, server, http, hub)
        await server.start()
        stack.push_async_callback(server.stop)
        parts = [
            tasks.create_task(bench.run(), name="work the bench"),
            tasks.create_task(reader.deliver(_nobody), name="read the sensor's bus"),
        ]
        await asyncio.sleep(0)
        try:
            yield found
        finally:
            for part in parts:
                part.cancel()


def _nobody(_frame: RawFrame) -> None:
    pass


async def receive(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        message = json.loads(await client.recv())
    assert isinstance(message, dict)
    return message


async def frames(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The next so many, whatever else is told between them."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = await receive(client)
        if "type" not in message:
            found.append(message)
    return found


async def told(client: ClientConnection, state: str) -> dict[str, Any]:
    while True:
        message = await receive(client)
        if message.get("type") == "status" and message["state"] == state:
            return message


async def until(fact: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
