"""Robots and dashboards of a real daemon: what the seed describes, and what must never happen."""

import asyncio
import contextlib
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from tests.e2e.helpers import PATIENCE_S, Daemon, until
from tests.e2e.robots import Listening, mock_robot, serving, stick, telemetry_url

MOVE: dict[str, Any] = {"x": 0.5, "y": -0.3}
ZERO_S = 0.3
ROUNDS = 100


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Daemon]:
    with serving(tmp_path) as started:
        yield started


@pytest.fixture(autouse=True)
async def quick_loop() -> None:
    """Asyncio's debug mode costs more than what is measured here."""
    asyncio.get_running_loop().set_debug(False)


async def wait(call: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(call, *arguments)


# The seed's scenarios


@pytest.mark.parametrize("api", [False, True], ids=["8765", "8000"])
async def test_scenario_1_a_single_website_and_a_single_robot(running: Daemon, *, api: bool) -> None:
    url = telemetry_url(running, api=api)
    with mock_robot(url, "robot_01", "--interval", "0.5") as robot:
        await wait(robot.said, "Telemetry sent: Battery=")
        async with connect(url, proxy=None) as connection:
            website = Listening(connection)
            # Move joystick → Robot receives command
            await website.say("robot_move", **MOVE)
            ack = await website.get(type="ack")
            assert ack["original_type"] == "robot_move"
            assert ack["message"] == "Command received: Robot move x=0.5, y=-0.3"
            await wait(robot.said, "COMMAND: Robot move x=0.5, y=-0.3")
            await website.say("set_speed", value=60)
            ack = await website.get(type="ack", original_type="set_speed")
            assert ack["message"] == "Command received: Speed set to 60%"
            await wait(robot.said, "COMMAND: Set speed to 60%")
            # Robot sends telemetry → Website updates
            seen = len(website.messages)
            told = await website.get(seen, type="telemetry_update", device_id="robot_01")
            assert 0 < told["battery"] <= 100
            assert {"cpu", "temperature", "signal", "timestamp"} < set(told)


async def test_scenario_2_multiple_robots(running: Daemon) -> None:
    url = telemetry_url(running)
    with (
        mock_robot(url, "robot_01", "--interval", "0.5") as first,
        mock_robot(url, "robot_02", "--interval", "0.5") as second,
    ):
        async with connect(url, proxy=None) as connection:
            website = Listening(connection)
            # All robot telemetry appears on dashboard
            for name in ("robot_01", "robot_02"):
                await website.hear(type="telemetry_update", device_id=name)
            # Commands go to all robots
            await website.say("robot_move", **MOVE)
            for robot in (first, second):
                await wait(robot.said, "COMMAND: Robot move x=0.5, y=-0.3")
            assert sorted((await website.get(type="ack"))["robots"]) == ["robot_01", "robot_02"]


async def test_scenario_3_multiple_websites(tmp_path: Path) -> None:
    with serving(tmp_path, LES02_ROBOTS__OPERATOR_IDLE_S="0.5") as running:
        url = telemetry_url(running)
        async with connect(url, proxy=None) as one, connect(url, proxy=None) as other:
            desktop, mobile = Listening(one), Listening(other)
            with mock_robot(url, "robot_01", "--interval", "0.1") as robot:
                await wait(robot.said, "Telemetry sent")
                for website in (desktop, mobile):
                    while len([m for _, m in website.messages if m.get("type") == "telemetry_update"]) < 5:
                        await website.hear(len(website.messages), type="telemetry_update")
                # Both receive same telemetry
                told = [
                    [m for _, m in website.messages if m.get("type") == "telemetry_update"][:5]
                    for website in (desktop, mobile)
                ]
                assert told[0] == told[1]
                # Either can control robot
                for number, website in enumerate((desktop, mobile), 1):
                    await website.say("robot_move", x=number / 10, y=0)
                    await wait(robot.said, f"COMMAND: Robot move x=0.{number}, y=0")
                    await website.say("robot_move", x=0, y=0)
                    await website.hear(type="robot_operator", website_id=None)


async def test_clients_of_the_field_work_unchanged(running: Daemon) -> None:
    """As they are written: what they look at, and nothing else; on the port that they know."""
    url = telemetry_url(running, api=True)

    async def exchange(client: ClientConnection, message: dict[str, Any]) -> None:
        await client.send(json.dumps(message))

    async def until_type(client: ClientConnection, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                data: dict[str, Any] = json.loads(await client.recv())
                if data.get("type") == kind:
                    return data

    origin = Origin(url.replace("ws:", "http:").partition("/ws")[0])
    async with connect(url, origin=origin, proxy=None) as page:
        greeting = json.loads(await page.recv())
        assert greeting["status"] == "connected"
        assert greeting["device_type"] == "website"
        assert greeting["message"] == "Dashboard connected to server"
        async with connect(f"{url}?device_id=robot_01", proxy=None) as robot:
            greeting = json.loads(await robot.recv())
            assert (greeting["device_type"], greeting["device_id"]) == ("robot", "robot_01")
            assert greeting["message"] == "Robot robot_01 connected to server"
            telemetry = {"battery": 85.0, "cpu": 45.0, "temperature": 35.0, "signal": 90.0}
            await exchange(robot, {"type": "telemetry", "device_id": "robot_01", **telemetry})
            ack = await until_type(robot, "ack")
            assert (ack["original_type"], ack["status"]) == ("telemetry", "received")
            assert ack["message"] == "Telemetry data received and saved"
            told = await until_type(page, "telemetry_update")
            assert {name: told[name] for name in telemetry} == telemetry
            # A joystick of the field: a command for each movement, every 50 ms at most, then zero.
            for x in (0.1, 0.3, 0.5):
                await exchange(page, {"type": "robot_move", "x": x, "y": -0.3, "timestamp": "now"})
                ack = await until_type(page, "ack")
                assert ack["message"] == f"Command received: Robot move x={x}, y=-0.3"
                assert ack["timestamp"].endswith("Z")
                while (move := await until_type(robot, "robot_move"))["x"] != x:
                    assert move["x"] == 0
            await exchange(page, {"type": "robot_move", "x": 0, "y": 0})
            assert (await until_type(robot, "robot_move"))["x"] == 0
            await exchange(page, {"type": "set_brightness", "value": 60})
            assert (await until_type(robot, "set_brightness"))["value"] == 60
            await page.send("{nonsense")
            while "error" not in (data := json.loads(await page.recv())):
                pass
            assert data["error"] == "Invalid JSON format"
        while (data := await until_type(page, "robot_status"))["status"] != "disconnected":
            pass
        assert data["message"] == "Robot robot_01 has disconnected"


# Connections that come and go


async def test_a_robot_that_is_back_is_not_deregistered_by_the_end_of_its_half_dead_connection(
    running: Daemon,
) -> None:
    url = telemetry_url(running)
    async with connect(url, proxy=None) as connection:
        website = Listening(connection)
        with mock_robot(url, "robot_01") as half_dead:
            await website.hear(type="robot_status", status="connected")
            half_dead.process.send_signal(signal.SIGSTOP)
            with mock_robot(url, "robot_01") as alive:
                await wait(alive.said, "Telemetry sent")
                half_dead.process.send_signal(signal.SIGKILL)
                await wait(half_dead.process.wait)
                await until(lambda: len(disconnected(running)) == 1)
                await website.say("set_speed", value=77)
                await wait(alive.said, "COMMAND: Set speed to 77%")
                told = [m["status"] for _, m in website.messages if m.get("type") == "robot_status"]
                assert "disconnected" not in told
                health = json.loads((await wait(running.get, "/healthz"))[1])
                assert health["robots"]["connected"] == 1
        await website.hear(type="robot_status", status="disconnected")


def disconnected(running: Daemon) -> list[dict[str, Any]]:
    return [each for each in running.records() if each["event"] == "client_disconnected"]


async def test_when_the_daemon_is_killed_all_are_back_by_themselves_and_stand_still(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        port, url = first.port, telemetry_url(first)
        with mock_robot(url, "--count", "5", "--interval", "0.5") as robots:
            greetings: list[dict[str, Any]] = []
            dashboard = asyncio.create_task(_stays(url, greetings), name="a dashboard that comes back")
            for number in range(1, 6):
                await wait(robots.said, f"robot_0{number}: COMMAND: Robot move x=0.5")
            killed = len(robots.lines)
            first.process.kill()
            stopped = [await wait(robots.said, f"robot_0{n}: stops by itself", killed) for n in range(1, 6)]
            with serving(tmp_path, port) as second:
                for number in range(1, 6):
                    back = await wait(robots.said, f"robot_0{number}: connected", killed)
                    await wait(robots.said, f"robot_0{number}: COMMAND: Robot move x=0, y=0", back)
                await until(lambda: len(greetings) == 2)
                after = len(robots.lines)
                await wait(robots.said, "Telemetry sent", after)
                dashboard.cancel()
                assert not [line for line in robots.lines[max(stopped) :] if "move x=0.5" in line]
                health = json.loads((await wait(second.get, "/healthz"))[1])
                assert health["robots"]["connected"] == 5


async def _stays(url: str, greetings: list[dict[str, Any]]) -> None:
    """Moves all robots until the connection is lost; and comes back, as a page does, its stick at zero."""
    async for connection in connect(url, proxy=None):
        with contextlib.suppress(ConnectionClosed):
            greetings.append(json.loads(await connection.recv()))
            moving = len(greetings) == 1
            while True:
                if moving:
                    await connection.send(json.dumps({"type": "robot_move", **MOVE}))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        while True:
                            await connection.recv()


async def test_when_the_daemon_ends_what_moves_is_stopped_first(running: Daemon) -> None:
    url = telemetry_url(running)
    for_api = telemetry_url(running, api=True)
    async with (
        connect(f"{url}?device_id=a", proxy=None) as one,
        connect(f"{for_api}?device_id=b", proxy=None) as two,
        connect(url, proxy=None) as connection,
    ):
        robots, website = [Listening(one), Listening(two)], Listening(connection)
        for robot in robots:
            await robot.hear(type="robot_move")
        await website.say("robot_move", **MOVE)
        for robot in robots:
            await robot.hear(type="robot_move", **MOVE)
        await wait(running.end)
        for robot in robots:
            assert [m["x"] for _, m in robot.messages if m.get("type") == "robot_move"][-1] == 0
            assert (robot.connection.close_code, robot.connection.close_reason) == (
                1001,
                "server is stopping",
            )


# Nobody left moving


class Measured:
    """A robot that knows when it was told what."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening

    @property
    def moves(self) -> list[tuple[float, bool]]:
        """When, and whether it was a zero."""
        return [
            (at, m["x"] == m["y"] == 0) for at, m in self._listening.messages if m.get("type") == "robot_move"
        ]

    async def moving(self) -> None:
        await until(lambda: self.moves and not self.moves[-1][1])

    async def zero_after(self, at: float) -> float:
        """How long it took, from the given moment, until it was told to stand still; and it does since."""
        await until(lambda: any(when >= at and is_zero for when, is_zero in self.moves))
        after = [(when, is_zero) for when, is_zero in self.moves if when >= at]
        zero = next(when for when, is_zero in after if is_zero)
        assert all(is_zero for when, is_zero in after if when > zero)
        return zero - at


def told(what: str, times: list[float]) -> None:
    times.sort()
    print(f"{what}: {len(times)} rounds, median {1000 * times[len(times) // 2]:.1f} ms, "
          f"longest {1000 * times[-1]:.1f} ms")  # fmt: skip


async def test_a_dashboard_that_is_killed_in_mid_move_leaves_its_robot_at_zero(running: Daemon) -> None:
    """A hundred times out of a hundred."""
    times = []
    chance = random.Random(8)
    async with connect(f"{telemetry_url(running)}?device_id=robot_01", proxy=None) as connection:
        robot = Measured(Listening(connection))
        for _ in range(ROUNDS):
            with stick(running.port, "robot_01") as dashboard:
                await robot.moving()
                await asyncio.sleep(chance.uniform(0.0, 0.06))
                at = time.monotonic()
                dashboard.process.kill()
                times.append(await robot.zero_after(at))
    told("killed", times)
    assert len(times) == ROUNDS
    assert times[-1] < ZERO_S


async def test_a_dashboard_that_stalls_leaves_its_robot_at_zero(running: Daemon) -> None:
    times = []
    async with connect(f"{telemetry_url(running)}?device_id=robot_01", proxy=None) as connection:
        robot = Measured(Listening(connection))
        for _ in range(15):
            with stick(running.port, "robot_01") as dashboard:
                await robot.moving()
                at = time.monotonic()
                dashboard.process.send_signal(signal.SIGSTOP)
                times.append(await robot.zero_after(at))
                dashboard.process.kill()
                await wait(dashboard.process.wait)
    told("stalled", times)
    assert times[-1] < ZERO_S


async def test_a_dashboard_that_does_not_repeat_its_move_leaves_its_robot_at_zero(running: Daemon) -> None:
    times = []
    async with connect(f"{telemetry_url(running)}?device_id=robot_01", proxy=None) as connection:
        robot = Measured(Listening(connection))
        for _ in range(10):
            with stick(running.port, "robot_01", "1"):
                await robot.moving()
                times.append(await robot.zero_after(robot.moves[-1][0]))
    told("not repeated", times)
    assert times[-1] < ZERO_S


@pytest.mark.parametrize("lets_go", [False, True])
async def test_what_was_said_while_the_daemon_was_frozen_moves_nothing(
    running: Daemon, *, lets_go: bool
) -> None:
    url = telemetry_url(running)
    async with connect(f"{url}?device_id=robot_01", proxy=None) as one, connect(url, proxy=None) as other:
        listening, website = Listening(one), Listening(other)
        robot = Measured(listening)
        await website.say("robot_move", **MOVE)
        await robot.moving()
        running.process.send_signal(signal.SIGSTOP)
        for _ in range(10):
            await website.say("robot_move", **MOVE)
            await asyncio.sleep(0.05)
        if lets_go:  # and takes it again, and lets go
            await website.say("robot_move", x=0, y=0)
            await website.say("robot_move", **MOVE)
        await asyncio.sleep(1.0)
        at = time.monotonic()
        running.process.send_signal(signal.SIGCONT)
        await robot.zero_after(at)
        await asyncio.sleep(1.0)
        assert all(is_zero for when, is_zero in robot.moves if when >= at)
        # A hand that takes it anew moves it.
        await website.say("robot_move", x=0, y=0)
        await website.say("robot_move", **MOVE)
        await robot.moving()


async def test_a_frozen_robot_gets_no_more_than_three_late_moves(running: Daemon) -> None:
    url = telemetry_url(running)
    with mock_robot(url, "robot_01") as robot:
        await wait(robot.said, "COMMAND: Robot move x=0, y=0")
        with stick(running.port, "robot_01") as dashboard:
            for _ in range(5):
                await wait(robot.said, "COMMAND: Robot move x=0.5", len(robot.lines))
            robot.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.2)
            frozen = len(robot.lines)
            await asyncio.sleep(2.8)
            dashboard.process.kill()
            await wait(dashboard.process.wait)
            await until(lambda: len(disconnected(running)) == 1)
        robot.process.send_signal(signal.SIGCONT)
        end = await wait(robot.said, "COMMAND: Robot move x=0, y=0", frozen)
        late = [line for line in robot.lines[frozen:end] if "COMMAND: Robot move x=0.5" in line]
        print(f"{len(late)} late moves")
        assert len(late) <= 3
