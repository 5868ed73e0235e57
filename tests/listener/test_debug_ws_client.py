import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection as Connection
from websockets.asyncio.server import serve as serve_async
from websockets.sync.server import Server, ServerConnection, serve

from listener import client, debug_ws_client
from listener.debug_ws_client import main

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0

EVENTS = [
    '{"proto":1,"type":"hello","ts":1.0,"source":"les02","payload":{"version":"test"}}',
    '{"proto":1,"type":"position_sample","ts":2.0,"source":"les02","payload":{"channel":"master","position_raw":1}}',
    '{"proto":1,"type":"position_sample","ts":2.1,"source":"les02","payload":{"channel":"slave","position_raw":1}}',
    '{"proto":1,"type":"gap","ts":3.0,"source":"les02","payload":{"where":"client","skipped":17}}',
    '{"proto":1,"type":"error","ts":4.0,"source":"les02","payload":{"note":"Schlüssel µ"}}',
]


class Sender:
    """A server in a thread, so that the client under test has the main thread and its signals."""

    def __init__(self, messages: list[str | bytes], port: int = 0) -> None:
        self.messages = messages
        self.sessions = 0
        self._server: Server = serve(self._session, "127.0.0.1", port, compression=None, close_timeout=1)
        self.port: int = self._server.socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        self.stay = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="sender")
        self._thread.start()

    def _session(self, connection: ServerConnection) -> None:
        self.sessions += 1
        for message in self.messages:
            connection.send(message)
        if self.stay:
            for _ in connection:
                pass

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE_S)


@pytest.fixture
def sender() -> Iterator[Callable[..., Sender]]:
    senders: list[Sender] = []

    def started(messages: list[str | bytes] | None = None, port: int = 0) -> Sender:
        senders.append(Sender(list(EVENTS) if messages is None else messages, port))
        return senders[-1]

    yield started
    for each in senders:
        each.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACK_OFF_FIRST_S", 0.05)


@pytest.fixture
def processes() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, command: tuple[str, ...] = ("-m", "listener.debug_ws_client")) -> Any:
        process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_S)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def test_messages_are_printed_as_they_came_and_remarks_apart(
    sender: Callable[..., Sender], capsys: pytest.CaptureFixture[str]
) -> None:
    server = sender()
    assert main(["--url", server.url, "--count", str(len(EVENTS))]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == EVENTS
    assert captured.err.splitlines() == [f"Connected to {server.url}"]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["position_sample"], EVENTS[1:3]),
        (["gap", "hello"], [EVENTS[0], EVENTS[3]]),
    ],
)
def test_only_the_types_that_are_asked_for_are_printed_and_counted(
    sender: Callable[..., Sender], capsys: pytest.CaptureFixture[str], types: list[str], expected: list[str]
) -> None:
    flags = [part for name in types for part in ("--type", name)]
    assert main(["--url", sender().url, "--count", "2", *flags]) == 0
    assert capsys.readouterr().out.splitlines() == expected


NONSENSE: list[str | bytes] = [
    "no JSON",
    "",
    "3",
    "[]",
    "null",
    b"\x00\xff",
    "[" * 100_000,
    '{"type": []}',
    '{"type": {"a": 1}}',
    '{"payload": 5}',
    '{"type": "gap", "payload": {"skipped": "many", "channel": 7}}',
    '{"type": "gap", "payload": {"channel": ["master"]}}',
]


def test_what_is_no_event_does_not_end_a_filtered_session(
    sender: Callable[..., Sender], capsys: pytest.CaptureFixture[str]
) -> None:
    server = sender([*NONSENSE, EVENTS[1]])
    assert main(["--url", server.url, "--count", "1", "--type", "position_sample"]) == 0
    assert capsys.readouterr().out.splitlines() == [EVENTS[1]]
    assert server.sessions == 1


def test_what_is_no_event_is_printed_where_everything_is(
    sender: Callable[..., Sender], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--url", sender(["no JSON", "[1]"]).url, "--count", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == ["no JSON", "[1]"]


def end_after_summaries(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    """Ctrl+C after so many lines."""
    monkeypatch.setattr(debug_ws_client, "SUMMARY_S", 0.2)
    say = debug_ws_client._say
    left = [lines]

    def say_and_interrupt(line: str) -> None:
        say(line)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(debug_ws_client, "_say", say_and_interrupt)


def test_summary_tells_rates_per_type_and_channel_and_what_was_skipped(
    sender: Callable[..., Sender], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end_after_summaries(monkeypatch, 2)
    assert main(["--url", sender([*EVENTS[:4], EVENTS[3]]).url, "--summary"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    names = [part.rsplit(" ", 1)[0] for part in first.split(", ")]
    assert names == ["gap", "hello", "position_sample master", "position_sample slave", "skipped 34"]
    assert all(part.endswith("/s") for part in first.split(", ")[:-1])
    assert first.endswith("skipped 34 (client)")
    assert second == "nothing received, skipped 0"


def test_summary_of_nonsense_goes_on(
    sender: Callable[..., Sender], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end_after_summaries(monkeypatch, 1)
    server = sender([*NONSENSE, EVENTS[3]])
    assert main(["--url", server.url, "--summary"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("skipped 17 (client)")
    assert server.sessions == 1


def test_summary_ends_with_the_count_and_its_last_line(
    sender: Callable[..., Sender], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--url", sender().url, "--summary", "--count", "3"]) == 0
    assert "skipped" in capsys.readouterr().out


def test_rates_are_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 12.0, 13.0])
    monkeypatch.setattr("listener.debug_ws_client.time.monotonic", lambda: next(now))
    summary = debug_ws_client._Summary()
    for _ in range(500):
        for event in EVENTS[1:3]:
            summary.add(json.loads(event))
    assert summary.line() == "position_sample master 250/s, position_sample slave 250/s, skipped 0"
    assert summary.line() == "nothing received, skipped 0"


def test_a_server_that_goes_and_comes_back_is_found_again(
    sender: Callable[..., Sender], processes: Callable[..., Any]
) -> None:
    server = sender()
    process = processes("--url", server.url, "--count", str(len(EVENTS) + 2))
    assert [process.stdout.readline().rstrip("\n") for _ in EVENTS] == EVENTS
    assert process.stderr.readline() == f"Connected to {server.url}\n"
    server.close()
    assert process.stderr.readline().startswith("Disconnected: ")
    sender(port=server.port)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert out.splitlines() == EVENTS[:2]
    assert err.splitlines()[-1] == f"Connected to {server.url}"
    assert process.returncode == 0


def test_a_server_that_closes_every_session_is_asked_again(
    sender: Callable[..., Sender], capsys: pytest.CaptureFixture[str]
) -> None:
    server = sender(list(EVENTS[:1]))
    server.stay = False
    assert main(["--url", server.url, "--count", "3"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == EVENTS[:1] * 3
    assert server.sessions == 3
    assert captured.err.splitlines()[1].startswith("Disconnected: 1000")


def test_a_connection_that_breaks_is_told_and_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a WebSocket server, nor a dying one, nor none at all ends it."""
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            for reply in (refusal, b"", b"\x00\x01 garbage\r\n\r\n"):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(reply)
            listening.close()
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=answer)
        thread.start()
        assert main(["--url", f"ws://127.0.0.1:{port}"]) == 0
        thread.join(PATIENCE_S)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith(f"Cannot connect to ws://127.0.0.1:{port}: ") for line in lines)
    assert "404" in lines[0]
    assert captured.out == ""


async def test_a_session_that_ends_without_a_close_frame_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = 0

    async def cut(connection: Connection) -> None:
        nonlocal sessions
        sessions += 1
        await connection.send(EVENTS[0])
        if sessions == 1:
            connection.transport.abort()
        await connection.wait_closed()

    async with serve_async(cut, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        options = argparse.Namespace(type=None, count=2, summary=False)
        async with asyncio.timeout(PATIENCE_S):
            stream = client.EventClient(url, tell=debug_ws_client._remark)
            await debug_ws_client._listen(stream, debug_ws_client._Printer(options))
    captured = capsys.readouterr()
    assert EVENTS[0] in captured.out.splitlines()
    assert any(line.startswith("Disconnected: ") for line in captured.err.splitlines())


@pytest.mark.parametrize(
    "url", ["http://localhost:8765", "localhost:8765", "ws://", "ws://x:port", "ws://[::1"]
)
def test_a_url_that_is_none_is_exit_2(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--url", url])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("flags", [(), ("--summary",)])
def test_ctrl_c_ends_it_quietly(
    sender: Callable[..., Sender],
    processes: Callable[..., Any],
    number: signal.Signals,
    flags: tuple[str, ...],
) -> None:
    server = sender()
    process = processes("--url", server.url, *flags)
    assert process.stderr.readline() == f"Connected to {server.url}\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")


def test_ctrl_c_while_nobody_answers_ends_it_quietly(processes: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = processes("--url", f"ws://127.0.0.1:{port}")
    assert process.stderr.readline().startswith(f"Cannot connect to ws://127.0.0.1:{port}: ")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "Traceback" not in err


@pytest.mark.parametrize("flags", [[], ["--summary"], ["--type", "hello"]])
def test_a_closed_pipe_ends_it_quietly(sender: Callable[..., Sender], flags: list[str]) -> None:
    server = sender(EVENTS * 2000)
    script = '"$@" | head -n 1; exit "${PIPESTATUS[0]}"'
    command = [sys.executable, "-m", "listener.debug_ws_client", "--url", server.url, *flags]
    ended = subprocess.run(
        ["bash", "-c", script, "bash", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, f"Connected to {server.url}\n")
    assert len(ended.stdout.splitlines()) == 1


def test_a_full_disk_ends_it_with_one_line(sender: Callable[..., Sender]) -> None:
    server = sender()
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "listener.debug_ws_client", "--url", server.url],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "Cannot write: No space left on device"
