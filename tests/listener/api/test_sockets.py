"""Sessions on the port of the API, with real clients."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from listener import __version__
from listener.access import Access, Scope
from listener.api.wing import Api
from listener.commands import CommandError
from listener.config import ApiConfig, WebsocketConfig
from listener.rest import needs_control
from listener.sessions import Offered, Paths, Peer
from tests.listener.serving import until

PATIENCE_S = 10.0
READ, CONTROL = "reads-only-0001", "controls-0001"


@pytest.fixture
def logs() -> Any:
    with capture_logs() as captured:
        yield captured


def healthy() -> tuple[int, str, bytes]:
    return 200, "application/json", b"{}"


class Bench:
    def __init__(self, **limits: Any) -> None:
        self.paths = Paths()
        self.paths.add("/ws/echo", echo)
        access = limits.pop("access", Access())
        config = ApiConfig(host="127.0.0.1", port=0, cors_origins=("http://page.example:8080",))
        self.api = Api(config, WebsocketConfig(**limits), access, self.paths, healthy)

    def client(
        self, path: str = "/ws/echo", **settings: Any
    ) -> AbstractAsyncContextManager[ClientConnection]:
        return connect(f"ws://127.0.0.1:{self.api.port}{path}", proxy=None, **settings)

    async def refused(self, path: str = "/ws/echo", **settings: Any) -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as refused:
            await self.client(path, **settings).__aenter__()
        response = refused.value.response
        assert response.headers["Content-Type"] == "application/json"
        return response.status_code, (response.body or b"").decode()


Serve = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def serve(logs: object) -> AsyncIterator[Serve]:
    async with contextlib.AsyncExitStack() as stack:

        async def start(**limits: Any) -> Bench:
            bench = Bench(**limits)
            await stack.enter_async_context(bench.api.serving())
            return bench

        yield start


async def echo(peer: Peer) -> None:
    async for message in peer:
        text = message if isinstance(message, str) else message.hex()
        assert peer.offer([f"{peer.query}|{peer.scope.name}|{text}".encode()])


async def receive(client: ClientConnection) -> str:
    async with asyncio.timeout(PATIENCE_S):
        return str(await client.recv())


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.recv()
    return client.close_code, client.close_reason


async def test_a_session_hears_and_answers(serve: Serve) -> None:
    bench = await serve()
    async with bench.client("/ws/echo?bus=a&x=") as client:
        await client.send("hällo")
        await client.send(b"\xff\x00")
        assert await receive(client) == "bus=a&x=|CONTROL|hällo"
        assert await receive(client) == "bus=a&x=|CONTROL|ff00"
        assert bench.api.clients == 1
    await until(lambda: not bench.api.clients)


async def test_there_is_nothing_elsewhere(serve: Serve) -> None:
    bench = await serve()
    status, body = await bench.refused("/ws/nothing")
    assert (status, body) == (404, '{"detail":"no WebSocket here; there is /ws/echo"}')
    assert (await bench.refused("/"))[0] == 404


async def test_a_wing_may_add_to_the_root_and_its_routes_know_who_asks() -> None:
    bench, inner, outer = Bench(), APIRouter(), APIRouter()

    @inner.get("/who")
    async def speak(request: Request) -> dict[str, object]:
        return {"scope": request.state.scope.name, "from_here": request.state.from_here}

    @inner.post("/change", dependencies=[needs_control])
    async def change() -> None:
        raise CommandError("refused", "not now")

    outer.include_router(inner)
    bench.api.include(outer)
    bench.api.about.add(lambda: {"instrument": "drum", "version": "of the drum"})
    async with bench.api.serving(), httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{bench.api.port}"
        about = {"name": "LES02 listener", "version": __version__, "instrument": "drum"}
        assert (await client.get(url)).json() == about
        assert list((await client.get(f"{url}/openapi.json")).json()["paths"]["/"]) == ["get"]
        told = (await client.get(f"{url}/who")).json()
        assert told == {"scope": "CONTROL", "from_here": True}
        answer = await client.post(f"{url}/change")
        assert (answer.status_code, answer.json()) == (409, {"detail": "not now"})
        elsewhere = {"X-Forwarded-For": "192.0.2.7"}
        assert (await client.post(f"{url}/change", headers=elsewhere)).status_code == 403
        names = (await client.get(f"{url}/openapi.json")).json()["paths"]["/"]["get"]["operationId"]
        assert names == "get_about__get"


async def test_a_path_that_comes_and_goes_is_there_meanwhile(serve: Serve) -> None:
    bench = await serve()
    take_back = bench.paths.add("/ws/later/", echo)
    async with bench.client("/ws/later/") as client:
        await client.send("x")
        assert await receive(client) == "|CONTROL|x"
    take_back()
    assert (await bench.refused("/ws/later/"))[0] == 404


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (None, True),
        ("http://127.0.0.1:{port}", True),
        ("http://page.example:8080", True),
        ("http://evil.example", False),
        ("null", False),
    ],
)
async def test_pages_of_other_sites_may_not_connect(serve: Serve, origin: str | None, welcome: bool) -> None:
    bench = await serve()
    headers = {"Origin": origin.format(port=bench.api.port)} if origin else {}
    if welcome:
        async with bench.client(additional_headers=headers):
            pass
    else:
        status, body = await bench.refused(additional_headers=headers)
        assert (status, body) == (403, '{"detail":"this origin is not allowed; see [api] cors_origins"}')


async def test_tokens_are_asked_for_and_not_passed_on(serve: Serve) -> None:
    bench = await serve(access=Access([READ], [CONTROL]))
    async with bench.client(f"/ws/echo?token={READ}&bus=a") as client:
        await client.send("x")
        assert await receive(client) == "bus=a|READ|x"
    async with bench.client(additional_headers={"Authorization": f"Bearer {CONTROL}"}) as client:
        await client.send("x")
        assert await receive(client) == "|CONTROL|x"
    async with bench.client() as client:
        assert await closed(client) == (1008, "a token is needed")
    async with bench.client("/ws/echo?token=wrong-token-1") as client:
        assert await closed(client) == (1008, "this token is not known")


async def test_too_many_clients_are_refused(serve: Serve) -> None:
    bench = await serve(max_clients=1)
    async with bench.client():
        await until(lambda: bench.api.clients)
        status, body = await bench.refused()
        assert (status, "max_clients" in body) == (503, True)
    bench = await serve(max_per_address=1)
    async with bench.client():
        await until(lambda: bench.api.clients)
        status, body = await bench.refused()
        assert (status, "max_per_address" in body) == (503, True)


async def test_what_is_offered_goes_out_whole_and_in_order_or_not_at_all(serve: Serve) -> None:
    bench = await serve(write_buffer=4096)
    said: list[bool] = []

    async def session(peer: Peer) -> None:
        said.append(peer.offer([b"x" * 5000]))  # one may always go
        said.append(peer.offer([b"y"]))
        await peer.send(b"1")
        said.append(peer.offer([b"2", b"3"]))
        await peer.send(b"4")
        await peer.close(4000, "done")
        said.append(peer.offer([b"nobody hears"]))
        await peer.send(b"nobody hears")

    bench.paths.add("/ws/offer", session)
    async with bench.client("/ws/offer") as client:
        assert [await receive(client) for _ in range(5)] == ["x" * 5000, "1", "2", "3", "4"]
        assert await closed(client) == (4000, "done")
    await until(lambda: len(said) == 4)
    assert said == [True, False, True, True]


async def test_what_is_stuck_on_the_way_is_known(serve: Serve) -> None:
    bench = await serve(write_buffer=16384)
    seen: list[int] = []
    told = asyncio.Event()

    async def session(peer: Peer) -> None:
        peer.offer([b"x"])
        while peer.unread:  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.001)
        while peer.offer([b"x" * 1000]):  # noqa: ASYNC110 - nor does the queue
            await asyncio.sleep(0)
        seen.append(peer.unread)
        told.set()
        async for _ in peer:
            pass

    bench.paths.add("/ws/stuck", session)
    async with bench.client("/ws/stuck") as client:
        client.transport.pause_reading()
        async with asyncio.timeout(PATIENCE_S):
            await told.wait()
    assert seen[0] > 16_384  # more than waits here: the kernel's are counted


async def test_a_robots_token_is_good_for_a_robots_path_alone(serve: Serve) -> None:
    bench = await serve(access=Access((), (), ("climbs-0001",)))
    bench.paths.add("/ws/robots", Offered(echo, for_robots=True))
    async with bench.client("/ws/robots?token=climbs-0001") as client:
        await client.send("x")
        assert await receive(client) == "|ROBOT|x"
    async with bench.client("/ws/echo?token=climbs-0001") as client:
        assert await closed(client) == (1008, "this token is for robots, which have a path of their own")
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{bench.api.port}/health?token=climbs-0001")
    assert (answer.status_code, answer.json()) == (
        403,
        {"detail": "this token is for robots, which have a path of their own"},
    )


def unread(bench: Bench, path: str) -> socket.socket:
    """A client that reads nothing."""
    sock = socket.create_connection(("127.0.0.1", bench.api.port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{bench.api.port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return sock


async def test_who_reads_nothing_is_given_up_and_holds_up_nobody(
    serve: Serve, logs: list[MutableMapping[str, Any]]
) -> None:
    bench = await serve(write_buffer=65536, stall_s=0.5)
    ended = asyncio.Event()
    refused = 0

    async def session(peer: Peer) -> None:
        nonlocal refused
        try:
            while True:
                refused += not peer.offer([b"x" * 10_000])
                await asyncio.sleep(0)
        finally:
            ended.set()

    bench.paths.add("/ws/flood", session)
    with unread(bench, "/ws/flood"):
        async with asyncio.timeout(PATIENCE_S), bench.client() as other:
            await until(lambda: refused)
            await other.send("x")
            assert await receive(other) == "|CONTROL|x"
            await ended.wait()
    assert ("client_aborted", "stalled") in [(each["event"], each.get("reason")) for each in logs]
    await until(lambda: not bench.api.clients)


async def test_who_floods_is_given_up(serve: Serve) -> None:
    bench = await serve()
    heard = 0

    async def session(peer: Peer) -> None:
        nonlocal heard
        async for _ in peer:
            heard += 1

    bench.paths.add("/ws/hear", session)
    async with bench.client("/ws/hear") as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(5000):
                await client.send("x")
        await closed(client)
    await until(lambda: not bench.api.clients)
    assert 50 <= heard < 200


async def test_a_message_that_is_too_long_ends_the_connection(serve: Serve) -> None:
    bench = await serve()
    async with bench.client() as client:
        await client.send("x" * 70_000)
        assert (await closed(client))[0] == 1009


async def test_a_session_that_fails_is_told_and_logged(
    serve: Serve, logs: list[MutableMapping[str, Any]]
) -> None:
    bench = await serve()

    async def session(peer: Peer) -> None:
        raise RuntimeError("broken")

    bench.paths.add("/ws/broken", session)
    async with bench.client("/ws/broken") as client:
        assert await closed(client) == (1011, "the session has failed; the log says why")
    (failed,) = [each for each in logs if each["log_level"] == "error"]
    assert (failed["event"], str(failed["exc_info"])) == ("session_failed", "broken")


async def test_a_client_that_vanishes_ends_its_session(serve: Serve) -> None:
    bench = await serve()
    over = asyncio.Event()

    async def session(peer: Peer) -> None:
        async for _ in peer:
            pass
        await peer.send(b"nobody hears")
        over.set()

    bench.paths.add("/ws/until", session)
    async with bench.client("/ws/until") as client:
        await until(lambda: bench.api.clients)
        client.transport.abort()
        async with asyncio.timeout(PATIENCE_S):
            await over.wait()
    await until(lambda: not bench.api.clients)


async def test_when_the_server_stops_every_session_ends_and_its_client_is_told(logs: object) -> None:
    bench = Bench()
    cleaned: list[str] = []

    async def waits(peer: Peer) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(peer.scope.name)

    async def holds(peer: Peer) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(30.0)

    bench.paths.add("/ws/waits", waits)
    bench.paths.add("/ws/holds", holds)
    async with contextlib.AsyncExitStack() as clients:
        serving = bench.api.serving()
        await serving.__aenter__()
        polite = [await clients.enter_async_context(bench.client(path)) for path in ("/ws/waits", "/ws/echo")]
        await clients.enter_async_context(bench.client("/ws/holds"))
        stuck = clients.enter_context(unread(bench, "/ws/waits"))
        assert stuck.fileno() >= 0
        await until(lambda: bench.api.clients == 4)
        began = asyncio.get_running_loop().time()
        await serving.__aexit__(None, None, None)
        assert asyncio.get_running_loop().time() - began < 2.0
        for client in polite:
            assert await closed(client) == (1001, "server is stopping")
    assert cleaned == [Scope.CONTROL.name] * 2


async def test_binary_messages_go_after_text_and_with_it_or_not_at_all(serve: Serve) -> None:
    async def session(peer: Peer) -> None:
        assert peer.offer([b"one", b"two"], [b"\x00\xff", bytes(70_000)])
        assert not peer.offer([b"three"], [bytes(5000)])
        while not peer.offer((), [b"x"]):  # noqa: ASYNC110 - nobody tells that there is room
            await asyncio.sleep(0.001)

    bench = await serve()
    bench.paths.add("/ws/octets", session)
    async with bench.client("/ws/octets") as client:
        assert [message async for message in client] == ["one", "two", b"\x00\xff", bytes(70_000), b"x"]
