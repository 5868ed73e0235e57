"""The tab Signals on a phone and a tablet, in both themes and languages, and for who sees less."""

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.array_bench import ArrayBench
from tests.page.conftest import ROOT, Open, Visit

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
PHONE, TABLET = (390, 844), (1280, 800)
LONG = "Ventil_V-2417_Schraube_3_eine_halbe_Umdrehung_zurück_kalt_und_dann_noch_einmal_warm.npy"


def fill(bench: ArrayBench) -> None:
    bench.upload(LONG, np.sin(np.arange(3000) / 50))
    bench.upload("plane.npy", np.arange(1200.0).reshape(30, 40))
    dtype = [(name, "<f8") for name in ("time", "position", "velocity", "acceleration", "pressure")]
    bench.upload("records.npy", np.zeros(30, dtype))


def look_at_all(seen: Visit, name: str) -> None:
    looks = seen.page.get_by_role("button", name=name)
    expect(looks).to_have_count(3)
    for each in looks.all():
        each.click()
    expect(seen.page.locator("table.values, .look .plot canvas, .heat canvas[role=img]")).to_have_count(3)


@pytest.mark.parametrize(
    ("size", "theme"), [(PHONE, "dark"), (PHONE, "light"), (TABLET, "dark"), (TABLET, "light")]
)
def test_nothing_is_in_the_way_of_who_sees_or_hears_it_otherwise(
    array_bench: ArrayBench, visit: Open, size: tuple[int, int], theme: str
) -> None:
    fill(array_bench)
    seen = visit(array_bench.url, "signals", api=array_bench.api, size=size)
    seen.page.get_by_label("Light").select_option(theme)
    seen.page.evaluate(AXE.read_text())

    def violations() -> dict[str, list[str]]:
        found = seen.page.evaluate("() => axe.run().then(({ violations }) => violations)")
        bad = [each for each in found if each["impact"] in {"serious", "critical"}]
        return {each["id"]: [node["html"][:200] for node in each["nodes"]] for each in bad}

    seen.page.get_by_label("Source").select_option("les02.position")
    expect(seen.page.locator(".live-signals .stack")).to_have_class("stack")
    array_bench.bench.fault("silent")
    expect(seen.page.locator("[data-trouble=waiting]")).to_be_visible()
    assert violations() == {}
    array_bench.bench.repair()
    seen.open("signals/arrays")
    look_at_all(seen, "Look")
    seen.page.get_by_role("button", name="Rename: plane.npy").click()
    assert violations() == {}


@pytest.mark.parametrize("size", [PHONE, TABLET])
def test_it_fits_the_screen_in_german(array_bench: ArrayBench, visit: Open, size: tuple[int, int]) -> None:
    fill(array_bench)
    seen = visit(array_bench.url, "signals", api=array_bench.api, size=size, language="de-DE")
    seen.page.get_by_label("Quelle").select_option("les02.position")
    expect(seen.page.get_by_role("button", name="Stoppen")).to_be_visible()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    seen.open("signals/arrays")
    look_at_all(seen, "Ansehen")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= size[0]
