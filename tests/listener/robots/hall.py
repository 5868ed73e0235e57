"""The wing in this process, with both servers on free ports, and robots and dashboards that come to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from listener import events
from listener.access import Access
from listener.api.wing import Api
from listener.config import ApiConfig, RobotsConfig, WebsocketConfig
from listener.database import Database
from listener.hub import Hub
from listener.robots.wing import Robots, robots
from listener.sessions import Paths
from listener.websocket_server import WebSocketEventServer

PATIENCE_S = 20.0
MOVE = {"x": 0.5, "y": -0.3}


class Talk:
    """With one robot or dashboard; `seen` is all it was told, and when."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []

    async def say(self, type: str, **more: Any) -> None:  # noqa: A002 - its name on the wire
        await self.connection.send(json.dumps({"type": type, **more}))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            message = json.loads(await self.connection.recv())
        assert isinstance(message, dict)
        self.seen.append(message)
        return message

    async def hear(self, type: str = "", **wanted: Any) -> dict[str, Any]:  # noqa: A002
        """The next message that is like this, whatever comes before it."""
        wanted = {"type": type, **wanted} if type else wanted
        while True:
            message = await self.next()
            if all(message.get(name) == value for name, value in wanted.items()):
                return message

    async def hear_all(self, seconds: float) -> list[dict[str, Any]]:
        """What is told in so long."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found.append(json.loads(await self.connection.recv()))
        except TimeoutError:
            self.seen += found
            return found

    async def closed(self) -> tuple[int | None, str | None]:
        async with asyncio.timeout(PATIENCE_S):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed:
                return self.connection.close_code, self.connection.close_reason


class Hall:
    def __init__(
        self, wing: Robots, api: Api, server: WebSocketEventServer, http: httpx.AsyncClient, hub: Hub
    ) -> None:
        self.wing = wing
        self.api = api
        self.server = server
        self.http = http
        self.told: list[events.EventEnvelope] = []
        self.port = server.port
        self._stack = AsyncExitStack()
        hub.subscribe(self.told.append)

    async def connect(self, query: str = "", **settings: Any) -> Talk:
        url = f"ws://127.0.0.1:{self.port}/ws/telemetry/{query}"
        settings = {"max_queue": None, "close_timeout": 1, **settings}
        return Talk(await self._stack.enter_async_context(connect(url, proxy=None, **settings)))

    async def robot(self, device_id: str = "robot_01", query: str = "", **settings: Any) -> Talk:
        """With its greeting and its first stops behind it."""
        talk = await self.connect(f"?device_id={device_id}{query}", **settings)
        assert (await talk.next())["device_type"] == "robot"
        assert is_stop(await talk.next())
        assert (await talk.next())["type"] == "camera_move"
        return talk

    async def website(self, query: str = "", **settings: Any) -> Talk:
        talk = await self.connect(query, **settings)
        assert (await talk.next())["device_type"] == "website"
        return talk

    async def get(self, path: str, status: int = 200) -> Any:
        answer = await self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def written(self, count: int) -> None:
        await until(lambda: self.wing.keeper.written >= count)

    async def close(self) -> None:
        await self._stack.aclose()


def is_stop(message: dict[str, Any]) -> bool:
    return bool(message["type"] == "robot_move" and message["x"] == message["y"] == 0)


@asynccontextmanager
async def hall(
    folder: Path,
    access: Access | None = None,
    limits: WebsocketConfig | None = None,
    *,
    port: str = "websocket",
    **settings: Any,
) -> AsyncIterator[Hall]:
    """`port`: which of the servers its clients come to, `websocket` or `api`."""
    paths, hub = Paths(), Hub()
    access = access or Access()
    limits = limits or WebsocketConfig(host="127.0.0.1", port=0)
    api = Api(ApiConfig(host="127.0.0.1", port=0), limits, access, paths, lambda: (200, "text/plain", b""))
    server = WebSocketEventServer(limits, lambda: events.hello(1.0, {}), {}, None, access, paths)
    database = Database(folder / "les02.db", busy_s=0.2)
    database.start()
    config = RobotsConfig(enabled=True, **settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        stack.push_async_callback(database.stop, PATIENCE_S)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        wing = await stack.enter_async_context(
            robots(config, database=database, hub=hub, access=access, paths=paths, api=api)
        )
        await stack.enter_async_context(api.serving())
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", timeout=PATIENCE_S, trust_env=False)
        )
        await server.start()
        found = Hall(wing, api, server, http, hub)
        found.port = api.port if port == "api" else server.port
        work = tasks.create_task(wing.run(), name="keep telemetry")
        await asyncio.sleep(0)
        try:
            yield found
        finally:
            work.cancel()
            await asyncio.wait({work})
            await found.close()


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


@asynccontextmanager
async def held(website: Talk, stick: str = "robot_move", **more: Any) -> AsyncIterator[None]:
    """The stick, as a page holds it. Letting go of it says nothing."""

    async def repeat() -> None:
        while True:
            await website.say(stick, **MOVE, **more)
            await asyncio.sleep(0.04)

    task = asyncio.create_task(repeat(), name="hold the stick")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
