import asyncio
import contextlib
import errno
import json
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as really
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from listener import events, websocket_port
from listener.config import WebsocketConfig
from listener.events import EventEnvelope
from listener.hub import Hub
from listener.outbound import Client, text_frame
from listener.ports import PortUnavailable
from listener.websocket_port import CLOSE_S, Page
from listener.websocket_server import WebSocketEventServer
from tests.listener.serving import PATIENCE_S, Start, client_of, receive, sample, servers, until

HELLO = events.hello(1.0, {"version": "test"})
PAGES: dict[str, Page] = {
    "/": lambda _: (200, "text/plain", b"front page\n"),
    "/healthz": lambda _: (503, "application/json", '{"status":"Küche"}'.encode()),
    "/metrics": lambda _: (200, "text/plain; version=0.0.4", b"les02_clients 0\n"),
}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with servers({"version": "test"}, PAGES) as start:
        yield start


@pytest.fixture
def logged() -> Any:
    with structlog.testing.capture_logs() as entries:
        yield entries


class Reluctant:
    """A client on a bare socket with next to no room, which reads when it is told to and not before."""

    def __init__(self, connection: socket.socket, url: str) -> None:
        self.socket = connection
        self.protocol = ClientProtocol(parse_uri(url))
        self._frames: list[Frame] = []

    async def receive(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            data = await asyncio.get_running_loop().sock_recv(self.socket, 65536)
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        self._frames += [event for event in self.protocol.events_received() if isinstance(event, Frame)]

    async def frame(self) -> Frame:
        while not self._frames:
            assert self.protocol.state is not State.CLOSED, "closed instead"
            await self.receive()
        return self._frames.pop(0)

    async def event(self) -> dict[str, Any]:
        frame = await self.frame()
        assert frame.opcode is Opcode.TEXT, frame
        event = json.loads(bytes(frame.data))
        assert isinstance(event, dict)
        return event


@asynccontextmanager
async def reluctant(server: WebSocketEventServer) -> AsyncIterator[Reluctant]:
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(connection, ("127.0.0.1", server.port))
        client = Reluctant(connection, f"ws://127.0.0.1:{server.port}/")
        client.protocol.send_request(client.protocol.connect())
        for data in client.protocol.data_to_send():
            await loop.sock_sendall(connection, data)
        assert (await client.event())["type"] == "hello"
        yield client


def tell(server: WebSocketEventServer, event: EventEnvelope) -> None:
    """Alone: not joined with its neighbours, so that what has room and what has not is exact."""
    server.broadcast(event)
    server._fanout.flush()


def joined(server: WebSocketEventServer) -> list[Client]:
    return [client for group in server._fanout._groups.values() for client in group.clients]


def held_for(server: WebSocketEventServer) -> int:
    (client,) = joined(server)
    return client.connection.transport.get_write_buffer_size()


def fill(server: WebSocketEventServer, *, skip: int = 1) -> tuple[int, int]:
    """Samples 0, 1, 2, … until `skip` of them had no room; how many went out, and how many were made.

    The loop gets no turn meanwhile, so nothing can drain and the numbers are exact.
    """
    before = server.counts["samples_skipped"]
    number = 0
    while server.counts["samples_skipped"] - before < skip:
        tell(server, sample(number))
        number += 1
        assert number < 200_000
    return number - skip, number


# Frames and events


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_frame_of_any_length_is_what_websockets_reads(length: int) -> None:
    protocol = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=None)
    payload = b"x" * length
    protocol.receive_data(text_frame(payload))
    (frame,) = protocol.events_received()
    assert frame == Frame(Opcode.TEXT, payload, fin=True)
    assert len(text_frame(payload)) - length == (2 if length < 126 else 4 if length < 65536 else 10)


async def test_hello_comes_first_and_every_event_as_it_was_encoded(start: Start) -> None:
    server = await start()
    sent = [
        sample(1),
        events.status(2.5, "system", "receiving", position_stale=False),
        events.error(3.0, "slave", "unknown_0x07", {"raw": "00ff", "note": "Schlüssel µ"}),
        events.status(4.0, "system", "long", text="x" * 125),
        events.status(5.0, "system", "longer", text="x" * 65536),
    ]
    async with client_of(server, max_size=None) as one, client_of(server) as another:
        for client in (one, another):
            payload = {"version": "test", "seq": 0, "access": "control"}
            assert await receive(client) == events.hello(1.0, payload).to_dict()
        assert server.clients == 2
        for event in sent:
            tell(server, event)
        for client in (one, another):
            assert [await client.recv(decode=False) for _ in sent] == [events.encode(e) for e in sent]
    await until(lambda: server.clients == 0)
    assert server.counts["events"] == len(sent)


async def test_connections_and_their_ends_are_logged(start: Start, logged: list[dict[str, Any]]) -> None:
    server = await start()
    assert [entry["event"] for entry in logged] == [
        "websocket_server_starting",
        "websocket_server_started",
        "waiting_for_clients",
    ]
    assert logged[1]["url"] == f"ws://127.0.0.1:{server.port}"
    logged.clear()
    async with client_of(server) as client:
        await receive(client)
        host, port = client.local_address[:2]
    await until(lambda: server.clients == 0)
    assert [(e["event"], e["address"], e["total"]) for e in logged] == [
        ("client_connected", f"{host}:{port}", 1),
        ("client_disconnected", f"{host}:{port}", 0),
    ]
    assert logged[1]["code"] == 1000


async def test_payload_that_is_not_json_costs_that_event_only(
    start: Start, logged: list[dict[str, Any]]
) -> None:
    server = await start()
    hub = Hub()
    hub.subscribe(server.broadcast)
    async with client_of(server, "?seq=1") as client:
        await receive(client)
        for payload in ({"code": object()}, {"details": "\ud800"}):
            hub.publish(EventEnvelope(1, "error", 1.0, "les02", payload))
        hub.publish(sample(7))
        event = await receive(client)
        assert (event["payload"]["position_raw"], event["seq"]) == (7, 1)
    failures = [entry for entry in logged if entry["event"] == "subscriber_failed"]
    assert [(entry["type"], entry["exc_info"]) for entry in failures] == [("error", True)]
    assert hub.failures == 2
    assert server.counts["events"] == 1


async def test_without_clients_an_event_is_counted_and_gone(start: Start) -> None:
    server = await start()
    tell(server, sample(1))
    assert (server.clients, server.counts["events"], server.counts["samples_skipped"]) == (0, 1, 0)


async def test_client_that_is_closing_gets_nothing_more_and_disturbs_nobody(start: Start) -> None:
    server = await start()
    async with client_of(server) as stays, client_of(server) as leaves:
        for client in (stays, leaves):
            await receive(client)
        closing = asyncio.create_task(leaves.close(), name="leave")
        number = 0
        while not closing.done():
            tell(server, sample(number))
            number += 1
            await asyncio.sleep(0)
        got = [(await receive(stays))["payload"]["position_raw"] for _ in range(number)]
        assert got == list(range(number))
        assert leaves.close_code == 1000
    await closing


# Clients that do not read


async def test_client_that_pauses_is_told_what_it_missed_and_lives_on(start: Start) -> None:
    server = await start(write_buffer=8192, stall_s=60)
    async with reluctant(server) as client:
        sent, made = fill(server, skip=500)
        states = [events.status(float(number), "system", f"state {number}") for number in range(200)]
        for state in states:
            tell(server, state)
        assert 0 < held_for(server) <= 8192
        assert server.counts["samples_skipped"] == 500
        tell(server, sample(made))  # after states, and yet in the same gap

        got = [await client.event() for _ in range(sent)]
        assert [event["payload"]["position_raw"] for event in got] == list(range(sent))
        gap = await client.event()
        assert gap["type"] == "gap"
        assert gap["payload"] == {
            "where": "client",
            "skipped": 501,
            "first_ts": float(sent),
            "last_ts": float(made),
            "first_seq": sent + 1,
            "last_seq": made + 201,
        }
        assert abs(gap["ts"] - time.time()) < PATIENCE_S
        assert [await client.event() for _ in states] == [state.to_dict() for state in states]

        tell(server, sample(made + 1))
        assert (await client.event())["payload"]["position_raw"] == made + 1
        assert held_for(server) == 0
        assert server.counts["samples_skipped"] == 501
        assert server.counts["clients_aborted"] == 0


async def test_second_gap_counts_from_zero(start: Start) -> None:
    server = await start(write_buffer=4096, stall_s=60)
    async with reluctant(server) as client:
        for skip in (30, 7):
            sent, made = fill(server, skip=skip)
            for _ in range(sent):
                assert (await client.event())["type"] == "position_sample"
            payload = (await client.event())["payload"]
            assert (payload["skipped"], payload["first_ts"], payload["last_ts"]) == (skip, sent, made - 1)
        assert server.counts["samples_skipped"] == 37


async def test_states_alone_are_kept_without_a_gap(start: Start) -> None:
    server = await start(write_buffer=4096, stall_s=60)
    async with reluctant(server) as client:
        number = 0
        while not server._fanout._held:
            tell(server, events.status(float(number), "system", "receiving"))
            number += 1
        tell(server, events.status(float(number), "system", "no_data"))
        got = [await client.event() for _ in range(number + 1)]
        assert [event["ts"] for event in got] == [float(each) for each in range(number + 1)]
        assert got[-1]["payload"]["state"] == "no_data"


async def test_write_buffer_never_grows_over_its_bound(start: Start) -> None:
    server = await start(write_buffer=4096, stall_s=60)
    async with reluctant(server):
        (client,) = joined(server)
        kernel = client.connection.transport.get_extra_info("socket")
        # Linux doubles what it is asked for, to have room for its own book-keeping.
        assert kernel.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 4608
        highest = 0
        for number in range(5000):
            tell(server, sample(number))
            highest = max(highest, held_for(server))
            if number % 500 == 0:
                await asyncio.sleep(0)
        assert 0 < highest <= 4096


async def test_single_event_larger_than_the_bound_still_gets_through(start: Start) -> None:
    server = await start(write_buffer=4096, stall_s=60)
    async with client_of(server, max_size=None) as client:
        await receive(client)
        tell(server, events.status(1.0, "system", "x" * 3_000_000))
        tell(server, events.status(2.0, "system", "after it"))
        assert len((await receive(client))["payload"]["state"]) == 3_000_000
        assert (await receive(client))["payload"]["state"] == "after it"


async def test_too_many_states_close_the_client_with_1013(start: Start, logged: list[dict[str, Any]]) -> None:
    server = await start(write_buffer=4096, stall_s=60, state_queue=3)
    async with client_of(server) as other, reluctant(server) as client:
        await receive(other)
        sent, _ = fill(server)
        for number in range(6):
            tell(server, events.status(float(number), "system", "locked"))
        assert server.counts["clients_overflowed"] == 1
        assert server.clients == 1
        frames = [await client.frame() for _ in range(sent + 1)]
        assert [frame.opcode for frame in frames] == [Opcode.TEXT] * sent + [Opcode.CLOSE]
        assert int.from_bytes(frames[-1].data[:2], "big") == 1013
        assert "client_overflowed" in {entry["event"] for entry in logged}
        got = [await receive(other) for _ in range(sent + 1 + 6)]
        assert [event["payload"].get("state") for event in got[-6:]] == ["locked"] * 6
    assert server.counts["clients_aborted"] == 0


async def test_overflowed_client_that_the_close_frame_does_not_reach_is_aborted(start: Start) -> None:
    server = await start(write_buffer=4096, stall_s=0.2, state_queue=1)
    async with reluctant(server):
        fill(server)
        for number in range(3):
            tell(server, events.status(float(number), "system", "locked"))
        await until(lambda: server.counts["clients_aborted"])
        assert server.counts["clients_overflowed"] == 1
        await until(lambda: not server._fanout._closing and not server._fanout._held)


async def test_stalled_client_is_aborted_and_the_others_miss_nothing(
    start: Start, logged: list[dict[str, Any]]
) -> None:
    server = await start(write_buffer=4096, stall_s=0.4)
    async with client_of(server) as reads, reluctant(server) as client:
        await receive(reads)
        began = time.monotonic()
        number = 0
        while not server.counts["clients_aborted"]:
            tell(server, sample(number))
            assert (await receive(reads))["payload"]["position_raw"] == number
            number += 1
            assert time.monotonic() - began < PATIENCE_S
        assert time.monotonic() - began >= 0.4
        await until(lambda: server.clients == 1)
        aborted = next(entry for entry in logged if entry["event"] == "client_aborted")
        assert aborted["reason"] == "stalled"
        assert 0 < aborted["skipped"] <= server.counts["samples_skipped"]
        with pytest.raises((AssertionError, ConnectionResetError)):  # noqa: PT012 - after what it held
            while True:
                await client.frame()


async def test_stop_waits_for_nobody_who_does_not_read(start: Start) -> None:
    server = await start(write_buffer=65536, stall_s=60)
    async with client_of(server) as reads, reluctant(server):
        await receive(reads)
        for number in range(100):
            tell(server, events.status(float(number), "system", "x" * 8000))
            await receive(reads)
        assert server._fanout._held
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            await server.stop()
        assert time.monotonic() - began < 1.0
        with pytest.raises(ConnectionClosed):
            await receive(reads)
        assert reads.close_code == 1001


@pytest.mark.parametrize("held", [10_000, 45_000])
async def test_stop_is_short_for_a_client_that_hangs_within_its_bound(start: Start, held: int) -> None:
    server = await start(write_buffer=65536, stall_s=60)
    async with reluctant(server):
        while held_for(server) < held:
            tell(server, events.status(1.0, "system", "x" * 1000))
        assert not server._fanout._held
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            await server.stop()
        assert time.monotonic() - began < CLOSE_S + 1.0


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_stop_is_short_for_a_connection_without_a_handshake(start: Start, said: bytes) -> None:
    # Browsers open connections in advance and leave them idle.
    server = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(said)
    await writer.drain()
    await until(lambda: server._server and server._server.handler_tasks)
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        await server.stop()
    assert time.monotonic() - began < 1.0
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_stop_tells_every_client_1001_and_frees_the_port(start: Start) -> None:
    server = await start()
    port = server.port
    async with client_of(server) as one, client_of(server) as another:
        for client in (one, another):
            await receive(client)
        await server.stop()
        for client in (one, another):
            with pytest.raises(ConnectionClosed):
                await receive(client)
            assert (client.close_code, client.close_reason) == (1001, "server is stopping")
    again = await start(port=port)
    assert again.port == port


async def test_stop_before_start_is_nothing() -> None:
    await WebSocketEventServer(WebsocketConfig(), lambda: HELLO, {}).stop()


# What clients say


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "no JSON",
        "[]",
        "3",
        "{}",
        '{"type": 3}',
        '{"type": null}',
        '{"type": "command:stop", "id": 1.5}',
        '{"type": "command:stop", "id": {}}',
        b"\x00\xff\xfe",
        b'{"type": "\xff"}',
        '{"type": "\\ud800"}',
        "[" * 60_000,
        '{"type": "x", "deep": ' + "[" * 30_000 + "]" * 30_000 + "}",
    ],
    ids=lambda message: repr(message[:24]),
)
async def test_nonsense_is_answered_to_its_sender_alone(start: Start, message: str | bytes) -> None:
    server = await start()
    async with client_of(server) as sender, client_of(server) as other:
        for client in (sender, other):
            await receive(client)
        await sender.send(message)
        answer = await receive(sender)
        assert (answer["type"], answer["payload"]["channel"]) == ("error", "system")
        assert answer["payload"]["code"] == "bad_message"
        assert answer["payload"]["details"]["reason"]
        tell(server, sample(1))
        for client in (sender, other):
            assert (await receive(client))["type"] == "position_sample"
    assert server.counts["messages_received"] == 1


@pytest.mark.parametrize("given", [1.5, "y" * 65, {}, [], True, 2**63, -(2**63) - 1])
@pytest.mark.parametrize("command", ["command:subscribe", "command:stop"])
async def test_an_id_that_could_not_come_back_as_it_was_is_refused_by_name(
    start: Start, command: str, given: object
) -> None:
    server = await start()
    async with client_of(server) as client:
        await receive(client)
        await client.send(json.dumps({"type": command, "id": given, "seq": True}))
        told = (await receive(client))["payload"]
        assert (told["code"], list(told["details"])) == ("bad_message", ["reason"])
        assert told["details"]["reason"].endswith("at `$.id`")
        tell(server, sample(1))
        assert "seq" not in await receive(client), "nothing was done"


@pytest.mark.parametrize(
    ("command", "details"),
    [
        ({"type": "command:fly", "id": "a1"}, {"reason": "no such command: command:fly", "id": "a1"}),
        (
            {"type": "command:fly", "id": 7, "unit": "mm"},
            {"reason": "no such command: command:fly", "id": 7},
        ),
        ({"type": "x" * 1000, "id": "y" * 64}, {"reason": f"no such command: {'x' * 64}", "id": "y" * 64}),
        ({"type": "µ", "id": None}, {"reason": "no such command: µ"}),
    ],
)
@pytest.mark.parametrize("binary", [False, True])
async def test_unknown_command_is_answered_with_its_id(
    start: Start, command: dict[str, object], details: dict[str, object], binary: bool
) -> None:
    server = await start()
    async with client_of(server) as client:
        await receive(client)
        text = json.dumps(command)
        await client.send(text.encode() if binary else text)
        answer = await receive(client)
        assert answer["payload"] == {"channel": "system", "code": "unknown_command", "details": details}


async def test_message_over_64_kib_closes_with_1009(start: Start) -> None:
    server = await start()
    async with client_of(server) as client, client_of(server) as other:
        for each in (client, other):
            await receive(each)
        await client.send("x" * (64 * 1024 + 1))
        with pytest.raises(ConnectionClosed):
            await receive(client)
        assert client.close_code == 1009
        tell(server, sample(1))
        assert (await receive(other))["type"] == "position_sample"


async def test_client_that_asks_and_never_reads_answers_is_bounded_too(start: Start) -> None:
    server = await start(write_buffer=4096, stall_s=60, state_queue=5)
    async with reluctant(server) as client:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            while not server.counts["clients_overflowed"]:
                client.protocol.send_text(b"nonsense")
                for data in client.protocol.data_to_send():
                    await loop.sock_sendall(client.socket, data * 20)
                await asyncio.sleep(0)
        assert server.counts["clients_overflowed"] == 1
        while (frame := await client.frame()).opcode is Opcode.TEXT:
            pass
        assert int.from_bytes(frame.data[:2], "big") == 1013
    assert server.counts["clients_overflowed"] == 1


# Who may connect


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (None, True),
        ("http://127.0.0.1:{port}", True),
        ("HTTP://127.0.0.1:{port}", True),
        ("http://page.example:8080", True),
        ("http://127.0.0.1:1", False),
        ("http://127.0.0.1", False),
        ("http://page.example", False),
        ("http://evil.example", False),
        ("http://[broken", False),
        ("null", False),
    ],
)
async def test_pages_of_other_sites_may_not_connect(start: Start, origin: str | None, welcome: bool) -> None:
    server = await start(origins=("http://page.example:8080",))
    origin = origin and origin.format(port=server.port)
    if welcome:
        async with client_of(server, origin=origin) as client:
            assert (await receive(client))["type"] == "hello"
    else:
        with pytest.raises(InvalidStatus) as refused:
            await client_of(server, origin=origin).__aenter__()
        assert refused.value.response.status_code == 403
        assert b"origin" in (refused.value.response.body or b"")
    assert server.counts["messages_received"] == 0


@pytest.mark.parametrize(
    ("host", "welcome"),
    [
        ("localhost", True),
        ("127.0.0.1:8765", True),
        ("192.0.2.7:8765", True),
        ("[2001:db8::1]:8765", True),
        ("bench:8765", True),
        ("BENCH.local:8765", True),
        ("bench.fritz.box", True),
        ("bench.evil.example:8765", False),
        ("evil.example:8765", False),
        ("[", False),
        ("", False),
    ],
)
async def test_a_page_whose_name_was_made_to_point_here_may_not_connect(
    start: Start, monkeypatch: pytest.MonkeyPatch, host: str, welcome: bool
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Bench.company.example")
    server = await start()
    request = (
        f"GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.encode())
    answer = await reader.readuntil(b"\r\n")
    assert answer.startswith(b"HTTP/1.1 101 " if welcome else b"HTTP/1.1 403 ")
    writer.close()
    await writer.wait_closed()


# HTTP


async def ask(server: WebSocketEventServer, request: str) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write((request + "\r\nHost: test\r\n\r\n").encode())
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize(
    ("path", "status", "content_type", "body"),
    [
        ("/", 200, "text/plain; charset=utf-8", b"front page\n"),
        ("/?seq=0", 200, "text/plain; charset=utf-8", b"front page\n"),
        ("/healthz", 503, "application/json; charset=utf-8", '{"status":"Küche"}'.encode()),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", b"les02_clients 0\n"),
        ("/favicon.ico", 404, "text/plain; charset=utf-8", b"Nothing here; try /, /healthz or /metrics.\n"),
    ],
)
async def test_plain_http_is_answered_on_the_same_port(
    start: Start, path: str, status: int, content_type: str, body: bytes
) -> None:
    server = await start()
    got, headers, content = await ask(server, f"GET {path} HTTP/1.1")
    assert (got, headers["content-type"], content) == (status, content_type, body)
    assert headers["content-length"] == str(len(body))
    assert headers["connection"] == "close"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


async def test_head_is_get_without_the_body(start: Start) -> None:
    server = await start()
    for path in ("/healthz", "/nowhere"):
        status, headers, _ = await ask(server, f"GET {path} HTTP/1.1")
        assert await ask(server, f"HEAD {path} HTTP/1.1") == (status, headers, b"")


async def test_only_get_is_answered(start: Start) -> None:
    server = await start()
    for method in ("POST", "DELETE"):
        status, _, body = await ask(server, f"{method} /healthz HTTP/1.1")
        assert (status, body) == (405, b"Only GET is answered here.\n")


async def test_websocket_lives_on_the_root_path_only(start: Start) -> None:
    server = await start()
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://127.0.0.1:{server.port}/events").__aenter__()
    assert refused.value.response.status_code == 404
    async with connect(f"ws://127.0.0.1:{server.port}/?seq=0") as client:
        assert (await receive(client))["type"] == "hello"


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\x01\x02\xff" * 100 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x",
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000,
        b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 300,  # a TLS greeting
    ],
    ids=lambda said: repr(said[:16]),
)
async def test_broken_handshake_disturbs_nobody_and_is_no_error_of_ours(
    start: Start, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start()
    with caplog.at_level(logging.WARNING):
        async with client_of(server) as client:
            await receive(client)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(said)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE_S):
                with contextlib.suppress(ConnectionResetError):
                    await reader.read()
            writer.close()
            await until(lambda: server._server and len(server._server.handler_tasks) == 1)
            tell(server, sample(1))
            assert (await receive(client))["type"] == "position_sample"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


# Where it listens


async def test_used_port_is_explained(start: Start) -> None:
    server = await start()
    with pytest.raises(PortUnavailable) as refused:
        await start(port=server.port)
    assert str(refused.value) == (
        f"port {server.port} on 127.0.0.1 is in use; is another listener running? "
        f"(ss -ltnp 'sport = :{server.port}')"
    )


async def test_address_of_another_machine_is_explained(start: Start) -> None:
    with pytest.raises(PortUnavailable, match=r"cannot listen on 192\.0\.2\.1 port 0: "):
        await start(host="192.0.2.1")


async def test_localhost_without_ipv6_is_listened_on_with_ipv4(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    families = []

    def without_ipv6(*arguments: Any, **settings: Any) -> Any:
        families.append(settings["family"])
        if settings["family"] == socket.AF_UNSPEC:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return really(*arguments, **settings)

    monkeypatch.setattr(websocket_port, "serve", without_ipv6)
    server = await start(host="localhost", port=port)
    assert families == [socket.AF_UNSPEC, socket.AF_INET]
    assert server.port == port
    async with client_of(server) as client:
        assert (await receive(client))["type"] == "hello"
