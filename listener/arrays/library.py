"""The arrays that were uploaded: one .npy file each, and beside it what it is called.

1. An array comes in through an `Incoming`, piece by piece, into a file that nobody sees; `finish` looks at it
   and puts it in its place. Whatever goes wrong before leaves nothing behind.
2. An array keeps its number, also over restarts; that of a deleted one is never given again.
3. The rides are kept on the same disk: some of it stays free for them.
4. Everything here waits for the disk: call it on a thread, on several at once if you like.
"""

import contextlib
import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from listener.arrays.npy import Header, NpyError, read_header
from listener.arrays.opened import Opened

_log = structlog.get_logger(__name__)

NAME_MAX: Final = 200
ENTRIES_MAX: Final = 10_000
FREE_MIN: Final = 256 * 1024 * 1024
_COUNTER: Final = "next_index"
NOT_FOUND: Final = "Array not found"


class ArrayError(Exception):
    """`kind`: `not_an_array`, `too_large`, `full`, `not_there`."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class _Label(msgspec.Struct):
    name: str = ""
    uploaded_ts: float = 0.0


class Entry(msgspec.Struct, frozen=True):
    index: int
    name: str
    uploaded_ts: float
    header: Header
    octets: int  # of the file

    def told(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "shape": list(self.header.shape),
            "dtype": str(self.header.dtype),
            "name": self.name,
            "octets": self.octets,
            "uploaded_ts": self.uploaded_ts,
        }


class Library:
    def __init__(self, folder: Path, *, most: int, most_in_all: int, free_min: int = FREE_MIN) -> None:
        """Octets of one file, of all, and of those that stay free."""
        self.folder = folder
        self.most = most
        self.most_in_all = most_in_all
        self._free_min = free_min
        self._entries: dict[int, Entry] = {}
        self._next = 0
        self._coming = 0  # octets of those that are under way
        self._parts = 0
        self._lock = threading.RLock()

    def open(self) -> None:
        """What is there; what is broken stays where it is, and is told."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in self.folder.glob("*.part"):
            part.unlink()
        for path in sorted(self.folder.glob("*.npy")):
            index = _index(path)
            if index is None:
                continue
            self._next = max(self._next, index + 1)
            try:
                self._entries[index] = self._look(path, index)
            except (OSError, NpyError) as exc:
                _log.error("array_not_read", path=str(path), reason=str(exc))
        for path in self.folder.glob("*.json"):
            index = _index(path)
            if index is not None and not self.path(index).exists():
                path.unlink()  # the power was cut in the middle of `keep`, or of `delete`
        with contextlib.suppress(OSError, ValueError):
            self._next = max(self._next, int((self.folder / _COUNTER).read_text()))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> list[Entry]:
        with self._lock:
            return [self._entries[index] for index in sorted(self._entries)]

    @property
    def octets(self) -> int:
        with self._lock:
            return sum(entry.octets for entry in self._entries.values())

    def find(self, index: int) -> Entry:
        entry = self._entries.get(index)
        if entry is None:
            raise ArrayError("not_there", NOT_FOUND)
        return entry

    def path(self, index: int) -> Path:
        return self.folder / f"{index:08}.npy"

    def opened(self, index: int) -> Opened:
        """To be closed; who deletes it meanwhile does not disturb."""
        entry = self.find(index)
        try:
            return Opened(self.path(index), entry.header)
        except FileNotFoundError:
            raise ArrayError("not_there", NOT_FOUND) from None

    @contextlib.contextmanager
    def incoming(self) -> Iterator["Incoming"]:
        """What is not finished when this is left is gone."""
        with self._lock:
            self._room_for_one()
            self._parts += 1
            incoming = Incoming(self, self.folder / f"incoming-{self._parts}.part")
        try:
            yield incoming
        finally:
            incoming.leave()

    def claim(self, octets: int, of_this: int) -> None:
        """Room for so much more of one of which there will then be so much."""
        with self._lock:
            self.check_size(of_this)
            if self.octets + self._coming + octets > self.most_in_all:
                most = f"{self.most_in_all} octets in all; see [arrays] max_total_bytes"
                raise ArrayError("full", f"more than {most}")
            if shutil.disk_usage(self.folder).free - octets < self._free_min:
                raise ArrayError("full", f"the disk is full: {self._free_min} octets of it stay free")
            self._coming += octets

    def check_size(self, octets: int) -> None:
        if octets > self.most:
            raise ArrayError("too_large", f"more than {self.most} octets; see [arrays] max_bytes")

    def give_back(self, octets: int) -> None:
        with self._lock:
            self._coming -= octets

    def keep(self, part: Path, name: str) -> Entry:
        size = part.stat().st_size
        header = _header(part)
        label = _Label(name[:NAME_MAX], time.time())
        with self._lock:
            self._room_for_one()
            index = self._next
            _write(self.folder / _COUNTER, str(index + 1).encode())
            self._next = index + 1
            try:
                _write(self._label(index), msgspec.json.encode(label))
                part.replace(self.path(index))
            except OSError:
                self._label(index).unlink(missing_ok=True)
                raise
            _sync_folder(self.folder)
            entry = self._entries[index] = Entry(index, label.name, label.uploaded_ts, header, size)
        return entry

    def rename(self, index: int, name: str) -> Entry:
        with self._lock:
            entry = msgspec.structs.replace(self.find(index), name=name[:NAME_MAX])
            _write(self._label(index), msgspec.json.encode(_Label(entry.name, entry.uploaded_ts)))
            self._entries[index] = entry
        return entry

    def delete(self, index: int) -> Entry:
        """Who reads it meanwhile reads it to its end."""
        with self._lock:
            entry = self.find(index)
            self.path(index).unlink(missing_ok=True)
            self._label(index).unlink(missing_ok=True)
            del self._entries[index]
        return entry

    def _room_for_one(self) -> None:
        if len(self._entries) >= ENTRIES_MAX:
            raise ArrayError("full", f"{ENTRIES_MAX} arrays are kept, more are not")

    def _label(self, index: int) -> Path:
        return self.path(index).with_suffix(".json")

    def _look(self, path: Path, index: int) -> Entry:
        label = _Label()
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeError):  # an array without it is one
            label = msgspec.json.decode(self._label(index).read_bytes(), type=_Label)
        size = path.stat().st_size
        with path.open("rb") as file:
            header = read_header(file, size)
        return Entry(index, label.name, label.uploaded_ts, header, size)


class Incoming:
    def __init__(self, library: Library, part: Path) -> None:
        self._library = library
        self._part = part
        self._file = part.open("xb", buffering=0)  # else closing it could fail, when the disk is full
        self._size = 0
        self._promised: int | None = None
        # Who gives up while a thread still writes must not close the file under it.
        self._lock = threading.Lock()

    def write(self, piece: bytes | bytearray) -> None:
        if self._promised is not None and self._size + len(piece) > self._promised:
            raise ArrayError("not_an_array", f"there is more than the {self._promised} octets it promises")
        self._library.claim(len(piece), self._size + len(piece))
        self._size += len(piece)
        with self._lock, memoryview(piece) as view:
            written = 0
            while written < len(view):
                written += self._file.write(view[written:])

    def look(self) -> None:
        """At the header as soon as it is there, so that nobody waits for the end of what will be refused."""
        header = _header(self._part, whole=False)
        self._promised = header.offset + header.size
        self._library.check_size(self._promised)

    def finish(self, name: str) -> Entry:
        with self._lock:
            os.fsync(self._file.fileno())
            self._file.close()
            entry = self._library.keep(self._part, name)
            self._give_back()
        return entry

    def leave(self) -> None:
        with self._lock:
            self._file.close()
            self._part.unlink(missing_ok=True)
            self._give_back()

    def _give_back(self) -> None:
        self._library.give_back(self._size)
        self._size = 0


def _header(path: Path, *, whole: bool = True) -> Header:
    try:
        with path.open("rb") as file:
            return read_header(file, path.stat().st_size if whole else None)
    except NpyError as exc:
        raise ArrayError("not_an_array", str(exc)) from None


def _index(path: Path) -> int | None:
    digits = path.stem
    if not digits.isascii() or not digits.isdecimal() or f"{int(digits):08}" != digits:
        return None
    return int(digits)


def _write(path: Path, content: bytes) -> None:
    """Whole, or as it was before."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb", buffering=0) as file:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, "No space left on device")  # noqa: TRY301 - the next one would say so
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # where a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
