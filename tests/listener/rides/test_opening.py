import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from listener.database import StorageError
from listener.rides import opening, store
from listener.rides.opening import CannotOpen, alone, candidates, existing, missing, prepare, reading, writing
from listener.rides.store import Filter
from listener.schema import MIGRATIONS

VERSION_1 = Path(__file__).parents[1] / "stored" / "version-1.sql"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "les02.db"
    prepare(path, make=True)
    return path


@pytest.fixture
def daemon(path: Path) -> Iterator[sqlite3.Connection]:
    """As it holds the file open all the time."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        yield connection


def begin(connection: sqlite3.Connection, ride_id: str) -> int:
    return store.begin(
        connection, ride_id, source="les02", start_ts=1.0, direction="up", resolution_mm=1.0, specimen=""
    )


def count(path: Path) -> int:
    with reading(path) as connection:
        return store.rides(connection, Filter())[1]


def test_a_database_that_is_named_is_the_only_one(tmp_path: Path) -> None:
    assert candidates("a.db", "/b.db", {}) == [Path("a.db")]
    assert candidates(None, "/b.db", {}) == [Path("/b.db")]


def test_else_it_is_the_users_own_or_that_of_the_service() -> None:
    own = Path("/home/me/.local/state/les02-listener/les02.db")
    assert candidates(None, "", {"HOME": "/home/me"}) == [own, opening.SERVICE_PATH]
    assert candidates(None, "", {"STATE_DIRECTORY": "/var/lib/les02-listener"}) == [opening.SERVICE_PATH]
    assert str(missing([own, opening.SERVICE_PATH])) == (
        f"there is no database of rides; looked for {own} and {opening.SERVICE_PATH}"
    )


def test_the_service_keeps_it_where_it_is_looked_for() -> None:
    unit = (Path(__file__).parents[3] / "deploy" / "les02-listener.service").read_text()
    assert f"StateDirectory={opening.SERVICE_PATH.parent.name}\n" in unit


def test_what_exists_is_found(path: Path, tmp_path: Path) -> None:
    assert existing([tmp_path / "none", path, path / "file", Path("/")]) == [path, Path("/")]


def test_what_is_written_is_read(path: Path) -> None:
    with writing(path) as connection:
        begin(connection, "a")
    assert count(path) == 1


def test_what_fails_has_not_been_written(path: Path) -> None:
    def write() -> None:
        with writing(path) as connection:
            begin(connection, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert count(path) == 0


def test_reading_is_not_disturbed_by_a_daemon_that_writes(path: Path, daemon: sqlite3.Connection) -> None:
    daemon.execute("BEGIN IMMEDIATE")
    begin(daemon, "a")
    with reading(path) as connection:
        assert store.rides(connection, Filter())[1] == 0
        daemon.execute("COMMIT")
        assert store.rides(connection, Filter())[1] == 0
    assert count(path) == 1


def test_writing_waits_for_the_daemon_but_not_for_ever(
    path: Path, daemon: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_S", 0.05)
    daemon.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"), writing(path):
        pass
    daemon.execute("ROLLBACK")
    with writing(path) as connection:
        begin(connection, "a")


def test_who_reads_cannot_write(path: Path) -> None:
    with reading(path) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        begin(connection, "a")


def test_reading_leaves_nothing_behind(path: Path) -> None:
    before = path.read_bytes()
    assert count(path) == 0
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["les02.db"]


@pytest.mark.parametrize("text", ["ölwanne", "ÖLWANNE", "gross"])
def test_rides_are_found_whatever_the_case_of_their_letters(path: Path, text: str) -> None:
    with writing(path) as connection:
        store.annotate(connection, begin(connection, "a"), note="Ölwanne, groß")
        assert store.rides(connection, Filter(text=text))[1] == 1
    with reading(path) as connection:
        assert store.rides(connection, Filter(text=text))[1] == 1
        assert store.rides(connection, Filter(text="olwanne"))[1] == 0


def test_a_file_that_a_listener_has_is_not_to_be_had_alone(path: Path, tmp_path: Path) -> None:
    with alone(path):  # none has ever had it
        pass
    (tmp_path / "link.db").symlink_to(path)
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Not every kernel tells who it is.
        said = rf"^a listener( \(process {os.getpid()}\))? keeps its rides in .*link\.db$"
        with pytest.raises(CannotOpen, match=said), alone(tmp_path / "link.db"):
            pass
    with alone(path), Path(f"{path}.lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_name_need_not_be_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xff?%.db")
    prepare(path, make=True)
    with writing(path) as connection:
        begin(connection, "a")
    assert count(path) == 1


def test_a_new_database_is_made_only_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "new" / "les02.db"
    with pytest.raises(CannotOpen, match="no database of rides; looked for"):
        prepare(path)
    assert not path.parent.exists()
    prepare(path, make=True)
    assert count(path) == 0


def test_an_empty_file_is_none_yet(tmp_path: Path) -> None:
    path = tmp_path / "les02.db"
    path.touch()
    with pytest.raises(CannotOpen, match=r"les02\.db is no database of rides"):
        prepare(path)
    prepare(path, make=True)
    assert count(path) == 0


def test_an_older_one_is_migrated_and_nothing_but_that_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "les02.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text())
    prepare(path)
    assert count(path) > 0
    assert capsys.readouterr().out == ""
    prepare(path)


def test_an_older_one_that_is_broken_is_left_where_it_is(tmp_path: Path) -> None:
    """The daemon would move it aside, and whoever lists rides would see none."""
    path = tmp_path / "les02.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text())
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'rides'").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xaa" * 4096
    path.write_bytes(content)
    with pytest.raises(StorageError, match="malformed") as raised:
        prepare(path)
    assert raised.value.kind == "corrupt"
    assert path.read_bytes()[4096:] == content[4096:]
    assert not [each.name for each in tmp_path.iterdir() if "corrupt" in each.name]


def test_a_newer_one_is_left_alone(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(CannotOpen, match="newer version"):
        prepare(path, make=True)
    assert path.read_bytes() == before


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(CannotOpen, match="no database of rides"):
        prepare(path, make=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"some text that is no database, and longer than its header" * 9, b"x"])
def test_what_is_no_database_is_not_moved_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "les02.db"
    path.write_bytes(content)
    with pytest.raises(CannotOpen, match="is no database"):
        prepare(path, make=True)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"les02.db": content}


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        prepare(tmp_path)


def test_a_place_where_none_can_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        prepare(tmp_path / "file" / "les02.db", make=True)
