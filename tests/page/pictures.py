"""The pictures of the page in docs/, taken from the running page: `python -m tests.page.pictures`, by hand.

The simulated lift of the demo rides; the rides of before are the simulator's, too.
"""

import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from mock.robot_body import Body
from tests.e2e.helpers import ROOT, daemon
from tests.page import library
from tests.page.array_bench import array_benches
from tests.page.can_bench import can_benches
from tests.page.conftest import Visit
from tests.page.dashboard import Dashboard
from tests.page.library import SPECIMEN, Drive
from tests.page.mesh_bench import mesh_benches
from tests.page.robot_bench import RobotBench, robot_benches

PICTURES = ROOT / "docs/pictures"
MOST_BYTES = 250_000
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
DRIVES = (
    Drive("2026-03-02T10:00", SPECIMEN, 1000.0, 3000.0, 630.0, "as delivered"),
    Drive("2026-03-02T10:01", SPECIMEN, 4000.0, -3000.0, 630.0),
    Drive("2026-03-02T10:12", SPECIMEN, 1000.0, 3000.0, 585.0, "screw 3, half a turn out"),
    Drive("2026-03-02T10:14", SPECIMEN, 4000.0, -3000.0, 628.0),
    Drive("2026-03-02T10:19", SPECIMEN, 1000.0, 3000.0, 612.0, "screw 3, a quarter turn back"),
    Drive("2026-03-02T10:26", SPECIMEN, 1000.0, 3000.0, 628.0, "screw 3, an eighth back"),
    Drive("2026-03-02T11:05", "V-2418", 1000.0, 3000.0, 631.0),
    Drive("2026-03-02T11:07", "V-2418", 4000.0, -3000.0, 629.0),
)
# View, and what is there when all of it is.
VIEWS = {
    "rides": ("rides", ".verdict >> nth=5"),
    "ride": ("rides/3", "article.ride .verdict.failed"),
    "compare": ("compare/3", "article.compare .deviations"),
    "overlay": ("overlay/1,3,5,6", "article.overlay .swatch >> nth=3"),
}
# As the docs have it.
PORT = Path("/tmp/ttyCAN")
MODULE = Path("/tmp/mesh")
FAR_ENOUGH_MM = "3,400"


def take(to: Path) -> None:
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        path = library.make(folder, DRIVES)
        library.mark(path, 2)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        flags = ("--demo", "--host", "127.0.0.1", "--port", "0")
        with daemon(*flags, cwd=folder, LES02_DATABASE__PATH=str(path)) as demo:
            demo.logged("listener_started")
            url = demo.url.replace("ws:", "http:")
            # They see the first ride from its beginning; the table is taken before it ends there.
            wide, phone = _page(browser, url, 1280, 800, "dark"), _page(browser, url, 390, 844, "light")
            page = _page(browser, url, 1280, 800, "dark")
            for picture, (view, ready) in VIEWS.items():
                page.goto(f"{url}/#/{view}")
                expect(page.locator(ready)).to_be_visible()
                page.wait_for_timeout(200)
                _shoot(page, to / f"page-{picture}.png")
                if picture == "rides":
                    _live(wide, phone, to)
        _can(browser, folder, to)
        _robots(browser, folder, to)
        _mesh(browser, folder, to)
        _signals(browser, folder, to)
        browser.close()


def _live(wide: Page, phone: Page, to: Path) -> None:
    figure = phone.locator("[data-figure=position] dd")
    while figure.inner_text() < FAR_ENOUGH_MM:
        phone.wait_for_timeout(20)
    _shoot(wide, to / "page-live.png")
    _shoot(phone, to / "page-phone.png")


def _can(browser: Browser, folder: Path, to: Path) -> None:
    """Other devices, as `lescanable` plays them."""
    with can_benches(folder) as bench:
        bench.unplug()
        bench.port = PORT
        bench.plug_in()
        bench.connect()
        bench.connect_virtual("battery")
        bench.load()
        page = _page(browser, bench.url, 1280, 800, "dark")
        page.goto(f"{bench.url}/#/can")
        page.get_by_role("button", name="All signals").click()
        expect(page.locator("[data-signal=EngineRpm]")).to_be_visible()
        expect(page.locator("tbody")).to_contain_text("100.0 ms")
        page.wait_for_timeout(1500)
        _shoot(page, to / "page-can.png")


def _robots(browser: Browser, folder: Path, to: Path) -> None:
    """Three of the mock's, one of which drives; they have been there for five minutes."""
    with robot_benches(folder) as bench:
        drives = bench.add("robot_01", name="Screwdriver", interval_s=1.0)
        bench.add("robot_02", battery=16.0, name="Climber", interval_s=1.0)
        bench.add("robot_03", confirm=False, interval_s=1.0)
        for device_id, battery in (("robot_01", 88.0), ("robot_02", 31.0), ("robot_03", 95.0)):
            _telemetry_of_before(bench, device_id, battery)
        page = _page(browser, bench.url, 1280, 800, "dark")
        page.goto(f"{bench.url}/#/robots")
        seen = Dashboard(Visit(page, bench.url, disconnects=False), "Tablet")
        expect(seen.card("robot_02").locator("[data-wrong]")).to_be_visible()
        with seen.drag("robot_move", 0.4, 0.7):
            page.wait_for_timeout(1500)
            _shoot(page, to / "page-robots.png")
        assert drives.driven


def _mesh(browser: Browser, folder: Path, to: Path) -> None:
    with mesh_benches(folder, nodes=6, interval_s=0.4, device=MODULE) as bench, bench.program():
        bench.silence(8)
        page = _page(browser, bench.url, 1280, 800, "dark")
        page.goto(f"{bench.url}/#/mesh")
        page.wait_for_timeout(30_000)
        _shoot(page, to / "page-mesh.png")


def _signals(browser: Browser, folder: Path, to: Path) -> None:
    with array_benches(folder) as bench:
        bench.ride(3000.0)
        page = _page(browser, bench.url, 1280, 800, "dark")
        page.goto(f"{bench.url}/#/signals")
        page.get_by_label("Source").select_option("les02.velocity")
        page.wait_for_timeout(8000)
        _shoot(page, to / "page-signals.png")


def _telemetry_of_before(bench: RobotBench, device_id: str, battery: float) -> None:
    body, now = Body(device_id), time.time()
    body.battery = battery
    rows = []
    for second in range(-300, -3, 3):
        body.move = (0.0, 1.0) if -200 < second < -80 else (0.0, 0.0)
        told = body.telemetry(float(second))
        if device_id == "robot_02":
            told["battery"] = battery + (16.0 - battery) * (second + 300) / 300
        rows.append((device_id, now + second, *told.values()))
    database = sqlite3.connect(bench.bench.database)
    with database:
        database.executemany("INSERT INTO robot_telemetry VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.close()


def _page(browser: Browser, url: str, width: int, height: int, theme: str) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale="en-GB", timezone_id=library.ZONE
    )
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Light").select_option(theme)
    expect(page.locator(".banner p")).to_have_count(0)
    return page


def _shoot(page: Page, path: Path) -> None:
    size = len(page.screenshot(path=path))
    sys.stdout.write(f"{path.relative_to(ROOT)}: {size // 1000} kB\n")
    assert size < MOST_BYTES


if __name__ == "__main__":
    take(PICTURES)
