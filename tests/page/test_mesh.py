"""The tab Mesh: nodes as they are, the traffic, what is sent, and what is said of connections."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from mock.mesh_node import BATTERY, TEMPERATURE
from tests.page.conftest import Open, Visit
from tests.page.mesh_bench import FIRST, SECOND, THIRD, MeshBench, mesh_benches

TOKEN = "the-key-of-the-bench"


@pytest.fixture(scope="module")
def running_mesh_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshBench]:
    with mesh_benches(tmp_path_factory.mktemp("mesh")) as running:
        yield running


@pytest.fixture
def bench(running_mesh_bench: MeshBench, visit: Open) -> MeshBench:
    """Three nodes that have joined."""
    seen = mesh(running_mesh_bench, visit)
    for addr in (FIRST, SECOND, THIRD):
        running_mesh_bench.silence(addr, False)
        expect(state(seen.page, addr)).to_contain_text("active")
    seen.page.context.close()
    return running_mesh_bench


def mesh(bench: MeshBench, visit: Open, view: str = "mesh", **more: Any) -> Visit:
    return visit(bench.url, view, api=bench.api, **more)


def card(page: Page, addr: int) -> Locator:
    return page.locator(f"[data-node='{addr}']")


def state(page: Page, addr: int) -> Locator:
    return card(page, addr).locator("[data-state]")


def value(page: Page, addr: int, name: str) -> Locator:
    return card(page, addr).locator(f"[data-type={name}]")


def lamp(page: Page, name: str) -> Locator:
    return page.locator(f"[data-lamp={name}]")


def lines(page: Page) -> Locator:
    return page.locator(".lines [role=option]")


def outcome(page: Page) -> Locator:
    """Of what was sent last."""
    return page.locator(".sent li").first


# Nodes


def test_nodes_have_a_status_in_words_values_with_units_and_a_curve_of_before(
    bench: MeshBench, visit: Open
) -> None:
    bench.fix(FIRST, TEMPERATURE, 2339)
    seen = mesh(bench, visit)
    page = seen.page
    expect(state(page, FIRST)).to_have_text(re.compile("● active"))
    expect(card(page, FIRST).locator("h3")).to_have_text("Node-5")
    uuid = bench.get("/mesh/nodes/5")["uuid"]
    expect(card(page, FIRST).locator(".identity")).to_have_text(f"Address 5 · UUID {uuid}")
    expect(value(page, FIRST, "Temperature").locator("dd")).to_contain_text("23.39 °C")
    expect(value(page, FIRST, "Temperature").locator("dt")).to_contain_text(
        re.compile(r"Temperature \d+ s ago")
    )
    # Who comes later sees the curve from before: the listener has kept it.
    kept = bench.get("/mesh/nodes/6/data/Temperature?history=120")["values"]
    lowest = min(each["value"] for each in kept)
    curve = value(page, SECOND, "Temperature").locator("svg")
    label = re.compile(r"Temperature, last \d+ s: (-?\d+\.\d\d) °C to (-?\d+\.\d\d) °C")
    expect(curve).to_have_attribute("aria-label", label)

    def lowest_drawn() -> float:
        found = label.match(str(curve.get_attribute("aria-label")))
        return float(found[1]) if found else 1e9

    seen.until(lambda: lowest_drawn() <= lowest)
    # And it goes on.
    bench.fix(FIRST, TEMPERATURE, -1250)
    expect(value(page, FIRST, "Temperature").locator("dd")).to_contain_text("-12.50 °C")
    expect(value(page, FIRST, "Temperature").locator("svg")).to_have_attribute(
        "aria-label", re.compile(r"-12\.50 °C to 23\.39 °C")
    )


def test_values_have_their_place_whatever_comes_first(bench: MeshBench, visit: Open) -> None:
    page = mesh(bench, visit).page
    names = [each["name"] for each in bench.get("/mesh")["types"]]
    for addr in (FIRST, SECOND, THIRD):
        found = card(page, addr).locator("[data-type]")
        expect(found).to_have_count(len(names))
        seen = found.evaluate_all("all => all.map(each => each.dataset.type)")
        assert seen == names


def test_a_node_that_falls_silent_grows_old_idle_and_disconnected_and_comes_back(
    tmp_path: Path, visit: Open
) -> None:
    ages = {"LES02_MESH__IDLE_S": "1.5", "LES02_MESH__DISCONNECT_S": "3.5"}
    with mesh_benches(tmp_path, settings=ages) as bench:
        page = mesh(bench, visit).page
        expect(state(page, SECOND)).to_contain_text("active")
        bench.silence(SECOND)
        expect(state(page, SECOND)).to_have_text(re.compile("◐ idle"))
        expect(page.locator("[data-choice=idle]")).to_have_text(re.compile(r"idle\s+1"))
        expect(state(page, SECOND)).to_have_text(re.compile("✖ disconnected"))
        expect(card(page, SECOND)).to_contain_text("silent for 3.5 s")
        expect(card(page, SECOND).locator(".heard")).to_contain_text(re.compile(r"heard [4-9] s ago"))
        page.locator("[data-choice=disconnected]").click()
        expect(page.locator("[data-node]")).to_have_count(1)
        bench.silence(SECOND, False)
        expect(page.locator("[data-node]")).to_have_count(0)
        expect(page.locator(".nodes .empty")).to_have_text("No node like that.")
        page.locator("[data-choice=all]").click()
        expect(state(page, SECOND)).to_contain_text("active")


def test_nodes_are_found_by_name_address_and_uuid(bench: MeshBench, visit: Open) -> None:
    page = mesh(bench, visit).page
    search = page.get_by_label("Name, address or UUID")
    for words in ("Node-6", "6 node", str(bench.get("/mesh/nodes/6")["uuid"])):
        search.fill(words)
        expect(page.locator("[data-node]")).to_have_count(1)
        expect(state(page, SECOND)).to_be_visible()
    search.fill("")
    expect(page.locator("[data-node]")).to_have_count(3)


# Traffic


def test_the_traffic_is_filtered_stands_while_it_is_read_and_goes_on(bench: MeshBench, visit: Open) -> None:
    page = mesh(bench, visit).page
    expect(lines(page).first).to_be_visible()
    page.locator(".traffic").get_by_label("Node").select_option("Node-6")
    expect(lines(page).first).to_contain_text("Node-6: ")
    page.get_by_label("Direction").select_option("note")
    expect(lines(page).last).to_contain_text("Node-6 connected")
    page.get_by_label("Text or octets").fill("no line has that")
    expect(lines(page)).to_have_count(0)
    page.get_by_label("Text or octets").fill("")
    page.locator(".traffic").get_by_label("Node").select_option("")
    page.get_by_label("Direction").select_option("up")

    expect(lines(page).first).to_contain_text("Temperature")
    lines(page).nth(2).click()
    chosen = page.locator(".lines [aria-selected=true]")
    text = chosen.inner_text()
    expect(page.locator(".traffic [role=status]")).to_have_text(
        re.compile(r"It stands; [1-9]\d* newer lines\.")
    )
    assert chosen.inner_text() == text
    whole = page.locator("dl.whole")
    expect(whole).to_contain_text("from the mesh, Address ")
    expect(whole.locator("code")).to_have_text(re.compile(r"^00 0[567] 44 "))
    page.locator(".lines").press("ArrowDown")
    expect(chosen).not_to_have_text(text)
    page.get_by_role("button", name="Pause").click()
    expect(whole).to_have_count(0)
    expect(chosen).to_have_count(0)


def test_who_scrolls_away_from_the_newest_line_reads(bench: MeshBench, visit: Open) -> None:
    seen = mesh(bench, visit)
    page = seen.page
    box = page.locator(".lines")
    seen.until(lambda: box.evaluate("box => box.scrollHeight > 2 * box.clientHeight"))
    box.hover()
    page.mouse.wheel(0, 150)
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    place = lines(page).first.inner_text()
    expect(page.locator(".traffic [role=status]")).to_have_text(re.compile(r"It stands; [1-9]"))
    assert lines(page).first.inner_text() == place
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "false")
    assert box.evaluate("box => box.scrollTop") == 0


def test_the_traffic_of_one_node_is_a_click_away_and_a_file_of_it_another(
    bench: MeshBench, visit: Open
) -> None:
    page = mesh(bench, visit).page
    card(page, THIRD).get_by_role("button", name="Traffic").click()
    expect(page.locator(".traffic").get_by_label("Node")).to_have_value(str(THIRD))
    expect(lines(page).first).to_contain_text("Node-7")
    with page.expect_download() as download:
        page.locator(".traffic").get_by_role("button", name="Save").click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert download.value.suggested_filename.endswith(".tsv")
    assert rows[0] == "time\tdirection\taddress\ttext\toctets"
    assert {row.split("\t")[2] for row in rows[1:]} == {str(THIRD)}


# Sending


def test_a_message_reaches_the_node_and_its_echo_is_seen(bench: MeshBench, visit: Open) -> None:
    seen = mesh(bench, visit)
    page = seen.page
    send = page.locator("form.message")
    expect(send.get_by_role("button", name="Send")).to_be_disabled()
    card(page, FIRST).get_by_role("button", name="Send").click()
    expect(send.get_by_label("To", exact=True)).to_have_value(str(FIRST))
    send.get_by_label("Opcode").select_option("echo")
    send.get_by_label("Text", exact=True).fill("grüß dich")
    send.get_by_role("button", name="Send").click()
    expect(outcome(page)).to_contain_text("Node-5: echo grüß dich")
    expect(outcome(page)).to_contain_text("→ handed to the root module")
    seen.until(lambda: "Egrüß dich".encode() in bench.heard(FIRST))
    page.get_by_label("Text or octets").fill("echo")
    expect(lines(page).first).to_contain_text("Node-5: echo")


def test_octets_are_checked_while_they_are_typed_and_go_to_all(bench: MeshBench, visit: Open) -> None:
    seen = mesh(bench, visit)
    page = seen.page
    send = page.locator("form.message")
    send.get_by_label("Written as").select_option("hex")
    send.get_by_label("Octets, hexadecimal").fill("00 0g")
    expect(send.locator(".wrong")).to_have_text("“0g” is not hexadecimal.")
    expect(send.get_by_role("button", name="Send")).to_be_disabled()
    send.get_by_label("Octets, hexadecimal").fill("00 FF,fe fa")
    expect(send.locator(".wrong")).to_have_text("")
    expect(send.get_by_label("Important")).to_be_disabled()
    send.get_by_role("button", name="Send").click()
    expect(outcome(page)).to_have_attribute("data-outcome", "sent")
    for addr in (FIRST, SECOND, THIRD):
        seen.until(lambda addr=addr: b"\x00\xff\xfe\xfa" in bench.heard(addr))  # type: ignore[misc]


def test_an_important_message_is_told_to_be_delivered_or_not(bench: MeshBench, visit: Open) -> None:
    page = mesh(bench, visit).page
    send = page.locator("form.message")
    send.get_by_label("To", exact=True).select_option("Node-5")
    send.get_by_label("Text", exact=True).fill("close the valve")
    send.get_by_label("Important").check()
    send.get_by_role("button", name="Send").click()
    expect(outcome(page)).to_contain_text("✓ delivered")
    assert b"close the valve" in bench.heard(FIRST)
    bench.silence(SECOND)
    send.get_by_label("To", exact=True).select_option("Node-6")
    send.get_by_role("button", name="Send").click()
    expect(outcome(page)).to_contain_text("✖ not delivered, 4 attempts")
    expect(page.locator(".sent li")).to_have_count(2)
    # That it could not be reached is no word of it.
    expect(card(page, SECOND).locator(".heard")).not_to_contain_text("heard 0 s ago")
    bench.silence(SECOND, False)


def test_restart_and_clean_say_what_they_do_before_they_do_it(bench: MeshBench, visit: Open) -> None:
    seen = mesh(bench, visit)
    page = seen.page
    boots = bench.boots
    page.get_by_role("button", name="Restart …").click()
    question = page.get_by_role("alertdialog", name="Restart the root module?")
    expect(question).to_contain_text(
        "All nodes are disconnected until they have joined again (3 are connected"
    )
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(page.get_by_role("button", name="Restart …")).to_be_focused()
    page.get_by_role("button", name="Clean …").click()
    expect(page.get_by_role("alertdialog")).to_contain_text("This cannot be undone. What is stored stays.")
    page.get_by_role("button", name="Cancel").click()
    assert bench.boots == boots

    page.get_by_role("button", name="Restart …").click()
    question.get_by_role("button", name="Restart it").click()
    expect(page.locator(".toast")).to_have_text("The restart was sent.")
    seen.until(lambda: bench.boots == boots + 1)
    page.get_by_label("Text or octets").fill("the root module restarts")
    expect(lines(page).first).to_contain_text("is disconnected: the root module restarts")
    expect(state(page, THIRD)).to_contain_text("active")
    page.get_by_role("button", name="Clean …").click()
    page.get_by_role("button", name="Forget all nodes").click()
    page.get_by_label("Text or octets").fill("the network was cleaned")
    expect(lines(page).first).to_contain_text("is disconnected: the network was cleaned")
    expect(state(page, THIRD)).to_contain_text("active")


# Connections


def test_lamps_tell_of_the_module_and_of_programs(tmp_path: Path, visit: Open) -> None:
    with mesh_benches(tmp_path) as bench:
        page = mesh(bench, visit).page
        expect(lamp(page, "uart")).to_contain_text("● Serial line: connected")
        expect(lamp(page, "uart")).to_contain_text("ttyMesh, 115,200 baud")
        expect(lamp(page, "page")).to_contain_text("● This page: live")
        expect(lamp(page, "programs")).to_contain_text("○ Programs: none listens")
        with bench.program():
            expect(lamp(page, "programs")).to_contain_text("● Programs: 1 listening")
        expect(lamp(page, "programs")).to_contain_text("none listens")
        page.locator(".counts summary").click()
        expect(page.locator("[data-count=opened] dd")).to_have_text("1")
        expect(page.locator("[data-count=frames_in] dd")).not_to_have_text("0")

        bench.unplug()
        expect(lamp(page, "uart")).to_contain_text("✖ Serial line: disconnected")
        expect(page.locator("[data-trouble=uart_disconnected]")).to_contain_text("nothing can be sent")
        expect(page.locator("article.mesh.stale")).to_be_visible()
        send = page.locator("form.message")
        send.get_by_label("Text", exact=True).fill("hello")
        expect(send.get_by_role("button", name="Send")).to_be_enabled()
        bench.plug_in()
        expect(lamp(page, "uart")).to_contain_text("● Serial line: connected")
        expect(page.locator("[data-trouble]")).to_have_count(0)
        expect(state(page, THIRD)).to_contain_text("active")


def test_what_cannot_be_sent_is_told_where_it_was_sent(tmp_path: Path, visit: Open) -> None:
    with mesh_benches(tmp_path) as bench:
        page = mesh(bench, visit, refuses=True).page
        expect(state(page, FIRST)).to_be_visible()
        bench.unplug()
        expect(lamp(page, "uart")).to_contain_text("disconnected")
        send = page.locator("form.message")
        send.get_by_label("Text", exact=True).fill("hello")
        send.get_by_role("button", name="Send").click()
        expect(outcome(page)).to_contain_text("✖ not sent: no serial connection")
        page.get_by_role("button", name="Restart …").click()
        page.get_by_role("button", name="Restart it").click()
        expect(page.locator(".toast.bad")).to_have_text("Not done: no serial connection")


def test_who_may_only_read_sees_all_and_sends_nothing(tmp_path: Path, visit: Open) -> None:
    with mesh_benches(tmp_path, settings={"LES02_ACCESS__CONTROL_TOKENS": f'["{TOKEN}"]'}) as bench:
        page = mesh(bench, visit).page
        expect(value(page, FIRST, "Temperature").locator("dd")).to_contain_text("°C")
        expect(lines(page).first).to_be_visible()
        expect(page.locator(".sending")).to_contain_text("You may look, not send.")
        expect(page.locator("form.message")).to_have_count(0)
        for name in ("Restart …", "Clean …", "Send"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
        # With the token he may.
        page.locator(".rights summary").click()
        page.get_by_label("Token").fill(TOKEN)
        page.locator(".rights button").click()
        page.locator("form.message").get_by_label("Text", exact=True).fill("hello")
        page.locator("form.message").get_by_role("button", name="Send").click()
        expect(outcome(page)).to_contain_text("handed to the root module")


def test_without_the_rest_api_nodes_are_live_and_it_is_told_what_is_missing(
    tmp_path: Path, visit: Open
) -> None:
    with mesh_benches(tmp_path, settings={"LES02_API__ENABLED": "false"}) as bench:
        page = visit(bench.url, "mesh").page
        expect(value(page, FIRST, "Temperature").locator("dd")).to_contain_text("°C")
        expect(page.locator(".sending")).to_contain_text("needs its REST API")
        expect(page.locator(".nodes")).to_contain_text("Only what has been heard since this page was opened")
        expect(lines(page).first).to_contain_text("Node-")
        expect(lamp(page, "uart")).to_contain_text("○ Serial line: not known")


def test_without_a_mesh_there_is_no_tab(tmp_path: Path, visit: Open) -> None:
    with mesh_benches(tmp_path, settings={"LES02_MESH__ENABLED": "false"}) as bench:
        page = visit(bench.url, "mesh").page
        expect(page.locator("nav a", has_text="Live")).to_have_attribute("aria-current", "page")
        expect(page.locator("nav a", has_text="Mesh")).to_have_count(0)


def test_a_page_that_was_away_has_what_it_missed(tmp_path: Path, visit: Open) -> None:
    with mesh_benches(tmp_path) as bench:
        seen = mesh(bench, visit, disconnects=True)
        page = seen.page
        expect(state(page, FIRST)).to_contain_text("active")
        bench.daemon.process.send_signal(signal.SIGSTOP)
        try:
            expect(lamp(page, "page")).not_to_contain_text("live")
            expect(lamp(page, "uart")).to_contain_text("○ Serial line: not known")
            expect(page.locator("article.mesh.stale")).to_be_visible()
            bench.fix(FIRST, BATTERY, 3333)
        finally:
            bench.daemon.process.send_signal(signal.SIGCONT)
        expect(lamp(page, "page")).to_contain_text("● This page: live")
        expect(page.locator("article.mesh.stale")).to_have_count(0)
        expect(value(page, FIRST, "Battery").locator("dd")).to_contain_text("3.333 V")
        page.get_by_label("Direction").select_option("up")
        expect(lines(page).first).to_contain_text("Battery")


def test_after_a_restart_nodes_are_remembered_and_come_back(tmp_path: Path, visit: Open) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with mesh_benches(tmp_path / "first", nodes=2) as first:
        page = mesh(first, visit, disconnects=True, refuses=True).page
        expect(state(page, SECOND)).to_contain_text("active")
        api_port = first.api.rpartition(":")[2]
        port = first.daemon.port
        first.daemon.process.terminate()
        first.daemon.process.wait()
        expect(page.locator("[data-trouble=no_link]")).to_be_visible()
        database = {"LES02_DATABASE__PATH": str(first.bench.database)}
        with mesh_benches(
            tmp_path / "second", nodes=1, port=port, settings={"LES02_API__PORT": api_port} | database
        ) as second:
            expect(page.locator("[data-trouble]")).to_have_count(0)
            expect(state(page, FIRST)).to_contain_text("active")
            # It has not come back, and what it said is kept.
            assert second.get("/mesh/nodes/6")["state"] == "disconnected"
            expect(state(page, SECOND)).to_contain_text("disconnected")
            expect(value(page, SECOND, "Temperature").locator("dd")).to_contain_text("°C")
