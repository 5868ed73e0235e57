"""The tab CAN: devices and buses, connected and let go by hand, and lost without."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.page.can_bench import CanBench, can_benches
from tests.page.conftest import Open, Visit


def fill(seen: Visit, can_bench: CanBench, bus: str = "inverter") -> None:
    form = seen.page.locator("form.connect")
    form.get_by_label("Kind of device").select_option("canable")
    form.get_by_label("serial port").fill(str(can_bench.port))
    form.get_by_label("Bit rate").select_option("500 kbit/s")
    form.get_by_label("Name of the bus").fill(bus)


@pytest.fixture
def devices(can_bench: CanBench, visit: Open) -> Visit:
    seen = visit(can_bench.url, "can/devices", api=can_bench.api, refuses=True)
    expect(seen.page.get_by_text("Devices found")).to_be_visible()
    return seen


def test_a_device_is_connected_by_hand_watched_and_let_go(devices: Visit, can_bench: CanBench) -> None:
    page = devices.page
    fill(devices, can_bench)
    page.get_by_role("button", name="Connect", exact=True).click()
    connected = page.locator("li[data-bus=inverter]")
    expect(connected).to_contain_text("connected")
    expect(connected).to_contain_text("500 kbit/s")
    expect(page.locator(".buses [aria-pressed=true]")).to_contain_text("inverter")

    page.get_by_role("link", name="Frames").click()
    expect(page.locator("tr[data-id='256']")).to_be_visible()

    page.get_by_role("link", name="Devices").click()
    page.get_by_role("button", name="Disconnect: inverter").click()
    expect(connected).to_have_count(0)
    assert [bus["name"] for bus in can_bench.call("GET", "/buses")] == ["les02"]


def test_a_device_that_was_found_is_chosen_and_then_in_use(devices: Visit, can_bench: CanBench) -> None:
    page = devices.page
    page.get_by_role("button", name="Choose: virtual bench").click()
    form = page.locator("form.connect")
    expect(form.get_by_label("Kind of device")).to_have_value("virtual")
    expect(form.get_by_label("buses of one name")).to_have_value("bench")
    expect(form.get_by_label("Bit rate")).to_have_count(0)
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator("[data-device='virtual bench']")).to_contain_text("in use as default")
    # The next one is proposed under a name that is free.
    expect(form.get_by_label("Name of the bus")).to_have_value("can2")


def test_what_cannot_be_connected_is_said_where_it_was_asked_for(devices: Visit, can_bench: CanBench) -> None:
    page = devices.page
    alert = page.locator("form.connect [role=alert]")
    connect = page.get_by_role("button", name="Connect", exact=True)
    connect.click()
    expect(alert).to_have_text("Say where the device is connected.")
    fill(devices, can_bench)
    page.get_by_label("serial port").fill("/dev/ttyNOBODY")
    connect.click()
    expect(alert).to_contain_text("Failed to connect to device")
    expect(alert).to_contain_text("/dev/ttyNOBODY")
    fill(devices, can_bench, "les02")
    connect.click()
    expect(alert).to_have_text("There is a bus called les02 already.")
    page.get_by_label("Kind of device").select_option("socketcan")
    page.get_by_role("textbox", name="Interface").fill("not there")
    page.get_by_label("Name of the bus").fill("other")
    connect.click()
    expect(alert).to_contain_text("is not an interface such as can1")


def test_an_adapter_that_is_pulled_out_is_told_and_found_again(tmp_path: Path, visit: Open) -> None:
    with can_benches(tmp_path) as can_bench:
        can_bench.connect("inverter")
        seen = visit(can_bench.url, "can", api=can_bench.api, disconnects=True, refuses=True)
        frames = seen.page.locator("tr[data-id='256']")
        expect(frames).to_have_class("")
        can_bench.unplug()
        told = seen.page.locator(".told[data-bus=inverter]")
        expect(told).to_contain_text("Bus inverter is lost and is being looked for.")
        expect(seen.page.get_by_role("button", name="inverter lost")).to_be_visible()
        expect(frames).to_have_class("old")
        expect(frames.locator(".age")).to_have_text(re.compile(r"\d+ s old"))
        can_bench.plug_in()
        expect(told).to_have_count(0)
        expect(frames).to_have_class("")


def test_a_change_by_somebody_else_is_seen(devices: Visit, can_bench: CanBench) -> None:
    can_bench.connect_virtual("theirs")
    expect(devices.page.locator("li[data-bus=theirs]")).to_be_visible()
    can_bench.call("POST", "/disconnect", {"bus": "theirs"})
    expect(devices.page.locator("li[data-bus=theirs]")).to_have_count(0)


def test_who_may_only_read_is_told_and_sees_everything(tmp_path: Path, visit: Open) -> None:
    tokens = '["the-key-of-the-bench"]'
    with can_benches(tmp_path, LES02_ACCESS__CONTROL_TOKENS=tokens) as can_bench:
        seen = visit(can_bench.url, "can/devices", api=can_bench.api, disconnects=True, refuses=True)
        expect(seen.page.get_by_text("may change something")).to_be_visible()
        expect(seen.page.get_by_role("button", name="Connect", exact=True)).to_be_disabled()
        seen.page.get_by_role("link", name="Frames").click()
        expect(seen.page.locator("tr[data-id='128']")).to_be_visible()
        seen.page.get_by_role("link", name="DBC files").click()
        expect(seen.page.locator("input[type=file]")).to_be_disabled()
        # With the token he may.
        seen.page.locator(".rights summary").click()
        seen.page.get_by_label("Token").fill("the-key-of-the-bench")
        seen.page.locator(".rights button").click()
        seen.page.get_by_role("link", name="Devices").click()
        seen.page.get_by_role("button", name="Choose: virtual bench").click()
        seen.page.get_by_role("button", name="Connect", exact=True).click()
        expect(seen.page.locator("li[data-bus=default]")).to_be_visible()
