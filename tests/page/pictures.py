"""The pictures of the page in docs/, taken from the running page: `python -m tests.page.pictures`, by hand.

The simulated lift of the demo rides; the rides of before are the simulator's, too.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.helpers import ROOT, daemon
from tests.page import library
from tests.page.library import SPECIMEN, Drive

PICTURES = ROOT / "docs/pictures"
MOST_BYTES = 150_000
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
        browser.close()


def _live(wide: Page, phone: Page, to: Path) -> None:
    figure = phone.locator("[data-figure=position] dd")
    while figure.inner_text() < FAR_ENOUGH_MM:
        phone.wait_for_timeout(20)
    _shoot(wide, to / "page-live.png")
    _shoot(phone, to / "page-phone.png")


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
