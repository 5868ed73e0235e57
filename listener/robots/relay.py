"""From dashboards to robots: who may, and the stop when nobody is there.

1. A command is acknowledged at once, as received or as rejected. What becomes of it then: see `deliveries`.
2. Whoever moved a robot and has gone, or does not repeat it, or was pushed aside: it gets x = y = 0.
3. A robot that connects gets x = y = 0 before anything else.
4. No robot moves by a hand that was on its stick before something came between: see `operators`.
5. A zero from somebody else than the operator of a robot that moves is a stop. A stop is obeyed, whoever says
   it; one for nobody that is known is one for all.
6. When the listener goes, what moves is stopped before any connection ends, and nothing is moved any more.
   When it was away, what was said meanwhile moves nothing.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from typing import Final

import structlog

from listener.follower import RETRY_S as FOLLOWER_RETRY_S
from listener.robots import answers
from listener.robots.audience import Audience, Website
from listener.robots.deliveries import Deliveries
from listener.robots.messages import (
    MOVE,
    STICKS,
    Command,
    Move,
    Rejected,
    Release,
    Result,
    Stick,
    Stop,
    Take,
)
from listener.robots.registry import Registry, Selection
from listener.robots.robot import Robot
from listener.robots.stalls import Stalls, clock

_log = structlog.get_logger(__name__)

# So soon is looked again at a robot that has no room.
RETRY_S: Final = 0.02
# A stop of what stands still is told to all so often, however often it is pressed.
TOLD_AGAIN_S: Final = 0.2
# What the robot itself may wait for the next move before it stops: a little more than we do.
_ROBOTS_PATIENCE: Final = 2
HELD_UP: Final = "the listener was held up"


class Relay:
    def __init__(self, registry: Registry, audience: Audience, hold_s: float) -> None:
        self._registry = registry
        self._audience = audience
        self.robots_hold_ms = 1000 * hold_s * _ROBOTS_PATIENCE
        self.counts = Counter(received=0, rejected=0, delivered=0, expired=0, stopped=0)
        self._deliveries = Deliveries(
            audience, self.counts, robots_hold_ms=self.robots_hold_ms, look_again=self._arm
        )
        self._period_s = hold_s / 2
        self._stalls = Stalls(self._period_s, hold_s)
        self._ticker: asyncio.TimerHandle | None = None
        self._is_closing = False

    def open(self) -> None:
        """From now on it is noticed when the listener was away."""
        self._look()
        if not self._is_closing:
            self._ticker = asyncio.get_running_loop().call_later(self._period_s, self.open)

    def close(self) -> None:
        """Nobody shall be left moving when the listener goes. May be called again."""
        self._is_closing = True
        if self._ticker is not None:
            self._ticker.cancel()
        for robot in self._registry:
            self._stop(robot, robot.hold.stop(), "the listener is stopping")
            robot.cancel()
        self._registry.close()

    # From dashboards

    def reject(self, website: Website, given: Rejected) -> None:
        self._ack(website, given.type, "rejected", given.reason, given.id)

    def command(self, website: Website, command: Command, refusal: str | None) -> None:
        """`refusal` says why this dashboard may command nothing; it may stop all the same."""
        chosen = self._registry.select(command.device_id, command.group)
        is_late = self._look()
        if is_late:
            refusal = f"{HELD_UP}: this comes too late"
        if self._is_closing:
            refusal = "the listener is stopping"
        if isinstance(command, Move) and command.is_zero:
            refusal = None
        if isinstance(command, Stick):
            self._feel(website, command, chosen, is_late=is_late)
        now = time.monotonic()
        refused = {
            robot.device_id: why
            for robot in chosen.connected
            if (why := refusal or self._why_not(robot, website, command))
        }
        if isinstance(command, Stick) and not command.is_zero:
            for robot in chosen.known:
                if robot.device_id in refused or not robot.is_connected:
                    robot.hold.wants_let_go(website.id, {command.type})
        taken = [robot for robot in chosen.connected if robot.device_id not in refused]
        if not taken:
            reason = refusal or chosen.reason or "; ".join(dict.fromkeys(refused.values()))
            self._ack(website, command.type, "rejected", reason, command.id)
            return
        words = f"Command received: {answers.in_words(command)}"
        names = [robot.device_id for robot in taken]
        self._ack(website, command.type, "received", words, command.id, robots=names, refused=refused or None)
        for robot in taken:
            self._obey(robot, website, command, now)

    def stop(self, website: Website, stop: Stop) -> None:
        self._look()
        chosen = self._registry.select(stop.device_id, stop.group)
        if not chosen.is_known:
            chosen = self._registry.select(None, None)
        names = [robot.device_id for robot in chosen.connected]
        words = "Command received: Stop" + (f"; {chosen.reason}" if chosen.reason else "")
        self._ack(website, "stop", "received", words, stop.id, robots=names)
        now = time.monotonic()
        for robot in chosen.known:
            self._halt(robot, website, stop, now)

    def take(self, website: Website, take: Take, refusal: str | None) -> None:
        chosen = self._registry.select(take.device_id, take.group)
        reason = "the listener is stopping" if self._is_closing else refusal or chosen.reason
        others = [robot for robot in chosen.connected if not robot.hold.may(website.id)]
        if others and not take.force:
            reason = reason or "; ".join(self._held_by_another(robot) for robot in others)
        if reason:
            self._ack(website, "take_robot", "rejected", reason, take.id)
            return
        names = [robot.device_id for robot in chosen.connected]
        self._ack(website, "take_robot", "received", "Command received: Take", take.id, robots=names)
        now = time.monotonic()
        for robot in chosen.connected:
            if robot in others:
                self._stop(robot, robot.hold.stop(), f"taken by {website.name or website.id}")
            self._take(robot, website, now, is_asked_for=True)
            self._arm(robot, now)

    def release(self, website: Website, release: Release) -> None:
        chosen = self._registry.select(release.device_id, release.group)
        held = [robot for robot in chosen.connected if robot.hold.website == website.id]
        if not held:
            reason = chosen.reason or "it is not yours"
            self._ack(website, "release_robot", "rejected", reason, release.id)
            return
        names = [robot.device_id for robot in held]
        self._ack(website, "release_robot", "received", "Command received: Release", release.id, robots=names)
        for robot in held:
            self._free(robot, "released")
            self._come_between(robot)

    def website_came(self, website: Website) -> None:
        now = time.monotonic()
        for robot in self._registry:
            if robot.hold.was_halted(now):
                robot.hold.wants_let_go(website.id, STICKS)

    def website_left(self, website: Website) -> None:
        for robot in self._registry:
            if robot.hold.website == website.id:
                self._free(robot, f"{website.name or website.id} has left")
            robot.hold.forget(website.id, STICKS)

    # From robots

    def robot_came(self, robot: Robot) -> None:
        self._lose(robot, "it has connected anew")
        self._stop(robot, STICKS)

    def robot_left(self, robot: Robot) -> None:
        self._lose(robot, "the robot has disconnected")
        robot.cancel()
        if robot.hold.website is not None:
            robot.hold.release()
            self._tell_operator(robot, "the robot has disconnected")

    def result(self, robot: Robot, result: Result) -> bool:
        return self._deliveries.result(robot, result)

    def watch(self, robot: Robot) -> None:
        """After something was heard of it."""
        self._arm(robot, time.monotonic())

    # Sticks

    def _feel(self, website: Website, stick: Stick, chosen: Selection, *, is_late: bool) -> None:
        """Whether a hand is on it. A zero that is late says nothing of where the hand is by now."""
        if not stick.is_zero:
            website.sticks.push(stick.type, stick.device_id, stick.group)
        elif not is_late:
            members = self._registry.groups.get(stick.group or "", ())
            website.sticks.let_go(stick.type, stick.device_id, stick.group, members)
            for robot in chosen.known:
                robot.hold.has_let_go(website.id, stick.type)

    def _come_between(self, robot: Robot, *, but: Website | None = None) -> None:
        """Whoever has a hand on a stick towards it must take it anew."""
        groups = self._registry.groups_of(robot.device_id)
        for website in self._audience:
            held = [kind for kind in STICKS if website.sticks.holds(kind, robot.device_id, groups)]
            if held and website is not but:
                robot.hold.wants_let_go(website.id, held)

    def _look(self) -> bool:
        """Whether what is heard now may be late."""
        now = clock()
        if self._stalls.look(now):
            _log.warning("robots_held_up", reason="this process was away; sticks must be let go first")
            for robot in self._registry:
                self._come_between(robot)
                self._stop(robot, robot.hold.stop(), HELD_UP)
        return self._stalls.is_late(now)

    # Within

    def _why_not(self, robot: Robot, website: Website, command: Command) -> str | None:
        """Why this dashboard may not command that of this robot now."""
        if isinstance(command, Move) and command.is_zero:
            return None
        if not robot.hold.may(website.id):
            return self._held_by_another(robot)
        is_move = isinstance(command, Stick) and not command.is_zero
        if is_move and robot.hold.must_let_go(website.id, command.type):
            return f"{robot.device_id}: let go of the stick first"
        return None

    def _obey(self, robot: Robot, website: Website, command: Command, now: float) -> None:
        hold = robot.hold
        if isinstance(command, Move) and command.is_zero and hold.website != website.id:
            if hold.moving:
                self._halt(robot, website, command, now)
                return
        else:
            self._take(robot, website, now)
        if isinstance(command, Stick):
            if command.is_zero:
                hold.stands(command.type)
            else:
                hold.moves(command.type, now)
        self._deliveries.command(robot, website, command, now)

    def _take(self, robot: Robot, website: Website, now: float, *, is_asked_for: bool = False) -> None:
        before = robot.hold.website
        if robot.hold.take(website.id, now, is_asked_for=is_asked_for):
            self._come_between(robot, but=website)
            self._tell_operator(robot, f"taken from {self._call(before)}" if before else "taken")

    def _held_by_another(self, robot: Robot) -> str:
        return f"{robot.device_id} is operated by {self._call(robot.hold.website)}"

    def _call(self, website_id: str | None) -> str:
        return self._audience.name_of(website_id or "") or website_id or "nobody"

    def _free(self, robot: Robot, reason: str) -> None:
        self._stop(robot, robot.hold.stop(), reason)
        robot.hold.release()
        self._tell_operator(robot, reason)

    def _lose(self, robot: Robot, reason: str) -> None:
        """Its connection."""
        self._deliveries.fail(robot, reason)
        if robot.hold.moving:
            robot.hold.halt(time.monotonic())
        self._come_between(robot)

    def _halt(self, robot: Robot, website: Website, stop: Stop | Command, now: float) -> None:
        kinds = robot.hold.halt(now)
        for each in self._audience:
            robot.hold.wants_let_go(each.id, STICKS)
        is_news = bool(kinds) or now - robot.stop_told_at >= TOLD_AGAIN_S
        reason = f"stopped by {website.name or website.id}" if is_news else ""
        if is_news:
            robot.stop_told_at = now
        self._stop(robot, (MOVE, *(kind for kind in kinds if kind != MOVE)), reason, website, stop)

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
        if kinds and reason:
            self.counts["stopped"] += 1
            self._audience.tell(answers.stopped(time.time(), robot.device_id, reason))
        self._deliveries.zero(robot, kinds, website, stop)

    def _arm(self, robot: Robot, now: float) -> None:
        """One timer to a robot, for whatever comes first."""
        if robot.follower is None or self._is_closing:
            return
        times = [
            robot.outbox.next_at(now, RETRY_S),
            robot.hold.next_at(),
            self._registry.stale_at(robot),
            now + FOLLOWER_RETRY_S if robot.follower.is_behind else None,
        ]
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
        if robot.follower is not None:
            robot.follower.catch_up()
        if kinds := robot.hold.not_repeated(now):
            self._stop(robot, kinds, "nobody has repeated the move")
        if robot.hold.is_idle(now):
            self._free(robot, "nothing was commanded any more")
        self._deliveries.pump(robot, now)

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
