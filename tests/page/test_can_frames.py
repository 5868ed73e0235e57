"""The tab CAN: what is on a bus, live."""

import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Locator, WebSocketRoute, expect

from tests.page.bench import benches
from tests.page.can_bench import CanBench, can_benches
from tests.page.conftest import Open, Visit

SIZES = [(390, 844), (1280, 800)]
AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
SECTIONS = ("frames", "devices", "send", "files", "statistics", "board", "recordings")


def row(seen: Visit, key: int | str) -> Locator:
    return seen.page.locator(f"tr[data-id='{key}']")


def octets(seen: Visit, key: int | str) -> list[str]:
    return row(seen, key).locator(".octet").all_inner_texts()


@pytest.fixture
def traffic(can_bench: CanBench, visit: Open) -> Visit:
    """The CANable is connected, and what it says is known."""
    can_bench.connect()
    can_bench.load()
    seen = visit(can_bench.url, "can", api=can_bench.api)
    expect(row(seen, 0x100)).to_be_visible()
    return seen


def test_frames_have_names_periods_and_octets_that_change(traffic: Visit) -> None:
    inverter = row(traffic, 0x100)
    expect(inverter).to_contain_text("0x100")
    expect(inverter).to_contain_text("InverterState")
    expect(inverter.locator(".octet")).to_have_count(8)
    expect(row(traffic, f"{0x18FEF100}x")).to_contain_text("18FEF100x")
    expect(row(traffic, f"{0x18FEF100}x")).to_contain_text("29 bits")
    expect(inverter).to_contain_text(re.compile(r"\d+\.\d ms"))  # as the listener counts, not the page
    before = octets(traffic, 0x100)
    traffic.until(lambda: octets(traffic, 0x100) != before)
    # Marked by a line as well, which is no colour.
    marked = inverter.locator(".octet.changed").first
    expect(marked).to_be_visible()
    line = "element => getComputedStyle(element).borderBottomColor"
    assert marked.evaluate(line) != "rgba(0, 0, 0, 0)"


def test_rows_stand_by_identifier_whenever_they_came(traffic: Visit) -> None:
    expect(traffic.page.locator("tbody tr")).to_have_count(4)
    keys = traffic.page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id)")
    assert keys == ["256", "272", "768", "419361024x"]


def test_decoded_signals_unfold_and_go_on(traffic: Visit) -> None:
    traffic.page.get_by_role("button", name="0x110").click()
    pressure = traffic.page.locator("[data-signal=Pressure] dd")
    expect(pressure).to_have_text(re.compile(r"^[\d.,]+ bar$"))
    before = pressure.inner_text()
    traffic.until(lambda: pressure.inner_text() != before)
    traffic.page.get_by_role("button", name="All signals").click()
    expect(traffic.page.locator("[data-signal=Mode] dd")).to_have_text(
        re.compile(r"(Off|Ready|Run|Brake|Fault) \(\d\)")
    )
    traffic.page.get_by_role("button", name="0x110").click()
    expect(pressure).to_have_count(0)
    expect(traffic.page.locator("[data-signal=Speed]")).to_be_visible()


@pytest.mark.parametrize("wanted", ["0x110", "pressuresensor", "oil", "110 oil"])
def test_the_filter_takes_identifier_name_and_signal(traffic: Visit, wanted: str) -> None:
    traffic.page.get_by_role("searchbox").fill(wanted)
    expect(row(traffic, 0x100)).to_have_count(0)
    expect(row(traffic, 0x110)).to_be_visible()
    expect(traffic.page.get_by_text("1 of 4 identifiers")).to_be_visible()
    traffic.page.get_by_role("searchbox").fill("nothing like that")
    expect(traffic.page.get_by_text("Nothing fits this filter.")).to_be_visible()


def test_a_pause_stands_says_so_and_ends_with_what_is_now(traffic: Visit) -> None:
    pause = traffic.page.get_by_role("button", name="Pause")
    pause.click()
    told = traffic.page.get_by_text(re.compile(r"Paused: .* ([\d,]+) frames"))
    expect(told).to_be_visible()
    before, count = octets(traffic, 0x100), told.inner_text()
    traffic.until(lambda: told.inner_text() != count)  # which goes on
    assert octets(traffic, 0x100) == before
    pause.click()
    expect(told).to_have_count(0)
    traffic.until(lambda: octets(traffic, 0x100) != before)


def test_what_does_not_come_any_more_is_grey_and_tells_its_age(can_bench: CanBench, visit: Open) -> None:
    can_bench.connect_virtual("a")
    can_bench.connect_virtual("b")
    seen = visit(can_bench.url, "can", api=can_bench.api)
    seen.page.get_by_role("button", name="b connected").click()
    expect(seen.page.get_by_text("No frame has come from this bus yet.")).to_be_visible()
    seen.until(lambda: len(seen.sockets) > 2)  # on the bus that was chosen
    seen.until(lambda: _said(can_bench, seen))
    expect(row(seen, 0x123).locator(".age")).to_have_text(re.compile(r"\d+ s old"))
    expect(row(seen, 0x123)).to_have_class("old")
    assert octets(seen, 0x123) == ["01", "FE"]
    can_bench.send("a", 0x123, [2, 0xFE])
    expect(row(seen, 0x123).locator(".age")).to_have_count(0)
    assert octets(seen, 0x123) == ["02", "FE"]


def _said(can_bench: CanBench, seen: Visit) -> bool:
    can_bench.send("a", 0x123, [1, 0xFE])
    seen.page.wait_for_timeout(100)
    return row(seen, 0x123).count() > 0


def test_the_bus_that_was_chosen_is_chosen_again(can_bench: CanBench, visit: Open) -> None:
    can_bench.connect()
    seen = visit(can_bench.url, "can", api=can_bench.api)
    chosen = seen.page.locator(".buses [aria-pressed=true]")
    expect(chosen).to_contain_text("default")
    seen.page.get_by_role("button", name="les02").click()
    expect(seen.page.get_by_text("nothing is ever sent on it")).to_be_visible()
    expect(row(seen, 0x80)).to_be_visible()
    expect(row(seen, 0x100)).to_have_count(0)
    seen.page.reload()
    expect(chosen).to_contain_text("les02")
    expect(row(seen, 0x81)).to_be_visible()


def test_hundreds_of_identifiers_are_shown_and_the_page_still_answers(
    can_bench: CanBench, visit: Open
) -> None:
    can_bench.connect_virtual("a")
    can_bench.connect_virtual("b")
    seen = visit(can_bench.url, "can", api=can_bench.api)
    seen.page.get_by_role("button", name="b connected").click()
    seen.until(lambda: _said(can_bench, seen))
    for number in range(400):
        can_bench.send("a", 0x200 + number, [number & 0xFF])
    expect(seen.page.get_by_text("401 of 401 identifiers")).to_be_visible()
    # Those off the screen, too, when they come into it.
    can_bench.send("a", 0x200 + 399, [0xAB])
    row(seen, 0x200 + 399).scroll_into_view_if_needed()
    seen.until(lambda: octets(seen, 0x200 + 399) == ["AB"])


def test_without_the_api_frames_are_shown_and_it_is_said_how_to_have_the_rest(
    tmp_path: Path, visit: Open
) -> None:
    bus = '{inverter = {device_type = "virtual", channel = "x"}}'
    with benches(tmp_path, LES02_WORKBENCH__ENABLED="true", LES02_WORKBENCH__BUSES=bus) as bench:
        seen = visit(bench.url, "can", disconnects=True)
        expect(seen.page.get_by_text("[api] enabled = true")).to_be_visible()
        expect(seen.page.locator(".buses [aria-pressed=true]")).to_contain_text("les02")
        expect(row(seen, 0x80)).to_be_visible()
        seen.page.get_by_role("link", name="Devices").click()
        expect(seen.page.get_by_text("[api] enabled = true")).to_be_visible()
        expect(seen.page.locator("section")).to_have_count(0)


def test_a_listener_that_goes_away_is_told_and_its_values_are_old(tmp_path: Path, visit: Open) -> None:
    with can_benches(tmp_path) as can_bench:
        can_bench.connect()
        seen = visit(can_bench.url, "can", api=can_bench.api, disconnects=True, refuses=True)
        expect(row(seen, 0x100)).to_be_visible()
        can_bench.daemon.end(signal.SIGKILL)  # in order, it would let its buses go first
        expect(seen.condition("disconnected")).to_be_visible()
        expect(seen.page.get_by_text("Frames do not arrive here")).to_be_visible()
        expect(row(seen, 0x100)).to_have_class("old")


@pytest.mark.parametrize("size", SIZES)
def test_no_section_is_wider_than_the_screen_in_german(
    can_bench: CanBench, visit: Open, size: tuple[int, int]
) -> None:
    can_bench.connect("a-bus-with-a-name-as-long-as-one")
    can_bench.load("a-bus-with-a-name-as-long-as-one")
    seen = visit(can_bench.url, "can", api=can_bench.api, size=size, language="de-DE")
    expect(seen.page.get_by_role("link", name="Geräte")).to_be_visible()
    seen.page.get_by_role("button", name="Alle Signale").click()
    expect(seen.page.locator("[data-signal=Speed]")).to_be_visible()
    wider = {}
    for section in SECTIONS:
        seen.open(f"can/{section}")
        expect(seen.page.locator(".can section").first).to_be_visible()
        seen.page.wait_for_timeout(300)
        width = seen.page.evaluate("document.documentElement.scrollWidth")
        if width > size[0]:
            wider[section] = width
    assert wider == {}


@pytest.mark.parametrize(("size", "theme"), [(SIZES[0], "light"), (SIZES[1], "dark"), (SIZES[1], "light")])
def test_nothing_is_in_the_way_of_who_sees_or_hears_the_tab_otherwise(
    can_bench: CanBench, visit: Open, size: tuple[int, int], theme: str
) -> None:
    can_bench.connect()
    can_bench.load()
    seen = visit(can_bench.url, "can", api=can_bench.api, size=size)
    seen.page.get_by_label("Light").select_option(theme)
    expect(row(seen, 0x100)).to_be_visible()
    seen.page.get_by_role("button", name="All signals").click()
    seen.page.evaluate(AXE.read_text())
    found = {}
    for section in SECTIONS:
        seen.open(f"can/{section}")
        expect(seen.page.locator(".can section").first).to_be_visible()
        violations = seen.page.evaluate("() => axe.run().then(({ violations }) => violations)")
        for each in violations:
            if each["impact"] in {"serious", "critical"}:
                found[section, each["id"]] = [node["html"][:200] for node in each["nodes"]]
    assert found == {}


def test_who_wants_less_motion_sees_marks_that_do_not_move(can_bench: CanBench, visit: Open) -> None:
    can_bench.connect()
    seen = visit(can_bench.url, "can", api=can_bench.api, reduced_motion="reduce")
    marked = row(seen, 0x100).locator(".octet.changed").first
    expect(marked).to_be_visible()
    assert marked.evaluate("element => getComputedStyle(element).animationName") == "none"


def test_frames_that_were_skipped_for_this_page_are_told(traffic: Visit) -> None:
    def meet(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(socket.send)
        if "rate=10" in socket.url:
            socket.send('{"type":"gap","skipped":1200}')
            socket.send('{"type":"gap","skipped":34}')

    traffic.page.route_web_socket(re.compile("/ws/can"), meet)
    traffic.page.reload()
    told = traffic.page.get_by_text("1,234 frames were skipped for this page, as it was too slow.")
    expect(told).to_be_visible()
    expect(row(traffic, 0x100)).to_be_visible()
    traffic.page.get_by_role("button", name="Start anew").click()
    expect(told).to_have_count(0)


def test_an_api_that_does_not_answer_is_told_and_frames_go_on(can_bench: CanBench, visit: Open) -> None:
    can_bench.connect()
    seen = visit(can_bench.url, "live", api=can_bench.api, refuses=True)
    seen.page.route(f"{can_bench.api}/**", lambda route: route.abort())
    seen.open("can")
    expect(seen.page.get_by_text("the REST API does not answer")).to_be_visible()
    expect(row(seen, 0x100)).to_be_visible()
    seen.page.unroute(f"{can_bench.api}/**")
    expect(seen.page.get_by_text("the REST API does not answer")).to_have_count(0)
