"""Commands that end somewhere, one operator to a robot, and nobody left moving; with real sockets."""

import asyncio
import contextlib
import itertools
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from listener.robots.operators import HALT_S
from tests.listener.robots.hall import MOVE, Hall, Talk, hall, held, is_stop, until


async def executed(robot: Talk, order: dict[str, Any], status: str = "executed", **more: Any) -> None:
    await robot.say("command_result", id=order["id"], status=status, **more)


async def test_a_command_is_acknowledged_and_reaches_the_robot(each_port: Hall) -> None:
    robot, website = await each_port.robot(), await each_port.website()
    commands: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"type": "robot_move", **MOVE}, "Robot move x=0.5, y=-0.3", MOVE),
        ({"type": "camera_move", **MOVE}, "Camera move x=0.5, y=-0.3", MOVE),
        ({"type": "set_speed", "value": 60}, "Speed set to 60%", {"value": 60}),
        ({"type": "set_brightness", "value": 60}, "Brightness set to 60%", {"value": 60}),
    ]
    for message, words, values in commands:
        await website.say(**message)
        ack = await website.hear("ack")
        assert ack["original_type"] == message["type"]
        assert (ack["status"], ack["message"]) == ("received", f"Command received: {words}")
        assert ack["robots"] == ["robot_01"]
        assert "refused" not in ack
        order = await robot.hear(str(message["type"]))
        assert order.items() >= values.items()
        assert set(order) - set(values) <= {"type", "timestamp", "id", "hold_ms"}
        assert ("hold_ms" in order) == ("x" in values)


async def test_a_command_with_an_id_is_told_until_its_end(each_port: Hall) -> None:
    robot, website = await each_port.robot(), await each_port.website()
    other = await each_port.website()
    await website.say("set_speed", value=60, id="s-1")
    ack = await website.hear("ack")
    assert ack["id"] == "s-1"
    state = await website.hear("command_state")
    assert (state["id"], state["device_id"], state["original_type"], state["state"]) == (
        "s-1",
        "robot_01",
        "set_speed",
        "delivered",
    )
    order = await robot.hear("set_speed")
    await executed(robot, order)
    assert (await website.hear("command_state"))["state"] == "executed"
    await website.say("set_brightness", value=60, id=2)
    order = await robot.hear("set_brightness")
    await executed(robot, order, "failed", message="the lamp is broken")
    await website.hear("command_state", state="delivered")
    state = await website.hear("command_state", state="failed")
    assert (state["id"], state["message"]) == (2, "the lamp is broken")
    # Those without an id are nobody's business, and others are not told of any.
    await website.say("set_speed", value=61)
    await robot.hear("set_speed")
    await other.say("set_speed", value=1)
    await other.hear("ack")
    assert not [each for each in other.seen if each.get("type") == "command_state"]


async def test_what_a_robot_confirms_and_was_never_told_is_rejected(bench: Hall) -> None:
    robot = await bench.robot()
    await robot.say("command_result", id=999, status="executed")
    ack = await robot.hear("ack")
    assert (ack["status"], ack["message"]) == ("rejected", "no command 999 is waited for")


async def test_no_robot_sees_what_is_rejected(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    for wrong in ({"x": 1.5, "y": 0}, {"x": "0", "y": 0}, {"y": 0}):
        await website.say("robot_move", **wrong, id=1)
        ack = await website.hear("ack")
        assert (ack["status"], ack["message"]) == ("rejected", "x and y are numbers from -1 to 1")
    await website.say("set_speed", value=60)
    assert (await robot.next())["type"] == "set_speed"


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({}, "no robot is connected"),
        ({"device_id": "robot_09"}, "robot_09 is not connected"),
        ({"group": "stairs"}, "no robot of stairs is connected"),
        ({"group": "roof"}, "there is no group roof; see [robots.groups]"),
    ],
)
async def test_a_command_to_nobody_is_rejected(tmp_path: Path, where: dict[str, str], reason: str) -> None:
    async with hall(tmp_path, groups={"stairs": ("robot_01",)}) as bench:
        website = await bench.website()
        for kind, more in (("robot_move", MOVE), ("take_robot", {}), ("release_robot", {})):
            await website.say(kind, **more, **where)
            ack = await website.hear("ack")
            assert (ack["original_type"], ack["status"], ack["message"]) == (kind, "rejected", reason)
        await website.say("stop", **where)
        ack = await website.hear("ack")
        assert (ack["status"], ack["robots"]) == ("received", [])


async def test_a_command_goes_to_all_to_one_or_to_a_group(tmp_path: Path) -> None:
    async with hall(tmp_path, groups={"stairs": ("robot_2", "robot_3", "robot_9")}) as bench:
        robots = {name: await bench.robot(name) for name in ("robot_1", "robot_2", "robot_3")}
        website = await bench.website()
        for number, (where, reached) in enumerate(
            [
                ({}, ["robot_1", "robot_2", "robot_3"]),
                ({"device_id": "robot_2"}, ["robot_2"]),
                ({"group": "stairs"}, ["robot_2", "robot_3"]),
            ],
            1,
        ):
            await website.say("set_speed", value=number, **where)
            assert (await website.hear("ack"))["robots"] == reached
            for name in reached:
                assert (await robots[name].hear("set_speed"))["value"] == number
        told = {name: [m["value"] for m in talk.seen if "value" in m] for name, talk in robots.items()}
        assert told == {"robot_1": [1], "robot_2": [1, 2, 3], "robot_3": [1, 3]}


async def test_the_newest_move_wins_and_at_most_twenty_a_second_reach_a_robot(each_port: Hall) -> None:
    robot, website = await each_port.robot(), await each_port.website()
    for number in range(1, 101):
        await website.say("robot_move", x=number / 100, y=0, id=number)
    arrived: list[tuple[float, float]] = []
    while not arrived or arrived[-1][1] < 1:
        order = await robot.hear("robot_move")
        arrived.append((time.monotonic(), order["x"]))
    assert [x for _, x in arrived] == sorted(x for _, x in arrived)
    assert len(arrived) < 20
    states: dict[Any, tuple[str, str]] = {}
    while len(states) < 100:
        state = await website.hear("command_state")
        states[state["id"]] = state["state"], state["message"]
    delivered = {number for number, (state, _) in states.items() if state == "delivered"}
    assert delivered == {round(100 * x) for _, x in arrived}
    assert {state for number, state in states.items() if number not in delivered} == {
        ("expired", "a newer one has taken its place")
    }


async def test_a_steady_stick_reaches_the_robot_at_its_pace(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    async with held(website):
        began = time.monotonic()
        times = []
        for _ in range(15):
            await robot.hear("robot_move", x=0.5)
            times.append(time.monotonic())
    assert times[-1] - times[0] >= 14 * 0.05 - 0.02  # a late arrival may come close to the next one
    assert time.monotonic() - began < 10


# Dead man's switch


async def test_a_move_that_is_not_repeated_is_over(each_port: Hall) -> None:
    robot, website = await each_port.robot(), await each_port.website()
    await website.say("robot_move", **MOVE)
    await robot.hear("robot_move", **MOVE)
    began = time.monotonic()
    assert is_stop(await robot.next())
    assert 0.2 < time.monotonic() - began < 0.3
    told = await website.hear("robot_stopped")
    assert (told["device_id"], told["reason"]) == ("robot_01", "nobody has repeated the move")


async def test_a_camera_that_is_not_moved_on_stands_still_too(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    await website.say("camera_move", **MOVE)
    assert (await robot.hear("camera_move"))["x"] == 0.5
    assert (await robot.hear("camera_move"))["x"] == 0


async def test_a_move_that_is_repeated_is_not_interrupted(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    async with held(website):
        for _ in range(15):
            assert not is_stop(await robot.next())
    await robot.hear("robot_move", x=0)


async def test_when_the_dashboard_goes_its_robots_stand_still(each_port: Hall) -> None:
    robot, other = await each_port.robot(), await each_port.website()
    for way in ("close", "abort"):
        website = await each_port.website("?name=Tablet")
        await website.say("robot_move", **MOVE)
        await robot.hear("robot_move", **MOVE)
        began = time.monotonic()
        if way == "close":
            await website.connection.close()
        else:
            website.connection.transport.abort()
        assert is_stop(await robot.next())
        assert time.monotonic() - began < 0.15  # before the hold would be over
        assert (await other.hear("robot_stopped"))["reason"] == "Tablet has left"
        told = await other.hear("robot_operator")
        assert (told["website_id"], told["name"], told["reason"]) == (None, "", "Tablet has left")


async def test_who_lets_go_stops_at_once(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    await website.say("robot_move", **MOVE)
    await robot.hear("robot_move", **MOVE)
    began = time.monotonic()
    await website.say("robot_move", x=0, y=0, id=1)
    assert is_stop(await robot.next())
    assert time.monotonic() - began < 0.04  # it does not wait for its turn
    assert (await website.hear("command_state"))["state"] == "delivered"


async def test_stop_by_anybody_stops_and_the_stick_must_be_let_go(each_port: Hall) -> None:
    robot, driver = await each_port.robot(), await each_port.website("?name=Driver")
    other = await each_port.website("?name=Other")
    async with held(driver):
        await robot.hear("robot_move", **MOVE)
        await other.say("stop", id="s")
        ack = await other.hear("ack")
        assert (ack["message"], ack["robots"]) == ("Command received: Stop", ["robot_01"])
        await robot.hear("robot_move", x=0)
        assert (await other.hear("command_state"))["id"] == "s"
        assert (await driver.hear("robot_stopped"))["reason"] == "stopped by Other"
        told = await driver.hear("ack", status="rejected")
        assert told["message"] == "robot_01: let go of the stick first"
        # A zero of somebody else does not let go of the driver's stick.
        await other.say("robot_move", x=0, y=0)
        await other.hear("ack", original_type="robot_move")
        await robot.hear("robot_move", x=0)
        for _ in range(10):
            assert (await driver.hear("ack"))["status"] == "rejected"
    await driver.say("robot_move", x=0, y=0)
    await driver.say("robot_move", **MOVE)
    assert not is_stop(await robot.hear("robot_move", **MOVE))


async def test_a_zero_of_somebody_else_is_a_stop(bench: Hall) -> None:
    robot, driver, other = await bench.robot(), await bench.website(), await bench.website("?name=Other")
    async with held(driver):
        await robot.hear("robot_move", **MOVE)
        await other.say("robot_move", x=0, y=0)
        await robot.hear("robot_move", x=0)
        assert (await driver.hear("robot_stopped"))["reason"] == "stopped by Other"
        assert "let go" in (await driver.hear("ack", status="rejected"))["message"]
    # It has taken nothing from the driver.
    (known,) = (await bench.get("/robots"))["robots"]
    assert known["operator"]["id"] == "website-1"


async def test_who_only_says_nothing_has_not_let_go_of_the_stick(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    await website.say("stop")
    assert is_stop(await robot.next())
    await website.say("robot_move", **MOVE)
    await website.hear("ack", original_type="robot_move", status="rejected")
    await asyncio.sleep(1.1 * HALT_S)
    await website.say("robot_move", **MOVE)
    await website.hear("ack", original_type="robot_move", status="rejected")
    await website.say("robot_move", x=0, y=0)
    await website.say("robot_move", **MOVE)
    await robot.hear("robot_move", **MOVE)


async def test_a_robot_that_is_back_in_the_middle_of_a_move_stands_still_until_the_stick_is_let_go(
    each_port: Hall,
) -> None:
    robot, website = await each_port.robot(), await each_port.website()
    async with held(website):
        await robot.hear("robot_move", **MOVE)
        again = await each_port.robot()  # while its old connection is still open
        for _ in range(5):
            assert (await website.hear("ack", status="rejected"))["message"].endswith(
                "let go of the stick first"
            )
        await again.connection.close()
        await website.hear("robot_status", status="disconnected")
        while (await website.hear("ack"))["message"] != "no robot is connected":
            pass
        await asyncio.sleep(1.1 * HALT_S)  # however long it is held
        third = await each_port.robot()
        while (await website.hear("ack"))["message"] == "no robot is connected":
            pass
        told = await third.hear_all(0.3)
        assert not [each for each in told if each["type"] == "robot_move" and not is_stop(each)]
    await website.say("robot_move", x=0, y=0)
    await website.say("robot_move", **MOVE)
    await third.hear("robot_move", **MOVE)


async def test_when_a_robot_leaves_what_was_under_way_has_failed(each_port: Hall) -> None:
    robot, website = await each_port.robot(), await each_port.website()
    await website.say("set_speed", value=1, id="first")
    await executed(robot, await robot.hear("set_speed"))
    await website.hear("command_state", state="executed")
    await website.say("set_speed", value=2, id="given")
    await robot.hear("set_speed")
    await website.say("set_speed", value=3, id="waits")
    await website.hear("ack", id="waits")
    robot.connection.transport.abort()
    states: dict[Any, tuple[str, str]] = {}
    while states.get("waits", ("delivered",))[0] == "delivered" or "given" not in states:
        state = await website.hear("command_state")
        states[state["id"]] = state["state"], state["message"]
    assert states["given"] == ("failed", "the robot has disconnected")
    assert states["waits"] == ("failed", "the robot has disconnected")
    assert (await website.hear("robot_operator"))["website_id"] is None
    known = each_port.wing.registry.find("robot_01")
    assert known is not None
    assert known.timer is None


# Operators


async def test_one_operator_at_a_time_and_others_are_told_who(each_port: Hall) -> None:
    robot = await each_port.robot()
    first, second = await each_port.website("?name=Tablet"), await each_port.website()
    await first.say("set_speed", value=60)
    for website in (first, second):
        told = await website.hear("robot_operator")
        assert (told["device_id"], told["name"], told["reason"]) == ("robot_01", "Tablet", "taken")
    for kind, more in (("robot_move", MOVE), ("camera_move", {"x": 0, "y": 0}), ("set_speed", {"value": 1})):
        await second.say(kind, **more)
        ack = await second.hear("ack")
        assert (ack["status"], ack["message"]) == ("rejected", "robot_01 is operated by Tablet")
    await second.say("take_robot")
    assert (await second.hear("ack"))["message"] == "robot_01 is operated by Tablet"
    await second.say("release_robot")
    assert (await second.hear("ack"))["message"] == "it is not yours"
    await first.say("release_robot")
    assert (await second.hear("robot_operator"))["website_id"] is None
    await second.say("set_speed", value=70)
    assert (await first.hear("robot_operator", reason="taken"))["name"] == ""
    assert (await robot.hear("set_speed", value=70))["value"] == 70


async def test_taken_by_force_in_mid_move_it_stands_still_first(each_port: Hall) -> None:
    robot = await each_port.robot()
    first, second = await each_port.website("?name=Tablet"), await each_port.website("?name=Desk")
    async with held(first):
        await robot.hear("robot_move", **MOVE)
        await second.say("take_robot", force=True, id=1)
        await robot.hear("robot_move", x=0)
        assert (await first.hear("robot_stopped"))["reason"] == "taken by Desk"
        told = await first.hear("robot_operator", name="Desk")
        assert told["reason"] == "taken from Tablet"
        assert (await first.hear("ack", status="rejected"))["message"] == "robot_01 is operated by Desk"
        assert all(map(is_stop, await robot.hear_all(0.2)))
        await second.say("robot_move", x=0.1, y=0)
        await robot.hear("robot_move", x=0.1)


async def test_who_commands_nothing_any_more_gives_it_back(tmp_path: Path) -> None:
    async with hall(tmp_path, operator_idle_s=0.3) as bench:
        await bench.robot()
        website = await bench.website()
        await website.say("take_robot")
        await website.hear("robot_operator", reason="taken")
        told = await website.hear("robot_operator")
        assert (told["website_id"], told["reason"]) == (None, "nothing was commanded any more")


async def test_of_several_robots_those_of_others_are_refused(bench: Hall) -> None:
    await bench.robot("robot_1")
    await bench.robot("robot_2")
    first, second = await bench.website("?name=Tablet"), await bench.website()
    await first.say("take_robot", device_id="robot_1")
    await first.hear("ack")
    await second.say("robot_move", **MOVE)
    ack = await second.hear("ack")
    assert (ack["status"], ack["robots"]) == ("received", ["robot_2"])
    assert ack["refused"] == {"robot_1": "robot_1 is operated by Tablet"}


# What is late


def frozen(device_id: str, port: int) -> socket.socket:
    """A robot that reads nothing, in the kernel neither."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    found.connect(("127.0.0.1", port))
    found.sendall(
        f"GET /ws/telemetry/?device_id={device_id} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return found


async def test_what_does_not_get_through_expires_and_a_stop_gets_through_when_anything_does(
    each_port: Hall,
) -> None:
    website = await each_port.website()
    with frozen("robot_01", each_port.port) as robot:
        await website.hear("robot_status", status="connected")
        known = each_port.wing.registry.find("robot_01")
        assert known is not None
        assert known.follower is not None
        await until(lambda: known.follower is not None and not known.follower.peer.unread)
        stuck = 0
        while stuck < 20:  # a kernel may say a little later what it has taken
            while known.is_clear:
                known.follower.peer.offer([b'{"type":"ack","filler":"%s"}' % (b"x" * 1000)])
                stuck = 0
            await asyncio.sleep(0.02)
            stuck += 1
        await website.say("robot_move", **MOVE, id="late", deadline_ms=100)
        state = await website.hear("command_state")
        assert (state["id"], state["state"], state["message"]) == (
            "late",
            "expired",
            "its deadline has passed",
        )
        await website.hear("robot_stopped")
        await until(lambda: known.outbox.is_empty)
        # All of what the robot reads when it wakes up is what was on the way, and the stop.
        robot.settimeout(5)
        octets = b""
        while octets.count(b'"type":"robot_move","x":0,') < 2:
            octets += await asyncio.to_thread(robot.recv, 65536)
        assert b'"x":0.5' not in octets


async def test_who_confirms_gets_no_more_than_three_unconfirmed(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    for number in (1, 2):  # it confirms its first stops
        await executed(robot, {"id": number})
    async with held(website):
        late = [each for each in await robot.hear_all(1.0) if not is_stop(each)]
        assert len(late) == 3
        await executed(robot, late[-1])
        assert not is_stop(await robot.next())
    # A stop comes through whatever is unconfirmed.
    assert is_stop((await robot.hear_all(0.5))[-1])


# The end


async def test_when_the_listener_goes_what_moves_is_stopped_before_any_connection_ends(
    tmp_path: Path,
) -> None:
    for robots_port, websites_port in itertools.product(("websocket", "api"), repeat=2):
        async with hall(tmp_path) as bench:
            ports = {"websocket": bench.server.port, "api": bench.api.port}
            bench.port = ports[robots_port]
            robot = await bench.robot()
            bench.port = ports[websites_port]
            website = await bench.website()
            reading = asyncio.create_task(_until_closed(robot))
            await website.say("robot_move", **MOVE)
            await until(lambda: [each for each in robot.seen if each.get("x") == 0.5])  # noqa: B023
        told = await reading
        moves = [each["x"] for each in told if each.get("type") == "robot_move"]
        assert moves[-2:] == [0.5, 0], (robots_port, websites_port)


async def _until_closed(talk: Talk) -> list[dict[str, Any]]:
    with contextlib.suppress(Exception):
        while True:
            await talk.next()
    return talk.seen


async def test_a_listener_that_is_going_moves_nothing_any_more(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    await website.say("robot_move", **MOVE)
    await robot.hear("robot_move", **MOVE)
    bench.wing.relay.close()
    assert is_stop(await robot.next())
    for kind, more in (("robot_move", MOVE), ("set_speed", {"value": 1}), ("take_robot", {"force": True})):
        await website.say(kind, **more)
        ack = await website.hear("ack", original_type=kind, status="rejected")
        assert ack["message"] == "the listener is stopping"


async def test_no_timer_is_left_when_everybody_has_gone(bench: Hall) -> None:
    robots = [await bench.robot(f"robot_{number}") for number in range(5)]
    website = await bench.website()
    for _ in range(20):
        await website.say("robot_move", **MOVE)
        await website.say("camera_move", **MOVE)
    await website.hear("ack")
    for talk in (*robots, website):
        talk.connection.transport.abort()
    await until(lambda: not any(robot.is_connected for robot in bench.wing.registry))
    assert all(robot.timer is None for robot in bench.wing.registry)
    assert all(robot.outbox.is_empty for robot in bench.wing.registry)
    assert all(robot.hold.website is None for robot in bench.wing.registry)


async def test_a_robot_has_one_timer_whatever_is_said(bench: Hall) -> None:
    robot, website = await bench.robot(), await bench.website()
    loop = asyncio.get_running_loop()
    for _ in range(300):
        await website.say("robot_move", **MOVE)
        await robot.say("telemetry", battery=50)
        await robot.hear("ack")
    mine = [
        handle
        for handle in loop._scheduled  # type: ignore[attr-defined]
        if not handle.cancelled() and getattr(handle._callback, "__qualname__", "") == "Relay._due"
    ]
    assert len(mine) == 1
