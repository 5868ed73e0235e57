"""The monitoring WebSocket over real sockets, with the wing's own manager behind it."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from listener.access import Access
from listener.config import MeshConfig, WebsocketConfig
from listener.mesh.network_manager import NetworkManager
from listener.mesh.web_socket_proxy_server import WebSocketProxyServer
from listener.ports import PortUnavailable
from tests.listener.mesh.programs import PATIENCE_S, Uart, manager_with, until

CONNECTION = {"type": "connectionStatus", "socket": "disconnected", "uart": "connected"}
NODES = {
    "type": "networkStatus",
    "status": "nodeStatus",
    "nodes": [{"name": "Node-5", "status": "normal"}, {"name": "Node-6", "status": "normal"}],
}


@pytest.fixture(autouse=True)
def logged() -> Any:
    with structlog.testing.capture_logs() as entries:
        yield entries


class Monitored:
    def __init__(self, server: WebSocketProxyServer, manager: NetworkManager, uart: Uart) -> None:
        self.server = server
        self.manager = manager
        self.uart = uart

    def connect(self, path: str = "", **settings: Any) -> connect:
        return connect(f"ws://127.0.0.1:{self.server.port}{path}", proxy=None, **settings)

    async def refusal(self, **settings: Any) -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as refused:
            await self.connect(**settings).__aenter__()
        return refused.value.response.status_code, (refused.value.response.body or b"").decode()


@contextlib.asynccontextmanager
async def monitoring(
    access: Access | None = None, limits: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Monitored]:
    uart = Uart()
    manager = manager_with(uart)
    manager.uart_changed("connected", "")
    config = MeshConfig(**{"host": "127.0.0.1", "websocket_port": 0, **settings})
    server = WebSocketProxyServer(config, WebsocketConfig(**limits or {}), manager, access, lambda: 8765)
    await server.start()
    # What the nodes have changed at the start is not told any more.
    await until(lambda: manager.news._due is None)
    try:
        yield Monitored(server, manager, uart)
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await server.stop()
        manager.close()


async def hear(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        told = json.loads(await client.recv())
    assert isinstance(told, dict)
    return told


async def hear_next(client: ClientConnection, kind: str) -> dict[str, Any]:
    while (told := await hear(client))["type"] != kind:
        pass
    return told


@pytest.mark.parametrize("path", ["", "/", "/ws?x=1"])
async def test_a_new_client_is_told_the_present_at_once_whatever_its_path(path: str) -> None:
    async with monitoring() as mesh, mesh.connect(path) as client:
        assert [await hear(client), await hear(client)] == [CONNECTION, NODES]
        assert mesh.server.clients == 1


async def test_traffic_is_told_to_every_client() -> None:
    async with monitoring() as mesh, mesh.connect() as one, mesh.connect() as other:
        await until(lambda: mesh.server.clients == 2)
        mesh.manager.received(b"\x00\x05Eecho")
        told = [await hear_next(client, "trafficLog") for client in (one, other)]
        assert told[0] == told[1]
        assert "Node-5" in told[0]["message"]


async def test_a_change_is_told_when_it_comes() -> None:
    async with monitoring() as mesh, mesh.connect() as client:
        assert [await hear(client), await hear(client)] == [CONNECTION, NODES]
        mesh.manager.received(b"\x00\x00\x03online\n")
        told = await hear_next(client, "networkStatus")
        assert [node["status"] for node in told["nodes"]] == ["error", "error"]
        remove = mesh.manager.add_listener(lambda _: None)
        assert (await hear_next(client, "connectionStatus"))["socket"] == "connected"
        remove()
        assert (await hear_next(client, "connectionStatus"))["socket"] == "disconnected"
        mesh.uart.state = "silent"
        mesh.manager.uart_changed("silent", "nothing came for 90 s")
        assert (await hear_next(client, "connectionStatus"))["uart"] == "silent"


async def test_the_order_of_lines_and_changes_is_kept() -> None:
    async with monitoring() as mesh, mesh.connect() as client:
        assert [await hear(client), await hear(client)] == [CONNECTION, NODES]
        for number in range(5):
            mesh.manager.received(b"\x00\x05Eecho %d" % number)
        remove = mesh.manager.add_listener(lambda _: None)
        told = [await hear(client) for _ in range(6)]
        assert [each["type"] for each in told] == ["trafficLog"] * 5 + ["connectionStatus"]
        assert all(f"echo {number}" in told[number]["message"] for number in range(5))
        remove()


async def test_what_a_client_says_is_ignored() -> None:
    async with monitoring() as mesh, mesh.connect() as client:
        for said in ("{", '{"type":"reset"}', b"RST-R", "x" * 60_000):
            await client.send(said)
        assert [await hear(client), await hear(client)] == [CONNECTION, NODES]
        mesh.manager.received(b"\x00\x05Eecho")
        assert (await hear(client))["type"] == "trafficLog"
        await client.send("x" * 70_000)
        with pytest.raises(ConnectionClosed):
            await hear(client)
        assert client.close_code == 1009


async def test_for_a_slow_client_lines_are_skipped_and_it_is_told_how_many() -> None:
    limits = {"write_buffer": 8192, "stall_s": PATIENCE_S}
    async with (
        monitoring(limits=limits) as mesh,
        mesh.connect(max_queue=1) as slow,
        mesh.connect(max_queue=None) as quick,
    ):
        await until(lambda: mesh.server.clients == 2)
        number = 0
        while not mesh.server.counts["messages_skipped"]:
            mesh.manager.received(b"\x00\x05E%03000d" % number)
            await hear_next(quick, "trafficLog")
            number += 1
        remove = mesh.manager.add_listener(lambda _: None)
        told = [await hear(slow)]
        while told[-1] != {**CONNECTION, "socket": "connected"}:
            told.append(await hear(slow))
        (gap,) = [each for each in told if each["type"] == "gap"]
        assert gap["skipped"] == number - sum(each["type"] == "trafficLog" for each in told) > 0
        remove()


async def test_one_that_does_not_read_at_all_is_ended() -> None:
    async with monitoring(limits={"write_buffer": 8192, "stall_s": 0.2}) as mesh:
        async with mesh.connect(max_queue=1, close_timeout=0.1), mesh.connect(max_queue=None) as reading:
            await until(lambda: mesh.server.clients == 2)
            while mesh.server.clients == 2:
                mesh.manager.received(b"\x00\x05E" + b"x" * 3000)
                await asyncio.sleep(0.001)
            mesh.manager.received(b"\x00\x05Elast")
            while "last" not in (await hear_next(reading, "trafficLog"))["message"]:
                pass
        assert mesh.server.counts["messages_skipped"] > 0


async def test_there_are_not_more_clients_than_allowed() -> None:
    async with monitoring(max_clients=2) as mesh, mesh.connect() as one, mesh.connect() as other:
        await hear(one)
        await hear(other)
        assert await mesh.refusal() == (
            503,
            "2 clients are connected, more are not allowed; see [mesh] max_clients.\n",
        )


async def test_a_foreign_page_is_refused_and_the_listeners_own_is_not() -> None:
    async with monitoring() as mesh:
        assert (await mesh.refusal(origin="http://elsewhere.example"))[0] == 403
        for page in (f"http://127.0.0.1:{mesh.server.port}", "http://127.0.0.1:8765"):
            async with mesh.connect(origin=page) as client:
                assert await hear(client) == CONNECTION
    allowed = "http://allowed.example"
    async with monitoring(limits={"origins": (allowed,)}) as mesh, mesh.connect(origin=allowed) as client:
        assert await hear(client) == CONNECTION


async def test_tokens_are_those_of_the_other_port() -> None:
    access = Access(("reads-only-0001",), (), ("climbs-0001",))
    async with monitoring(access) as mesh:
        async with mesh.connect("/?token=reads-only-0001") as client:
            assert await hear(client) == CONNECTION
        for path, why in [
            ("", "a token is needed"),
            ("/?token=wrong", "this token is not known"),
            ("/?token=climbs-0001", "this token is for robots, which have a path of their own"),
        ]:
            async with mesh.connect(path) as client:
                with pytest.raises(ConnectionClosed):
                    await hear(client)
                assert (client.close_code, client.close_reason) == (1008, why)


async def test_a_browser_that_asks_for_a_page_is_told_what_this_is() -> None:
    async with monitoring() as mesh, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{mesh.server.port}/")
        assert (answer.status_code, "WebSocket" in answer.text) == (200, True)
        assert (await http.get(f"http://127.0.0.1:{mesh.server.port}/favicon.ico")).status_code == 404


async def test_a_port_that_is_in_use_is_explained() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"port {port} on 127.0.0.1 is in use"):
            async with monitoring(websocket_port=port):
                pass


async def test_its_address_is_in_the_log(logged: list[dict[str, Any]]) -> None:
    async with monitoring() as mesh:
        url = f"ws://127.0.0.1:{mesh.server.port}"
        assert {"event": "mesh_websocket_started", "url": url, "log_level": "info"} in logged


async def test_when_it_stops_clients_are_told_and_the_manager_tells_it_no_more() -> None:
    async with monitoring() as mesh:
        async with mesh.connect() as client:
            assert [await hear(client), await hear(client)] == [CONNECTION, NODES]
            await mesh.server.stop()
            with pytest.raises(ConnectionClosed):
                await hear(client)
            assert client.close_code == 1001
        assert not len(mesh.manager.news.monitors)
