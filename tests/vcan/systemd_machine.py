"""The booted system as the checks meet it: systemd, the service, its clients, can0 and a sensor on it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

HOME = Path("/opt/les02-listener")
UNIT = "les02-listener"
PATIENCE_S = 30.0
POLL_S = 0.1  # asking costs this kernel's CPU


def ok(text: str) -> None:
    print(f"ok: {text}", flush=True)
    os.fsync(sys.stdout.fileno())  # else it would be seen at the end only: hostfs writes when it likes


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def until(fact: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    deadline = time.monotonic() + patience_s
    while not (value := fact()):
        assert time.monotonic() < deadline, f"{what}: not within {patience_s:g} s"
        time.sleep(POLL_S)
    return value


def show(*names: str, unit: str = UNIT) -> dict[str, str]:
    lines = run("systemctl", "show", unit, *(f"--property={name}" for name in names)).splitlines()
    return dict(line.split("=", 1) for line in lines)


def main_pid() -> int:
    return int(show("MainPID")["MainPID"])


def state() -> tuple[str, str]:
    shown = show("ActiveState", "SubState")
    return shown["ActiveState"], shown["SubState"]


def setting_s(key: str) -> float:
    """As the unit has it: the bounds below follow when it changes."""
    text = (HOME / f"deploy/{UNIT}.service").read_text()
    match = re.search(rf"^{key}=([\d.]+)(ms)?$", text, re.MULTILINE)
    assert match, key
    return float(match[1]) / (1000 if match[2] else 1)


def healthz() -> int:
    try:
        with urllib.request.urlopen("http://localhost:8765/healthz", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code
    except OSError:
        return 0


def serving() -> bool:
    return healthz() == 200


def logged(event: str) -> list[dict[str, Any]]:
    lines = run("journalctl", "--unit", UNIT, "--output", "cat").splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    return [record for record in records if record.get("event") == event]


def journal() -> str:
    return run("journalctl", "--unit", UNIT, "--output", "cat")


def event(client: ClientConnection, kind: str, state: str | None = None) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        message = json.loads(client.recv(timeout=PATIENCE_S))
        if message["type"] == kind and (state is None or message["payload"]["state"] == state):
            assert isinstance(message, dict)
            return message
    raise AssertionError(f"no {kind} {state or ''} within {PATIENCE_S:g} s")


def listen() -> ClientConnection:
    return connect("ws://localhost:8765/", compression=None, open_timeout=PATIENCE_S, close_timeout=1)


def add_can0() -> None:
    run("ip", "link", "add", "dev", "can0", "type", "vcan")
    run("ip", "link", "set", "can0", "up")


def remove_can0() -> None:
    run("ip", "link", "del", "can0")


class Sensor:
    """lesmock, which sends only where a check needs it: it takes a good part of this kernel's slow CPU."""

    def __init__(self) -> None:
        self._mock = subprocess.Popen(
            [HOME / "venv/bin/lesmock", "--channel", "can0", "--floors", "1000"], stdout=subprocess.DEVNULL
        )
        self._mock.send_signal(signal.SIGSTOP)

    @contextmanager
    def sending(self) -> Iterator[None]:
        self._mock.send_signal(signal.SIGCONT)
        try:
            yield
            assert self._mock.poll() is None, "lesmock has ended"
        finally:
            self._mock.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        self._mock.kill()
        self._mock.wait()


def events_arrive(sensor: Sensor) -> None:
    with sensor.sending(), listen() as client:
        event(client, "hello")
        event(client, "position_sample")
