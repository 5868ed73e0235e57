"""The whole daemon, in a process of its own, with the simulated sensor."""

import asyncio
import json
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.helpers import PATIENCE_S, Daemon, daemon, leslisten, receive, samples_until, until

DEMO = ("--demo", "--host", "127.0.0.1", "--port", "0")
CADENCE_S = 0.004
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Daemon]:
    with daemon(*DEMO, cwd=tmp_path) as started:
        started.logged("listener_started")
        yield started


@pytest.fixture
def without_rides(tmp_path: Path) -> Iterator[Daemon]:
    """What is kept for them grows for ten seconds; who looks at the memory of clients must not see that."""
    with daemon(*DEMO, cwd=tmp_path, LES02_RIDES__ENABLED="false") as started:
        started.logged("listener_started")
        yield started


def per_channel(samples: list[dict[str, Any]]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"master": [], "slave": []}
    for sample in samples:
        times[sample["payload"]["channel"]].append(sample["ts"])
    return times


def assert_unbroken(samples: list[dict[str, Any]]) -> None:
    """Master and slave take turns, so a single missing sample would put two of one channel side by side."""
    channels = [sample["payload"]["channel"] for sample in samples]
    assert all(one != next_one for one, next_one in pairwise(channels))
    for times in per_channel(samples).values():
        assert all(one < next_one for one, next_one in pairwise(times))
        span_s = times[-1] - times[0]
        assert span_s / (len(times) - 1) == pytest.approx(CADENCE_S, rel=0.05)


async def test_a_client_sees_500_samples_a_second_in_the_exact_envelope(running: Daemon) -> None:
    async with connect(running.url, close_timeout=1) as client:
        hello = await receive(client)
        assert hello["type"] == "hello"
        assert hello["payload"]["parts"] == ["demo", "rides"]
        assert hello["payload"]["bus"] == "bus_up"
        first = (await samples_until(client, 0))[0]
        began = time.monotonic()
        events: list[dict[str, Any]] = []
        while not events or events[-1]["ts"] < first["ts"] + 4.2:
            async with asyncio.timeout(PATIENCE_S):
                text = await client.recv(decode=False)
            event = json.loads(text)
            assert list(event) == ["proto", "type", "ts", "source", "payload"]
            assert (event["proto"], event["source"]) == (1, "les02")
            assert text == json.dumps(event, separators=(",", ":")).encode()
            if event["type"] == "position_sample":
                assert list(event["payload"]) == ["channel", "position_raw"]
                assert abs(event["ts"] - time.time()) < 1.0
                events.append(event)
        took_s = time.monotonic() - began
    assert_unbroken(events)
    by_their_own_time = (len(events) - 1) / (events[-1]["ts"] - events[0]["ts"])
    print(f"{by_their_own_time:.2f}/s by their own time, {len(events) / took_s:.2f}/s as received")
    assert by_their_own_time == pytest.approx(500, rel=0.02)
    assert len(events) / took_s == pytest.approx(500, rel=0.02)
    positions = {event["payload"]["position_raw"] for event in events}
    assert all(0 <= position < 2**24 for position in positions)


async def test_health_and_metrics_are_answered_over_http(running: Daemon) -> None:
    async with connect(running.url, close_timeout=1) as client:
        await samples_until(client, 0)
        status, body = await asyncio.to_thread(running.get, "/healthz")
        health = json.loads(body)
        assert (status, health["status"], health["clients"]) == (200, "ok", 1)
        assert 0 <= health["last_frame_age_s"] < 1
        assert health["frames"]["master"] > 0
        assert set(health["channels"]) == {"master", "slave"}
        status, text = await asyncio.to_thread(running.get, "/metrics")
        assert status == 200
        assert "les02_clients 1\n" in text
        assert "les02_bus_up 1\n" in text
        assert 'les02_frames_total{kind="master"} ' in text
        assert (await asyncio.to_thread(running.get, "/nothing"))[0] == 404
        assert (await asyncio.to_thread(running.get, "/"))[0] == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_0_and_tells_the_clients_1001(
    running: Daemon, number: signal.Signals
) -> None:
    async with connect(running.url, close_timeout=1) as one, connect(running.url, close_timeout=1) as another:
        clients = (one, another)
        for client in clients:
            await receive(client)
        ending = asyncio.create_task(asyncio.to_thread(running.end, number))
        for client in clients:
            with pytest.raises(ConnectionClosed):  # noqa: PT012 - after whatever was on its way
                while True:
                    await receive(client)
            assert client.close_code == 1001
        code, took_s = await ending
    assert code == 0
    assert took_s < 5
    assert [record["event"] for record in running.records()][-1] == "listener_stopped"
    assert all(record["level"] == "info" for record in running.records())


async def test_neither_idle_nor_stuck_connections_delay_its_end(running: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", running.port)):
        async with stuck_client(running.port):
            await until(lambda: json.loads(running.get("/healthz")[1])["counters"]["samples_skipped"])
            code, took_s = await asyncio.to_thread(running.end)
    assert code == 0
    assert took_s < 5


def test_a_second_start_on_the_same_port_is_one_line_and_exit_1(running: Daemon, tmp_path: Path) -> None:
    second = leslisten("--demo", "--host", "127.0.0.1", "--port", str(running.port), cwd=tmp_path)
    assert second.returncode == 1
    plain = [line for line in second.stderr.splitlines() if not line.startswith("{")]
    assert plain == [
        f"leslisten: port {running.port} on 127.0.0.1 is in use; is another listener running? "
        f"(ss -ltnp 'sport = :{running.port}')"
    ]
    assert "Traceback" not in second.stderr
    assert running.end()[0] == 0


@asynccontextmanager
async def stuck_client(port: int) -> AsyncIterator[socket.socket]:
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, HANDSHAKE)
        yield connection


async def vanish_in_mid_message(port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        # Closing sends a reset instead of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, HANDSHAKE)
        assert (await loop.sock_recv(connection, 4096)).startswith(b"HTTP/1.1 101 ")
        # A masked text frame of 100 bytes, of which only the first ten come.
        await loop.sock_sendall(connection, b"\x81\xe4" + b"\0\0\0\0" + b"half a mes")


async def test_of_20_clients_the_stuck_and_the_vanished_harm_nobody(without_rides: Daemon) -> None:
    running = without_rides
    # 9000 messages a second are too many for the test's own loop when it watches itself.
    asyncio.get_running_loop().set_debug(False)
    async with AsyncExitStack() as stack:
        clients: list[ClientConnection] = [
            await stack.enter_async_context(connect(running.url, max_queue=4096, close_timeout=1))
            for _ in range(18)
        ]
        started = (await samples_until(clients[-1], 0))[-1]["ts"]
        before_kib = running.resident_kib()

        async def disturb() -> None:
            async with stuck_client(running.port):
                await vanish_in_mid_message(running.port)
                await until(lambda: any(r["event"] == "client_aborted" for r in running.records()))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(disturb(), name="disturb")
            streams = [tasks.create_task(samples_until(client, started + 6)) for client in clients]
        after_kib = running.resident_kib()

    windows = [[s for s in stream.result() if started < s["ts"] <= started + 6] for stream in streams]
    assert_unbroken(windows[0])
    assert len(windows[0]) == pytest.approx(3000, rel=0.02)
    assert all(window == windows[0] for window in windows[1:])
    aborted = running.logged("client_aborted")
    assert (aborted["reason"], aborted["level"]) == ("stalled", "warning")
    assert aborted["skipped"] > 0
    print(f"RSS {before_kib} KiB before, {after_kib} KiB after")
    # What is held for the stuck one is 64 KiB; unbounded it would be over a megabyte in this time.
    assert after_kib - before_kib < 1024
    assert not [r for r in running.records() if r["level"] in {"error", "critical"}]


class Supervisor:
    def __init__(self, path: Path) -> None:
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.bind(str(path))

    def hear(self, beginning: str) -> str:
        while True:
            self.messages.append(self._socket.recv(4096).decode())
            if self.messages[-1].startswith(beginning):
                return self.messages[-1]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    listening = Supervisor(tmp_path / "notify")
    yield listening
    listening.close()


def test_its_supervisor_hears_ready_signs_of_life_and_stopping(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    with daemon(*DEMO, cwd=tmp_path, **environment) as running:
        assert supervisor.hear("READY=1") == "READY=1\nSTATUS=reading virtual can0"
        # Whoever was told READY may connect at once.
        socket.create_connection(("127.0.0.1", running.port), PATIENCE_S).close()
        supervisor.hear("WATCHDOG=1")
        began = time.monotonic()
        for _ in range(4):
            supervisor.hear("WATCHDOG=1")
        assert 0.6 <= time.monotonic() - began < 2
        code, _ = running.end()
        supervisor.hear("STOPPING=1")
        assert code == 0
    assert supervisor.messages.index("STOPPING=1") == len(supervisor.messages) - 1
    assert sum(message.startswith("READY=1") for message in supervisor.messages) == 1


def test_a_start_that_fails_is_never_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = leslisten(
            "--demo",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            cwd=tmp_path,
            NOTIFY_SOCKET=str(tmp_path / "notify"),
        )
    assert failed.returncode == 1
    supervisor._socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        supervisor.hear("READY=1")
    assert supervisor.messages == []


async def test_with_rides_switched_off_their_commands_say_so(without_rides: Daemon) -> None:
    async with connect(without_rides.url + "/?types=error") as client:
        assert (await receive(client))["type"] == "hello"
        for command in ("list_rides", "delete_ride"):
            await client.send(json.dumps({"type": f"command:{command}", "ride": 1, "id": command}))
            told = (await receive(client))["payload"]
            assert (told["code"], told["details"]["id"]) == ("refused", command)
            assert told["details"]["reason"] == "rides are switched off ([rides] enabled)"
