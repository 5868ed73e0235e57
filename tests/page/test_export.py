"""A ride as a file, a picture and a sheet of paper."""

import base64
import json
import re
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Download, Page, expect

from tests.page import library
from tests.page.bench import Bench
from tests.page.conftest import Open, Visit
from tests.page.library import CUT, DOWN, FAILS, LONG_NAMED, REFERENCE

PNG_HEAD = struct.Struct(">8sI4sIIBB")
SIZE = (1600, 1000)
# Of a picture: how many colours there are in each of these columns and lines of it, and the first pixel.
LOOK_AT = """async ([text, columns, rows]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const colors = (...box) => {
        const { data } = context.getImageData(...box);
        return new Set(new Uint32Array(data.buffer)).size;
    };
    return {
        first: [...context.getImageData(0, 0, 1, 1).data],
        columns: columns.map(([x, y, height]) => colors(x, y, 1, height)),
        rows: rows.map(([y, height]) => colors(0, y, bitmap.width, height)),
    };
}"""


def saved(seen: Visit, button: str) -> Download:
    with seen.page.expect_download() as waiting:
        seen.page.get_by_role("button", name=button, exact=True).click()
    return waiting.value


def content(download: Download) -> bytes:
    return Path(download.path()).read_bytes()


def stored_curve(bench: Bench, number: int) -> bytes:
    """As `lesrides export --csv` writes curves."""
    names = ("offsets_us", "position_mm", "velocity_mm_s", "acceleration_mm_s2")
    with closing(sqlite3.connect(f"file:{bench.database}?mode=ro", uri=True)) as connection:
        (row,) = connection.execute(f"SELECT {', '.join(names)} FROM curves WHERE ride = ?", (number,))
    lines = [",".join(("time_s", *names[1:]))]
    for us, *values in zip(*map(json.loads, row), strict=True):
        lines.append(",".join((f"{us / 1e6:.4f}", *(f"{round(value, 2) + 0.0:.2f}" for value in values))))
    return "".join(f"{line}\r\n" for line in lines).encode()


def look_at(page: Page, png: bytes, columns: list[tuple[int, int, int]], rows: list[tuple[int, int]]) -> Any:
    return page.evaluate(LOOK_AT, [base64.b64encode(png).decode(), columns, rows])


@pytest.mark.parametrize("number", [REFERENCE, DOWN, CUT])
def test_the_table_of_a_curve_is_the_curve_that_is_kept(bench: Bench, visit: Open, number: int) -> None:
    seen = visit(bench.url, f"rides/{number}", language="de-DE")  # whatever a number looks like on the page
    file = saved(seen, "CSV")
    assert re.fullmatch(rf"ride_{number}_[\w.-]+_2026-03-0\dT\d\d-\d\d-\d\d\.csv", file.suggested_filename)
    table = content(file)
    assert len(table.splitlines()) > 150
    assert table == stored_curve(bench, number)


@pytest.mark.parametrize("number", [REFERENCE, CUT])
def test_the_table_of_all_frames_is_what_lesrides_writes(
    bench: Bench, visit: Open, tmp_path: Path, number: int
) -> None:
    seen = visit(bench.url, f"rides/{number}")
    file = saved(seen, "CSV of all frames")
    assert file.suggested_filename.endswith("_frames.csv")
    assert content(file) == library.export(bench.database, number, "--raw", to=tmp_path / "frames.csv")


@pytest.mark.parametrize(
    ("view", "theme"),
    [(f"rides/{LONG_NAMED}", "dark"), (f"rides/{FAILS}", "light"), (f"compare/{FAILS}", "dark")],
)
def test_the_picture_is_one_for_a_report_whatever_the_screen_looks_like(
    bench: Bench, visit: Open, view: str, theme: str
) -> None:
    seen = visit(bench.url, view)
    seen.page.get_by_label("Light").select_option(theme)
    file = saved(seen, "PNG")
    assert re.fullmatch(r"ride_\d_[\w.-]+\.png", file.suggested_filename)
    png = content(file)
    magic, _, _, *size, _, _ = PNG_HEAD.unpack_from(png)
    assert (magic, tuple(size)) == (b"\x89PNG\r\n\x1a\n", SIZE)
    # Within each of two charts there is something from left to right; and above them words, in two lines.
    columns = [(x, y, 350) for y in (120, 560) for x in (300, 600, 900, 1200)]
    found = look_at(seen.page, png, columns, [(0, 20), (25, 40), (70, 30)])
    assert found["first"] == [255, 255, 255, 255]
    assert found["rows"][0] == 1, "the margin"
    assert min(found["rows"][1:]) > 10
    assert min(found["columns"]) > 3
    # It was drawn for paper, and the screen is as it was.
    expect(seen.page.locator("html")).to_have_attribute("data-theme", theme)
    expect(seen.page.locator(".off-screen")).to_have_count(0)


@pytest.mark.parametrize(
    ("number", "language", "note"),
    [(FAILS, "en-US", "quarter turn"), (LONG_NAMED, "en-US", "Viertel"), (LONG_NAMED, "de-DE", "Viertel")],
)
def test_a_ride_with_its_note_is_printed_on_one_sheet(
    bench: Bench, visit: Open, number: int, language: str, note: str
) -> None:
    seen = visit(bench.url, f"rides/{number}", language=language)
    expect(seen.page.locator("article.ride")).to_be_visible()
    sheet = seen.page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1
    # On the screen it is as before.
    expect(seen.page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(seen.page.locator("canvas.on-paper")).to_have_count(0)
    seen.page.emulate_media(media="print")
    for gone in ("header.top", ".tools", ".inscription", "footer.foot"):
        expect(seen.page.locator(gone).first).to_be_hidden()
    expect(seen.page.get_by_text(note).filter(visible=True)).to_have_count(1)
