"""Lines of logs as can-utils writes them, there and back."""

from pathlib import Path

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.workbench.candump import CandumpReader, CandumpWriter

TS = 1795311743.316501
# What `candump -L -x` of can-utils wrote, and what it had been told.
LINES = {
    "(1795311743.316501) vcan0 123#0102 R": can.Message(
        TS, 0x123, is_extended_id=False, data=b"\1\2", channel="vcan0"
    ),
    "(1795311743.316501) vcan0 123#R4 R": can.Message(
        TS, 0x123, is_extended_id=False, is_remote_frame=True, dlc=4, channel="vcan0"
    ),
    "(1795311743.316501) vcan0 123#R T": can.Message(
        TS, 0x123, is_extended_id=False, is_remote_frame=True, channel="vcan0", is_rx=False
    ),
    "(1795311743.316501) vcan0 18FEF100#AA R": can.Message(TS, 0x18FEF100, data=b"\xaa", channel="vcan0"),
    "(1795311743.316501) vcan0 123##71122 R": can.Message(
        TS,
        0x123,
        is_extended_id=False,
        data=b"\x11\x22",
        channel="vcan0",
        is_fd=True,
        bitrate_switch=True,
        error_state_indicator=True,
    ),
    "(1795311743.316501) vcan0 20000004#0010000000000000 R": can.Message(
        TS, 0x004, is_error_frame=True, data=bytes.fromhex("0010000000000000"), channel="vcan0"
    ),
}


def written(path: Path, message: can.Message) -> str:
    with CandumpWriter(path) as writer:
        writer.on_message_received(message)
    return path.read_text()


def read(path: Path, text: str) -> list[can.Message]:
    path.write_text(text)
    with CandumpReader(path) as reader:
        return list(reader)


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_what_candump_writes(tmp_path: Path, line: str) -> None:
    message = LINES[line]
    assert written(tmp_path / "log", message) == f"{line}\n"
    (heard,) = read(tmp_path / "log", f"{line}\n")
    assert heard.equals(message, timestamp_delta=1e-6)


def test_lines_without_a_direction_and_with_a_length_code_are_read(tmp_path: Path) -> None:
    text = "(1.000000) can0 123#0102\n\n (2.0)  can0  7ff#1122334455667788_E\n"
    first, second = read(tmp_path / "log", text)
    assert (first.is_rx, bytes(first.data)) == (True, b"\1\2")
    assert (second.arbitration_id, second.timestamp, second.dlc) == (0x7FF, 2.0, 8)


@pytest.mark.parametrize(
    "line",
    ["wat", "(1.0) can0 123", "(1.0) can0 xyz#00", "(1.0) can0 123#0", "(x) can0 123#00 R", "a b c d e"],
)
def test_any_other_line_is_a_value_error_or_empty(tmp_path: Path, line: str) -> None:
    try:
        (message,) = read(tmp_path / "log", line)
    except ValueError:
        return
    assert not message.data


@given(
    number=st.integers(0, 2**29 - 1),
    data=st.binary(max_size=8),
    is_rx=st.booleans(),
)
def test_what_python_can_reads_is_read_alike(
    tmp_path_factory: pytest.TempPathFactory, number: int, data: bytes, is_rx: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "alike.log"
    written(path, can.Message(TS, number, data=data, channel="can0", is_rx=is_rx))
    with CandumpReader(path) as ours, can.CanutilsLogReader(path) as theirs:
        (one,), (other,) = list(ours), list(theirs)
    assert one.equals(other, timestamp_delta=None)
