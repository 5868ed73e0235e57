"""The tab Signals: arrays uploaded, listed, named, looked at, fetched, deleted."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.page.array_bench import MOST, ArrayBench, npy
from tests.page.conftest import Open, Visit
from tests.page.test_export import content

Saved = Callable[[str, Any], Path]
# How many colours the picture has, and of a place in it whether anything is painted.
COLOURS = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
}"""


@pytest.fixture
def kept(array_bench: ArrayBench, visit: Open) -> Visit:
    return visit(array_bench.url, "signals/arrays", api=array_bench.api, refuses=True)


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    def save(name: str, array: Any) -> Path:
        (tmp_path / name).write_bytes(array if isinstance(array, bytes) else npy(array))
        return tmp_path / name

    return save


def entry(seen: Visit, name: str) -> Locator:
    return seen.page.locator("li[data-array]", has_text=name)


def add(seen: Visit, *paths: Path) -> None:
    seen.page.locator("input[type=file]").set_input_files([*paths])


def look(seen: Visit, bench: ArrayBench, array: Any, name: str = "seen.npy") -> Locator:
    bench.upload(name, array)
    seen.page.reload()
    entry(seen, name).get_by_role("button", name="Look").click()
    return entry(seen, name).locator(".look")


def test_arrays_are_uploaded_and_told_with_shape_and_dtype(
    kept: Visit, array_bench: ArrayBench, saved: Saved
) -> None:
    expect(kept.page.get_by_text("No array yet.")).to_be_visible()
    add(kept, saved("ramp.npy", np.arange(100.0)), saved("grid.npy", np.ones((4, 5), ">i2")))
    expect(entry(kept, "ramp.npy").locator(".shape")).to_have_text("100")
    expect(entry(kept, "ramp.npy").locator(".dtype")).to_have_text("float64")
    expect(entry(kept, "grid.npy").locator(".shape")).to_have_text("4 × 5")
    expect(kept.page.locator("[data-upload]")).to_have_count(0)
    assert array_bench.names() == ["ramp.npy", "grid.npy"]


def test_a_file_is_dropped(kept: Visit) -> None:
    expect(kept.page.get_by_text("No array yet.")).to_be_visible()
    transfer = kept.page.evaluate_handle(
        """octets => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(octets)], "dropped.npy"));
            return transfer;
        }""",
        list(npy(np.arange(3))),
    )
    kept.page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer})
    expect(entry(kept, "dropped.npy").locator(".shape")).to_have_text("3")


def test_what_is_no_array_is_refused_in_the_listeners_words_and_the_others_are_taken(
    kept: Visit, array_bench: ArrayBench, saved: Saved
) -> None:
    zipped = io.BytesIO()
    np.savez(zipped, a=np.arange(3))
    cut = npy(np.arange(100))[:-8]
    add(
        kept,
        saved("zipped.npz", zipped.getvalue()),
        saved("cut.npy", cut),
        saved("large.npy", np.zeros(MOST // 8)),
        saved("good.npy", np.arange(3)),
    )
    expect(entry(kept, "good.npy")).to_be_visible()
    told = kept.page.locator(".refused")
    expect(told).to_have_count(3)
    expect(told.nth(0)).to_contain_text("zipped.npz: a zip file, perhaps .npz: upload its arrays one by one")
    expect(told.nth(1)).to_contain_text("cut.npy: its header promises 800 octets of data, there are 792")
    expect(told.nth(2)).to_contain_text("large.npy: larger than 20 MB")
    assert array_bench.names() == ["good.npy"]
    kept.page.get_by_role("button", name="Put away: cut.npy").click()
    expect(told).to_have_count(2)


def test_progress_is_told_and_an_upload_can_be_given_up(
    kept: Visit, array_bench: ArrayBench, saved: Saved
) -> None:
    session = kept.page.context.new_cdp_session(kept.page)
    session.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 500_000}
    session.send("Network.emulateNetworkConditions", slow)
    add(kept, saved("slow.npy", np.zeros(1_000_000)), saved("next.npy", np.zeros(3)))
    going = kept.page.locator("[data-upload='slow.npy']")
    expect(going).to_contain_text(re.compile(r"[\d.]+ .B of 8\.0 MB"))
    kept.until(lambda: going.locator("progress").evaluate("element => element.value > 0"))
    kept.page.get_by_role("button", name="Give up: slow.npy").click()
    expect(going).to_have_count(0)
    expect(entry(kept, "next.npy")).to_be_visible()
    assert array_bench.names() == ["next.npy"]


def test_an_array_gets_another_name(kept: Visit, array_bench: ArrayBench, saved: Saved) -> None:
    add(kept, saved("a.npy", np.arange(3)))
    kept.page.get_by_role("button", name="Rename: a.npy").click()
    kept.page.get_by_label("Name", exact=True).fill("Ventil 7, kalt")
    kept.page.keyboard.press("Enter")
    expect(entry(kept, "Ventil 7, kalt")).to_be_visible()
    assert array_bench.names() == ["Ventil 7, kalt"]
    kept.page.get_by_role("button", name="Rename").click()
    kept.page.keyboard.press("Escape")
    expect(kept.page.get_by_label("Name", exact=True)).to_have_count(0)


def test_deleting_can_be_undone_for_a_while_and_then_it_is_done(
    kept: Visit, array_bench: ArrayBench, saved: Saved
) -> None:
    add(kept, saved("a.npy", np.arange(3)))
    kept.page.get_by_role("button", name="Delete: a.npy").click()
    expect(entry(kept, "a.npy")).to_have_count(0)
    kept.page.get_by_role("button", name="Undo").click()
    expect(entry(kept, "a.npy")).to_be_visible()
    kept.page.get_by_role("button", name="Delete: a.npy").click()
    kept.until(lambda: not array_bench.arrays())
    expect(entry(kept, "a.npy")).to_have_count(0)


def test_an_array_is_fetched_as_it_came_and_as_a_table(kept: Visit, saved: Saved) -> None:
    array = np.arange(6.0).reshape(3, 2)
    add(kept, saved("a.npy", array))
    with kept.page.expect_download() as waiting:
        kept.page.get_by_role("link", name="Download .npy: a.npy").click()
    assert content(waiting.value) == npy(array)
    with kept.page.expect_download() as waiting:
        kept.page.get_by_role("link", name="Download .csv: a.npy").click()
    assert content(waiting.value).decode().split() == ["0.0,1.0", "2.0,3.0", "4.0,5.0"]


def test_what_another_puts_there_appears_by_itself(kept: Visit, array_bench: ArrayBench) -> None:
    expect(kept.page.get_by_text("No array yet.")).to_be_visible()
    array_bench.upload("theirs.npy", np.arange(3))
    expect(entry(kept, "theirs.npy")).to_be_visible()


def test_an_array_is_played_from_the_list(kept: Visit, saved: Saved) -> None:
    add(kept, saved("a.npy", np.arange(500.0)))
    kept.page.get_by_role("link", name="Play: a.npy").click()
    expect(kept.page.get_by_label("Source")).to_have_value(re.compile(r"array:\d+"))
    expect(kept.page.locator("[data-trouble=ended]")).to_be_visible()


# Quick looks


def test_a_row_of_numbers_is_a_curve_with_its_numbers(kept: Visit, array_bench: ArrayBench) -> None:
    seen = look(kept, array_bench, np.array([1.0, 5.0, np.nan, 3.0]))
    expect(seen.locator(".plot canvas")).to_be_visible()
    expect(seen).to_contain_text("Of 3 values that are shown: 1 to 5, mean 3, standard deviation 1.6330.")
    expect(seen).to_contain_text("Not drawn, as they are no finite numbers: 1.")


def test_of_a_long_row_so_many_numbers_are_asked_for_as_can_be_drawn(
    kept: Visit, array_bench: ArrayBench
) -> None:
    asked: list[tuple[str, int]] = []
    kept.page.on(
        "response",
        lambda answer: asked.append((answer.url, len(answer.body()))) if "/array/" in answer.url else None,
    )
    seen = look(kept, array_bench, np.arange(2_000_000.0))
    expect(seen).to_contain_text("Of 2,000,000 rows one in 200 is shown.")
    expect(seen).to_contain_text("Of 10,000 values that are shown: 0 to 1,999,800")
    kept.until(lambda: asked)
    ((url, octets),) = asked
    assert url.endswith("?rows=0%3A2000000%3A200")
    assert octets < 200_000


def test_of_what_is_zoomed_into_more_is_fetched(kept: Visit, array_bench: ArrayBench) -> None:
    spike = np.zeros(2_000_000)
    spike[1_000_001] = 7.0  # between those that are shown first
    seen = look(kept, array_bench, spike)
    expect(seen).to_contain_text("one in 200 is shown. Zoom in to see more of them.")
    expect(seen).to_contain_text("0 to 0")
    seen.locator(".plot").focus()
    for _ in range(14):
        kept.page.keyboard.press("+")
    expect(seen).to_contain_text("every one is shown")
    expect(seen).to_contain_text("0 to 7")
    kept.page.keyboard.press("0")
    expect(seen).to_contain_text("one in 200 is shown")


def test_of_one_long_row_so_many_columns_are_asked_for_and_more_of_what_is_zoomed_into(
    kept: Visit, array_bench: ArrayBench
) -> None:
    spike = np.zeros((1, 2_000_000))
    spike[0, 1_000_001] = 7.0
    seen = look(kept, array_bench, spike)
    expect(seen).to_contain_text("Of 2,000,000 columns one in 200 is shown. Zoom in to see more of them.")
    expect(seen).to_contain_text("Of 10,000 values that are shown: 0 to 0")
    seen.locator(".plot").focus()
    for _ in range(14):
        kept.page.keyboard.press("+")
    expect(seen).to_contain_text("every one is shown")
    expect(seen).to_contain_text("0 to 7")


def test_of_a_large_plane_no_more_is_fetched_than_is_shown(kept: Visit, array_bench: ArrayBench) -> None:
    asked: list[tuple[str, int]] = []
    kept.page.on(
        "response",
        lambda answer: asked.append((answer.url, len(answer.body()))) if "/array/" in answer.url else None,
    )
    plane = np.add.outer(np.arange(1000), np.arange(2000))
    seen = look(kept, array_bench, plane.astype("<u2"))
    expect(seen).to_contain_text("Of 1,000 rows one in 4 is shown. Of 2,000 columns one in 7 is shown.")
    kept.until(lambda: asked)
    ((url, octets),) = asked
    assert url.endswith("?rows=0%3A1000%3A4&cols=0%3A2000%3A7")
    assert octets < 500_000
    picture = seen.get_by_role("img")
    picture.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        kept.page.keyboard.press(key)
    expect(seen.locator("output")).to_have_text("Row 4, column 7: 11")


def test_of_planes_whose_rows_are_too_long_the_beginning_of_one_is_read(
    kept: Visit, array_bench: ArrayBench
) -> None:
    seen = look(kept, array_bench, np.arange(2_000_000.0).reshape(2, 5, -1))
    expect(seen).to_contain_text("The first 10,000 values of row 0 are shown")
    expect(seen).to_contain_text("0 to 9,999")


def test_a_few_columns_are_as_many_curves(kept: Visit, array_bench: ArrayBench) -> None:
    seen = look(kept, array_bench, np.random.default_rng(1).normal(size=(500, 3)))
    expect(seen.locator(".u-legend")).to_contain_text("Column 2")


def test_a_plane_of_numbers_is_a_picture_whose_values_can_be_read(
    kept: Visit, array_bench: ArrayBench
) -> None:
    plane = np.arange(1200.0).reshape(30, 40)
    plane[0, 0] = np.inf
    seen = look(kept, array_bench, plane)
    picture = seen.get_by_role("img")
    assert picture.evaluate(COLOURS) > 200
    expect(seen.locator("figcaption")).to_contain_text("1,199")
    expect(seen).to_contain_text("no finite numbers: 1")
    box = picture.bounding_box()
    assert box
    picture.hover(position={"x": box["width"] * 10.5 / 40, "y": box["height"] * 20.5 / 30})
    expect(seen.locator("output")).to_have_text("Row 20, column 10: 810")
    picture.focus()
    kept.page.keyboard.press("ArrowRight")
    expect(seen.locator("output")).to_have_text("Row 20, column 11: 811")


def test_of_many_planes_each_can_be_seen(kept: Visit, array_bench: ArrayBench) -> None:
    seen = look(kept, array_bench, np.arange(24, dtype="u1").reshape(2, 3, 4))
    expect(seen.locator("figcaption")).to_contain_text("11")
    seen.get_by_label("Layer, of 2").fill("1")
    expect(seen.locator("figcaption")).to_contain_text("23")


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.array([1 + 2j, -1j]), "1 + 2 i"),
        (np.array([True, False]), "true"),
        (np.array(["2026-01-02T03:04", "NaT"], "M8[m]"), "2026-01-02T03:04"),
        (np.array(["Ölpumpe", "b"]), "Ölpumpe"),
        (np.array([(1, 2.5)], [("screw", "<i4"), ("turns", "<f8")]), "screw"),
    ],
)
def test_what_is_no_plain_number_is_a_table(
    kept: Visit, array_bench: ArrayBench, array: Any, told: str
) -> None:
    expect(look(kept, array_bench, array).get_by_role("table")).to_contain_text(told)


def test_one_value_and_none_are_told(kept: Visit, array_bench: ArrayBench) -> None:
    expect(look(kept, array_bench, np.float64(2.5), "one.npy")).to_contain_text("2.5")
    expect(look(kept, array_bench, np.empty((0, 3)), "none.npy")).to_contain_text("It is empty.")
