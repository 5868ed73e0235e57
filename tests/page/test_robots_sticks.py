"""The sticks of the tab Robots: by mouse, finger and keyboard, and all that takes the hand off them."""

import re

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Open
from tests.page.dashboard import Dashboard
from tests.page.robot_bench import ZERO, Robot, RobotBench

PHONE = (390, 844)
FORWARD = (0.0, 1.0)


@pytest.fixture
def robot(robot_bench: RobotBench) -> Robot:
    return robot_bench.add("robot_01")


@pytest.fixture
def mine(robot_bench: RobotBench, robot: Robot, visit: Open) -> Dashboard:
    made = Dashboard(visit(robot_bench.url, "robots", api=robot_bench.api, disconnects=True))
    made.ready()
    return made


def moves(mine: Dashboard, robot: Robot, move: tuple[float, float] = FORWARD) -> None:
    """More than once: it is repeated."""
    mine.seen.until(lambda: robot.moves.count(move) >= 3)


def stands(mine: Dashboard, robot: Robot) -> None:
    """And was told so; what was on its way comes before that."""
    mine.seen.until(lambda: robot.moves and robot.moves[-1] == ZERO and robot.is_standing)
    assert mine.place("robot_move") == "x=0.00, y=0.00"
    told = len(robot.moves)
    mine.page.wait_for_timeout(300)
    assert robot.moves[told:] in ([], [ZERO])


def test_a_mouse_drives_and_whoever_lets_go_stops(mine: Dashboard, robot: Robot) -> None:
    with mine.drag("robot_move", *FORWARD):
        moves(mine, robot)
        assert not robot.is_standing
        assert mine.place("robot_move") == "x=0.00, y=1.00"
        mine.page.mouse.move(*mine.at("robot_move", -3.0, 0.0), steps=3)  # far beyond the rim
        moves(mine, robot, (-1.0, 0.0))
        expect(mine.became("robot_move")).to_have_attribute("data-state", "executed")
        expect(mine.became("robot_move")).to_contain_text("executed by the robot")
    stands(mine, robot)
    expect(mine.became("robot_move")).to_have_attribute("data-state", "executed")
    assert all(x * x + y * y <= 1.0 for x, y in robot.moves)


def test_two_thumbs_hold_both_sticks_and_the_page_stands_still(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    seen = visit(robot_bench.url, "robots", api=robot_bench.api, size=PHONE, has_touch=True)
    mine = Dashboard(seen)
    mine.touch({"robot_move": (0.0, -1.0), "camera_move": (1.0, 0.0)})
    before = seen.page.evaluate("scrollY")
    moves(mine, robot, (0.0, -1.0))
    seen.until(lambda: robot.done.count("Camera move x=1, y=0") >= 3)
    assert mine.place("robot_move") == "x=0.00, y=-1.00"
    assert seen.page.evaluate("[scrollY, visualViewport.scale]") == [before, 1]
    mine.lift()
    stands(mine, robot)
    seen.until(
        lambda: robot.done[-2:] == ["Robot move x=0, y=0", "Camera move x=0, y=0"] or robot.is_standing
    )


def test_a_touch_that_the_system_takes_away_is_let_go(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    mine = Dashboard(visit(robot_bench.url, "robots", api=robot_bench.api, size=PHONE, has_touch=True))
    mine.touch({"robot_move": FORWARD})
    moves(mine, robot)
    mine.lift("touchCancel")
    stands(mine, robot)


@pytest.mark.parametrize(
    ("keys", "move"),
    [
        (["ArrowUp"], FORWARD),
        (["KeyS"], (0.0, -1.0)),
        (["KeyD", "ArrowUp"], (0.7, 0.7)),
        (["Shift", "KeyA"], (-0.34, 0.0)),
    ],
)
def test_keys_drive_while_they_are_down(
    mine: Dashboard, robot: Robot, keys: list[str], move: tuple[float, float]
) -> None:
    mine.stick("robot_move").focus()
    for key in keys:
        mine.page.keyboard.down(key)
    moves(mine, robot, move)
    for key in keys:
        mine.page.keyboard.up(key)
    stands(mine, robot)


TAKEN_AWAY = {
    "another window": "window.dispatchEvent(new Event('blur'))",
    "the page is left": "window.dispatchEvent(new Event('pagehide'))",
    "the pointer is lost": "document.querySelector('[data-stick=robot_move]')"
    ".dispatchEvent(new PointerEvent('pointercancel', {pointerId: 1}))",
    "another tab": "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
    "document.dispatchEvent(new Event('visibilitychange'))",
    "another view": "location.hash = '#/live'",
}


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_whatever_takes_the_hand_away_stops_and_a_button_still_down_means_nothing(
    mine: Dashboard, robot: Robot, what: str
) -> None:
    mine.press("robot_move", *FORWARD)
    moves(mine, robot)
    target = mine.at("robot_move", 0.5, 0.5)
    mine.page.evaluate(TAKEN_AWAY[what])
    mine.seen.until(lambda: robot.moves[-1] == ZERO and robot.is_standing)
    told = len(robot.moves)
    mine.page.mouse.move(*target)
    mine.page.wait_for_timeout(300)
    assert robot.moves[told:] in ([], [ZERO])
    mine.page.mouse.up()


def test_a_key_still_down_after_the_focus_went_means_nothing(mine: Dashboard, robot: Robot) -> None:
    mine.stick("robot_move").focus()
    mine.page.keyboard.down("ArrowUp")
    moves(mine, robot)
    mine.stick("camera_move").focus()
    stands(mine, robot)
    mine.stick("robot_move").focus()
    mine.page.keyboard.down("ArrowUp")  # as a keyboard repeats it
    stands(mine, robot)
    mine.page.keyboard.up("ArrowUp")
    mine.page.keyboard.down("ArrowUp")
    robot.clear()
    moves(mine, robot)
    mine.page.keyboard.up("ArrowUp")
    stands(mine, robot)


def test_a_page_that_is_closed_in_mid_move_leaves_nobody_moving(mine: Dashboard, robot: Robot) -> None:
    mine.press("robot_move", *FORWARD)
    moves(mine, robot)
    other = mine.page.context.new_page()
    mine.page.close()
    for _ in range(100):
        if robot.is_standing:
            break
        other.wait_for_timeout(20)
    assert robot.is_standing
    assert robot.moves[-1] == ZERO


def test_without_a_network_the_sticks_are_at_zero(mine: Dashboard, robot: Robot) -> None:
    mine.press("robot_move", *FORWARD)
    moves(mine, robot)
    mine.page.context.set_offline(True)
    mine.seen.until(lambda: robot.is_standing)
    mine.seen.until(lambda: mine.place("robot_move") == "x=0.00, y=0.00")
    mine.page.mouse.up()
    mine.page.context.set_offline(False)
    mine.ready()
    robot.clear()
    with mine.drag("robot_move", *FORWARD):
        moves(mine, robot)
    stands(mine, robot)


def test_a_slider_is_not_a_flood_and_ends_where_it_was_left(mine: Dashboard, robot: Robot) -> None:
    slider = mine.slider("set_speed")
    expect(slider).to_have_attribute("aria-valuetext", "not set from here")
    slider.focus()
    for _ in range(30):
        mine.page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "80 %")
    mine.seen.until(lambda: robot.mock.body.speed_percent == 80)
    assert 1 < len(robot.done) < 30
    expect(mine.became("set_speed")).to_contain_text("executed by the robot")
    mine.slider("set_brightness").fill("7")
    mine.seen.until(lambda: robot.mock.body.brightness_percent == 7)
    expect(mine.page.locator("[data-command=set_brightness]")).to_contain_text(re.compile(r"7 %.*\d ms"))


def test_one_a_group_or_all_are_driven(robot_bench: RobotBench, robot: Robot, visit: Open) -> None:
    second, third = robot_bench.add("robot_02"), robot_bench.add("robot_03")
    mine = Dashboard(visit(robot_bench.url, "robots", api=robot_bench.api))
    expect(mine.page.locator(".whom select")).to_have_value("robot robot_01")
    with mine.drag("robot_move", *FORWARD):
        moves(mine, robot)
    stands(mine, robot)
    assert [*second.moves, *third.moves] == []
    mine.choose("Group stairs")
    with mine.drag("robot_move", *FORWARD):
        moves(mine, second)
        expect(mine.became("robot_move")).to_contain_text("2 of 2: executed by the robot")
    stands(mine, second)
    assert third.moves == []
    mine.choose("All robots")
    with mine.drag("robot_move", *FORWARD):
        moves(mine, third)
    for each in (robot, second, third):
        stands(mine, each)
    # Another one is chosen by its card, too.
    mine.card("robot_02").get_by_role("button").click()
    expect(mine.page.locator(".whom select")).to_have_value("robot robot_02")
