"""What every command of `lesrides` needs: the configuration, the database, the terminal."""

import contextlib
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from listener import config
from listener.rides import opening, plot, store
from listener.rides.store import Filter, NoSuchRide, Ride

LAST: Final = "last"
# Shorter work needs no progress bar; and one need not move more often than the second.
PATIENCE_S: Final = 1.0
MOVE_S: Final = 0.1
BAR: Final = 24
_PLAIN: Final = str.maketrans("²³", "23")


class Complaint(Exception):  # noqa: N818 - what the user is told
    """One line that says what is wrong."""


class Tools:
    def __init__(self, config_file: str | None, database: str | None) -> None:
        loaded = config.load({"config": config_file}, os.environ, Path.cwd())
        self.config = loaded.config
        self.found = Path()
        self._is_ready = False
        self._paths = opening.candidates(database, self.config.database.path, os.environ)
        self.glyphs = plot.glyphs_for(sys.stdout.encoding)
        self.width = shutil.get_terminal_size().columns

    def is_there(self) -> bool:
        """The database, and something in it."""
        found = opening.existing(self._paths)
        return bool(found) and found[0].stat().st_size > 0

    def path(self, *, make: bool = False) -> Path:
        """The database, ready to be opened; `make` makes one if there is none."""
        if self._is_ready:
            return self.found
        found = opening.existing(self._paths)
        if not found and not make:
            raise opening.missing(self._paths)
        path = self.found = found[0] if found else self._paths[0]
        opening.prepare(path, make=make)
        for other in found[1:]:
            remark(f"this is {path}; there is also {other} (--database)")
        self._is_ready = True
        return path

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with opening.reading(self.path()) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        with opening.writing(self.path()) as connection:
            yield connection

    def say(self, lines: Iterable[str]) -> None:
        for line in lines:
            sys.stdout.write((line.translate(_PLAIN) if self.glyphs is plot.ASCII else line) + "\n")


def say_bytes(text: bytes) -> None:
    """As it is, whatever the terminal thinks that text is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def write_whole(path: Path, content: bytes) -> None:
    """Or not at all, and what was there stays; unless it is a device or a pipe."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = path.resolve()  # a link stays one
        part = target.with_name(f".lesrides-{os.getpid()}.part")
        try:
            part.write_bytes(content)
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise Complaint(f"{path}: {exc.strerror or exc}") from None


def remark(text: str) -> None:
    """One line, whatever is in it."""
    line = "".join(char if char.isprintable() else " " for char in text)
    sys.stderr.write(f"lesrides: {line}\n")
    sys.stderr.flush()


def find(connection: sqlite3.Connection, which: str) -> Ride:
    if which != LAST:
        return store.find(connection, which)
    rides, _ = store.rides(connection, Filter(), limit=1)
    if not rides:
        raise NoSuchRide("there are no rides yet")
    return rides[0]


def find_finished(connection: sqlite3.Connection, which: str) -> Ride:
    ride = find(connection, which)
    if ride.reason is None:
        raise Complaint(f"ride {ride.number} is in progress")
    return ride


class Progress:
    """A bar on stderr, if that is a terminal and the work takes long."""

    def __init__(self, name: str, total: int) -> None:
        self._name = name
        self._total = total
        self._shown = sys.stderr.isatty() and total > 0
        self._next = time.monotonic() + PATIENCE_S
        self._drawn = 0

    def at(self, done: int, more: str) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + MOVE_S
        share = min(1.0, done / self._total)
        bar = f"{'#' * round(share * BAR):.<{BAR}}"
        room = max(1, shutil.get_terminal_size().columns - 1)
        line = f"{self._name}  [{bar}] {share:4.0%}  {more}"[:room]
        sys.stderr.write(f"\r{line:<{self._drawn}}")
        sys.stderr.flush()
        self._drawn = len(line)

    def clear(self) -> None:
        if self._drawn:
            sys.stderr.write(f"\r{'':<{self._drawn}}\r")
            sys.stderr.flush()
            self._drawn = 0
