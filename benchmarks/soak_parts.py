"""What an endurance run needs around it: the daemon as a process, its clients, and a witness on the bus.

Everything is read in ticks instead of on each arrival: one slow processor has to carry the daemon, the
simulated sensor and the clients, and a tick costs the same however many events came in it.
"""

import asyncio
import contextlib
import json
import math
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

ROOT = Path(__file__).parents[1]
PATIENCE_S = 20.0
TICK_S = 0.02
GUEST_TICK_S = 0.2
HOST = "127.0.0.1"
# asm-generic/socket.h; Python does not name them.
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS, _SO_MEMINFO = 33, 35, 55
_READ_MAX = 1 << 18
# Positions whose times are remembered, at 500 a second: longer than any loss of the bus takes.
_REMEMBERED = 100_000
_SLOT_S = 0.002
# Compared with the least late one of the half second before.
_PUNCTUAL_S = 0.01
_BLOCK = 250
_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"  # masked with zeros: 1000, a normal end


class SoakError(Exception):
    """The run cannot go on; the text says why."""


async def until(fact: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    try:
        async with asyncio.timeout(patience_s):
            while not fact():  # noqa: ASYNC110 - the fact is in another process
                await asyncio.sleep(TICK_S)
    except TimeoutError:
        raise SoakError(f"{what}: not within {patience_s:g} s") from None


async def ip(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec("ip", *arguments)
    if code := await process.wait():
        raise SoakError(f"ip {' '.join(arguments)} failed with {code}; this needs root")


def not_a_vcan(channel: str) -> str:
    """Why this interface must not be taken; empty if it may."""
    told = subprocess.run(
        ["ip", "-json", "-details", "link", "show", channel], capture_output=True, text=True, check=False
    )
    remedy = f"sudo ip link add dev {channel} type vcan && sudo ip link set {channel} up"
    if told.returncode:
        return f"there is no {channel}: {remedy}"
    (link,) = json.loads(told.stdout)
    if link.get("linkinfo", {}).get("info_kind") != "vcan":
        return f"{channel} is no vcan, and this run deletes it"
    return "" if "UP" in link["flags"] else f"{channel} is down: {remedy.rpartition('&& ')[2]}"


def restore(channel: str) -> None:
    """Wherever the run was ended, the interface is there and up again."""
    if not Path(f"/sys/class/net/{channel}").exists():
        subprocess.run(["ip", "link", "add", "dev", channel, "type", "vcan"], check=False)
    subprocess.run(["ip", "link", "set", channel, "up"], check=False)


def make_punctual(pid: int) -> None:
    """Sensor and clients have processors of their own; the simulated ones go before the daemon here."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def spawn(
    module: str, *arguments: str, stdout: int | None = None, stderr: int | None = None
) -> subprocess.Popen[bytes]:
    """In a session of its own: Ctrl+C is for the run, which ends the others in its own order."""
    foreign = ("LES02_", "NOTIFY_SOCKET", "WATCHDOG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd="/",  # keeps a config.toml of the checkout out of it
        # The accounts are of positions; what is derived from them is skipped for a slow reader as well.
        env=environment | {"PYTHONPATH": str(ROOT), "LES02_RIDES__ENABLED": "false"},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        stdout=stdout,
        stderr=stderr,
    )


def end(process: subprocess.Popen[bytes] | None) -> None:
    """For good, whatever state it is in."""
    if process is not None and process.poll() is None:
        process.kill()
        process.wait(PATIENCE_S)


def cpu_s(pid: int) -> float:
    # The name, in parentheses, may hold spaces; utime and stime are the 14th and 15th word.
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Daemon:
    def __init__(self, channel: str) -> None:
        self.process = spawn(
            "listener.main", "--channel", channel, "--host", HOST, "--port", "0", stderr=subprocess.PIPE
        )
        assert self.process.stderr is not None
        self._stderr = self.process.stderr
        os.set_blocking(self._stderr.fileno(), False)
        self._rest = b""
        self.records: dict[str, dict[str, Any]] = {}  # the latest of each event
        self.aborted: Counter[str] = Counter()  # by address
        self.failures: list[str] = []
        self.port = 0

    def read_log(self) -> bool:
        """True, so that it can stand in a condition."""
        while chunk := self._stderr.read(_READ_MAX):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._note(line)
        return True

    def _note(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            self.failures.append(line.decode(errors="replace"))
            return
        event = record["event"]
        self.records[event] = record
        if event == "websocket_server_started":
            self.port = int(record["url"].rpartition(":")[2])
        elif event == "client_aborted":
            self.aborted[record["address"]] += 1
        if record["level"] in {"error", "critical"} and event != "bus_lost":
            self.failures.append(line.decode())

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/metrics", timeout=PATIENCE_S) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def resident_kib(self) -> int:
        return int(self._proc("status").partition("VmRSS:")[2].split()[0])

    def threads(self) -> int:
        return int(self._proc("status").partition("Threads:")[2].split()[0])

    def descriptors(self) -> list[str]:
        targets = []
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                targets.append(str(entry.readlink()).partition("[")[0])  # without a socket's number
        return sorted(targets)

    def _proc(self, name: str) -> str:
        try:
            return Path(f"/proc/{self.process.pid}/{name}").read_text()
        except OSError:
            raise SoakError("the daemon has ended by itself") from None


class Witness:
    """Sees every frame on the bus.

    1. Bound to all interfaces, its socket outlives each of them.
    2. The kernel stamps a frame once: its times are, to the last bit, those of the daemon's events.
    """

    def __init__(self, channel: str) -> None:
        self._socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self._socket.bind(("",))
        # Nobody knows the name of the interface any more when what came from it is read after its end.
        self._names = {channel, ""}
        self.frames = 0
        self.unpunctual = array("d")
        self._positions = array("d")
        self._phase = self._block_phase = math.nan

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, ancillary, _, (name,) = self._socket.recvmsg(16, 64)
                if name in self._names:
                    self.frames += 1
                    if frame[:4] in {b"\x80\0\0\0", b"\x81\0\0\0"}:
                        seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
                        self._position(seconds + nanoseconds * 1e-9, frame[11])

    @property
    def last(self) -> float:
        return self._positions[-1] if self._positions else 0.0

    @property
    def dropped(self) -> int:
        return int(struct.unpack("=9I", self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36))[8])

    def between(self, after: float, before: float) -> int:
        """Positions after the one moment and before the other, both exclusive."""
        return max(0, bisect_left(self._positions, before) - bisect_right(self._positions, after))

    def sensor_was_late(self, first: float, last: float) -> bool:
        """Whether the simulated sensor itself left its cadence about then; a busy machine makes it."""
        return bisect_left(self.unpunctual, first - 1) < bisect_right(self.unpunctual, last)

    def close(self) -> None:
        self._socket.close()

    def _position(self, ts: float, slot: int) -> None:
        # lesmock numbers its slots in the fourth octet, so the frame itself says when it was due.
        phase = ts - slot * _SLOT_S
        if abs(math.remainder(phase - self._phase, 256 * _SLOT_S)) > _PUNCTUAL_S:
            self.unpunctual.append(ts)
        if len(self._positions) % _BLOCK == 0:
            self._phase, self._block_phase = self._block_phase, phase
        elif math.remainder(phase - self._block_phase, 256 * _SLOT_S) < 0:
            self._block_phase = phase  # of the least late one
        self._positions.append(ts)
        for stamps in (self._positions, self.unpunctual):
            if len(stamps) > 2 * _REMEMBERED:
                del stamps[:_REMEMBERED]


class Subscriber:
    """A client that takes every event apart, answers pings, and keeps counters only."""

    def __init__(
        self, port: int, told: Callable[[dict[str, Any]], None] | None = None, *, buffer: int | None = None
    ) -> None:
        self._told = told
        self._protocol = ClientProtocol(parse_uri(f"ws://{HOST}:{port}/"), max_size=None)
        self._protocol.send_request(self._protocol.connect())
        self._socket = socket.socket()
        if buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect((HOST, port))
        self._socket.setblocking(False)
        self._flush()
        self.open = True
        self.positions = 0
        self.last_position = 0.0
        # What it was told to have missed by itself: how many, and between which two moments.
        self.gaps: deque[tuple[int, float, float]] = deque(maxlen=1000)
        self.skipped: Counter[str] = Counter()
        self.types: Counter[str] = Counter()

    @property
    def address(self) -> str:
        return "{}:{}".format(*self._socket.getsockname())

    def missed(self, after: float, before: float) -> int:
        return sum(count for count, first, last in self.gaps if after < first and last < before)

    @property
    def close_code(self) -> int | None:
        return self._protocol.close_code

    def read(self) -> bool:
        """True, so that it can stand in a condition."""
        with contextlib.suppress(BlockingIOError):
            while self.open:
                try:
                    chunk = self._socket.recv(_READ_MAX)
                except ConnectionError:
                    chunk = b""
                self._feed(chunk)
                if len(chunk) < _READ_MAX:
                    break
        return True

    def close(self) -> None:
        self._socket.close()

    def _feed(self, chunk: bytes) -> None:
        if chunk:
            self._protocol.receive_data(chunk)
        else:
            self._protocol.receive_eof()
            self.open = False
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._event(json.loads(bytes(event.data)))
        self._flush()

    def _flush(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(b"".join(self._protocol.data_to_send()))

    def _event(self, event: dict[str, Any]) -> None:
        kind, payload = event["type"], event["payload"]
        self.types[kind] += 1
        if kind == "position_sample":
            self.positions += 1
            self.last_position = event["ts"]
        elif kind == "gap":
            if payload["where"] == "client":
                self.gaps.append((payload["skipped"], payload["first_ts"], payload["last_ts"]))
            self.skipped[payload["where"]] += payload["skipped"]
        if self._told is not None:
            self._told(event)


class Guests:
    """Clients that come, read for some seconds and leave, in order or with a reset. They count, no more."""

    def __init__(self, port: int) -> None:
        self._address = (HOST, port)
        self.present = 0
        self.bytes = 0
        self.left: Counter[str] = Counter()
        self.harmed: list[str] = []

    async def visit(self, stay_s: float, *, polite: bool) -> None:
        with socket.socket() as connection:
            await self._greet(connection)
            self.present += 1
            try:
                if not await self._read(connection, stay_s):
                    self.harmed.append(f"a client that reads was cut off at {time.time():.1f}")
                elif polite:
                    connection.send(_CLOSE)
                    if await self._read(connection, PATIENCE_S):
                        self.harmed.append("a close frame was not answered")
                else:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.left["politely" if polite else "abruptly"] += 1
            finally:
                self.present -= 1

    async def be_stuck(self, daemon: Daemon) -> None:
        """Never reads; returns when the daemon has given it up."""
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await self._greet(connection)
            address = "{}:{}".format(*connection.getsockname())
            told = daemon.aborted[address]
            while daemon.aborted[address] == told:  # noqa: ASYNC110 - as above
                await asyncio.sleep(GUEST_TICK_S)
            self.left["stuck"] += 1

    async def _greet(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, self._address)
        await loop.sock_sendall(connection, _HANDSHAKE)

    async def _read(self, connection: socket.socket, for_s: float) -> bool:
        """False when the other side has ended it meanwhile."""
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            await asyncio.sleep(GUEST_TICK_S)
            try:
                chunk = connection.recv(_READ_MAX)
            except BlockingIOError:
                continue
            except ConnectionError:
                return False
            if not chunk:
                return False
            self.bytes += len(chunk)
        return True
