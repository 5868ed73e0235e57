"""The tab Signals: any source live, and its rolling mean below; what keeps it from coming is told."""

import re
import signal

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.page.array_bench import ArrayBench
from tests.page.conftest import Open, Visit

UPPER, LOWER = 0, 1


@pytest.fixture
def live(array_bench: ArrayBench, visit: Open) -> Visit:
    return visit(array_bench.url, "signals", api=array_bench.api)


def choose(seen: Visit, source: str) -> None:
    seen.page.get_by_label("Source").select_option(source)


def trouble(seen: Visit, key: str) -> Locator:
    return seen.page.locator(f"[data-trouble={key}]")


def curves(seen: Visit) -> Locator:
    return seen.page.locator(".live-signals .stack")


def is_current(seen: Visit) -> None:
    expect(curves(seen)).to_have_class("stack")


def is_moving(seen: Visit) -> None:
    before = seen.pixels(UPPER), seen.pixels(LOWER)
    seen.until(lambda: seen.pixels(UPPER) != before[0] and seen.pixels(LOWER) != before[1])


@pytest.mark.parametrize("source", ["les02.position", "les02.velocity", "les02.acceleration"])
def test_what_the_sensor_says_runs_through_both_panes(
    live: Visit, array_bench: ArrayBench, source: str
) -> None:
    array_bench.ride(2000.0)
    choose(live, source)
    is_current(live)
    is_moving(live)
    expect(curves(live)).to_have_attribute("data-axis", "ago")
    expect(live.page.locator(".u-legend").first).to_contain_text(source)
    expect(live.page.locator(".u-legend").last).to_contain_text("Mean of 20")
    expect(live.page.locator("[data-trouble]")).to_have_count(0)


def test_the_demo_rests_until_somebody_starts_it_for_all_and_others_see_it_run(
    live: Visit, array_bench: ArrayBench, visit: Open
) -> None:
    expect(live.page.get_by_text("The demo does not run.")).to_be_visible()
    assert not array_bench.is_demo_on
    other = visit(array_bench.url, "signals", api=array_bench.api)
    live.page.get_by_role("button", name="Start for all").click()
    for seen in (live, other):
        is_current(seen)
        is_moving(seen)
    other.page.get_by_role("button", name="Stop for all").click()
    expect(live.page.get_by_role("button", name="Start for all")).to_be_visible()
    expect(live.page.get_by_text("The demo does not run.")).to_be_visible()
    assert not array_bench.is_demo_on


def test_who_comes_while_the_demo_runs_sees_it_and_with_the_last_it_ends(
    live: Visit, array_bench: ArrayBench, visit: Open
) -> None:
    array_bench.can.call("POST", "/control/start")
    is_moving(live)
    other = visit(array_bench.url, "signals", api=array_bench.api)
    is_moving(other)
    choose(live, "les02.position")
    expect(curves(live)).to_have_attribute("data-axis", "ago")
    choose(live, "demo")
    expect(curves(live)).to_have_attribute("data-axis", "plain")
    is_moving(live)
    for seen in (live, other):
        seen.open("live")
    live.until(lambda: not array_bench.is_demo_on)


def test_a_signal_of_a_can_device_is_a_source(array_bench: ArrayBench, visit: Open) -> None:
    array_bench.can.connect("inverter")
    array_bench.can.load("inverter")
    live = visit(array_bench.url, "signals", api=array_bench.api)
    choose(live, "signal:inverter.PressureSensor.Pressure")
    is_current(live)
    is_moving(live)
    expect(live.page.locator(".u-legend").first).to_contain_text("inverter.PressureSensor.Pressure")
    array_bench.can.call("POST", "/disconnect", {"bus": "inverter"})
    expect(trouble(live, "waiting")).to_contain_text(
        "Nothing comes from signal:inverter.PressureSensor.Pressure"
    )
    expect(curves(live)).to_have_class("stack old")


def test_an_array_is_played_to_its_end_and_again(array_bench: ArrayBench, visit: Open) -> None:
    index = array_bench.upload("ramp.npy", np.sin(np.arange(300) / 10))
    live = visit(array_bench.url, "signals", api=array_bench.api)
    choose(live, f"array:{index}")
    expect(trouble(live, "ended")).to_be_visible()
    expect(curves(live)).to_have_attribute("data-axis", "plain")
    is_current(live)
    live.page.get_by_role("button", name="Start", exact=True).click()
    expect(trouble(live, "ended")).to_have_count(0)
    expect(trouble(live, "ended")).to_be_visible()
    live.page.get_by_label("Again and again").check()
    is_moving(live)
    expect(trouble(live, "ended")).to_have_count(0)


def test_a_pause_shows_what_was_and_afterwards_what_is(live: Visit, array_bench: ArrayBench) -> None:
    array_bench.ride(3000.0)
    choose(live, "les02.position")
    is_moving(live)
    pause = live.page.get_by_role("button", name="Pause")
    pause.click()
    expect(live.page.get_by_text("Paused: this is how it was.")).to_be_visible()
    live.page.wait_for_timeout(100)  # what was on its way to the screen
    before = live.pixels(UPPER), live.pixels(LOWER)
    live.page.wait_for_timeout(500)
    assert (live.pixels(UPPER), live.pixels(LOWER)) == before
    pause.click()
    is_moving(live)


def test_a_sensor_that_falls_silent_is_told_and_so_is_that_it_is_back(
    live: Visit, array_bench: ArrayBench
) -> None:
    choose(live, "les02.position")
    is_current(live)
    array_bench.bench.fault("silent")
    expect(trouble(live, "waiting")).to_contain_text("what is shown is old")
    expect(curves(live)).to_have_class("stack old")
    array_bench.bench.repair()
    expect(trouble(live, "waiting")).to_have_count(0)
    is_current(live)


def test_a_listener_that_hangs_is_told_and_what_was_watched_comes_again(
    array_bench: ArrayBench, visit: Open
) -> None:
    live = visit(array_bench.url, "signals", api=array_bench.api, disconnects=True, refuses=True)
    choose(live, "les02.position")
    is_current(live)
    process = array_bench.daemon.process
    process.send_signal(signal.SIGSTOP)
    try:
        expect(trouble(live, "late")).to_contain_text(re.compile(r"No packet for \d+ s"))
        expect(trouble(live, "no_link")).to_be_visible()
        expect(curves(live)).to_have_class("stack old")
    finally:
        process.send_signal(signal.SIGCONT)
    expect(trouble(live, "no_link")).to_have_count(0)
    is_current(live)
    is_moving(live)


def test_what_the_listener_refuses_is_told_in_its_words_and_nothing_else_is_shown_for_it(
    array_bench: ArrayBench, visit: Open
) -> None:
    index = array_bench.upload("gone.npy", np.arange(10.0))
    array_bench.can.call("POST", "/control/start")
    live = visit(array_bench.url, "signals", api=array_bench.api)
    is_moving(live)
    expect(live.page.get_by_label("Source").locator(f"option[value='array:{index}']")).to_have_count(1)
    array_bench.can.call("DELETE", f"/array/{index}")
    choose(live, f"array:{index}")
    expect(trouble(live, "error")).to_contain_text(f"array {index}: Array not found")
    before = live.pixels(UPPER)
    live.page.wait_for_timeout(300)
    assert live.pixels(UPPER) == before


def test_what_was_chosen_is_kept_by_the_browser(live: Visit) -> None:
    choose(live, "les02.velocity")
    live.page.get_by_label("Points shown").select_option("200")
    live.page.get_by_label("Packets a second").select_option("10")
    live.page.get_by_label("Mean of").select_option("50")
    live.page.reload()
    expect(live.page.get_by_label("Source")).to_have_value("les02.velocity")
    expect(live.page.get_by_label("Points shown")).to_have_value("200")
    expect(live.page.get_by_label("Packets a second")).to_have_value("10")
    expect(live.page.locator(".u-legend").last).to_contain_text("Mean of 50")
    is_current(live)
