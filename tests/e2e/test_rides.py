"""Rides of the whole daemon, with the simulated sensor: what a technician would see and find again."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.helpers import PATIENCE_S, daemon, receive
from tests.e2e.test_daemon import DEMO


async def ask(client: ClientConnection, command: str, **parameters: Any) -> dict[str, Any]:
    await client.send(json.dumps({"type": f"command:{command}", "id": 1, **parameters}))
    answer = await told(client, "result", "error")
    assert answer["type"] == "result", answer
    payload: dict[str, Any] = answer["payload"]
    return payload


async def told(client: ClientConnection, *types: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            event = await receive(client)
            if event["type"] in types:
                return event


async def test_a_ride_is_told_kept_through_a_kill_and_found_again(tmp_path: Path) -> None:
    settings = {"LES02_DATABASE__PATH": str(tmp_path / "les02.db"), "LES02_RIDES__HOLD_S": "0.5"}
    with daemon(*DEMO, cwd=tmp_path, **settings) as first:
        async with connect(f"{first.url}/?types=ride_start,ride_end,result,error") as client:
            hello = await receive(client)
            assert (hello["type"], hello["payload"]["ride"]) == ("hello", None)
            start = (await told(client, "ride_start"))["payload"]
            refused = json.dumps({"type": "command:start_test_ride", "id": 2, "distance": 1.0, "unit": "m"})
            await client.send(refused)
            error = (await told(client, "error"))["payload"]
            assert error["code"] == "refused"
            assert error["details"] == {"reason": "a ride is in progress", "id": 2}
            await ask(client, "stop")
            end = (await told(client, "ride_end"))["payload"]
            assert (end["ride_id"], end["reason"]) == (start["ride_id"], "completed")
            cut = (await told(client, "ride_start"))["payload"]
            await asyncio.sleep(1.0)  # as much as may be lost
            first.end(signal.SIGKILL)
    with daemon(*DEMO, cwd=tmp_path, **settings) as again:
        async with connect(f"{again.url}/?types=result") as client:
            rides = (await ask(client, "list_rides"))["rides"]
            assert [(ride["id"], ride["reason"]) for ride in rides] == [
                (cut["ride_id"], "aborted"),
                (end["ride_id"], "completed"),
            ]
            assert rides[1]["summary"] == end["summary"]
            ride = await ask(client, "get_ride", ride=rides[1]["number"])
            assert max(ride["curve"]["velocity_mm_s"]) > 100.0
        health = json.loads(again.get("/healthz")[1])
        assert health["rides"]["storing"] == "ok"
        assert "les02_storing 1\n" in again.get("/metrics")[1]
        assert again.end()[0] == 0
