from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import can
import pytest

from mock.replay import ReplayError, check_log, replay_slots
from mock.sensor import Frame

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = [
    Frame(0x30, bytes.fromhex("010203040000000f")),
    Frame(0x80, bytes.fromhex("0003e800")),
    Frame(0x81, bytes.fromhex("0003e900")),
    Frame(0x18FF1234, bytes.fromhex("00"), is_extended_id=True),
]
TIMES = [100.0, 100.2, 100.202, 101.5]


def write_log(path: Path, frames: list[Frame] = FRAMES, times: list[float] = TIMES) -> Path:
    with can.Logger(path) as log:
        for frame, timestamp in zip(frames, times, strict=True):
            log(
                can.Message(
                    timestamp=timestamp,
                    arbitration_id=frame.arbitration_id,
                    data=frame.data,
                    is_extended_id=frame.is_extended_id,
                    is_fd=frame.is_fd,
                    channel=0,
                )
            )
    return path


@pytest.mark.parametrize("suffix", [".log", ".asc", ".csv", ".blf", ".trc", ".db"])
def test_every_format_of_the_library_is_played_at_its_own_pace(tmp_path: Path, suffix: str) -> None:
    slots = list(replay_slots(write_log(tmp_path / f"ride{suffix}"), 1))
    assert [slot.frames for slot in slots] == [(frame,) for frame in FRAMES]
    assert [slot.number for slot in slots] == [0, 1, 2, 3]
    # Some formats keep no more than a tenth of a millisecond.
    assert [slot.due_s for slot in slots] == pytest.approx([0, 0.2, 0.202, 1.5], abs=2e-4)


def test_a_candump_log_of_the_can_utils_is_played(tmp_path: Path) -> None:
    path = tmp_path / "candump-2026-01-20.log"
    path.write_text(
        "(1737319234.567800) vcan0 080#0003E800\n"
        "(1737319234.569800) vcan0 081#R4\n"
        "(1737319234.571800) vcan0 080##10003E800\n"
        "(1737319234.571900) vcan0 20000080#0000000000000000\n"
    )
    slots = list(replay_slots(path, 1))
    assert [slot.due_s for slot in slots] == pytest.approx([0, 0.002, 0.004], abs=1e-6)
    assert [slot.frames[0] for slot in slots] == [
        Frame(0x80, bytes.fromhex("0003e800")),
        Frame(0x81, is_remote_frame=True, dlc=4),
        Frame(0x80, bytes.fromhex("0003e800"), is_fd=True, bitrate_switch=True),
    ]


def test_a_log_is_repeated_as_often_as_asked(tmp_path: Path) -> None:
    path = write_log(tmp_path / "ride.log")
    thrice = list(replay_slots(path, 3))
    assert [slot.frames[0] for slot in thrice] == FRAMES * 3
    dues = [slot.due_s for slot in thrice]
    assert dues[4:8] == pytest.approx([1.504, 1.704, 1.706, 3.004])
    assert [slot.number for slot in thrice] == list(range(12))
    assert len(list(islice(replay_slots(path, 0), 100))) == 100


def test_a_step_back_in_time_in_the_log_is_no_step_back_on_the_bus(tmp_path: Path) -> None:
    path = tmp_path / "merged.csv"
    path.write_text(
        "timestamp,arbitration_id,extended,remote,error,dlc,data\n"
        "5.0,0x80,0,0,0,4,AAAAAA==\n4.0,0x80,0,0,0,4,AAAAAA==\n5.5,0x80,0,0,0,4,AAAAAA==\n"
    )
    assert [slot.due_s for slot in replay_slots(path, 1)] == [0, 0, 0.5]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.log", None, "No such file or directory"),
        ("ride.pdf", b"%PDF", 'No read support for unknown log format ".pdf"'),
        ("noise.log", b"this is not a candump log\n", "not a log of that format"),
        ("noise.csv", b"a,b\nc,d\n", "not a log of that format"),
        ("binary.log", bytes(range(256)), "not a log of that format"),
        ("empty.log", b"", "no frames in it"),
    ],
)
def test_what_is_no_log_is_one_line_that_names_the_file(
    tmp_path: Path, name: str, content: bytes | None, complaint: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReplayError) as caught:
        check_log(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert complaint in line
    assert "\n" not in line


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="Is a directory"):
        check_log(tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves it open
def test_a_header_that_is_not_of_the_format_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "noise.blf"
    path.write_bytes(bytes(200))
    with pytest.raises(ReplayError, match=r"noise\.blf: Unexpected file format"):
        check_log(path)


def test_an_error_in_the_middle_comes_after_the_frames_before_it(tmp_path: Path) -> None:
    path = write_log(tmp_path / "cut.log")
    with path.open("a") as log:
        log.write("(101.6) vcan0 080#00\n(101.")
    slots = replay_slots(path, 1)
    assert len(list(islice(slots, 5))) == 5
    with pytest.raises(ReplayError, match="not a log of that format"):
        next(slots)


@pytest.mark.parametrize("moment", ["nan", "inf"])
def test_a_frame_without_a_time_is_an_error(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "odd.log"
    path.write_text(f"(1.000000) vcan0 080#00000000\n({moment}) vcan0 081#00000000\n")
    with pytest.raises(ReplayError, match="has no time"):
        list(replay_slots(path, 1))
