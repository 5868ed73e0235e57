"""Who comes back: what was missed, then live, and never a hole or a double."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.listener.serving import (
    Start,
    client_of,
    raws,
    receive,
    sample,
    servers,
    state,
    take,
    until,
)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with servers({"epoch": "e1"}) as start:
        yield start


async def test_who_comes_back_gets_what_it_missed_and_then_goes_on_live(start: Start) -> None:
    server = await start()
    for number in range(1000):
        server.broadcast(sample(number))
    async with client_of(server, "?seq=1&resume=e1:400") as client:
        assert (await receive(client))["payload"] == {"epoch": "e1", "seq": 1000, "access": "control"}
        for number in range(1000, 1100):
            server.broadcast(sample(number))
        got = await take(client, 700)
        assert [event["seq"] for event in got] == list(range(401, 1101))
        assert raws(got) == list(range(400, 1100))


async def test_who_missed_nothing_gets_nothing_twice(start: Start) -> None:
    server = await start()
    server.broadcast(sample(0))
    async with client_of(server, "?seq=1&resume=e1:1") as client:
        await receive(client)
        server.broadcast(sample(1))
        assert (await receive(client))["seq"] == 2


async def test_a_replay_follows_the_subscription(start: Start) -> None:
    server = await start()
    for number in range(600):
        server.broadcast(sample(number) if number % 100 else state(number))
    async with client_of(server, "?seq=1&types=status&resume=e1:101") as client:
        await receive(client)
        assert [event["seq"] for event in await take(client, 4)] == [201, 301, 401, 501]
    async with client_of(server, "?seq=1&rate=10&resume=e1:0") as client:
        await receive(client)
        assert [event["seq"] for event in await take(client, 6)] == [1, 101, 201, 301, 401, 501]


async def test_what_the_ring_has_no_more_is_told_with_its_number(start: Start) -> None:
    server = await start(resume_bytes=65_536)
    for number in range(5000):
        server.broadcast(sample(number))
    async with client_of(server, "?seq=1&resume=e1:10") as client:
        await receive(client)
        gap = await receive(client)
        assert (gap["type"], gap["payload"]["where"], gap["payload"]["first_seq"]) == ("gap", "resume", 11)
        first = await receive(client)
        assert gap["payload"]["last_seq"] == first["seq"] - 1
        assert gap["payload"]["skipped"] == first["seq"] - 11
        rest = await take(client, 5000 - first["seq"])
        assert [event["seq"] for event in rest] == list(range(first["seq"] + 1, 5001))


@pytest.mark.parametrize("resume", ["other:1", "e1:999"])
async def test_a_place_in_another_life_of_the_listener_is_told_as_a_gap(start: Start, resume: str) -> None:
    server = await start()
    for number in range(5):
        server.broadcast(sample(number))
    async with client_of(server, f"?seq=1&resume={resume}") as client:
        await receive(client)
        gap = await receive(client)
        assert (gap["type"], gap["payload"]["where"], gap["payload"]["skipped"]) == ("gap", "resume", None)
        server.broadcast(sample(5))
        assert (await receive(client))["seq"] == 6


async def test_a_long_replay_does_not_delay_the_others(start: Start) -> None:
    server = await start(stall_s=60)  # the one that comes back is not read for a while
    for number in range(20_000):
        server.broadcast(sample(number))
    async with client_of(server) as other, client_of(server, "?seq=1&resume=e1:0") as back:
        await receive(other)
        await receive(back)
        worst_s = 0.0
        for number in range(50):
            began = time.monotonic()
            server.broadcast(sample(number))
            await receive(other)
            worst_s = max(worst_s, time.monotonic() - began)
        assert worst_s < 0.5
        got = await take(back, 20_050)
        assert [event["seq"] for event in got] == list(range(1, 20_051))


async def test_who_comes_back_while_events_go_on_and_reads_in_its_time_misses_nothing(start: Start) -> None:
    server = await start(write_buffer=16_384)
    for number in range(6000):
        server.broadcast(sample(number))
    live = 6000

    async def go_on() -> None:
        nonlocal live
        while live < 6600:
            await asyncio.sleep(0.002)
            server.broadcast(sample(live))
            live += 1

    async with client_of(server, "?seq=1&resume=e1:0") as client, asyncio.TaskGroup() as tasks:
        going_on = tasks.create_task(go_on())
        await receive(client)
        seqs: list[int | None] = []
        while not going_on.done() or seqs[-1] != live:
            seqs.append((await receive(client)).get("seq"))
            if len(seqs) % 200 == 0:
                await asyncio.sleep(0.02)
    assert seqs == list(range(1, 6601))


async def test_what_is_not_wanted_is_not_missed(start: Start) -> None:
    server = await start(resume_bytes=65_536)
    server.broadcast(state(0))
    for number in range(5000):
        server.broadcast(sample(number))
    async with client_of(server, "?seq=1&types=status&resume=e1:1") as client:
        await receive(client)
        server.broadcast(state(1))
        assert (await receive(client))["payload"]["state"] == "state 1"
    async with client_of(server, "?seq=1&types=status&resume=e1:0") as client:
        await receive(client)
        gap = await receive(client)
        assert (gap["type"], gap["payload"]["where"], gap["payload"]["first_seq"]) == ("gap", "resume", 1)


async def test_another_subscription_during_a_replay_says_from_where_it_holds(start: Start) -> None:
    server = await start(write_buffer=4096, stall_s=60)
    for number in range(3000):
        server.broadcast(sample(number))
    async with client_of(server, "?seq=1&resume=e1:0") as client:
        await receive(client)
        await client.send('{"type": "command:subscribe", "types": ["status"], "seq": true}')
        server.broadcast(state(1))
        got: list[dict[str, Any]] = []
        while not {"status", "result"} <= {event["type"] for event in got[-2:]}:
            got.append(await receive(client))
        (answer,) = [event for event in got if event["type"] == "result"]
        last = max(event["seq"] for event in got if event["type"] == "position_sample")
        assert answer["payload"]["seq"] == last


async def test_an_event_between_two_clients_is_neither_lost_nor_doubled_for_who_comes_back(
    start: Start,
) -> None:
    server = await start(coalesce_ms=20)
    async with client_of(server) as client:
        await receive(client)
        server.broadcast(sample(1))
        server.broadcast(sample(2))  # waits in the batch
        client.transport.abort()
    await until(lambda: server.clients == 0)
    server.broadcast(sample(3))  # nobody is there
    await asyncio.sleep(0.05)  # the batch is over
    async with client_of(server, "?seq=1&resume=e1:0") as client:
        await receive(client)
        server.broadcast(sample(4))
        assert [event["seq"] for event in await take(client, 4)] == [1, 2, 3, 4]
