"""The mesh on a pseudo terminal: as whoever opens its port sees it, and as a program."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from listener.mesh.uart_codec import Decoder, encode
from mock.mock_mesh import MeshOptions, MockMesh, main, running

PATIENCE_S = 15.0
BOOT = b"\x00\x00\x03online\n"


class Computer:
    """What a program at the port reads; `payloads` are the frames of it."""

    def __init__(self, path: str) -> None:
        self.octets = b""
        self.payloads: list[bytes] = []
        self.gone = False
        self.decoder = Decoder()
        self._port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._port)
        asyncio.get_running_loop().add_reader(self._port, self._read)

    def say(self, command: bytes) -> None:
        octets = encode(command)
        assert os.write(self._port, octets) == len(octets)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._port)
        os.close(self._port)

    def _read(self) -> None:
        try:
            octets = os.read(self._port, 4096)
        except OSError:
            octets = b""
        if not octets:
            self.gone = True
            asyncio.get_running_loop().remove_reader(self._port)
        self.octets += octets
        self.payloads += self.decoder.feed(octets)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


def options(**more: Any) -> MeshOptions:
    return MeshOptions(**{"seed": 1, "nodes": 3, "interval_s": 0.05, "boot_s": 0.05, "join_s": 0.005, **more})


async def test_it_lives_at_its_port() -> None:
    async with running(options()) as mesh:
        computer = Computer(mesh.path)
        await until(lambda: len(computer.payloads) > 20)
        computer.say(b"SENDI\x00\x05Ehello")
        await until(lambda: b"\x00\x05Ehello" in computer.payloads)
        computer.close()

    assert computer.payloads[0] == BOOT
    assert sorted(payload[:3] for payload in computer.payloads[1:4]) == [
        b"\x00\x05\x02",
        b"\x00\x06\x02",
        b"\x00\x07\x02",
    ]
    assert b"\x00\x05AS\x01" in computer.payloads
    assert mesh.lost == 0


async def test_what_it_says_is_told_to_whoever_tests() -> None:
    sent: list[tuple[bytes, bool]] = []
    async with running(options(), sent=lambda *what: sent.append(what)) as mesh:
        computer = Computer(mesh.path)
        await until(lambda: len(computer.payloads) > 50)
        computer.close()

    assert [payload for payload, intact in sent if intact][: len(computer.payloads)] == computer.payloads


async def test_unplugged_it_is_gone_and_comes_back_under_its_name(tmp_path: Path) -> None:
    link = tmp_path / "tty"
    async with running(options(), link) as mesh:
        assert mesh.path == str(link)
        known: list[bytes] = []
        for _ in range(3):
            computer = Computer(mesh.path)
            await until(lambda: len([each for each in computer.payloads if each[2:3] == b"\x02"]) == 3)  # noqa: B023
            mesh.unplug()
            mesh.unplug()  # no harm
            await until(lambda: computer.gone)  # noqa: B023
            computer.close()
            assert not link.is_symlink()
            known.append(b"".join(sorted(each for each in computer.payloads if each[2:3] == b"\x02")))
            mesh.plug_in()
        assert len(set(known)) == 1
        assert mesh.network.boots == 3
    assert not link.is_symlink()


async def test_unplugged_before_it_lives_it_can_be_plugged_in() -> None:
    mesh = MockMesh(options())
    mesh.unplug()
    assert mesh.port.write(b"x") == 0
    mesh.plug_in()
    mesh.port._received(b"too early")
    mesh.unplug()


async def test_what_is_said_without_a_cable_is_lost() -> None:
    async with running(options()) as mesh:
        mesh.unplug()
        await until(lambda: mesh.lost > 10)


async def test_who_does_not_read_loses_and_harms_nobody() -> None:
    async with running(options(nodes=500)) as mesh:
        await until(lambda: mesh.lost > 10)
        computer = Computer(mesh.path)
        await until(lambda: len(computer.payloads) > 1000)
        computer.close()


async def test_while_deaf_it_takes_nothing() -> None:
    lines: list[str] = []
    async with running(options(interval_s=1e6), told=lines.append) as mesh:
        await until(lambda: lines.count("online") == 1)
        computer = Computer(mesh.path)
        mesh.port.deaf = True
        computer.say(b"NINFO")
        for _ in range(20):  # turns of the loop: it would have been heard
            await asyncio.sleep(0.001)
        assert "heard NINFO" not in lines
        mesh.port.deaf = False
        await until(lambda: "heard NINFO" in lines)
        computer.close()


async def test_paced_it_is_as_fast_as_a_wire() -> None:
    # The wire is asked for far more than it carries: it carries what it can, in pieces.
    async with running(options(nodes=20, interval_s=0.02, baudrate=20_000)) as mesh:
        computer = Computer(mesh.path)
        await until(lambda: computer.payloads)
        began, before = time.monotonic(), len(computer.octets)
        await until(lambda: len(computer.octets) > before + 2000)
        took_s = time.monotonic() - began
        computer.close()

    assert took_s > 2000 / 2000 * 0.9
    assert set(computer.decoder.counts.values()) == {0}


async def test_a_full_wire_loses_what_is_new() -> None:
    async with running(options(nodes=300, interval_s=0.01, baudrate=1000)) as mesh:
        computer = Computer(mesh.path)
        await until(lambda: mesh.lost)
        computer.close()


async def test_corrupted_octets_cost_their_frames_only() -> None:
    sent: list[tuple[bytes, bool]] = []
    async with running(options(nodes=60, corrupt=0.01), sent=lambda *what: sent.append(what)) as mesh:
        computer = Computer(mesh.path)
        await until(lambda: len(sent) > 2000)
        mesh.network.boot(1e18)  # says no more
        count = len(sent)
        last = next(payload for payload, intact in reversed(sent) if intact)
        await until(lambda: last in computer.payloads)
        computer.close()

    assert mesh.lost == 0
    garbled = sum(not intact for _, intact in sent)
    assert 0.05 < garbled / count < 0.35
    received = iter(computer.payloads)
    assert all(payload in received for payload, intact in sent if intact)  # in order


@contextmanager
def lesmesh(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "mock.mock_mesh", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


async def test_as_a_program_it_says_what_to_configure_and_what_happens(tmp_path: Path) -> None:
    link = tmp_path / "tty mesh"
    with lesmesh(
        "--nodes", "1", "--link", str(link), "--unplug-after", "2", "--back-after", "0.1"
    ) as process:
        assert process.stdout is not None
        said = process.stdout
        where = await asyncio.to_thread(said.readline)
        assert where == f'lesmesh: plugged in at {link}; for config.toml: [mesh] device = "{link}"\n'
        computer = Computer(str(link))
        await until(lambda: len(computer.payloads) > 1)
        computer.say(b"SEND-\x00\x05" + bytes(40))
        lines = [await asyncio.to_thread(said.readline) for _ in range(4)]
        assert lines[:2] == ["lesmesh: online\n", "lesmesh: node 5 joined\n"]
        assert lines[2] == f"lesmesh: heard SEND- 00 05{' 00' * 30} … (42 octets)\n"
        assert lines[3] == "lesmesh: unplugged\n"
        await until(lambda: computer.gone)
        computer.close()
        assert await asyncio.to_thread(said.readline) == where
    assert process.returncode == 0


def test_quiet_it_says_only_where_it_is_and_ends_in_order() -> None:
    with lesmesh("--quiet", "--unplug-after", "0.3") as process:
        assert process.stdout is not None
        assert re.fullmatch(r'lesmesh: plugged in at (\S+); .*"\1"\n', process.stdout.readline())
        assert process.stdout.readline() == "lesmesh: unplugged\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert process.stdout.read() == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--drop", "2"), "lesmesh: drop is a share from 0 to 1, not 2\n"),
        (("--unplug-after", "-1"), "lesmesh: argument --unplug-after: -1 is no number of seconds\n"),
        (("--wat",), "lesmesh: unrecognized arguments: --wat\n"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (ended.value.code, capsys.readouterr().err) == (2, message)


def test_a_place_that_cannot_be_had_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--link", str(tmp_path / "none" / "tty")]) == 1
    assert capsys.readouterr().err.startswith("lesmesh: ")


def test_help_names_what_it_can(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(
        f"--{name}" in said for name in ("nodes", "interval", "corrupt", "reset-every", "unplug-after")
    )
