"""How events reach many clients: joined, as asked for, bounded."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import wsproto
from websockets.exceptions import InvalidStatus
from wsproto.events import AcceptConnection, CloseConnection, Ping, Pong, TextMessage
from wsproto.events import Request as WsRequest

from listener import events, outbound, pace
from listener.sessions import INBOUND_BURST
from listener.websocket_server import WebSocketEventServer
from tests.listener.serving import (
    PATIENCE_S,
    Start,
    client_of,
    raws,
    receive,
    sample,
    servers,
    state,
    take,
    until,
)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with servers({"epoch": "e1"}) as start:
        yield start


class Writes:
    """Counts what reaches the transport of the only client."""

    def __init__(self, server: WebSocketEventServer, monkeypatch: pytest.MonkeyPatch) -> None:
        ((self.client,),) = [group.clients for group in server._fanout._groups.values()]
        self.sizes: list[int] = []
        self.at: list[float] = []
        transport = self.client.connection.transport
        really = transport.write

        def write(data: bytes) -> None:
            self.sizes.append(len(data))
            self.at.append(time.monotonic())
            really(data)

        monkeypatch.setattr(transport, "write", write)


# --- joining


async def test_events_of_one_turn_are_one_write_and_as_many_messages(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start()
    async with client_of(server) as client:
        await receive(client)
        writes = Writes(server, monkeypatch)
        for _ in range(3):
            for number in range(20):
                server.broadcast(sample(number))
            await asyncio.sleep(0)
            assert raws(await take(client, 20)) == list(range(20))
        # The very first came after a pause and was taken for one that is alone.
        assert len(writes.sizes) <= 4


async def test_an_event_that_comes_alone_is_written_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start()
    async with client_of(server) as client:
        await receive(client)
        writes = Writes(server, monkeypatch)
        for number in range(5):
            await asyncio.sleep(10 * pace.SPARSE_S)
            server.broadcast(sample(number))
            assert len(writes.sizes) == number + 1


async def test_after_a_dear_flush_the_next_one_waits_as_long_as_it_took(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start()
    async with client_of(server) as client:
        await receive(client)
        writes = Writes(server, monkeypatch)
        really = outbound.render

        def slowly(*arguments: Any) -> bytes:
            time.sleep(0.05)  # as for a thousand clients
            return really(*arguments)

        monkeypatch.setattr("listener.fanout.render", slowly)
        for number in range(100):
            server.broadcast(sample(number))
            await asyncio.sleep(0.002)
        assert raws(await take(client, 100)) == list(range(100))
        assert len(writes.sizes) < 10
        pauses = [after - before for before, after in zip(writes.at, writes.at[1:], strict=False)]
        assert min(pauses) > 0.09, "as much pause as work"


async def test_coalesce_ms_is_the_least_time_between_two_writes(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start(coalesce_ms=50)
    async with client_of(server) as client:
        await receive(client)
        writes = Writes(server, monkeypatch)
        for number in range(100):
            server.broadcast(sample(number))
            await asyncio.sleep(0.002)
        assert raws(await take(client, 100)) == list(range(100))
        pauses = [after - before for before, after in zip(writes.at, writes.at[1:], strict=False)]
        assert min(pauses) > 0.045


async def test_a_batch_never_grows_over_what_may_be_held_for_a_client(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start(write_buffer=8192)
    async with client_of(server) as client:
        await receive(client)
        writes = Writes(server, monkeypatch)
        for number in range(500):
            server.broadcast(sample(number))
        assert max(writes.sizes) <= 8192
        client.transport.abort()  # rather than read all of it


async def test_another_implementation_reads_the_same_messages_and_its_pings_are_answered(
    start: Start,
) -> None:
    server = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    writer.write(protocol.send(WsRequest(host=f"127.0.0.1:{server.port}", target="/")))
    got: list[Any] = []

    async def read(fact: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not fact():
                protocol.receive_data(await reader.read(1000) or None)
                got.extend(protocol.events())

    def texts() -> list[str]:
        whole, part = [], ""
        for event in got:
            if isinstance(event, TextMessage):
                part += event.data
                if event.message_finished:
                    whole.append(part)
                    part = ""
        return whole

    await read(texts)
    assert isinstance(got[0], AcceptConnection)
    for number in range(300):
        server.broadcast(sample(number))
    server.broadcast(events.status(1.0, "system", "x" * 70_000))
    writer.write(protocol.send(Ping(b"now")))
    await read(lambda: len(texts()) == 302 and any(isinstance(event, Pong) for event in got))
    assert raws([json.loads(text) for text in texts()[1:301]]) == list(range(300))
    assert next(event.payload for event in got if isinstance(event, Pong)) == b"now"
    writer.write(protocol.send(CloseConnection(1000)))
    await read(lambda: any(isinstance(event, CloseConnection) for event in got))
    assert next(event.code for event in got if isinstance(event, CloseConnection)) == 1000
    writer.close()
    await writer.wait_closed()


# --- subscriptions


async def test_each_gets_what_it_asked_for(start: Start) -> None:
    server = await start()
    async with (
        client_of(server) as everything,
        client_of(server, "?types=status") as states,
        client_of(server, "?channel=slave&seq=1") as slave,
    ):
        for client in (everything, states, slave):
            await receive(client)
        for number in range(10):
            server.broadcast(sample(number, "slave" if number % 2 else "master"))
        server.broadcast(state(1))
        assert raws(await take(everything, 10)) == list(range(10))
        assert [set(event) for event in await take(everything, 1)] == [
            {"proto", "type", "ts", "source", "payload"}
        ]
        assert (await receive(states))["payload"]["state"] == "state 1"
        got = await take(slave, 6)
        assert raws(got[:5]) == [1, 3, 5, 7, 9]
        assert [event["seq"] for event in got] == [2, 4, 6, 8, 10, 11]


async def test_hello_tells_the_number_of_the_last_event_before_it(start: Start) -> None:
    server = await start()
    for number in range(7):
        server.broadcast(sample(number))
    async with client_of(server, "?seq=1") as client:
        assert (await receive(client))["payload"]["seq"] == 7
        server.broadcast(sample(7))
        assert (await receive(client))["seq"] == 8


async def test_with_a_rate_come_the_latest_values_and_every_state(start: Start) -> None:
    server = await start()
    async with client_of(server, "?rate=10") as client:
        await receive(client)
        began = time.monotonic()
        for number in range(200):
            server.broadcast(sample(number, "slave" if number % 2 else "master"))
            if number % 50 == 0:
                server.broadcast(state(number))
            await asyncio.sleep(0.004)
        took_s = time.monotonic() - began
        server.broadcast(events.status(0.0, "system", "end"))
        got: list[dict[str, Any]] = []
        newest = {"master": 198, "slave": 199}
        missing = {"end", *newest.values()}
        while missing:
            got.append(await receive(client))
            missing -= {got[-1]["payload"].get("state"), got[-1]["payload"].get("position_raw")}
        samples = [event for event in got if event["type"] == "position_sample"]
        assert [e["payload"]["state"] for e in got if e["type"] == "status"] == [
            *(f"state {number}" for number in range(0, 200, 50)),
            "end",
        ]
        for channel, last in newest.items():
            mine = [e["payload"]["position_raw"] for e in samples if e["payload"]["channel"] == channel]
            assert 3 <= len(mine) <= took_s * 10 + 2
            assert mine == sorted(mine)
            assert mine[-1] == last, "it comes although nothing follows it"


@pytest.mark.parametrize("in_payload", [False, True])
async def test_a_subscription_can_be_changed_in_the_session(start: Start, in_payload: bool) -> None:
    server = await start()
    async with client_of(server) as client:
        await receive(client)
        server.broadcast(sample(1))
        wanted = {"types": ["status"], "seq": True}
        parameters = {"payload": wanted} if in_payload else wanted
        await client.send(json.dumps({"type": "command:subscribe", "id": 7, **parameters}))
        assert raws(await take(client, 1)) == [1]
        answer = await receive(client)
        assert (answer["type"], answer["payload"]) == ("result", {"command": "subscribe", "id": 7, "seq": 1})
        server.broadcast(sample(2))
        server.broadcast(state(3))
        got = await receive(client)
        assert (got["payload"]["state"], got["seq"]) == ("state 3", 3)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ({"types": ["stauts"]}, "types: no such type: 'stauts'"),
        ({"channel": "left"}, "channel: 'left'"),
        ({"rate": -1}, "rate: '-1.0'"),
        ({"rate": "fast"}, "$.rate"),
        ({"chanel": "master"}, "chanel"),
        ({"payload": {"channel": "left"}}, "channel: 'left'"),
    ],
)
async def test_a_bad_subscription_names_the_parameter_and_changes_nothing(
    start: Start, command: dict[str, object], named: str
) -> None:
    server = await start()
    async with client_of(server) as client:
        await receive(client)
        await client.send(json.dumps({"type": "command:subscribe", "id": 7, **command}))
        error = await receive(client)
        assert (error["type"], error["payload"]["code"]) == ("error", "bad_message")
        assert error["payload"]["details"]["id"] == 7
        assert named in error["payload"]["details"]["reason"]
        server.broadcast(sample(1))
        assert raws(await take(client, 1)) == [1]


@pytest.mark.parametrize("query", ["?types=stauts", "?rate=0", "?typs=status", "?resume=x", "?seq=2"])
async def test_a_bad_address_is_http_400_and_names_the_parameter(start: Start, query: str) -> None:
    server = await start()
    with pytest.raises(InvalidStatus) as refused:
        async with client_of(server, query):
            pass
    assert refused.value.response.status_code == 400
    assert refused.value.response.body
    assert refused.value.response.body.decode().startswith(query[1:].partition("=")[0])


# --- limits


async def test_more_clients_than_allowed_are_http_503_until_one_leaves(start: Start) -> None:
    server = await start(max_clients=2)
    async with client_of(server), client_of(server):
        with pytest.raises(InvalidStatus) as refused:
            async with client_of(server):
                pass
        assert refused.value.response.status_code == 503
        assert b"max_clients" in (refused.value.response.body or b"")
        assert server.counts["clients_refused"] == 1
    await until(lambda: server.clients == 0)
    async with client_of(server) as client:
        assert (await receive(client))["type"] == "hello"


async def test_one_address_may_not_take_all_places(start: Start) -> None:
    server = await start(max_per_address=1)
    async with client_of(server):
        with pytest.raises(InvalidStatus) as refused:
            async with client_of(server):
                pass
        assert b"max_per_address" in (refused.value.response.body or b"")


async def test_a_flood_of_messages_is_answered_once_and_the_session_goes_on(start: Start) -> None:
    server = await start()
    async with client_of(server) as client:
        await receive(client)
        for _ in range(int(INBOUND_BURST) + 100):
            await client.send("{}")
        server.broadcast(state(1))
        got: list[dict[str, Any]] = []
        while not got or got[-1]["type"] != "status":
            got.append(await receive(client))
        await until(lambda: server.counts["messages_received"] == INBOUND_BURST + 100)
        codes = [event["payload"]["code"] for event in got[:-1]]
        assert server.counts["messages_refused"] > 50
        assert codes.count("too_many_messages") <= 20
        client.transport.abort()


# --- one client and the others


async def test_the_rate_of_some_does_not_break_the_pace_of_the_others(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start(coalesce_ms=50)
    async with client_of(server) as plain:
        await receive(plain)
        writes = Writes(server, monkeypatch)
        async with (
            client_of(server, "?rate=60"),
            client_of(server, "?rate=70"),
            client_of(server, "?rate=80"),
        ):
            joined = len(writes.at)
            for number in range(100):
                server.broadcast(sample(number))
                await asyncio.sleep(0.004)
            pauses = [
                after - before
                for before, after in zip(writes.at[joined:], writes.at[joined + 1 :], strict=False)
            ]
            assert min(pauses) > 0.045
            plain.transport.abort()


async def test_a_flood_from_one_does_not_delay_the_others_and_is_ended(start: Start) -> None:
    server = await start()
    flood = b"\x81\x82\x00\x00\x00\x00{}" * 8000
    async with client_of(server) as other, client_of(server) as bad:
        await receive(other)
        await receive(bad)
        stop = time.monotonic() + PATIENCE_S
        worst_s = 0.0
        number = 0
        while server.clients == 2:
            assert time.monotonic() < stop
            if not bad.transport.is_closing():
                bad.transport.write(flood)
            began = time.monotonic()
            server.broadcast(sample(number))
            assert raws(await take(other, 1)) == [number]
            worst_s = max(worst_s, time.monotonic() - began)
            number += 1
        assert worst_s < 0.1
        assert server.counts["messages_refused"] > 1000
        bad.transport.abort()


async def test_pings_that_nobody_reads_the_answers_of_do_not_fill_the_memory(start: Start) -> None:
    server = await start(write_buffer=4096)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(
        b"GET /?types=ride_end HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    await until(lambda: server.clients == 1)
    (connection,) = server._alive
    ping = b"\x89\xfd\x00\x00\x00\x00" + bytes(125)
    most = 0
    async with asyncio.timeout(PATIENCE_S):
        while server.clients:
            if not writer.transport.is_closing():
                writer.write(ping * 100)
            most = max(most, connection.transport.get_write_buffer_size())
            await asyncio.sleep(0.001)
    assert most < 64 * 1024
    assert connection.transport.is_closing()
    writer.transport.abort()
    del reader
