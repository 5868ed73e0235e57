"""Whoever has a hand on a stick when something comes between must take it anew; with real sockets."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from listener.robots import stalls
from listener.robots.operators import BY_THE_WAY_S, HALT_S
from listener.robots.stalls import CATCH_UP_S
from tests.listener.robots.hall import MOVE, Hall, Talk, hall, held, is_stop, until

LET_GO = "robot_01: let go of the stick first"


async def stays(robot: Talk, seconds: float = 0.3) -> None:
    """It is told nothing that moves it."""
    told = await robot.hear_all(seconds)
    assert not [each for each in told if each.get("x") or each.get("y")]


async def lets_go(website: Talk, kind: str = "robot_move", **more: Any) -> None:
    await website.say(kind, x=0, y=0, **more)


async def drives(website: Talk, robot: Talk, kind: str = "robot_move") -> None:
    await website.say(kind, **MOVE)
    await robot.hear(kind, **MOVE)


async def test_after_a_stop_each_stick_must_be_let_go_by_itself(each_port: Hall) -> None:
    robot, driver, other = await each_port.robot(), await each_port.website(), await each_port.website()
    async with held(driver):
        await drives(driver, robot, "camera_move")
        await other.say("stop")
        await robot.hear("robot_move", x=0)
        await robot.hear("camera_move", x=0)
        await lets_go(driver, "camera_move")  # of the other one
        await stays(robot)
        await driver.say("camera_move", **MOVE)
        await robot.hear("camera_move", x=0.5)
    await lets_go(driver)
    await drives(driver, robot)


async def test_a_zero_of_somebody_else_does_not_undo_a_stop_however_late_it_comes(bench: Hall) -> None:
    robot, driver, other = await bench.robot(), await bench.website(), await bench.website()
    async with held(driver):
        await robot.hear("robot_move", **MOVE)
        await other.say("stop")
        await robot.hear("robot_move", x=0)
        await other.hear("robot_operator", website_id=None)  # he has commanded nothing for so long
        await lets_go(other)
        await other.hear("ack", original_type="robot_move", status="received")
        await stays(robot)
    assert BY_THE_WAY_S > HALT_S


async def test_a_stop_is_one_for_robots_that_are_not_there_as_well(bench: Hall) -> None:
    driver, other = await bench.website(), await bench.website()
    first = await bench.robot("robot_1")
    second = await bench.robot("robot_2")
    await second.connection.close()
    await driver.hear("robot_status", status="disconnected")
    async with held(driver):
        await first.hear("robot_move", **MOVE)
        await other.say("stop")
        await first.hear("robot_move", x=0)
        again, new = await bench.robot("robot_2"), await bench.robot("robot_3")
        await stays(again)
        await stays(new, 0.1)
    await lets_go(driver)
    await driver.say("robot_move", **MOVE)
    for robot in (first, again, new):
        await robot.hear("robot_move", **MOVE)


async def test_who_comes_right_after_a_stop_may_be_the_same_hand(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    await website.say("stop")
    await website.hear("ack")
    at_once = await bench.website()
    await at_once.say("robot_move", **MOVE)
    assert (await at_once.hear("ack"))["message"] == LET_GO
    await asyncio.sleep(HALT_S)
    later = await bench.website()
    await drives(later, robot)


async def test_who_stops_must_let_go_himself(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    async with held(website):
        await robot.hear("robot_move", **MOVE)
        await website.say("stop")
        await robot.hear("robot_move", x=0)
        await stays(robot, 1.5 * HALT_S)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("where", [{}, {"device_id": "robot_01"}, {"group": "stairs"}])
async def test_a_stick_that_was_held_before_the_robot_came_does_not_move_it(
    tmp_path: Path, where: dict[str, str], *, known: bool
) -> None:
    async with hall(tmp_path, groups={"stairs": ("robot_01", "robot_02")}) as bench:
        if known:
            await (await bench.robot()).connection.close()
        await bench.robot("robot_02")
        website = await bench.website()
        async with held(website, **where):
            await asyncio.sleep(0.1)
            robot = await bench.robot()
            await stays(robot)
        await lets_go(website, **where)
        await website.say("robot_move", **MOVE, **where)
        await robot.hear("robot_move", **MOVE)


async def test_who_was_not_steering_it_before_it_came_moves_it_at_once(bench: Hall) -> None:
    website, other = await bench.website(), await bench.robot("robot_02")
    async with held(website, device_id="robot_02"):
        await other.hear("robot_move", **MOVE)
        robot = await bench.robot()
        await website.say("robot_move", **MOVE, device_id="robot_01")
        await robot.hear("robot_move", **MOVE)


async def test_what_was_taken_by_force_does_not_go_on_when_it_is_free_again(each_port: Hall) -> None:
    robot, first = await each_port.robot(), await each_port.website()
    async with held(first):
        await robot.hear("robot_move", **MOVE)
        second = await each_port.website()
        await second.say("take_robot", force=True)
        await robot.hear("robot_move", x=0)
        await second.connection.close()
        await first.hear("robot_operator", website_id=None)
        await stays(robot)
    await lets_go(first)
    await drives(first, robot)


async def test_what_lies_still_while_another_one_steers_must_be_let_go_too(tmp_path: Path) -> None:
    async with hall(tmp_path, operator_idle_s=0.4) as bench:
        robot, first, second = await bench.robot(), await bench.website(), await bench.website()
        await drives(first, robot)  # the finger lies still from now on
        await first.hear("robot_operator", website_id=None)
        await drives(second, robot)
        await lets_go(second)
        await second.say("release_robot")
        await first.hear("robot_operator", reason="released")
        await first.say("robot_move", **MOVE)
        assert (await first.hear("ack", status="rejected"))["message"] == LET_GO


async def test_a_finger_that_lay_still_while_nobody_came_between_goes_on(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    await drives(website, robot)
    await website.hear("robot_stopped")
    await drives(website, robot)


async def test_what_was_released_in_mid_move_stands_until_the_stick_is_let_go(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    async with held(website):
        await robot.hear("robot_move", **MOVE)
        await website.say("release_robot")
        await robot.hear("robot_move", x=0)
        await stays(robot)


async def test_who_was_refused_must_let_go_when_it_is_free(bench: Hall) -> None:
    robot, first, second = await bench.robot(), await bench.website(), await bench.website()
    await first.say("take_robot")
    await first.hear("ack")
    async with held(second, "camera_move"):
        await second.hear("ack", status="rejected")
        await first.say("release_robot")
        await second.hear("robot_operator", website_id=None)
        await stays(robot)
        await drives(second, robot)  # another stick
    await lets_go(second, "camera_move")
    await drives(second, robot, "camera_move")


async def test_nothing_is_kept_of_who_has_gone(bench: Hall) -> None:
    await bench.robot()
    for _ in range(5):
        website = await bench.website()
        await website.say("stop")
        await website.hear("ack")
        await website.connection.close()
    known = bench.wing.registry.find("robot_01")
    assert known is not None
    await until(lambda: not known.hold._to_let_go)


# Whatever else is wrong with a stop


@pytest.mark.parametrize(
    "more",
    [
        {"id": 1.5},
        {"id": ""},
        {"device_id": "robot_09"},
        {"device_id": "a/b"},
        {"group": "roof"},
        {"group": 7},
        {"device_id": "robot_01", "group": "stairs"},
        {"speed": float("nan")},
        {"note": "x" * 5000},
    ],
)
async def test_a_stop_is_obeyed_and_acknowledged(each_port: Hall, more: dict[str, Any]) -> None:
    robot, driver, other = await each_port.robot(), await each_port.website(), await each_port.website()
    async with held(driver):
        await robot.hear("robot_move", **MOVE)
        await other.say("stop", **more)
        ack = await other.hear("ack")
        assert (ack["original_type"], ack["status"], ack["robots"]) == ("stop", "received", ["robot_01"])
        await robot.hear("robot_move", x=0)
        await stays(robot, 0.1)


async def test_a_stop_is_heard_from_who_says_too_much(each_port: Hall) -> None:
    robot, driver, other = await each_port.robot(), await each_port.website(), await each_port.website()
    async with held(driver):
        await robot.hear("robot_move", **MOVE)
        for number in range(700):
            await other.say("robot_move", x=0.1, y=0, id=number)
        await other.say("stop", id="s")
        assert (await other.hear("ack", id="s"))["status"] == "received"
        await robot.hear("robot_move", x=0)
    assert [each for each in other.seen if "error" in each]


async def test_stops_without_end_are_a_flood_and_are_not_told_to_everybody_each(each_port: Hall) -> None:
    await each_port.robot()
    other, hostile = await each_port.website(), await each_port.website()
    began = time.monotonic()
    for _ in range(300):
        await hostile.say("stop")
    for _ in range(300):
        await hostile.hear("ack", status="received")
    took_s = time.monotonic() - began
    await hostile.say("set_speed", value=3)
    await other.hear("robot_operator")
    told = [each for each in other.seen if each.get("type") == "robot_stopped"]
    assert 1 <= len(told) <= took_s / 0.2 + 2


# While the listener was away


async def test_after_the_listener_was_away_what_was_said_meanwhile_moves_nothing(
    each_port: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot, website = await each_port.robot(), await each_port.website()
    async with held(website):
        await robot.hear("robot_move", **MOVE)
        clock = stalls.clock
        monkeypatch.setattr("listener.robots.relay.clock", lambda: clock() + 3600.0)  # the computer slept
        assert (await website.hear("robot_stopped"))["reason"] == "the listener was held up"
        ack = await website.hear("ack", status="rejected")
        assert ack["message"] == "the listener was held up: this comes too late"
        # What was queued says nothing of where the hand is now: neither its zero nor its next move.
        await lets_go(website)
        await stays(robot, CATCH_UP_S + 0.3)
        assert (await website.hear("ack", message=LET_GO))["status"] == "rejected"
    await lets_go(website)
    await drives(website, robot)


async def test_a_stop_that_has_waited_is_obeyed(bench: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    robot, website = await bench.robot(), await bench.website()
    clock = stalls.clock
    monkeypatch.setattr("listener.robots.relay.clock", lambda: clock() + 3600.0)
    await website.say("stop")
    assert (await website.hear("ack"))["status"] == "received"
    assert is_stop(await robot.next())
    await website.say("robot_move", x=0, y=0)
    assert (await website.hear("ack"))["status"] == "received"
