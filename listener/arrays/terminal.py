"""What every command of `lesarrays` needs of the terminal and of the disk."""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

UNHEALTHY: Final = 1
TROUBLE: Final = 2
INTERRUPTED: Final = 130
# Shorter work needs no progress bar; and one need not move more often than the second.
PATIENCE_S: Final = 0.5
MOVE_S: Final = 0.1
BAR: Final = 24


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def remark(line: str, program: str = "lesarrays") -> None:
    """One line, whatever is in it."""
    shown = "".join(char if char.isprintable() else " " for char in line)
    sys.stderr.write(f"{program}: {shown}\n")
    sys.stderr.flush()


def size_words(octets: float) -> str:
    for unit in ("B", "kB", "MB"):
        if octets < 1000:
            return f"{octets:.0f} B" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    return f"{octets:.1f} GB"


class Progress:
    """A bar on stderr, if that is a terminal and the work takes long."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_shown = sys.stderr.isatty()
        self._began = time.monotonic()
        self._next = self._began + PATIENCE_S
        self._drawn = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            sys.stderr.write(f"\r{'':<{self._drawn}}\r")
            sys.stderr.flush()

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if not self._is_shown or now < self._next:
            return
        self._next = now + MOVE_S
        pace = f"{size_words(done)}, {size_words(done / (now - self._began))}/s"
        if of:
            share = min(1.0, done / of)
            pace = f"[{'#' * round(share * BAR):.<{BAR}}] {share:4.0%}  {pace}"
        line = f"{self._name}  {pace}"[: max(1, shutil.get_terminal_size().columns - 1)]
        sys.stderr.write(f"\r{line:<{self._drawn}}")
        sys.stderr.flush()
        self._drawn = max(self._drawn, len(line))


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Or not at all, and what was there stays; unless it is a device or a pipe. "-" is stdout."""
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()  # a link stays one
    part = target.with_name(f".lesarrays-{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    except OSError as exc:
        if exc.filename == str(part):  # which nobody has asked for
            exc.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)
