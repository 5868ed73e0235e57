"""The tab CAN: database files, added, looked into, unloaded, deleted."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.page.can_bench import DBC, CanBench
from tests.page.conftest import Open, Visit


@pytest.fixture
def files(can_bench: CanBench, visit: Open) -> Visit:
    can_bench.connect()
    return visit(can_bench.url, "can/files", api=can_bench.api, refuses=True)


def entry(seen: Visit, name: str = "bench.dbc") -> Locator:
    return seen.page.locator(f"li[data-file='{name}']")


def add(seen: Visit, *paths: Path) -> None:
    seen.page.locator("input[type=file]").set_input_files([*paths])


def test_a_file_is_added_and_frames_have_names_from_then_on(files: Visit) -> None:
    expect(files.page.get_by_text("No file yet.")).to_be_visible()
    add(files, DBC)
    expect(files.page.get_by_text("bench.dbc is loaded for default: 5 messages.")).to_be_visible()
    expect(entry(files)).to_contain_text("messages: 5")
    expect(entry(files)).to_contain_text("loaded for default")
    files.page.get_by_role("link", name="Frames").click()
    expect(files.page.locator("tr[data-id='256']")).to_contain_text("InverterState")


def test_a_file_is_dropped(files: Visit) -> None:
    expect(files.page.get_by_text("No file yet.")).to_be_visible()
    transfer = files.page.evaluate_handle(
        """text => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], "dropped.dbc"));
            return transfer;
        }""",
        DBC.read_text(),
    )
    files.page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer})
    expect(entry(files, "dropped.dbc")).to_contain_text("messages: 5")


def test_a_file_that_is_broken_is_refused_with_the_reason_and_the_others_are_taken(
    files: Visit, tmp_path: Path
) -> None:
    bad = tmp_path / "broken.dbc"
    bad.write_text("BO_ 256 Broken: eight Inverter\n")
    binary = tmp_path / "binary.dbc"
    binary.write_bytes(bytes(range(256)))
    add(files, bad, binary, DBC)
    told = files.page.locator(".told.bad")
    expect(told).to_have_count(2)
    expect(told.first).to_contain_text("broken.dbc: ")
    expect(told.first).to_contain_text("line 1")
    expect(told.last).to_contain_text("binary.dbc: ")
    expect(entry(files)).to_be_visible()
    expect(entry(files, "broken.dbc")).to_have_count(0)


def test_messages_and_signals_of_a_file_can_be_looked_at(files: Visit) -> None:
    add(files, DBC)
    entry(files).get_by_text("Messages and signals").click()
    message = entry(files).locator("li", has_text="InverterState")
    expect(message).to_contain_text("every 10 ms")
    message.locator("summary").click()
    expect(message).to_contain_text("-6,000.0 … 6,000.0 rpm")
    expect(message).to_contain_text("2 = Run")


def test_a_file_is_unloaded_and_loaded_again(files: Visit, can_bench: CanBench) -> None:
    add(files, DBC)
    entry(files).get_by_role("button", name="Unload from default").click()
    expect(entry(files)).to_contain_text("not loaded")
    assert can_bench.call("GET", "/dbc/current")["loaded"] is False
    entry(files).get_by_role("button", name="Load for default").click()
    expect(entry(files)).to_contain_text("loaded for default")


def test_deleting_can_be_undone_for_a_while_and_then_it_is_done(files: Visit, can_bench: CanBench) -> None:
    add(files, DBC)
    expect(entry(files)).to_contain_text("messages: 5")
    entry(files).get_by_role("button", name="Delete").click()
    expect(entry(files)).to_have_count(0)
    files.page.get_by_role("button", name="Undo").click()
    expect(entry(files)).to_be_visible()
    entry(files).get_by_role("button", name="Delete").click()
    files.until(lambda: not can_bench.call("GET", "/dbc/list")["files"])
    expect(entry(files)).to_have_count(0)
