"""The library of database files: kept in one folder, loaded for buses, remembered over restarts.

DBC, ARXML, KCD and SYM, as cantools reads them, in a process of its own with bounds of time and memory.
Everything that can be wrong is a `DbcError`; its `kind` is one of `not_found`, `bad_name`, `too_large`,
`too_many`, `broken` (the text has cantools' reason in one line) and `cannot_write`.

    library = DatabaseLibrary(folder)
    problems = await library.open()               loads what was loaded before; a sentence for each that fails
    info = await library.upload(name, content)    checked, then kept under its plain name; may replace one
    info = await library.load(bus, name)          name: below the folder, as `list` tells it; reads it again
    await library.unload(bus, name)               `not_found` if it is not loaded
    await library.delete(name)                    unloads it everywhere
    infos = await library.list()
    library.loaded(bus)                           tuple of FileInfo, in the order of loading
    library.codec(bus)                            the bus's Codec, the same object for good

1. Names are paths below the folder, as `folders` has them.
2. What was loaded and cannot be read at the start stays in the list, with the reason in `warning`, until it
   is unloaded or read again.
3. One change at a time; each is on the disk before it is told as done.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

import listener
from listener.workbench import folders
from listener.workbench.codec import Codec
from listener.workbench.dbc_reading import FORMATS, TOO_MUCH_MEMORY
from listener.workbench.descriptions import FileContents, MessageDescription

SUFFIXES: Final = tuple(f".{each}" for each in FORMATS)
SIZE_MAX: Final = 10_000_000
READING_S: Final = 20.0
FILES_MAX: Final = 500
LOADED_MAX: Final = 100
SIGNALS_MAX: Final = 300_000
_BATCH: Final = 200  # messages, about a millisecond
_BREAK_S: Final = 0.001
STATE_FILE: Final = ".loaded.json"


class DbcError(Exception):
    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(text)


class FileInfo(msgspec.Struct, frozen=True):
    name: str
    size: int
    modified: float
    buses: tuple[str, ...] = ()  # for which it is loaded
    message_count: int | None = None  # None: not read
    warning: str = ""  # such as overlapping signals


# The library has a method of this name.
Infos = list[FileInfo]
Names = list[str]


class _State(msgspec.Struct):
    buses: dict[str, list[str]]


class DatabaseLibrary:
    def __init__(self, folder: Path, *, reading_s: float = READING_S) -> None:
        self._folder = folder
        self._reading_s = reading_s
        self._changing = asyncio.Lock()
        self._loaded: dict[str, list[str]] = {}
        self._contents: dict[str, FileContents] = {}
        self._failures: dict[str, str] = {}
        self._codecs: dict[str, Codec] = {}
        # What was uploaded is loaded next.
        self._last: tuple[tuple[str, bytes], FileContents] | None = None

    async def open(self) -> Names:
        async with self._changing:
            problems = []
            try:
                self._loaded = await asyncio.to_thread(self._remembered)
            except (OSError, msgspec.MsgspecError) as exc:
                problems.append(f"{self._folder / STATE_FILE}: {exc}")
            for name in {name: None for names in self._loaded.values() for name in names}:
                try:
                    self._contents[name] = await self._read(name)
                except DbcError as exc:
                    self._failures[name] = str(exc)
                    problems.append(str(exc))
            self._tell()
            return problems

    async def upload(self, name: str, content: bytes) -> FileInfo:
        name = _checked(folders.plain, name)
        if len(content) > SIZE_MAX:
            raise DbcError("too_large", f"{name}: {len(content)} octets; {SIZE_MAX} can be kept")
        async with self._changing:
            infos = await self._list()
            if len(infos) >= FILES_MAX and all(info.name != name for info in infos):
                raise DbcError("too_many", f"{FILES_MAX} files are kept already")
            contents = await self._parse(name, content)
            if name in self._contents:
                self._check_room(contents)
            await asyncio.to_thread(self._keep, name, content)
            if any(name in names for names in self._loaded.values()):
                self._take(contents)
                self._tell()
            return await asyncio.to_thread(self._info, name, contents)

    async def load(self, bus: str, name: str) -> FileInfo:
        name = _checked(folders.below, name)
        async with self._changing:
            contents = await self._read(name)
            self._check_room(contents)
            names = [each for each in self._loaded.get(bus, []) if each != name]
            changed = {**self._loaded, bus: [*names, name]}
            if sum(map(len, changed.values())) > LOADED_MAX:
                raise DbcError("too_many", f"{LOADED_MAX} files are loaded already")
            await self._change(changed)
            self._take(contents)
            self._tell()
            return await asyncio.to_thread(self._info, name, contents)

    async def unload(self, bus: str, name: str) -> None:
        name = _checked(folders.below, name)
        async with self._changing:
            names = self._loaded.get(bus, [])
            if name not in names:
                raise DbcError("not_found", f"{name} is not loaded for {bus}")
            await self._change({**self._loaded, bus: [each for each in names if each != name]})
            self._tell()

    async def delete(self, name: str) -> None:
        name = _checked(folders.below, name)
        async with self._changing:
            path = await asyncio.to_thread(folders.find, self._folder, name)
            if path is None:
                raise DbcError("not_found", f"there is no file {name}")
            buses = self._loaded.items()
            await self._change({bus: [each for each in names if each != name] for bus, names in buses})
            self._tell()
            await asyncio.to_thread(_written, name, path.unlink)

    async def list(self) -> Infos:
        return await self._list()

    def loaded(self, bus: str) -> tuple[FileInfo, ...]:
        return tuple(self._info(name, self._contents.get(name)) for name in self._loaded.get(bus, []))

    def codec(self, bus: str) -> Codec:
        return self._codecs.setdefault(bus, Codec())

    # The folder

    async def _read(self, name: str) -> FileContents:
        def read() -> bytes:
            path = folders.find(self._folder, name)
            if path is None:
                raise DbcError("not_found", f"there is no file {name}")
            try:
                with path.open("rb") as file:
                    return file.read(SIZE_MAX + 1)
            except OSError as exc:
                raise DbcError("broken", f"{name}: {exc.strerror}") from exc

        content = await asyncio.to_thread(read)
        if len(content) > SIZE_MAX:
            raise DbcError("too_large", f"{name}: more than {SIZE_MAX} octets")
        return await self._parse(name, content)

    def _keep(self, name: str, content: bytes) -> None:
        _written(name, lambda: folders.write(self._folder, name, content))

    async def _list(self) -> Infos:
        def run() -> Infos:
            names = itertools.islice(folders.names(self._folder, SUFFIXES), 2 * FILES_MAX)
            return [self._info(name, self._contents.get(name)) for name in names]

        return await asyncio.to_thread(run)

    def _info(self, name: str, contents: FileContents | None) -> FileInfo:
        size, modified = 0, 0.0
        with contextlib.suppress(OSError):
            status = (self._folder / name).stat()
            size, modified = status.st_size, status.st_mtime
        return FileInfo(
            name,
            size,
            modified,
            tuple(bus for bus, names in self._loaded.items() if name in names),
            None if contents is None else len(contents.messages),
            self._failures.get(name, "") if contents is None else contents.warning,
        )

    # What is loaded

    def _remembered(self) -> dict[str, Names]:
        try:
            content = (self._folder / STATE_FILE).read_bytes()
        except FileNotFoundError:
            return {}
        buses = msgspec.json.decode(content, type=_State).buses
        return {bus: [name for name in names if _is_below(name)] for bus, names in buses.items()}

    async def _change(self, loaded: dict[str, Names]) -> None:
        """On the disk first: what is told as loaded is loaded after a restart."""
        loaded = {bus: names for bus, names in loaded.items() if names}
        if loaded != self._loaded:
            content = json.dumps({"buses": loaded}, indent=1).encode()
            await asyncio.to_thread(self._keep, STATE_FILE, content)
            self._loaded = loaded

    def _take(self, contents: FileContents) -> None:
        self._contents[contents.name] = contents
        self._failures.pop(contents.name, None)

    def _check_room(self, contents: FileContents) -> None:
        others = [each for name, each in self._contents.items() if name != contents.name]
        count = sum(len(message.signals) for each in [*others, contents] for message in each.messages)
        if count > SIGNALS_MAX:
            raise DbcError("too_many", f"{count} signals in all files; {SIGNALS_MAX} can be loaded")

    def _tell(self) -> None:
        """The codecs get what is loaded; what is not loaded any more is forgotten."""
        wanted = {name for names in self._loaded.values() for name in names}
        for known in (self._contents, self._failures):
            for name in known.keys() - wanted:
                del known[name]
        for bus in self._loaded.keys() | self._codecs.keys():
            files = [self._contents[name] for name in self._loaded.get(bus, []) if name in self._contents]
            codec = self.codec(bus)
            if codec.files != tuple(files):
                codec.replace(files)

    # Reading

    async def _parse(self, name: str, content: bytes) -> FileContents:
        file_format = PurePosixPath(name).suffix.lower().removeprefix(".")
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).digest())
        if self._last is None or self._last[0] != (name, digest):
            output = await _read_in_process(name, content, file_format, self._reading_s)
            self._last = (name, digest), await asyncio.to_thread(_contents, name, output)
        return self._last[1]


async def _read_in_process(name: str, content: bytes, file_format: str, limit_s: float) -> bytes:
    # It finds this package where it is, installed or not.
    environment = {**os.environ, "PYTHONPATH": str(Path(listener.__file__).parents[1])}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "listener.workbench.dbc_reading", file_format),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(limit_s):
            output, complaint = await process.communicate(content)
    except TimeoutError:
        reason = f"it takes more than {limit_s:g} s to read; see [workbench] dbc_reading_s"
        raise DbcError("broken", f"{name}: {reason}") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        if b"MemoryError" in complaint:  # and too little left to say so itself
            raise DbcError("broken", f"{name}: {TOO_MUCH_MEMORY}")
        last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        raise DbcError("broken", f"{name}: {last or f'its reader ended with {process.returncode}'}")
    return output


def _contents(name: str, output: bytes) -> FileContents:
    """For a thread; it takes breaks, in which the loop has its turn."""
    header, *lines = output.split(b"\n")
    first = msgspec.json.decode(header, type=dict[str, str])
    if "error" in first:
        raise DbcError("broken", f"{name}: {first['error']}")
    decoder = msgspec.json.Decoder(MessageDescription)
    messages: list[MessageDescription] = []
    for line in lines:
        messages.append(decoder.decode(line))
        if len(messages) % _BATCH == 0:
            time.sleep(_BREAK_S)
    return FileContents(name, tuple(messages), first["warning"])


def _checked(check: Callable[[str, Collection[str]], str], name: str) -> str:
    try:
        return check(name, SUFFIXES)
    except folders.BadName as exc:
        raise DbcError("bad_name", str(exc)) from None


def _is_below(name: str) -> bool:
    with contextlib.suppress(folders.BadName):
        return folders.below(name, SUFFIXES) == name
    return False


def _written(name: str, action: Callable[[], None]) -> None:
    try:
        action()
    except OSError as exc:
        raise DbcError("cannot_write", f"{name}: {exc.strerror}") from exc
