import asyncio
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from listener import systemd


class Supervisor:
    """systemd's end of the notification socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(address)

    def heard(self) -> list[str]:
        messages: list[str] = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    async def hears(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            return [
                (await asyncio.get_running_loop().sock_recv(self._socket, 4096)).decode()
                for _ in range(count)
            ]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(autouse=True)
def no_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["path", "abstract"])
def supervisor(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Supervisor]:
    if request.param == "path":
        monkeypatch.chdir(tmp_path)  # a socket's path has room for 107 bytes
        address = shown = "notify.sock"
    else:
        name = f"les02-{secrets.token_hex(8)}"
        address, shown = f"\0{name}", f"@{name}"
    monkeypatch.setenv("NOTIFY_SOCKET", shown)
    supervisor = Supervisor(address)
    yield supervisor
    supervisor.close()


def test_supervisor_hears_the_life_of_the_daemon(supervisor: Supervisor) -> None:
    systemd.ready("reading vcan0")
    systemd.status("500 frames/s, 3 clients – µ")
    systemd.stopping()
    assert supervisor.heard() == [
        "READY=1\nSTATUS=reading vcan0",
        "STATUS=500 frames/s, 3 clients – µ",
        "STOPPING=1",
    ]


def test_status_cannot_smuggle_in_another_assignment(supervisor: Supervisor) -> None:
    systemd.status("a\nREADY=1")
    assert supervisor.heard() == ["STATUS=a READY=1"]


@pytest.mark.parametrize(
    "address", ["", "/nonexistent/socket", "@nobody-is-here", "/" + "x" * 200, "vsock:2:1"]
)
def test_nobody_listening_is_no_error(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.ready("reading vcan0")


def test_outside_systemd_nothing_happens() -> None:
    systemd.ready("reading vcan0")


def test_full_queue_of_the_supervisor_does_not_block(supervisor: Supervisor) -> None:
    for _ in range(2000):
        systemd.notify("STATUS=x")
    assert 0 < len(supervisor.heard()) < 2000


@pytest.mark.parametrize("pid", [None, str(os.getpid())])
async def test_watchdog_is_fed_at_half_its_interval(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, pid: str | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    started = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(systemd.watchdog(), name="watchdog")
        assert await supervisor.hears(4) == ["WATCHDOG=1"] * 4
        feeding.cancel()
    assert asyncio.get_running_loop().time() - started >= 3 * 0.05 * 0.9


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"},
    ],
)
async def test_without_a_watchdog_of_our_own_there_is_nothing_to_feed(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with asyncio.timeout(5):
        await systemd.watchdog()
    assert supervisor.heard() == []
