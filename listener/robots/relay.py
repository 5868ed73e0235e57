"""From dashboards to robots: who may, what becomes of each command, and the stop when nobody is there.

1. A command is acknowledged at once, as received or as rejected. One with an `id` ends somewhere, for each
   robot: delivered and then perhaps executed or failed, or expired, or failed.
2. Whoever moved a robot and has gone, or does not repeat it, or was pushed aside: it gets x = y = 0.
3. A robot that connects gets x = y = 0 before anything else. If it was lost while it moved, the stick must be
   let go first.
4. A zero from somebody else than the operator of a robot that moves is a stop.
5. When the listener goes, what moves is stopped before any connection ends, and nothing is moved any more.
"""

import asyncio
import itertools
import math
import time
from collections.abc import Collection
from typing import Final

from listener.robots import answers
from listener.robots.audience import Audience, Website
from listener.robots.messages import Camera, Command, Move, Rejected, Release, Result, Stop, Take
from listener.robots.orders import Order, Outbox
from listener.robots.registry import Registry
from listener.robots.robot import Robot

# So soon is looked again at a robot that has no room.
RETRY_S: Final = 0.02
ZERO: Final = {"x": 0.0, "y": 0.0}
MOVE: Final = "robot_move"
# What the robot itself may wait for the next move before it stops: a little more than we do.
_ROBOTS_PATIENCE: Final = 2


class Relay:
    def __init__(self, registry: Registry, audience: Audience, hold_s: float) -> None:
        self._registry = registry
        self._audience = audience
        self.robots_hold_ms = 1000 * hold_s * _ROBOTS_PATIENCE
        self._numbers = itertools.count(1)
        self._is_closing = False
        self.counts = dict.fromkeys(("received", "rejected", "delivered", "expired", "stopped"), 0)

    # From dashboards

    def reject(self, website: Website, given: Rejected) -> None:
        self._ack(website, given.type, "rejected", given.reason, given.id)

    def command(self, website: Website, command: Command, refusal: str | None) -> None:
        """`refusal` says why this dashboard may command nothing; stops are taken all the same."""
        is_stop = isinstance(command, Move) and command.is_stop
        refusal = self._refusal or refusal
        if refusal is not None and not is_stop:
            self._ack(website, command.type, "rejected", refusal, command.id)
            return
        now = time.monotonic()
        targets, absent, reason = self._registry.select(command.device_id, command.group)
        if isinstance(command, (Move, Camera)) and not command.is_stop:
            for robot in absent:
                robot.hold.is_halted(now)
        refused = {
            robot.device_id: why for robot in targets if (why := self._refuses(robot, website, command, now))
        }
        accepted = [robot for robot in targets if robot.device_id not in refused]
        if not accepted:
            reason = reason or "; ".join(dict.fromkeys(refused.values()))
            self._ack(website, command.type, "rejected", reason, command.id)
            return
        self._ack(
            website,
            command.type,
            "received",
            f"Command received: {answers.in_words(command)}",
            command.id,
            robots=[robot.device_id for robot in accepted],
            refused=refused or None,
        )
        for robot in accepted:
            holds = robot.hold.website == website.id
            if is_stop and not holds and robot.hold.moving:
                self._halt(robot, website, command, now)
                continue
            if is_stop and (holds or (robot.hold.website is None and refusal is None)):
                robot.hold.moved(command.type, now, is_stop=True)  # the stick was let go
            if (holds or not is_stop) and robot.hold.take(website.id, now):
                self._tell_operator(robot, "taken")
            deadline_at = math.inf if is_stop else now + command.deadline_ms / 1000
            self._put(robot, website, command.type, answers.values_of(command), deadline_at, command)
            self._pump(robot, now)

    def stop(self, website: Website, stop: Stop) -> None:
        targets, _, reason = self._registry.select(stop.device_id, stop.group)
        if not targets:
            self._ack(website, "stop", "rejected", reason, stop.id)
            return
        names = [robot.device_id for robot in targets]
        self._ack(website, "stop", "received", "Command received: Stop", stop.id, robots=names)
        now = time.monotonic()
        for robot in targets:
            self._halt(robot, website, stop, now)

    def take(self, website: Website, take: Take, refusal: str | None) -> None:
        targets, _, reason = self._registry.select(take.device_id, take.group)
        reason = self._refusal or refusal or reason
        others = [robot for robot in targets if not robot.hold.may(website.id)]
        if others and not take.force:
            reason = reason or "; ".join(self._held_by_another(robot) for robot in others)
        if reason:
            self._ack(website, "take_robot", "rejected", reason, take.id)
            return
        names = [robot.device_id for robot in targets]
        self._ack(website, "take_robot", "received", "Command received: Take", take.id, robots=names)
        now = time.monotonic()
        for robot in targets:
            before = robot.hold.website
            if robot in others:
                self._stop(robot, robot.hold.stop(), f"taken by {website.name or website.id}")
            if robot.hold.take(website.id, now, is_asked_for=True):
                self._tell_operator(robot, f"taken from {self._call(before)}" if before else "taken")
            self._arm(robot, now)

    def release(self, website: Website, release: Release) -> None:
        targets, _, reason = self._registry.select(release.device_id, release.group)
        held = [robot for robot in targets if robot.hold.website == website.id]
        if not held:
            reason = reason or "it is not yours"
            self._ack(website, "release_robot", "rejected", reason, release.id)
            return
        names = [robot.device_id for robot in held]
        self._ack(website, "release_robot", "received", "Command received: Release", release.id, robots=names)
        for robot in held:
            self._free(robot, "released")

    def website_left(self, website: Website) -> None:
        for robot in self._registry:
            if robot.hold.website == website.id:
                self._free(robot, f"{website.name or website.id} has left")

    # From robots

    def robot_came(self, robot: Robot) -> None:
        self._forget(robot, "it has connected anew")
        self._stop(robot, {MOVE})

    def robot_left(self, robot: Robot) -> None:
        self._forget(robot, "the robot has disconnected")
        if robot.timer is not None:
            robot.timer.cancel()
            robot.timer = None
        if robot.hold.website is not None:
            robot.hold.release()
            self._tell_operator(robot, "the robot has disconnected")

    def result(self, robot: Robot, result: Result) -> bool:
        order = robot.outbox.confirmed(result.id)
        if order is None:
            return False
        self._tell_state(robot, order, result.status, result.message)
        self._pump(robot, time.monotonic())
        return True

    def watch(self, robot: Robot) -> None:
        """After something was heard of it."""
        self._arm(robot, time.monotonic())

    def close(self) -> None:
        """Nobody shall be left moving when the listener goes. May be called again."""
        self._is_closing = True
        for robot in self._registry:
            self._stop(robot, robot.hold.stop(), "the listener is stopping")
            if robot.timer is not None:
                robot.timer.cancel()
                robot.timer = None

    # Within

    @property
    def _refusal(self) -> str | None:
        return "the listener is stopping" if self._is_closing else None

    def _refuses(self, robot: Robot, website: Website, command: Command, now: float) -> str | None:
        if isinstance(command, Move) and command.is_stop:
            return None
        if not robot.hold.may(website.id):
            return self._held_by_another(robot)
        if not hasattr(command, "x") or robot.hold.moved(command.type, now, is_stop=command.is_stop):
            return None
        return f"{robot.device_id} was stopped: let go of the stick first"

    def _held_by_another(self, robot: Robot) -> str:
        return f"{robot.device_id} is operated by {self._call(robot.hold.website)}"

    def _call(self, website_id: str | None) -> str:
        return self._audience.name_of(website_id or "") or website_id or "nobody"

    def _free(self, robot: Robot, reason: str) -> None:
        self._stop(robot, robot.hold.stop(), reason)
        robot.hold.release()
        self._tell_operator(robot, reason)

    def _halt(self, robot: Robot, website: Website, stop: Stop | Command, now: float) -> None:
        kinds = robot.hold.halt(now)
        self._stop(robot, {MOVE, *kinds}, f"stopped by {website.name or website.id}", website, stop)

    def _stop(
        self,
        robot: Robot,
        kinds: Collection[str],
        reason: str = "",
        website: Website | None = None,
        stop: Stop | Command | None = None,
    ) -> None:
        """A reason is told."""
        if not robot.is_connected:
            return
        for kind in sorted(kinds):
            self._put(robot, website, kind, ZERO, math.inf, stop if kind == MOVE else None)
        if kinds and reason:
            self.counts["stopped"] += 1
            self._audience.tell(answers.stopped(time.time(), robot.device_id, reason))
        self._pump(robot, time.monotonic())

    def _put(
        self,
        robot: Robot,
        website: Website | None,
        kind: str,
        values: dict[str, float],
        deadline_at: float,
        given: Command | Stop | None,
    ) -> None:
        order = Order(
            next(self._numbers),
            kind,
            values,
            deadline_at,
            is_stop=values == ZERO,
            website=website.id if website else "",
            given_id=given.id if given else None,
        )
        if before := robot.outbox.put(order):
            self._tell_state(robot, before, "expired", "a newer one has taken its place")

    def _pump(self, robot: Robot, now: float) -> None:
        """Gives a robot what it may have now."""
        outbox, follower = robot.outbox, robot.follower
        for order in outbox.expire(now):
            self._tell_state(robot, order, "expired", "its deadline has passed")
        if follower is not None and not outbox.is_empty:
            ts = time.time()
            for order in outbox.ready(now, is_clear=robot.is_clear):
                hold_ms = self.robots_hold_ms if "x" in order.values and not order.is_stop else None
                if follower.peer.offer([answers.order(ts, order.kind, order.values, order.number, hold_ms)]):
                    outbox.given(order, now)
                    self._tell_state(robot, order, "delivered")
        self._arm(robot, now)

    def _arm(self, robot: Robot, now: float) -> None:
        if not robot.is_connected or self._is_closing:
            return
        times = [robot.outbox.next_at(now, RETRY_S), robot.hold.next_at()]
        times.append(robot.heard_at + self._registry.stale_s if robot.status == "connected" else None)
        at = min((each for each in times if each is not None), default=None)
        # One that is due too early looks, and is set anew.
        if at is None or (robot.timer is not None and robot.timer.when() <= at):
            return
        if robot.timer is not None:
            robot.timer.cancel()
        robot.timer = asyncio.get_running_loop().call_at(at, self._due, robot)

    def _due(self, robot: Robot) -> None:
        robot.timer = None
        now = time.monotonic()
        self._registry.check(robot, now)
        if kinds := robot.hold.let_go(now):
            self._stop(robot, kinds, "nobody has repeated the move")
        if robot.hold.is_idle(now):
            self._free(robot, "nothing was commanded any more")
        self._pump(robot, now)

    def _forget(self, robot: Robot, reason: str) -> None:
        unfinished = robot.outbox.unfinished()
        robot.outbox = Outbox()
        if robot.hold.moving:
            robot.hold.halt(time.monotonic())
        for order in unfinished:
            self._tell_state(robot, order, "failed", reason)

    def _tell_state(self, robot: Robot, order: Order, state: str, message: str = "") -> None:
        if state in self.counts:
            self.counts[state] += 1
        website = self._audience.find(order.website)
        if website is not None and order.given_id is not None:
            told = answers.command_state(
                time.time(), order.given_id, robot.device_id, order.kind, state, message
            )
            self._audience.answer(website, told)

    def _tell_operator(self, robot: Robot, reason: str) -> None:
        website = robot.hold.website
        name = self._audience.name_of(website or "")
        self._audience.tell(answers.operator(time.time(), robot.device_id, website, name, reason))

    def _ack(
        self,
        website: Website,
        kind: str,
        status: str,
        message: str,
        given_id: str | int | None,
        **more: object,
    ) -> None:
        self.counts[status] += 1
        told = answers.ack(time.time(), kind, status, message, id=given_id, **more)
        self._audience.answer(website, told)
