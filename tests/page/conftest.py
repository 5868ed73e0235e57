"""The page in a browser. Whatever goes wrong in it unasked for fails the test: see `Visit.trouble`."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, WebSocket, expect, sync_playwright

from tests.page import library
from tests.page.array_bench import ArrayBench, array_benches
from tests.page.bench import Bench, benches, visitors
from tests.page.can_bench import CanBench, can_benches
from tests.page.robot_bench import RobotBench, robot_benches

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "listener/page/index.html"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
# So early that a hang is told by who waits, and not by pytest.
PATIENCE_MS = 15_000
# What a browser says by itself of a connection that is cut.
CUT = "WebSocket connection to "
# And of an answer that is no success, or of none.
REFUSED = "Failed to load resource"


@dataclass
class Visit:
    """One page in a browser of its own; `heard` are its events, whatever number of connections they take."""

    page: Page
    url: str
    disconnects: bool
    trouble: list[str] = field(default_factory=list)
    sockets: list[WebSocket] = field(default_factory=list)
    listen: bool = False
    heard: list[dict[str, Any]] = field(default_factory=list)
    # The REST API, which may be asked as well; and whether it may refuse.
    api: str = ""
    refuses: bool = False

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("request", lambda request: self._asked_for(request.url))
        self.page.on("websocket", self._connected)

    def open(self, view: str) -> None:
        """By the page itself, as a link would."""
        self.page.evaluate("view => { location.hash = `#/${view}`; }", view)

    def condition(self, key: str) -> Locator:
        return self.page.locator(f"[data-condition={key}]")

    def figure(self, name: str) -> Locator:
        return self.page.locator(f"[data-figure={name}] dd")

    def value(self, name: str) -> float:
        """A large figure as a number; its unit is left out."""
        text = self.figure(name).evaluate("element => element.firstChild.data")
        return float(str(text).replace(",", ""))

    def until(self, fact: Callable[[], object]) -> None:
        """For what no locator can say. (The page's policy forbids Playwright's own `wait_for_function`.)"""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not fact():
            assert time.monotonic() < deadline
            self.page.wait_for_timeout(30)

    def row(self, number: int) -> Locator:
        return self.page.locator(f"tr[data-ride='{number}']")

    def pixels(self, chart: int = 0) -> str:
        return str(self.page.locator(".plot canvas").nth(chart).evaluate("canvas => canvas.toDataURL()"))

    def is_well(self) -> None:
        """Nothing is wrong at the bench. What has been wrong may still be told."""
        expect(self.page.locator(".banner .bad")).to_have_count(0)
        expect(self.page.locator("section.live.stale")).to_have_count(0)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"} or (self.disconnects and CUT in message.text):
            return
        if self.refuses and REFUSED in message.text:
            return
        self.trouble.append(f"console: {message.text}")

    def _connected(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        if self.listen:
            socket.on("framereceived", lambda frame: self.heard.append(json.loads(frame)))
        self._asked_for(socket.url)

    def _asked_for(self, url: str) -> None:
        parts = urlsplit(url)
        ours = {urlsplit(address).netloc for address in (self.url, self.api)}
        if parts.scheme not in {"data", "blob"} and parts.netloc not in ours:
            self.trouble.append(f"asked for {url}")


Open = Callable[..., Visit]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [
        text
        for is_there, text in (
            (shutil.which("chromium"), "no chromium: apt install chromium"),
            (PAGE.exists(), "the page is not built: cd web && npm ci && npm run build"),
        )
        if not is_there
    ]
    if missing and os.environ.get("CI") != "true":
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"THE PAGE IS NOT TESTED, {' and '.join(missing)}"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of a module and no longer: while it runs, this thread has an event loop that no other test may meet."""
    chromium = shutil.which("chromium")
    assert chromium, "no chromium: apt install chromium"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    visits: list[Visit] = []

    def opened(
        url: str,
        view: str = "live",
        *,
        disconnects: bool = False,
        listen: bool = False,
        api: str = "",
        refuses: bool = False,
        size: tuple[int, int] = (1280, 800),
        language: str = "en-US",
        theme: Literal["dark", "light"] = "dark",
        **more: Any,
    ) -> Visit:
        settings = {"timezone_id": library.ZONE, "color_scheme": theme, "locale": language} | more
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **settings)
        context.set_default_timeout(PATIENCE_MS)
        made = Visit(context.new_page(), url, disconnects, listen=listen, api=api, refuses=refuses)
        visits.append(made)
        made.page.goto(f"{url}/#/{view}")
        return made

    def leave(ending: Bench) -> None:
        for each in visits:
            if each.url == ending.url:
                each.page.context.close()

    visitors.append(leave)
    yield opened
    visitors.remove(leave)
    for each in visits:
        each.page.context.close()
    assert [trouble for each in visits for trouble in each.trouble] == []


@pytest.fixture(scope="session")
def rides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library.make(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, rides: Path) -> Iterator[Bench]:
    """With the rides of the library, and a car that stands until it is asked to ride."""
    folder = tmp_path_factory.mktemp("bench")
    shutil.copy(rides, folder)
    with benches(folder) as running:
        yield running


@pytest.fixture(scope="module")
def running_can_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanBench]:
    with can_benches(tmp_path_factory.mktemp("can")) as running:
        yield running


@pytest.fixture
def can_bench(running_can_bench: CanBench) -> Iterator[CanBench]:
    """Nothing is connected but the sensor; a CANable lies there."""
    yield running_can_bench
    running_can_bench.clear()


@pytest.fixture(scope="module")
def running_robot_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RobotBench]:
    with robot_benches(tmp_path_factory.mktemp("robots")) as running:
        yield running


@pytest.fixture
def robot_bench(running_robot_bench: RobotBench) -> Iterator[RobotBench]:
    """Without a robot."""
    yield running_robot_bench
    running_robot_bench.clear()


@pytest.fixture(scope="module")
def running_array_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArrayBench]:
    with array_benches(tmp_path_factory.mktemp("arrays")) as running:
        yield running


@pytest.fixture
def array_bench(running_array_bench: ArrayBench) -> Iterator[ArrayBench]:
    """Without an array; nothing is connected but the sensor."""
    yield running_array_bench
    running_array_bench.clear()
