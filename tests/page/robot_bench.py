"""Robots beside the sensor: the real daemon with its robots and its REST API, and robots of the mock.

    with robot_benches(folder) as bench:
        robot = bench.add("robot_01", interval_s=0.2)     # connected when this returns
        robot.orders                                      # what it has done: ("robot_move", "x=0, y=1")
        bench.remove("robot_01")                          # it goes
        with bench.frozen(): …                            # all of them: connected, and nobody there

The robots live in a thread with a loop of its own.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mock.mock_robot import MockRobot, RobotOptions
from tests.e2e.helpers import PATIENCE_S
from tests.page.bench import FLAGS, Bench, benches

if TYPE_CHECKING:
    from concurrent.futures import Future

SETTINGS = {
    "LES02_API__ENABLED": "true",
    "LES02_API__HOST": "127.0.0.1",
    "LES02_API__PORT": "0",
    "LES02_ROBOTS__ENABLED": "true",
    "LES02_ROBOTS__TELEMETRY_INTERVAL_S": "1.0",
}
# A table has no place in the environment.
GROUPS = """
[robots.groups]
stairs = ["robot_01", "robot_02"]
"""
ZERO = (0.0, 0.0)
_DONE = re.compile(r"COMMAND: (.*)")


class Robot:
    """One of the mock's, and what it has done."""

    def __init__(self, device_id: str, options: RobotOptions) -> None:
        self.mock = MockRobot(device_id, options, told=self._told)
        self.orders: list[tuple[float, str]] = []
        self.connected = threading.Event()
        self.ended = threading.Event()

    @property
    def done(self) -> list[str]:
        """What it was told and has done, oldest first; every robot that connects is stopped first."""
        return [words for _, words in list(self.orders)]

    @property
    def moves(self) -> list[tuple[float, float]]:
        found = [re.fullmatch(r"Robot move x=(.*), y=(.*)", words) for words in self.done]
        return [(float(each[1]), float(each[2])) for each in found if each]

    @property
    def driven(self) -> list[tuple[float, float]]:
        return [move for move in self.moves if move != ZERO]

    @property
    def is_standing(self) -> bool:
        return not self.mock.body.is_moving

    def clear(self) -> None:
        self.orders = []

    async def run(self) -> None:
        try:
            await self.mock.run()
        finally:
            self.ended.set()

    def _told(self, line: str) -> None:
        if found := _DONE.search(line):
            self.orders.append((time.monotonic(), found[1]))
            # Every robot that connects is told to stand still, its camera last.
            if found[1].startswith("Camera"):
                self.connected.set()


class RobotBench:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.url = bench.url
        self.daemon = bench.daemon
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="robots")
        self._running: dict[str, tuple[Robot, Future[None]]] = {}

    @property
    def api(self) -> str:
        return str(self.daemon.logged("api_started")["url"])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.clear()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self, device_id: str, battery: float | None = None, **options: Any) -> Robot:
        url = f"{self.daemon.url}/ws/telemetry/"
        given: dict[str, Any] = {"url": url, "interval_s": 0.3, "seed": 1} | options
        robot = Robot(device_id, RobotOptions(**given))
        if battery is not None:
            robot.mock.body.battery = battery
        running = asyncio.run_coroutine_threadsafe(robot.run(), self._loop)
        self._running[device_id] = robot, running
        assert robot.connected.wait(PATIENCE_S)
        robot.clear()
        return robot

    def remove(self, device_id: str) -> None:
        robot, running = self._running.pop(device_id)
        running.cancel()
        assert robot.ended.wait(PATIENCE_S)

    def clear(self) -> None:
        for device_id in list(self._running):
            self.remove(device_id)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        thaw = threading.Event()
        self._loop.call_soon_threadsafe(thaw.wait, PATIENCE_S)
        try:
            yield
        finally:
            thaw.set()


@contextmanager
def robot_benches(folder: Path, port: int = 0, **settings: str) -> Iterator[RobotBench]:
    (folder / "config.toml").write_text(GROUPS)
    flags = (*FLAGS[:-1], str(port))
    with benches(folder, flags=flags, **SETTINGS | settings) as bench:
        running = RobotBench(bench)
        running.start()
        try:
            yield running
        finally:
            running.stop()
