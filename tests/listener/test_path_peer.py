"""Sessions under further paths of the WebSocket port, over real sockets."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from listener import events, inbound, sessions
from listener.access import Access, Scope
from listener.config import WebsocketConfig
from listener.sessions import Offered, Paths, Peer, Session
from listener.websocket_server import WebSocketEventServer
from tests.listener.serving import PATIENCE_S, until

READ, CONTROL, ROBOT = "reads-only-0001", "controls-0001", "climbs-0001"


@pytest.fixture(autouse=True)
def logs() -> Any:
    with capture_logs() as captured:
        yield captured


class Served:
    def __init__(self, server: WebSocketEventServer) -> None:
        self.server = server

    def client(self, path: str, **settings: Any) -> connect:
        return connect(f"ws://127.0.0.1:{self.server.port}{path}", proxy=None, **settings)

    async def refusal(self, path: str, **settings: Any) -> int:
        with pytest.raises(InvalidStatus) as refused:
            await self.client(path, **settings).__aenter__()
        return refused.value.response.status_code


@asynccontextmanager
async def serving(
    session: Session | Offered, *, access: Access | None = None, **settings: Any
) -> AsyncIterator[Served]:
    paths = Paths()
    paths.add("/ws/test", session)
    config = WebsocketConfig(host="127.0.0.1", port=0, **settings)
    server = WebSocketEventServer(config, lambda: events.hello(1.0, {}), {}, None, access, paths)
    await server.start()
    try:
        yield Served(server)
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await server.stop()


async def echo(peer: Peer) -> None:
    async for message in peer:
        await peer.send(message.encode() if isinstance(message, str) else message)


async def recv(client: ClientConnection) -> str:
    async with asyncio.timeout(PATIENCE_S):
        message = await client.recv()
    assert isinstance(message, str)
    return message


async def test_a_session_hears_and_answers() -> None:
    async with serving(echo) as served, served.client("/ws/test") as client:
        await client.send("Küche")
        assert await recv(client) == "Küche"
        assert served.server.clients == 1


async def test_it_knows_who_is_there_and_what_was_asked_for() -> None:
    async def tell(peer: Peer) -> None:
        await peer.send(json.dumps([peer.query, peer.scope.name, peer.address]).encode())

    async with serving(tell, access=Access((READ,), (CONTROL,))) as served:
        async with served.client(f"/ws/test?ids=0x100&token={CONTROL}") as client:
            query, scope, address = json.loads(await recv(client))
        assert (query, scope) == ("ids=0x100", Scope.CONTROL.name)
        assert address.startswith("127.0.0.1:")
        async with served.client("/ws/test") as client:
            with pytest.raises(ConnectionClosed) as closed:
                await recv(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_a_robots_token_is_good_for_its_own_path_alone() -> None:
    async def tell(peer: Peer) -> None:
        await peer.send(peer.scope.name.encode())

    async def closed(served: Served, path: str) -> tuple[int, str]:
        async with served.client(f"{path}?token={ROBOT}") as client:
            with pytest.raises(ConnectionClosed) as closed:
                await recv(client)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason

    access = Access((), (), (ROBOT,))
    refused = 1008, "this token is for robots, which have a path of their own"
    async with serving(Offered(tell, for_robots=True), access=access) as served:
        async with served.client(f"/ws/test?token={ROBOT}") as client:
            assert await recv(client) == Scope.ROBOT.name
        assert await closed(served, "/") == refused
    async with serving(tell, access=access) as served:
        assert await closed(served, "/ws/test") == refused


async def test_a_path_says_how_much_its_clients_may_say() -> None:
    eager = Offered(echo, rate=1000.0, burst=400.0)
    async with serving(eager) as served, served.client("/ws/test") as client:
        for number in range(300):
            await client.send(str(number))
        assert [await recv(client) for _ in range(300)] == [str(number) for number in range(300)]


async def test_what_is_stuck_on_the_way_is_known() -> None:
    seen: list[int] = []
    go_on = asyncio.Event()

    async def session(peer: Peer) -> None:
        peer.offer([b"x"])
        while peer.unread:  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.001)
        while peer.offer([b"x" * 1000]):
            pass
        seen.append(peer.unread)
        go_on.set()
        async for _ in peer:
            pass
        seen.append(peer.unread)

    async with serving(session, write_buffer=16384) as served, served.client("/ws/test") as client:
        async with asyncio.timeout(PATIENCE_S):
            client.transport.pause_reading()
            await go_on.wait()
    await until(lambda: len(seen) == 2)
    assert seen[0] > 10_000
    assert seen[1] == 0


async def test_events_are_at_the_root_and_nowhere_else() -> None:
    async with serving(echo) as served:
        async with served.client("/") as client:
            assert json.loads(await recv(client))["type"] == "hello"
        assert await served.refusal("/ws/other") == 404
        assert await served.refusal("/ws/test/") == 404


async def test_a_foreign_page_is_refused() -> None:
    async with serving(echo) as served:
        assert await served.refusal("/ws/test", origin="http://elsewhere.example") == 403


async def test_sessions_count_as_clients() -> None:
    async with serving(echo, max_clients=1) as served, served.client("/ws/test"):
        assert await served.refusal("/ws/test") == 503
        assert await served.refusal("/") == 503


async def test_what_is_offered_is_as_many_messages_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [str(number).encode() * 50 for number in range(40)]

    async def offer(peer: Peer) -> None:
        async for _ in peer:
            assert peer.offer(texts)

    async with serving(offer) as served, served.client("/ws/test") as client:
        (connection,) = served.server._alive
        writes: list[int] = []
        write = connection.transport.write

        def count(data: bytes) -> None:
            writes.append(len(data))
            write(data)

        monkeypatch.setattr(connection.transport, "write", count)
        await client.send("go")
        assert [(await recv(client)).encode() for _ in texts] == texts
        assert len(writes) == 1


async def test_what_has_no_room_is_refused_as_a_whole_and_waits_for_nobody() -> None:
    taken = refused = 0

    async def flood(peer: Peer) -> None:
        nonlocal taken, refused
        for _ in range(3000):
            if peer.offer([b"x" * 4000, b"y" * 4000]):
                taken += 1
            else:
                refused += 1

    async with serving(flood, write_buffer=65_536) as served:
        async with served.client("/ws/test", max_queue=None) as client:
            got = len([message async for message in client])
        assert refused > 0
        assert got == 2 * taken


async def test_who_does_not_read_is_aborted_whatever_its_session_does() -> None:
    async def send(peer: Peer) -> None:
        for _ in range(10_000):
            await peer.send(b"x" * 10_000)

    async with serving(send, stall_s=0.2, write_buffer=8192) as served:
        async with served.client("/ws/test", max_queue=1, close_timeout=0.1):
            await until(lambda: served.server.counts["clients_aborted"] == 1)
        await until(lambda: served.server.clients == 0)


async def test_a_session_that_ends_closes_and_may_say_why() -> None:
    async def leave(peer: Peer) -> None:
        await peer.close(1008, "ü" * 100)

    async with serving(leave) as served, served.client("/ws/test") as client:
        with pytest.raises(ConnectionClosed) as closed:
            await recv(client)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "ü" * 61)


async def test_a_session_that_fails_closes_with_1011_and_is_logged(logs: list[dict[str, Any]]) -> None:
    async def fail(_peer: Peer) -> None:
        raise ZeroDivisionError

    async with serving(fail) as served, served.client("/ws/test") as client:
        with pytest.raises(ConnectionClosed) as closed:
            await recv(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
    assert "session_failed" in [entry["event"] for entry in logs]


async def test_a_flood_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "REFUSED_MAX", 20)
    heard = 0

    async def count(peer: Peer) -> None:
        nonlocal heard
        async for _ in peer:
            heard += 1

    async with serving(count) as served, served.client("/ws/test") as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(10_000):
                await client.send("x")
                await asyncio.sleep(0)
        assert client.close_code is not None
    assert heard <= sessions.INBOUND_BURST + 2


async def test_stopping_does_not_wait_for_a_session_that_waits_for_something_else() -> None:
    ended = asyncio.Event()

    async def wait(_peer: Peer) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(wait) as served, served.client("/ws/test"):
        await until(lambda: served.server.clients == 1)
        began = time.monotonic()
        await served.server.stop()
        assert time.monotonic() - began < 2.0
    assert ended.is_set()


async def test_a_path_that_was_taken_back_is_not_there_any_more() -> None:
    paths = Paths()
    take_back = paths.add("/ws/test", echo)
    assert list(paths) == ["/ws/test"]
    take_back()
    assert paths.find("/ws/test") is None


async def test_binary_messages_go_after_text_and_with_it_or_not_at_all() -> None:
    async def session(peer: Peer) -> None:
        assert peer.offer([b"one", b"two"], [b"\x00\xff", bytes(70_000), b"x" * 300])
        assert peer.offer((), [b""])
        while peer.offer([b"text"], [bytes(5000)]):
            pass
        await peer.close()

    async with serving(session) as served, served.client("/ws/test") as client:
        heard = [await client.recv() for _ in range(6)]
        assert heard == ["one", "two", b"\x00\xff", bytes(70_000), b"x" * 300, b""]
        rest = [message async for message in client]
        assert rest[::2] == ["text"] * (len(rest) // 2)
        assert rest[1::2] == [bytes(5000)] * (len(rest) // 2)


async def test_a_large_message_that_many_get_is_each_ones_own_text_or_binary() -> None:
    one, other = b"1" * 100_000, b"2" * 70_000

    async def session(peer: Peer) -> None:
        for _ in range(2):
            await asyncio.sleep(0)  # the clients take turns
            while not peer.offer([one], [one, other]):  # noqa: ASYNC110 - nobody tells that there is room
                await asyncio.sleep(0.001)
        await peer.close()

    # Who has no room is told so and asks again: what it gets twice is as whole.
    async with (
        serving(session) as served,
        served.client("/ws/test") as first,
        served.client("/ws/test") as second,
    ):
        for client in (first, second):
            heard = [message async for message in client]
            assert set(heard) == {one.decode(), one, other}
            assert heard.index(one.decode()) < heard.index(one) < heard.index(other)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what the kernel holds")
async def test_the_kernel_takes_a_single_large_message_whole_and_no_more_than_that() -> None:
    held: list[tuple[int, bool]] = []

    async def session(peer: Peer) -> None:
        held.extend((peer.unread, peer.offer([], [bytes(150_000)])) for _ in range(20))
        held.append((peer.unread, False))
        await asyncio.Event().wait()

    async with serving(session, stall_s=60.0) as served, served.client("/ws/test", max_queue=1) as client:
        await until(lambda: len(held) == 21)
        assert held[0] == (0, True)
        assert held[-2][1] is False
        assert held[-1][0] < 10 * 150_000
        assert await client.recv() == bytes(150_000)
