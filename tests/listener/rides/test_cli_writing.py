import asyncio
import contextlib
import fcntl
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from listener.config import Les02Config
from listener.les02 import LES02
from listener.raw_frame import RawFrame
from listener.rides import intake, opening, store
from listener.rides.cli import main
from mock.replay import replay_slots
from tests.listener.rides.bench import TS
from tests.listener.rides.terminal import PATIENCE_S, ROOT, Typed, daemon, process

# import


@pytest.mark.usefixtures("database")
def test_json_goes_into_another_database_and_out_again_as_it_was(lesrides: Typed) -> None:
    before = lesrides.json("export", "3")
    lesrides("export", "3", "--json", "--output", "ride.json")
    flags = ("--database", "other.db")
    assert lesrides(*flags, "import", "ride.json") == ["ride.json: 1 ride imported (1)"]
    assert lesrides.err == []
    after = lesrides.json(*flags, "export", "1")
    for each in (before, after):
        for key in ("number", "size"):
            each["ride"].pop(key)
        each.pop("curve")
    assert after == before
    assert lesrides(*flags, "import", "ride.json") == [
        "ride.json: 0 rides imported, 1 of the rides in it was there already"
    ]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("what", [["--log"], ["--csv", "--raw"], ["--csv"], ["--csv", "--decimal-comma"]])
def test_what_is_exported_is_found_again_as_the_same_ride(lesrides: Typed, what: list[str]) -> None:
    (before,) = (ride for ride in lesrides.json("list")["rides"] if ride["number"] == 3)
    lesrides("export", "3", *what, "-o", "ride")
    flags = ("--database", "other.db")
    assert lesrides(*flags, "import", "ride", "--specimen", "V-99") == ["ride: 1 ride imported (1)"]
    (after,) = lesrides.json(*flags, "list")["rides"]
    assert (after["direction"], after["reason"], after["specimen"]) == ("up", "completed", "V-99")
    assert after["note"] == "imported from ride"
    assert after["distance_mm"] == pytest.approx(before["distance_mm"], abs=1.0)
    # A value every 20 ms is what a window of 0.4 s has smoothed.
    off_s = 0.001 if what == ["--log"] else 0.05 if "--raw" in what else 0.1
    duration_s = pytest.approx(before["summary"]["duration_s"], abs=off_s)
    assert after["summary"]["duration_s"] == duration_s
    if what == ["--log"]:
        assert after["start_ts"] == pytest.approx(before["start_ts"], abs=0.001)
        same = {"distance_mm", "start_position_mm", "stop_position_mm", "cause", "partial", "turned", "stops"}
        assert {key: after["summary"][key] for key in same} == {key: before["summary"][key] for key in same}
        for key in ("max", "p95"):
            # Another beginning of the file is another grid of 20 ms.
            assert after["summary"][key] == pytest.approx(before["summary"][key], rel=0.02)
        for ours, theirs in zip(after["summary"]["phases"], before["summary"]["phases"], strict=True):
            assert ours["name"] == theirs["name"]
            assert ours["duration_s"] == pytest.approx(theirs["duration_s"], abs=0.05)


@pytest.mark.usefixtures("database")
def test_a_whole_ride_takes_the_place_of_a_part_of_it_and_that_is_told(
    lesrides: Typed, tmp_path: Path
) -> None:
    lines = lesrides("export", "1", "--log")
    (tmp_path / "half.log").write_text("\n".join(lines[:2500]))
    (tmp_path / "whole.log").write_text("\n".join(lines))
    (tmp_path / "both.log").write_text("\n".join([*lines[:2500], *lines]))
    flags = ("--database", "other.db")
    assert lesrides(*flags, "import", "half.log") == ["half.log: 1 ride imported (1)"]
    assert [ride["reason"] for ride in lesrides.json(*flags, "list")["rides"]] == ["aborted"]
    assert lesrides(*flags, "import", "whole.log", "half.log") == [
        "whole.log: 1 ride imported (2), in place of 1, only a part of it",
        "half.log: 0 rides imported, 1 of the rides in it was there already",
    ]
    (ride,) = lesrides.json(*flags, "list")["rides"]
    assert (ride["number"], ride["reason"], ride["note"]) == (2, "completed", "imported from whole.log")
    # In one file it is nobody's business.
    lesrides(*flags, "delete", "2", "--yes")
    assert lesrides(*flags, "import", "both.log") == ["both.log: 1 ride imported (4)"]


@pytest.mark.usefixtures("database")
def test_a_csv_that_would_fill_the_memory_is_refused_in_one_line(
    lesrides: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesrides("export", "1", "--csv", "--raw", "-o", "ride.csv")
    monkeypatch.setattr(intake, "POSITIONS_MAX", 5000)
    complaint = "ride.csv: more than 5000 positions; cut it into several files"
    assert lesrides.complaint("--database", "other.db", "import", "ride.csv") == complaint
    assert lesrides.complaint("compare", "1", "--csv", "ride.csv") == complaint
    assert not Path("other.db").exists()


@pytest.mark.usefixtures("database")
def test_a_ride_is_found_again_by_who_waits_longer_for_its_end(lesrides: Typed, tmp_path: Path) -> None:
    lesrides("export", "3", "--log", "-o", "ride.log")
    (tmp_path / "patient.toml").write_text("[rides]\nhold_s = 2.5\n")
    flags = ("--config", "patient.toml", "--database", "other.db")
    lesrides(*flags, "import", "ride.log")
    assert [ride["reason"] for ride in lesrides.json(*flags, "list")["rides"]] == ["completed"]


@pytest.mark.usefixtures("database")
def test_a_log_played_to_the_daemon_is_the_same_ride(lesrides: Typed, tmp_path: Path) -> None:
    """The reader of `lesmock --replay`, the sensor's source, the hub and the recorder."""
    (before,) = (ride for ride in lesrides.json("list")["rides"] if ride["number"] == 2)
    lesrides("export", "2", "--log", "-o", "ride.log")

    async def play() -> None:
        async with daemon(tmp_path / "played.db") as (hub, _):
            sensor = LES02(hub, Les02Config())
            for slot in replay_slots(tmp_path / "ride.log", 1):
                for frame in slot.frames:
                    sensor.feed(RawFrame(frame.arbitration_id, 0, frame.data, TS + 86_400 + slot.due_s))

    with capture_logs():
        asyncio.run(play())
    (after,) = lesrides.json("--database", "played.db", "list")["rides"]
    assert (after["direction"], after["reason"]) == ("down", "completed")
    assert after["distance_mm"] == before["distance_mm"]
    assert after["summary"]["duration_s"] == pytest.approx(before["summary"]["duration_s"], abs=0.001)
    assert after["start_ts"] == pytest.approx(
        before["start_ts"] + 86_400 - (before["start_ts"] - TS) + 1.0, abs=0.01
    )


@pytest.mark.usefixtures("database")
def test_a_log_may_come_from_a_pipe(lesrides: Typed) -> None:
    log = "\n".join(lesrides("export", "1", "--log"))
    ended = process("--database", "other.db", "import", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = ended.communicate(log.encode(), timeout=PATIENCE_S)
    assert (ended.returncode, out) == (0, b"stdin: 1 ride imported (1)\n")


@pytest.mark.usefixtures("database")
def test_what_is_wrong_with_a_log_is_told_and_its_ride_imported(lesrides: Typed, tmp_path: Path) -> None:
    lines = lesrides("export", "1", "--log")
    lines[10:10] = ["nonsense", "(1700000001.000000) can1 080#00000000", "\x1b[31m"]
    (tmp_path / "ride.log").write_text("\n".join(lines))
    assert lesrides("--database", "o.db", "import", "ride.log") == ["ride.log: 1 ride imported (1)"]
    assert lesrides.err == [
        "lesrides: ride.log: lines 11, 13 not understood (nonsense)",
        "lesrides: ride.log: the frames of can1 were left out; to take them instead: --bus can1",
    ]


def test_a_file_without_rides_is_told(lesrides: Typed, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("(1700000000.250000) can0 080#0003E8FF\n")
    (tmp_path / "b.csv").write_text("a;b\nc;d\n")
    assert lesrides("import", "a.log", "b.csv", status=1) == [
        "a.log: 0 rides imported",
        "b.csv: 0 rides imported",
    ]
    assert lesrides.err == [
        "lesrides: a.log: nothing in it was seen to go more than 50 mm, as a ride does",
        "lesrides: b.csv: no positions in it",
        "lesrides: b.csv: line 2 not understood (c;d)",
    ]
    # Nothing was there to be kept, so there is no database either.
    assert "no database of rides" in lesrides.complaint("list")


@pytest.mark.parametrize("content", [None, b""])
def test_a_database_that_was_none_is_made_with_the_first_ride(
    lesrides: Typed, database: Path, tmp_path: Path, content: bytes | None
) -> None:
    lesrides("export", "1", "--json", "-o", "ride.json")
    (tmp_path / "broken.json").write_text("{}")
    if content is not None:
        (tmp_path / "o.db").write_bytes(content)
    lesrides("--database", "o.db", "import", "broken.json", status=2)
    assert (Path("o.db").read_bytes() if Path("o.db").exists() else None) == content
    lesrides("--database", "o.db", "import", "broken.json", "ride.json", status=2)
    assert len(lesrides.json("--database", "o.db", "list")["rides"]) == 1


def test_what_is_wrong_with_a_database_is_told_before_a_file_is_read(lesrides: Typed, tmp_path: Path) -> None:
    (tmp_path / "o.db").write_bytes(b"something else")
    assert lesrides.complaint("--database", "o.db", "import", "none.log") == "o.db is no database"


@pytest.mark.usefixtures("database")
def test_a_file_that_is_cut_in_mid_movement_is_told(lesrides: Typed, tmp_path: Path) -> None:
    lines = lesrides("export", "1", "--csv", "--raw")
    (tmp_path / "ends.csv").write_text("\n".join(lines[:2500]))
    (tmp_path / "begins.csv").write_text("\n".join([lines[0], *lines[2000:]]))
    flags = ("--database", "other.db", "import")
    assert lesrides(*flags, "ends.csv") == ["ends.csv: 1 ride imported (1)"]
    assert lesrides.err == ["lesrides: ends.csv: ride 1 is aborted: it ends in mid-movement"]
    assert lesrides(*flags, "begins.csv") == ["begins.csv: 1 ride imported (2)"]
    assert lesrides.err == ["lesrides: begins.csv: ride 2 is partial: it begins in mid-movement"]
    second, first = lesrides.json("--database", "other.db", "list")["rides"]
    assert (first["reason"], second["reason"]) == ("aborted", "completed")


@pytest.mark.usefixtures("database")
def test_a_table_with_steps_of_a_second_has_no_ride_for_a_reason(lesrides: Typed, tmp_path: Path) -> None:
    header, *rows = lesrides("export", "1", "--csv")
    (tmp_path / "seconds.csv").write_text("\n".join([header, *rows[::50]]))
    assert lesrides("import", "seconds.csv", status=1) == ["seconds.csv: 0 rides imported"]
    assert lesrides.err == [
        "lesrides: seconds.csv: its positions are 1 s apart, and a ride cannot be seen above 0.5 s"
    ]


@pytest.mark.usefixtures("database")
def test_a_file_in_utf_16_or_with_other_line_ends_is_read(lesrides: Typed, tmp_path: Path) -> None:
    for number, what in enumerate((["--csv", "--decimal-comma"], ["--log"])):
        text = "\n".join(lesrides("export", "1", *what))
        (tmp_path / "wide").write_bytes(text.encode("utf-16"))
        (tmp_path / "mac").write_bytes(text.replace("\n", "\r").encode())
        for name in ("wide", "mac"):
            flags = ("--database", f"{name}{number}.db", "import")
            assert lesrides(*flags, name) == [f"{name}: 1 ride imported (1)"]
            assert lesrides.err == []


def test_a_ride_in_progress_is_not_imported_and_that_is_told(lesrides: Typed, tmp_path: Path) -> None:
    opening.prepare(tmp_path / "now.db", make=True)
    _begin_ride(tmp_path / "now.db")
    lesrides("--database", "now.db", "export", "1", "--json", "-o", "ride.json")
    assert lesrides.complaint("import", "ride.json") == (
        "ride.json: the ride was in progress when this was written"
    )


def _begin_ride(path: Path) -> None:
    with opening.writing(path) as connection:
        store.begin(
            connection, "now", source="les02", start_ts=TS, direction="up", resolution_mm=1.0, specimen=""
        )


@pytest.mark.usefixtures("database")
def test_a_file_that_cannot_be_read_does_not_hide_the_others(lesrides: Typed, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "broken.json").write_text('{"ride": 5}')
    (tmp_path / "half.json").write_text('{"ride": ')
    lesrides("export", "1", "--log", "-o", "ride.log")
    names = ["none.log", "binary", "broken.json", "half.json", ".", "ride.log"]
    assert lesrides("--database", "o.db", "import", *names, status=2) == ["ride.log: 1 ride imported (1)"]
    assert lesrides.err == [
        "lesrides: none.log: No such file or directory",
        "lesrides: binary: neither a candump log, nor CSV, nor a ride as JSON",
        "lesrides: broken.json: not a ride: Expected `object`, got `int` - at `$.ride`",
        "lesrides: half.json: not a ride: Input data was truncated",
        "lesrides: .: Is a directory",
    ]


def test_a_bar_is_shown_in_a_terminal_while_it_takes_long(
    lesrides: Typed, database: Path, tmp_path: Path
) -> None:
    lesrides("export", "1", "--log", "-o", "ride.log")
    code = (
        "import sys; from listener.rides import cli, cli_tools as t; t.PATIENCE_S = t.MOVE_S = 0.0;"
        "sys.exit(cli.main(['--database', 'o.db', 'import', 'ride.log']))"
    )
    ours, theirs = pty.openpty()
    with contextlib.closing(os.fdopen(ours, "rb", buffering=0)) as screen:
        ended = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while piece := screen.read(65_536):
                shown += piece
        out, _ = ended.communicate(timeout=PATIENCE_S)
    frames = shown.decode().split("\r")
    assert any("[############............]  50%  0 rides" in frame for frame in frames)
    assert frames[-1] == ""
    assert frames[-2].strip() == ""
    assert out == b"ride.log: 1 ride imported (1)\n"


# reference, annotate, delete


@pytest.mark.usefixtures("database")
def test_a_ride_becomes_a_reference_and_is_none_any_more(lesrides: Typed) -> None:
    assert lesrides("reference", "1") == ["Ride 1 is a reference now: up, 3000 mm"]
    assert [ride["number"] for ride in lesrides.json("list", "--reference")["rides"]] == [1]
    assert lesrides("reference", "1", "--remove") == ["Ride 1 is not a reference any more: up, 3000 mm"]
    assert lesrides.json("list", "--reference")["rides"] == []


@pytest.mark.usefixtures("database")
def test_a_ride_is_annotated(lesrides: Typed) -> None:
    lesrides("annotate", "last", "--note", "half a turn", "--specimen", "V-20", "--star")
    (ride,) = lesrides.json("list", "--starred")["rides"]
    assert (ride["number"], ride["note"], ride["specimen"]) == (4, "half a turn", "V-20")
    lesrides("annotate", "4", "--no-star")
    assert lesrides.json("list", "--starred")["rides"] == []
    assert "--note" in lesrides.complaint("annotate", "4")


@pytest.mark.usefixtures("database")
def test_rides_are_deleted_together_or_not_at_all(lesrides: Typed) -> None:
    assert "77" in lesrides.complaint("delete", "--yes", "1", "77")
    assert lesrides("delete", "--yes", "1", "last", "1") == ["2 rides deleted"]
    lesrides("delete", "--yes", "2")
    assert lesrides.complaint("delete", "--yes", "") == "there is no ride with ''"
    assert lesrides.complaint("export", "", "--json") == "there is no ride with ''"
    assert [ride["number"] for ride in lesrides.json("list")["rides"]] == [3]


def test_a_ride_without_an_end_is_deleted_when_no_listener_records_it(
    lesrides: Typed, database: Path
) -> None:
    _begin_ride(database)
    with Path(f"{database}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complaint = lesrides.complaint("delete", "--yes", "1", "5")
        assert complaint.startswith("ride 5 is in progress: a listener ")
        assert complaint.endswith(f"keeps its rides in {database}")
        assert len(lesrides.json("list")["rides"]) == 5
        assert lesrides("delete", "--yes", "1") == ["1 ride deleted"]
    assert lesrides("delete", "--yes", "5") == ["1 ride deleted"]
    assert len(lesrides.json("list")["rides"]) == 3


class Keyboard:
    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer


@pytest.mark.parametrize(("answer", "deleted"), [("y\n", True), ("Ja\n", True), ("n\n", False), ("", False)])
def test_deleting_asks_first(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    database: Path,
    answer: str,
    deleted: bool,
) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard(answer))
    assert main(["delete", "1"]) == (0 if deleted else 1)
    err = capsys.readouterr().err
    assert err == "Ride 1, 2023-11-14 23:13:22, up, completed\nDelete 1 ride? [y/N] "
    with opening.reading(database) as connection:
        assert connection.execute("SELECT count(*) FROM rides WHERE number = 1").fetchone() == (not deleted,)


@pytest.mark.usefixtures("database")
def test_nothing_is_deleted_where_nobody_can_be_asked(
    lesrides: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert "--yes" in lesrides.complaint("delete", "1")
    assert len(lesrides.json("list")["rides"]) == 4
