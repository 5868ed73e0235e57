"""The tab Mesh on a phone and a tablet, in both themes and languages, by keyboard, and with 200 nodes."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import ROOT, Open
from tests.page.mesh_bench import FIRST, SECOND, MeshBench, mesh_benches

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
PHONE, TABLET = (390, 844), (1280, 800)
MANY = 200
# Of a second of the page's thread, which has nothing else to do; a busy machine takes some of it.
MOST_OF_THE_TIME = 0.5


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshBench]:
    with mesh_benches(tmp_path_factory.mktemp("mesh"), settings={"LES02_MESH__IDLE_S": "1.5"}) as running:
        running.silence(SECOND)
        yield running


def violations(page: Page) -> dict[str, list[str]]:
    found = page.evaluate("() => axe.run().then(({ violations }) => violations)")
    bad = [each for each in found if each["impact"] in {"serious", "critical"}]
    return {each["id"]: [node["html"][:200] for node in each["nodes"]] for each in bad}


@pytest.mark.parametrize(
    ("size", "theme"), [(PHONE, "dark"), (PHONE, "light"), (TABLET, "dark"), (TABLET, "light")]
)
def test_nothing_is_in_the_way_of_who_sees_or_hears_it_otherwise(
    bench: MeshBench, visit: Open, size: tuple[int, int], theme: str
) -> None:
    page = visit(bench.url, "mesh", api=bench.api, size=size).page
    page.get_by_label("Light").select_option(theme)
    expect(page.locator(f"[data-node='{SECOND}'] [data-state]")).to_contain_text("idle")
    page.evaluate(AXE.read_text())
    assert violations(page) == {}
    page.goto(f"{bench.url}/#/mesh/traffic")
    page.locator(".lines [role=option]").first.click()
    expect(page.locator("dl.whole")).to_be_visible()
    assert violations(page) == {}
    page.goto(f"{bench.url}/#/mesh/send")
    page.locator("#ms-typed").fill("hello")
    page.locator("form.message").get_by_role("button", name="Send").click()
    expect(page.locator(".sent .good")).to_be_visible()
    page.get_by_role("button", name="Clean …").click()
    assert violations(page) == {}


@pytest.mark.parametrize("size", [PHONE, (844, 390), TABLET])
def test_it_fits_the_screen_in_german(bench: MeshBench, visit: Open, size: tuple[int, int]) -> None:
    page = visit(bench.url, "mesh", api=bench.api, size=size, language="de-DE").page
    expect(page.locator(f"[data-node='{FIRST}'] [data-type=Temperature] dd")).to_contain_text(",")
    expect(page.locator(f"[data-node='{FIRST}']")).to_contain_text("Temperatur vor 0 s")
    for section in ("nodes", "traffic", "send"):
        page.goto(f"{bench.url}/#/mesh/{section}")
        expect(page.locator(f"article.mesh[data-section={section}]")).to_be_visible()
        if section == "send":
            page.get_by_role("button", name="Bereinigen …").click()
            expect(page.get_by_role("alertdialog")).to_contain_text("Gespeichertes bleibt.")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_a_phone_shows_one_section_at_a_time_and_a_tablet_all(bench: MeshBench, visit: Open) -> None:
    page = visit(bench.url, "mesh", api=bench.api, size=PHONE).page
    parts = {"Nodes": ".nodes", "Traffic": ".traffic", "Send": ".sending"}
    for title, part in parts.items():
        page.locator(".mesh .sections").get_by_role("link", name=title).click()
        expect(page.locator(part)).to_be_visible()
        for other in set(parts.values()) - {part}:
            expect(page.locator(other)).to_be_hidden()
    # From a node one comes to its traffic, and to what is sent to it.
    page.locator(".mesh .sections").get_by_role("link", name="Nodes").click()
    page.locator(f"[data-node='{FIRST}']").get_by_role("button", name="Traffic").click()
    expect(page.locator(".lines [role=option]").first).to_contain_text("Node-5")
    page.locator(".mesh .sections").get_by_role("link", name="Nodes").click()
    page.locator(f"[data-node='{FIRST}']").get_by_role("button", name="Send").click()
    expect(page.locator("#ms-typed")).to_be_focused()
    page.set_viewport_size({"width": TABLET[0], "height": TABLET[1]})
    for part in parts.values():
        expect(page.locator(part)).to_be_visible()


def test_the_keyboard_sends_and_reads(bench: MeshBench, visit: Open) -> None:
    page = visit(bench.url, "mesh", api=bench.api).page
    expect(page.locator(".lines [role=option]").first).to_be_visible()
    page.locator("#ms-typed").focus()
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    expect(page.locator(".sent .good")).to_be_visible()
    page.locator(".lines").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for _ in range(30):
        page.keyboard.press("ArrowDown")
        chosen = page.locator(".lines [aria-selected=true]")
        if chosen.count() == 1:
            active = page.locator(".lines").get_attribute("aria-activedescendant")
            assert chosen.get_attribute("id") == active
    expect(page.locator("dl.whole")).to_be_visible()


def test_two_hundred_nodes_that_say_something_twice_a_second_leave_the_page_fluid(
    tmp_path_factory: pytest.TempPathFactory, visit: Open
) -> None:
    with mesh_benches(tmp_path_factory.mktemp("many"), nodes=MANY, join_s=0.005) as bench:
        seen = visit(bench.url, "mesh", api=bench.api)
        page = seen.page
        expect(page.locator("[data-choice=active]")).to_contain_text(str(MANY))
        expect(page.locator("[data-node]")).to_have_count(MANY)
        # Of the traffic only what is seen is in the page.
        seen.until(lambda: page.locator(".all-lines").evaluate("all => all.clientHeight > 10000"))
        assert page.locator(".lines [role=option]").count() < 60
        # Nothing is painted that cannot be seen.
        changed = page.evaluate("""() => new Promise(done => {
          const seen = new Set();
          const watch = new MutationObserver(all => all.forEach(({ target }) => {
            const element = target.nodeType === 1 ? target : target.parentElement;
            const node = element && element.closest("[data-node]");
            if (node) seen.add(node.dataset.node);
          }));
          const what = { subtree: true, childList: true, attributes: true, characterData: true };
          watch.observe(document.querySelector(".mesh"), what);
          setTimeout(() => { watch.disconnect(); done([...seen].map(Number)); }, 3000);
        })""")
        assert FIRST in changed
        assert len(changed) < 30
        # What comes into sight is current.
        last = page.locator(f"[data-node='{FIRST + MANY - 1}']")
        last.scroll_into_view_if_needed()
        expect(last.locator(".heard")).to_contain_text("heard 0 s ago")
        expect(last.locator("[data-type=Temperature] svg")).to_be_visible()
        # CPU time of the page's thread, whatever else the machine does.
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.enable", {"timeDomain": "threadTicks"})

        def busy() -> float:
            return float(
                {each["name"]: each["value"] for each in cdp.send("Performance.getMetrics")["metrics"]}[
                    "TaskDuration"
                ]
            )

        before = busy()
        page.wait_for_timeout(4000)
        assert (busy() - before) / 4 < MOST_OF_THE_TIME
        expect(page.locator("[data-trouble]")).to_have_count(0)
