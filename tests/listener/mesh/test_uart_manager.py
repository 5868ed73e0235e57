"""The serial port of the root module, at pseudo terminals: lost and found again, wedged, silent."""

import asyncio
import contextlib
import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.mesh import uart_link
from listener.mesh.priority import Priority
from listener.mesh.uart_codec import encode
from listener.mesh.uart_manager import (
    CONNECTED,
    DISCONNECTED,
    NO_CONNECTION,
    RESETS_MAX,
    SILENT,
    TIMED_OUT,
    TOO_MANY,
    WAITING_MAX,
    Timing,
)
from mock.mock_mesh import MockMesh, running
from tests.listener.mesh.serial_ports import (
    TURN_S,
    Desk,
    desk,
    open_files,
    options,
    stranger,
    until,
)

BOOT = b"\x00\x00\x03online\n"


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "tty"


async def test_what_the_module_says_arrives_in_order(link: Path) -> None:
    sent: list[bytes] = []
    async with running(options(nodes=20), link, sent=lambda payload, _intact: sent.append(payload)) as mesh:
        async with desk(link) as at:
            await until(lambda: len(at.payloads) > 300)
            assert at.told == [(CONNECTED, "")]
            assert at.manager.device == str(link)
            counts = at.manager.counts
        assert mesh.lost == 0

    begin = sent.index(at.payloads[0])
    assert at.payloads == sent[begin : begin + len(at.payloads)]
    assert counts["frames_in"] > 300
    assert counts["octets_in"] > 300 * 10
    assert (counts["opened"], counts["lost"], counts["noise_bytes"]) == (1, 0, 0)


async def test_after_opening_it_is_asked_who_is_there(link: Path) -> None:
    async with running(options(interval_s=1e6), link) as mesh:
        await until(lambda: len(mesh.network.joined()) == 3)
        async with desk(link) as at:
            await until(lambda: any(payload[:4] == b"\x00\x01\x01\x03" for payload in at.payloads))


async def test_what_is_sent_reaches_the_module(link: Path) -> None:
    async with running(options(), link) as mesh, desk(link) as at:
        await until(lambda: len(mesh.network.joined()) == 3 and at.manager.state == CONNECTED)
        assert await at.manager.send(b"SEND-\x00\x05E\xff\xfe\xfa", Priority.NORMAL) == ""
        await until(lambda: b"\x00\x05E\xff\xfe\xfa" in at.payloads)
        assert at.manager.counts["frames_out"] == 2  # with the first question


async def test_a_burst_leaves_turns_of_the_loop_to_others(tmp_path: Path) -> None:
    master, slave = os.openpty()
    try:
        async with desk(os.ttyname(slave)) as at:
            await at.state(CONNECTED)
            frames = [number.to_bytes(2, "big") for number in range(600)]
            os.set_blocking(master, False)
            octets = b"".join(map(encode, frames))
            most = before = 0
            while len(at.payloads) < len(frames):
                with contextlib.suppress(BlockingIOError):
                    octets = octets[os.write(master, octets) :] if octets else octets
                await asyncio.sleep(0)
                most, before = max(most, len(at.payloads) - before), len(at.payloads)
            assert at.payloads == frames
            assert 1 < most <= 2 * uart_link.AT_ONCE  # what a read brings, and what was left before it
    finally:
        os.close(master)
        os.close(slave)


async def test_unplugged_and_plugged_in_again_twenty_times(link: Path) -> None:
    async with running(options(), link) as mesh, desk(link) as at:
        await at.state(CONNECTED)
        files = open_files()
        for number in range(1, 21):
            mesh.unplug()
            await at.state(DISCONNECTED)
            assert (DISCONNECTED, f"{link}: unplugged") in at.told[-2:]
            assert await at.manager.send(b"STATE") == NO_CONNECTION
            mesh.plug_in()
            await at.state(CONNECTED)
            assert at.manager.counts["lost"] == number
            at.payloads.clear()
            await until(lambda: any(payload[2:3] == b"D" for payload in at.payloads))
            assert await at.manager.send(b"STATE") == ""
        await until(lambda: open_files() <= files)
        assert at.states.count(CONNECTED) == 21
        assert at.manager.counts["opened"] == 21


async def test_a_port_that_is_not_there_is_told_and_waited_for(link: Path) -> None:
    async with desk(link) as at:
        await at.state(DISCONNECTED, "is not there")
        assert at.told == [(DISCONNECTED, f"{link} is not there")]
        assert await at.manager.send(b"STATE") == NO_CONNECTION
        async with running(options(), link):
            await at.state(CONNECTED)
        await at.state(DISCONNECTED, "is not there")
    assert at.states == [DISCONNECTED, CONNECTED, DISCONNECTED, DISCONNECTED]


async def test_what_is_no_serial_port_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files = open_files()
    async with desk(tmp_path / "file") as at:
        await at.state(DISCONNECTED, f"cannot open {tmp_path / 'file'}: ")
    await until(lambda: open_files() <= files)


async def test_a_port_has_one_owner(link: Path) -> None:
    async with running(options(), link):
        async with desk(link) as first:
            await first.state(CONNECTED)
            async with desk(link) as second:
                await second.state(DISCONNECTED, "another program has it")
                assert first.manager.state == CONNECTED
        async with desk(link) as third:
            await third.state(CONNECTED)
        assert first.states == third.states == [CONNECTED]


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (PermissionError(13, "Permission denied"), "permission denied; try: sudo usermod -aG dialout $USER"),
        (OSError(5, "Input/output error"), "cannot open tty: Input/output error"),
        (ValueError("no such rate"), "cannot open tty: no such rate"),
        (RuntimeError(), "cannot open tty: RuntimeError"),
    ],
)
def test_why_a_port_cannot_be_opened(exc: Exception, text: str) -> None:
    assert uart_link.explain(exc, "tty").endswith(text)


async def test_it_is_tried_again_later_and_later(link: Path) -> None:
    tried: list[float] = []

    def avoid() -> tuple[str, ...]:
        tried.append(time.monotonic())
        return ()

    async with desk(link, avoid=avoid, timing=Timing(first_s=0.02), reopen_s=0.15):
        await until(lambda: len(tried) >= 6)
    gaps = [after - before for before, after in pairwise(tried)]
    for gap_s, least_s in zip(gaps, (0.02, 0.04, 0.08, 0.15, 0.15), strict=False):
        assert gap_s > least_s


async def test_a_module_that_says_nothing_is_silent_until_its_next_word(link: Path) -> None:
    with stranger(link) as module:
        async with desk(link, timing=Timing(ask_s=0.05)) as at:
            await at.state(SILENT)
            assert set(module.commands) == {b"NINFO"}
            assert len(module.commands) >= 3
            assert await at.manager.send(b"STATE") == ""  # it may still hear
            module.port.write(encode(BOOT))
            await until(lambda: at.payloads)
            assert at.told[:3] == [(CONNECTED, ""), (SILENT, f"{link}: no answer"), (CONNECTED, "")]
            await until(lambda: at.states.count(SILENT) == 2)
            assert at.manager.counts["opened"] == 1


async def test_who_says_something_is_not_asked(link: Path) -> None:
    async with running(options(interval_s=0.01), link) as mesh:
        lines: list[str] = []
        mesh.network._told = lines.append
        async with desk(link, timing=Timing(ask_s=3.0)) as at:
            await until(lambda: len(at.payloads) > 300)
        assert lines.count("heard NINFO") <= 1
        assert SILENT not in at.states


async def test_noise_is_no_word(link: Path) -> None:
    with stranger(link, lambda _octets: b"ets Jun  8 2016 rst:0x1\r\n\xff\xfe") as module:
        async with desk(link, timing=Timing(ask_s=0.05)) as at:
            await at.state(SILENT)
            counts = at.manager.counts
    assert counts["noise_bytes"] >= 25 * 3
    assert counts["empty"] >= 3
    assert (counts["frames_in"], at.payloads, len(module.commands) >= 3) == (0, [], True)


async def test_every_intact_frame_arrives_over_a_bad_cable(link: Path) -> None:
    sent: list[tuple[bytes, bool]] = []
    bad = options(nodes=50, corrupt=0.01)
    async with running(bad, link, sent=lambda *what: sent.append(what)) as mesh, desk(link) as at:
        await until(lambda: at.payloads)
        begin = len(sent)  # what was sent before it was opened is gone
        await until(lambda: len(sent) > begin + 1500)
        await until(lambda: [payload for payload, intact in sent if intact][-1] in at.payloads[-50:])
        counts = at.manager.counts
        assert mesh.lost == 0
        whole = [payload for payload, intact in sent[begin:] if intact]
        received = iter(at.payloads)
        missing = [payload for payload in whole[:1000] if payload not in received]
    assert missing == []
    assert counts["noise_bytes"] > 0
    assert counts["restarted"] > 0


async def test_a_defect_in_who_receives_does_not_stop_the_next_frame(link: Path) -> None:
    async with running(options(), link), desk(link) as at:
        await until(lambda: at.payloads)
        with capture_logs() as logs:
            real = at.manager._received

            def defect(payload: bytes) -> None:
                at.manager._received = real
                raise RuntimeError("a defect")

            at.manager._received = defect
            await until(lambda: logs)
            count = len(at.payloads)
            await until(lambda: len(at.payloads) > count)
    assert logs[0]["event"] == "uart_frame_not_handled"


async def wedged(at: Desk, mesh: MockMesh) -> list["asyncio.Task[str]"]:
    """Commands of which the first was taken, and one is stuck."""
    await until(lambda: len(mesh.network.joined()) == 3 and at.manager.state == CONNECTED)
    mesh.port.deaf = True
    commands = [
        asyncio.create_task(at.manager.send(b"SEND-\x00\x05filling" + bytes(4000))) for _ in range(40)
    ]
    await until(lambda: commands[0].done() and stuck(at))
    return commands


def stuck(at: Desk) -> bool:
    link = at.manager._link
    return link is not None and not link._taken.is_set()


async def test_a_driver_that_takes_nothing_is_given_up_and_nobody_waits(link: Path) -> None:
    async with running(options(), link) as mesh, desk(link, timing=Timing(write_s=0.3)) as at:
        commands = await wedged(at, mesh)
        longest_s, before_s = 0.0, time.monotonic()
        while not all(command.done() for command in commands):
            await asyncio.sleep(0.001)
            now_s = time.monotonic()
            longest_s, before_s = max(longest_s, now_s - before_s), now_s
        results = [command.result() for command in commands]
        first, last = results.index(TIMED_OUT), results.index(NO_CONNECTION)
        assert results == [""] * first + [TIMED_OUT] + [NO_CONNECTION] * (len(results) - last)
        assert last == first + 1
        assert longest_s < TURN_S
        await until(lambda: (DISCONNECTED, f"{link}: the driver does not take what is written") in at.told)
        mesh.port.deaf = False
        at.payloads.clear()
        await at.state(CONNECTED)
        await until(lambda: any(payload[2:3] == b"D" for payload in at.payloads))
        assert await at.manager.send(b"STATE") == ""


async def test_what_matters_goes_first_and_order_is_kept(link: Path) -> None:
    async with (
        running(options(interval_s=1e6), link) as mesh,
        desk(link, timing=Timing(write_s=60.0)) as at,
    ):
        await wedged(at, mesh)
        heard: list[str] = []
        mesh.network._told = heard.append
        names = {"n": Priority.NORMAL, "i": Priority.IMPORTANT, "r": Priority.RESET}
        marks = ("n1", "i1", "r1", "n2", "i2", "r2")
        results = [
            asyncio.create_task(at.manager.send(b"SENDI\x00\x07" + mark.encode(), names[mark[0]]))
            for mark in marks
        ]
        await asyncio.sleep(0)
        mesh.port.deaf = False
        assert await asyncio.gather(*results) == [""] * 6
        await until(lambda: len(mesh.network.node(7).heard) == 6)
        heard_first = [bytes.fromhex(line[-5:]).decode() for line in heard if line.startswith("heard SENDI")]
        assert heard_first == ["r1", "r2", "i1", "i2", "n1", "n2"]
        # What is normal came after all that had waited before it.
        fillings = [number for number, line in enumerate(heard) if "heard SEND-" in line]
        assert fillings[-1] < next(number for number, line in enumerate(heard) if line.endswith("6e 31"))


async def test_only_so_many_commands_wait(link: Path) -> None:
    async with running(options(), link) as mesh, desk(link, timing=Timing(write_s=60.0)) as at:
        await wedged(at, mesh)
        results = [asyncio.create_task(at.manager.send(b"STATE")) for _ in range(WAITING_MAX + 50)]
        resets = [
            asyncio.create_task(at.manager.send(b"RST-R", Priority.RESET)) for _ in range(RESETS_MAX + 1)
        ]
        await until(resets[-1].done)
        assert results[-1].result() == TOO_MANY
        assert resets[-1].result() == TOO_MANY
        assert not resets[0].done()
        assert not results[0].done()
        mesh.unplug()
        assert {await command for command in results} == {TOO_MANY, NO_CONNECTION}
        assert {await command for command in resets} == {TOO_MANY, NO_CONNECTION}


async def test_who_does_not_wait_any_more_has_not_sent(link: Path) -> None:
    async with running(options(), link) as mesh, desk(link, timing=Timing(write_s=60.0)) as at:
        fillings = await wedged(at, mesh)
        given_up = asyncio.create_task(at.manager.send(b"SEND-\x00\x07given up", Priority.RESET))
        await asyncio.sleep(0)
        given_up.cancel()
        kept = asyncio.create_task(at.manager.send(b"SEND-\x00\x07kept"))
        await asyncio.sleep(0)
        mesh.port.deaf = False
        assert await kept == ""
        await until(lambda: b"kept" in mesh.network.node(7).heard)
        assert list(mesh.network.node(7).heard) == [b"kept"]
        assert {await filling for filling in fillings} == {""}


async def test_unplugged_in_the_middle_of_a_write_the_command_has_failed(link: Path) -> None:
    async with running(options(), link) as mesh, desk(link, timing=Timing(write_s=60.0)) as at:
        commands = await wedged(at, mesh)
        mesh.unplug()
        results = [await command for command in commands]
        assert set(results) == {"", NO_CONNECTION}
        await at.state(DISCONNECTED)


async def test_stopped_in_the_middle_of_a_write_it_ends_at_once(link: Path) -> None:
    async with running(options(), link) as mesh:
        async with desk(link, timing=Timing(write_s=60.0)) as at:
            commands = await wedged(at, mesh)
            began = time.monotonic()
        assert time.monotonic() - began < uart_link.CLOSE_S + TURN_S
        assert {await command for command in commands} == {"", NO_CONNECTION}
        assert await at.manager.send(b"STATE") == NO_CONNECTION


class SlowDriver:
    """`os.open` of one path takes until it is let go."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opening = threading.Event()
        self.go = threading.Event()
        self.opened: list[int] = []
        real = os.open

        def slow(target: Any, *arguments: Any, **more: Any) -> int:
            if str(target) != str(path) or self.go.is_set():
                return real(target, *arguments, **more)
            self.opening.set()
            assert self.go.wait(60)
            self.opened.append(real(target, *arguments, **more))
            return self.opened[-1]

        monkeypatch.setattr(os, "open", slow)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


async def test_a_driver_that_does_not_open_is_told_and_left(
    link: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uart_link, "OPEN_S", 0.1)
    async with running(options(), link):
        driver = SlowDriver(link, monkeypatch)
        try:
            async with desk(link) as at:
                await at.state(DISCONNECTED, "the driver does not answer")
                driver.go.set()
                await at.state(CONNECTED)
                await until(lambda: at.payloads)
                # What it opened in the end, without anybody who waited, is closed.
                await until(lambda: len([each for each in set(driver.opened) if is_open(each)]) <= 1)
        finally:
            driver.go.set()


async def test_stopped_while_it_opens_it_leaves_nothing_open(
    link: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uart_link, "CLOSE_S", 0.05)
    async with running(options(), link):
        files = open_files()
        driver = SlowDriver(link, monkeypatch)
        try:
            async with desk(link):
                await until(driver.opening.is_set)
        finally:
            driver.go.set()
        await until(lambda: driver.opened and open_files() <= files)


async def test_opening_that_ended_as_nobody_waited_is_closed(link: Path) -> None:
    """The two meet in one turn of the loop: it was opened, and it was cancelled."""
    async with running(options(), link):
        files = open_files()
        found = await uart_link.open_link(str(link), 115_200)
        transport = found._transport
        assert transport is not None
        opening = asyncio.create_task(_already(transport, found))
        await opening
        uart_link._leave(opening)
        await until(lambda: open_files() <= files)
        assert found.lost.done()
        assert not await found.write(b"STATE", 1.0)


async def _already(*what: Any) -> Any:
    return what


async def test_written_to_in_the_moment_of_the_unplugging_it_is_lost(link: Path) -> None:
    async with running(options(interval_s=1e6), link) as mesh:
        found = await uart_link.open_link(str(link), 115_200)
        mesh.unplug()
        assert not await found.write(b"STATE", 1.0) or await found.lost
        await until(found.lost.done)
        assert not await found.write(b"STATE", 1.0)
        await found.close()
        await found.close()


async def test_any_rate_is_taken(link: Path) -> None:
    async with running(options(), link), desk(link, baudrate=250_000) as at:  # not one of POSIX
        await until(lambda: at.payloads)
