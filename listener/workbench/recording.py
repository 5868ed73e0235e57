"""Recording one bus to files: a thread that writes, a bounded queue before it, a ring of the last seconds.

    recorder = Recorder(folder, bus, pretrigger_s=0.0, changed=callback)
    recorder.put(frame, is_rx=True)    each frame, also while nothing is recorded (the ring); on the loop
    recorder.start("blf", name="", max_bytes=None, max_s=None, max_files=None)
    await recorder.stop()              what was put before is in the file; without a recording nothing happens
    recorder.status()                  JSON-able: bus, state (idle, recording, failed), reason, format, file,
                                       files, removed, frames, bytes, dropped, not_in_format, started
    recorder.written                   octets, of all recordings
    recorder.file                      name of the file that is being written, or None

`start` raises RecordingError: kind `busy`, `bad_format` (unknown, or its library is missing), `bad_name`,
`cannot_write`. `changed()` is called on the loop when something has happened by itself: the recording has
failed, a new file was begun and perhaps the oldest removed, frames were dropped.
"""

import asyncio
import contextlib
import importlib.util
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import can

from listener.raw_frame import RawFrame
from listener.workbench.recording_thread import FORMATS, Files, Item, Limits, RecordingError, RecordingThread

__all__ = ["FORMATS", "Recorder", "RecordingError"]

# Eight seconds of a bus at its limits; what is recorded waits for the disk in a queue of twice that.
RING_MAX: Final = 100_000
QUEUE_MAX: Final = 2 * RING_MAX
STOP_S: Final = 10.0
FREE_BYTES: Final = 100_000_000


class Recorder:
    def __init__(
        self,
        folder: Path,
        bus: str,
        *,
        pretrigger_s: float = 0.0,
        changed: Callable[[], None] | None = None,
        free_bytes: int = FREE_BYTES,
    ) -> None:
        self._folder = folder
        self._bus = bus
        self._pretrigger_s = pretrigger_s
        self._changed = changed or (lambda: None)
        self._free_bytes = free_bytes
        self._ring: deque[tuple[float, Item]] = deque(maxlen=RING_MAX)
        self._job: RecordingThread | None = None
        self._queue: deque[Item] | None = None
        self._written_before = 0

    def put(self, frame: RawFrame | can.Message, *, is_rx: bool = True) -> None:
        if self._pretrigger_s:
            now = time.monotonic()
            self._ring.append((now, (frame, is_rx)))
            while now - self._ring[0][0] > self._pretrigger_s:
                self._ring.popleft()
        queue = self._queue
        if queue is None:
            return
        if len(queue) < QUEUE_MAX:
            queue.append((frame, is_rx))
        elif self._job is not None:
            self._job.dropped += 1

    def start(
        self,
        file_format: str,
        *,
        name: str = "",
        max_bytes: int | None = None,
        max_s: float | None = None,
        max_files: int | None = None,
    ) -> None:
        if self._job is not None and self._job.state == "recording":
            raise RecordingError("busy", f"{self._bus} is being recorded already, to {self._job.file}")
        _check_format(file_format)
        files = Files(self._folder, self._bus, name, FORMATS[file_format])
        files.begin()
        since = time.monotonic() - self._pretrigger_s
        queue = deque(item for when, item in self._ring if when >= since)
        limits = Limits(max_bytes, max_s, max_files, self._free_bytes)
        self._written_before = self.written
        job = RecordingThread(self._bus, file_format, files, queue, limits, self._tell_from_thread())
        self._job, self._queue = job, queue
        job.thread.start()

    async def stop(self) -> None:
        self._queue = None
        job = self._job
        if job is None or not job.thread.is_alive():
            return
        job.stopping.set()
        await asyncio.to_thread(job.thread.join, STOP_S)
        if job.thread.is_alive():
            job.fail(f"the disk has not answered for {STOP_S:g} s")

    @property
    def written(self) -> int:
        return self._written_before + (self._job.written if self._job is not None else 0)

    @property
    def file(self) -> str | None:
        return self._job.file if self._job is not None and self._job.state == "recording" else None

    def status(self) -> dict[str, Any]:
        if self._job is None:
            return {"bus": self._bus, "state": "idle", **_NOTHING}
        return {"bus": self._bus, "state": self._job.state, **self._job.status()}

    def _tell_from_thread(self) -> Callable[[], None]:
        loop = asyncio.get_running_loop()

        def told() -> None:
            if self._job is not None and self._job.state != "recording":
                self._queue = None
            self._changed()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(told)

        return tell


_NOTHING: Final[dict[str, Any]] = {
    "reason": "",
    "format": None,
    "file": None,
    "files": [],
    "removed": 0,
    "frames": 0,
    "bytes": 0,
    "dropped": 0,
    "not_in_format": 0,
    "started": None,
}


def _check_format(file_format: str) -> None:
    if file_format not in FORMATS:
        raise RecordingError("bad_format", f"{file_format[:40]!r} is none of {', '.join(FORMATS)}")
    if file_format == "mf4" and importlib.util.find_spec("asammdf") is None:
        raise RecordingError("bad_format", "mf4 needs: pip install asammdf")
