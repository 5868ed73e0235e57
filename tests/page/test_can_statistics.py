"""What is on a bus: the page's numbers are those of what was sent."""

import json
from typing import Any

from playwright.sync_api import Locator, Route, expect

from tests.page.can_bench import CanBench
from tests.page.conftest import Open, Visit

# InverterState of mock/bench.dbc, every 10 ms.
STATE = 0x100


def ends(bench: CanBench) -> None:
    for bus in ("left", "right"):
        wanted = {"device_type": "virtual", "channel": "bench", "bus": bus, "baudrate": "BAUD_125K"}
        bench.call("POST", "/connect", wanted)


def on(bench: CanBench, visit: Open, bus: str = "right", **more: Any) -> Visit:
    seen = visit(bench.url, "can/statistics", api=bench.api, **more)
    seen.page.locator(".buses").get_by_role("button", name=bus).click()
    return seen


def total(seen: Visit, name: str) -> Locator:
    return seen.page.locator(f"[data-total={name}] dd").first


def row(seen: Visit, identifier: str) -> list[str]:
    return seen.page.locator(f"tr[data-id='{identifier}']").locator("th, td").all_inner_texts()


def start(bench: CanBench, period_ms: float) -> None:
    wanted = {"bus": "left", "can_id": STATE, "data": [0] * 8, "period_ms": period_ms, "pinned": True}
    bench.call("POST", "/cyclic", wanted)


def stop(bench: CanBench) -> None:
    for task in bench.call("GET", "/cyclic"):
        bench.call("DELETE", f"/cyclic/{task['id']}")


def test_every_frame_is_counted_until_counting_begins_anew(can_bench: CanBench, visit: Open) -> None:
    ends(can_bench)
    seen = on(can_bench, visit)
    expect(seen.page.get_by_text("Nothing has been heard on this bus yet.")).to_be_visible()
    for number in range(30):
        can_bench.send("left", 0x123 if number % 3 else 0x7A, [number])
    expect(total(seen, "frames")).to_have_text("30")
    expect(total(seen, "identifiers")).to_have_text("2")
    expect(total(seen, "errors")).to_have_text("0")
    assert row(seen, "0x123")[2] == "20"
    assert row(seen, "0x07A")[2] == "10"
    seen.page.get_by_role("button", name="Count anew").click()
    expect(total(seen, "frames")).to_have_text("0")
    expect(seen.page.get_by_text("Nothing has been heard on this bus yet.")).to_be_visible()


def test_rate_period_and_load_are_those_of_what_is_sent(can_bench: CanBench, visit: Open) -> None:
    ends(can_bench)
    can_bench.load("right")
    start(can_bench, 10)
    seen = on(can_bench, visit)
    # A hundred frames a second of 8 octets at 125 kbit/s: 111 bits and those that are stuffed.
    seen.until(
        lambda: (
            total(seen, "rate").count() and 80 <= float(total(seen, "rate").inner_text().split()[0]) <= 110
        )
    )
    load = float(total(seen, "load").inner_text().split()[0])
    assert 7 < load < 12
    _, name, _, rate, _, mean, _, cycle = row(seen, "0x100")
    assert name == "InverterState"
    assert 80 <= float(rate) <= 110
    assert 9 <= float(mean) <= 12.5
    assert cycle == "10"
    told = seen.page.locator(".small-curve")
    expect(told).to_have_attribute(
        "aria-label", f"Bus load in percent, last five minutes; now {load:.1f}", timeout=5000
    )
    stop(can_bench)


def test_a_message_that_does_not_come_any_more_is_told_in_words(can_bench: CanBench, visit: Open) -> None:
    ends(can_bench)
    can_bench.load("right")
    seen = on(can_bench, visit)
    start(can_bench, 10)
    missing = seen.page.locator("tr.missing")
    expect(seen.page.locator("tr[data-id='0x100']")).to_be_visible()
    expect(total(seen, "missing")).to_have_text("0")
    stop(can_bench)
    expect(missing).to_contain_text("missing")
    expect(total(seen, "missing")).to_have_text("1")
    start(can_bench, 10)
    expect(missing).to_have_count(0)
    expect(total(seen, "missing")).to_have_text("0")
    stop(can_bench)


def test_errors_are_told_by_class_and_without_a_bit_rate_there_is_no_load(
    can_bench: CanBench, visit: Open
) -> None:
    can_bench.connect_virtual("left")

    def as_a_broken_line_would(route: Route) -> None:
        answer = route.fetch()
        errors = {
            "error_frames": 7,
            "errors": {"bus_off": 2, "protocol_stuff": 5},
            "tx_errors": 128,
            "rx_errors": 3,
        }
        route.fulfill(response=answer, body=json.dumps(answer.json() | errors))

    seen = on(can_bench, visit, "left")
    expect(seen.page.get_by_text("Without a bit rate the bus load is not known.")).to_be_visible()
    expect(seen.page.locator(".errors")).to_have_count(0)
    seen.page.route("**/buses/left/statistics", as_a_broken_line_would)
    expect(total(seen, "errors")).to_have_text("7")
    told = seen.page.locator(".errors li")
    expect(told).to_have_text(
        ["bus off: 2", "protocol_stuff: 5", "Error counters of the adapter: sending 128, receiving 3"]
    )


def test_it_is_asked_for_only_while_somebody_looks(can_bench: CanBench, visit: Open) -> None:
    can_bench.connect_virtual("left")
    seen = on(can_bench, visit, "left")
    asked: list[str] = []
    seen.page.on("request", lambda request: asked.append(request.url))

    def times() -> int:
        return sum(url.endswith("/statistics") for url in asked)

    seen.until(lambda: times() >= 2)
    hide = """hidden => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    seen.page.evaluate(hide, True)
    seen.page.wait_for_timeout(1500)
    before = times()
    seen.page.wait_for_timeout(2500)
    assert times() == before
    seen.page.evaluate(hide, False)
    seen.until(lambda: times() > before)
    seen.page.get_by_role("link", name="Devices").click()
    seen.page.wait_for_timeout(500)
    before = times()
    seen.page.wait_for_timeout(2500)
    assert times() == before
