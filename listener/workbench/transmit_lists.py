"""Lists of frames to be sent, by name: one JSON file each in one folder, whole or not at all."""

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from listener.workbench import folders
from listener.workbench.sending import FrameSpec

LISTS_MAX: Final = 200
FRAMES_MAX: Final = 500
_NAME: Final = re.compile(r"[^\W_][\w .()+-]{0,63}")

Label = Annotated[str, msgspec.Meta(max_length=128)]


class ListError(Exception):
    """`kind`: `bad_name`, `not_found`, `too_many`, `cannot_write`."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    frame: FrameSpec
    label: Label = ""
    period_ms: Annotated[float, msgspec.Meta(ge=1, le=3_600_000)] | None = None  # None: once


class TransmitList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    frames: Annotated[tuple[Entry, ...], msgspec.Meta(max_length=FRAMES_MAX)]
    description: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class TransmitLists:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def names(self) -> list[str]:
        return await asyncio.to_thread(self._names)

    async def read(self, name: str) -> TransmitList:
        path = self._path(name)
        try:
            text = await asyncio.to_thread(path.read_bytes)
            return msgspec.json.decode(text, type=TransmitList)
        except FileNotFoundError:
            raise ListError("not_found", f"there is no transmit list {name}") from None
        except (OSError, msgspec.MsgspecError) as exc:
            raise ListError("not_found", f"the transmit list {name} cannot be read: {exc}") from exc

    async def write(self, name: str, content: TransmitList) -> None:
        path = self._path(name)
        await asyncio.to_thread(self._write, path.name, msgspec.json.encode(content))

    async def delete(self, name: str) -> None:
        try:
            await asyncio.to_thread(self._path(name).unlink)
        except FileNotFoundError:
            raise ListError("not_found", f"there is no transmit list {name}") from None
        except OSError as exc:
            raise ListError("cannot_write", f"{name}: {exc.strerror}") from exc

    def _names(self) -> list[str]:
        with contextlib.suppress(OSError):
            return sorted(path.stem for path in self._folder.glob("*.json") if _NAME.fullmatch(path.stem))
        return []

    def _write(self, name: str, text: bytes) -> None:
        if not (self._folder / name).exists() and len(self._names()) >= LISTS_MAX:
            raise ListError("too_many", f"{LISTS_MAX} transmit lists are kept, more are not possible")
        try:
            folders.write(self._folder, name, text)
        except OSError as exc:
            raise ListError("cannot_write", f"{name}: {exc.strerror}") from exc

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ListError("bad_name", f"{name[:64]!r}: letters, digits, spaces and .()+-_ only, 64 at most")
        return self._folder / f"{name}.json"


def told(name: str, content: TransmitList) -> dict[str, Any]:
    return {"name": name, **msgspec.to_builtins(content)}
