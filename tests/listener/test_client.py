import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from listener import client as client_module
from listener.client import EventClient, Refused
from tests.listener.serving import (
    PATIENCE_S,
    Start,
    sample,
    servers,
    state,
    until,
)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with servers({"epoch": "e1"}) as start:
        yield start


async def test_a_hundred_lost_connections_cost_no_event_and_double_none(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "BACK_OFF_FIRST_S", 0.005)
    server = await start()
    chance = random.Random(7)
    killed = last = 0
    done = asyncio.Event()

    async def publish() -> int:
        number = 0
        while not done.is_set():
            for _ in range(chance.randrange(1, 8)):
                server.broadcast(state(number) if number % 97 == 0 else sample(number))
                number += 1
            await asyncio.sleep(0.002)
        return number

    async def kill() -> None:
        nonlocal killed
        while killed < 100:
            await asyncio.sleep(chance.uniform(0.001, 0.05))
            for connection in tuple(server._alive):
                if not connection.transport.is_closing():
                    connection.transport.abort()
                    killed += 1
        done.set()

    seqs: list[int] = []
    others: list[str] = []

    async def listen() -> None:
        async with EventClient(f"ws://127.0.0.1:{server.port}") as stream:
            async for event in stream:
                if "seq" in event:
                    seqs.append(event["seq"])
                else:
                    others.append(event["type"])
                if seqs and seqs[-1] == last:
                    return

    async with asyncio.timeout(40):
        listening = asyncio.create_task(listen(), name="listen")
        await until(lambda: server.clients == 1)
        publishing = asyncio.create_task(publish(), name="publish")
        await kill()
        assert await publishing > 0
        last = server.counts["events"] + 1
        server.broadcast(state(-1))
        await listening
    assert seqs == list(range(1, server.counts["events"] + 1))
    assert set(others) == {"hello"}
    assert others.count("hello") > 60


async def test_a_new_life_of_the_listener_is_told_and_followed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "BACK_OFF_FIRST_S", 0.005)
    first = await start(epoch="one")
    for number in range(10):
        first.broadcast(sample(number))
    port = first.port
    told: list[str] = []
    got: list[dict[str, Any]] = []
    second = first
    async with asyncio.timeout(PATIENCE_S), EventClient(f"ws://127.0.0.1:{port}", tell=told.append) as stream:
        async for event in stream:
            got.append(event)
            if len(got) == 1:
                first.broadcast(sample(10))
            elif len(got) == 2:
                await first.stop()
                second = await start(epoch="two", port=port)
            elif event["type"] == "gap":
                second.broadcast(sample(0))
            elif len(got) > 4:
                break
    assert [(event["type"], event.get("seq")) for event in got] == [
        ("hello", None),
        ("position_sample", 11),
        ("hello", None),
        ("gap", None),
        ("position_sample", 1),
    ]
    assert told[0] == f"Connected to ws://127.0.0.1:{port}"
    assert any(line.startswith("Disconnected: 1001") for line in told)


async def test_what_another_attempt_would_not_change_is_an_error(start: Start) -> None:
    server = await start()
    stream = EventClient(f"ws://127.0.0.1:{server.port}", types=["stauts"])
    with pytest.raises(Refused, match="HTTP 400: types: no such type: 'stauts'"):
        async for _ in stream:
            pass


async def test_the_client_sends_commands_and_asks_for_less(start: Start) -> None:
    server = await start()
    async with EventClient(
        f"ws://127.0.0.1:{server.port}", types=["status"], channel="master", rate=2.5
    ) as stream:
        with pytest.raises(ConnectionError):
            await stream.send({"type": "command:subscribe"})
        async for event in stream:
            if event["type"] == "hello":
                ((subscription, _),) = server._fanout._groups.items()
                assert (subscription.types, subscription.channel) == (frozenset({"status"}), "master")
                assert (subscription.rate_hz, subscription.seq) == (2.5, True)
                await stream.send({"type": "command:subscribe", "seq": True})
            elif event["type"] == "result":
                break


async def test_the_client_ends_when_another_task_closes_it(start: Start) -> None:
    server = await start()
    stream = EventClient(f"ws://127.0.0.1:{server.port}")
    got: list[str] = []

    async def listen() -> None:
        async for event in stream:
            got.append(event["type"])  # noqa: PERF401

    async with asyncio.timeout(PATIENCE_S):
        listening = asyncio.create_task(listen(), name="listen")
        await until(lambda: got == ["hello"])
        await stream.aclose()
        await listening
    assert got == ["hello"]


async def test_the_client_keeps_its_subscription_and_its_place_over_a_lost_connection(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "BACK_OFF_FIRST_S", 0.005)
    server = await start()
    states: list[str] = []
    async with asyncio.timeout(PATIENCE_S), EventClient(f"ws://127.0.0.1:{server.port}/?seq=0") as stream:
        async for event in stream:
            if event["type"] == "hello" and not states:
                await stream.send({"type": "command:subscribe", "types": ["status"]})
            elif event["type"] == "result":
                for number in range(3):
                    server.broadcast(state(number))
                    server.broadcast(sample(number))
            elif event["type"] == "status":
                states.append(event["payload"]["state"])
                if len(states) == 3:
                    for connection in tuple(server._alive):
                        connection.transport.abort()
                    server.broadcast(state(3))
                elif len(states) == 4:
                    break
            else:
                assert event["type"] == "hello", event
    assert states == ["state 0", "state 1", "state 2", "state 3"]


async def test_with_a_rate_the_client_gets_the_value_that_waited_behind_a_state(start: Start) -> None:
    server = await start()
    got: list[tuple[str, int]] = []
    async with asyncio.timeout(PATIENCE_S), EventClient(f"ws://127.0.0.1:{server.port}", rate=5) as stream:
        async for event in stream:
            if event["type"] == "hello":
                server.broadcast(sample(1))
                await asyncio.sleep(0.02)
                server.broadcast(sample(2))
                server.broadcast(state(3))
            else:
                got.append((event["type"], event["seq"]))
                if len(got) == 3:
                    break
    assert got == [("position_sample", 1), ("status", 3), ("position_sample", 2)]
