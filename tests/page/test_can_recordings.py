"""Recordings: what is in them is what was on the bus, and it can be played onto one again."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import can
import pytest
from playwright.sync_api import Locator, expect

from tests.page.can_bench import CanBench, can_benches
from tests.page.conftest import Open, Visit


@pytest.fixture
def ends(can_bench: CanBench) -> Iterator[CanBench]:
    """Two buses that hear each other, and no recording."""
    can_bench.connect_virtual("left")
    can_bench.connect_virtual("right")
    yield can_bench
    for bus in ("les02", "right"):
        can_bench.call("POST", "/recordings/stop", {"bus": bus})
    for kept in can_bench.call("GET", "/recordings")["recordings"]:
        can_bench.call("DELETE", f"/recordings/{kept['name']}")


def on(bench: CanBench, visit: Open, bus: str = "right", **more: Any) -> Visit:
    seen = visit(bench.url, "can/recordings", api=bench.api, **more)
    choose(seen, bus)
    return seen


def choose(seen: Visit, bus: str) -> None:
    seen.page.locator(".buses").get_by_role("button", name=bus).click()


def button(seen: Visit, name: str) -> Locator:
    return seen.page.get_by_role("button", name=name, exact=True)


def row(seen: Visit, name: str) -> Locator:
    return seen.page.locator(f"[data-recording='{name}']")


def record(
    bench: CanBench, seen: Visit, name: str, *frames: tuple[int, list[int]], kind: str = "candump"
) -> None:
    seen.page.get_by_label("Format").select_option(kind)
    seen.page.get_by_label("Name (may be empty)").fill(name)
    button(seen, "Record right").click()
    running = seen.page.locator("[data-recorder=right]")
    expect(running).to_contain_text(f"right is recorded to {name}")
    for number, data in frames:
        bench.send("left", number, data)
    expect(running).to_contain_text(f"{len(frames)} frames")
    button(seen, "Stop recording").click()
    expect(running).to_have_count(0)


def download(seen: Visit, name: str, folder: Path) -> Path:
    with seen.page.expect_download() as loading:
        seen.page.get_by_role("link", name=name).click()
    path = folder / loading.value.suggested_filename
    loading.value.save_as(path)
    return path


@pytest.mark.parametrize(("kind", "name"), [("candump", "run.log"), ("blf", "run.blf"), ("asc", "run.asc")])
def test_what_was_on_the_bus_is_in_the_file_that_is_downloaded(
    ends: CanBench, visit: Open, tmp_path: Path, kind: str, name: str
) -> None:
    seen = on(ends, visit)
    expect(seen.page.get_by_text("No recording yet.")).to_be_visible()
    record(ends, seen, "run", (0x123, [1, 2]), (0x7FF, []), (0x10, [255] * 8), kind=kind)
    expect(row(seen, name)).to_be_visible()
    path = download(seen, name, tmp_path)
    assert path.name == name
    with can.LogReader(path) as messages:
        found = [(each.arbitration_id, list(each.data)) for each in messages]
    assert found == [(0x123, [1, 2]), (0x7FF, []), (0x10, [255] * 8)]


def test_the_sensors_bus_is_recorded_in_files_of_the_size_that_was_wanted(
    ends: CanBench, visit: Open
) -> None:
    seen = on(ends, visit, "les02")
    size = seen.page.get_by_label("New file after so many megabytes")
    size.fill("0.01")
    expect(seen.page.get_by_text("At least 0.1 MB")).to_be_visible()
    expect(button(seen, "Record les02")).to_be_disabled()
    size.fill("0,1")
    seen.page.get_by_label("Keep the newest files").fill("5")
    with seen.page.expect_request("**/recordings/start") as asking:
        button(seen, "Record les02").click()
    wanted = {"bus": "les02", "format": "candump", "name": "", "max_bytes": 100_000, "max_files": 5}
    assert asking.value.post_data_json == wanted
    running = seen.page.locator("[data-recorder=les02]")
    expect(running).to_contain_text("les02 is recorded to les02-")
    kept = seen.page.locator("[data-recording]")
    # It sends twenty kilobytes of log a second.
    expect(kept).to_have_count(2, timeout=25_000)
    expect(kept.filter(has_text="being recorded")).to_have_count(1)
    expect(kept.filter(has_text=re.compile("10[0-9] kB"))).to_have_count(1)
    # The one that is written cannot be deleted, and nothing is played onto the sensor's bus.
    expect(kept.filter(has_text="being recorded").get_by_title("Delete")).to_be_disabled()
    expect(kept.first.get_by_title("Play it onto the bus")).to_be_disabled()
    expect(seen.page.locator("[data-why=can_bus_sensor]")).to_be_visible()
    button(seen, "Stop recording").click()
    expect(button(seen, "Record les02")).to_be_visible()


def test_a_recording_is_played_onto_a_bus_and_how_it_ended_is_told(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit)
    record(ends, seen, "run", (0x123, [1, 2]), (0x124, [3]))
    choose(seen, "left")
    expect(seen.page.get_by_text("Played onto left.")).to_be_visible()
    before = ends.call("GET", "/buses/right/statistics")["frames"]
    row(seen, "run.log").get_by_title("Play it onto the bus").click()
    expect(seen.page.get_by_text("run.log was played onto left: all of its 2 frames.")).to_be_visible()
    told = ends.call("GET", "/buses/right/statistics")
    assert told["frames"] == before + 2
    assert [(each["id"], each["data"]) for each in told["ids"]] == [(0x123, [1, 2]), (0x124, [3])]


def test_playing_is_slowed_down_and_stopped(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit)
    record(ends, seen, "run", *[(0x123, [number]) for number in range(60)])
    choose(seen, "left")
    seen.page.get_by_label("Play with").select_option("0.1 ×")
    row(seen, "run.log").get_by_title("Play it onto the bus").click()
    expect(seen.page.locator("[data-replay=left]")).to_contain_text("A recording is played onto left.")
    # One at a time.
    expect(row(seen, "run.log").get_by_title("Play it onto the bus")).to_be_disabled()
    button(seen, "Stop playing").click()
    expect(seen.page.get_by_text("run.log is played onto left no more.")).to_be_visible()
    expect(seen.page.locator("[data-replay]")).to_have_count(0)


def test_a_recording_is_deleted_when_nobody_has_changed_his_mind(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit)
    record(ends, seen, "run", (0x123, []))

    def kept() -> list[str]:
        return [each["name"] for each in ends.call("GET", "/recordings")["recordings"]]

    row(seen, "run.log").get_by_title("Delete").click()
    expect(row(seen, "run.log")).to_have_count(0)
    button(seen, "Undo").click()
    expect(row(seen, "run.log")).to_be_visible()
    assert kept() == ["run.log"]
    row(seen, "run.log").get_by_title("Delete").click()
    seen.until(lambda: kept() == [])


def test_a_recording_that_cannot_begin_is_told(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit, refuses=True)
    seen.page.get_by_label("Name (may be empty)").fill("../elsewhere")
    button(seen, "Record right").click()
    expect(seen.page.locator(".toast.bad")).to_be_visible()
    expect(seen.page.locator("[data-recorder]")).to_have_count(0)


def test_who_may_only_read_may_download_and_nothing_else(tmp_path: Path, visit: Open) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    (recordings / "old.log").write_text("(1.000000) can0 123#01\n")
    more = {
        "LES02_ACCESS__CONTROL_TOKENS": '["the-key-of-the-bench"]',
        "LES02_WORKBENCH__RECORDINGS_FOLDER": str(recordings),
    }
    with can_benches(tmp_path, **more) as bench:
        seen = on(bench, visit, "les02")
        expect(seen.page.get_by_text("This page may only read;")).to_be_visible()
        expect(button(seen, "Record les02")).to_have_count(0)
        expect(row(seen, "old.log").get_by_title("Delete")).to_be_disabled()
        expect(row(seen, "old.log").get_by_title("Play it onto the bus")).to_be_disabled()
        assert download(seen, "old.log", tmp_path).read_text() == "(1.000000) can0 123#01\n"
        # Nor may he count anew.
        seen.open("can/statistics")
        expect(button(seen, "Count anew")).to_be_disabled()
