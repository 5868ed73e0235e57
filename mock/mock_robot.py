"""`lesrobot`: robots, without robots. They tell how they are, and do as they are told.

One stops by itself when a move is not repeated within its `hold_ms`, and when the connection is lost; it
connects again for ever. Options make it like those of the field, late, deaf, or talk nonsense.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from mock.robot_body import Body

_PROGRAM: Final = "lesrobot"
URL: Final = "ws://127.0.0.1:8765/ws/telemetry/"
_NONSENSE: Final[tuple[str | bytes, ...]] = (
    "{nonsense",
    b"\x00\xff\xfe",
    "[" * 3000,
    '{"type":"telemetry","battery":1e999,"cpu":-1,"temperature":"warm","signal":[]}',
    '{"type":"fly"}',
    '{"battery":50}',
    "null",
)
_BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0)
# A robot that is told more while it is busy does not do the oldest any more.
_BUSY_MAX: Final = 100


def _tell_nobody(_line: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class RobotOptions:
    url: str = URL
    token: str | None = None
    name: str | None = None
    interval_s: float = 3.0
    confirm: bool = True
    slow_s: float = 0.0  # between hearing and doing
    deaf: bool = False
    nonsense: float = 0.0  # the share of telemetry that is replaced by it
    seed: int | None = None
    back_off_s: tuple[float, ...] = field(default=_BACK_OFF_S)

    def __post_init__(self) -> None:
        if not 0 < self.interval_s < math.inf:
            raise ValueError(f"the interval must be a positive number of seconds, not {self.interval_s:g}")
        if not 0 <= self.slow_s < math.inf:
            raise ValueError(f"slow must be 0 or a positive number of seconds, not {self.slow_s:g}")
        if not 0 <= self.nonsense <= 1:
            raise ValueError(f"nonsense is a share from 0 to 1, not {self.nonsense:g}")


class MockRobot:
    """`told` gets a line for whatever happens."""

    def __init__(
        self, device_id: str, options: RobotOptions, *, told: Callable[[str], None] = _tell_nobody
    ) -> None:
        seed = random.SystemRandom().random() if options.seed is None else options.seed
        self.device_id = device_id
        self.body = Body(f"{seed} {device_id}")
        self.connections = 0
        self.sent = 0
        self._options = options
        self._told = told
        self._chance = random.Random(f"{seed} {device_id} chance")
        self._watch: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Until cancelled."""
        query = {"device_id": self.device_id}
        if self._options.token is not None:
            query["token"] = self._options.token
        url = f"{self._options.url}?{urlencode(query)}"
        failures = 0
        while True:
            try:
                # Deaf is who leaves what it was sent where it is, in the kernel.
                queue = 1 if self._options.deaf else 16
                async with connect(url, proxy=None, max_queue=queue, close_timeout=1) as connection:
                    self._say(f"connected to {self._options.url}")
                    self.connections += 1
                    began = time.monotonic()
                    await self._live(connection)
                    if time.monotonic() - began > 1:
                        failures = 0
                    code, reason = connection.close_code, connection.close_reason
                    self._say(f"connection lost: {code} {reason or ''}".rstrip())
            except (OSError, InvalidHandshake, TimeoutError) as exc:
                self._say(f"cannot connect: {' '.join(str(exc).split()) or type(exc).__name__}")
            wait_s = self._options.back_off_s[min(failures, len(self._options.back_off_s) - 1)]
            failures += 1
            await asyncio.sleep(wait_s * self._chance.uniform(0.8, 1.2))

    async def _live(self, connection: ClientConnection) -> None:
        """Until the connection is lost."""
        orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_BUSY_MAX)
        try:
            async with asyncio.TaskGroup() as tasks:
                parts = [
                    tasks.create_task(self._report(connection), name="send telemetry"),
                    tasks.create_task(self._work(connection, orders), name="do what it is told"),
                ]
                if self._options.deaf:
                    await connection.wait_closed()
                else:
                    with contextlib.suppress(ConnectionClosed):
                        async for message in connection:
                            self._hear(message, orders)
                for part in parts:
                    part.cancel()
        finally:
            self._stop("the connection is lost")

    def _hear(self, message: str | bytes, orders: asyncio.Queue[dict[str, Any]]) -> None:
        try:
            said = json.loads(message)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            self._say("heard nonsense")
        elif said.get("status") == "rejected" or "error" in said:
            self._say(f"rejected: {said.get('message', said.get('error'))}")
        elif "type" in said and said["type"] != "ack":
            if orders.full():
                orders.get_nowait()
            orders.put_nowait(said | {"heard_at": time.monotonic()})

    async def _work(self, connection: ClientConnection, orders: asyncio.Queue[dict[str, Any]]) -> None:
        while True:
            order = await orders.get()
            late_s = order["heard_at"] + self._options.slow_s - time.monotonic()
            if late_s > 0:
                await asyncio.sleep(late_s)
            answer = self._obey(order)
            if self._options.confirm and "id" in order:
                with contextlib.suppress(ConnectionClosed):
                    await connection.send(json.dumps({"type": "command_result", "id": order["id"], **answer}))

    def _obey(self, order: dict[str, Any]) -> dict[str, str]:
        try:
            self._say(f"COMMAND: {self.body.obey(order, time.monotonic())}")
        except (KeyError, TypeError, ValueError) as exc:
            self._say(f"cannot do {order.get('type')}: {exc}")
            return {"status": "failed", "message": f"cannot do that: {exc}"}
        self._wait_for_next()
        return {"status": "executed"}

    def _wait_for_next(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self.body.stop_at < math.inf:
            loop = asyncio.get_running_loop()
            self._watch = loop.call_at(self.body.stop_at, self._stop_late)

    def _stop_late(self) -> None:
        # A loop's clock may be a little ahead of itself.
        if self.body.stop_late(max(time.monotonic(), self.body.stop_at)):
            self._say_stopped("no move within hold_ms")
        self._wait_for_next()

    def _stop(self, reason: str) -> None:
        if self.body.is_moving:
            self.body.stop(time.monotonic())
            self._say_stopped(reason)
        self._wait_for_next()

    def _say_stopped(self, reason: str) -> None:
        self._say(f"stops by itself at x={self.body.x:.2f} m, y={self.body.y:.2f} m: {reason}")

    async def _report(self, connection: ClientConnection) -> None:
        name = {} if self._options.name is None else {"device_name": self._options.name}
        due = time.monotonic()
        # A connection that has ended is told to who reads it.
        with contextlib.suppress(ConnectionClosed):
            while True:
                values = self.body.telemetry(time.monotonic())
                message: str | bytes = json.dumps(
                    {"type": "telemetry", "device_id": self.device_id, **name, **values}
                )
                if self._chance.random() < self._options.nonsense:
                    message = self._chance.choice(_NONSENSE)
                    self._say("nonsense sent")
                else:
                    self._say(
                        f"Telemetry sent: Battery={values['battery']}%, CPU={values['cpu']}%, "
                        f"Temp={values['temperature']}°C, Signal={values['signal']}%"
                    )
                await connection.send(message)
                self.sent += 1
                due = max(due + self._options.interval_s, time.monotonic())
                await asyncio.sleep(due - time.monotonic())

    def _say(self, line: str) -> None:
        self._told(f"{self.device_id}: {line}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        options = RobotOptions(
            url=given.url,
            token=given.token,
            name=given.name,
            interval_s=given.interval,
            confirm=given.confirm,
            slow_s=given.slow,
            deaf=given.deaf,
            nonsense=given.nonsense,
            seed=given.seed,
        )
    except ValueError as error:
        parser.error(str(error))
    names = [*given.robots, *(f"robot_{number:02}" for number in range(1, given.count + 1))]
    if not names:
        parser.error("which robot? give it a name, or --count")
    told = _tell_nobody if given.quiet else _print
    try:
        asyncio.run(_run([MockRobot(name, options, told=told) for name in dict.fromkeys(names)]))
    except InvalidURI as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        pass
    return 0


async def _run(robots: Sequence[MockRobot]) -> None:
    stop = asyncio.Event()
    for number in () if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    parts = [asyncio.create_task(robot.run(), name=robot.device_id) for robot in robots]
    ending = asyncio.create_task(stop.wait(), name="wait for a signal")
    try:
        done, _ = await asyncio.wait([ending, *parts], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (ending, *parts):
            task.cancel()
        await asyncio.gather(ending, *parts, return_exceptions=True)


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Robots that send telemetry to the listener and do what its dashboards command.",
        allow_abbrev=False,
    )
    default = RobotOptions()
    parser.add_argument("robots", nargs="*", metavar="ROBOT", help="its device_id, such as robot_01")
    parser.add_argument("--count", type=_count, default=0, metavar="N", help="robot_01 … robot_N as well")
    parser.add_argument("--url", default=default.url, help="(default %(default)s)")
    parser.add_argument("--token", help="one of [access] robot_tokens")
    parser.add_argument("--name", help="what dashboards call it (default: its device_id)")
    parser.add_argument(
        "--interval",
        type=float,
        default=default.interval_s,
        metavar="S",
        help="between telemetry (default %(default)g)",
    )
    parser.add_argument("--seed", type=int, help="makes it come out the same again")
    parser.add_argument("--quiet", action="store_true", help="say nothing")
    trouble = parser.add_argument_group("trouble")
    trouble.add_argument(
        "--no-confirm",
        dest="confirm",
        action="store_false",
        help="does not say what it has done, like robots that know only the first protocol",
    )
    trouble.add_argument(
        "--slow", type=float, default=0.0, metavar="S", help="does what it is told so much later"
    )
    trouble.add_argument("--deaf", action="store_true", help="does not read what it is sent")
    trouble.add_argument(
        "--nonsense",
        type=float,
        nargs="?",
        const=0.2,
        default=0.0,
        metavar="SHARE",
        help="sends garbage now and then (default share 0.2)",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no number of robots")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
