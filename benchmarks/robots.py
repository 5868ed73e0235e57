"""Robots and dashboards under load, with the real daemon as a process of its own.

    .venv/bin/python benchmarks/robots.py [--quick] [--seconds S] [--robots N] [--rate HZ] [--dashboards N]

50 robots with 10 telemetry a second each, to 20 dashboards, for 30 s: every dashboard gets every one, all of
them are stored, p99 from a robot's send to a dashboard's receive below 50 ms. Meanwhile a stick is held, and
its moves are measured from its send to its robot's receive.

Robots and dashboards are processes of their own, with bare sockets; the moment of sending travels inside what
is sent. --quick fails if something does not run or is lost, never for a time.
"""

import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE_S = 30.0
SETTLE_S = 0.5
# Times travel as the rest of a division, within the ranges of what they travel as.
CLOCK_S = 100.0
P99_MS = 50.0
DRIVEN = "robot_0"
CONFIG = """
[can]
interface = "virtual"
[rides]
enabled = false
[websocket]
host = "127.0.0.1"
port = 0
[robots]
enabled = true
[database]
path = "{folder}/les02.db"
"""


class BenchmarkError(Exception):
    pass


class Daemon:
    def __init__(self, folder: Path) -> None:
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "listener.main"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        lines: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            lines.append(line)
            record = json.loads(line) if line.startswith("{") else {}
            if record.get("event") == "websocket_server_started":
                self.port = int(record["url"].rpartition(":")[2])
            if record.get("event") == "listener_started":
                break
        else:
            raise BenchmarkError("the daemon has not started:\n" + "".join(lines[-5:]))
        threading.Thread(target=lines.extend, args=(self.process.stderr,), daemon=True).start()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=PATIENCE_S) as answer:
            found: dict[str, Any] = json.load(answer)["robots"]
            return found

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)


# Robots and dashboards: this file again, as processes.


class Side:
    """Many connections to one path, read by one loop."""

    def __init__(self, port: int, queries: list[str], hear: Callable[[int, bytes], None]) -> None:
        self._watch = selectors.DefaultSelector()
        self._hear = hear
        self.connections: list[socket.socket] = []
        for number, query in enumerate(queries):
            opened = socket.create_connection(("127.0.0.1", port))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.sendall(
                f"GET /ws/telemetry/{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
            )
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += opened.recv(1)
            if b" 101 " not in head.splitlines()[0]:
                raise BenchmarkError(head.decode())
            self._watch.register(opened, selectors.EVENT_READ, (number, bytearray()))
            self.connections.append(opened)

    def read(self, seconds: float) -> None:
        """What has come, or comes first within so long."""
        for key, _ in self._watch.select(max(0.0, seconds)):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            number, held = key.data
            octets = connection.recv(262_144)
            if not octets:
                raise BenchmarkError("a connection was closed")
            held += octets
            for payload in _payloads(held):
                self._hear(number, payload)

    def say(self, number: int, text: bytes) -> None:
        size = bytes((0x80 | len(text),)) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
        self.connections[number].sendall(b"\x81" + size + b"\0\0\0\0" + text)


def _payloads(held: bytearray) -> Iterator[bytes]:
    """Of the whole frames in it, which are taken out."""
    at = 0
    while len(held) >= at + 4:
        length, begin = held[at + 1] & 0x7F, at + 2
        if length == 126:
            length, begin = int.from_bytes(held[at + 2 : at + 4], "big"), at + 4
        elif length == 127:
            length, begin = int.from_bytes(held[at + 2 : at + 10], "big"), at + 10
        if len(held) < begin + length:
            break
        yield bytes(held[begin : begin + length])
        at = begin + length
    del held[:at]


def _number(payload: bytes, name: bytes) -> float:
    begin = payload.index(name) + len(name)
    return float(payload[begin : payload.index(b",", begin)])


def robots(port: int, count: int, rate: float, seconds: float) -> None:
    """Prints what was sent, and how long moves took."""
    moves: list[float] = []
    acks = 0

    def hear(_number_of: int, payload: bytes) -> None:
        nonlocal acks
        if b'"type":"robot_move"' in payload:
            if (sent := _number(payload, b'"y":')) != 0:
                moves.append((time.monotonic() - sent) % 1.0)
        elif b"received and saved" in payload:
            acks += 1

    side = Side(port, [f"?device_id=robot_{number}" for number in range(count)], hear)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    total = int(count * rate * seconds)
    for number in range(total):
        due = began + number / (count * rate)
        while (wait_s := due - time.monotonic()) > 0:
            side.read(wait_s)
        text = '{"type":"telemetry","battery":80,"cpu":%r,"temperature":35.5,"signal":90}'
        side.say(number % count, (text % (time.monotonic() % CLOCK_S)).encode())
    took_s = time.monotonic() - began
    deadline = time.monotonic() + PATIENCE_S
    while acks < total and time.monotonic() < deadline:
        side.read(0.1)
    print(json.dumps({"sent": total, "acks": acks, "took_s": took_s, "moves": _figures(moves)}), flush=True)
    sys.stdin.readline()


def dashboards(port: int, count: int, total: int, seconds: float) -> None:
    """Prints how many telemetry each has got, and how long they took. The first one holds the stick."""
    got = [0] * count
    skipped = 0
    late: list[float] = []

    def hear(number: int, payload: bytes) -> None:
        nonlocal skipped
        if payload.startswith(b'{"type":"telemetry_update"'):
            late.append((time.monotonic() - _number(payload, b'"cpu":')) % CLOCK_S)
            got[number] += 1
        elif payload.startswith(b'{"type":"gap"'):
            skipped += json.loads(payload)["skipped"]

    side = Side(port, [""] * count, hear)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    due = began
    while (now := time.monotonic()) < began + seconds + PATIENCE_S and min(got) < total:
        if now >= due and now < began + seconds:
            text = '{"type":"robot_move","x":0.5,"y":%r,"device_id":"%s"}'
            side.say(0, (text % (time.monotonic() % 1.0, DRIVEN)).encode())
            due += 0.0501
        side.read(min(0.05, max(0.0, due - now)))
    print(json.dumps({"got": got, "skipped": skipped, **_figures(late)}), flush=True)


def _figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        "count": len(seconds),
        "p50_ms": 1000 * statistics.median(ordered),
        "p99_ms": 1000 * ordered[int(0.99 * (len(ordered) - 1))],
        "max_ms": 1000 * ordered[-1],
    }


@contextmanager
def side(what: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(Path(__file__)), f"--{what}-side", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise BenchmarkError(f"the {what} have not connected")
            yield process
        finally:
            process.kill()


def measure(daemon: Daemon, count: int, rate: float, watching: int, seconds: float) -> dict[str, Any]:
    total = int(count * rate * seconds)
    with (
        side("robots", daemon.port, count, rate, seconds) as sending,
        side("dashboards", daemon.port, watching, total, seconds) as receiving,
    ):
        time.sleep(SETTLE_S)
        cpu_s, began = daemon.cpu_s(), time.monotonic()
        for process in (receiving, sending):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert sending.stdout is not None
        assert receiving.stdout is not None
        told = json.loads(receiving.stdout.readline() or "null")
        cpu = (daemon.cpu_s() - cpu_s) / (time.monotonic() - began)
        sent = json.loads(sending.stdout.readline() or "null")
        if told is None or sent is None:
            raise BenchmarkError("robots or dashboards have ended early")
        deadline = time.monotonic() + PATIENCE_S
        while (health := daemon.health())["telemetry_written"] < total and time.monotonic() < deadline:
            time.sleep(0.1)
    return {**told, **sent, "total": total, "cpu_percent": 100 * cpu, "health": health}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke test, less than 10 s")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--robots", type=int, default=50)
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="telemetry of each robot")
    parser.add_argument("--dashboards", type=int, default=20)
    parser.add_argument("--robots-side", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--dashboards-side", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.robots_side:
        port, count, rate, seconds = options.robots_side
        robots(int(port), int(count), float(rate), float(seconds))
        return 0
    if options.dashboards_side:
        port, count, total, seconds = options.dashboards_side
        dashboards(int(port), int(count), int(total), float(seconds))
        return 0
    seconds = 2.0 if options.quick else options.seconds
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder))
        try:
            told = measure(daemon, options.robots, options.rate, options.dashboards, seconds)
        finally:
            daemon.close()
    lost = told["total"] * options.dashboards - sum(told["got"])
    not_stored = told["total"] - told["health"]["telemetry_written"]
    moves = told["moves"]
    print(
        f"{options.robots} robots × {options.rate:g}/s → {options.dashboards} dashboards, {seconds:g} s: "
        f"{told['total']} telemetry, {lost} of {told['total'] * options.dashboards} lost, "
        f"{not_stored} not stored\n"
        f"robot → dashboard: p50 {told['p50_ms']:.2f} ms, p99 {told['p99_ms']:.2f} ms, "
        f"max {told['max_ms']:.1f} ms; daemon {told['cpu_percent']:.0f} % of a core\n"
        f"stick → robot: {moves['count']} moves, p50 {moves['p50_ms']:.2f} ms, p99 {moves['p99_ms']:.2f} ms, "
        f"max {moves['max_ms']:.1f} ms",
        flush=True,
    )
    wrong = []
    if lost or told["skipped"] or told["acks"] != told["total"] or not_stored:
        wrong.append(f"{lost} lost, {told['skipped']} skipped, {not_stored} not stored")
    if not moves["count"]:
        wrong.append("no move has arrived")
    if not options.quick and told["p99_ms"] > P99_MS:
        wrong.append(f"p99 {told['p99_ms']:.1f} ms")
    for line in wrong:
        sys.stderr.write(f"robots: {line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as exc:
        sys.exit(f"robots: {exc}")
