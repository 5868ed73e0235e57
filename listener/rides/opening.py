"""Where the database is, and how another program than the daemon opens it while the daemon writes.

1. Reading is read-only, and leaves nothing behind.
2. Writing is one short transaction each, and waits for the daemon's at most as long as the daemon would.
3. A file is never moved aside, and made only where something is to be written.
"""

import asyncio
import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from listener.database import BUSY_S, FILE_NAME, Database, default_path, fold_case, lock_of
from listener.file_lock import lock
from listener.schema import MIGRATIONS

# What systemd makes of StateDirectory= in the service's unit.
SERVICE_PATH: Final = Path("/var/lib/les02-listener") / FILE_NAME
HEAD: Final = b"SQLite format 3\0"


class CannotOpen(Exception):  # noqa: N818 - what it is
    """The text names the file."""


def candidates(given: str | None, configured: str, environ: Mapping[str, str]) -> list[Path]:
    """The one that was named, else where the daemon of this user keeps it, else that of the service."""
    if given or configured:
        return [Path(given or configured)]
    return list(dict.fromkeys([default_path(environ), SERVICE_PATH]))


def existing(paths: list[Path]) -> list[Path]:
    return [path for path in paths if _exists(path)]


def missing(paths: list[Path]) -> CannotOpen:
    return CannotOpen(f"there is no database of rides; looked for {' and '.join(map(str, paths))}")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """One moment of the database, whatever is written meanwhile."""
    with contextlib.closing(_for_reading(path)) as connection:
        connection.execute("BEGIN")
        yield connection


@contextlib.contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction."""
    with contextlib.closing(_connect(path, "mode=rw")) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """No listener has the file, and none gets it meanwhile; CannotOpen says which one has it."""
    if not _exists(lock_of(path)):  # none has ever had it
        yield
        return
    descriptor = os.open(lock_of(path), os.O_RDONLY)
    try:
        if not lock(descriptor):
            holder = _holder(os.fstat(descriptor).st_ino)
            raise CannotOpen(f"a listener{holder} keeps its rides in {path}")
        yield
    finally:
        os.close(descriptor)


def _holder(inode: int) -> str:
    """As far as the kernel tells it: 1: FLOCK ADVISORY WRITE 1234 fe:00:56789 0 EOF."""
    with contextlib.suppress(OSError):
        for words in map(str.split, Path("/proc/locks").read_text().splitlines()):
            if (
                "FLOCK" in words
                and "->" not in words
                and words[5].endswith(f":{inode}")
                and int(words[4]) > 0
            ):
                return f" (process {words[4]})"
    return ""


def prepare(path: Path, *, make: bool = False) -> None:
    """A file of this version: an older one is migrated as the daemon would; `make` makes a new one."""
    if _exists(path):
        with path.open("rb") as file:
            head = file.read(len(HEAD))
        if head not in (b"", HEAD):
            raise CannotOpen(f"{path} is no database")
        with contextlib.closing(_for_reading(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if version == len(MIGRATIONS):
            return
        if version > len(MIGRATIONS):
            raise CannotOpen(f"{path} was written by a newer version of this program (schema {version})")
        if version == 0 and (tables or not make):
            raise CannotOpen(f"{path} is no database of rides")
    elif not make:
        raise missing([path])
    # The migration is logged, and the log is not what was asked for.
    with contextlib.redirect_stdout(sys.stderr):
        asyncio.run(_migrate(path))


async def _migrate(path: Path) -> None:
    database = Database(path, move_broken=False)
    database.start()
    try:
        await database.write(lambda _connection: None)
    finally:
        await database.stop(BUSY_S)


def _for_reading(path: Path) -> sqlite3.Connection:
    # Without a -wal file nobody has it open. SQLite would make one even to read, and leave it behind; if that
    # belongs to another user than the daemon's, the daemon cannot write any more.
    alone = not _exists(Path(f"{path}-wal"))
    return _connect(path, "mode=ro&immutable=1" if alone else "mode=ro")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Tried first, as SQLite says of everything that it cannot open the file.
    with path.open("rb"):
        pass
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{mode}"  # a name need not be UTF-8
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
    fold_case(connection)
    return connection


def _exists(path: Path) -> bool:
    """Also where that is not for this user to know: then opening it tells why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
