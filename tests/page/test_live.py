"""What a technician sees while a car rides."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.helpers import daemon
from tests.page.bench import FLAGS, FLOOR_MM, Bench, benches
from tests.page.conftest import Open


def test_a_ride_is_seen_as_it_happens_and_stays_with_its_summary(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url)
    what = seen.page.locator(".what")
    seen.is_well()
    expect(what).to_have_text("Live")
    assert seen.value("position") == bench.position_mm

    bench.ride(700.0)
    expect(what).to_have_text("Ride in progress")
    expect(seen.figure("floor")).to_contain_text("up")
    seen.until(lambda: seen.value("velocity") > 200)
    before = seen.pixels(0), seen.pixels(1), seen.value("position")
    seen.page.wait_for_timeout(300)
    after = seen.pixels(0), seen.pixels(1), seen.value("position")
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert before[2] < after[2]

    expect(what).to_have_text(re.compile("Ride of "))
    expect(seen.page.locator("[data-row=distance] td")).to_have_text("700 mm")
    expect(seen.page.locator("[data-row=direction] td")).to_contain_text("up")
    assert seen.value("position") == bench.position_mm
    seen.page.wait_for_timeout(1500)  # the last samples that are shown come after its end was told
    frozen = seen.pixels()
    seen.page.wait_for_timeout(500)
    assert seen.pixels() == frozen, "the picture of a ride that is over changes"

    seen.page.get_by_role("button", name="Back to live").click()
    expect(what).to_have_text("Live")
    moving = seen.pixels()
    seen.page.wait_for_timeout(300)
    assert seen.pixels() != moving
    seen.page.get_by_role("button", name="Last ride").click()

    seen.page.get_by_role("link", name="Open this ride").click()
    expect(seen.page.locator("article.ride h1")).to_contain_text("Ride ")
    expect(seen.page.locator("[data-row=distance] td")).to_have_text("700 mm")
    number = seen.page.locator("article.ride").get_attribute("data-ride")
    seen.page.get_by_role("link", name="Rides").click()
    expect(seen.row(int(str(number)))).to_contain_text("▲ up700")


def test_who_opens_the_page_in_mid_ride_sees_all_of_it_when_it_is_over(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url)
    bench.ride(600.0, speed_mm_s=200.0)
    expect(seen.page.locator(".what")).to_have_text("Ride in progress")
    late = visit(bench.url)
    expect(late.page.locator(".what")).to_have_text("Ride in progress")
    for each in (late, seen):
        expect(each.page.locator("[data-row=distance] td")).to_have_text("600 mm")
    # The curve of the one who came late is read from what is kept.
    late.page.wait_for_timeout(1500)
    chart = late.page.locator(".plot").first
    chart.focus()
    chart.press("Shift+ArrowLeft")
    assert "–" not in late.page.locator("output").first.inner_text()


def test_both_channels_are_shown_on_request(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url)
    expect(seen.figure("difference")).to_have_count(0)
    seen.page.get_by_label("Both channels").check()
    expect(seen.figure("difference")).to_have_text("0.0 mm")
    expect(seen.page.locator(".u-legend").nth(1)).to_contain_text("slave")
    assert [socket.url.count("position_sample") for socket in seen.sockets] == [0, 1]
    seen.page.get_by_label("Both channels").uncheck()
    expect(seen.figure("difference")).to_have_count(0)
    seen.page.wait_for_timeout(500)
    assert seen.sockets[1].is_closed()
    assert len(seen.sockets) == 2


def test_without_rides_there_is_no_tab_for_them_and_the_position_is_shown(
    tmp_path: Path, visit: Open
) -> None:
    with benches(tmp_path, LES02_RIDES__ENABLED="false") as without:
        seen = visit(without.url)
        seen.is_well()
        assert seen.value("position") == FLOOR_MM
        expect(seen.page.get_by_role("navigation").get_by_role("link")).to_have_text(["Live"])
        expect(seen.page.get_by_text("[rides] enabled = true")).to_be_visible()
        before = seen.pixels()
        without.ride(200.0)
        seen.until(lambda: seen.value("position") > FLOOR_MM + 100)
        assert seen.pixels() != before
        # Nothing that only rides have stands in the way, nor does an address of before.
        expect(seen.page.get_by_label("On the bench")).to_have_count(0)
        seen.open("rides")
        expect(seen.page.locator("section.live")).to_be_visible()
        seen.page.wait_for_timeout(5000)  # longer than the page waits for an event that does not come
        seen.is_well()
        assert len(seen.sockets) == 2


def test_the_simulated_lift_of_the_demo_rides_by_itself(tmp_path: Path, visit: Open) -> None:
    database = str(tmp_path / "les02.db")
    with daemon("--demo", *FLAGS, cwd=tmp_path, LES02_DATABASE__PATH=database) as demo:
        demo.logged("listener_started")
        seen = visit(demo.url.replace("ws:", "http:"), "rides")
        expect(seen.page.get_by_text("No ride yet.")).to_be_visible()
        seen.open("live")
        expect(seen.page.locator(".what")).to_have_text("Ride in progress")
        expect(seen.page.locator("[data-row=distance] td")).to_have_text("3,000 mm")
        seen.open("rides")
        expect(seen.row(1)).to_contain_text("▲ up3,000")
