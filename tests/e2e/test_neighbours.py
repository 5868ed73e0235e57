"""Rides of the sensor, while other instruments at the same daemon say whatever they like."""

import asyncio
import contextlib
from pathlib import Path

from websockets.asyncio.client import connect

from tests.e2e.robots import Listening, serving, telemetry_url
from tests.e2e.test_rides import ask, told

# The sensor's own words for the end of everything.
WORDS = ["bus_lost", "clock_step", "no_data", "locked"]


async def test_robots_that_speak_like_the_sensor_neither_end_a_ride_nor_are_kept_with_it(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, LES02_RIDES__ENABLED="true", LES02_RIDES__HOLD_S="0.5") as running:
        async with (
            connect(f"{running.url}/?types=ride_start,ride_end,result,error", proxy=None) as client,
            contextlib.AsyncExitStack() as stack,
        ):
            robots = []
            for name in ("robot_01", "master", "slave"):
                url = f"{telemetry_url(running)}?device_id={name}"
                robots.append(Listening(await stack.enter_async_context(connect(url, proxy=None))))
            ears = await stack.enter_async_context(connect(f"{running.url}/?types=status", proxy=None))
            hub = Listening(ears)
            start = (await told(client, "ride_start"))["payload"]
            for word in WORDS:
                for robot in robots:
                    await robot.say("status", status=word)
                    # Told at most so often a second.
                    await asyncio.sleep(0.25)
            await until_told(hub, len(WORDS))
            await ask(client, "stop")
            end = (await told(client, "ride_end"))["payload"]
            assert (end["ride_id"], end["reason"]) == (start["ride_id"], "completed")
            kept = await ask(client, "get_ride", ride=end["ride_id"], curve=False)
        assert kept["events"][0]["type"] == "ride_start"
        assert {event["source"] for event in kept["events"]} == {"les02"}


async def until_told(hub: Listening, many: int) -> None:
    """The robots' words have been on the hub."""
    seen = 0
    for _ in range(many):
        seen = await hub.hear(seen, source="robots") + 1
