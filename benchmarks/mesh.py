"""The mesh under load, with the real daemon as a process of its own and a root module on a pseudo terminal.

    .venv/bin/python benchmarks/mesh.py [--quick] [--seconds S] [--nodes N] [--rate HZ]

alone      latency of the LES02's events, nothing else
load       200 nodes, each twice a second for 60 s at the pace of 115200 baud: nothing lost between the wire,
           clients of port 8765 and the database; every [GET] answered within 10 ms; the LES02's events beside
corrupted  the same with 1 % of all octets wrong: every frame that is whole arrives

Root module, requests and clients are processes of their own. --quick fails if something does not run or is
lost, never for a time.
"""

import argparse
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.descriptor_bus import FRAME, Feed  # noqa: E402
from benchmarks.workbench import (  # noqa: E402
    PATIENCE_S,
    SETTLE_S,
    BenchmarkError,
    Generator,
    _answers_ping,
    _next,
    _percentiles,
    clients,
)

BAUD = 115_200
BITS_OF_AN_OCTET = 10
FIRST_NODE = 5
GETS_PER_S = 50
GET_MS = 10.0
WRONG = 0.01
# Of the default data types: sequence, temperature, pressure. The pressure is the frame's own number.
SEQUENCE, TEMPERATURE, PRESSURE = 0, 2, 3
CONFIG = """
[rides]
enabled = false
[websocket]
host = "127.0.0.1"
port = 0
[database]
path = "{folder}/les02.db"
[mesh]
enabled = true
device = "{device}"
host = "127.0.0.1"
tcp_ports = [0]
websocket_port = 0
"""


class Daemon:
    def __init__(self, folder: Path, sensor: Feed, device: str) -> None:
        (folder / "config.toml").write_text(CONFIG.format(folder=folder, device=device))
        descriptor = sensor.reader.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serve_daemon", str(descriptor)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=(descriptor,),
            stderr=subprocess.PIPE,
            text=True,
        )
        lines: list[str] = []
        self.port = self.tcp = 0
        assert self.process.stderr is not None
        for line in self.process.stderr:
            lines.append(line)
            record = json.loads(line) if line.startswith("{") else {}
            if record.get("event") == "websocket_server_started":
                self.port = int(record["url"].rpartition(":")[2])
            if record.get("event") == "mesh_listening":
                self.tcp = int(record["ports"][0])
            if record.get("event") == "listener_started":
                break
        else:
            raise BenchmarkError("the daemon has not started:\n" + "".join(lines[-5:]))
        threading.Thread(target=lines.extend, args=(self.process.stderr,), daemon=True).start()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)


# The other side: this file again, as processes. What is framed here is framed without the daemon's code.


def _framed(payload: bytes) -> bytes:
    inside = b"".join(bytes((0xFA, octet ^ 0xFA)) if octet >= 0xFA else bytes((octet,)) for octet in payload)
    return b"\xff" + inside + b"\xfe"


def _frame(number: int, count: int) -> bytes:
    addr, turn = FIRST_NODE + number % count, number // count
    values = bytes((SEQUENCE, turn & 0xFF, TEMPERATURE)) + (2000 + turn % 500).to_bytes(2, "big")
    values += bytes((PRESSURE,)) + number.to_bytes(4, "big")
    return _framed(addr.to_bytes(2, "big") + b"D\x03" + values)


def root(count: int, rate: float) -> None:
    """A root module: prints where it is. Each line `SECONDS WRONG` has it send, and print what it sent."""
    master, slave = os.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)

    def read() -> None:  # NINFO, which is not answered: nodes tell of themselves
        while os.read(master, 4096):
            pass

    threading.Thread(target=read, daemon=True).start()
    randomness, first = random.Random(1), 0
    for line in sys.stdin:
        seconds, wrong = map(float, line.split())
        intact, began, free_at = [], time.monotonic(), 0.0
        total = int(count * rate * seconds)
        for number in range(first, first + total):
            octets = _frame(number, count)
            damaged = bytes(
                octet ^ randomness.randrange(1, 256) if randomness.random() < wrong else octet
                for octet in octets
            )
            if damaged == octets:
                intact.append(number)
            # No sooner than the wire has taken the one before.
            due = max(began + (number - first) / (count * rate), free_at)
            free_at = due + len(octets) * BITS_OF_AN_OCTET / BAUD
            time.sleep(max(0.0, due - time.monotonic()))
            os.write(master, damaged)
        first += total
        print(json.dumps({"total": total, "intact": intact}), flush=True)


def hear(port: int) -> None:
    """One client of port 8765; each line asks it for the numbers that it has heard since the last one."""
    opened = socket.create_connection(("127.0.0.1", port))
    opened.sendall(
        f"GET /?types=node_data HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += opened.recv(1)
    heard: list[int] = []
    gaps = 0

    def listen() -> None:
        nonlocal gaps
        held = bytearray()
        while octets := opened.recv(262_144):
            held += octets
            at = 0
            while (found := _next(held, at)) is not None:
                is_ping = _answers_ping(opened, held, at, found)
                begin, at = found
                if is_ping:
                    continue
                event = json.loads(held[begin:at])
                if event["type"] == "gap" and event["payload"]["where"] != "bus":  # which paused between runs
                    gaps += event["payload"]["skipped"] or 1
                elif event["type"] == "node_data":
                    heard.append(event["payload"]["values"].get("Pressure", {}).get("value"))
            del held[:at]

    threading.Thread(target=listen, daemon=True).start()
    print("ready", flush=True)
    for _ in sys.stdin:
        told, heard = heard, []
        print(json.dumps({"heard": told, "gaps": gaps}), flush=True)


def ask(port: int, count: int) -> None:
    """[GET] for one node after the other; each line asks for the times since the last one."""
    listening = socket.create_connection(("127.0.0.1", port))
    listening.sendall(b"[syn]\0")
    if listening.recv(6) != b"[ack]\0":
        raise BenchmarkError("nobody may listen")
    times: list[float] = []
    wrong = 0

    def run() -> None:
        nonlocal wrong
        turn = 0
        while True:
            addr = FIRST_NODE + turn % count
            began = time.perf_counter()
            with socket.create_connection(("127.0.0.1", port)) as asking:
                asking.sendall(b"[GET]" + addr.to_bytes(2, "big") + bytes((PRESSURE,)))
                answer = b""
                while octets := asking.recv(4096):
                    answer += octets
            times.append(time.perf_counter() - began)
            wrong += answer[:4] + answer[4:6] != bytes((ord("S"), PRESSURE, 4, 1)) + addr.to_bytes(2, "big")
            turn += 1
            time.sleep(1 / GETS_PER_S)

    threading.Thread(target=run, daemon=True).start()
    print("ready", flush=True)
    for _ in sys.stdin:
        told, times = times, []
        print(json.dumps({"wrong": wrong, "answers": len(told), **_percentiles(sorted(told))}), flush=True)
        wrong = 0


class Side:
    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, str(Path(__file__)), *map(str, arguments)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self._read()

    def ask(self, line: str = "") -> Any:
        self.begin(line)
        return self.end()

    def begin(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        return json.loads(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise BenchmarkError("a process of the benchmark has ended")
        return line

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def sensing(daemon: Daemon, sensor: Feed) -> Iterator[dict[str, Any]]:
    """500 positions a second; their latencies are told afterwards."""
    told: dict[str, Any] = {}
    positions = [FRAME.pack(0x80 + number % 2, 4, bytes(8)) for number in range(2)]
    with clients(daemon.port, "/?types=position_sample,system", 1, '"type":"system"') as events:
        generator = Generator(sensor, positions, 500)
        generator.start()
        time.sleep(SETTLE_S)
        yield told
        generator.stop()
        time.sleep(SETTLE_S)
        sensor.end()
        assert events.stdout is not None
        told |= json.loads(events.stdout.readline())


def kept(folder: Path) -> set[int]:
    """The numbers of all frames that the database has."""
    with closing(sqlite3.connect(folder / "les02.db")) as database:
        rows = database.execute("SELECT data FROM mesh_data WHERE type = 'Pressure'").fetchall()
    return {int.from_bytes(data, "big") for (data,) in rows}


class Bench:
    def __init__(self, folder: Path, sensor: Feed, module: Side, count: int) -> None:
        self._folder = folder
        self._sensor = sensor
        self._module = module
        self._daemon = Daemon(folder, sensor, module.first)
        self._sides = [
            module,
            Side("--hear", self._daemon.port),
            Side("--ask", self._daemon.tcp, count),
        ]
        module.ask("1 0")  # now every node is known
        for side in self._sides[1:]:
            side.ask()

    def run(self, seconds: float, wrong: float) -> dict[str, Any]:
        module, hearing, asking = self._sides
        asking.ask()
        with sensing(self._daemon, self._sensor) as beside:
            cpu_s, began = self._daemon.cpu_s(), time.monotonic()
            sent = module.ask(f"{seconds} {wrong}")
            cpu_percent = 100 * (self._daemon.cpu_s() - cpu_s) / (time.monotonic() - began)
        gets = asking.ask()
        intact = set(sent["intact"])
        deadline = time.monotonic() + PATIENCE_S
        while intact - (stored := kept(self._folder)) and time.monotonic() < deadline:
            time.sleep(0.2)
        told = hearing.ask()
        return {
            "total": sent["total"],
            "intact": len(intact),
            "not_told": len(intact - set(told["heard"])),
            "gaps": told["gaps"],
            "not_stored": len(intact - stored),
            "gets": gets,
            "cpu_percent": cpu_percent,
            "sensor": beside,
        }

    def alone(self, seconds: float) -> dict[str, Any]:
        with sensing(self._daemon, self._sensor) as told:
            time.sleep(seconds)
        return told

    def close(self) -> None:
        for each in self._sides[1:]:
            each.close()
        self._daemon.close()
        self._sides[0].close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke test, less than 15 s")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--rate", type=float, default=2.0, metavar="HZ", help="messages of each node")
    for name in ("root", "hear", "ask"):
        parser.add_argument(f"--{name}", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.root:
        root(int(options.root[0]), float(options.root[1]))
        return 0
    if options.hear:
        hear(int(options.hear[0]))
        return 0
    if options.ask:
        ask(*map(int, options.ask))
        return 0
    seconds = 3.0 if options.quick else options.seconds
    with tempfile.TemporaryDirectory() as folder, Feed() as sensor:
        bench = Bench(Path(folder), sensor, Side("--root", options.nodes, options.rate), options.nodes)
        try:
            alone = bench.alone(seconds / 2)
            runs = {
                f"{options.nodes} nodes × {options.rate:g}/s, {seconds:g} s": bench.run(seconds, 0.0),
                f"the same, {WRONG:.0%} of the octets wrong": bench.run(seconds, WRONG),
            }
        finally:
            bench.close()
    print(f"LES02 alone: p50 {alone['p50_ms']:.2f} ms, p99 {alone['p99_ms']:.2f} ms")
    wrong = []
    for name, told in runs.items():
        gets, beside = told["gets"], told["sensor"]
        print(
            f"{name}: {told['total']} frames, {told['intact']} intact, of these {told['not_told']} not told, "
            f"{told['not_stored']} not stored; daemon {told['cpu_percent']:.0f} % of a core\n"
            f"    [GET] {gets['answers']} answers, p50 {gets['p50_ms']:.2f} ms, p99 {gets['p99_ms']:.2f} ms, "
            f"max {gets['max_ms']:.1f} ms\n"
            f"    LES02 beside it: {beside['messages']} events, p50 {beside['p50_ms']:.2f} ms, "
            f"p99 {beside['p99_ms']:.2f} ms, max {beside['max_ms']:.1f} ms",
            flush=True,
        )
        if told["not_told"] or told["not_stored"] or told["gaps"]:
            wrong.append(f"{name}: something is lost")
        if not gets["answers"] or (gets["wrong"] and told["intact"] == told["total"]):
            wrong.append(f"{name}: {gets['wrong']} of {gets['answers']} answers are wrong")
        if not options.quick and gets["max_ms"] > GET_MS:
            wrong.append(f"{name}: a [GET] took {gets['max_ms']:.1f} ms")
    for line in wrong:
        sys.stderr.write(f"mesh: {line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as exc:
        sys.exit(f"mesh: {exc}")
