"""`/ws/telemetry/`: a robot if the address has a `device_id`, a dashboard ("website") otherwise."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

from listener.access import Scope
from listener.follower import Follower
from listener.robots import answers
from listener.robots.audience import Audience, Website
from listener.robots.messages import (
    DEVICE_ID,
    NotJson,
    Rejected,
    Release,
    Result,
    Status,
    Stop,
    Take,
    Telemetry,
    from_robot,
    from_website,
)
from listener.robots.registry import Registry, TooManyRobots
from listener.robots.relay import Relay
from listener.robots.robot import STATUS_RATE, Robot
from listener.sessions import Peer

POLICY: Final = 1008
TRY_AGAIN: Final = 1013
REPLACED: Final = 4001
NAME_MAX: Final = 64

# Why somebody may not; None when he may.
Refusal = Callable[[Scope], str | None]


class RobotSession:
    def __init__(
        self,
        registry: Registry,
        relay: Relay,
        audience: Audience,
        *,
        hold_s: float,
        robots_refusal: Refusal,
        refusal: Refusal,
    ) -> None:
        self._registry = registry
        self._relay = relay
        self._audience = audience
        self._hold_ms = 1000 * hold_s
        self._robots_refusal = robots_refusal
        self._refusal = refusal
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, peer: Peer) -> None:
        try:
            query = parse_qs(peer.query, keep_blank_values=True, max_num_fields=16)
        except ValueError:
            await peer.close(POLICY, "an address has at most 16 parameters")
            return
        if "device_id" in query:
            await self._robot(peer, query["device_id"][0])
        elif peer.scope is Scope.ROBOT:
            await peer.close(POLICY, "this token is for robots, which say ?device_id=")
        else:
            await self._website(peer, query.get("name", [""])[0][:NAME_MAX])

    # Robots

    async def _robot(self, peer: Peer, device_id: str) -> None:
        if refusal := self._robots_refusal(peer.scope):
            await peer.close(POLICY, refusal)
            return
        if not re.match(DEVICE_ID, device_id):
            await peer.close(POLICY, "device_id is 1 to 64 letters, digits and .:_-")
            return
        try:
            robot, follower, before = self._registry.come(device_id, peer)
        except TooManyRobots as exc:
            await peer.close(TRY_AGAIN, str(exc))
            return
        follower.say(answers.robot_greeting(device_id, hold_ms=self._relay.robots_hold_ms))
        self._relay.robot_came(robot)
        if before is not None:  # which may be dead, and does not answer
            close = asyncio.create_task(before.peer.close(REPLACED, f"{device_id} has connected anew"))
            self._closing.add(close)
            close.add_done_callback(self._closing.discard)
        try:
            async for message in peer:
                self._hear_robot(robot, follower, message)
        finally:
            if self._registry.leave(robot, follower):
                self._relay.robot_left(robot)

    def _hear_robot(self, robot: Robot, follower: Follower, message: str | bytes) -> None:
        if robot.follower is not follower:
            return  # another connection speaks for it by now
        match from_robot(message):
            case NotJson():
                follower.say(answers.NOT_JSON)
            case Rejected(type=kind, id=given_id, reason=reason):
                follower.say(answers.ack(time.time(), kind, "rejected", reason, id=given_id))
            case Telemetry() as telemetry:
                self._registry.telemetry(robot, telemetry)
                saved = " and saved" if self._registry.storing == "ok" else ""
                words = f"Telemetry data received{saved}"
                follower.say(answers.ack(time.time(), "telemetry", "received", words))
            case Status() as status:
                if self._registry.said(robot, status):
                    told = answers.ack(time.time(), "status", "received", "Status received")
                else:
                    reason = f"more than {STATUS_RATE:g} a second"
                    told = answers.ack(time.time(), "status", "rejected", reason)
                follower.say(told)
            case Result() as result:
                if not self._relay.result(robot, result):
                    reason = f"no command {result.id} is waited for"
                    follower.say(answers.ack(time.time(), "command_result", "rejected", reason, id=result.id))
        self._relay.watch(robot)

    # Dashboards

    async def _website(self, peer: Peer, name: str) -> None:
        refusal = self._refusal(peer.scope)
        website, leave = self._audience.join(peer, name)
        self._relay.website_came(website)
        greeting = answers.website_greeting(website.id, may_command=refusal is None, hold_ms=self._hold_ms)
        # As many as there are robots, and so more than a client's states may be: in one piece.
        website.give([[greeting, *self._registry.present()]])
        try:
            async for message in peer:
                self._hear_website(website, message, refusal)
        finally:
            leave()
            self._relay.website_left(website)

    def _hear_website(self, website: Website, message: str | bytes, refusal: str | None) -> None:
        relay = self._relay
        match from_website(message):
            case NotJson():
                self._audience.answer(website, answers.NOT_JSON)
            case Rejected() as rejected:
                relay.reject(website, rejected)
            case Stop() as stop:
                relay.stop(website, stop)
            case Take() as take:
                relay.take(website, take, refusal)
            case Release() as release:
                relay.release(website, release)
            case command:
                relay.command(website, command, refusal)
