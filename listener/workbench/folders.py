"""Names from outside, and the files that they stand for in one folder.

A name is a path below the folder: never absolute, never with `..`, no part begins with a dot, and where links
lead counts. `BadName` says what is wrong with it.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

NAME_MAX: Final = 200  # octets; file systems allow 255


class BadName(ValueError):  # noqa: N818 - the name is
    """Text: the name, and what is wrong with it."""


def below(name: str, suffixes: Collection[str]) -> str:
    """The one spelling of it."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
        raise BadName(f"{shown(name)} is not a path below the folder")
    if any(part.startswith(".") for part in path.parts):
        raise BadName(f"{shown(name)}: names do not begin with a dot")
    if len(os.fsencode(name)) > NAME_MAX:
        raise BadName(f"{shown(name)} is longer than {NAME_MAX} octets")
    if path.suffix.lower() not in suffixes:
        raise BadName(f"{shown(name)} is of none of the formats {', '.join(suffixes)}")
    return str(path)


def plain(name: str, suffixes: Collection[str]) -> str:
    if "/" in name:
        raise BadName(f"{shown(name)} is not the plain name of a file")
    return below(name, suffixes)


def find(folder: Path, name: str) -> Path | None:
    """Where it lies; None if there is no such file, or a link leads out of the folder."""
    path = folder / name
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
        return path if is_inside and path.is_file() else None
    except (OSError, RuntimeError):  # a circle of links, a name too long
        return None


def names(folder: Path, suffixes: Collection[str]) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            name = (Path(place) / file).relative_to(folder).as_posix()
            with contextlib.suppress(BadName):
                if below(name, suffixes) == name and find(folder, name):
                    yield name


def write(folder: Path, name: str, content: bytes) -> None:
    """All of it or nothing, also when the power fails."""
    folder.mkdir(parents=True, exist_ok=True)
    file = tempfile.NamedTemporaryFile(dir=folder, prefix=".new-", delete=False)  # noqa: SIM115
    temporary = Path(file.name)
    try:
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(folder / name)  # closed, or Windows would refuse
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sys.platform == "win32":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shown(name: str) -> str:
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
    return repr(clean if len(clean) <= 60 else f"{clean[:59]}…")
