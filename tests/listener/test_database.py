import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from listener import database
from listener.database import Database, StorageError, default_path
from listener.schema import MIGRATIONS


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = Database(tmp_path / "state" / "les02.db", busy_s=0.1)
    db.start()
    yield db
    await db.stop(5.0)


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def put(name: str, value: str) -> database.Job[None]:
    def job(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    return job


def get(name: str) -> database.Job[str | None]:
    def job(connection: sqlite3.Connection) -> str | None:
        row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    return job


async def test_what_is_written_is_read_and_the_folder_is_made(db: Database) -> None:
    await db.write(put("a", "1"))
    assert await db.read(get("a")) == "1"
    assert db.path.exists()


async def test_a_job_that_fails_has_not_happened_and_its_error_is_the_callers(db: Database) -> None:
    def fails(connection: sqlite3.Connection) -> None:
        put("a", "1")(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.write(fails)
    assert await db.read(get("a")) is None


async def test_the_loop_does_not_wait_for_the_disk(db: Database) -> None:
    busy = threading.Event()
    slow = asyncio.ensure_future(db.write(lambda _connection: busy.wait(5)))
    began = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - began < 1.0
    assert not slow.done()
    busy.set()
    assert await slow


async def test_a_write_is_done_even_when_nobody_waits_for_it_any_more(db: Database) -> None:
    free = threading.Event()

    def job(connection: sqlite3.Connection) -> None:
        free.wait(5)
        put("a", "1")(connection)

    writing = asyncio.create_task(db.write(job))
    await asyncio.sleep(0.01)
    writing.cancel()
    free.set()
    assert await db.read(get("a")) == "1"


async def test_too_many_jobs_are_refused_instead_of_piled_up(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "QUEUE_LIMIT", 2)
    free = threading.Event()
    jobs = [asyncio.ensure_future(db.read(lambda _connection: free.wait(5)))]
    await asyncio.sleep(0.05)  # the thread has taken the first
    jobs += [asyncio.ensure_future(db.read(lambda _connection: free.wait(5))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StorageError) as caught:
        await db.read(get("a"))
    assert caught.value.kind == "busy"
    free.set()
    await asyncio.gather(*jobs)


async def test_a_commit_is_on_the_disk(db: Database) -> None:
    def pragmas(connection: sqlite3.Connection) -> tuple[str, int]:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
        return mode, synchronous

    assert await db.read(pragmas) == ("wal", 2)


async def test_a_full_disk_is_told_and_storing_resumes_when_there_is_room(db: Database) -> None:
    await db.write(put("a", "1"))

    def limit(pages: int) -> database.Job[object]:
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await db.read(limit(1))
    with pytest.raises(StorageError) as caught:
        await db.write(put("b", "x" * 1_000_000))
    assert (caught.value.kind, "full" in str(caught.value)) == ("full", True)
    await db.read(limit(1_000_000))
    await db.write(put("b", "x" * 1_000_000))
    assert await db.read(get("a")) == "1"


async def test_a_file_that_another_program_has_locked_is_told_and_used_again_when_it_is_free(
    db: Database,
) -> None:
    await db.write(put("a", "1"))
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError) as caught:
        await db.write(put("b", "2"))
    assert caught.value.kind == "locked"
    assert await db.read(get("a")) == "1"
    other.close()
    await db.write(put("b", "2"))
    assert await db.read(get("b")) == "2"


@pytest.mark.parametrize(
    "content",
    [b"this is no database" * 1000, os.urandom(10_000), b"SQLite format 3\0" + bytes(9000)],
    ids=["text", "noise", "only a header"],
)
async def test_a_file_that_is_no_database_is_moved_aside_and_a_new_one_takes_its_place(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "les02.db"
    path.write_bytes(content)
    told: list[tuple[str, Path | None]] = []
    db = Database(path, replaced=lambda why, aside: told.append((why, aside)))
    db.start()
    with capture_logs() as logs:
        await db.write(put("a", "1"))
    assert await db.read(get("a")) == "1"
    await asyncio.sleep(0)
    ((why, aside),) = told
    assert why == "corrupt"
    assert aside is not None
    assert aside.read_bytes() == content
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["database_moved_aside"]
    await db.stop(5.0)


async def test_a_file_that_breaks_while_it_is_in_use_is_moved_aside_when_something_is_to_be_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "les02.db"
    schema = MIGRATIONS[:1]  # which the first page has room for
    db = Database(path, migrations=schema)
    db.start()
    for number in range(50):
        await db.write(put(str(number), "x" * 5000))
    await db.stop(5.0)
    broken = bytearray(path.read_bytes())
    broken[4096:] = os.urandom(len(broken) - 4096)  # all but the first page
    path.write_bytes(broken)
    told: list[tuple[str, Path | None]] = []
    db = Database(path, migrations=schema, replaced=lambda why, aside: told.append((why, aside)))
    db.start()
    with pytest.raises(StorageError) as caught:
        await db.read(get("7"))
    assert (caught.value.kind, told) == ("corrupt", [])
    await db.write(put("a", "1"))
    await asyncio.sleep(0)
    assert await db.read(get("a")) == "1"
    assert len(told) == 1
    await db.stop(5.0)


async def test_a_broken_file_is_left_where_it_is_by_who_shall_not_move_it(tmp_path: Path) -> None:
    path = tmp_path / "les02.db"
    path.write_bytes(b"this is no database" * 1000)
    db = Database(path, move_broken=False)
    db.start()
    with pytest.raises(StorageError) as caught:
        await db.write(put("a", "1"))
    assert caught.value.kind == "corrupt"
    await db.stop(5.0)
    assert names_in(tmp_path) == ["les02.db"]
    assert path.read_bytes() == b"this is no database" * 1000


async def test_letters_of_any_language_have_two_cases(db: Database) -> None:
    def lowered(connection: sqlite3.Connection) -> tuple[object, ...]:
        row: tuple[object, ...] = connection.execute(
            "SELECT lower('GRÖSSE ẞ'), lower(NULL), lower(5)"
        ).fetchone()
        return row

    assert await db.read(lowered) == ("grösse ss", None, 5)


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "les02.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    db = Database(path)
    db.start()
    with pytest.raises(StorageError) as caught:
        await db.write(put("a", "1"))
    assert caught.value.kind == "newer"
    await db.stop(5.0)
    assert path.read_bytes() == before


async def test_half_a_migration_is_none(tmp_path: Path) -> None:
    path = tmp_path / "les02.db"
    bad = (*MIGRATIONS, "CREATE TABLE more (x);\nCREATE TABLE rides (x);")
    db = Database(path, migrations=bad)
    db.start()
    with pytest.raises(StorageError, match="already exists"):
        await db.write(put("a", "1"))
    await db.stop(5.0)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    db = Database(tmp_path / "file" / "les02.db")
    db.start()
    with pytest.raises(StorageError) as caught:
        await db.write(put("a", "1"))
    assert caught.value.kind == "cannot_open"
    await db.stop(5.0)


async def test_who_claims_the_file_has_it_alone_until_it_ends(db: Database) -> None:
    db.claim()
    await db.write(put("a", "1"))
    second = Database(db.path)
    second.claim()
    second.start()
    for job in (second.read, second.write):
        with pytest.raises(StorageError) as caught:
            await job(get("a"))
        assert caught.value.kind == "in_use"
    await db.stop(5.0)
    assert await second.read(get("a")) == "1"
    await second.stop(5.0)


async def test_who_does_not_claim_the_file_works_beside_who_does(db: Database) -> None:
    db.claim()
    await db.write(put("a", "1"))
    beside = Database(db.path)
    beside.start()
    await beside.write(put("b", "2"))
    await beside.stop(5.0)
    assert await db.read(get("b")) == "2"


async def test_who_is_refused_has_touched_nothing(db: Database) -> None:
    """Not even a file that looks broken, or old."""
    db.claim()
    await db.write(put("a", "1"))
    db.path.write_bytes(b"this is no database")
    second = Database(db.path)
    second.claim()
    second.start()
    with pytest.raises(StorageError) as caught:
        await second.write(put("b", "2"))
    assert caught.value.kind == "in_use"
    await second.stop(5.0)
    assert db.path.read_bytes() == b"this is no database"


async def test_a_file_has_one_claim_under_all_its_names_and_keeps_it_when_it_is_moved_aside(
    tmp_path: Path, db: Database
) -> None:
    db.path.parent.mkdir()
    db.path.write_bytes(b"this is no database" * 100)
    (tmp_path / "link.db").symlink_to(db.path)
    db.claim()
    with capture_logs():
        await db.write(put("a", "1"))
    second = Database(tmp_path / "link.db")
    second.claim()
    second.start()
    with pytest.raises(StorageError) as caught:
        await second.read(get("a"))
    assert caught.value.kind == "in_use"
    await second.stop(5.0)


async def test_a_claim_that_another_user_has_left_behind_does_not_matter(db: Database) -> None:
    db.path.parent.mkdir()
    os.close(os.open(f"{db.path}.lock", os.O_CREAT | os.O_RDONLY, 0o444))
    db.claim()
    await db.write(put("a", "1"))


async def test_a_claim_in_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    db = Database(tmp_path / "file" / "les02.db")
    db.claim()
    db.start()
    with pytest.raises(StorageError) as caught:
        await db.write(put("a", "1"))
    assert caught.value.kind == "cannot_open"
    await db.stop(5.0)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"STATE_DIRECTORY": "/var/lib/les02", "HOME": "/root"}, "/var/lib/les02/les02.db"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a/les02.db"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/home/pi"}, "/x/les02-listener/les02.db"),
        ({"HOME": "/home/pi"}, "/home/pi/.local/state/les02-listener/les02.db"),
    ],
)
def test_the_file_lies_where_systemd_or_the_user_keeps_state(environ: dict[str, str], path: str) -> None:
    assert default_path(environ) == Path(path)


async def test_a_disk_that_hangs_does_not_hold_the_exit(db: Database) -> None:
    free = threading.Event()
    hanging = asyncio.ensure_future(db.write(lambda _connection: free.wait(5)))
    await asyncio.sleep(0.01)
    with capture_logs() as logs:
        await db.stop(0.05)
    assert [line["event"] for line in logs] == ["database_does_not_end"]
    free.set()
    await hanging


def put_in_its_place(path: Path, other: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    if other.exists():
        other.rename(path)


@pytest.mark.parametrize("another", [False, True], ids=["deleted", "another in its place"])
async def test_a_file_that_goes_away_is_told_and_what_is_there_now_is_used(
    tmp_path: Path, another: bool
) -> None:
    path = tmp_path / "les02.db"
    if another:
        other = Database(tmp_path / "other.db")
        other.start()
        await other.write(put("a", "another"))
        await other.stop(5.0)
    told: list[tuple[str, Path | None]] = []
    db = Database(path, replaced=lambda why, aside: told.append((why, aside)))
    db.start()
    await db.write(put("a", "1"))
    await asyncio.to_thread(put_in_its_place, path, tmp_path / "other.db")
    with capture_logs() as logs:
        assert await db.read(get("a")) == ("another" if another else None)
        await db.write(put("b", "2"))
    await db.stop(5.0)
    assert told == [("gone", None)]
    assert [line["event"] for line in logs] == ["database_gone"]
    with sqlite3.connect(path) as connection:
        assert get("b")(connection) == "2"
    connection.close()


async def test_a_file_that_may_be_written_again_is(db: Database) -> None:
    await db.write(put("a", "1"))
    await db.read(lambda connection: connection.execute("PRAGMA query_only = ON"))
    with pytest.raises(StorageError) as failed:
        await db.write(put("a", "2"))
    assert failed.value.kind == "read_only"
    await db.write(put("a", "3"))
    assert await db.read(get("a")) == "3"
