import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from listener import events
from listener.rides import opening
from tests.listener.rides.terminal import BOTH, LIFT, OVER_S, PATIENCE_S, Typed, daemon, process

# The database


def test_where_was_looked_for_a_database_is_told(lesrides: Typed, tmp_path: Path) -> None:
    own, service = tmp_path / "state/les02-listener/les02.db", tmp_path / "service/les02.db"
    assert lesrides.complaint("list") == f"there is no database of rides; looked for {own} and {service}"
    assert lesrides.complaint("--database", "x.db", "list") == (
        "there is no database of rides; looked for x.db"
    )
    (tmp_path / "config.toml").write_text('[database]\npath = "/nowhere/y.db"\n')
    assert lesrides.complaint("list") == "there is no database of rides; looked for /nowhere/y.db"
    assert lesrides.complaint("--config", "none.toml", "list").endswith("No such file or directory")
    (tmp_path / "config.toml").write_text("[database]\npaht = 1\n")
    assert 'did you mean "path"' in lesrides.complaint("list")


def test_that_of_the_service_is_found_and_a_second_one_told(
    lesrides: Typed, database: Path, tmp_path: Path
) -> None:
    service = tmp_path / "service" / "les02.db"
    service.parent.mkdir()
    shutil.copy(database, service)
    lesrides("list")
    assert lesrides.err[0] == f"lesrides: this is {database}; there is also {service} (--database)"
    database.unlink()
    lesrides("list")
    assert lesrides.err == ["lesrides: 4 of 4 rides"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"no database at all", "is no database"), (b"", "is no database of rides")],
)
def test_what_is_no_database_is_one_line(
    lesrides: Typed, tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "x.db").write_bytes(content)
    for command in (["list"], ["show", "1"], ["delete", "1", "--yes"], ["reference", "1"]):
        assert lesrides.complaint("--database", "x.db", *command) == f"x.db {complaint}"
    assert (tmp_path / "x.db").read_bytes() == content


def test_a_broken_database_is_one_line_and_left_where_it_is(
    lesrides: Typed, database: Path, tmp_path: Path
) -> None:
    content = database.read_bytes()
    database.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert "malformed" in lesrides.complaint("list")
    assert "malformed" in lesrides.complaint("delete", "1", "--yes")
    assert [each.name for each in database.parent.iterdir() if "corrupt" in each.name] == []


def test_a_database_that_another_program_has_locked_is_one_line(
    lesrides: Typed, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_S", 0.05)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert lesrides.complaint("reference", "1") == f"{database}: database is locked"
        assert len(lesrides.json("list")["rides"]) == 4


def test_rides_are_imported_and_deleted_while_the_daemon_records(
    lesrides: Typed, recorded: Path, tmp_path: Path
) -> None:
    path = tmp_path / "live.db"
    lesrides("--database", str(recorded), "export", "1", "--json", "-o", "ride.json")

    async def live() -> None:
        async with daemon(path) as (hub, recorder):
            for number, (channel, ts, raw) in enumerate(LIFT.samples(OVER_S, channels=BOTH)):
                # A day later, so that the imported one is another.
                hub.publish(events.position_sample(ts + 86_400, channel, raw))
                if number == 2000:
                    lesrides("--database", "live.db", "import", "ride.json")
                    lesrides("--database", "live.db", "reference", "last")
                if number % 500 == 0:
                    await asyncio.sleep(0.002)
            while recorder.waiting:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
            assert len(lesrides.json("--database", "live.db", "list")["rides"]) == 5
            lesrides("--database", "live.db", "delete", "last", "--yes")
            assert recorder.storing == "ok"

    with capture_logs():
        asyncio.run(live())
    assert len(lesrides.json("--database", "live.db", "list")["rides"]) == 4


# The terminal


@pytest.mark.parametrize(
    "words",
    [
        "",
        "wat",
        "show 1 2",
        "list --limit many",
        "list --since yesterday",
        "list --since 0001-01-01",
        "list --since 0001-01-01T00:00+14:00",
        "list --until 9999-12-31T23:59-14:00",
        "list --min-distance -5",
        "list --min-distance nan",
        "list --min-distance far",
        "export 1",
        "export 1 --csv --log",
        "compare 1 2 --csv x",
        "import",
        "import x --resolution 0",
        "import x --resolution 1e-300",
    ],
)
def test_what_was_mistyped_is_one_line_and_status_2(lesrides: Typed, words: str) -> None:
    assert "--help tells more" in lesrides.complaint(*words.split())


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "words",
    [
        "annotate 1 --note",
        "annotate 1 --specimen",
        "list --text",
        "list --specimen",
        "show",
        "export --csv",
        "compare 1",
        "reference",
        "delete --yes",
        "import x --note",
        "import x --specimen",
    ],
)
def test_what_is_no_text_is_one_line_and_status_2(lesrides: Typed, words: str) -> None:
    assert "is no text in UTF-8" in lesrides.complaint(*words.split(), os.fsdecode(b"a\xff"))


@pytest.mark.parametrize(("words", "most"), [("--note", 4000), ("--specimen", 200)])
def test_texts_are_no_longer_than_the_daemon_allows(
    lesrides: Typed, database: Path, words: str, most: int
) -> None:
    lesrides("annotate", "1", words, "ö" * most)
    expected = f"{most + 1} characters, and {most} are allowed"
    for command in (["annotate", "1"], ["import", "x"]):
        assert expected in lesrides.complaint(*command, words, "ö" * (most + 1))


def test_files_may_have_any_name(lesrides: Typed, database: Path, tmp_path: Path) -> None:
    table, other = (os.fsdecode(name) for name in (b"a\xff.csv", b"o\xff.db"))
    lesrides("export", "1", "--csv", "-o", table)
    assert lesrides("--database", other, "import", table) == ["a .csv: 1 ride imported (1)"]
    (ride,) = lesrides.json("--database", other, "list")["rides"]
    assert ride["note"] == "imported from a .csv"
    assert lesrides.json("compare", "1", "--csv", table)["reference"] == "a .csv"


@pytest.mark.parametrize(
    "command", ["", "list", "show", "export", "import", "compare", "reference", "annotate", "delete"]
)
def test_help_fits_an_ordinary_terminal(
    lesrides: Typed, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    lines = lesrides(*command.split(), "--help")
    assert lines[0].startswith("usage: lesrides")
    assert max(map(len, lines)) <= 110


def test_notes_cannot_steer_the_terminal(lesrides: Typed, database: Path) -> None:
    lesrides("annotate", "1", "--note", "\x1b[2J\nred", "--specimen", "\x07bell")
    for words in (["list"], ["show", "1"]):
        assert not any("\x1b" in line or "\x07" in line for line in lesrides(*words))


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "words", [["list"], ["export", "1", "--log"], ["--help"]], ids=lambda words: words[0]
)
def test_a_closed_pipe_ends_it_quietly(words: Sequence[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = process(*words, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    _, err = ended.communicate(timeout=PATIENCE_S)
    assert ended.returncode == 0
    assert not [line for line in err.splitlines() if not line.startswith(b"lesrides: 4 of 4")]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "words", [["list"], ["export", "1", "--log"], ["show", "1"]], ids=lambda words: words[0]
)
def test_a_full_disk_is_one_line(words: Sequence[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = process(*words, stdout=full, stderr=subprocess.PIPE)
        _, err = ended.communicate(timeout=PATIENCE_S)
    assert ended.returncode == 2
    assert err.splitlines()[-1] == b"lesrides: cannot write: No space left on device"


@pytest.mark.usefixtures("database")
def test_ctrl_c_ends_an_import_quietly_and_leaves_nothing_half(lesrides: Typed) -> None:
    log = lesrides("export", "1", "--log")
    ended = process(
        "--database",
        "o.db",
        "import",
        "-",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert ended.stdin is not None
    # More than a pipe holds, so most of it is read by now, and the ride is not over.
    ended.stdin.write("\n".join(log[:5000]).encode())
    ended.stdin.flush()
    ended.send_signal(signal.SIGINT)
    out, err = ended.communicate(timeout=PATIENCE_S)
    assert (ended.returncode, out, err) == (130, b"", b"")
    assert not Path("o.db").exists()


def test_started_without_any_stream_it_does_its_work(database: Path) -> None:
    ended = process("annotate", "1", "--note", "silent", stdin=subprocess.DEVNULL, preexec_fn=_close_streams)
    assert ended.wait(PATIENCE_S) == 0
    with opening.reading(database) as connection:
        assert connection.execute("SELECT note FROM rides WHERE number = 1").fetchone() == ("silent",)


def _close_streams() -> None:
    for descriptor in (1, 2):
        os.close(descriptor)
