"""Orders on their way to robots, and what becomes of each.

An order with an `id` ends somewhere, and who gave it is told where: delivered and then perhaps executed or
failed, or expired, or failed.
"""

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from listener.robots import answers
from listener.robots.audience import Audience, Website
from listener.robots.messages import Command, Result, Stop
from listener.robots.orders import Order, Outbox
from listener.robots.robot import Robot

ZERO: Final[dict[str, float]] = {"x": 0, "y": 0}


class Deliveries:
    """`look_again` is called when a robot's next moment may be another one than it was."""

    def __init__(
        self,
        audience: Audience,
        counts: Counter[str],
        *,
        robots_hold_ms: float,
        look_again: Callable[[Robot, float], None],
    ) -> None:
        self._audience = audience
        self._counts = counts
        self._robots_hold_ms = robots_hold_ms
        self._look_again = look_again
        self._numbers = itertools.count(1)

    def command(self, robot: Robot, website: Website, command: Command, now: float) -> None:
        values = answers.values_of(command)
        deadline_at = math.inf if values == ZERO else now + command.deadline_ms / 1000
        self._put(robot, website, command.type, values, deadline_at, command.id)
        self.pump(robot, now)

    def zero(
        self,
        robot: Robot,
        kinds: Iterable[str],
        website: Website | None = None,
        stop: Stop | Command | None = None,
    ) -> None:
        """`stop` is followed by the first of these kinds."""
        given_id = stop.id if stop else None
        for kind in kinds:
            self._put(robot, website, kind, ZERO, math.inf, given_id)
            given_id = None
        self.pump(robot, time.monotonic())

    def pump(self, robot: Robot, now: float) -> None:
        """Gives a robot what it may have now."""
        outbox, follower = robot.outbox, robot.follower
        for order in outbox.expire(now):
            self._tell(robot, order, "expired", "its deadline has passed")
        if follower is not None and not outbox.is_empty:
            ts = time.time()
            for order in outbox.ready(now, is_clear=robot.is_clear):
                hold_ms = self._robots_hold_ms if "x" in order.values and not order.is_stop else None
                if follower.peer.offer([answers.order(ts, order.kind, order.values, order.number, hold_ms)]):
                    outbox.given(order, now)
                    self._tell(robot, order, "delivered")
        self._look_again(robot, now)

    def result(self, robot: Robot, result: Result) -> bool:
        """False if no such order is waited for."""
        order = robot.outbox.confirmed(result.id)
        if order is None:
            return False
        self._tell(robot, order, result.status, result.message)
        self.pump(robot, time.monotonic())
        return True

    def fail(self, robot: Robot, reason: str) -> None:
        """All that was under way to it."""
        unfinished = robot.outbox.unfinished()
        robot.outbox = Outbox()
        for order in unfinished:
            self._tell(robot, order, "failed", reason)

    def _put(
        self,
        robot: Robot,
        website: Website | None,
        kind: str,
        values: dict[str, float],
        deadline_at: float,
        given_id: str | int | None,
    ) -> None:
        order = Order(
            next(self._numbers),
            kind,
            values,
            deadline_at,
            is_stop=values == ZERO,
            website=website.id if website else "",
            given_id=given_id,
        )
        if before := robot.outbox.put(order):
            self._tell(robot, before, "expired", "a newer one has taken its place")

    def _tell(self, robot: Robot, order: Order, state: str, message: str = "") -> None:
        if state in self._counts:
            self._counts[state] += 1
        website = self._audience.find(order.website)
        if website is not None and order.given_id is not None:
            told = answers.command_state(
                time.time(), order.given_id, robot.device_id, order.kind, state, message
            )
            self._audience.answer(website, told)
