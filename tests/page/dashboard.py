"""A dashboard in a browser: the tab Robots, and hands on it.

mine = Dashboard(visit(bench.url, "robots", api=bench.api), name="Tablet")
with mine.drag("robot_move", 0, 1): …          # forward, by the mouse, and let go
mine.touch({"robot_move": (0, 1), "camera_move": (-1, 0)}); mine.lift()
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from playwright.sync_api import CDPSession, Locator, expect

from tests.page.conftest import Visit

# Of half a width; a little more than where the stick ends.
REACH = 0.7


class Dashboard:
    def __init__(self, seen: Visit, name: str = "") -> None:
        self.seen = seen
        self.page = seen.page
        self._touches: CDPSession | None = None
        if name:
            field = self.page.locator(".fleet .name input")
            field.fill(name)
            field.press("Enter")
            field.blur()
        expect(self.page.locator("article.robots")).to_be_visible()

    def stick(self, name: str) -> Locator:
        return self.page.locator(f"[data-stick={name}]")

    def slider(self, name: str) -> Locator:
        return self.page.locator(f"[data-slider={name}]")

    def card(self, robot: str) -> Locator:
        return self.page.locator(f"[data-robot='{robot}']")

    @property
    def stop(self) -> Locator:
        return self.page.get_by_role("button", name="STOP")

    @property
    def stop_told(self) -> Locator:
        return self.page.locator("[data-stop]")

    @property
    def operator(self) -> Locator:
        return self.page.locator(".operator")

    @property
    def dead(self) -> Locator:
        return self.page.locator("p.dead")

    def became(self, kind: str) -> Locator:
        return self.page.locator(f"[data-command={kind}] [data-state]")

    def place(self, stick: str) -> str:
        return self.stick(stick).locator("xpath=following-sibling::output").inner_text()

    def choose(self, label: str) -> None:
        self.page.locator(".whom select").select_option(label=label)

    def ready(self) -> None:
        expect(self.stick("robot_move")).to_have_attribute("aria-disabled", "false")

    def at(self, stick: str, x: float, y: float) -> tuple[float, float]:
        """On the screen."""
        self.stick(stick).scroll_into_view_if_needed()
        box = self.stick(stick).bounding_box()
        assert box
        reach = REACH * box["width"] / 2
        return box["x"] + box["width"] / 2 + x * reach, box["y"] + box["height"] / 2 - y * reach

    def press(self, stick: str, x: float, y: float) -> None:
        self.ready()
        self.page.mouse.move(*self.at(stick, 0, 0))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(stick, x, y), steps=3)

    @contextmanager
    def drag(self, stick: str, x: float, y: float) -> Iterator[None]:
        self.press(stick, x, y)
        yield
        self.page.mouse.up()

    def touch(self, fingers: Mapping[str, tuple[float, float]]) -> None:
        """A finger on each stick, put down in its middle, and moved."""
        self.ready()
        if self._touches is None:
            self._touches = self.page.context.new_cdp_session(self.page)
        down: list[dict[str, float]] = []
        for number, stick in enumerate(fingers):
            x, y = self.at(stick, 0, 0)
            down.append({"x": x, "y": y, "id": number})
            self._touches.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": down})
        for number, (stick, place) in enumerate(fingers.items()):
            x, y = self.at(stick, *place)
            down[number] = {"x": x, "y": y, "id": number}
        self._touches.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": down})

    def lift(self, how: str = "touchEnd") -> None:
        assert self._touches
        self._touches.send("Input.dispatchTouchEvent", {"type": how, "touchPoints": []})
