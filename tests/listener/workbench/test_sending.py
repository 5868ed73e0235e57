"""Cyclic frames: whose they are, when they end, what bounds them."""

import asyncio
from typing import Any

import pytest

from listener.workbench import sending
from tests.listener.workbench.benches import Member, Running, until

EVERY_20_MS: dict[str, Any] = {"can_id": 0x222, "data": [1], "period_ms": 20}


async def silent(member: Member) -> bool:
    while await asyncio.to_thread(member.bus.recv, 0):
        pass
    return await asyncio.to_thread(member.bus.recv, 0.1) is None


async def test_a_task_ends_with_its_clients_last_session(bench: Running) -> None:
    with Member("ends") as member:
        await bench.connect("ends")
        async with bench.client("?client=tablet"):
            async with bench.client("?client=tablet"):
                await bench.joined(2)
                started = await bench.post("/cyclic", {**EVERY_20_MS, "client": "tablet"})
                assert started["running"]
            await bench.joined(1)
            for _ in range(5):
                assert (await member.hear()).arbitration_id == 0x222
        await until(lambda: not bench.bench.sending.cyclics)
        assert await silent(member)


async def test_a_pinned_one_goes_on_until_it_is_stopped(bench: Running) -> None:
    with Member("pinned") as member:
        await bench.connect("pinned")
        async with bench.client("?client=tablet"):
            await bench.joined()
            task = await bench.post("/cyclic", {**EVERY_20_MS, "client": "tablet", "pinned": True})
        await bench.joined(0)
        await member.hear()
        assert [each["id"] for each in await bench.get("/cyclic")] == [task["id"]]
        assert (await bench.http.delete(f"/cyclic/{task['id']}")).status_code == 200
        assert await silent(member)
        assert (await bench.http.delete(f"/cyclic/{task['id']}")).status_code == 404


async def test_one_that_belongs_to_nobody_is_refused(bench: Running) -> None:
    await bench.connect("nobody")
    await bench.post("/cyclic", EVERY_20_MS, status=422)
    await bench.post("/cyclic", {**EVERY_20_MS, "client": "tablet"}, status=422)


async def test_it_ends_with_its_bus(bench: Running) -> None:
    with Member("bus ends") as member:
        await bench.connect("bus ends")
        await bench.post("/cyclic", {**EVERY_20_MS, "pinned": True})
        await member.hear()
        await bench.post("/disconnect")
        assert await bench.get("/cyclic") == []
        assert await silent(member)


async def test_by_names(bench: Running) -> None:
    with Member("cyclic names") as member:
        await bench.connect("cyclic names")
        await bench.load_dbc()
        wanted = {"message_name": "InverterCommand", "signals": {"Target": 2, "Enable": 1}, "period_ms": 10}
        await bench.post("/cyclic/message", {**wanted, "pinned": True})
        assert list((await member.hear()).data) == [4, 0, 1, 0]


@pytest.mark.parametrize("period", [0, -1, 0.5, 1e10, "soon", None])
async def test_a_period_that_is_none_is_422(bench: Running, period: object) -> None:
    await bench.connect("period")
    await bench.post("/cyclic", {**EVERY_20_MS, "period_ms": period, "pinned": True}, status=422)


async def test_number_and_rate_have_limits(bench: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.connect("limits")
    body = {**EVERY_20_MS, "pinned": True}
    await bench.post("/cyclic", body)
    await bench.post("/cyclic", body, status=409)  # the same identifier
    monkeypatch.setattr(sending, "CYCLIC_FRAMES_A_SECOND", 100.0)
    await bench.post("/cyclic", {**body, "can_id": 1, "period_ms": 10}, status=409)
    monkeypatch.setattr(sending, "CYCLIC_MAX", 2)
    await bench.post("/cyclic", {**body, "can_id": 2})
    await bench.post("/cyclic", {**body, "can_id": 3}, status=409)


async def test_so_many_a_second_and_no_more(bench: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SENDS_A_SECOND", 3.0)
    await bench.connect("fast")
    for _ in range(3):
        await bench.post("/send", {"can_id": 1})
    await bench.post("/send", {"can_id": 1}, status=409)


async def test_a_list_is_started_as_a_whole_or_not_at_all(bench: Running) -> None:
    await bench.connect("whole")
    entries = [{"frame": {"can_id": can_id}, "period_ms": 50} for can_id in (1, 2, 0x900)]
    assert (await bench.http.put("/transmit_lists/whole", json={"frames": entries})).status_code == 200
    await bench.post("/transmit_lists/whole/start", {"pinned": True}, status=422)
    assert await bench.get("/cyclic") == []


async def test_so_many_tasks_and_no_more(bench: Running) -> None:
    await bench.connect("many")
    for can_id in range(64):
        await bench.post("/cyclic", {"can_id": can_id, "period_ms": 3_600_000, "pinned": True})
    refused = await bench.post("/cyclic", {"can_id": 64, "period_ms": 3_600_000, "pinned": True}, status=409)
    assert "64 cyclic tasks" in refused["detail"]
    assert len(await bench.get("/cyclic")) == 64
