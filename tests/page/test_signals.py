"""Signals of other devices beside the rides: live, on the ride, in the comparison, as table and picture."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from listener.rides import signal_report, store
from tests.e2e.helpers import PATIENCE_S, ROOT
from tests.page import library
from tests.page.bench import Bench, benches
from tests.page.conftest import Open, Visit
from tests.page.test_export import PNG_HEAD, SIZE, content, saved

PRESSURE = "inverter.PressureSensor.Pressure"
CURRENT = "inverter.InverterState.Current"
MODE = "inverter.InverterState.Mode"
SILENT = "elsewhere.PressureSensor.Pressure"
COLORS = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(canvas.width / 2, 0, 40, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
}"""
LOADED = {"buses": {"inverter": ["bench.dbc"], "elsewhere": ["bench.dbc"]}}


@pytest.fixture(scope="module")
def lift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A pressure sensor and an inverter beside the lift."""
    folder = tmp_path_factory.mktemp("signals")
    (folder / "dbc").mkdir()
    shutil.copy(ROOT / "mock/bench.dbc", folder / "dbc")
    (folder / "dbc/.loaded.json").write_text(json.dumps(LOADED))
    bus = f'{{device_type = "canable", channel = "{folder / "tty"}", baudrate = "BAUD_500K"}}'
    command = [sys.executable, "-m", "mock.mock_canable", "--link", str(folder / "tty")]
    plugged = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert plugged.stdout is not None
    assert "plugged in" in plugged.stdout.readline()
    settings: dict[str, Any] = {
        "LES02_WORKBENCH__ENABLED": "true",
        "LES02_WORKBENCH__BUSES": f"{{inverter = {bus}}}",
        "LES02_RIDES__SIGNALS": json.dumps([PRESSURE, CURRENT, MODE, SILENT]),
    }
    try:
        with benches(folder, **settings) as running:
            yield running
    finally:
        plugged.kill()
        plugged.wait(PATIENCE_S)
        plugged.stdout.close()


@dataclass
class Driven:
    """Two whole rides up, of which the first is the reference."""

    url: str
    database: Path
    first: int
    second: int


@pytest.fixture(scope="module")
def rides(lift: Bench, browser: object) -> Driven:
    while (
        sum(json.loads(lift.daemon.get("/healthz")[1])["frames"].values()) < 750
    ):  # it has seen the car stand
        lift._ended.wait(0.05)
    distance_mm = 1500.0
    while len(found := whole(lift)) < 2:  # on a machine that was busy a ride may have a hole, and be two
        over = len(ended(lift))
        lift.ride(distance_mm)
        while len(ended(lift)) == over or lift._car.riding:
            lift._ended.wait(0.05)
        distance_mm = -distance_mm
    library.mark(lift.database, found[0])
    return Driven(lift.url, lift.database, found[0], found[1])


def ended(lift: Bench) -> list[tuple[int, str, float, str]]:
    with closing(sqlite3.connect(f"file:{lift.database}?mode=ro", uri=True)) as connection:
        query = "SELECT number, direction, distance_mm, reason FROM rides WHERE reason IS NOT NULL"
        return connection.execute(query).fetchall()


def whole(lift: Bench) -> list[int]:
    return [
        number
        for number, direction, distance_mm, reason in ended(lift)
        if (direction, reason) == ("up", "completed") and abs(distance_mm - 1500.0) < 5.0
    ]


def panes(seen: Visit) -> list[str]:
    return [str(each.get_attribute("data-signal")) for each in seen.page.locator("[data-signal]").all()]


def test_signals_stand_below_the_curve_of_a_ride_with_their_values_at_the_cursor(
    rides: Driven, visit: Open
) -> None:
    seen = visit(rides.url, f"rides/{rides.first}")
    pane = seen.page.locator(f"[data-signal='{PRESSURE}']")
    expect(pane).to_be_visible()
    assert panes(seen) == [PRESSURE, CURRENT, MODE]
    seen.page.locator(".plot").first.focus()
    for _ in range(3):
        seen.page.keyboard.press("ArrowRight")
    expect(pane.locator(".u-legend")).to_contain_text(" bar")  # one cursor for all
    expect(seen.page.locator(f"[data-signal='{MODE}'] .u-legend")).to_contain_text(
        re.compile("Off|Ready|Run|Brake|Fault")
    )
    drawn = pane.locator("canvas").first
    colors = drawn.evaluate(COLORS)
    assert colors > 5
    expect(seen.page.get_by_role("button", name="nothing came")).to_be_visible()
    table = seen.page.locator("table.signals")
    expect(table.locator("tbody tr")).to_have_count(7)
    expect(table.locator("thead")).to_contain_text("bar")


def test_a_signal_is_put_away_and_that_is_remembered(rides: Driven, visit: Open) -> None:
    seen = visit(rides.url, f"rides/{rides.first}")
    button = seen.page.get_by_role("button", name="Current")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(seen.page.locator(f"[data-signal='{CURRENT}']")).to_have_count(0)
    seen.page.reload()
    expect(seen.page.locator(f"[data-signal='{PRESSURE}']")).to_be_visible()
    assert panes(seen) == [PRESSURE, MODE]
    seen.page.get_by_role("button", name="Current").click()
    expect(seen.page.locator(f"[data-signal='{CURRENT}']")).to_be_visible()


def test_the_table_has_a_column_for_each_signal_as_that_of_lesrides_has(rides: Driven, visit: Open) -> None:
    seen = visit(rides.url, f"rides/{rides.second}")
    header, *lines = content(saved(seen, "CSV")).decode().splitlines()
    with closing(sqlite3.connect(f"file:{rides.database}?mode=ro", uri=True)) as connection:
        tracks = store.signals(connection, rides.second)
    assert header.split(",")[4:] == signal_report.header(tracks)
    assert header.split(",")[4:] == [f"{PRESSURE}_(bar)", f"{CURRENT}_(A)", MODE, SILENT]
    curve = [tuple(line.split(",")[:4]) for line in lines]
    assert len(curve) > 100
    assert [tuple(line.split(",")) for line in lines] == list(signal_report.with_signals(curve, tracks))


@pytest.mark.parametrize("view", ["rides", "compare"])
def test_signals_are_in_the_picture(rides: Driven, visit: Open, view: str) -> None:
    seen = visit(rides.url, f"{view}/{rides.second}")
    expect(seen.page.locator(f"[data-signal='{PRESSURE}']")).to_be_visible()
    png = content(saved(seen, "PNG"))
    _, _, _, *size, _, _ = PNG_HEAD.unpack_from(png)
    seen.page.get_by_role("button", name="Pressure", exact=False).first.click()
    expect(seen.page.locator(f"[data-signal='{PRESSURE}']")).to_have_count(0)
    assert tuple(size) == SIZE
    assert content(saved(seen, "PNG")) != png


def test_a_comparison_lays_signals_of_both_rides_over_each_other(rides: Driven, visit: Open) -> None:
    seen = visit(rides.url, f"compare/{rides.second}", language="de-DE")
    pane = seen.page.locator(f"[data-signal='{PRESSURE}']")
    expect(pane.locator(".u-legend")).to_contain_text(f"Referenz {rides.first}")
    expect(pane.locator(".u-legend")).to_contain_text(f"Fahrt {rides.second}")
    table = seen.page.locator(f"table[data-deviation='{PRESSURE}']")
    expect(table.locator("thead")).to_contain_text("Mittel der Referenz")
    expect(table.locator("tbody tr")).to_have_count(7)
    expect(table.locator("tbody td").first).not_to_have_text("–")


def test_rides_over_each_other_have_their_signals_below(rides: Driven, visit: Open) -> None:
    seen = visit(rides.url, f"overlay/{rides.first},{rides.second}")
    pane = seen.page.locator(f"[data-signal='{PRESSURE}']")
    expect(pane).to_be_visible()
    assert panes(seen) == [PRESSURE, CURRENT, MODE]
    seen.page.locator(".plot").first.focus()
    for _ in range(3):
        seen.page.keyboard.press("ArrowRight")
    legend = pane.locator(".u-legend .u-series")
    expect(legend).to_have_count(3)  # the time, and a line for each ride
    expect(legend.nth(1)).to_contain_text(re.compile(rf"{rides.first} · .* bar"))
    expect(legend.nth(2)).to_contain_text(re.compile(rf"{rides.second} · .* bar"))
    assert pane.locator("canvas").first.evaluate(COLORS) > 5


def test_of_a_signal_with_words_a_phase_has_its_words(rides: Driven, visit: Open) -> None:
    seen = visit(rides.url, f"rides/{rides.first}")
    expect(seen.page.locator("table.signals thead")).to_contain_text("Mode")
    header = seen.page.locator("table.signals thead th").all_text_contents()
    (column,) = [number for number, text in enumerate(header) if "Mode" in text]
    cell = seen.page.locator("table.signals tbody tr").first.locator("td").nth(column - 1)
    expect(cell).to_have_text(re.compile(r"^(Off|Ready|Run|Brake|Fault)(, (Off|Ready|Run|Brake|Fault|…))*$"))


def test_a_ride_is_printed_with_its_signals_on_few_sheets(rides: Driven, visit: Open) -> None:
    seen = visit(rides.url, f"rides/{rides.first}")
    expect(seen.page.locator(f"[data-signal='{PRESSURE}']")).to_be_visible()
    sheets = seen.page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", sheets)) <= 2
    seen.page.emulate_media(media="print")
    for hidden in (".top", ".tools", ".inscription"):
        expect(seen.page.locator(hidden).first).to_be_hidden()
    for told in (f"[data-signal='{PRESSURE}'] .plot", "table.signals"):
        expect(seen.page.locator(told).first).to_be_visible()


@pytest.mark.parametrize(("language", "words"), [("en-US", "are not kept"), ("de-DE", "nicht aufgezeichnet")])
def test_signals_that_no_file_knows_are_told(tmp_path: Path, visit: Open, language: str, words: str) -> None:
    signals = json.dumps([PRESSURE])
    settings: dict[str, Any] = {"LES02_WORKBENCH__ENABLED": "true", "LES02_RIDES__SIGNALS": signals}
    with benches(tmp_path, **settings) as bench:
        seen = visit(bench.url, language=language)
        told = seen.page.locator("[data-condition='signals_unknown']")
        expect(told).to_contain_text(PRESSURE)
        expect(told).to_contain_text(words)


def test_live_shows_the_newest_values_and_their_curves(rides: Driven, visit: Open) -> None:
    seen = visit(rides.url)
    seen.is_well()
    if (back := seen.page.get_by_role("button", name="Back to live")).count():
        back.click()
    expect(seen.figure(f"'{PRESSURE}'")).to_contain_text("bar")
    before = seen.value(f"'{PRESSURE}'")
    seen.until(lambda: seen.value(f"'{PRESSURE}'") != before)
    expect(seen.figure(f"'{SILENT}'")).to_contain_text("–")
    canvas = seen.page.locator(f"[data-signal='{PRESSURE}'] canvas").first
    picture = canvas.evaluate("canvas => canvas.toDataURL()")
    seen.until(lambda: canvas.evaluate("canvas => canvas.toDataURL()") != picture)


@pytest.mark.parametrize(("size", "language"), [((390, 844), "de-DE"), ((1280, 800), "en-US")])
def test_nothing_is_wider_than_the_screen(
    rides: Driven, visit: Open, size: tuple[int, int], language: str
) -> None:
    for view in (
        "live",
        f"rides/{rides.first}",
        f"compare/{rides.second}",
        f"overlay/{rides.first},{rides.second}",
    ):
        seen = visit(rides.url, view, size=size, language=language)
        expect(seen.page.locator(f"[data-signal='{PRESSURE}']")).to_be_visible()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0]
