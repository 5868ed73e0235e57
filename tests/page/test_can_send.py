"""Sending from the page: what arrives at the other end, what is refused before, what ends by itself."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.helpers import ROOT
from tests.page.can_bench import CanBench, can_benches
from tests.page.conftest import Open, Visit


@pytest.fixture
def ends(can_bench: CanBench) -> CanBench:
    """Two buses that hear each other; the page is on `left`, as the first of them."""
    can_bench.connect_virtual("left")
    can_bench.connect_virtual("right")
    return can_bench


def on(bench: CanBench, visit: Open, bus: str = "left", **more: Any) -> Visit:
    seen = visit(bench.url, "can/send", api=bench.api, **more)
    seen.page.locator(".buses").get_by_role("button", name=bus).click()
    return seen


def arrived(bench: CanBench, bus: str = "right") -> list[dict[str, Any]]:
    keys = ("id", "is_extended", "is_remote", "is_fd", "data", "count")
    found: list[dict[str, Any]] = bench.call("GET", f"/buses/{bus}/statistics")["ids"]
    return [{key: each[key] for key in keys} for each in found]


def frame(number: int, data: list[int], count: int = 1, **more: Any) -> dict[str, Any]:
    kind = {"is_extended": False, "is_remote": False, "is_fd": False}
    return {"id": number, **kind, "data": data, "count": count} | more


def field(seen: Visit, signal: str) -> Locator:
    return seen.page.locator(f"[data-signal={signal}]")


def button(seen: Visit, name: str) -> Locator:
    return seen.page.get_by_role("button", name=name, exact=True)


def test_a_frame_arrives_as_it_was_typed(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit)
    seen.page.get_by_label("Identifier", exact=True).fill("18FEF100")
    seen.page.get_by_label("29 bits").check()
    seen.page.get_by_label("Octets (hex)").fill("01 a2FF")
    expect(seen.page.locator(".preview")).to_have_text("18FEF100x [3] 01 A2 FF")
    button(seen, "Send once").click()
    expect(seen.page.get_by_text("Sent on left.")).to_be_visible()
    seen.until(lambda: arrived(ends) == [frame(0x18FEF100, [1, 0xA2, 0xFF], is_extended=True)])
    seen.page.get_by_label("29 bits").uncheck()
    seen.page.get_by_label("The identifier is written").select_option("decimal")
    seen.page.get_by_label("Identifier", exact=True).fill("291")
    seen.page.get_by_label("remote frame").check()
    seen.page.get_by_label("Octets that it asks for").fill("4")
    button(seen, "Send once").click()
    seen.until(lambda: len(arrived(ends)) == 2)
    assert frame(0x123, [], is_remote=True) in arrived(ends)


def test_what_is_wrong_is_told_while_it_is_typed_and_nothing_can_be_sent(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit)
    identifier, octets = (
        seen.page.get_by_label("Identifier", exact=True),
        seen.page.get_by_label("Octets (hex)"),
    )
    expect(seen.page.locator(".wrong:not(:empty)")).to_have_count(0)
    identifier.fill("800")
    expect(seen.page.get_by_text("Above 7FF only with 29 bits (extended).")).to_be_visible()
    expect(identifier).to_have_attribute("aria-invalid", "true")
    expect(button(seen, "Send once")).to_be_disabled()
    identifier.fill("7FF")
    octets.fill("00 11 22 33 44 55 66 77 88")
    expect(seen.page.get_by_text("9 octets; a CAN frame has 8 at most.")).to_be_visible()
    expect(button(seen, "Send once")).to_be_disabled()
    octets.fill("0g")
    expect(seen.page.get_by_text("“0g” is not hexadecimal")).to_be_visible()
    octets.fill("")
    expect(button(seen, "Send once")).to_be_enabled()
    seen.page.get_by_label("every").fill("0")
    expect(seen.page.get_by_text("A number of milliseconds")).to_be_visible()
    expect(button(seen, "Send cyclically")).to_be_disabled()
    assert arrived(ends) == []


def test_can_fd_is_there_where_the_bus_has_it(can_bench: CanBench, visit: Open) -> None:
    for bus in ("left", "right"):
        can_bench.call(
            "POST", "/connect", {"device_type": "virtual", "channel": "fd", "bus": bus, "fd": True}
        )
    seen = on(can_bench, visit)
    seen.page.get_by_label("CAN FD").check()
    seen.page.get_by_label("Identifier", exact=True).fill("10")
    seen.page.get_by_label("Octets (hex)").fill("00" * 9)
    expect(seen.page.get_by_text("CAN FD has no frame of 9 octets; the next is 12.")).to_be_visible()
    seen.page.get_by_label("Octets (hex)").fill("0A" * 12)
    button(seen, "Send once").click()
    seen.until(lambda: arrived(can_bench) == [frame(0x10, [10] * 12, is_fd=True)])


def test_signals_are_sent_by_name_and_a_value_out_of_range_is_told_at_its_field(
    ends: CanBench, visit: Open
) -> None:
    ends.load("left")
    seen = on(ends, visit)
    seen.page.get_by_label("Message").select_option("InverterCommand · 0x200")
    target = field(seen, "Target").get_by_role("textbox")
    expect(field(seen, "Target")).to_contain_text("rpm")
    expect(field(seen, "Target")).to_contain_text("-6,000 … 6,000")
    expect(seen.page.locator(".preview")).to_have_text("0x200 [4] 00 00 00 00")
    target.fill("7000")
    expect(field(seen, "Target").locator(".wrong")).to_have_text("Above 6,000 rpm.")
    expect(target).to_have_attribute("aria-invalid", "true")
    expect(seen.page.locator(".preview")).to_have_text("–")
    expect(button(seen, "Send once")).to_be_disabled()
    target.fill("1000,5")
    expect(seen.page.locator(".preview")).to_have_text("0x200 [4] D1 07 00 00")
    button(seen, "Send once").click()
    seen.until(lambda: arrived(ends) == [frame(0x200, [0xD1, 7, 0, 0])])


def test_choices_are_chosen_and_a_multiplexer_shows_the_signals_of_its_value(
    ends: CanBench, visit: Open
) -> None:
    ends.load("left")
    seen = on(ends, visit)
    message = seen.page.get_by_label("Message")
    message.select_option("CellVoltages · 0x300")
    expect(seen.page.locator("[data-signal]")).to_have_count(3)
    expect(field(seen, "Cell1")).to_be_visible()
    field(seen, "Group").get_by_role("combobox").select_option("1")
    expect(field(seen, "Cell1")).to_have_count(0)
    field(seen, "Cell3").get_by_role("textbox").fill("3.3")
    field(seen, "Cell4").get_by_role("textbox").fill("4.2")
    preview = seen.page.locator(".preview")
    octets = [1, *(3300).to_bytes(2, "little"), *(4200).to_bytes(2, "little"), 0, 0, 0]
    expect(preview).to_have_text(f"0x300 [8] {bytes(octets).hex(' ').upper()}")
    button(seen, "Send once").click()
    seen.until(lambda: arrived(ends) == [frame(0x300, octets)])
    message.select_option("InverterState · 0x100")
    mode = field(seen, "Mode").get_by_role("combobox")
    mode.select_option("Brake")
    expect(preview).to_have_text("0x100 [8] 00 00 00 00 00 00 28 03")
    mode.select_option("a number …")
    field(seen, "Mode").get_by_role("textbox").fill("9")
    expect(field(seen, "Mode").locator(".wrong")).to_have_text("Above 4.")


def test_nothing_is_sent_but_what_is_shown(ends: CanBench, visit: Open) -> None:
    ends.load("left")
    seen = on(ends, visit)
    button(seen, "As a frame").click()
    seen.page.get_by_label("Identifier", exact=True).fill("11")
    expect(button(seen, "Send once")).to_be_enabled()
    button(seen, "By signals").click()
    expect(button(seen, "Send once")).to_be_disabled()
    seen.page.get_by_label("Message").select_option("InverterCommand · 0x200")
    expect(button(seen, "Send once")).to_be_enabled()
    seen.page.get_by_label("Message").select_option("Choose a message …")
    expect(button(seen, "Send once")).to_be_disabled()
    # What was typed is there again, and goes to the bus that is looked at.
    button(seen, "As a frame").click()
    seen.page.locator(".buses").get_by_role("button", name="right").click()
    button(seen, "As a frame").click()
    expect(seen.page.get_by_label("Identifier", exact=True)).to_have_value("11")
    button(seen, "Send once").click()
    seen.until(lambda: arrived(ends, "left") == [frame(0x11, [])])
    sent = {bus["name"]: bus["sent"] for bus in ends.call("GET", "/buses")}
    assert (sent["left"], sent["right"]) == (0, 1)


def test_a_cyclic_task_is_seen_stopped_and_ends_with_its_page(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit)
    expect(seen.page.get_by_text("Nothing is sent cyclically.")).to_be_visible()
    tasks = seen.page.locator("[data-task]")
    seen.page.get_by_label("every").fill("20")
    for identifier in ("11", "12"):
        seen.page.get_by_label("Identifier", exact=True).fill(identifier)
        button(seen, "Send cyclically").click()
        expect(tasks.filter(has_text=f"0x0{identifier}")).to_contain_text("this page's")
    seen.until(lambda: all(each["count"] > 5 for each in arrived(ends)) and len(arrived(ends)) == 2)
    elsewhere = on(ends, visit)
    expect(elsewhere.page.locator("[data-task]").first).to_contain_text("of page-")
    seen.page.get_by_role("button", name="Stop, 0x011").click()
    expect(tasks).to_have_count(1)
    expect(elsewhere.page.locator("[data-task]")).to_have_count(1)
    before = arrived(ends)
    seen.until(lambda: arrived(ends)[1]["count"] > before[1]["count"] + 5)
    assert arrived(ends)[0]["count"] <= before[0]["count"] + 1  # one may have been on its way
    expect(seen.page.get_by_text("ends when this page is closed")).to_be_visible()
    seen.page.close()
    expect(elsewhere.page.get_by_text("Nothing is sent cyclically.")).to_be_visible()
    assert ends.call("GET", "/cyclic") == []


def test_a_task_that_is_pinned_goes_on_without_its_page(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit)
    seen.page.get_by_label("Identifier", exact=True).fill("11")
    seen.page.get_by_label("goes on without this page").check()
    expect(seen.page.get_by_text("until somebody stops it here")).to_be_visible()
    button(seen, "Send cyclically").click()
    expect(seen.page.locator("[data-task]")).to_contain_text("goes on by itself")
    seen.page.close()
    again = on(ends, visit)
    expect(again.page.locator("[data-task]")).to_have_count(1)
    before = arrived(ends)[0]["count"]
    again.until(lambda: arrived(ends)[0]["count"] > before)
    again.page.get_by_role("button", name="Stop, 0x011").click()
    expect(again.page.get_by_text("Nothing is sent cyclically.")).to_be_visible()


def test_a_refusal_of_the_listener_is_told(ends: CanBench, visit: Open) -> None:
    seen = on(ends, visit, refuses=True)
    seen.page.get_by_label("Identifier", exact=True).fill("11")
    button(seen, "Send cyclically").click()
    expect(seen.page.locator("[data-task]")).to_have_count(1)
    button(seen, "Send cyclically").click()
    expect(seen.page.locator(".toast.bad")).to_contain_text("sends this identifier on left already")


def test_a_list_is_made_from_the_form_sent_started_stopped_and_deleted(ends: CanBench, visit: Open) -> None:
    ends.load("left")
    seen = on(ends, visit)
    button(seen, "As a frame").click()
    seen.page.get_by_label("Identifier", exact=True).fill("11")
    seen.page.get_by_label("every").fill("30")
    seen.page.get_by_text("Into a list …").click()
    seen.page.get_by_label("Name of the list").fill("warm up")
    seen.page.get_by_label("with its period").check()
    button(seen, "Keep").click()
    shown = seen.page.locator("[data-list='warm up']")
    expect(shown).to_contain_text("0x01130 ms")
    button(seen, "By signals").click()
    seen.page.get_by_label("Message").select_option("InverterCommand · 0x200")
    seen.page.get_by_label("with its period").uncheck()
    button(seen, "Keep").click()
    expect(shown.get_by_role("row")).to_have_count(2)
    kept = ends.call("GET", "/transmit_lists/warm%20up")["frames"]
    assert kept[0] == {"frame": {"can_id": 0x11}, "period_ms": 30.0}
    assert kept[1]["frame"] == {"message": "InverterCommand", "signals": {"Target": 0, "Enable": 0}}

    button(seen, "Send all once").click()
    expect(seen.page.get_by_text("2 frames sent on left.")).to_be_visible()
    seen.until(lambda: [each["id"] for each in arrived(ends)] == [0x11, 0x200])
    button(seen, "Start 1 cyclically").click()
    expect(seen.page.locator("[data-task]")).to_contain_text("this page's")
    seen.until(lambda: arrived(ends)[0]["count"] > 3)
    button(seen, "Stop the list").click()
    expect(seen.page.get_by_text("Nothing is sent cyclically.")).to_be_visible()

    seen.page.get_by_role("button", name="Delete, 0x011").click()
    expect(shown.get_by_role("row")).to_have_count(1)
    expect(button(seen, "Start 0 cyclically")).to_be_disabled()
    button(seen, "Delete the list").click()
    expect(shown).to_have_count(0)
    button(seen, "Undo").click()
    expect(shown).to_be_visible()
    button(seen, "Delete the list").click()
    seen.until(lambda: ends.call("GET", "/transmit_lists") == [])


def test_a_real_adapters_line_carries_what_was_sent(can_bench: CanBench, visit: Open, tmp_path: Path) -> None:
    link = tmp_path / "tty"
    command = [sys.executable, "-m", "mock.mock_canable", "--silent", "--link", str(link)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as canable:
        assert canable.stdout is not None
        try:
            assert "plugged in" in canable.stdout.readline()
            can_bench.connect("own", channel=str(link))
            seen = on(can_bench, visit, "own")
            seen.page.get_by_label("Identifier", exact=True).fill("7A1")
            seen.page.get_by_label("Octets (hex)").fill("DEADBEEF")
            with seen.page.expect_response("**/send") as answered:
                button(seen, "Send once").click()
            assert canable.stdout.readline() == "lescanable: received 7A1#DEADBEEF\n"
            assert answered.value.ok
        finally:
            canable.terminate()


def test_a_bus_that_is_never_written_says_so_instead_of_a_form(can_bench: CanBench, visit: Open) -> None:
    can_bench.connect("quiet", listen_only=True)
    seen = on(can_bench, visit, "quiet")
    why = seen.page.locator("section.send [data-why]")
    expect(why).to_have_text("Nothing can be sent on quiet: it was connected listen-only.")
    expect(button(seen, "Send once")).to_have_count(0)
    seen.page.locator(".buses").get_by_role("button", name="les02").click()
    expect(why).to_contain_text("The sensor's bus")
    expect(button(seen, "Send once")).to_have_count(0)


def test_who_may_only_read_sees_what_is_sent_and_can_change_nothing(tmp_path: Path, visit: Open) -> None:
    # Who has no token may read; what is connected is what the configuration names.
    (tmp_path / "config.toml").write_text(
        '[workbench.buses.left]\ndevice_type = "virtual"\nchannel = "bench"\nbaudrate = "BAUD_500K"\n'
    )
    tokens = {"LES02_ACCESS__CONTROL_TOKENS": '["the-key-of-the-bench"]'}
    with can_benches(tmp_path, **tokens) as bench:
        seen = on(bench, visit)
        why = seen.page.locator("section.send [data-why]")
        expect(why).to_have_text("Nothing can be sent from here: this page may only read.")
        expect(seen.page.get_by_text("Nothing is sent cyclically.")).to_be_visible()
        expect(button(seen, "Send once")).to_have_count(0)


def test_where_nothing_may_be_sent_that_is_said_instead_of_a_form(tmp_path: Path, visit: Open) -> None:
    with can_benches(tmp_path, LES02_WORKBENCH__TRANSMIT="false") as bench:
        bench.connect_virtual("left")
        seen = on(bench, visit)
        expect(seen.page.locator("section.send [data-why]")).to_contain_text("[workbench] transmit = false")
        expect(button(seen, "Send once")).to_have_count(0)
