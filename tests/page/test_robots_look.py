"""The tab Robots on a phone and a tablet, in both themes and languages, and for who sees less."""

import pytest
from playwright.sync_api import expect

from tests.page.conftest import ROOT, Open
from tests.page.dashboard import Dashboard
from tests.page.robot_bench import RobotBench

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
PHONE, SIDEWAYS, TABLET = (390, 844), (844, 390), (1280, 800)


@pytest.mark.parametrize(
    ("size", "theme"), [(PHONE, "dark"), (PHONE, "light"), (TABLET, "dark"), (TABLET, "light")]
)
def test_nothing_is_in_the_way_of_who_sees_or_hears_it_otherwise(
    robot_bench: RobotBench, visit: Open, size: tuple[int, int], theme: str
) -> None:
    robot = robot_bench.add("robot_01")
    robot.mock.body.battery = 5.0
    robot_bench.add("robot_02")
    other = Dashboard(visit(robot_bench.url, "robots", api=robot_bench.api), "Tablet")
    other.page.get_by_role("button", name="Take").click()
    mine = Dashboard(visit(robot_bench.url, "robots", api=robot_bench.api, size=size))
    mine.page.get_by_label("Light").select_option(theme)
    expect(mine.card("robot_01").locator("[data-wrong=low_battery]")).to_be_visible()
    mine.page.evaluate(AXE.read_text())

    def violations() -> dict[str, list[str]]:
        found = mine.page.evaluate("() => axe.run().then(({ violations }) => violations)")
        bad = [each for each in found if each["impact"] in {"serious", "critical"}]
        return {each["id"]: [node["html"][:200] for node in each["nodes"]] for each in bad}

    mine.page.get_by_role("button", name="Take by force").click()
    assert violations() == {}
    mine.page.get_by_role("button", name="Cancel").click()
    mine.choose("robot_02")
    mine.ready()
    mine.slider("set_speed").fill("40")
    expect(mine.became("set_speed")).to_have_attribute("data-state", "executed")
    mine.stop.click()
    expect(mine.stop_told).to_be_visible()
    assert violations() == {}


@pytest.mark.parametrize("size", [PHONE, SIDEWAYS, TABLET])
def test_it_fits_the_screen_in_german_and_the_stop_is_always_there(
    robot_bench: RobotBench, visit: Open, size: tuple[int, int]
) -> None:
    for number in range(4):
        robot_bench.add(f"robot_with_a_long_name_{number}", name="Treppensteiger mit Schraubendreher")
    mine = Dashboard(visit(robot_bench.url, "robots", api=robot_bench.api, size=size, language="de-DE"))
    page = mine.page
    mine.ready()
    expect(mine.operator).to_contain_text("Niemand bedient ihn.")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    stop = page.get_by_role("button", name="STOPP")
    for _ in range(2):
        box = stop.bounding_box()
        assert box
        assert 0 <= box["y"] <= size[1] - box["height"]
        page.mouse.wheel(0, 5000)
        page.wait_for_timeout(100)
    if size == PHONE:
        # Both sticks for two thumbs, without scrolling.
        page.evaluate("scrollTo(0, 0)")
        for stick in ("robot_move", "camera_move"):
            box = mine.stick(stick).bounding_box()
            assert box
            assert box["y"] + box["height"] < size[1]


def test_the_keyboard_reaches_everything_in_its_order(robot_bench: RobotBench, visit: Open) -> None:
    robot_bench.add("robot_01")
    mine = Dashboard(visit(robot_bench.url, "robots", api=robot_bench.api))
    mine.ready()
    mine.stop.focus()
    order = []
    for _ in range(6):
        mine.page.keyboard.press("Tab")
        order.append(
            mine.page.evaluate("document.activeElement.dataset.stick ?? document.activeElement.localName")
        )
    assert order == ["select", "robot_move", "camera_move", "button", "input", "input"]
    mine.stick("robot_move").focus()
    assert mine.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert mine.stick("robot_move").get_attribute("aria-label") == "Drive: robot_01"
