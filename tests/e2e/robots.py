"""Daemons with robots, mock robots as processes of their own, and those who talk with them."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.e2e.helpers import PATIENCE_S, ROOT, Daemon, clean_environment, daemon

DEMO = ("--demo", "--host", "127.0.0.1", "--port")
STICK = Path(__file__).with_name("stick.py")


@contextmanager
def serving(folder: Path, port: int = 0, **environment: str) -> Iterator[Daemon]:
    settings = {
        "LES02_ROBOTS__ENABLED": "true",
        "LES02_RIDES__ENABLED": "false",
        "LES02_API__ENABLED": "true",
        "LES02_API__HOST": "127.0.0.1",
        "LES02_API__PORT": "0",
        "LES02_DATABASE__PATH": str(folder / "les02.db"),
        **environment,
    }
    with daemon(*DEMO, str(port), cwd=folder, **settings) as running:
        running.logged("listener_started")
        yield running


def telemetry_url(running: Daemon, *, api: bool = False) -> str:
    url = str(running.logged("api_started")["url"]).replace("http:", "ws:") if api else running.url
    return f"{url}/ws/telemetry/"


class Program:
    """What a process says, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="read a program", daemon=True)
        self._reader.start()

    def said(self, words: str, after: int = 0) -> int:
        """The number of the first line with these words, as soon as there is one."""

        def found() -> int | None:
            return next((n for n in range(after, len(self.lines)) if words in self.lines[n]), None)

        with self._news:
            number = self._news.wait_for(lambda: found() is not None and found() + 1, PATIENCE_S)  # type: ignore[operator]
        assert number, f"no {words} in {self.lines}"
        return int(number) - 1

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()


@contextmanager
def program(*arguments: str, options: tuple[str, ...] = ()) -> Iterator[Program]:
    process = subprocess.Popen(
        [sys.executable, *options, *arguments],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    running = Program(process)
    try:
        yield running
    finally:
        running.close()


def mock_robot(url: str, *arguments: str) -> Any:
    return program("-m", "mock.mock_robot", "--url", url, *arguments)


def stick(port: int, robot: str, *times: str) -> Any:
    return program(str(STICK), str(port), robot, *times, options=("-S", "-E"))


class Listening:
    """To one connection, from its beginning; every message with the moment at which it came."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.messages: list[tuple[float, dict[str, Any]]] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._listen(), name="listen")

    async def _listen(self) -> None:
        try:
            async for message in self.connection:
                self.messages.append((time.monotonic(), json.loads(message)))
                self._news.set()
        except ConnectionClosed:
            pass
        self._news.set()

    async def say(self, type: str, **more: Any) -> None:  # noqa: A002 - its name on the wire
        await self.connection.send(json.dumps({"type": type, **more}))

    async def hear(self, after: int = 0, **wanted: Any) -> int:
        """The number of the first message like this."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for number in range(after, len(self.messages)):
                    if self.messages[number][1].items() >= wanted.items():
                        return number
                after = max(after, len(self.messages))
                self._news.clear()
                await self._news.wait()

    async def get(self, after: int = 0, **wanted: Any) -> dict[str, Any]:
        return self.messages[await self.hear(after, **wanted)][1]
