"""Commands over a real connection: sent as a client sends them, answered by a daemon's own parts."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from listener import events
from listener.commands import Commands
from listener.config import RidesConfig, WebsocketConfig
from listener.database import Database
from listener.hub import Hub
from listener.rides import store
from listener.rides.recorder import Recorder
from listener.rides.wing import rides
from listener.websocket_server import WebSocketEventServer
from listener.wings import RIDE_COMMANDS
from mock.profile import hydraulic
from tests.listener.rides.bench import Lift
from tests.listener.serving import client_of, receive, until

UP, DOWN = hydraulic(3000.0), hydraulic(-3000.0)
DOWN_S = 3.0 + UP.duration_s + 3.0
LIFT = Lift([(3.0, UP), (DOWN_S, DOWN)])
OVER_S = DOWN_S + DOWN.duration_s + 3.0


class Bench:
    recorder: Recorder
    client: ClientConnection
    database: Database
    publish: Callable[[events.EventEnvelope], None]
    server: WebSocketEventServer

    async def ask(self, command: str, **parameters: Any) -> dict[str, Any]:
        """The payload of the answer, whatever its type."""
        await self.client.send(json.dumps({"type": f"command:{command}", "id": command, **parameters}))
        while True:
            event = await receive(self.client)
            payload: dict[str, Any] = event["payload"]
            if event["type"] == "result" and payload["id"] == command:
                return payload
            if event["type"] == "error" and payload["details"].get("id") == command:
                return payload


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """With two rides kept, up and down again."""
    bench = Bench()
    hub, commands, database = Hub(), Commands(), Database(tmp_path / "les02.db")
    bench.database, bench.publish = database, hub.publish
    config = WebsocketConfig(host="127.0.0.1", port=0)
    bench.server = WebSocketEventServer(config, lambda: events.hello(1.0, {}), {}, commands)
    hub.subscribe(bench.server.broadcast)
    await bench.server.start()
    database.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.stop, 5.0)
        stack.push_async_callback(bench.server.stop)
        wing = rides(hub, commands, database, RidesConfig(), resolution_mm=1.0, source="les02")
        bench.recorder = await stack.enter_async_context(wing)
        stack.callback(asyncio.create_task(bench.recorder.run()).cancel)
        for channel, ts, raw in LIFT.samples(OVER_S, channels=("master", "slave")):
            hub.publish(events.position_sample(ts, channel, raw))
        await until(lambda: not bench.recorder.waiting)
        bench.client = await stack.enter_async_context(
            client_of(bench.server, "?types=result,error", max_size=None)
        )
        yield bench


async def test_rides_are_listed_newest_first_filtered_and_paged(bench: Bench) -> None:
    listed = await bench.ask("list_rides")
    assert [(ride["number"], ride["direction"]) for ride in listed["rides"]] == [(2, "down"), (1, "up")]
    assert listed["total"] == 2
    listed = await bench.ask("list_rides", filter={"direction": "up"})
    assert [ride["number"] for ride in listed["rides"]] == [1]
    listed = await bench.ask("list_rides", limit=1, before=2)
    assert ([ride["number"] for ride in listed["rides"]], listed["total"]) == ([1], 2)


async def test_a_ride_is_given_with_its_samples_and_events_by_number_or_id(bench: Bench) -> None:
    ride = await bench.ask("get_ride", ride=1, samples=True)
    assert ride["ride"]["summary"]["distance_mm"] == pytest.approx(3000.0, abs=1.0)
    offsets_us, raw = ride["samples"]["master"]
    assert len(offsets_us) == len(raw) > UP.duration_s * 250
    assert [event["type"] for event in ride["events"]] == ["ride_start", "ride_end"]
    curve = ride["curve"]
    assert len({len(column) for column in curve.values()}) == 1
    assert max(curve["velocity_mm_s"]) == pytest.approx(630.0, abs=5.0)
    again = await bench.ask("get_ride", ride=ride["ride"]["id"][:8], curve=False, events=False)
    assert again["ride"] == ride["ride"]
    assert "samples" not in again


async def test_parameters_may_stand_in_a_payload(bench: Bench) -> None:
    ride = await bench.ask("get_ride", payload={"ride": 2, "samples": False})
    assert ride["ride"]["number"] == 2


async def test_a_ride_is_compared_with_the_reference_of_its_direction(bench: Bench) -> None:
    refused = await bench.ask("compare_ride", ride=1)
    assert refused["code"] == "no_such_ride"
    assert (await bench.ask("set_reference", ride=2))["ride"]["is_reference"] is True
    assert (await bench.ask("compare_ride", ride=1))["code"] == "no_such_ride"
    compared = await bench.ask("compare_ride", ride=1, reference=1, curves=True)
    assert compared["passed"] is True
    assert len(compared["curves"]["ride"]["distance_mm"]) == len(
        compared["curves"]["reference"]["speed_mm_s"]
    )
    other = await bench.ask("compare_ride", ride=1, reference=2)
    assert (other["passed"], other["reasons"][0]) == (False, "the reference goes the other way")


async def test_a_ride_in_progress_is_not_compared_nor_made_a_reference_nor_deleted(bench: Bench) -> None:
    for channel, ts, raw in Lift([(OVER_S + 3.0, UP)]).samples(OVER_S + 6.0, since_s=OVER_S):
        bench.publish(events.position_sample(ts, channel, raw))
    await until(lambda: not bench.recorder.waiting)
    for command, parameters in (
        ("compare_ride", {"ride": 3, "reference": 1}),
        ("compare_ride", {"ride": 1, "reference": 3}),
        ("set_reference", {"ride": 3}),
        ("delete_ride", {"ride": 3}),
    ):
        told = await bench.ask(command, **parameters)
        assert (told["code"], told["details"]["reason"]) == ("in_progress", "ride 3 is in progress")
    assert (await bench.ask("annotate_ride", ride=3, note="now"))["ride"]["note"] == "now"


async def test_a_ride_without_a_curve_is_not_compared(bench: Bench) -> None:
    def job(connection: sqlite3.Connection) -> None:
        more = {"source": "les02", "resolution_mm": 1.0, "specimen": ""}
        number = store.begin(connection, "x", start_ts=1.0, direction="up", **more)  # type: ignore[arg-type]
        store.finish(connection, number, end_ts=2.0, distance_mm=3000.0, reason="aborted", summary={})

    await bench.database.write(job)
    told = await bench.ask("compare_ride", ride=3, reference=1)
    assert (told["code"], told["details"]["reason"]) == ("no_such_ride", "there is no curve of ride 3")


async def test_what_is_stored_and_damaged_is_told_to_who_asks_for_it(bench: Bench) -> None:
    await bench.database.write(
        lambda c: c.execute("UPDATE curves SET position_mm = '[1,' WHERE ride = 1").rowcount
    )
    told = await bench.ask("get_ride", ride=1)
    assert told["code"] == "storing_failed"
    assert "damaged" in told["details"]["reason"]


async def test_a_ride_is_annotated_starred_and_deleted(bench: Bench) -> None:
    ride = (await bench.ask("annotate_ride", ride=1, note="screw 2 a quarter turn out", starred=True))["ride"]
    assert (ride["note"], ride["is_starred"], ride["specimen"]) == ("screw 2 a quarter turn out", True, "")
    ride = (await bench.ask("annotate_ride", ride=1, specimen="V-17"))["ride"]
    assert (ride["note"], ride["specimen"]) == ("screw 2 a quarter turn out", "V-17")
    assert (await bench.ask("delete_ride", ride=2))["number"] == 2
    assert (await bench.ask("delete_ride", ride=2))["code"] == "no_such_ride"
    assert (await bench.ask("list_rides"))["total"] == 1


async def test_a_specimen_is_for_the_rides_to_come(bench: Bench) -> None:
    assert (await bench.ask("set_specimen", specimen="V-18"))["specimen"] == "V-18"
    assert bench.recorder.specimen == "V-18"
    assert (await bench.ask("list_rides"))["specimen"] == "V-18"


@pytest.mark.parametrize(
    ("command", "parameters", "reason"),
    [
        ("get_ride", {}, "missing required field `ride`"),
        ("get_ride", {"ride": 1, "sample": True}, "unknown field `sample`"),
        ("list_rides", {"limit": 100_000}, "`int` <= 500"),
        ("list_rides", {"filter": {"direktion": "up"}}, "unknown field `direktion`"),
        ("get_ride", {"payload": 7}, "Expected `object`"),
        ("list_rides", {"before": 2**63}, "`int` <= 9223372036854775807"),
        ("list_rides", {"before": 10**30}, "`int` <= 9223372036854775807"),
        ("list_rides", {"before": -1}, "`int` >= 0"),
        ("list_rides", {"filter": {"direction": "sideways"}}, "'^(up|down)$' - at `$.filter.direction`"),
        (
            "list_rides",
            {"filter": {"reason": "late"}},
            "'^(completed|aborted|error)$' - at `$.filter.reason`",
        ),
    ],
)
async def test_a_wrong_parameter_is_named(
    bench: Bench, command: str, parameters: dict[str, Any], reason: str
) -> None:
    told = await bench.ask(command, **parameters)
    assert told["code"] == "bad_message"
    assert reason in told["details"]["reason"]


async def test_the_answer_is_for_who_asked_with_an_id_and_for_nobody_else(bench: Bench) -> None:
    async with client_of(bench.server, "?types=result,error") as other:
        await receive(other)
        await bench.client.send(json.dumps({"type": "command:set_specimen", "specimen": "V-19"}))
        await until(lambda: bench.recorder.specimen == "V-19")
        await bench.ask("list_rides")
        await other.send(json.dumps({"type": "command:list_rides", "id": 5}))
        answer = await receive(other)
        assert (answer["type"], answer["payload"]["id"]) == ("result", 5)


async def test_what_changes_something_is_taken_from_this_computer_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.websocket_port._is_here", lambda _connection: False)
    async with client_of(bench.server, "?types=result,error") as bench.client:
        assert (await bench.ask("delete_ride", ride=1))["code"] == "not_allowed"
        assert (await bench.ask("list_rides"))["total"] == 2


async def test_a_defect_of_a_command_is_told_and_the_session_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.rides.store.rides", None)
    assert (await bench.ask("list_rides"))["code"] == "failed"
    assert (await bench.ask("get_ride", ride=1))["ride"]["number"] == 1


async def test_the_wing_takes_its_commands_back(tmp_path: Path) -> None:
    commands, database = Commands(), Database(tmp_path / "les02.db")
    database.start()
    async with rides(Hub(), commands, database, RidesConfig(), resolution_mm=1.0, source="les02"):
        # Without the wing these are answered, too, and say that it is switched off.
        assert list(commands) == sorted(RIDE_COMMANDS)
    assert list(commands) == []
    await database.stop(5.0)


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"command:list_rides","filter":{"since":1e400},"id":"x"}',
        b'{"type":"command:get_ride","ride":"\xed\xa0\x80","id":"x"}',
        '{"type":"command:list_rides","more":%s1%s,"id":"x"}' % ("[" * 20_000, "]" * 20_000),  # noqa: UP031
    ],
    ids=["number", "surrogate", "nested"],
)
async def test_what_cannot_be_read_is_told_as_such(bench: Bench, message: str | bytes) -> None:
    assert (await receive(bench.client))["type"] == "hello"
    await bench.client.send(message)
    assert (await receive(bench.client))["payload"]["code"] == "bad_message"
    assert (await bench.ask("list_rides"))["total"] == 2
