"""Robots and dashboards on `/ws/telemetry/`, with real sockets on both ports."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from listener.access import Access
from listener.config import WebsocketConfig
from listener.robots import registry
from listener.robots.robot import STATUS_BURST, STATUS_RATE
from listener.robots.session import REPLACED
from tests.listener.robots.hall import Hall, Talk, hall, is_stop, until

TELEMETRY = {"battery": 84.5, "cpu": 43.2, "temperature": 35.1, "signal": 88.2}
READ, CONTROL, ROBOT = "reads-only-0001", "controls-0001", "climbs-0001"
REFUSED = "a command that changes something needs a control token"


def without_time(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "timestamp"}


async def test_both_are_greeted_in_the_words_of_the_field(each_port: Hall) -> None:
    robot = await each_port.connect("?device_id=robot_01")
    assert (await robot.next()).items() >= {
        "status": "connected",
        "device_type": "robot",
        "message": "Robot robot_01 connected to server",
        "device_id": "robot_01",
    }.items()
    first = await robot.next()
    assert is_stop(first)
    assert first["id"] == 1
    website = await each_port.connect()
    assert (await website.next()).items() >= {
        "status": "connected",
        "device_type": "website",
        "message": "Dashboard connected to server",
        "may_command": True,
        "hold_ms": 250,
    }.items()


async def test_a_robot_that_comes_stands_still_with_all_its_parts(each_port: Hall) -> None:
    robot = await each_port.connect("?device_id=robot_01")
    told = [await robot.next() for _ in range(3)][1:]
    assert [each["type"] for each in told] == ["robot_move", "camera_move"]
    assert all(each["x"] == each["y"] == 0 for each in told)


async def test_whole_numbers_stay_whole(each_port: Hall) -> None:
    robot, website = await each_port.robot(), await each_port.website()
    async with asyncio.timeout(5):
        await website.connection.send('{"type":"set_speed","value":60}')
        assert '"value":60,' in str(await robot.connection.recv())
        await website.connection.send('{"type":"robot_move","x":1,"y":0.5}')
        assert '"x":1,"y":0.5,' in str(await robot.connection.recv())
        await website.connection.send('{"type":"robot_move","x":0,"y":0}')
        assert '"x":0,"y":0,' in str(await robot.connection.recv())
        await robot.connection.send('{"type":"telemetry","battery":85,"cpu":41.5}')
        while '"telemetry_update"' not in (text := str(await website.connection.recv())):
            pass
    assert '"battery":85,"cpu":41.5,' in text


async def test_the_path_is_there_without_the_slash_too(each_port: Hall) -> None:
    for query in ("", "?device_id=robot_01"):
        url = f"ws://127.0.0.1:{each_port.port}/ws/telemetry{query}"
        talk = Talk(await each_port._stack.enter_async_context(_connect(url)))
        assert (await talk.next())["status"] == "connected"


def _connect(url: str) -> Any:
    from websockets.asyncio.client import connect

    return connect(url, proxy=None)


async def test_telemetry_is_acknowledged_and_told_to_every_dashboard(each_port: Hall) -> None:
    websites = [await each_port.website() for _ in range(3)]
    robot = await each_port.robot()
    for website in websites:
        told = await website.hear("robot_status")
        assert (told["device_id"], told["status"], told["message"]) == (
            "robot_01",
            "connected",
            "Robot robot_01 has connected",
        )
    await robot.say("telemetry", device_id="another", **TELEMETRY)
    assert without_time(await robot.next()) == {
        "type": "ack",
        "original_type": "telemetry",
        "status": "received",
        "message": "Telemetry data received and saved",
    }
    for website in websites:
        assert without_time(await website.next()) == {
            "type": "telemetry_update",
            "device_id": "robot_01",  # that it connected as
            "device_name": "robot_01",
            **TELEMETRY,
        }
    await robot.say("telemetry", device_name="Anna", battery=80)
    told = await websites[0].hear("telemetry_update")
    assert (told["device_name"], told["battery"], told["cpu"]) == ("Anna", 80, None)


async def test_a_robots_own_status_is_told_in_its_words(each_port: Hall) -> None:
    website, robot = await each_port.website(), await each_port.robot()
    await robot.say("status", status="climbing", message="step 3 of 12")
    assert (await robot.hear("ack"))["original_type"] == "status"
    told = await website.hear("robot_status", status="climbing")
    assert (told["device_id"], told["message"]) == ("robot_01", "step 3 of 12")
    statuses = [event.payload for event in each_port.told if event.source == "robots"]
    assert [(each["channel"], each["state"]) for each in statuses] == [
        ("robot_01", "connected"),
        ("robot_01", "climbing"),
    ]


async def test_who_says_too_much_of_its_status_is_told_and_others_are_spared(bench: Hall) -> None:
    website, robot = await bench.website(), await bench.robot()
    for number in range(60):
        await robot.say("status", status=f"s{number}")
    verdicts = [(await robot.hear("ack"))["status"] for _ in range(60)]
    assert 20 <= verdicts.count("received") < 40
    assert verdicts.count("received") + verdicts.count("rejected") == 60
    await robot.say("telemetry", **TELEMETRY)
    await website.hear("telemetry_update")
    told = [each for each in website.seen if each.get("status", "").startswith("s")]
    assert len(told) == verdicts.count("received")


async def test_a_robot_that_comes_and_goes_all_the_time_is_told_of_now_and_then(each_port: Hall) -> None:
    website = await each_port.website()
    began = time.monotonic()
    for _ in range(60):
        await (await each_port.connect("?device_id=robot_01")).connection.close()
    await until(lambda: not any(robot.is_connected for robot in each_port.wing.registry))
    took_s = time.monotonic() - began
    told = [each for each in await website.hear_all(2.5) if each["type"] == "robot_status"]
    assert len(told) <= STATUS_BURST + (STATUS_RATE + 1) * (took_s + 1)
    assert told[-1]["status"] == "disconnected"
    published = [event for event in each_port.told if event.source == "robots"]
    assert len(published) == len(told)
    # What it is at last is told however often it was told before.
    await each_port.robot()
    await website.hear("robot_status", status="connected")


async def test_a_robots_answers_wait_for_room_and_not_for_its_next_word(each_port: Hall) -> None:
    robot = await each_port.robot()
    (known,) = each_port.wing.registry
    assert known.follower is not None
    offer, full = known.follower.peer.offer, True

    def never(messages: Sequence[bytes], binary: Sequence[bytes] = ()) -> bool:
        return not full and offer(messages, binary)

    known.follower.peer.offer = never  # type: ignore[method-assign]
    await robot.say("telemetry", **TELEMETRY)
    await until(lambda: known.follower and known.follower.is_behind)
    full = False
    assert (await robot.hear("ack"))["original_type"] == "telemetry"


async def test_a_robot_that_leaves_is_told(each_port: Hall) -> None:
    website, robot = await each_port.website(), await each_port.robot()
    await robot.connection.close()
    told = await website.hear("robot_status", status="disconnected")
    assert told["message"] == "Robot robot_01 has disconnected"


async def test_a_robot_that_is_back_takes_the_place_of_its_dead_connection(each_port: Hall) -> None:
    website, dead = await each_port.website(), await each_port.robot()
    alive = await each_port.robot()
    assert await dead.closed() == (REPLACED, "robot_01 has connected anew")
    await alive.say("telemetry", **TELEMETRY)
    await website.hear("telemetry_update")
    # The old one's end has deregistered nobody.
    await website.say("set_speed", value=60, device_id="robot_01")
    assert (await website.hear("ack"))["status"] == "received"
    assert (await alive.hear("set_speed"))["value"] == 60
    assert not [each for each in website.seen if each.get("status") == "disconnected"]


async def test_a_new_dashboard_gets_what_is_known_at_once(each_port: Hall) -> None:
    robot, first = await each_port.robot(), await each_port.website("?name=Tablet")
    await robot.say("telemetry", **{**TELEMETRY, "battery": 5})
    await robot.say("status", status="jammed", message="motor 2")
    await robot.hear("ack", original_type="status")
    await first.say("take_robot")
    operator = await first.hear("robot_operator")
    late = await each_port.website()
    told = [await late.next() for _ in range(5)]
    assert [each["type"] for each in told] == [
        "telemetry_update",
        "robot_status",
        "robot_status",
        "robot_status",
        "robot_operator",
    ]
    assert told[0]["battery"] == 5
    assert [each["status"] for each in told[1:4]] == ["connected", "low_battery", "jammed"]
    assert told[3]["message"] == "motor 2"
    assert (told[4]["website_id"], told[4]["name"]) == (operator["website_id"], "Tablet")
    # That was the word of this connection.
    await robot.connection.close()
    await first.hear("robot_status", status="disconnected")
    await each_port.robot()
    assert (await each_port.get("/robots"))["robots"][0]["said"] is None


async def test_what_is_wrong_is_told_by_the_limits_of_the_configuration(tmp_path: Path) -> None:
    async with hall(tmp_path, low_battery=50, hot_c=40, weak_signal=90) as bench:
        website, robot = await bench.website(), await bench.robot()
        await robot.say("telemetry", battery=49, temperature=41, signal=89)
        told = [await website.hear("robot_status") for _ in range(4)]
        assert [each["status"] for each in told] == ["connected", "low_battery", "weak_signal", "hot"]
        (known,) = (await bench.get("/robots"))["robots"]
        assert known["wrong"] == ["hot", "low_battery", "weak_signal"]


async def test_a_robot_that_says_nothing_is_stale_until_it_says_something(tmp_path: Path) -> None:
    async with hall(tmp_path, telemetry_interval_s=0.05) as bench:
        website, robot = await bench.website(), await bench.robot()
        told = await website.hear("robot_status", status="stale")
        assert told["message"] == "Robot robot_01 has sent no telemetry for 0.15 s"
        await robot.say("telemetry", **TELEMETRY)
        await website.hear("robot_status", status="connected", message="Robot robot_01 sends telemetry again")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("{nonsense", {"error": "Invalid JSON format"}),
        ("[1]", {"error": "Invalid JSON format"}),
        ('{"type":"robot_move","x":NaN,"y":0}', {"error": "Invalid JSON format"}),
        (b"\x00\xff\xfe", {"error": "Invalid JSON format"}),
        ("[" * 4000, {"error": "Invalid JSON format"}),
        ('{"type":"fly","id":7}', {"type": "ack", "original_type": "fly", "status": "rejected", "id": 7}),
        ("{}", {"type": "ack", "original_type": "", "status": "rejected", "message": "type is missing"}),
        (" " * 5000, {"type": "ack", "status": "rejected", "message": "longer than 4096 octets"}),
    ],
)
async def test_what_is_no_message_is_answered_and_the_session_goes_on(
    each_port: Hall, text: str | bytes, answer: dict[str, Any]
) -> None:
    website, robot = await each_port.website(), await each_port.robot()
    for talk in (website, robot):
        await talk.connection.send(text)
        key = "error" if "error" in answer else "type"
        found = await talk.hear(**{key: answer[key]})
        assert found.items() >= answer.items()
    await robot.say("telemetry", **TELEMETRY)
    await website.hear("telemetry_update")


async def test_a_text_that_is_no_utf_8_ends_its_own_connection_alone(each_port: Hall) -> None:
    website, robot = await each_port.website(), await each_port.robot()
    hostile = await each_port.website()
    with contextlib.suppress(ConnectionClosed):
        await hostile.connection.send(b"\xff\xfe{", text=True)
    assert (await hostile.closed())[0] == 1007
    await robot.say("telemetry", **TELEMETRY)
    await website.hear("telemetry_update")


async def test_a_megabyte_ends_its_own_connection_alone(each_port: Hall) -> None:
    website, robot = await each_port.website(), await each_port.robot()
    hostile = await each_port.robot("hostile")
    with contextlib.suppress(ConnectionClosed):
        await hostile.connection.send("x" * 1_000_000)
    assert (await hostile.closed())[0] in {1009, 1006}  # who is still sending may lose the reason
    await website.hear("robot_status", device_id="hostile", status="disconnected")
    await robot.say("telemetry", **TELEMETRY)
    await website.hear("telemetry_update")


async def test_who_says_too_much_at_once_is_told_so_once_and_a_flood_is_ended(each_port: Hall) -> None:
    website, robot = await each_port.website(), await each_port.robot()
    hostile = await each_port.website()
    with contextlib.suppress(ConnectionClosed):
        for _ in range(10_000):
            await hostile.connection.send("{}")
    await hostile.closed()
    await robot.say("telemetry", **TELEMETRY)
    await website.hear("telemetry_update")
    await until(lambda: len(each_port.wing.audience) == 1)


@pytest.mark.parametrize("device_id", ["", "a/b", "%F0%9F%A4%96", "a%0A", "x" * 65, "a%20b", "%FF", "a%00"])
async def test_a_robot_needs_a_name_that_can_be_written(each_port: Hall, device_id: str) -> None:
    talk = await each_port.connect(f"?device_id={device_id}")
    assert await talk.closed() == (1008, "device_id is 1 to 64 letters, digits and .:_-")
    assert await each_port.get("/robots") == {"robots": [], "storing": "ok"}


@pytest.mark.parametrize("device_id", ["Küche.1:a-b", "m²", "½", "٣", "_"])
async def test_whoever_may_connect_is_found_over_http(bench: Hall, device_id: str) -> None:
    robot = await bench.robot(quote(device_id))
    await robot.say("telemetry", **TELEMETRY)
    await bench.written(1)
    for ending in ("", ".csv"):
        assert (await bench.http.get(f"/robots/{quote(device_id)}/telemetry{ending}")).status_code == 200


async def test_an_address_with_too_many_parameters_is_refused(each_port: Hall) -> None:
    with capture_logs() as logs:
        talk = await each_port.connect("?" + "&".join(f"p{n}=1" for n in range(20)))
        assert await talk.closed() == (1008, "an address has at most 16 parameters")
    assert not [each for each in logs if each["log_level"] == "error"]


async def test_a_name_that_is_too_long_is_cut(bench: Hall) -> None:
    await bench.robot()
    website = await bench.website(f"?name={'n' * 1000}")
    await website.say("take_robot")
    assert (await website.hear("robot_operator"))["name"] == "n" * 64


async def test_only_so_many_robots_are_known_and_who_has_gone_makes_room(
    bench: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "KNOWN_MAX", 3)
    robots = [await bench.robot(f"robot_{number}") for number in range(3)]
    refused = await bench.connect("?device_id=robot_3")
    assert await refused.closed() == (1013, "3 robots are connected, more are not allowed")
    await bench.robot("robot_1")  # one of them, anew
    await robots[0].connection.close()
    await until(lambda: sum(robot.is_connected for robot in bench.wing.registry) == 2)
    await bench.robot("robot_3")
    assert {robot.device_id for robot in bench.wing.registry} == {"robot_1", "robot_2", "robot_3"}


async def test_with_robot_tokens_a_robot_needs_one_and_it_is_good_for_nothing_else(tmp_path: Path) -> None:
    for port in ("websocket", "api"):
        async with hall(tmp_path, Access((), (CONTROL,), (ROBOT,)), port=port) as bench:
            told = "a robot needs a token, one of [access] robot_tokens"
            assert await (await bench.connect("?device_id=a")).closed() == (1008, told)
            robot = await bench.robot("a", f"&token={ROBOT}")
            await bench.robot("b", f"&token={CONTROL}")  # who commands may be one
            told = "this token is for robots, which say ?device_id="
            assert await (await bench.connect(f"?token={ROBOT}")).closed() == (1008, told)
            assert (await (await bench.connect("?device_id=a&token=unknown-0001")).closed())[0] == 1008
            await robot.say("telemetry", **TELEMETRY)
            await robot.hear("ack")


async def test_who_may_only_read_sees_everything_moves_nothing_and_stops_everything(tmp_path: Path) -> None:
    for port in ("websocket", "api"):
        async with hall(tmp_path, Access((READ,), (CONTROL,)), port=port) as bench:
            assert (await (await bench.connect()).closed())[0] == 1008
            robot = await bench.robot("a", f"&token={READ}")
            driver = await bench.website(f"?token={CONTROL}")
            reader = await bench.connect(f"?token={READ}")
            assert (await reader.next())["may_command"] is False
            for message in (
                {"type": "robot_move", "x": 0.5, "y": 0},
                {"type": "camera_move", "x": 0, "y": 0},
                {"type": "set_speed", "value": 50},
                {"type": "take_robot", "force": True},
            ):
                await reader.connection.send(json.dumps(message))
                told = await reader.hear("ack")
                assert (told["status"], told["message"]) == ("rejected", REFUSED)
            await driver.say("robot_move", x=0.5, y=0)
            assert (await robot.next())["x"] == 0.5
            await reader.say("stop")
            assert (await reader.hear("ack"))["status"] == "received"
            assert is_stop(await robot.next())
            # So does a dashboard that knows no stop, and lets go of its stick.
            await driver.say("robot_move", x=0, y=0)
            await driver.say("robot_move", x=0.5, y=0)
            await robot.hear("robot_move", x=0.5)
            await reader.say("robot_move", x=0, y=0)
            assert is_stop(await robot.next())


async def test_a_dashboard_that_is_too_slow_is_told_what_it_missed_and_holds_up_nobody(
    tmp_path: Path,
) -> None:
    limits = WebsocketConfig(host="127.0.0.1", port=0, write_buffer=4096, stall_s=20)
    async with hall(tmp_path, limits=limits) as bench:
        robot, quick = await bench.robot(), await bench.website()
        with socket.socket() as small:
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.connect(("127.0.0.1", bench.port))
            slow = await bench.website(max_queue=1, sock=small.dup())
        slow.connection.transport.pause_reading()
        sent = 0
        while not bench.wing.audience.skipped:
            for _ in range(20):
                sent += 1
                await robot.say("telemetry", **{**TELEMETRY, "cpu": sent % 100})
                await robot.hear("ack")
            assert (await quick.hear("telemetry_update", cpu=sent % 100))["cpu"] == sent % 100
            await asyncio.sleep(0)
        slow.connection.transport.resume_reading()
        gap = await slow.hear("gap")
        await robot.say("telemetry", **{**TELEMETRY, "battery": 99})
        await slow.hear("telemetry_update", battery=99)
        told = [each for each in slow.seen if each.get("type") == "telemetry_update"]
        skipped = sum(each["skipped"] for each in slow.seen if each.get("type") == "gap")
        assert gap["skipped"] > 0
        assert len(told) + skipped == sent + 1


async def test_a_robot_that_vanishes_in_mid_message_is_gone(each_port: Hall) -> None:
    website, robot = await each_port.website(), await each_port.robot()
    robot.connection.transport.write(b"\x81\xfe\x01\x00half")
    robot.connection.transport.abort()
    await website.hear("robot_status", status="disconnected")
