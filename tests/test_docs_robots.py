"""What docs/robots.md says: the example is a robot, and what it shows is what is sent."""

import asyncio
import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect

from listener.config import RobotsConfig
from listener.robots import answers, messages, wing
from listener.robots.registry import KNOWN_MAX
from tests.e2e.helpers import until
from tests.e2e.robots import Listening, program, serving, telemetry_url

TEXT = (Path(__file__).parents[1] / "docs" / "robots.md").read_text()
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


async def test_the_example_is_a_robot(tmp_path: Path) -> None:
    path = tmp_path / "robot.py"
    path.write_text(EXAMPLE)
    with serving(tmp_path) as running:
        url = telemetry_url(running)
        with program(str(path), f"{url}?device_id=robot_01") as robot:
            async with connect(url, proxy=None) as connection:
                website = Listening(connection)
                told = await website.get(type="telemetry_update", device_id="robot_01")
                assert (told["battery"], told["temperature"]) == (85, 35.5)
                await website.say("robot_move", x=0.5, y=-0.3, id=7)
                await website.hear(type="command_state", id=7, state="executed")
                moved = await asyncio.to_thread(robot.said, "robot_move x=0.5 y=-0.3")
                await asyncio.to_thread(robot.said, "robot_move x=0 y=0", moved)
                await website.say("set_speed", value=60, id=8)
                await website.hear(type="command_state", id=8, state="executed")
            # It stops by itself when nobody can tell it to.
            before = len(robot.lines)
            running.process.kill()
            await asyncio.to_thread(robot.said, "x=0 y=0", before)
            await until(lambda: robot.process.poll() is None)


def test_it_is_as_short_as_is_said() -> None:
    lines = [
        line for line in EXAMPLE.splitlines() if line.strip() and not line.startswith(("import", "from"))
    ]
    assert len(lines) <= 39


def test_every_key_of_the_configuration_is_there_with_its_default() -> None:
    for key in msgspec.structs.fields(RobotsConfig):
        assert f"`{key.name}`" in TEXT
    assert tomllib.loads(re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[0])["robots"]["enabled"]
    default = RobotsConfig()
    for value in (default.telemetry_interval_s, default.hold_s, default.operator_idle_s, default.keep_rows):
        assert f"`{value}`" in TEXT


@pytest.mark.parametrize("union", [messages.WebsiteMessage, messages.RobotMessage])
def test_every_message_is_there(union: object) -> None:
    for kind in union.__args__:  # type: ignore[attr-defined]
        assert f"`{kind.__struct_config__.tag}`" in TEXT


def test_what_it_shows_is_what_is_sent() -> None:
    shown = [json.loads(line) for line in re.findall(r"```json\n(.*?)\n```", TEXT)]
    assert shown[0] == json.loads(answers.robot_greeting("robot_01", hold_ms=500.0))
    assert shown[1] == json.loads(answers.website_greeting("website-1", may_command=True, hold_ms=250.0))
    move = messages.Move(x=0.5, y=-0.3)
    words = f"Command received: {answers.in_words(move)}"
    ack = json.loads(answers.ack(1.0, "robot_move", "received", words, id=7, robots=["robot_01"]))
    assert {**shown[2], "timestamp": ""} == {**ack, "timestamp": ""}
    for number in (messages.TEXT_MAX, KNOWN_MAX, int(wing.RATE), int(wing.BURST)):
        assert str(number) in TEXT
