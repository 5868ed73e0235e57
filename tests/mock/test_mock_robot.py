"""A robot without a robot: what it does when it is told to, and when nobody tells it anything any more."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from mock.mock_robot import MockRobot, RobotOptions, main
from mock.robot_body import TOP_SPEED_M_S, Body

PATIENCE_S = 10.0


def body(seed: str = "1") -> Body:
    return Body(seed)


def move(x: Any, y: Any, **more: Any) -> dict[str, Any]:
    return {"type": "robot_move", "x": x, "y": y, **more}


def test_it_drives_where_it_is_told_to_and_so_fast() -> None:
    robot = body()
    assert robot.obey({"type": "set_speed", "value": 100}, 0.0) == "Set speed to 100%"
    assert robot.obey(move(0.5, -1), 10.0) == "Robot move x=0.5, y=-1"
    robot.advance(14.0)
    assert (robot.x, robot.y) == pytest.approx((0.5 * 4 * TOP_SPEED_M_S, -4 * TOP_SPEED_M_S))
    robot.obey(move(0, 0), 14.0)
    robot.advance(99.0)
    assert robot.y == pytest.approx(-4 * TOP_SPEED_M_S)
    assert not robot.is_moving


def test_it_knows_when_to_stop_by_itself() -> None:
    robot = body()
    robot.obey(move(0.5, 0, hold_ms=500), 10.0)
    assert robot.stop_at == 10.5
    robot.obey(move(0.5, 0, hold_ms=500), 10.3)
    assert robot.stop_at == 10.8
    robot.obey({"type": "camera_move", "x": 0, "y": 1, "hold_ms": 500}, 10.4)
    robot.stop(11.0)
    assert (robot.move, robot.camera, robot.stop_at) == ((0, 0), (0, 0), math.inf)


def test_each_kind_of_move_is_to_be_repeated_by_itself() -> None:
    robot = body()
    robot.obey(move(0.5, 0, hold_ms=500), 10.0)
    for step in range(1, 5):  # the camera's stick goes on
        robot.obey({"type": "camera_move", "x": 0, "y": 1, "hold_ms": 500}, 10.0 + 0.1 * step)
    assert robot.stop_at == 10.5
    assert not robot.stop_late(10.49)
    assert robot.stop_late(10.5)
    assert (robot.move, robot.camera) == ((0, 0), (0, 1))
    assert robot.stop_at == pytest.approx(10.9)
    robot.obey(move(0.5, 0), 10.6)  # of one that asks for no repetition
    assert robot.stop_late(10.95)
    assert (robot.move, robot.camera, robot.stop_at) == ((0.5, 0), (0, 0), math.inf)


def test_driving_drains_and_heats() -> None:
    idle, driving = body(), body()
    driving.obey({"type": "set_speed", "value": 100}, 0.0)
    driving.obey(move(0, 1), 0.0)
    for robot in (idle, driving):
        robot.advance(0.0)
        robot.advance(600.0)
    assert driving.battery < idle.battery < body().battery
    assert driving.temperature > idle.temperature + 20
    driving.advance(1e6)
    assert driving.battery == 0


def test_the_same_seed_is_the_same_robot() -> None:
    one, same, other = body("7"), body("7"), body("8")
    told = [[robot.telemetry(float(at)) for at in range(50)] for robot in (one, same, other)]
    assert told[0] == told[1] != told[2]
    for values in told[0]:
        assert all(0 <= values[name] <= 100 for name in ("battery", "cpu", "signal"))
    assert len({values["cpu"] for values in told[0]}) > 20


@pytest.mark.parametrize(
    "order", [{"type": "fly"}, {"type": "fly", "value": 1}, move("a", 0), {}, {"type": "set_speed"}]
)
def test_what_is_no_order_is_an_error(order: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        body().obey(order, 0.0)


class Server:
    """What it heard of one robot after the other."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.port = 0

    async def handle(self, connection: ServerConnection) -> None:
        self.connections.put_nowait(connection)
        await connection.wait_closed()

    async def next(self) -> ServerConnection:
        async with asyncio.timeout(PATIENCE_S):
            return await self.connections.get()


@asynccontextmanager
async def robot(**options: Any) -> AsyncIterator[tuple[MockRobot, Server, list[str]]]:
    server = Server()
    lines: list[str] = []
    async with serve(server.handle, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        options = {"seed": 1, "back_off_s": (0.01,), **options}
        url = f"ws://127.0.0.1:{server.port}/ws/telemetry/"
        found = MockRobot("robot_01", RobotOptions(url=url, **options), told=lines.append)
        task = asyncio.create_task(found.run(), name="a robot")
        try:
            yield found, server, lines
        finally:
            task.cancel()
            await asyncio.wait({task})


async def hear(connection: ServerConnection, kind: str | None = None) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message: dict[str, Any] = json.loads(await connection.recv())
            if kind in {None, message["type"]}:
                return message


async def until(lines: list[str], words: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not any(words in line for line in lines):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def test_it_says_who_it_is_and_sends_telemetry_at_once_and_again() -> None:
    async with robot(token="climbs-0001", name="Anna", interval_s=0.05) as (_, server, lines):
        connection = await server.next()
        assert connection.request is not None
        assert connection.request.path == "/ws/telemetry/?device_id=robot_01&token=climbs-0001"
        for _ in range(3):
            told = await hear(connection, "telemetry")
            assert (told["device_id"], told["device_name"]) == ("robot_01", "Anna")
            assert {"battery", "cpu", "temperature", "signal"} < set(told)
        assert lines[1].startswith("robot_01: Telemetry sent: Battery=")


async def test_it_does_what_it_is_told_and_says_so() -> None:
    async with robot() as (found, server, lines):
        connection = await server.next()
        await connection.send(json.dumps({"status": "connected", "device_type": "robot"}))
        await connection.send(json.dumps(move(0.5, -0.3, id=7)))
        assert await hear(connection, "command_result") == {
            "type": "command_result",
            "id": 7,
            "status": "executed",
        }
        assert "robot_01: COMMAND: Robot move x=0.5, y=-0.3" in lines
        assert found.body.move == (0.5, -0.3)
        await connection.send(json.dumps({"type": "set_speed", "value": "fast", "id": 8}))
        told = await hear(connection, "command_result")
        assert (told["id"], told["status"]) == (8, "failed")
        await connection.send(json.dumps({"type": "ack", "status": "rejected", "message": "no"}))
        await until(lines, "rejected: no")


async def test_without_the_next_move_it_stops_by_itself() -> None:
    async with robot() as (found, server, lines):
        connection = await server.next()
        await connection.send(json.dumps(move(0.5, 0, hold_ms=100)))
        await until(lines, "no move within hold_ms")
        assert not found.body.is_moving


async def test_without_its_connection_it_stops_by_itself_and_comes_back() -> None:
    async with robot() as (found, server, lines):
        connection = await server.next()
        await connection.send(json.dumps(move(0.5, 0, hold_ms=60_000, id=1)))
        await hear(connection, "command_result")
        connection.transport.abort()
        again = await server.next()
        assert not found.body.is_moving
        assert any(line.endswith("the connection is lost") for line in lines)
        await hear(again, "telemetry")
        assert found.connections == 2


async def test_nobody_there_is_no_reason_to_end() -> None:
    options = RobotOptions(url="ws://127.0.0.1:1/ws/telemetry/", back_off_s=(0.01, 0.02))
    lines: list[str] = []
    task = asyncio.create_task(MockRobot("a", options, told=lines.append).run(), name="a robot")
    async with asyncio.timeout(PATIENCE_S):
        while len(lines) < 5:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
    task.cancel()
    assert all(line.startswith("a: cannot connect: ") for line in lines)


async def test_one_of_the_field_does_not_confirm() -> None:
    async with robot(confirm=False, interval_s=0.05) as (_, server, lines):
        connection = await server.next()
        await connection.send(json.dumps(move(0.5, 0, id=7)))
        await until(lines, "COMMAND: Robot move x=0.5")
        assert {(await hear(connection))["type"] for _ in range(5)} == {"telemetry"}


async def test_a_slow_one_does_it_later() -> None:
    async with robot(slow_s=0.3) as (_, server, _lines):
        connection = await server.next()
        began = asyncio.get_running_loop().time()
        for number in range(3):
            await connection.send(json.dumps(move(0.5, 0, id=number)))
        for number in range(3):
            assert (await hear(connection, "command_result"))["id"] == number
        took_s = asyncio.get_running_loop().time() - began
        assert 0.3 <= took_s < 0.8


async def test_a_deaf_one_talks_and_hears_nothing() -> None:
    async with robot(deaf=True, interval_s=0.05) as (found, server, lines):
        connection = await server.next()
        await connection.send(json.dumps(move(0.5, 0, id=7)))
        assert {(await hear(connection))["type"] for _ in range(5)} == {"telemetry"}
        assert not found.body.is_moving
        assert not [line for line in lines if "COMMAND" in line]
        await connection.close()
        await server.next()


async def test_one_that_talks_nonsense_does_so_now_and_then() -> None:
    async with robot(nonsense=0.5, interval_s=0.01) as (_, server, lines):
        connection = await server.next()
        said = [await connection.recv() for _ in range(40)]
        nonsense = [line for line in lines if line.endswith("nonsense sent")]
        assert 5 < len(nonsense) < 40
        assert len({str(each) for each in said}) > 10


async def test_what_it_does_not_understand_does_not_end_it() -> None:
    async with robot() as (found, server, lines):
        connection = await server.next()
        for text in ("{nonsense", "7", "[]", "null"):
            await connection.send(text)
        await connection.send(json.dumps(move(0.5, 0, id=7)))
        await hear(connection, "command_result")
        assert found.connections == 1
        assert lines.count("robot_01: heard nonsense") == 4


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Any:
    def ask(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().err

    return ask


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "which robot? give it a name, or --count"),
        (("a", "--interval", "0"), "the interval must be a positive number of seconds, not 0"),
        (("a", "--interval", "nan"), "the interval must be a positive number of seconds, not nan"),
        (("a", "--slow", "-1"), "slow must be 0 or a positive number of seconds, not -1"),
        (("a", "--nonsense", "2"), "nonsense is a share from 0 to 1, not 2"),
        (("--count", "x"), "argument --count: x is no number of robots"),
        (("a", "--url", "http://here"), "http://here?device_id=a isn't a valid URI: scheme isn't ws or wss"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    asked: Any, arguments: tuple[str, ...], complaint: str
) -> None:
    code, told = asked(*arguments)
    assert (code, told) == (2, f"lesrobot: {complaint}\n")
