"""Whatever goes wrong at the bench is told, and what is not current looks it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.page.bench import Bench, benches
from tests.page.conftest import Open, Visit


@pytest.fixture
def live(bench: Bench, visit: Open) -> Iterator[Visit]:
    seen = visit(bench.url)
    seen.is_well()
    yield seen
    bench.repair()


def greyed(seen: Visit) -> bool:
    figure = "getComputedStyle(document.querySelector('[data-figure=position] dd'))"
    plot = "getComputedStyle(document.querySelector('.plot canvas'))"
    return bool(
        seen.page.evaluate(f"[{figure}, {plot}].every(s => s.filter.includes('gray') && s.opacity < 1)")
    )


def age_s(seen: Visit) -> int:
    return int(seen.figure("age").inner_text().removesuffix(" s"))


def assert_stale_and_getting_older(seen: Visit) -> None:
    expect(seen.page.locator("section.live.stale")).to_be_visible()
    assert greyed(seen)
    expect(seen.figure("age")).to_have_text(re.compile(r"^\d+ s$"))
    before = age_s(seen)
    seen.until(lambda: age_s(seen) > before)
    # The last position stays to be read; a velocity of before is none of now.
    assert seen.value("position") > 0


def assert_well_again(seen: Visit) -> None:
    seen.is_well()
    assert not greyed(seen)
    expect(seen.figure("age")).to_have_count(0)


def test_a_locked_sensor_is_told_and_its_position_is_stale(bench: Bench, live: Visit) -> None:
    bench.fault("locked")
    expect(live.condition("locked")).to_contain_text("locked itself")
    assert_stale_and_getting_older(live)
    expect(live.figure("velocity")).to_have_text("– mm/s")
    bench.repair()
    assert_well_again(live)


def test_a_silent_sensor_is_told_with_since_when(bench: Bench, live: Visit) -> None:
    bench.fault("silent")
    expect(live.condition("no_data")).to_have_text(re.compile(r"No data from the sensor for \d+ s"))
    assert_stale_and_getting_older(live)
    bench.repair()
    assert_well_again(live)


def test_one_silent_channel_is_told_while_the_other_is_shown(bench: Bench, live: Visit) -> None:
    bench.fault("silent_slave")
    expect(live.condition("channel_silent")).to_contain_text("Channel slave sends no data")
    expect(live.page.locator("section.live.stale")).to_have_count(0)
    bench.repair()
    assert_well_again(live)


def test_one_locked_channel_is_told(bench: Bench, live: Visit) -> None:
    bench.fault("locked_slave")
    expect(live.condition("channel_locked")).to_contain_text("Channel slave is locked")
    expect(live.page.locator("section.live.stale")).to_have_count(0)
    bench.repair()
    assert_well_again(live)


def test_channels_that_disagree_are_told_until_they_agree_again(bench: Bench, live: Visit) -> None:
    bench.fault("mismatch", 25)
    expect(live.condition("channels_disagree")).to_contain_text("25 mm apart (allowed 10 mm)")
    live.page.wait_for_timeout(500)
    expect(live.condition("channels_disagree")).to_have_count(1)
    bench.repair()
    assert_well_again(live)


def test_who_comes_while_the_channels_disagree_is_told(bench: Bench, live: Visit, visit: Open) -> None:
    bench.fault("mismatch", 25)
    expect(live.condition("channels_disagree")).to_be_visible()
    late = visit(bench.url)
    expect(late.condition("channels_disagree")).to_contain_text("mm apart")
    bench.repair()
    assert_well_again(live)
    assert_well_again(late)


def test_a_jump_of_the_position_is_told(bench: Bench, live: Visit) -> None:
    bench.fault("jump", 500)
    live.page.wait_for_timeout(1000)  # it is over by then, and was too short to be read
    expect(live.page.locator(".banner")).to_contain_text(re.compile("position.* jumped"))


def test_what_the_sensor_says_of_itself_is_told(bench: Bench, live: Visit) -> None:
    bench.fault("error", 0x17)
    expect(live.condition("error_told").first).to_contain_text("unknown_0x17")
    expect(live.page.locator("section.live.stale")).to_have_count(0)


def test_a_lost_bus_is_told_until_it_is_back(bench: Bench, live: Visit) -> None:
    bench.unplug()
    expect(live.condition("bus_lost")).to_contain_text("CAN bus lost")
    assert_stale_and_getting_older(live)
    bench.plug_in()
    assert_well_again(live)


def test_who_comes_while_something_is_wrong_is_told_at_once(bench: Bench, visit: Open) -> None:
    bench.fault("locked")
    bench.daemon.logged("locked")
    seen = visit(bench.url)
    expect(seen.condition("locked")).to_be_visible()
    expect(seen.page.locator("section.live.stale")).to_be_visible()
    bench.repair()
    assert_well_again(seen)


def test_what_is_wrong_is_told_above_every_view(bench: Bench, visit: Open) -> None:
    seen = visit(bench.url, "rides")
    expect(seen.row(1)).to_be_visible()
    bench.fault("silent")
    for view in ("rides", "rides/1", "compare/4", "overlay/1,4"):
        seen.open(view)
        expect(seen.condition("no_data")).to_be_visible()
    bench.repair()
    seen.is_well()


def test_rides_that_are_not_kept_are_told(tmp_path: Path, visit: Open) -> None:
    (tmp_path / "les02.db").mkdir()  # where a file should be
    with benches(tmp_path) as broken:
        seen = visit(broken.url)
        expect(seen.condition("not_storing")).to_have_text(re.compile("Rides are not kept: .*database"))
        # The bench itself is well.
        expect(seen.page.locator(".banner p")).to_have_count(1)
        expect(seen.page.locator("section.live.stale")).to_have_count(0)
        seen.open("rides")
        expect(seen.condition("not_storing")).to_be_visible()
        expect(seen.page.get_by_text("No ride yet.")).to_have_count(0)
