"""Recordings as other programs read them, and what happens when the disk does not play along."""

import asyncio
import errno
import importlib.util
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import can
import pytest

from listener.raw_frame import LENGTH_SHIFT, Flag, RawFrame
from listener.workbench import recording, recording_thread
from listener.workbench.recording import FORMATS, Recorder, RecordingError
from listener.workbench.recordings import Recordings
from listener.workbench.replay import play, replay

TS = 1_700_000_000.0
FRAMES = [
    RawFrame(0x100, 0, b"\1\2\3", TS),
    RawFrame(0x100, Flag.EXTENDED, b"", TS + 0.010),
    RawFrame(0x18FEF100, Flag.EXTENDED, bytes(8), TS + 0.020),
    RawFrame(0x7FF, 0, b"\xff" * 8, TS + 0.035),
]
FD = RawFrame(0x200, Flag.FD, bytes(range(64)), TS + 0.040)
FAST = FD._replace(flags=Flag.FD | Flag.BITRATE_SWITCH | Flag.ERROR_STATE)
REMOTE = RawFrame(0x123, Flag.REMOTE | 5 << LENGTH_SHIFT, b"", TS + 0.042)
ERROR = RawFrame(0x040, Flag.ERROR, bytes(8), TS + 0.045)
HAS_MF4 = importlib.util.find_spec("asammdf") is not None
WRITTEN = [each for each in FORMATS if each != "mf4" or HAS_MF4]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


def read(path: Path) -> list[can.Message]:
    readers: dict[str, Callable[[Path], Any]] = {
        ".log": can.CanutilsLogReader,
        ".asc": can.ASCReader,
        ".blf": can.BLFReader,
        ".csv": can.CSVReader,
        ".trc": can.TRCReader,
        ".mf4": can.MF4Reader,
    }
    with readers[path.suffix](path) as messages:
        return list(messages)


def content(messages: list[can.Message]) -> list[tuple[int, bool, bytes]]:
    return [(each.arbitration_id, each.is_extended_id, bytes(each.data)) for each in messages]


CONTENT = [(each.arbitration_id, bool(each.flags & Flag.EXTENDED), each.data) for each in FRAMES]


def size(path: Path) -> int:
    return path.stat().st_size


def read_text(path: Path) -> str:
    return path.read_text()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def link(path: Path, target: str) -> None:
    path.symlink_to(target)


@pytest.mark.parametrize("file_format", WRITTEN)
async def test_a_recording_is_read_by_python_can(folder: Path, file_format: str) -> None:
    recorder = Recorder(folder, "bench")
    recorder.put(FD)  # not recorded yet
    recorder.start(file_format, name="first")
    assert recorder.status()["state"] == "recording"
    assert recorder.file == f"first{FORMATS[file_format]}"
    for frame in FRAMES:
        recorder.put(frame)
    await recorder.stop()
    recorder.put(FD)  # not any more

    status = recorder.status()
    assert (status["state"], status["frames"], status["dropped"]) == ("idle", 4, 0)
    path = folder / status["file"]
    assert status["bytes"] == size(path)
    messages = read(path)
    assert content(messages) == CONTENT
    times = [each.timestamp - messages[0].timestamp for each in messages]
    assert times == pytest.approx([0, 0.010, 0.020, 0.035], abs=0.001)
    assert recorder.file is None


@pytest.mark.parametrize("file_format", ["candump", "asc", "blf", "csv"])
async def test_fd_frames_are_recorded_whole(folder: Path, file_format: str) -> None:
    recorder = Recorder(folder, "bench")
    recorder.start(file_format, name="fd")
    recorder.put(FD)
    await recorder.stop()

    ((_, message),) = [each async for each in replay(folder / recorder.status()["file"])]
    assert (message.is_fd, bytes(message.data)) == (True, FD.data)


# CSV has no columns for them.
@pytest.mark.parametrize("file_format", ["candump", "asc", "blf"])
async def test_how_an_fd_frame_was_sent_is_recorded(folder: Path, file_format: str) -> None:
    path = await record(folder, file_format, [FD, FAST])
    kinds = [(each.bitrate_switch, each.error_state_indicator) async for _, each in replay(path)]
    assert kinds == [(False, False), (True, True)]


@pytest.mark.parametrize("file_format", ["candump", "asc", "blf", "csv"])
async def test_what_a_remote_frame_asks_for_is_recorded(folder: Path, file_format: str) -> None:
    path = await record(folder, file_format, [REMOTE])
    ((_, message),) = [each async for each in replay(path)]
    assert (message.is_remote_frame, message.dlc, message.arbitration_id) == (True, 5, 0x123)


async def test_what_trc_cannot_hold_is_counted(folder: Path) -> None:
    recorder = Recorder(folder, "bench")
    recorder.start("trc")
    for frame in (*FRAMES, FD, ERROR, RawFrame(0x100, Flag.REMOTE, b"", TS)):
        recorder.put(frame)
    await recorder.stop()

    assert (recorder.status()["frames"], recorder.status()["not_in_format"]) == (4, 3)


async def test_who_has_sent_a_frame_is_told(folder: Path) -> None:
    recorder = Recorder(folder, "bench 1")
    recorder.start("candump", name="a")
    sent = can.Message(
        timestamp=TS, arbitration_id=0x100, data=b"\1", channel="elsewhere", is_extended_id=False
    )
    recorder.put(sent, is_rx=False)
    recorder.put(FRAMES[0])
    await recorder.stop()

    lines = read_text(folder / "a.log").splitlines()
    assert lines == ["(1700000000.000000) bench_1 100#01 T", "(1700000000.000000) bench_1 100#010203 R"]
    assert (sent.channel, sent.is_rx) == ("elsewhere", True)


async def test_the_seconds_before_the_start_come_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    recorder = Recorder(folder, "bench", pretrigger_s=5.0)
    for frame in FRAMES[:3]:
        recorder.put(frame)
        now += 3.0
    recorder.start("candump", name="a")
    recorder.put(FRAMES[3])
    monkeypatch.undo()
    await recorder.stop()

    assert content(read(folder / "a.log")) == CONTENT[2:]  # of the others, 6 and 9 s old, nothing


async def test_the_ring_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(folder, "bench", pretrigger_s=3600.0)
    for _ in range(recording.RING_MAX + 10):
        recorder.put(FRAMES[0])

    assert len(recorder._ring) == recording.RING_MAX


# Rotation


async def test_a_recording_goes_on_in_a_new_file(folder: Path) -> None:
    told: list[dict[str, Any]] = []
    recorder = Recorder(folder, "bench", changed=lambda: told.append(recorder.status()))
    recorder.start("candump", name="a", max_bytes=5000)
    for number in range(1000):
        recorder.put(RawFrame(number, 0, bytes(8), TS + number / 1000))
    await recorder.stop()
    await asyncio.sleep(0)

    names = recorder.status()["files"]
    assert names[:3] == ["a.log", "a-002.log", "a-003.log"]
    assert told[0]["files"][:2] == names[:2]
    assert [each[0] for name in names for each in content(read(folder / name))] == list(range(1000))
    assert recorder.status()["bytes"] == sum(size(folder / name) for name in names)
    assert all(size(folder / name) < 8000 for name in names)


async def test_only_the_newest_files_are_kept(folder: Path) -> None:
    recorder = Recorder(folder, "bench")
    recorder.start("blf", name="a", max_bytes=5000, max_files=2)
    for number in range(3000):
        recorder.put(RawFrame(number % 2048, 0, bytes(8), TS + number / 1000))
    await recorder.stop()

    names = recorder.status()["files"]
    assert len(names) == 2
    assert sorted(names) == sorted(os.listdir(folder))  # noqa: PTH208
    assert content(read(folder / names[-1]))[-1][0] == 2999 % 2048


async def test_a_recording_may_be_cut_by_time(folder: Path) -> None:
    rotated = asyncio.Event()
    recorder = Recorder(folder, "bench", changed=rotated.set)
    recorder.start("csv", name="a", max_s=0.1)
    await asyncio.wait_for(rotated.wait(), 20)
    await recorder.stop()

    assert recorder.status()["files"][:2] == ["a.csv", "a-002.csv"]


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("wat",), "bad_format"),
        (("blf", "../a"), "bad_name"),
        (("blf", "/a"), "bad_name"),
        (("blf", ".a"), "bad_name"),
        (("blf", "a\0"), "bad_name"),
        (("blf", "x" * 250), "bad_name"),
        (("blf", "there"), "bad_name"),
    ],
)
async def test_a_wrong_start_is_refused(folder: Path, arguments: tuple[str, ...], kind: str) -> None:
    put(folder / "there.blf", b"kept")
    recorder = Recorder(folder, "bench")
    with pytest.raises(RecordingError) as caught:
        recorder.start(arguments[0], name=arguments[1] if len(arguments) > 1 else "")

    assert caught.value.kind == kind
    assert recorder.status()["state"] == "idle"
    await recorder.stop()


if HAS_MF4:

    async def test_mf4_has_frames_of_every_kind(folder: Path) -> None:
        path = await record(folder, "mf4", [*FRAMES, FAST, REMOTE])
        messages = [message async for _, message in replay(path)]
        assert content(messages[:4]) == CONTENT
        assert [
            (each.is_fd, each.bitrate_switch, each.is_remote_frame, each.dlc) for each in messages[4:]
        ] == [
            (True, True, False, 64),
            (False, False, True, 5),
        ]

    async def test_a_long_mf4_goes_on_in_a_new_file(folder: Path) -> None:
        recorder = Recorder(folder, "bench")
        recorder.start("mf4", name="a", max_bytes=20_000)
        for number in range(1000):
            recorder.put(RawFrame(number, 0, bytes(8), TS + number / 1000))
        await recorder.stop()
        names = recorder.status()["files"]
        assert len(names) > 1
        assert [each[0] for name in names for each in content(read(folder / name))] == list(range(1000))

else:

    async def test_mf4_says_what_it_needs(folder: Path) -> None:
        with pytest.raises(RecordingError, match="mf4 needs: pip install asammdf"):
            Recorder(folder, "bench").start("mf4")


async def test_a_bus_is_recorded_once_at_a_time(folder: Path) -> None:
    recorder = Recorder(folder, "bench")
    recorder.start("blf")
    with pytest.raises(RecordingError, match=r"bench is being recorded already, to bench-\d+-\d+\.blf"):
        recorder.start("blf")
    await recorder.stop()
    recorder.start("blf")  # in the same second perhaps: another name
    await recorder.stop()

    assert len(Recordings(folder).list()) == 2


async def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "file", b"")
    with pytest.raises(RecordingError, match="Not a directory") as caught:
        Recorder(tmp_path / "file" / "x", "bench").start("blf")
    assert caught.value.kind == "cannot_write"


class FullDisk:
    """A file that takes a while, and no more after so many writes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self._room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> Any:
        self._room -= 1
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)


# MF4 is written as a whole, when it is over.
@pytest.mark.parametrize("file_format", [each for each in WRITTEN if each != "mf4"])
async def test_a_full_disk_ends_the_recording_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    made = recording_thread._writer

    def writer(*arguments: Any) -> Any:
        one = made(*arguments)
        one.file = FullDisk(one.file, 2)
        return one

    monkeypatch.setattr(recording_thread, "_writer", writer)
    told = asyncio.Event()
    recorder = Recorder(folder, "bench", changed=told.set)
    recorder.start(file_format, name="a")
    for _ in range(5000):
        for frame in FRAMES:
            recorder.put(frame)
    await asyncio.wait_for(told.wait(), 20)

    status = recorder.status()
    assert (status["state"], status["reason"]) == ("failed", "the disk is full")
    assert recorder.file is None
    recorder.put(FRAMES[0])
    await recorder.stop()
    assert recorder.status()["state"] == "failed"
    monkeypatch.undo()
    recorder.start(file_format, name="b")
    await recorder.stop()
    assert recorder.status()["state"] == "idle"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
async def test_a_disk_that_is_really_full_is_told(folder: Path) -> None:
    recorder = Recorder(folder, "bench")
    recorder.start("candump", name="a")
    await recorder.stop()
    link(folder / "b.log", "/dev/full")
    files = recording_thread.Files(folder, "bench", "c", ".log")
    files.names.append("b.log")
    told = threading.Event()
    limits = recording_thread.Limits(None, None, None, 0)
    queue: deque[recording_thread.Item] = deque((frame, True) for frame in FRAMES)
    thread = recording_thread.RecordingThread("bench", "candump", files, queue, limits, told.set)
    thread.thread.start()
    thread.stopping.set()
    await asyncio.to_thread(thread.thread.join, 10)

    assert (thread.state, thread.status()["reason"], told.is_set()) == ("failed", "the disk is full", True)


async def test_the_last_of_the_disk_is_left_for_the_rides(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_thread, "LOOK_S", 0.01)
    told = asyncio.Event()
    recorder = Recorder(folder, "bench", changed=told.set, free_bytes=10**18)
    recorder.start("candump", name="a")
    recorder.put(FRAMES[0])
    await asyncio.wait_for(told.wait(), 20)

    assert recorder.status()["reason"] == "less than 1000000000000 MB are left on the disk"
    assert content(read(folder / "a.log")) == CONTENT[:1]


async def test_frames_that_the_disk_is_too_slow_for_are_counted_and_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "QUEUE_MAX", 10)
    monkeypatch.setattr(recording_thread, "LOOK_S", 0.01)
    told = asyncio.Event()
    recorder = Recorder(folder, "bench", changed=told.set)
    recorder.start("csv", name="a")
    while not recorder.status()["dropped"]:
        recorder.put(FRAMES[0])
    await asyncio.wait_for(told.wait(), 20)
    await recorder.stop()

    status = recorder.status()
    assert status["frames"] == len(read(folder / "a.csv"))


async def test_a_disk_that_does_not_answer_does_not_hold_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(recording, "STOP_S", 0.1)
    monkeypatch.setattr(recording_thread.RecordingThread, "_write_some", lambda *_: release.wait(20) and 0)
    recorder = Recorder(folder, "bench")
    recorder.start("csv", name="a")
    begun = time.monotonic()
    await recorder.stop()

    assert time.monotonic() - begun < 5
    assert recorder.status()["reason"] == "the disk has not answered for 0.1 s"
    release.set()
    thread = recorder._job
    assert thread is not None
    await asyncio.to_thread(thread.thread.join, 10)


async def test_a_defect_of_a_writer_ends_the_recording_alone(folder: Path) -> None:
    told = asyncio.Event()
    recorder = Recorder(folder, "bench", changed=told.set)
    recorder.start("asc", name="a")
    recorder.put(RawFrame(0x100, 0, None, TS))  # type: ignore[arg-type]
    await asyncio.wait_for(told.wait(), 20)

    assert recorder.status()["state"] == "failed"


# What lies in the folder


async def test_recordings_are_listed_found_and_deleted(folder: Path) -> None:
    recorder = Recorder(folder, "bench")
    recordings = Recordings(folder, in_use=lambda: [recorder.file])
    assert recordings.list() == []
    recorder.start("blf", name="a")
    (entry,) = recordings.list()
    assert (entry["name"], entry["format"], entry["recording"]) == ("a.blf", "blf", True)
    with pytest.raises(RecordingError, match=r"a\.blf is being recorded"):
        recordings.delete("./a.blf")
    await recorder.stop()

    assert recordings.list()[0]["recording"] is False
    assert recordings.path("a.blf") == folder / "a.blf"
    recordings.delete("a.blf")
    assert recordings.list() == []


def test_what_cannot_be_deleted_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder / "a.blf", b"")
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(RecordingError, match=r"a\.blf: Read-only file system") as caught:
        Recordings(folder).delete("a.blf")
    assert caught.value.kind == "cannot_write"


def refuse(*_: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("b.blf", "not_found"),
        ("out.blf", "not_found"),
        ("../out.blf", "bad_name"),
        ("/etc/passwd", "bad_name"),
        ("a\0.blf", "bad_name"),
        ("les02.db", "bad_name"),
        ("", "bad_name"),
    ],
)
def test_nothing_else_is_given_out_or_deleted(folder: Path, name: str, kind: str) -> None:
    folder.mkdir()
    outside = folder.parent / "out.blf"
    outside.write_bytes(b"")
    (folder / "out.blf").symlink_to(outside)
    for action in (Recordings(folder).path, Recordings(folder).delete):
        with pytest.raises(RecordingError) as caught:
            action(name)
        assert caught.value.kind == kind
    assert outside.exists()


# Replay


@pytest.fixture
def no_leftovers() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before + 4  # those of the loop's executor


async def record(folder: Path, file_format: str, frames: list[RawFrame]) -> Path:
    recorder = Recorder(folder, "bench")
    recorder.start(file_format, name="played")
    for frame in frames:
        recorder.put(frame)
    await recorder.stop()
    return folder / str(recorder.status()["file"])


@pytest.mark.parametrize("file_format", WRITTEN)
async def test_a_recording_is_played_at_its_pace(folder: Path, file_format: str) -> None:
    path = await record(folder, file_format, FRAMES)
    loop = asyncio.get_running_loop()
    sent: list[tuple[float, can.Message]] = []

    assert await play(path, lambda message: sent.append((loop.time(), message))) == 4

    assert content([message for _, message in sent]) == CONTENT
    offsets = [when - sent[0][0] for when, _ in sent]
    assert all(offset >= due - 0.003 for offset, due in zip(offsets, [0, 0.010, 0.020, 0.035], strict=True))
    assert all(message.channel is None for _, message in sent)


async def test_a_recording_may_be_played_faster(folder: Path) -> None:
    path = await record(folder, "blf", [RawFrame(1, 0, b"", TS), RawFrame(2, 0, b"", TS + 30.0)])
    begun = time.monotonic()
    assert await play(path, lambda _: None, speed=100.0) == 2

    assert 0.25 < time.monotonic() - begun < 10
    with pytest.raises(RecordingError, match="0 is not in"):
        await play(path, lambda _: None, speed=0)


async def test_error_frames_are_not_played_and_time_never_runs_back(folder: Path) -> None:
    frames = [ERROR, RawFrame(1, 0, b"", TS + 5), RawFrame(2, 0, b"", TS)]
    path = await record(folder, "csv", frames)

    assert [delay_s for delay_s, _ in [each async for each in replay(path)]] == [
        0.0,
        pytest.approx(4.955),
        0.0,
    ]
    assert await play(path, lambda _: None, speed=100.0) == 2


async def test_a_long_recording_leaves_the_loop_its_turns(folder: Path) -> None:
    path = await record(folder, "csv", [RawFrame(number % 2048, 0, b"", TS) for number in range(2000)])
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    assert await play(path, lambda _: None) == 2000
    counting.cancel()
    assert turns > 20


async def test_a_recording_that_is_broken_in_the_middle_is_played_until_there(folder: Path) -> None:
    path = await record(folder, "csv", FRAMES)
    append(path, "wat\n")
    sent: list[can.Message] = []
    with pytest.raises(RecordingError, match=r"played\.csv: not enough values") as caught:
        await play(path, sent.append)

    assert caught.value.kind == "broken"
    assert content(sent) == CONTENT


@pytest.mark.parametrize("suffix", [".log", ".asc", ".blf", ".csv", ".trc", ".mf4"])
@pytest.mark.parametrize("data", [b"", b"\0\1\xff" * 1000, b"wat\nwat wat\n" * 10, b"(nan) can0 100#00\n"])
async def test_any_file_is_played_or_an_error(folder: Path, suffix: str, data: bytes) -> None:
    path = put(folder / f"a{suffix}", data)
    try:
        assert await play(path, lambda _: None) <= 1
    except RecordingError as exc:
        assert exc.kind == "broken"  # noqa: PT017
        assert len(str(exc)) < 300  # noqa: PT017


async def test_what_is_no_recording_is_not_played(folder: Path) -> None:
    for path, kind in ((folder / "a.blf", "broken"), (folder / "a.txt", "bad_format")):
        with pytest.raises(RecordingError) as caught:
            await play(path, lambda _: None)
        assert caught.value.kind == kind


async def test_a_replay_can_be_ended(folder: Path, no_leftovers: None) -> None:
    path = await record(folder, "csv", [RawFrame(1, 0, b"", TS + 10 * number) for number in range(1000)])
    sent: list[can.Message] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await play(path, sent.append)
    assert len(sent) == 1

    def refuse(_: can.Message) -> None:
        raise ConnectionError("unplugged")

    with pytest.raises(ConnectionError, match="unplugged"):
        await play(path, refuse)
    shutil.rmtree(folder)
