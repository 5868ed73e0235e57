"""One SQLite file and the one thread that may touch it. The event loop never waits for a disk.

1. A job is a function of the connection; what it does is one transaction, or did not happen.
2. A commit is on the disk when it returns (WAL with `synchronous = FULL`): a power cut costs what was not
   committed yet, and nothing else.
3. What goes wrong is a `StorageError` with its kind; the next job tries anew, so that storing resumes by
   itself when there is room again, or when whoever locked the file has gone.
4. A file that is no database, or a broken one when something is to be written, is moved aside, and a new one
   takes its place. One that a newer version has written is left alone.
5. A file that was deleted, or another put in its place while this runs: it is told, and what is there now is
   used, as a new one is.
6. Who has claimed the file is its only listener: another one that claims it is refused, each job as `in_use`,
   until the first has ended. Who does not claim it (`lesrides`) works beside them.
"""

import asyncio
import contextlib
import errno
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from listener.file_lock import lock
from listener.schema import MIGRATIONS

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

FILE_NAME: Final = "les02.db"
# Who waits longer for another program's lock is told so.
BUSY_S: Final = 5.0
# Jobs that wait; more, and the disk is not keeping up.
QUEUE_LIMIT: Final = 256
_BROKEN: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# These pass without the file being opened anew.
_PASSING: Final = {"full", "locked"}
_KINDS: Final = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_CANTOPEN: "cannot_open",
    sqlite3.SQLITE_PERM: "cannot_open",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
}


class StorageError(Exception):
    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def default_path(environ: Mapping[str, str]) -> Path:
    """systemd's folder for the service, else the user's own."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0]) / FILE_NAME
    state = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    return Path(state) / "les02-listener" / FILE_NAME


def lock_of(path: Path) -> Path:
    """A file of its own: the database may be moved aside. Whatever its name here, there is one of it."""
    return Path(f"{os.path.realpath(path)}.lock")


def fold_case(connection: sqlite3.Connection) -> None:
    """SQLite's own `lower` knows no letters but those of English."""
    connection.create_function("lower", 1, _folded, deterministic=True)


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


class Database:
    def __init__(
        self,
        path: Path,
        *,
        migrations: Sequence[str] = MIGRATIONS,
        replaced: Callable[[str, Path | None], None] = lambda _why, _aside: None,
        busy_s: float = BUSY_S,
        move_broken: bool = True,
    ) -> None:
        """`replaced` is called on the loop's thread when another file is used from now on.

        It is given why (`corrupt` or `gone`), and the new name of a broken one. Without `move_broken` such a
        file stays where it is, and is an error.
        """
        self.path = path
        self._migrations = migrations
        self._replaced = replaced
        self._busy_s = busy_s
        self._move_broken = move_broken
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None  # of the file that is open
        self._claimed = False
        self._lock: int | None = None
        self._jobs: queue.SimpleQueue[tuple[Job[Any], bool, Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def claim(self) -> None:
        """For as long as this runs."""
        self._claimed = True

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="database", daemon=True)
        self._thread.start()

    async def stop(self, patience_s: float) -> None:
        """After the jobs that wait; those that do not end in time are given up."""
        if self._thread is None:
            return
        self._jobs.put(None)
        # Not asyncio.to_thread: a disk that hangs must not hold the exit, which joins its threads.
        deadline = time.monotonic() + patience_s
        while self._thread.is_alive() and time.monotonic() < deadline:  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0.01)
        if self._thread.is_alive():
            _log.error("database_does_not_end", path=str(self.path))

    async def read(self, job: Job[T]) -> T:
        return await self._run(job, writes=False)

    async def write(self, job: Job[T]) -> T:
        """Finished even when who asked for it does not wait any more."""
        return await asyncio.shield(asyncio.ensure_future(self._run(job, writes=True)))

    async def _run(self, job: Job[T], *, writes: bool) -> T:
        if self._jobs.qsize() >= QUEUE_LIMIT:
            raise StorageError("busy", f"{QUEUE_LIMIT} jobs wait for the disk")
        future: Future[T] = Future()
        self._jobs.put((job, writes, future))
        return await asyncio.wrap_future(future)

    # On the thread

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, writes, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(self._attempt(job, writes=writes))
            except BaseException as exc:  # noqa: BLE001 - raised again where it is awaited
                future.set_exception(exc)
        self._close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _attempt(self, job: Job[T], *, writes: bool) -> T:
        try:
            self._take()
            self._leave_what_is_gone()
            try:
                return self._transact(job, writes=writes)
            except sqlite3.DatabaseError as exc:
                opened = self._connection is not None
                if not self._move_broken or _code(exc) not in _BROKEN or (opened and not writes):
                    raise
                self._move_aside(exc)
                return self._transact(job, writes=writes)
        except (sqlite3.Error, OSError) as exc:
            kind = _kind(exc)
            if kind not in _PASSING:
                self._close()  # what was wrong with the file when it was opened stays with the connection
            raise StorageError(kind, f"{self.path}: {exc}") from exc

    def _leave_what_is_gone(self) -> None:
        """SQLite goes on writing into a file that has no name any more, and nobody would ever see it."""
        if self._connection is None or self._identity == _identity(self.path):
            return
        self._close()
        _log.error("database_gone", path=str(self.path))
        self._tell("gone", None)

    def _take(self) -> None:
        """Before anything is opened, migrated or moved aside."""
        if not self._claimed or self._lock is not None:
            return
        path = lock_of(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not for writing, so that one that another user has left behind does not matter.
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            if lock(descriptor):
                self._lock = descriptor
        finally:
            if self._lock is None:
                os.close(descriptor)
        if self._lock is None:
            raise StorageError("in_use", f"another listener keeps its rides in {self.path}")

    def _transact(self, job: Job[T], *, writes: bool) -> T:
        connection = self._connection = self._connection or self._open()
        connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        try:
            result = job(connection)
            connection.execute("COMMIT")
        except BaseException:
            # After some errors SQLite has rolled back already.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return result

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None)
        try:
            self._refuse_newer(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            fold_case(connection)
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._identity = _identity(self.path)
        return connection

    def _refuse_newer(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(self._migrations):
            raise StorageError(
                "newer", f"{self.path} was written by a newer version of this program (schema {version})"
            )

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            for script in self._migrations[version:]:
                for statement in _statements(script):
                    connection.execute(statement)
            if version < len(self._migrations):
                connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        if 0 < version < len(self._migrations):
            _log.info(
                "database_migrated", path=str(self.path), from_version=version, to=len(self._migrations)
            )

    def _move_aside(self, why: sqlite3.DatabaseError) -> None:
        self._close()
        stamp = time.strftime("%Y%m%d-%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        number = 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}-{number}")
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{ending}").replace(f"{aside}{ending}")
        _log.error("database_moved_aside", path=str(self.path), to=str(aside), reason=str(why))
        self._tell("corrupt", aside)

    def _tell(self, why: str, aside: Path | None) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                self._loop.call_soon_threadsafe(self._replaced, why, aside)

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _statements(script: str) -> list[str]:
    """`executescript` would commit before it begins, and half a migration is none."""
    statements, text = [], ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            statements.append(text)
            text = ""
    return statements


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _code(exc: BaseException) -> int:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF  # without what makes it an extended code


def _kind(exc: sqlite3.Error | OSError) -> str:
    if isinstance(exc, OSError):
        return "full" if exc.errno == errno.ENOSPC else "cannot_open"
    return _KINDS.get(_code(exc), "failed")
