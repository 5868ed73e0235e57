"""The thread of one recording, and the files that it writes with python-can.

1. A recording that outgrows `max_bytes` or `max_s` goes on in a new file, `name-002` and so on; of more than
   `max_files` the oldest is deleted.
2. It ends by itself as `failed` when the disk is full or nearly so: the rides need the rest of it.
3. The thread takes breaks: the loop, which waits for the interpreter, would get it after 5 ms otherwise.
4. TRC has no error, remote and FD frames in python-can: they are counted (`not_in_format`) and left out.
"""

import contextlib
import errno
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import can
import structlog

from listener.raw_frame import Flag, RawFrame, length_of
from listener.workbench import folders
from listener.workbench.candump import CandumpWriter

_log = structlog.get_logger(__name__)

FORMATS: Final = {
    "candump": ".log",
    "asc": ".asc",
    "blf": ".blf",
    "csv": ".csv",
    "trc": ".trc",
    "mf4": ".mf4",
}
POLL_S: Final = 0.05
LOOK_S: Final = 1.0
# A break after so many frames, about 0.3 ms of work.
BATCH: Final = 32
BREAK_S: Final = 0.0005
FILES_TOLD: Final = 100

Item = tuple[RawFrame | can.Message, bool]


class RecordingError(Exception):
    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(text)


class Limits(NamedTuple):
    max_bytes: int | None
    max_s: float | None
    max_files: int | None
    free_bytes: int


class Files:
    """The names of one recording's files, which are made when they are begun."""

    def __init__(self, folder: Path, bus: str, name: str, suffix: str) -> None:
        self._folder = folder
        self._suffix = suffix
        self._is_chosen = bool(name)
        self._stem = name.removesuffix(suffix) or time.strftime(f"{_word(bus)}-%Y%m%d-%H%M%S")
        self.names: list[str] = []
        try:
            folders.plain(f"{self._stem}-0000{suffix}", [suffix])
        except folders.BadName as exc:
            raise RecordingError("bad_name", str(exc)) from None

    def begin(self) -> Path:
        number = len(self.names) + 1
        while True:
            name = f"{self._stem}{f'-{number:03}' if number > 1 else ''}{self._suffix}"
            path = self._folder / name
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                path.open("xb").close()
            except FileExistsError:
                if self._is_chosen and not self.names:
                    raise RecordingError("bad_name", f"there is a recording {name} already") from None
                number += 1
            except OSError as exc:
                raise RecordingError("cannot_write", f"{path}: {exc.strerror}") from exc
            else:
                self.names.append(name)
                return path

    @property
    def current(self) -> Path:
        return self._folder / self.names[-1]

    def keep(self, count: int) -> str | None:
        """With each new file the oldest of more than these goes; its name."""
        for name in self.names[-count - 1 : -count]:
            (self._folder / name).unlink(missing_ok=True)
            return name
        return None


class RecordingThread:
    """What belongs to the loop comes first; it also counts `dropped`. The rest runs in the thread."""

    def __init__(
        self,
        bus: str,
        file_format: str,
        files: Files,
        queue: deque[Item],
        limits: Limits,
        tell: Callable[[], None],
    ) -> None:
        self._channel = _word(bus) if file_format == "candump" else None
        self._format = file_format
        self._files = files
        self._queue = queue
        self._limits = limits
        self._tell = tell
        self._started = time.time()
        self._finished_bytes = 0
        self._bytes = 0
        self._frames = 0
        self._not_in_format = 0
        self._removed = 0
        self._reason = ""
        self.state = "recording"
        self.dropped = 0
        self._dropped_told = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"record {bus}", daemon=True)

    @property
    def file(self) -> str:
        return self._files.names[-1]

    @property
    def written(self) -> int:
        return self._finished_bytes + self._bytes

    def status(self) -> dict[str, Any]:
        return {
            "reason": self._reason,
            "format": self._format,
            "file": self.file,
            "files": self._files.names[-(self._limits.max_files or FILES_TOLD) :],
            "removed": self._removed,
            "frames": self._frames,
            "bytes": self.written,
            "dropped": self.dropped,
            "not_in_format": self._not_in_format,
            "started": self._started,
        }

    def fail(self, reason: str) -> None:
        if self.state != "failed":
            self.state, self._reason = "failed", reason
            _log.error("recording_failed", file=self.file, reason=reason)

    # In the thread

    def _run(self) -> None:
        try:
            while self._write_file():
                self._files.begin()
                if self._limits.max_files and (removed := self._files.keep(self._limits.max_files)):
                    self._removed += 1
                    _log.info("recording_removed", file=removed, max_files=self._limits.max_files)
                self._tell()
        except OSError as exc:
            full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
            self.fail("the disk is full" if full else f"{self.file}: {exc.strerror or exc}")
        except RecordingError as exc:
            self.fail(str(exc))
        except Exception as exc:  # noqa: BLE001 - a writer's, about a frame that it cannot take
            _log.exception("recording_defect", file=self.file)
            self.fail(f"{type(exc).__name__}: {exc}")
        self._queue.clear()
        if self.state == "recording":
            self.state = "idle"
        else:
            self._tell()

    def _write_file(self) -> bool:
        """Until it is full: then True. False: it is over."""
        writer = _writer(self._format, self._files.current)
        try:
            is_full = self._fill(writer)
            # MF4 has its size when it is closed.
            writer.stop()
        except BaseException:
            # What is in its buffers cannot be written either, and it says so once more.
            with contextlib.suppress(Exception):
                writer.stop()
            with contextlib.suppress(Exception):
                writer.file.close()
            raise
        finally:
            self._bytes = 0
            with contextlib.suppress(OSError):
                self._finished_bytes += self._files.current.stat().st_size
        return is_full

    def _fill(self, writer: Any) -> bool:
        begun = looked = time.monotonic()
        while True:
            is_last = self.stopping.is_set()
            count = self._write_some(writer)
            now = time.monotonic()
            if now - looked >= LOOK_S or count == BATCH:
                self._bytes = writer.file_size()
            if now - looked >= LOOK_S:
                looked = now
                writer.file.flush()
                self._check_disk()
                if self.dropped != self._dropped_told:
                    self._dropped_told = self.dropped
                    self._tell()
            if is_last and count < BATCH:
                return False
            if self._limits.max_bytes and self._bytes >= self._limits.max_bytes:
                return True
            if self._limits.max_s and now - begun >= self._limits.max_s:
                return True
            if count == BATCH:
                time.sleep(BREAK_S)
            else:
                self.stopping.wait(POLL_S)

    def _write_some(self, writer: Any) -> int:
        for count in range(BATCH):
            try:
                frame, is_rx = self._queue.popleft()
            except IndexError:
                return count
            message = _message(frame, is_rx, self._channel)
            if self._format == "trc" and (message.is_error_frame or message.is_remote_frame or message.is_fd):
                self._not_in_format += 1
            else:
                writer.on_message_received(message)
                self._frames += 1
        return BATCH

    def _check_disk(self) -> None:
        if shutil.disk_usage(self._files.current.parent).free < self._limits.free_bytes:
            megabytes = self._limits.free_bytes // 1_000_000
            raise RecordingError("cannot_write", f"less than {megabytes} MB are left on the disk")


class _Mf4Writer(can.MF4Writer):
    def file_size(self) -> int:
        """Of asammdf's temporary file, which since its version 8 is not where python-can looks."""
        mdf: Any = self._mdf
        return int(getattr(mdf, "_mdf", mdf)._tempfile.tell())


def _writer(file_format: str, path: Path) -> Any:
    match file_format:
        case "candump":
            return CandumpWriter(path)
        case "asc":
            return can.ASCWriter(path)
        case "blf":
            return can.BLFWriter(path)
        case "csv":
            return can.CSVWriter(path)
        case "trc":
            return can.TRCWriter(path)
        case _:
            return _Mf4Writer(path)


def _message(frame: RawFrame | can.Message, is_rx: bool, channel: str | None) -> can.Message:
    if isinstance(frame, can.Message):
        message = frame.__copy__()
        message.channel, message.is_rx = channel, is_rx
        return message
    number, flags, data, timestamp = frame
    return can.Message(
        timestamp=timestamp,
        arbitration_id=number,
        is_extended_id=bool(flags & Flag.EXTENDED),
        is_remote_frame=bool(flags & Flag.REMOTE),
        is_error_frame=bool(flags & Flag.ERROR),
        is_fd=bool(flags & Flag.FD),
        bitrate_switch=bool(flags & Flag.BITRATE_SWITCH),
        error_state_indicator=bool(flags & Flag.ERROR_STATE),
        data=data,
        dlc=length_of(flags, data),
        channel=channel,
        is_rx=is_rx,
    )


def _word(text: str) -> str:
    """For names of files and channels of logs: letters and digits, no digit-only channel."""
    word = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in text)
    return f"can{word}" if not word or word.isdigit() else word
