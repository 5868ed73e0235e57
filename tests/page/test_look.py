"""Languages, themes, sizes of screens, keyboards, and people who see less: every view, as anybody has it."""

import re
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.page.bench import Bench
from tests.page.conftest import ROOT, Open, Visit
from tests.page.library import FAILS, LONG, LONG_NAMED, PASSES, REFERENCE

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
PHONE, TABLET = (390, 844), (1280, 800)
# Each view, and what is there when all of it is.
VIEWS = {
    "live": "section.live .u-legend",
    "rides": f"tr[data-ride='{FAILS}'] .verdict.failed",
    f"rides/{FAILS}": "article.ride .verdict.failed",
    f"compare/{FAILS}": "article.compare .deviations",
    f"overlay/{REFERENCE},{PASSES},{FAILS}": "article.overlay .swatch >> nth=2",
}


def goto(seen: Visit, view: str) -> None:
    seen.open(view)
    expect(seen.page.locator(VIEWS[view]).first).to_be_visible()


@pytest.mark.parametrize(("size", "theme"), [(PHONE, "dark"), (PHONE, "light"), (TABLET, "dark")])
def test_nothing_is_in_the_way_of_who_sees_or_hears_the_page_otherwise(
    bench: Bench, visit: Open, size: tuple[int, int], theme: str
) -> None:
    assert AXE.exists(), "cd web && npm ci"
    seen = visit(bench.url, size=size)
    seen.page.get_by_label("Light").select_option(theme)
    # Not as a script of the page: its policy would not let it in.
    seen.page.evaluate(AXE.read_text())
    found = {}
    for view in VIEWS:
        goto(seen, view)
        violations = seen.page.evaluate("() => axe.run().then(({ violations }) => violations)")
        for each in violations:
            if each["impact"] in {"serious", "critical"}:
                found[view, each["id"]] = [node["html"][:200] for node in each["nodes"]]
    assert found == {}


def test_what_is_wrong_can_be_read_in_both_themes(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url)
    seen.page.evaluate(AXE.read_text())
    bench.fault("silent")
    try:
        expect(seen.condition("no_data")).to_be_visible()
        for theme in ("dark", "light"):
            seen.page.get_by_label("Light").select_option(theme)
            violations = seen.page.evaluate("() => axe.run('.banner').then(({ violations }) => violations)")
            assert [each["id"] for each in violations if each["impact"] in {"serious", "critical"}] == []
    finally:
        bench.repair()
    seen.is_well()


@pytest.mark.parametrize("size", [PHONE, (844, 390), TABLET])
def test_no_view_is_wider_than_the_screen_in_german_with_long_names(
    bench: Bench, visit: Open, size: tuple[int, int]
) -> None:
    seen = visit(bench.url, size=size, language="de-DE")
    wider = {}
    for view in (*VIEWS, f"rides/{LONG_NAMED}", f"compare/{LONG_NAMED}/{REFERENCE}"):
        seen.open(view)
        ready = VIEWS.get(view, f"main :text('{LONG}')")
        expect(seen.page.locator(ready).first).to_be_visible()
        width = seen.page.evaluate("document.documentElement.scrollWidth")
        if width > size[0]:
            wider[view] = width
    assert wider == {}


def test_a_banner_with_a_long_reason_fits_a_phone(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, size=PHONE, language="de-DE")
    seen.is_well()
    bench.unplug()
    try:
        expect(seen.condition("bus_lost")).to_be_visible()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    finally:
        bench.plug_in()
    seen.is_well()


@pytest.mark.parametrize(
    ("language", "live", "other", "choice"),
    [
        ("de-DE", "Geschwindigkeit", "Velocity", "en"),
        ("en-US", "Velocity", "Geschwindigkeit", "de"),
        ("fr-FR", "Velocity", "Geschwindigkeit", "de"),
    ],
)
def test_the_language_is_the_browsers_until_another_is_chosen(
    bench: Bench, visit: Open, language: str, live: str, other: str, choice: str
) -> None:
    seen = visit(bench.url, language=language)
    expect(seen.page.locator("[data-figure=velocity] dt")).to_have_text(live)
    assert seen.page.locator("html").get_attribute("lang") != choice
    seen.page.locator("header select").first.select_option(choice)
    for _ in range(2):
        expect(seen.page.locator("[data-figure=velocity] dt")).to_have_text(other)
        expect(seen.page.locator("html")).to_have_attribute("lang", choice)
        # The words of a chart, too.
        expect(seen.page.locator(".u-legend").first).to_contain_text(other)
        seen.page.reload()


def test_numbers_and_dates_are_written_as_the_language_does(bench: Bench, visit: Open) -> None:
    german, english = (visit(bench.url, "rides", language=language) for language in ("de-DE", "en-US"))
    expect(german.row(FAILS).locator("td").nth(1)).to_contain_text("02.03.2026, 10:10")
    expect(german.row(FAILS).locator("td").nth(3)).to_contain_text("3.000")
    expect(german.row(FAILS).locator("td").nth(4)).to_have_text("8,82")
    expect(english.row(FAILS).locator("td").nth(3)).to_contain_text("3,000")
    expect(english.row(FAILS).locator("td").nth(4)).to_have_text("8.82")


def background(seen: Visit) -> str:
    return str(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_it_is_dark_until_light_is_chosen_or_the_system_is_asked(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, theme="light")
    root, choice = seen.page.locator("html"), seen.page.get_by_label("Light")
    expect(root).to_have_attribute("data-theme", "dark")
    seen.is_well()
    dark, chart = background(seen), seen.pixels()
    choice.select_option("light")
    expect(root).to_have_attribute("data-theme", "light")
    assert background(seen) == "rgb(255, 255, 255)" != dark
    seen.until(lambda: seen.pixels() != chart)
    seen.page.reload()
    expect(root).to_have_attribute("data-theme", "light")
    choice.select_option("system")
    expect(root).to_have_attribute("data-theme", "light")
    seen.page.emulate_media(color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "dark")
    assert background(seen) == dark
    seen.page.reload()
    expect(choice).to_have_value("system")
    expect(root).to_have_attribute("data-theme", "dark")


def test_a_browser_that_keeps_nothing_shows_the_page_all_the_same(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url)
    seen.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"
    )
    seen.page.reload()
    seen.is_well()
    seen.page.get_by_label("Light").select_option("light")
    expect(seen.page.locator("html")).to_have_attribute("data-theme", "light")


def focused(seen: Visit) -> str:
    return str(seen.page.evaluate("document.activeElement.className || document.activeElement.textContent"))


def test_the_keyboard_reaches_tabs_and_charts(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url)
    seen.is_well()
    order = []
    for _ in range(12):
        seen.page.keyboard.press("Tab")
        order.append(focused(seen))
    assert order[:2] == ["Live", "Rides"]
    assert order.count("plot") == 2
    # What is focused is seen to be.
    seen.page.locator(".plot").first.focus()
    seen.page.keyboard.press("Shift+Tab")
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    seen.page.get_by_role("link", name="Rides").focus()
    seen.page.keyboard.press("Enter")
    expect(seen.row(FAILS)).to_be_visible()


def test_the_arrow_keys_read_a_chart_out(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, f"rides/{REFERENCE}")
    chart = seen.page.locator(".plot").first
    said = seen.page.locator("output").first
    chart.focus()
    chart.press("ArrowRight")
    expect(said).to_have_text(re.compile(r"seconds of the ride: \d+\.\d\d, Velocity: -?\d+ mm/s"))
    first = said.inner_text()
    chart.press("Shift+ArrowRight")
    expect(said).not_to_have_text(first)
    # The other chart shows the same moment.
    legends = seen.page.locator(".u-legend .u-series:first-child .u-value")
    assert legends.nth(0).inner_text() == legends.nth(1).inner_text() != "–"
    before = seen.pixels()
    chart.press("+")
    seen.until(lambda: seen.pixels() != before)
    # What the browser itself does with keys stays his.
    chart.press("Control+ArrowLeft")


def test_who_wants_less_motion_gets_less(bench: Bench, visit: Open) -> None:
    calm = visit(bench.url, reduced_motion="reduce")
    calm.is_well()
    pictures = set()
    for _ in range(20):
        pictures.add(calm.pixels())
        calm.page.wait_for_timeout(25)
    # Four a second, not sixty.
    assert 2 <= len(pictures) <= 12  # on a slow machine a picture takes its time, too


def test_the_policy_of_the_page_lets_nothing_else_in(bench: Bench, visit: Open) -> None:
    with urllib.request.urlopen(bench.url, timeout=10) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    seen = visit(bench.url)
    seen.is_well()
    answered = seen.page.request.get(bench.url)
    assert answered.headers["content-security-policy"].startswith("default-src 'none'")
    # And it holds: what somebody gets into the page does not run.
    seen.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=in>in</p>')")
    expect(seen.page.locator("#in")).to_be_visible()
    seen.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'taken over'";
            document.body.append(script);
        }"""
    )
    assert seen.page.title() == "LES02"
    refused = [trouble for trouble in seen.trouble if "Content Security Policy" in trouble]
    assert len(refused) == 1
    seen.trouble.remove(refused[0])
