"""A daemon as a process of its own, and the ways in which its clients and its supervisor meet it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0


def clean_environment(**more: str) -> dict[str, str]:
    """Without what the machine that runs the tests may have set for daemons of its own."""
    foreign = ("LES02_", "NOTIFY_SOCKET", "WATCHDOG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | more


class Daemon:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="read the daemon's stderr")
        self._reader.start()

    @property
    def port(self) -> int:
        return int(str(self.logged("websocket_server_started")["url"]).rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def logged(self, event: str) -> dict[str, Any]:
        """The first log record of that name, as soon as there is one."""

        def found() -> dict[str, Any] | None:
            return next((record for record in self.records() if record.get("event") == event), None)

        with self._news:
            record = self._news.wait_for(found, PATIENCE_S)
        assert record, f"no {event} in {self.lines}"
        return record

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Its exit code, and how long it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        took_s = time.monotonic() - began
        self._reader.join(PATIENCE_S)
        return code, took_s

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()


@contextmanager
def daemon(*arguments: str, cwd: Path, **environment: str) -> Iterator[Daemon]:
    """`cwd` keeps a config.toml of the checkout out of it."""
    with started("-m", "listener.main", *arguments, cwd=cwd, **environment) as running:
        yield running


@contextmanager
def started(*arguments: str, cwd: Path, **environment: str) -> Iterator[Daemon]:
    """As Python is told to."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env=clean_environment(PYTHONPATH=str(ROOT), **environment),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Daemon(process)
    try:
        yield running
    finally:
        running.close()


def leslisten(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """For starts that end by themselves."""
    return subprocess.run(
        [sys.executable, "-m", "listener.main", *arguments],
        cwd=cwd,
        env=clean_environment(PYTHONPATH=str(ROOT), **environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 - the fact is in another process
            await asyncio.sleep(0.01)


async def receive(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        event = json.loads(await client.recv())
    assert isinstance(event, dict)
    return event


async def samples_until(client: ClientConnection, ts: float) -> list[dict[str, Any]]:
    """Every position sample up to the first one at or after that moment."""
    samples: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_S):
        while not samples or samples[-1]["ts"] < ts:
            event = json.loads(await client.recv())
            if event["type"] == "position_sample":
                samples.append(event)
    return samples
