"""Robots whose dashboards have come over the port of the REST API, as the field's do."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.e2e.helpers import Daemon
from tests.e2e.robots import Listening, serving, stick, telemetry_url
from tests.e2e.test_robots import ZERO_S, Measured, told

ROUNDS = 30


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Daemon]:
    with serving(tmp_path) as started:
        yield started


@pytest.fixture(autouse=True)
async def quick_loop() -> None:
    """Asyncio's debug mode costs more than what is measured here."""
    asyncio.get_running_loop().set_debug(False)


def port_of_the_api(running: Daemon) -> int:
    return int(str(running.logged("api_started")["url"]).rpartition(":")[2])


@pytest.mark.parametrize("robot_there", [False, True], ids=["robot on 8765", "robot on 8000"])
async def test_a_dashboard_that_is_killed_in_mid_move_leaves_its_robot_at_zero(
    running: Daemon, *, robot_there: bool
) -> None:
    times = []
    chance = random.Random(8)
    url = telemetry_url(running, api=robot_there)
    async with connect(f"{url}?device_id=robot_01", proxy=None) as connection:
        robot = Measured(Listening(connection))
        for _ in range(ROUNDS):
            with stick(port_of_the_api(running), "robot_01") as dashboard:
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
    url = telemetry_url(running, api=True)
    async with connect(f"{url}?device_id=robot_01", proxy=None) as connection:
        robot = Measured(Listening(connection))
        for _ in range(10):
            with stick(port_of_the_api(running), "robot_01") as dashboard:
                await robot.moving()
                at = time.monotonic()
                dashboard.process.send_signal(signal.SIGSTOP)
                times.append(await robot.zero_after(at))
    told("stalled", times)
    assert times[-1] < ZERO_S
