"""The robots by their `device_id`, and what is known of each.

1. A robot that comes back under its id takes the place of its former connection, whose end means nothing.
2. Robots that were here are remembered, up to KNOWN_MAX.
3. What happens to one is told to every dashboard, and as `status` on the hub. One that comes and goes all the
   time is told of less often; how it is in the end is told in the end.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from listener.config import RobotsConfig
from listener.follower import Follower
from listener.robots import answers
from listener.robots.audience import Audience
from listener.robots.limits import STALE_AFTER, Limits, Watch
from listener.robots.messages import Status, Telemetry
from listener.robots.operators import Hold
from listener.robots.robot import CONNECTED, DISCONNECTED, STALE, Robot
from listener.sessions import Peer

KNOWN_MAX: Final = 256
# Of who was last seen before that a dashboard is not told by itself.
REMEMBERED_S: Final = 86_400.0
# After this it is told again how one is that has come and gone too often.
TELL_AGAIN_S: Final = 1.0
# Between two looks at the limits of one robot.
LOOK_S: Final = 1.0

# When, which robot, its values
Record = Callable[[float, str, str, Sequence[float | None]], None]
# When, which robot, its state, and a sentence
Publish = Callable[[float, str, str, str], None]


class TooManyRobots(Exception):  # noqa: N818 - what there are
    """All of them connected."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Those that a command is for."""

    connected: list[Robot]
    absent: list[Robot]
    reason: str = ""  # why none of them is connected
    is_known: bool = True  # there is, or was, such a robot; or there is such a group

    @property
    def known(self) -> list[Robot]:
        return [*self.connected, *self.absent]


class Registry:
    def __init__(self, config: RobotsConfig, audience: Audience, record: Record, publish: Publish) -> None:
        self._config = config
        self._audience = audience
        self._record = record
        self._publish = publish
        self._robots: dict[str, Robot] = {}
        self.storing = "ok"  # or what keeps telemetry from being kept

    def __iter__(self) -> Iterator[Robot]:
        return iter(tuple(self._robots.values()))

    def find(self, device_id: str) -> Robot | None:
        return self._robots.get(device_id)

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        return self._config.groups

    def groups_of(self, device_id: str) -> list[str]:
        return [name for name, members in self.groups.items() if device_id in members]

    @property
    def stale_s(self) -> float:
        return STALE_AFTER * self._config.telemetry_interval_s

    def remember(self, device_id: str, name: str, ts: float, values: Sequence[float | None]) -> None:
        """One of whom there is telemetry from before."""
        if len(self._robots) < KNOWN_MAX:
            robot = self._make(device_id)
            robot.name, robot.telemetry_ts, robot.telemetry = name, ts, values

    def select(self, device_id: str | None, group: str | None) -> Selection:
        if device_id is not None:
            named: Iterable[str] = [device_id]
            reason = f"{device_id} is not connected"
        elif group is not None:
            if group not in self.groups:
                return Selection([], [], f"there is no group {group}; see [robots.groups]", is_known=False)
            named = self.groups[group]
            reason = f"no robot of {group} is connected"
        else:
            named = self._robots
            reason = "no robot is connected"
        found = [self._robots[name] for name in named if name in self._robots]
        connected = [robot for robot in found if robot.is_connected]
        absent = [robot for robot in found if not robot.is_connected]
        is_known = device_id is None or bool(found)
        return Selection(connected, absent, "" if connected else reason, is_known=is_known)

    def come(self, device_id: str, peer: Peer) -> tuple[Robot, Follower, Follower | None]:
        """The last is the connection whose place this one takes."""
        robot = self._robots.get(device_id) or self._make(device_id)
        before = robot.follower
        follower = robot.follower = Follower(peer)
        robot.heard_at = time.monotonic()
        self._change(robot, CONNECTED, f"Robot {device_id} has connected")
        return robot, follower, before

    def leave(self, robot: Robot, follower: Follower) -> bool:
        """False if another connection has taken its place."""
        if robot.follower is not follower:
            return False
        robot.follower = robot.said = None
        self._change(robot, DISCONNECTED, f"Robot {robot.device_id} has disconnected")
        return True

    def telemetry(self, robot: Robot, given: Telemetry) -> None:
        ts = time.time()
        robot.heard_at = time.monotonic()
        robot.name = given.device_name or robot.name
        values = robot.telemetry = given.values()
        robot.telemetry_ts = ts
        self._record(ts, robot.device_id, robot.name, values)
        self._audience.sample(answers.telemetry_update(ts, robot.device_id, robot.name, values))
        if robot.status == STALE:
            self._change(robot, CONNECTED, f"Robot {robot.device_id} sends telemetry again")
        # Not at each of two hundred a second, which everybody would be told.
        if robot.heard_at - robot.looked_at >= LOOK_S:
            robot.looked_at = robot.heard_at
            for change in robot.watch.look(values):
                self._tell(robot, change.status, change.message)

    def said(self, robot: Robot, given: Status) -> bool:
        """False if it has said too much of that: every client would have to hear it."""
        if not robot.statuses.take(time.monotonic()):
            return False
        robot.said = given.status, given.message
        self._tell(robot, given.status, given.message)
        return True

    def stale_at(self, robot: Robot) -> float | None:
        return robot.heard_at + self.stale_s if robot.status == CONNECTED else None

    def check(self, robot: Robot, now: float) -> None:
        at = self.stale_at(robot)
        if at is not None and now >= at:
            silent_s = f"{self.stale_s:g}"
            self._change(robot, STALE, f"Robot {robot.device_id} has sent no telemetry for {silent_s} s")

    def close(self) -> None:
        for robot in self:
            if robot.telling is not None:
                robot.telling.cancel()

    def present(self) -> list[bytes]:
        """What a new dashboard has to know."""
        now = time.time()
        told = [] if self.storing == "ok" else [answers.storing(now, self.storing)]
        for robot in self:
            ts = robot.telemetry_ts
            if not robot.is_connected and (ts is None or now - ts > REMEMBERED_S):
                continue
            if ts is not None:
                told.append(answers.telemetry_update(ts, robot.device_id, robot.name, robot.telemetry))
            told.append(
                answers.robot_status(
                    now, robot.device_id, robot.status, f"Robot {robot.device_id} is {robot.status}"
                )
            )
            told += [
                answers.robot_status(now, robot.device_id, wrong, wrong.replace("_", " "))
                for wrong in sorted(robot.watch.wrong)
                if robot.is_connected
            ]
            if robot.said is not None and robot.is_connected:
                told.append(answers.robot_status(now, robot.device_id, *robot.said))
            if website := robot.hold.website:
                name = self._audience.name_of(website)
                told.append(answers.operator(now, robot.device_id, website, name, "taken"))
        return told

    def _make(self, device_id: str) -> Robot:
        if len(self._robots) >= KNOWN_MAX:
            gone = [robot for robot in self if not robot.is_connected]
            if not gone:
                raise TooManyRobots(f"{KNOWN_MAX} robots are connected, more are not allowed")
            del self._robots[min(gone, key=lambda robot: robot.telemetry_ts or 0.0).device_id]
        config = self._config
        hold = Hold(config.hold_s, config.operator_idle_s)
        limits = Limits(config.low_battery, config.hot_c, config.weak_signal)
        robot = self._robots[device_id] = Robot(device_id, hold, Watch(limits))
        return robot

    def _change(self, robot: Robot, status: str, message: str) -> None:
        robot.status, robot.status_message = status, message
        if robot.telling is not None:
            return
        if robot.links.take(time.monotonic()):
            self._tell(robot, status, message)
        else:
            robot.telling = asyncio.get_running_loop().call_later(TELL_AGAIN_S, self._tell_late, robot)

    def _tell_late(self, robot: Robot) -> None:
        robot.telling = None
        self._tell(robot, robot.status, robot.status_message)

    def _tell(self, robot: Robot, status: str, message: str) -> None:
        ts = time.time()
        self._audience.tell(answers.robot_status(ts, robot.device_id, status, message))
        self._publish(ts, robot.device_id, status, message)
