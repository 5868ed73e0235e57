"""`lesmesh`: the root module of a sensor mesh on a pseudo terminal, with its nodes, without either.

It boots, nodes join, report and do as they are told. Options lose, double and garble what they say, and
reset or unplug the module. Without a baud rate it says everything at once.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from mock.mesh_framing import framed
from mock.mesh_network import MeshOptions, Network
from mock.pseudo_port import PseudoPort

__all__ = ["MeshOptions", "MockMesh", "main", "running"]

_PROGRAM: Final = "lesmesh"
# What waits for the wire, in octets; the module has no more room, and then loses what is new.
_WAITING_MAX: Final = 65_536
# How often a paced wire moves; so a frame comes in pieces, as from a real one.
_TICK_S: Final = 0.01
_BITS_PER_OCTET: Final = 10


class MockMesh:
    """Plugged in from the beginning; `run` makes it live. Use it on one loop.

    `sent` is given each payload when it goes onto the wire, and whether all its octets are what they were.
    """

    def __init__(
        self,
        options: MeshOptions | None = None,
        link: Path | None = None,
        *,
        told: Callable[[str], None] = lambda _line: None,
        sent: Callable[[bytes, bool], None] = lambda _payload, _intact: None,
    ) -> None:
        self.options = options or MeshOptions()
        self.lost = 0  # messages for which there was no room, or no cable
        self.port = PseudoPort(link, self._receive)
        self._told = told
        self._sent = sent
        seed = random.SystemRandom().random() if self.options.seed is None else self.options.seed
        self._chance = random.Random(f"{seed} wire")
        self._wake = asyncio.Event()
        self._line = bytearray()
        self._moved_s = 0.0
        self._network: Network | None = None

    @property
    def path(self) -> str:
        return self.port.path

    @property
    def network(self) -> Network:
        """From `run` on."""
        assert self._network is not None
        return self._network

    def unplug(self) -> None:
        """The module is without power; what was on the wire is lost."""
        self.port.unplug()
        self._line.clear()

    def plug_in(self) -> None:
        self.port.plug_in()
        if self._network is not None:
            self._network.boot(asyncio.get_running_loop().time())
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled; it stays plugged in."""
        loop = asyncio.get_running_loop()
        self.port.listen()
        if self._network is None:
            self._network = Network(self.options, loop.time(), told=self._told)
        while True:
            now_s = loop.time()
            for payload in self.network.advance(now_s):
                self._put(payload, now_s)
            self._move(now_s)
            wait_s = self.network.next_s - loop.time()
            if self._line:
                wait_s = min(wait_s, _TICK_S)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(wait_s) else max(wait_s, 0)):
                    await self._wake.wait()

    def _receive(self, octets: bytes) -> None:
        if self._network is not None:
            self._network.receive(octets, asyncio.get_running_loop().time())
            self._wake.set()

    def _put(self, payload: bytes, now_s: float) -> None:
        clean = framed(payload)
        octets = self._garbled(clean) if self.options.corrupt else clean
        if not self.port.is_plugged_in or len(self._line) + len(octets) > _WAITING_MAX:
            self.lost += 1
            return
        if not self._line:
            self._moved_s = now_s
        self._line += octets
        self._sent(payload, octets == clean)

    def _move(self, now_s: float) -> None:
        count = len(self._line)
        if self.options.baudrate:
            octet_s = _BITS_PER_OCTET / self.options.baudrate
            count = min(count, int((now_s - self._moved_s) / octet_s))
            self._moved_s += count * octet_s
        if count == 0:
            return
        written = self.port.write(bytes(self._line[:count]))
        if written < count:
            self.lost += 1
        del self._line[:count]

    def _garbled(self, octets: bytes) -> bytes:
        share, chance = self.options.corrupt, self._chance
        return bytes(
            (octet + chance.randint(1, 255)) % 256 if chance.random() < share else octet for octet in octets
        )


@contextlib.asynccontextmanager
async def running(
    options: MeshOptions | None = None, link: Path | None = None, **more: Any
) -> AsyncIterator[MockMesh]:
    """Plugged in and alive; in the end neither."""
    mesh = MockMesh(options, link, **more)
    task = asyncio.create_task(mesh.run(), name="the mesh")
    try:
        await asyncio.sleep(0)  # it has begun
        yield mesh
    finally:
        task.cancel()
        await asyncio.wait({task})
        mesh.unplug()
        if not task.cancelled():
            task.result()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        options = MeshOptions(
            nodes=given.nodes,
            interval_s=given.interval,
            hops=given.hops,
            loss=given.loss,
            drop=given.drop,
            duplicate=given.duplicate,
            logs=given.logs,
            corrupt=given.corrupt,
            silent=given.silent,
            silent_after_s=given.silent_after,
            reset_every_s=given.reset_every or 0.0,
            baudrate=given.baudrate,
            seed=given.seed,
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        asyncio.run(_run(given, options))
    except OSError as exc:
        sys.stderr.write(f"{_PROGRAM}: {exc}\n")
        return 1
    return 0


async def _run(given: argparse.Namespace, options: MeshOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    mesh = MockMesh(options, given.link, told=_tell_nobody if given.quiet else _say)
    _say_where(mesh)
    try:
        async with asyncio.TaskGroup() as tasks:
            parts = [
                tasks.create_task(mesh.run(), name="run the mesh"),
                tasks.create_task(_plug(mesh, given), name="pull the plug"),
            ]
            await stop.wait()
            for part in parts:
                part.cancel()
    finally:
        mesh.unplug()


async def _plug(mesh: MockMesh, given: argparse.Namespace) -> None:
    while given.unplug_after is not None:
        await asyncio.sleep(given.unplug_after)
        mesh.unplug()
        _say("unplugged")
        if given.back_after is None:
            return
        await asyncio.sleep(given.back_after)
        mesh.plug_in()
        _say_where(mesh)


def _say_where(mesh: MockMesh) -> None:
    # A JSON string is a TOML string.
    _say(f"plugged in at {mesh.path}; for config.toml: [mesh] device = {json.dumps(mesh.path)}")


def _say(line: str) -> None:
    sys.stdout.write(f"{_PROGRAM}: {line}\n")
    sys.stdout.flush()


def _tell_nobody(_line: str) -> None:
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="The root module of a sensor mesh, with its nodes, on a pseudo terminal.",
        allow_abbrev=False,
    )
    default = MeshOptions()
    parser.add_argument(
        "--nodes", type=int, default=default.nodes, metavar="N", help="how many (default %(default)d)"
    )
    parser.add_argument(
        "--interval",
        type=float,
        default=default.interval_s,
        metavar="S",
        help="between the reports of a node (default %(default)g)",
    )
    parser.add_argument("--link", type=Path, metavar="PATH", help="a name of the port that stays the same")
    parser.add_argument(
        "--baudrate",
        type=int,
        default=115_200,
        metavar="N",
        help="so fast is the wire (default %(default)d; 0: as fast as the port takes it)",
    )
    parser.add_argument(
        "--hops",
        type=int,
        default=default.hops,
        metavar="N",
        help="to the farthest nodes (default %(default)d)",
    )
    parser.add_argument("--seed", type=int, help="makes it come out the same again")
    parser.add_argument("--quiet", action="store_true", help="say only where it is plugged in")
    trouble = parser.add_argument_group("trouble", "SHARE is from 0 to 1.")
    for name, help_ in (
        ("loss", "of the attempts to reach a node fail"),
        ("drop", "of the nodes' messages are lost in the mesh"),
        ("duplicate", "of them come twice"),
        ("logs", "of them come with a line of the firmware's log, in the same framing"),
        ("corrupt", "of the octets come garbled out of the cable"),
    ):
        trouble.add_argument(
            f"--{name}", type=float, default=0.0, metavar="SHARE", help=f"this share {help_}"
        )
    trouble.add_argument("--silent", type=int, default=0, metavar="N", help="so many nodes fall silent")
    trouble.add_argument(
        "--silent-after",
        type=_seconds,
        default=default.silent_after_s,
        metavar="S",
        help="after so long (default %(default)g)",
    )
    trouble.add_argument("--reset-every", type=_seconds, metavar="S", help="the module resets itself")
    trouble.add_argument("--unplug-after", type=_seconds, metavar="S", help="pull the plug after so long")
    trouble.add_argument(
        "--back-after", type=_seconds, metavar="S", help="put it in again, and so on for ever"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
