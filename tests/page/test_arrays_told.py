"""The tab Signals for who may only look, without the REST API, and on a page that is too slow."""

import re
from pathlib import Path

import numpy as np
from playwright.sync_api import expect

from tests.page.array_bench import SETTINGS, array_benches, npy
from tests.page.bench import FLAGS, benches
from tests.page.conftest import Open, Visit

KEY = "the-key-of-the-bench"
BLOCKED_S = 4


def is_moving(seen: Visit) -> None:
    before = seen.pixels()
    seen.until(lambda: seen.pixels() != before)


def test_who_may_only_look_sees_and_fetches_all_and_changes_nothing(tmp_path: Path, visit: Open) -> None:
    (tmp_path / "a.npy").write_bytes(npy(np.arange(300.0)))
    tokens = f'["{KEY}"]'
    with array_benches(tmp_path, LES02_ACCESS__CONTROL_TOKENS=tokens) as bench:
        seen = visit(bench.url, "signals/arrays", api=bench.api, disconnects=True, refuses=True)
        expect(seen.page.get_by_text("may change something")).to_be_visible()
        expect(seen.page.locator("input[type=file]")).to_be_disabled()
        # What is dropped all the same goes nowhere.
        transfer = seen.page.evaluate_handle(
            """octets => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([new Uint8Array(octets)], "dropped.npy"));
                return transfer;
            }""",
            list(npy(np.arange(3))),
        )
        seen.page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer})
        seen.page.locator(".rights summary").click()
        seen.page.get_by_label("Token").fill(KEY)
        seen.page.locator(".rights button").click()
        seen.page.locator("input[type=file]").set_input_files(tmp_path / "a.npy")
        expect(seen.page.locator("li[data-array]")).to_have_count(1)
        assert bench.names() == ["a.npy"]

        other = visit(bench.url, "signals/arrays", api=bench.api)
        entry = other.page.locator("li[data-array]", has_text="a.npy")
        for name in ("Rename: a.npy", "Delete: a.npy"):
            expect(entry.get_by_role("button", name=name)).to_be_disabled()
        entry.get_by_role("button", name="Look").click()
        expect(entry.locator(".look")).to_contain_text("Of 300 values that are shown: 0 to 299")
        with other.page.expect_download() as waiting:
            entry.get_by_role("link", name="Download .npy: a.npy").click()
        assert Path(waiting.value.path()).read_bytes() == npy(np.arange(300.0))
        # To have something sent changes nothing at the bench.
        other.open("signals/live")
        other.page.get_by_role("button", name="Start for all").click()
        is_moving(other)
        other.page.get_by_label("Source").select_option("les02.position")
        expect(other.page.locator(".live-signals .stack")).to_have_class("stack")


def test_without_the_rest_api_the_sensor_is_live_and_what_needs_it_is_told(
    tmp_path: Path, visit: Open
) -> None:
    with benches(tmp_path, flags=FLAGS, **SETTINGS) as bench:
        seen = visit(bench.url, "signals")
        expect(
            seen.page.get_by_text("Without the REST API signals of CAN devices and arrays")
        ).to_be_visible()
        listed = seen.page.get_by_label("Source").locator("option")
        expect(listed).to_have_count(4)  # the demo, and what the sensor has
        seen.page.get_by_label("Source").select_option("les02.velocity")
        bench.ride(2000.0)
        expect(seen.page.locator(".live-signals .stack")).to_have_class("stack")
        is_moving(seen)
        seen.open("signals/arrays")
        expect(seen.page.locator(".needs-api")).to_be_visible()
        expect(seen.page.locator("input[type=file]")).to_have_count(0)


def test_a_page_that_was_too_slow_is_told_what_it_has_missed(tmp_path: Path, visit: Open) -> None:
    bounds = {"LES02_WEBSOCKET__WRITE_BUFFER": "4096", "LES02_WEBSOCKET__STALL_S": "60"}
    with array_benches(tmp_path, **bounds) as bench:
        # Wide enough that what lies on the way is soon full.
        index = bench.upload("long.npy", np.arange(2_000_000.0))
        seen = visit(bench.url, "signals", api=bench.api, disconnects=True)
        seen.page.get_by_label("Source").select_option(f"array:{index}")
        seen.page.get_by_label("Points shown").select_option("10000")
        seen.page.get_by_label("Packets a second").select_option("50")
        seen.page.get_by_label("Again and again").check()
        is_moving(seen)
        told = seen.page.locator("[data-trouble=skipped]")
        expect(told).to_have_count(0)

        def block() -> bool:
            wait = "s => { const end = Date.now() + 1000 * s; while (Date.now() < end); }"
            seen.page.evaluate(wait, BLOCKED_S)
            return told.is_visible()

        seen.until(block)
        expect(told).to_contain_text(re.compile(r"\d+"))
        is_moving(seen)
