"""Sending, statistics, board and recordings as anybody has them: phone, German, both themes, a keyboard."""

import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.page.can_bench import CanBench, can_benches
from tests.page.conftest import Open, Visit
from tests.page.test_look import AXE, PHONE, TABLET

# Each view, and what is there when all of it is.
VIEWS = {
    "can/send": "[data-task]",
    "can/statistics": "tr[data-id='0x100']",
    "can/board": "[data-card='Cell*'] [data-member=Cell4]",
    "can/recordings": "[data-recording]",
}
ITEMS = [
    {
        "bus": "default",
        "view": "gauge",
        "message": "InverterState",
        "signal": "Speed",
        "low": None,
        "high": -7000,
    },
    {"bus": "default", "view": "curve", "message": "PressureSensor", "signal": "Pressure"},
    {"bus": "default", "view": "group", "message": "", "signal": "Cell*", "low": 3.3},
    {
        "bus": "default",
        "view": "gauge",
        "message": "None",
        "signal": "A_signal_with_a_name_as_long_as_some_tools_make",
    },
]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanBench]:
    """With something in every view."""
    with can_benches(tmp_path_factory.mktemp("full")) as bench:
        bench.connect()
        bench.load()
        start = {"bus": "default", "can_id": 0x77, "data": [1, 2, 3, 4, 5, 6, 7, 8], "period_ms": 1000}
        bench.call("POST", "/cyclic", start | {"pinned": True})
        listed = [{"frame": {"can_id": 0x11, "data": [1] * 8}, "label": "a label", "period_ms": 100}]
        bench.call("PUT", "/transmit_lists/list", {"frames": listed})
        bench.call(
            "POST", "/recordings/start", {"bus": "default", "name": "a-name-as-long-as-one-likes-to-give"}
        )
        bench.call("POST", "/recordings/start", {"bus": "les02", "name": "sensor"})
        time.sleep(0.3)
        bench.call("POST", "/recordings/stop", {"bus": "default"})
        yield bench


def visited(bench: CanBench, visit: Open, size: tuple[int, int], **more: str) -> Visit:
    seen = visit(bench.url, "can/send", api=bench.api, size=size, **more)
    board = json.dumps({"les02_board": 1, "items": ITEMS})
    seen.page.evaluate("board => localStorage.setItem('les02.board', board)", board)
    seen.page.reload()
    return seen


def goto(seen: Visit, view: str) -> None:
    seen.open(view)
    expect(seen.page.locator(VIEWS[view]).first).to_be_visible()
    if view == "can/send":
        seen.page.locator("#can-message").select_option("InverterState")
        seen.page.locator("[data-signal=Speed] input").fill("1e9")
        expect(seen.page.locator(".wrong:not(:empty)").first).to_be_visible()
        seen.page.locator(".lists").get_by_role("button", name="list", exact=True).click()
        expect(seen.page.locator("[data-list]")).to_be_visible()
    if view == "can/board":
        for part in (".choice", ".card .limiting"):
            if seen.page.locator(f"{part}[open]").count() == 0:
                seen.page.locator(f"{part} summary").first.click()


@pytest.mark.parametrize(
    ("size", "theme"), [(PHONE, "dark"), (PHONE, "light"), (TABLET, "dark"), (TABLET, "light")]
)
def test_nothing_is_in_the_way_of_who_sees_or_hears_the_page_otherwise(
    full: CanBench, visit: Open, size: tuple[int, int], theme: str
) -> None:
    assert AXE.exists(), "cd web && npm ci"
    seen = visited(full, visit, size)
    seen.page.get_by_label("Light", exact=True).select_option(theme)
    seen.page.evaluate(AXE.read_text())
    found = {}
    for view in VIEWS:
        goto(seen, view)
        violations = seen.page.evaluate("() => axe.run().then(({ violations }) => violations)")
        for each in violations:
            if each["impact"] in {"serious", "critical"}:
                found[view, each["id"]] = [node["html"][:200] for node in each["nodes"]]
    assert found == {}


@pytest.mark.parametrize("size", [PHONE, (844, 390), TABLET])
def test_no_view_is_wider_than_the_screen_in_german(
    full: CanBench, visit: Open, size: tuple[int, int]
) -> None:
    seen = visited(full, visit, size, language="de-DE")
    wider = {}
    for view in VIEWS:
        goto(seen, view)
        width = seen.page.evaluate("document.documentElement.scrollWidth")
        if width > size[0]:
            wider[view] = width
    assert wider == {}


def test_the_words_and_numbers_are_german_for_who_reads_german(full: CanBench, visit: Open) -> None:
    seen = visited(full, visit, TABLET, language="de-DE")
    goto(seen, "can/send")
    expect(seen.page.locator("[data-signal=Speed] .wrong")).to_have_text("Über 6.000 rpm.")
    expect(seen.page.get_by_role("button", name="Zyklisch senden")).to_be_disabled()
    expect(seen.page.locator("[data-task]")).to_contain_text("läuft von selbst weiter")
    goto(seen, "can/statistics")
    expect(seen.page.locator("[data-total=load]")).to_contain_text("Buslast")
    goto(seen, "can/board")
    expect(seen.page.locator("[data-card=Speed]")).to_contain_text("Über der Grenze -7.000 rpm")
    expect(seen.page.locator("[data-card='Cell*'] .of-group")).to_contain_text("Kleinster")
    goto(seen, "can/recordings")
    expect(seen.page.locator("[data-recorder=les02]")).to_contain_text(
        "les02 wird aufgezeichnet in sensor.log"
    )


def test_a_frame_is_sent_with_the_keyboard_alone(full: CanBench, visit: Open) -> None:
    seen = visited(full, visit, TABLET)
    seen.page.get_by_role("button", name="As a frame").focus()
    seen.page.keyboard.press("Enter")
    seen.page.get_by_label("Identifier", exact=True).focus()
    seen.page.keyboard.type("11")
    for _ in range(4):  # how it is written, 29 bits, remote, the octets
        seen.page.keyboard.press("Tab")
    seen.page.keyboard.type("01")
    seen.page.keyboard.press("Tab")
    seen.page.keyboard.press("Enter")
    expect(seen.page.get_by_text("Sent on default.")).to_be_visible()
