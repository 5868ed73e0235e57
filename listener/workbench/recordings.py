"""The recordings that lie in the folder. RecordingError: `not_found`, `bad_name`, `busy`,
`cannot_read` or `cannot_write`.

recordings = Recordings(folder, in_use=lambda: [names of files that recorders write])
recordings.list()             [{name, format, size, modified, recording}], newest first
recordings.path(name)         to replay it
recordings.open(name)         for a download, also while it is being written
recordings.delete(name)       `busy` while it is being written
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO, Final

from listener.workbench import folders
from listener.workbench.recording import FORMATS, RecordingError

FORMAT_OF: Final = {suffix: file_format for file_format, suffix in FORMATS.items()}

Entries = list[dict[str, Any]]


class Recordings:
    def __init__(self, folder: Path, *, in_use: Callable[[], Collection[str | None]] = tuple) -> None:
        self._folder = folder
        self._in_use = in_use

    def list(self) -> Entries:
        used = self._in_use()
        found: Entries = []
        for name in folders.names(self._folder, FORMAT_OF):
            try:
                status = (self._folder / name).stat()
            except OSError:
                continue  # deleted meanwhile
            found.append(
                {
                    "name": name,
                    "format": FORMAT_OF[Path(name).suffix.lower()],
                    "size": status.st_size,
                    "modified": status.st_mtime,
                    "recording": name in used,
                }
            )
        return sorted(found, key=lambda each: each["modified"], reverse=True)

    def path(self, name: str) -> Path:
        try:
            path = folders.find(self._folder, folders.below(name, FORMAT_OF))
        except folders.BadName as exc:
            raise RecordingError("bad_name", str(exc)) from None
        if path is None:
            raise RecordingError("not_found", f"there is no recording {name}")
        return path

    def open(self, name: str) -> BinaryIO:
        try:
            return self.path(name).open("rb")
        except FileNotFoundError:  # deleted meanwhile
            raise RecordingError("not_found", f"there is no recording {name}") from None
        except OSError as exc:
            raise RecordingError("cannot_read", f"{name}: {exc.strerror}") from exc

    def delete(self, name: str) -> None:
        path = self.path(name)
        if path.relative_to(self._folder).as_posix() in self._in_use():
            raise RecordingError("busy", f"{name} is being recorded")
        try:
            path.unlink()
        except OSError as exc:
            raise RecordingError("cannot_write", f"{name}: {exc.strerror}") from exc
