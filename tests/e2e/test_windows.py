"""The daemon where there is no fcntl, no resource, no SocketCAN, and where the loop takes no signals."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.e2e.helpers import PATIENCE_S, ROOT, Daemon, clean_environment, receive, started, until

WINDOWS = str(ROOT / "tests/e2e/windows.py")
LISTENER = (WINDOWS, "listener.main")
DEMO = ("--demo", "--host", "127.0.0.1", "--port", "0")
# What the stand-in has for Ctrl+Break.
SIGBREAK = signal.SIGUSR1


async def sample_of(running: Daemon) -> dict[str, object]:
    async with connect(f"{running.url}/?types=position_sample") as client:
        assert (await receive(client))["type"] == "hello"
        return await receive(client)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, SIGBREAK])
async def test_it_serves_and_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    more = {
        "LES02_API__ENABLED": "true",
        "LES02_API__PORT": "0",
        "LES02_DATABASE__PATH": str(tmp_path / "a.db"),
    }
    with started(*LISTENER, *DEMO, cwd=tmp_path, **more) as running:
        running.logged("listener_started")
        assert (await sample_of(running))["type"] == "position_sample"
        status, body = running.get("/healthz")
        assert (status, json.loads(body)["rides"]["storing"]) == (200, "ok")
        running.logged("api_started")
        code, took_s = running.end(number)
        assert (code, took_s < PATIENCE_S / 4) == (0, True), running.lines
        assert running.records()[-1]["event"] == "listener_stopped"


async def test_of_two_one_has_the_file_of_the_rides(tmp_path: Path) -> None:
    rides = {"LES02_DATABASE__PATH": str(tmp_path / "rides.db")}
    with started(*LISTENER, *DEMO, cwd=tmp_path, **rides) as first:
        first.logged("listener_started")
        with started(*LISTENER, *DEMO, cwd=tmp_path, **rides) as second:
            second.logged("listener_started")
            await until(lambda: json.loads(second.get("/healthz")[1])["rides"]["storing"] == "in_use")
            assert json.loads(first.get("/healthz")[1])["rides"]["storing"] == "ok"


def test_the_bus_of_linux_is_one_clear_line(tmp_path: Path) -> None:
    with started(*LISTENER, "--port", "0", cwd=tmp_path) as running:
        assert running.process.wait(PATIENCE_S) == 1
    (line,) = [line for line in running.lines if not line.startswith("{")]
    assert line.startswith("leslisten: cannot open socketcan can0: ")


def test_lesdebug_prints_until_it_is_interrupted(tmp_path: Path) -> None:
    with started(*LISTENER, *DEMO, cwd=tmp_path) as running:
        running.logged("listener_started")
        command = [sys.executable, WINDOWS, "listener.debug_ws_client", "--url", running.url]
        with subprocess.Popen(
            command, env=clean_environment(PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE, text=True
        ) as printing:
            assert printing.stdout is not None
            assert json.loads(printing.stdout.readline())["type"] == "hello"
            printing.send_signal(signal.SIGINT)
            printing.communicate(timeout=PATIENCE_S)
        assert printing.returncode == 0
