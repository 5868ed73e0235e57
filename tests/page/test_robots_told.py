"""The tab Robots tells what is: commands, operators, stops, telemetry; two dashboards at once."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from mock.robot_body import Body
from tests.page.conftest import Open, Visit
from tests.page.dashboard import Dashboard
from tests.page.robot_bench import ZERO, Robot, RobotBench, robot_benches

PHONE = (390, 844)
FORWARD = (0.0, 1.0)


@pytest.fixture
def robot(robot_bench: RobotBench) -> Robot:
    return robot_bench.add("robot_01")


def dashboard(bench: RobotBench, visit: Open, name: str = "", **more: Any) -> Dashboard:
    return Dashboard(visit(bench.url, "robots", api=bench.api, **more), name)


def moves(seen: Visit, robot: Robot, move: tuple[float, float] = FORWARD) -> None:
    seen.until(lambda: robot.moves.count(move) >= 3)


# Commands


def test_what_a_robot_does_not_confirm_is_never_called_executed(robot_bench: RobotBench, visit: Open) -> None:
    robot = robot_bench.add("robot_01", confirm=False)
    mine = dashboard(robot_bench, visit)
    said: set[str] = set()
    with mine.drag("robot_move", *FORWARD):
        moves(mine.seen, robot)
        for _ in range(20):
            said.add(mine.became("robot_move").inner_text())
            mine.page.wait_for_timeout(20)
    mine.seen.until(lambda: robot.moves[-1] == ZERO)
    expect(mine.became("robot_move")).to_contain_text("delivered to the robot")
    assert not [each for each in said if "executed" in each]
    expect(mine.card("robot_01")).to_contain_text("It does not say what it has executed.")


class Broken(Body):
    def obey(self, order: dict[str, Any], now: float) -> str:
        raise ValueError("the motor is missing")


def test_a_robot_that_cannot_do_it_has_failed_and_says_why(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    mine = dashboard(robot_bench, visit)
    mine.ready()
    robot.mock.body = Broken("1")
    mine.slider("set_speed").fill("40")
    expect(mine.became("set_speed")).to_have_attribute("data-state", "failed")
    expect(mine.became("set_speed")).to_contain_text("failed: cannot do that: the motor is missing")


def test_a_command_that_a_frozen_robot_does_not_take_in_time_has_expired(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    mine = dashboard(robot_bench, visit)
    mine.ready()
    mine.slider("set_speed").fill("40")
    expect(mine.became("set_speed")).to_have_attribute("data-state", "executed")
    with robot_bench.frozen():
        # So much can be on its way to a robot, and no more.
        for value in (41, 42, 43):
            mine.slider("set_speed").fill(str(value))
            expect(mine.page.locator("[data-command=set_speed]")).to_contain_text(f"{value} % ")
            expect(mine.became("set_speed")).to_have_attribute("data-state", "delivered")
        mine.slider("set_brightness").fill("9")
        expect(mine.became("set_brightness")).to_have_attribute("data-state", "received")
        expect(mine.became("set_brightness")).to_contain_text("expired: it was too late")
    mine.seen.until(lambda: robot.mock.body.speed_percent == 43)
    assert robot.mock.body.brightness_percent != 9


def test_a_robot_that_goes_in_mid_move_ends_the_move(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    mine = dashboard(robot_bench, visit)
    mine.press("robot_move", *FORWARD)
    moves(mine.seen, robot)
    robot_bench.remove("robot_01")
    expect(mine.card("robot_01").locator("[data-status]")).to_have_text(re.compile("disconnected"))
    expect(mine.dead).to_have_text("Nothing can be steered: not connected.")
    assert mine.place("robot_move") == "x=0.00, y=0.00"
    again = robot_bench.add("robot_01")
    mine.ready()
    # The hand that is still on the stick must take it anew.
    mine.page.mouse.move(*mine.at("robot_move", 0.5, 0.5))
    mine.page.wait_for_timeout(300)
    assert again.driven == []
    mine.page.mouse.up()
    with mine.drag("robot_move", *FORWARD):
        moves(mine.seen, again)
    mine.seen.until(lambda: again.is_standing)


# Operators


def test_one_operates_the_other_sees_who_and_takes_it_by_force(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    tablet = dashboard(robot_bench, visit, "Tablet")
    phone = dashboard(robot_bench, visit, "Phone", size=PHONE)
    phone.ready()
    expect(phone.operator).to_contain_text("Nobody operates it.")
    tablet.press("robot_move", *FORWARD)
    moves(tablet.seen, robot)
    expect(tablet.operator).to_contain_text("You operate it.")
    expect(phone.operator).to_contain_text("Tablet operates it.")
    expect(phone.card("robot_01")).to_contain_text("Tablet operates it.")
    expect(phone.stick("robot_move")).to_have_attribute("aria-disabled", "true")
    expect(phone.slider("set_speed")).to_be_disabled()

    phone.page.get_by_role("button", name="Take by force").click()
    question = phone.page.get_by_role("alertdialog")
    expect(question).to_contain_text("Tablet operates this now.")
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    assert not robot.is_standing
    phone.page.get_by_role("button", name="Take by force").click()
    question.get_by_role("button", name="Take it").click()
    expect(phone.operator).to_contain_text("You operate it.")
    expect(tablet.operator).to_contain_text("Phone operates it.")
    expect(tablet.stop_told).to_contain_text("Stopped: robot_01; Phone has taken it.")
    tablet.seen.until(lambda: robot.is_standing)
    assert tablet.place("robot_move") == "x=0.00, y=0.00"
    tablet.page.mouse.up()
    with phone.drag("robot_move", 1.0, 0.0):
        moves(phone.seen, robot, (1.0, 0.0))
    phone.seen.until(lambda: robot.is_standing)
    phone.page.get_by_role("button", name="Release").click()
    expect(tablet.operator).to_contain_text("Nobody operates it.")
    tablet.ready()


def test_a_hand_on_a_stick_of_somebody_elses_robot_moves_and_stops_nothing(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    tablet = dashboard(robot_bench, visit, "Tablet")
    tablet.press("robot_move", *FORWARD)
    moves(tablet.seen, robot)
    late = dashboard(robot_bench, visit)
    expect(late.operator).to_contain_text("Tablet operates it.")
    robot.clear()
    late.page.mouse.move(*late.at("robot_move", 0, 0))
    late.page.mouse.down()
    late.page.mouse.move(*late.at("robot_move", 1, 0))
    late.page.mouse.up()
    moves(tablet.seen, robot)
    assert set(robot.moves) == {FORWARD}
    tablet.page.mouse.up()
    tablet.seen.until(lambda: robot.is_standing)


def test_all_are_driven_but_the_one_that_somebody_else_has(robot_bench: RobotBench, visit: Open) -> None:
    first, second = robot_bench.add("robot_01"), robot_bench.add("robot_02")
    tablet = dashboard(robot_bench, visit, "Tablet")
    phone = dashboard(robot_bench, visit, "Phone")
    tablet.press("robot_move", *FORWARD)
    moves(tablet.seen, first)
    phone.choose("All robots")
    expect(phone.operator).to_contain_text("0 yours, 1 free, 1 with others: Tablet")
    first.clear()
    with phone.drag("robot_move", 1.0, 0.0):
        moves(phone.seen, second, (1.0, 0.0))
        expect(phone.page.locator("[data-command=robot_move] [data-state=rejected]")).to_contain_text(
            "robot_01 is operated by Tablet"
        )
        expect(phone.page.locator("[data-command=robot_move] [data-state=executed]")).to_contain_text(
            "1 of 2"
        )
    phone.seen.until(lambda: second.is_standing)
    # Who let go of it stopped his own, and not the other's.
    moves(tablet.seen, first)
    assert set(first.moves) == {FORWARD}
    tablet.page.mouse.up()
    tablet.seen.until(lambda: first.is_standing)


def test_a_name_is_kept_by_the_browser(robot_bench: RobotBench, robot: Robot, visit: Open) -> None:
    mine = dashboard(robot_bench, visit, "Prüfstand 1 & 2")
    other = dashboard(robot_bench, visit)
    mine.page.reload()
    expect(mine.page.locator(".fleet .name input")).to_have_value("Prüfstand 1 & 2")
    mine.page.get_by_role("button", name="Take").click()
    expect(other.operator).to_contain_text("Prüfstand 1 & 2 operates it.")


# The stop


@pytest.mark.parametrize("how", ["button", "Escape", "Space"])
def test_whoever_stops_stops_all_and_that_is_told_until_moves_are_possible(
    robot_bench: RobotBench, robot: Robot, visit: Open, how: str
) -> None:
    tablet = dashboard(robot_bench, visit, "Tablet")
    other = dashboard(robot_bench, visit, "Door")
    tablet.press("robot_move", *FORWARD)
    moves(tablet.seen, robot)
    if how == "button":
        other.stop.click()
    else:
        other.page.keyboard.press(how)
    tablet.seen.until(lambda: robot.is_standing)
    expect(tablet.stop_told).to_contain_text("Stopped: robot_01; stop pressed by Door.")
    expect(other.stop_told).to_contain_text("Stopped.")
    expect(other.became("stop")).to_have_attribute("data-state", "executed")
    # The stick that is still held moves nothing.
    assert tablet.place("robot_move") == "x=0.00, y=0.00"
    tablet.ready()
    expect(tablet.stop_told).not_to_contain_text("take the stick anew")
    assert robot.is_standing
    tablet.page.mouse.up()
    with tablet.drag("robot_move", *FORWARD):
        moves(tablet.seen, robot)
    tablet.seen.until(lambda: robot.is_standing)


def test_the_operators_own_stop_works_with_the_stick_in_hand(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    mine = dashboard(robot_bench, visit)
    mine.ready()
    mine.stick("robot_move").focus()
    mine.page.keyboard.down("ArrowUp")
    moves(mine.seen, robot)
    mine.page.keyboard.press("Space")
    mine.seen.until(lambda: robot.is_standing)
    told = len(robot.moves)
    mine.page.wait_for_timeout(300)
    assert set(robot.moves[told:]) <= {ZERO}
    # A button that has the focus keeps its space bar.
    mine.page.keyboard.up("ArrowUp")
    mine.ready()
    robot.clear()
    mine.page.get_by_role("button", name="Release").focus()
    mine.page.keyboard.press("Space")
    expect(mine.operator).to_contain_text("Nobody operates it.")
    assert robot.done == []


def test_after_a_stop_the_first_hand_that_takes_a_stick_drives(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    mine = dashboard(robot_bench, visit)
    mine.ready()
    mine.stop.click()
    expect(mine.became("stop")).to_have_attribute("data-state", "executed")
    mine.ready()
    with mine.drag("camera_move", *FORWARD):
        mine.seen.until(lambda: robot.done.count("Camera move x=0, y=1") >= 3)
    with mine.drag("robot_move", *FORWARD):
        moves(mine.seen, robot)
    mine.seen.until(lambda: robot.is_standing)


def test_a_robot_that_joins_while_all_are_driven_stands_still_until_the_stick_is_taken_anew(
    robot_bench: RobotBench, robot: Robot, visit: Open
) -> None:
    mine = dashboard(robot_bench, visit)
    mine.ready()
    mine.choose("All robots")
    mine.press("robot_move", *FORWARD)
    moves(mine.seen, robot)
    late = robot_bench.add("robot_02")
    expect(mine.page.locator("[data-command=robot_move] [data-state=rejected]")).to_contain_text(
        "robot_02: let go of the stick first, and take it anew"
    )
    moves(mine.seen, robot)
    assert late.driven == []
    mine.page.mouse.up()
    mine.seen.until(lambda: robot.is_standing)
    mine.ready()
    with mine.drag("robot_move", *FORWARD):
        moves(mine.seen, late)
    mine.seen.until(lambda: robot.is_standing and late.is_standing)


def test_a_stop_without_a_connection_is_told_and_sent_as_soon_as_there_is_one(
    tmp_path: Path, visit: Open
) -> None:
    with robot_benches(tmp_path) as bench:
        robot = bench.add("robot_01")
        mine = dashboard(bench, visit, disconnects=True)
        mine.press("robot_move", *FORWARD)
        moves(mine.seen, robot)
        bench.daemon.process.send_signal(signal.SIGSTOP)
        try:
            # He does not answer: the stick is let go of long before the connection counts as lost.
            expect(mine.dead).to_contain_text("the listener does not answer")
            assert mine.place("robot_move") == "x=0.00, y=0.00"
            mine.seen.until(lambda: robot.is_standing)  # by itself
            mine.stop.click()
            expect(mine.stop_told).to_contain_text("no answer yet")
            expect(mine.stop_told).to_contain_text("STOP IS NOT SENT")
            expect(mine.page.locator("[data-trouble=no_link]")).to_be_visible()
            robot.clear()
        finally:
            bench.daemon.process.send_signal(signal.SIGCONT)
        mine.seen.until(lambda: ZERO in robot.moves)
        expect(mine.page.locator("[data-stop=bad]")).to_have_count(0)
        mine.page.mouse.up()
        mine.ready()


def test_who_may_only_look_sees_all_and_can_still_stop(tmp_path: Path, visit: Open) -> None:
    tokens = '["the-key-of-the-bench"]'
    with robot_benches(tmp_path, LES02_ACCESS__CONTROL_TOKENS=tokens) as bench:
        robot = bench.add("robot_01")
        mine = dashboard(bench, visit)
        expect(mine.dead).to_contain_text("You may look, not steer. STOP works all the same.")
        expect(mine.stick("robot_move")).to_have_attribute("aria-disabled", "true")
        expect(mine.page.get_by_role("button", name="Take")).to_have_count(0)
        expect(mine.card("robot_01").locator("[data-quantity=battery] dd")).to_contain_text("%")
        robot.clear()
        mine.stop.click()
        mine.seen.until(lambda: ZERO in robot.moves)
        expect(mine.became("stop")).to_have_attribute("data-state", "executed")
        # With the token he may.
        mine.page.locator(".rights summary").click()
        mine.page.get_by_label("Token").fill("the-key-of-the-bench")
        mine.page.locator(".rights button").click()
        with mine.drag("robot_move", *FORWARD):
            moves(mine.seen, robot)


# Telemetry


def test_telemetry_is_live_with_the_minutes_before_and_what_is_wrong_is_marked(
    robot_bench: RobotBench, visit: Open
) -> None:
    robot = robot_bench.add("robot_07", name="Climber")
    mine = dashboard(robot_bench, visit)
    card = mine.card("robot_07")
    expect(card.locator("h3")).to_have_text("Climber (robot_07)")
    expect(card.locator("[data-status]")).to_contain_text("connected")
    expect(card.locator("[data-wrong]")).to_have_count(0)
    robot.mock.body.battery = 11.2
    robot.mock.body.temperature = 91.0
    expect(card.locator("[data-quantity=battery] dd")).to_contain_text("11 %")
    expect(card.locator("[data-wrong=low_battery]")).to_contain_text("low battery")
    expect(card.locator("[data-wrong=hot]")).to_contain_text("hot")
    sent = robot.mock.sent
    mine.seen.until(lambda: robot.mock.sent > sent + 20)  # some seconds of it
    robot.mock.body.battery = 60.0
    expect(card.locator("[data-wrong=low_battery]")).to_have_count(0)
    # Who comes later sees the curve from before: the listener has kept it.
    curve = "[data-quantity=battery] svg"
    later = dashboard(robot_bench, visit)
    low = re.compile(r"Battery, last 5 minutes: 11 % to \d\d %")
    expect(later.card("robot_07").locator(curve)).to_have_attribute("aria-label", low)
    csv = later.card("robot_07").get_by_role("link", name="CSV").get_attribute("href")
    assert later.page.request.get(str(csv)).text().startswith("time,ts,battery,cpu,temperature,signal")


def test_a_robot_without_telemetry_is_stale_and_told_in_words(robot_bench: RobotBench, visit: Open) -> None:
    robot_bench.add("robot_01", interval_s=60.0)
    mine = dashboard(robot_bench, visit)
    expect(mine.card("robot_01").locator("[data-status=stale]")).to_contain_text("no telemetry")
    # It can be steered all the same.
    mine.ready()


def test_telemetry_that_is_not_stored_is_told_until_it_is(tmp_path: Path, visit: Open) -> None:
    in_the_way = tmp_path / "les02.db"
    in_the_way.mkdir()
    with robot_benches(tmp_path) as bench:
        bench.add("robot_01")
        mine = dashboard(bench, visit, refuses=True)
        told = mine.page.locator("[data-trouble=storing]")
        expect(told).to_have_text("Telemetry is not stored: the database cannot be opened.")
        mine.ready()
        in_the_way.rmdir()
        expect(told).to_have_count(0)


def test_after_a_restart_robots_and_dashboards_are_back_and_stand_still(tmp_path: Path, visit: Open) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with robot_benches(tmp_path / "first") as first:
        robot = first.add("robot_01")
        mine = dashboard(first, visit, disconnects=True, refuses=True)
        mine.press("robot_move", *FORWARD)
        moves(mine.seen, robot)
        first.daemon.process.kill()
        expect(mine.page.locator("[data-trouble=no_link]")).to_be_visible()
        expect(mine.dead).to_contain_text("no connection")
        expect(mine.stick("robot_move")).to_have_attribute("aria-disabled", "true")
        assert mine.place("robot_move") == "x=0.00, y=0.00"
        mine.seen.until(lambda: robot.is_standing)
        robot.clear()
        api_port = first.api.rpartition(":")[2]
        with robot_benches(tmp_path / "second", first.daemon.port, LES02_API__PORT=api_port):
            mine.ready()
            # The hand has been on the stick all the time.
            assert robot.driven == []
            mine.page.mouse.up()
            with mine.drag("robot_move", *FORWARD):
                moves(mine.seen, robot)
            mine.seen.until(lambda: robot.is_standing)
