"""The board of watched signals: gauges, curves, groups, limits, and what is old."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from tests.page.can_bench import CanBench
from tests.page.conftest import Open, Visit

BOARD = "les02.board"


def item(signal: str, view: str = "gauge", message: str = "", **more: Any) -> dict[str, Any]:
    limits = {"low": None, "high": None}
    return {"bus": "right", "view": view, "message": message, "signal": signal} | limits | more


def ends(bench: CanBench) -> None:
    bench.connect_virtual("left")
    bench.connect_virtual("right")
    bench.load("right")


def on(bench: CanBench, visit: Open, *items: dict[str, Any], bus: str = "right", **more: Any) -> Visit:
    seen = visit(bench.url, "can/board", api=bench.api, **more)
    if items:
        board = json.dumps({"les02_board": 1, "items": items})
        seen.page.evaluate("([name, board]) => localStorage.setItem(name, board)", [BOARD, board])
        seen.page.reload()
    seen.page.locator(".buses").get_by_role("button", name=bus).click()
    return seen


def card(seen: Visit, signal: str) -> Locator:
    return seen.page.locator(f"[data-card='{signal}']")


def speed(bench: CanBench, rpm: float) -> None:
    raw = round(rpm / 0.5).to_bytes(2, "little", signed=True)
    bench.send("left", 0x100, [*raw, 0, 0, 0, 0, 40, 2])


def cells(bench: CanBench, *volts: float) -> None:
    """Two of them in each frame."""
    for group in (0, 1):
        octets = b"".join(
            round(1000 * each).to_bytes(2, "little") for each in volts[2 * group : 2 * group + 2]
        )
        bench.send("left", 0x300, [group, *octets, 0, 0, 0])


def test_signals_are_found_and_put_on_the_board_where_they_live(can_bench: CanBench, visit: Open) -> None:
    can_bench.connect()
    can_bench.load()
    seen = on(can_bench, visit, bus="default")
    expect(seen.page.get_by_text("Nothing is watched yet.")).to_be_visible()
    search = seen.page.get_by_role("searchbox")
    search.fill("press")
    expect(seen.page.locator("[data-found]")).to_have_count(2)  # both of the message PressureSensor
    seen.page.get_by_role("button", name="Curve, Pressure", exact=True).click()
    search.fill("Mode")
    seen.page.get_by_role("button", name="Gauge, Mode").click()
    search.fill("Therm*1")
    seen.page.get_by_role("button", name="Group Therm*1 (1)").click()
    search.fill("")
    seen.page.get_by_role("button", name="Group Cell* (4)").click()
    expect(seen.page.locator("[data-card]")).to_have_count(4)
    expect(card(seen, "Mode").locator(".big-value")).to_contain_text(re.compile("Off|Ready|Run|Brake|Fault"))
    value = card(seen, "Pressure").locator(".big-value")
    expect(value).to_contain_text("bar")
    seen.until(lambda: "–" not in value.inner_text())
    before = value.inner_text()
    seen.until(lambda: value.inner_text() != before)
    curve = card(seen, "Pressure").locator("canvas")
    drawn = curve.evaluate("canvas => canvas.toDataURL()")
    seen.until(lambda: curve.evaluate("canvas => canvas.toDataURL()") != drawn)
    # All parts of a multiplexed message come, however often it is looked at.
    expect(card(seen, "Cell*").get_by_text("not current")).to_have_count(0)
    assert len(card(seen, "Cell*").locator("[data-member]").all()) == 4
    # One connection for what comes in turns, one for the rest.
    queries = [
        socket.url for socket in seen.sockets if "ids=0x110" in socket.url or "ids=0x300" in socket.url
    ]
    assert any("rate=" in url for url in queries)

    seen.page.reload()
    expect(seen.page.locator("[data-card]")).to_have_count(4)
    card(seen, "Mode").get_by_role("button", name="Remove").click()
    expect(seen.page.locator("[data-card]")).to_have_count(3)
    seen.page.get_by_role("button", name="Undo").click()
    expect(seen.page.locator("[data-card]")).to_have_count(4)


def test_what_is_outside_its_limits_is_told_in_words(can_bench: CanBench, visit: Open) -> None:
    ends(can_bench)
    seen = on(can_bench, visit, item("Speed", message="InverterState"), item("Mode", message="InverterState"))
    shown = card(seen, "Speed")
    expect(shown).to_contain_text("Not heard yet.")

    def told(rpm: float, text: str) -> bool:
        speed(can_bench, rpm)
        return text in shown.inner_text()

    seen.until(lambda: told(1200.5, "1,200.5 rpm"))
    expect(card(seen, "Mode").locator(".big-value")).to_contain_text("Run")
    seen.until(lambda: told(1200.5, "Within the limits."))
    expect(shown.locator(".ends")).to_contain_text("-6,000")
    seen.until(lambda: told(6500, "Above the limit 6,000 rpm"))
    shown.get_by_text("Limits", exact=True).click()
    shown.get_by_label("High").fill("1000,5")
    seen.until(lambda: told(1200, "Above the limit 1,000.5 rpm"))
    assert "outside" in str(shown.get_attribute("class"))
    shown.get_by_label("Low").fill("-10")
    seen.until(lambda: told(-11, "Below the limit -10 rpm"))
    seen.until(lambda: told(0, "Within the limits."))
    shown.get_by_label("High").fill("much")
    expect(shown).to_contain_text("That is no number.")
    # They are kept.
    seen.page.reload()
    seen.until(lambda: told(-11, "Below the limit -10 rpm"))


def test_a_value_that_does_not_come_any_more_is_told_to_be_old(can_bench: CanBench, visit: Open) -> None:
    ends(can_bench)
    seen = on(can_bench, visit, item("Speed", message="InverterState"))
    shown = card(seen, "Speed")

    def heard() -> bool:
        speed(can_bench, 500)
        return "Within the limits." in shown.inner_text()

    seen.until(heard)
    expect(shown).to_contain_text("Not current: 2 s old.")
    assert "old" in str(shown.get_attribute("class")).split()
    expect(shown.locator(".big-value")).to_contain_text("500.0")
    expect(shown).to_contain_text("Not current: 4 s old.")
    seen.until(heard)


def test_a_group_tells_its_lowest_highest_mean_and_who_is_outside(can_bench: CanBench, visit: Open) -> None:
    ends(can_bench)
    seen = on(can_bench, visit, item("Cell*", "group", high=4.15))
    shown = card(seen, "Cell*")

    def told(*volts: float) -> str:
        cells(can_bench, *volts)
        return shown.inner_text()

    seen.until(lambda: "4.200" in told(3.3, 4.2, 3.0, 4.1) and "not current" not in shown.inner_text())
    of = shown.locator(".of-group div")
    expect(of.nth(0)).to_contain_text("3.000 V")
    expect(of.nth(0)).to_contain_text("Cell3")
    expect(of.nth(1)).to_contain_text("Cell2")
    expect(of.nth(2)).to_contain_text("3.650 V")
    assert "Outside the limits: 1. Cell2" in told(3.3, 4.2, 3.0, 4.1)
    expect(shown.locator("[data-member=Cell2]")).to_contain_text("too high")
    seen.until(lambda: "Outside the limits: 2. Cell2, Cell3" in told(3.3, 4.2, 2.4, 4.1))
    expect(shown.locator("[data-member=Cell3]")).to_contain_text("too low")
    seen.until(lambda: "Outside" not in told(3.3, 4.0, 3.0, 4.1))
    # One half of it alone goes on.
    seen.until(lambda: "2 of 4 are not current" in half(can_bench, shown))
    expect(of.nth(0)).to_contain_text("Cell1")
    expect(shown.locator("[data-member=Cell3]")).to_contain_text("3.000 ")
    expect(shown).to_contain_text("4 of 4 are not current and do not count.")
    expect(of.nth(2)).to_contain_text("–")


def half(bench: CanBench, shown: Locator) -> str:
    bench.send("left", 0x300, [0, *(3300).to_bytes(2, "little"), *(4000).to_bytes(2, "little"), 0, 0, 0])
    return shown.inner_text()


def test_a_board_is_carried_to_another_browser_as_a_file(
    can_bench: CanBench, visit: Open, tmp_path: Path
) -> None:
    ends(can_bench)
    seen = on(can_bench, visit, item("Speed", message="InverterState", high=900), item("Cell*", "group"))
    expect(seen.page.locator("[data-card]")).to_have_count(2)
    with seen.page.expect_download() as saving:
        seen.page.get_by_role("button", name="Save the board as a file").click()
    path = tmp_path / "board.json"
    saving.value.save_as(path)
    assert json.loads(path.read_text())["items"][0] == item("Speed", message="InverterState", high=900)

    other = on(can_bench, visit)
    opening = other.page.get_by_label("Open a board file")
    opening.set_input_files(path)
    expect(other.page.locator("[data-card]")).to_have_count(2)
    expect(card(other, "Speed").locator(".ends")).to_contain_text("900")
    other.page.reload()
    expect(other.page.locator("[data-card]")).to_have_count(2)
    path.write_text("no board at all")
    opening.set_input_files(path)
    expect(other.page.locator(".toast.bad")).to_contain_text("board.json is no board file.")
    expect(other.page.locator("[data-card]")).to_have_count(2)


def test_a_signal_that_no_file_knows_is_told_and_comes_when_its_file_does(
    can_bench: CanBench, visit: Open
) -> None:
    can_bench.connect_virtual("right")
    seen = on(can_bench, visit, item("Speed", message="InverterState"))
    shown = card(seen, "Speed")
    expect(shown).to_contain_text("No DBC file of right knows this signal.")
    can_bench.load("right")
    seen.page.reload()
    expect(shown).to_contain_text("Not heard yet.")
