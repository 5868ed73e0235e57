"""A ride over its reference, and several rides over each other."""

import re

import pytest
from playwright.sync_api import expect

from tests.page.bench import Bench
from tests.page.conftest import Open, Visit
from tests.page.library import ALONE, DOWN, FAILS, LONG_NAMED, PASSES, REFERENCE

PHASES = ["Start", "Acceleration", "Full speed", "Deceleration", "Creep", "Stop"]


def read_out(seen: Visit, chart: int = 0) -> str:
    """What the keyboard's cursor says in the middle of a chart."""
    plot = seen.page.locator(".plot").nth(chart)
    plot.focus()
    plot.press("ArrowRight")
    said = seen.page.locator("output").nth(chart)
    expect(said).not_to_be_empty()
    return said.inner_text()


def test_a_ride_within_the_tolerance_has_passed(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, f"compare/{PASSES}")
    expect(seen.page.locator("p.verdict")).to_have_text("✔ passed")
    rows = seen.page.locator(".deviations tbody tr")
    assert seen.page.locator(".deviations tbody th").all_inner_texts() == ["Whole ride", *PHASES]
    for row in rows.all():
        cells = row.locator("td").all_inner_texts()
        assert len(cells) == 6
        assert all(re.fullmatch(r"[+-]?[\d,]+\.\d+", cell) for cell in cells), cells
    expect(seen.page.get_by_text("against the reference.")).to_be_visible()


def test_a_slower_ride_has_failed_and_it_is_said_where_and_by_how_much(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, f"compare/{FAILS}")
    verdict = seen.page.locator("p.verdict")
    expect(verdict).to_have_attribute("data-passed", "false")
    expect(verdict).to_contain_text(re.compile(r"Position -2\d\d\.\d mm at \d\.\d\d s \(allowed 20 mm\)"))
    expect(verdict).to_contain_text(
        re.compile(r"Velocity \+2\d\d\.\d mm/s at \d\.\d\d s \(allowed 50 mm/s\)")
    )


def test_curves_the_tolerance_and_the_phases_are_drawn(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, f"compare/{FAILS}")
    said = read_out(seen)
    assert re.search(r"Ride 4 · V-2417: 5\d\d\.\d mm/s", said), said
    assert re.search(r"Reference 1 · V-2417: 6\d\d\.\d mm/s", said), said
    # Of the band both edges are in the picture, and nowhere in words.
    assert "Tolerance" not in said
    colors = seen.page.locator(".plot canvas").first.evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(canvas.width >> 1, 0, 1, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )
    assert colors > 4  # background of the phase, band, its edges, two curves


def test_another_reference_may_be_chosen(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, f"rides/{PASSES}")
    seen.page.get_by_role("button", name="Make it a reference").click()
    expect(seen.page.locator("header .tag")).to_be_visible()
    seen.page.get_by_role("link", name="Compare").click()
    seen.open(f"compare/{FAILS}")
    select = seen.page.get_by_role("combobox", name="Reference")
    expect(select).to_have_value(str(PASSES))  # the newest that fits
    select.select_option(str(REFERENCE))
    expect(seen.page).to_have_url(re.compile(f"#/compare/{FAILS}/{REFERENCE}$"))
    expect(select).to_have_value(str(REFERENCE))
    assert "Reference 1" in read_out(seen)
    seen.open(f"rides/{PASSES}")
    seen.page.get_by_role("button", name="No reference any more").click()
    expect(seen.page.locator("header .tag")).to_have_count(0)


def test_a_ride_that_no_reference_fits_waits_for_one_to_be_chosen(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, f"compare/{ALONE}")
    expect(seen.page.get_by_text("No reference fits by itself")).to_be_visible()
    seen.page.get_by_role("combobox", name="Reference").select_option(str(REFERENCE))
    expect(seen.page.locator("p.verdict")).to_have_attribute("data-passed", "false")


def test_a_ride_against_one_of_the_other_way_fails_for_that_reason(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, f"compare/{DOWN}/{REFERENCE}")
    verdict = seen.page.locator("p.verdict")
    expect(verdict).to_have_attribute("data-passed", "false")
    expect(verdict).to_contain_text("other way")


@pytest.mark.parametrize("view", [f"compare/{FAILS}", f"rides/{FAILS}", f"overlay/{REFERENCE},{FAILS}"])
def test_charts_are_zoomed_and_moved_together_with_mouse_and_keys(
    bench: Bench, visit: Open, view: str
) -> None:
    seen = visit(bench.url, view)
    first = seen.page.locator(".plot").first
    over = seen.page.locator(".u-over").first
    expect(over).to_be_visible()
    first.focus()
    first.press("+")
    zoomed = seen.pixels(0)
    first.press("0")
    seen.until(lambda: seen.pixels(0) != zoomed)
    whole = seen.pixels(0), seen.pixels(1)

    box = over.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    seen.page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=5)
    seen.page.mouse.up()
    seen.page.mouse.move(0, 0)
    seen.until(lambda: seen.pixels(0) != whole[0] and seen.pixels(1) != whole[1])
    dragged = seen.pixels(0)

    first.press("PageDown")
    seen.until(lambda: seen.pixels(0) != dragged)
    first.press("0")
    seen.until(lambda: (seen.pixels(0), seen.pixels(1)) == whole)
    first.press("+")
    seen.until(lambda: seen.pixels(1) != whole[1])
    over.dblclick()
    seen.page.mouse.move(0, 0)
    seen.until(lambda: seen.pixels(1) == whole[1])


def test_rides_that_are_chosen_in_the_table_are_laid_over_each_other(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, "rides")
    expect(seen.page.get_by_text("Choose two or more rides")).to_be_visible()
    for number in (FAILS, REFERENCE, PASSES):
        seen.page.get_by_label(f"Choose ride {number}", exact=True).check()
    seen.page.get_by_role("link", name="Lay 3 rides over each other").click()
    expect(seen.page.locator("h1")).to_have_text("V-2417")
    rows = seen.page.locator("table.phases tbody tr")
    assert [row.locator("a").inner_text() for row in rows.all()] == ["1", "3", "4"]
    swatches = seen.page.locator(".swatch").evaluate_all(
        "all => all.map(each => getComputedStyle(each).backgroundColor)"
    )
    assert len(set(swatches)) == 3
    expect(rows.nth(2)).to_contain_text("a quarter turn out")
    expect(rows.nth(2)).to_contain_text("560 mm/s")
    said = read_out(seen)
    assert [number for number in ("1 · ", "3 · ", "4 · ") if number in said] == ["1 · ", "3 · ", "4 · "]
    # One may not be there any more; the others are.
    seen.open(f"overlay/{REFERENCE},4711")
    expect(rows).to_have_count(1)


def test_rides_up_and_down_are_both_laid_over_in_the_direction_of_travel(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, f"overlay/{REFERENCE},{LONG_NAMED}")
    values = re.findall(r": (-?[\d.,]+) mm/s", read_out(seen))
    assert len(values) == 2
    assert all(float(value) > 10 for value in values), values
