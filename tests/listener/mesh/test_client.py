"""The client of the mesh against the real server on TCP, and against servers that are none."""

import asyncio
import contextlib
import inspect
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from listener.mesh import async_client, client
from listener.mesh.client import AsyncMeshClient, MeshClient, MeshError, Message
from listener.mesh.data_types import parse
from listener.mesh.requests import NO_LISTENER, SYN, SYN_ACK
from tests.listener.mesh.programs import PATIENCE_S, UUID, serving, until

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_client, "BACK_OFF_FIRST_S", 0.02)
    monkeypatch.setattr(async_client, "BACK_OFF_LIMIT_S", 0.05)


class Call(Protocol):
    """A call of either client, awaited here."""

    async def __call__(self, name: str, *arguments: Any, **more: Any) -> Any: ...


Either = Callable[[int], contextlib.AbstractAsyncContextManager[tuple[Any, Call]]]


@pytest.fixture(params=["sync", "async"])
def either(request: pytest.FixtureRequest) -> Either:
    """The one client, then the other."""

    @contextlib.asynccontextmanager
    async def found(port: int) -> AsyncIterator[tuple[Any, Call]]:
        if request.param == "async":
            async with AsyncMeshClient(port=port, timeout_s=PATIENCE_S) as asynchronous:

                async def call(name: str, *arguments: Any, **more: Any) -> Any:
                    return await getattr(asynchronous, name)(*arguments, **more)

                yield asynchronous, call
            return
        synchronous = MeshClient(port=port, timeout_s=PATIENCE_S)

        async def in_thread(name: str, *arguments: Any, **more: Any) -> Any:
            return await asyncio.to_thread(getattr(synchronous, name), *arguments, **more)

        try:
            yield synchronous, in_thread
        finally:
            await in_thread("close")

    return found


async def test_what_nodes_measure_is_had_by_name_and_by_id(either: Either) -> None:
    async with serving() as served, either(served.port) as (_, call):
        for data_type in ("Temperature", 2):
            reading = await call("get_data", 5, data_type)
            assert (reading.addr, reading.raw, reading.value, reading.unit) == (5, b"\x09\x23", 23.39, "°C")
        found = await call("get_all_data", "Temperature")
        assert {addr: each.value for addr, each in found.items()} == {5: 23.39}


async def test_nodes_are_told_as_values(either: Either) -> None:
    async with serving() as served, either(served.port) as (_, call):
        assert await call("node_status") == {5: True, 6: True}
        assert await call("active_count") == 2
        assert await call("net_interface") == {5: UUID, 6: UUID}
        assert await call("net_interface", "D") == {}
        (five, six) = await call("node_info")
        assert (five["addr"], five["name"], five["data_types"]) == (5, "Node-5", ["Temperature"])
        assert (six["uuid"], six["status"]) == (UUID.hex(), 1)


async def test_commands_reach_the_uart(either: Either) -> None:
    async with serving() as served, either(served.port) as (_, call):
        await call("send", 5, b"on", opcode="T")
        await call("send", 5, "text")
        await call("send_important", 6, bytes(3), 0x51)
        await call("broadcast", b"all")
        await call("reset_root")
        await call("clean")
        assert served.uart.sent == [
            b"SEND-\x00\x05Ton",
            b"SEND-\x00\x05text",
            b"SENDI\x00\x06Q\0\0\0",
            b"BCAST\x00\x00all",
            b"RST-R",
            b"CLEAN",
        ]


async def test_what_is_refused_is_an_error_with_the_reason(either: Either) -> None:
    async with serving() as served, either(served.port) as (_, call):
        with pytest.raises(MeshError, match=r"^Node Not Found\Z"):
            await call("get_data", 99, "Temperature")
        with pytest.raises(MeshError, match=r"^Data Type Not Found\Z"):
            await call("get_data", 6, "Temperature")
        served.uart.refusal = "No Serial Connection"
        with pytest.raises(MeshError) as refused:
            await call("send", 5, b"on")
        assert refused.value.reason == "No Serial Connection"
        with pytest.raises(ValueError, match="get_all_data"):
            await call("get_data", 0, "Temperature")
        with pytest.raises(ValueError, match="no data type"):
            await call("get_data", 5, "Colour")


async def test_messages_go_to_the_handlers_of_their_opcode_and_to_those_of_all(either: Either) -> None:
    echoes: list[Message] = []
    everything: list[int] = []
    async with serving() as served, either(served.port) as (mesh, call):
        mesh.on("E")(echoes.append)

        mesh.on()(lambda message: everything.append(message.opcode))
        assert await call("listen") is True
        assert mesh.is_listening
        for payload in (b"\x00\x05Eone", b"\x00\x06Tx", b"\x00\x05Etwo"):
            served.manager.received(payload)
        await until(lambda: len(everything) == 3)
        assert [(each.addr, each.payload) for each in echoes] == [(5, b"one"), (5, b"two")]
        assert everything == [*b"ETE"]


async def test_messages_that_come_at_once_stay_apart(either: Either) -> None:
    heard: list[bytes] = []
    messages = [b"\x00\x05E%d" % number * (1 + number % 50) for number in range(500)]
    async with serving() as served, either(served.port) as (mesh, call):
        mesh.on()(lambda message: heard.append(message.raw))
        await call("listen")
        for number, message in enumerate(messages):
            served.manager.received(message)
            await until(lambda number=number: len(heard) > number - 50)  # type: ignore[misc]
        await until(lambda: len(heard) == len(messages))
        assert heard == messages


async def test_a_handler_that_fails_is_logged_and_the_others_go_on(
    either: Either, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Message] = []
    async with serving() as served, either(served.port) as (mesh, call):
        mesh.on("E")(lambda message: message.addr / 0)
        mesh.on()(heard.append)
        await call("listen")
        with caplog.at_level(logging.ERROR):
            for _ in range(2):
                served.manager.received(b"\x00\x05E")
            await until(lambda: len(heard) == 2)
        assert [record.getMessage() for record in caplog.records if record.name.startswith("listener")] == [
            "a handler of mesh messages has failed"
        ] * 2


async def test_a_client_that_only_asks_listens_besides_for_there_must_be_somebody_who_does(
    either: Either,
) -> None:
    async with serving() as served:
        async with either(served.port) as (mesh, call):
            assert not mesh.is_listening
            assert await call("active_count") == 2
            assert mesh.is_listening
            assert served.sockets.listeners == 1
        await until(lambda: not served.sockets.listeners)


async def test_it_listens_again_when_the_server_has_come_back(either: Either) -> None:
    heard: list[bytes] = []
    async with serving() as first:
        port = first.port
        stack = contextlib.AsyncExitStack()
        mesh, call = await stack.enter_async_context(either(port))
        async with stack:
            mesh.on()(lambda message: heard.append(message.payload))
            assert await call("listen")
            for _ in range(3):
                await first.sockets.stop()
                await until(lambda: not mesh.is_listening)
                with pytest.raises(MeshError, match="cannot be reached"):
                    await call("active_count")
                async with serving(tcp_ports=(port,)) as again:
                    await until(lambda: mesh.is_listening)
                    heard.clear()
                    again.manager.received(b"\x00\x05Eback")
                    await until(lambda: heard == [b"back"])
                    assert await call("active_count") == 2


async def test_where_nobody_is_it_says_so(either: Either) -> None:
    async with serving() as served:
        port = served.port
    async with either(port) as (mesh, call):
        assert await call("listen", 0.1) is False
        assert not mesh.is_listening
        with pytest.raises(MeshError, match=rf"^127.0.0.1:{port} cannot be reached: "):
            await call("node_status")


async def test_after_the_end_it_says_so(either: Either) -> None:
    async with serving() as served, either(served.port) as (_, call):
        await call("active_count")
        await call("close")
        for name in ("active_count", "listen"):
            with pytest.raises(MeshError, match="the client is closed"):
                await call(name)
        await call("close")


async def test_a_projects_own_data_types_are_used() -> None:
    types = parse('{"Warmth": {"ID": 2, "Length": 2}}')
    async with serving() as served, AsyncMeshClient(port=served.port, types=types) as mesh:
        assert (await mesh.get_data(5, "Warmth")).value == 0x0923


async def test_coroutine_functions_may_be_handlers_and_ask_in_turn() -> None:
    values: list[Any] = []
    async with serving() as served, AsyncMeshClient(port=served.port) as mesh:

        @mesh.on("E")
        async def measure(message: Message) -> None:
            values.append((await mesh.get_data(message.addr, "Temperature")).value)

        await mesh.listen()
        served.manager.received(b"\x00\x05E")
        await until(lambda: values == [23.39])


async def test_handlers_of_the_synchronous_client_may_ask_and_end_it() -> None:
    values: list[Any] = []
    threads: list[threading.Thread] = []
    async with serving() as served:
        mesh = MeshClient(port=served.port)

        @mesh.on("E")
        def measure(message: Message) -> None:
            values.append(mesh.get_data(message.addr, "Temperature").value)
            threads.append(threading.current_thread())
            mesh.close()

        await asyncio.to_thread(mesh.listen)
        served.manager.received(b"\x00\x05E")
        await until(lambda: values == [23.39])
        await until(lambda: not served.sockets.listeners)
        await until(lambda: not threads[0].is_alive())
    assert not mesh.is_listening


async def test_messages_that_find_no_room_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WAITING_MAX", 3)
    go_on = threading.Event()
    heard: list[Message] = []

    def slow(message: Message) -> None:
        heard.append(message)
        go_on.wait(PATIENCE_S)

    async with serving() as served:
        mesh = MeshClient(port=served.port)
        mesh.on()(slow)
        await asyncio.to_thread(mesh.listen)
        for _ in range(10):
            served.manager.received(b"\x00\x05E")
        await until(lambda: len(heard) == 1 and mesh.dropped >= 6)
        closing = asyncio.create_task(asyncio.to_thread(mesh.close))
        await until(lambda: mesh._is_closed)
        go_on.set()
        await closing
        assert len(heard) + mesh.dropped == 10


async def test_a_call_that_waits_in_another_thread_ends_with_the_client() -> None:
    asked = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        asked.set()
        await asyncio.Event().wait()

    async with server(talk) as port:
        mesh = MeshClient(port=port, timeout_s=4 * PATIENCE_S)
        waiting = asyncio.create_task(asyncio.to_thread(mesh.active_count))
        await asked.wait()
        await asyncio.to_thread(mesh.close)
        with pytest.raises(MeshError, match="the client is closed"):
            await waiting


async def test_a_synchronous_client_that_was_never_used_ends_at_once() -> None:
    with MeshClient() as mesh:
        assert mesh.address == "127.0.0.1:5002"
    with pytest.raises(MeshError, match="the client is closed"):
        mesh.active_count()


def test_a_handler_of_the_synchronous_client_is_no_coroutine_function() -> None:
    async def handler(_: Message) -> None:
        pass

    with pytest.raises(TypeError, match="AsyncMeshClient"):
        MeshClient().on("E")(handler)


# Other servers


@contextlib.asynccontextmanager
async def server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    talks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    found = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with found:
        yield found.sockets[0].getsockname()[1]
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks)


async def test_a_server_of_the_field_is_listened_to_without_lengths() -> None:
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1024) != SYN:
            writer.write(NO_LISTENER)
            return
        writer.write(SYN_ACK)
        writer.write(b"\x00\x05Eecho")
        await reader.read()

    async with server(talk) as port, AsyncMeshClient(port=port) as mesh:
        mesh.on("E")(lambda message: heard.append(message.payload))
        assert await mesh.listen()
        await until(lambda: heard == [b"echo"])


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"S"])
async def test_one_that_is_no_mesh_server_is_told(said: bytes) -> None:
    told: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(said)

    async with server(talk) as port, AsyncMeshClient(port=port, tell=told.append) as mesh:
        assert not await mesh.listen(0.2)
        await until(lambda: f"127.0.0.1:{port} is no mesh server" in told)
        with pytest.raises(MeshError):
            await mesh.node_status()


async def test_one_that_wants_a_listener_and_does_not_take_one_is_told() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(NO_LISTENER)

    async def listen(_mesh: AsyncMeshClient, wait_s: float = 0) -> bool:
        return await really(_mesh, 0.1)

    really = AsyncMeshClient.listen
    async with server(talk) as port, AsyncMeshClient(port=port) as mesh:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AsyncMeshClient, "listen", listen)
            with pytest.raises(MeshError, match="while no program listens"):
                await mesh.active_count()


async def test_why_a_listener_is_refused_is_told() -> None:
    told: list[str] = []
    async with serving(max_clients=1) as served:
        await served.listener()
        async with AsyncMeshClient(port=served.port, tell=told.append) as mesh:
            assert not await mesh.listen(0.1)
            where = f"127.0.0.1:{served.port}"
            await until(
                lambda: (
                    f"{where} refuses: 1 programs listen, more are not allowed; see [mesh] "
                    "max_clients" in told
                )
            )


async def test_an_answer_without_the_node_that_was_asked_for_is_an_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(b"S\x02\x02\x00")

    async with server(talk) as port, AsyncMeshClient(port=port) as mesh:
        with pytest.raises(MeshError, match="no such data of node 5"):
            await mesh.get_data(5, "Temperature")


async def test_one_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.Event().wait()

    async with server(talk) as port, AsyncMeshClient(port=port, timeout_s=0.1) as mesh:
        with pytest.raises(MeshError, match=r"has not answered within 0.1 s"):
            await mesh.active_count()


async def test_an_answer_before_a_rude_end_is_an_answer() -> None:
    async with serving() as served:
        await served.listener()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await served.ask(await reader.read()))
            await writer.drain()
            await asyncio.sleep(0.05)
            reset(writer)

        async with server(talk) as port, AsyncMeshClient(port=port) as mesh:
            assert await mesh.active_count() == 2


async def test_a_rude_end_without_an_answer_is_an_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        reset(writer)

    async with server(talk) as port, AsyncMeshClient(port=port) as mesh:
        with pytest.raises(MeshError, match="cannot be reached"):
            await mesh.active_count()


def reset(writer: asyncio.StreamWriter) -> None:
    import socket
    import struct

    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# What it is made of


def test_both_clients_have_the_same_calls() -> None:
    def calls_of(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    asynchronous = calls_of(AsyncMeshClient)
    for name in ("hand_over", "handlers_of"):
        del asynchronous[name]
    assert calls_of(MeshClient) == asynchronous


def test_it_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, listener.mesh.client;"
        "print({n.split('.')[0] for n in sys.modules} - sys.stdlib_module_names - {'__main__', 'listener'})"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
