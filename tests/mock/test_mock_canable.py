"""A CANable on a pseudo terminal: as firmware, as python-can sees it, and as a program."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock.dbc_traffic import TrafficError, schedule, sources
from mock.mock_canable import Canable, main
from mock.slcan_firmware import BELL, LINE_MAX, OK, Firmware, Frame

DBC = Path(__file__).parents[2] / "mock" / "bench.dbc"
PATIENCE_S = 10.0


def opened(command: bytes = b"O") -> Firmware:
    firmware = Firmware()
    assert firmware.receive(b"S6\r" + command + b"\r") == OK + OK
    return firmware


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"\r", OK),
        (b"S8\rV\rN\r", b"\rV1013\rNCA11\r"),
        (b"Sx\r", BELL),
        (b"s031C\r", OK),
        (b"s03\r", BELL),
        (b"C\r", BELL),  # it is not open
        (b"F\r", BELL),
        (b"O\rO\r", OK + BELL),
        (b"O\rS5\r", OK + BELL),  # not while it is open
        (b"O\rF\rC\r", b"\rF00\r\r"),
        (b"t1230\r", BELL),
        (b"O\rt1230\rT0000012321122\r", b"\rz\rZ\r"),
        (b"L\rt1230\r", OK + BELL),
        (b"O\rt8000\rt12\rt1239\rt12321\rtXYZ0\r", OK + 5 * BELL),
        (b"O\rr1232\rR1FFFFFFF8\rr12321122\r", b"\rz\rZ\r" + BELL),
        (b"Z1\rM00000000\rmFFFFFFFF\rX1\r", 4 * OK),
        (b"?\r", BELL),
        (b"t" + b"0" * 1000 + b"\rV\r", BELL + b"V1013\r"),
    ],
)
def test_commands_are_acknowledged_or_refused(said: bytes, answer: bytes) -> None:
    assert Firmware().receive(said) == answer
    firmware = Firmware()
    assert b"".join(firmware.receive(bytes([octet])) for octet in said) == answer


def test_what_is_sent_is_a_frame() -> None:
    firmware = opened()
    firmware.receive(b"t12321122\rT1FFFFFFF0\rr0018\r")
    assert firmware.sent == [
        Frame(0x123, b"\x11\x22", dlc=2),
        Frame(0x1FFFFFFF, b"", is_extended=True),
        Frame(1, b"", is_remote=True, dlc=8),
    ]


def test_what_is_on_the_bus_is_a_line() -> None:
    firmware = opened()
    assert firmware.carry(Frame(0x123, b"\xab")) == b"t1231AB\r"
    assert firmware.carry(Frame(0x123, b"", is_extended=True)) == b"T000001230\r"
    assert firmware.carry(Frame(0x123, is_remote=True, dlc=4)) == b"r1234\r"
    firmware.receive(b"C\rZ1\rO\r")
    assert firmware.carry(Frame(1), 61.5) == b"t001005DC\r"
    firmware.receive(b"C\r")
    assert firmware.carry(Frame(1)) == b""


@given(st.binary(max_size=200))
def test_whatever_comes_is_answered_and_nothing_grows(octets: bytes) -> None:
    firmware = Firmware()
    assert set(firmware.receive(octets)) <= set(b"\r\aV1013NCA11vF0zZ")
    assert len(firmware._line) <= LINE_MAX + 1
    assert firmware.receive(b"\r")[-1:] in {OK, BELL}


def test_traffic_is_what_the_dbc_describes() -> None:
    import cantools

    database: Any = cantools.database.load_file(DBC)
    counts: Counter[str] = Counter()
    for at_s, source in schedule(sources(DBC)):
        if at_s >= 1.0:
            break
        frame = source.frame(at_s)
        message = database.get_message_by_frame_id(frame.can_id)
        decoded = database.decode_message(frame.can_id, frame.data)
        assert isinstance(decoded, dict)
        counts[message.name] += 1
        for signal in message.signals:
            if signal.name in decoded and signal.minimum is not None and not signal.choices:
                assert signal.minimum <= decoded[signal.name] <= signal.maximum
    assert counts == {"InverterState": 100, "PressureSensor": 50, "CellVoltages": 20, "EngineSpeed": 10}


def test_a_file_that_is_no_dbc_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.dbc"
    path.write_text("nonsense")
    with pytest.raises(TrafficError):
        sources(path)
    assert main(["--dbc", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"lescanable: {path}")


def slcan(port: str, **settings: object) -> can.BusABC:
    more: dict[str, Any] = {"bitrate": 500_000, "sleep_after_open": 0.0, **settings}
    return can.Bus(port, "slcan", ignore_config=True, **more)


async def test_python_can_opens_it_as_if_it_were_real(tmp_path: Path) -> None:
    received: list[Frame] = []
    canable = Canable(tmp_path / "tty", received=received.append)
    running = asyncio.create_task(canable.run())
    bus = await asyncio.to_thread(slcan, str(tmp_path / "tty"))
    try:
        assert await asyncio.to_thread(bus.get_version, 1.0) == (10, 13)  # type: ignore[attr-defined]
        assert canable.firmware.bitrate == 500_000
        canable.carry(Frame(0x18FEF100, b"\x01\x02", is_extended=True))
        message = await asyncio.to_thread(bus.recv, PATIENCE_S)
        while message is None:
            message = await asyncio.to_thread(bus.recv, PATIENCE_S)
        assert (message.arbitration_id, bytes(message.data)) == (0x18FEF100, b"\x01\x02")
        bus.send(can.Message(arbitration_id=5, data=b"\xff", is_extended_id=False))
        async with asyncio.timeout(PATIENCE_S):
            while not received:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        assert received == [Frame(5, b"\xff", dlc=1)]
    finally:
        await asyncio.to_thread(bus.shutdown)
        running.cancel()
        canable.unplug()
    assert not (tmp_path / "tty").is_symlink()


@contextmanager
def lescanable(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "mock.mock_canable", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_as_a_program_it_says_where_it_is_and_pulls_its_plug() -> None:
    with lescanable("--unplug-after", "1.0", "--back-after", "0.1") as process:
        assert process.stdout is not None
        port = process.stdout.readline().removeprefix("lescanable: plugged in at ").strip()
        bus = slcan(port)
        with closing(bus.serialPortOrig):  # type: ignore[attr-defined]
            message = bus.recv(PATIENCE_S)
            while message is None:
                message = bus.recv(PATIENCE_S)
            lost = False
            while not lost:
                try:
                    bus.recv(0.1)
                except (can.CanError, OSError):
                    lost = True
            bus._is_shutdown = True  # there is nobody to say goodbye to
        assert process.stdout.readline() == "lescanable: unplugged\n"
        assert process.stdout.readline().startswith("lescanable: plugged in at ")
    assert process.returncode == 0
