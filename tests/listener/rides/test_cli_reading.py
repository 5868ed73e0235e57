import asyncio
import resource
import subprocess
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from listener import events
from listener.rides import cli_reading
from tests.listener.rides.terminal import BOTH, LIFT, PATIENCE_S, Typed, daemon, process

# list


@pytest.mark.usefixtures("database")
def test_rides_are_listed_the_newest_first(lesrides: Typed) -> None:
    header, *lines = lesrides("list")
    assert header.split() == ["no", "start", "way", "mm", "s", "mm/s", "end", "specimen", "note"]
    assert [line.split()[:5] for line in lines] == [
        ["4", "2023-11-14", "23:13:58", "down", "2000"],
        ["3", "2023-11-14", "23:13:45", "up", "3000"],
        ["2", "2023-11-14", "23:13:34", "down", "3000"],
        ["1", "2023-11-14", "23:13:22", "up", "3000"],
    ]
    assert float(lines[-1].split()[5]) == pytest.approx(LIFT.rides[0][1].duration_s, abs=0.05)
    assert "V-18 Prüfling" in lines[1]
    assert lesrides.err == ["lesrides: 4 of 4 rides"]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--direction down", [4, 2]),
        ("--specimen V-17", [2, 1]),
        ("--text prüf", [3]),
        ("--text PRÜF", [3]),
        ("--min-distance 2500 --direction down", [2]),
        ("--max-distance 2500,5", [4]),
        ("--since 2023-11-14T23:13:35", [4, 3]),
        ("--until 2023-11-14T23:13:30", [1]),
        ("--until 2023-11-14", [4, 3, 2, 1]),
        ("--until 2023-11-13", []),
        ("--until 9999-12-31", [4, 3, 2, 1]),
        ("--since 9999-12-31", []),
        ("--since 2023-11-15", []),
        ("--reason aborted", []),
        ("--starred", []),
        ("--reference", []),
        ("--limit 2", [4, 3]),
        ("--limit 2 --before 3", [2, 1]),
        ("--limit 0", [4, 3, 2, 1]),
    ],
)
def test_rides_are_filtered_and_paged(lesrides: Typed, flags: str, expected: list[int]) -> None:
    assert [ride["number"] for ride in lesrides.json("list", *flags.split())["rides"]] == expected


@pytest.mark.usefixtures("database")
def test_where_the_list_goes_on_is_told(lesrides: Typed) -> None:
    lesrides("list", "--limit", "3")
    assert lesrides.err == ["lesrides: 3 of 4 rides; for older ones: --before 2"]
    lesrides("list", "--limit", "3", "--before", "2")
    assert lesrides.err == ["lesrides: 1 of 4 rides"]


def test_more_rides_than_the_store_gives_at_once_are_listed(
    lesrides: Typed, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.rides.store.LIST_LIMIT", 2)
    assert len(lesrides.json("list", "--limit", "0")["rides"]) == 4
    assert len(lesrides.json("list", "--limit", "3")["rides"]) == 3


# show


@pytest.mark.usefixtures("database")
def test_a_ride_is_shown_with_its_numbers_phases_and_curves(lesrides: Typed) -> None:
    lines = lesrides("show", "1")
    assert lines[0] == "Ride 1, 2023-11-14 23:13:22, up, completed"
    text = "\n".join(lines)
    for name, value in (("specimen", "V-17"), ("distance", "3000.0 mm"), ("duration", "8.3")):
        assert any(line.split()[:1] == [name] and value in line for line in lines)
    for phase in ("start", "acceleration", "full speed", "deceleration", "creep", "stop"):
        assert f"\n  {phase}" in text
    assert "position-derived" in text
    assert "velocity mm/s" in lines
    assert max(map(len, lines)) <= 100
    assert any("│full speed" in line for line in lines)
    assert sum(any("\u2800" < char <= "\u28ff" for char in line) for line in lines) > 12


@pytest.mark.usefixtures("database")
def test_the_last_ride_is_shown_if_none_is_named(lesrides: Typed) -> None:
    assert lesrides("show")[0].startswith("Ride 4,")
    assert lesrides("show", "last")[0].startswith("Ride 4,")


@pytest.mark.usefixtures("database")
def test_a_terminal_without_unicode_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = process("show", "3", env={"PYTHONIOENCODING": "ascii"}, stdout=subprocess.PIPE)
    out, _ = ended.communicate(timeout=PATIENCE_S)
    lines = out.decode("ascii").splitlines()
    assert ended.returncode == 0
    assert any("V-18 Pr?fling" in line for line in lines)
    assert any(line.endswith("mm/s2") for line in lines)
    assert sum("'" in line or ":" in line for line in lines) > 12


def test_a_ride_in_progress_is_shown_as_far_as_it_is_known(lesrides: Typed, tmp_path: Path) -> None:
    path = tmp_path / "now.db"

    async def look() -> list[list[str]]:
        async with daemon(path) as (hub, recorder):
            for channel, ts, raw in LIFT.samples(7.0, channels=BOTH):
                hub.publish(events.position_sample(ts, channel, raw))
            while recorder.waiting:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
            flags = ("--database", str(path))
            shown = [lesrides(*flags, *words) for words in (["show"], ["list"], ["export", "1", "--csv"])]
            assert "in progress" in lesrides.complaint(*flags, "compare", "1")
            assert "in progress" in lesrides.complaint(*flags, "delete", "1", "--yes")
            return shown

    with capture_logs():
        shown, listed, exported = asyncio.run(look())
    assert shown[0].endswith("up, in progress")
    assert "in progress" in listed[1]
    assert exported[0].startswith("time_s,")


# export


@pytest.mark.usefixtures("database")
def test_csv_has_a_row_every_20_ms(lesrides: Typed) -> None:
    header, *rows = lesrides("export", "1", "--csv")
    assert header == "time_s,position_mm,velocity_mm_s,acceleration_mm_s2"
    assert len(rows) == pytest.approx((8.37 + 2.8) * 50, abs=10)
    fastest = max(float(row.split(",")[2]) for row in rows)
    assert fastest == pytest.approx(630, abs=5)
    header, *rows = lesrides("export", "1", "--csv", "--raw", "--decimal-comma")
    assert header == "time_s;position_mm;channel;position_raw"
    assert len(rows) == pytest.approx((8.37 + 3.1) * 500, abs=50)


@pytest.mark.usefixtures("database")
def test_a_file_is_written_whole_or_not_at_all(lesrides: Typed, tmp_path: Path) -> None:
    assert lesrides("export", "1", "--log", "-o", "ride.log") == []
    assert len((tmp_path / "ride.log").read_text().splitlines()) > 5000
    assert lesrides.complaint("export", "1", "--log", "-o", "none/ride.log") == (
        "none/ride.log: No such file or directory"
    )
    assert "--csv" in lesrides.complaint("export", "1", "--log", "--raw")
    assert "no ride" in lesrides.complaint("export", "77", "--log", "-o", "other.log")
    assert not (tmp_path / "other.log").exists()


@pytest.mark.usefixtures("database")
def test_what_does_not_fit_on_the_disk_leaves_nothing_and_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("old")
    for name in ("old.csv", "new.csv"):
        ended = process(
            *("export", "1", "--csv", "-o", name),
            stderr=subprocess.PIPE,
            preexec_fn=_allow_little_space,
            env={"COVERAGE_PROCESS_CONFIG": ""},  # what it counts would not fit either
        )
        _, err = ended.communicate(timeout=PATIENCE_S)
        assert (ended.returncode, err) == (2, f"lesrides: {name}: File too large\n".encode())
    assert (tmp_path / "old.csv").read_text() == "old"
    assert {each.name for each in tmp_path.iterdir()} == {"old.csv", "state"}


def _allow_little_space() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


@pytest.mark.usefixtures("database")
def test_a_file_that_is_written_again_stays_what_it_is(lesrides: Typed, tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "old.csv").chmod(0o640)
    (tmp_path / "link.csv").symlink_to("old.csv")
    lesrides("export", "1", "--csv", "-o", "link.csv")
    assert (tmp_path / "old.csv").read_text().startswith("time_s,")
    assert (tmp_path / "old.csv").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.csv").is_symlink()
    assert lesrides("export", "1", "--csv", "-o", "/dev/null") == []
    assert lesrides.complaint("export", "1", "--csv", "-o", "/dev/full") == (
        "/dev/full: No space left on device"
    )


@pytest.mark.usefixtures("database")
def test_positions_below_zero_are_no_log(lesrides: Typed, tmp_path: Path) -> None:
    rows = lesrides("export", "1", "--csv")
    shifted = [",".join([row.split(",")[0], f"{float(row.split(',')[1]) - 2000:.1f}"]) for row in rows[1:]]
    (tmp_path / "below.csv").write_text("\n".join(shifted))
    lesrides("--database", "o.db", "import", "below.csv")
    assert lesrides.complaint("--database", "o.db", "export", "1", "--log") == (
        "ride 1: the sensor cannot tell the position -1000, but 0 to 16777215"
    )


# compare


@pytest.mark.usefixtures("database")
def test_a_ride_like_its_reference_passes(lesrides: Typed) -> None:
    lesrides("export", "1", "--csv", "--raw", "-o", "curve.csv")
    lines = lesrides("compare", "1", "--csv", "curve.csv")
    assert lines[0] == "Ride 1 against curve.csv: PASS"
    assert lesrides("compare", "1", "1")[0] == "Ride 1 against ride 1: PASS"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("flags", [["--csv"], ["--csv", "--raw"], ["--csv", "--decimal-comma"]], ids=" ".join)
@pytest.mark.parametrize("ride", ["1", "2", "3", "4"])
def test_a_ride_is_like_its_own_table(lesrides: Typed, ride: str, flags: list[str]) -> None:
    lesrides("export", ride, *flags, "-o", "curve.csv")
    answer = lesrides.json("compare", ride, "--csv", "curve.csv")
    assert lesrides.err == []
    assert abs(answer["position"]["max"]) < 1.0
    assert abs(answer["velocity"]["max"]) < 3.0
    assert abs(answer["duration_s"]) <= 0.021


@pytest.mark.usefixtures("database")
def test_a_table_in_utf_16_or_with_other_line_ends_is_read(lesrides: Typed, tmp_path: Path) -> None:
    text = "\n".join(lesrides("export", "1", "--csv", "--decimal-comma"))
    (tmp_path / "wide.csv").write_bytes(text.encode("utf-16"))
    (tmp_path / "mac.csv").write_bytes(text.replace("\n", "\r").encode())
    for name in ("wide.csv", "mac.csv"):
        assert abs(lesrides.json("compare", "1", "--csv", name)["position"]["max"]) < 1.0


@pytest.mark.usefixtures("database")
def test_what_a_table_does_not_tell_is_remarked(lesrides: Typed, tmp_path: Path) -> None:
    header, *rows = lesrides("export", "1", "--csv")
    (tmp_path / "cut.csv").write_text("\n".join([header, *rows[:200]]))
    lesrides("compare", "1", "--csv", "cut.csv", status=1)
    assert lesrides.err == ["lesrides: cut.csv: it ends in mid-movement"]
    (tmp_path / "seconds.csv").write_text("\n".join([header, *rows[::50]]))
    assert lesrides.complaint("compare", "1", "--csv", "seconds.csv") == (
        "seconds.csv: no ride in it; its positions are 1 s apart, and a ride cannot be seen above 0.5 s"
    )


@pytest.mark.usefixtures("database")
def test_a_ride_unlike_its_reference_fails_with_reasons_and_status_1(lesrides: Typed) -> None:
    lesrides("reference", "1")
    lines = lesrides("compare", "3", status=1)
    assert lines[0] == "Ride 3 against ride 1: FAIL"
    assert lines[1].startswith("  position ")
    assert lines[2].startswith("  velocity ")
    assert "(allowed 50 mm/s)" in lines[2]
    names = [line.split("  ")[1] for line in lines[-7:]]
    assert names == ["whole ride", "start", "acceleration", "full speed", "deceleration", "creep", "stop"]
    wide = ("--position-tolerance", "1000", "--velocity-tolerance", "1000,5")
    assert lesrides("compare", "3", *wide)[0].endswith("PASS")
    assert lesrides.json("compare", "3", "1", status=1)["reference"] == 1
    drawn = lesrides("compare", "3", "--curves", status=1)
    assert "deviation of velocity mm/s" in drawn
    assert len(lesrides.json("compare", "3", "--curves", status=1)["curves"]["ride"]["speed_mm_s"]) > 400


@pytest.mark.usefixtures("database")
def test_a_csv_curve_of_another_system_is_a_reference(lesrides: Typed, tmp_path: Path) -> None:
    ride = LIFT.rides[0][1]
    rows = [f"{n / 10:.1f};{1000 + ride.position_mm(n / 10):.1f}".replace(".", ",") for n in range(95)]
    (tmp_path / "old.csv").write_text("Zeit;Weg\nnonsense\n" + "\n".join(rows))
    lines = lesrides("compare", "1", "--csv", "old.csv")
    assert lines[0] == "Ride 1 against old.csv: PASS"
    assert lesrides.err == ["lesrides: old.csv: line 2 not understood (nonsense)"]
    answer = lesrides.json("compare", "3", "--csv", "old.csv", "--curves", status=1)
    assert answer["reference"] == "old.csv"
    assert max(answer["curves"]["reference"]["speed_mm_s"]) == pytest.approx(630, abs=10)


@pytest.mark.usefixtures("database")
def test_without_a_reference_there_is_no_comparison(lesrides: Typed, tmp_path: Path) -> None:
    assert lesrides.complaint("compare", "1") == "no reference goes up about as far as ride 1"
    assert lesrides.complaint("compare", "1", "99") == "there is no ride with '99'"
    assert lesrides.complaint("compare", "1", "--csv", "none.csv") == "none.csv: No such file or directory"
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "still.csv").write_text("\n".join(f"{n / 50},1000" for n in range(500)))
    assert lesrides.complaint("compare", "1", "--csv", "empty.csv") == "empty.csv: no positions in it"
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(cli_reading.CSV_BYTES_MAX + 1)
    assert lesrides.complaint("compare", "1", "--csv", "huge.csv") == "huge.csv: too large for one curve"
    assert lesrides.complaint("compare", "1", "--csv", "still.csv") == "still.csv: no ride in it"
