"""The workbench under load, with the real daemon as a process of its own.

    .venv/bin/python benchmarks/workbench.py [--quick] [--seconds S]

plain     12,700 frames/s, a full bus of 1 Mbit/s, undecoded to one client: nothing may be lost
decoded   1,000 frames/s, decoded, to 10 clients: p99 from the bus to the client below 10 ms, nothing lost
sensor    latency of the LES02's events alone, and beside `decoded`

Frames come from descriptors with the kernel's timestamps (`descriptor_bus`); clients and generator are
processes of their own. --quick fails if something does not run or is lost, never for a time.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.descriptor_bus import FRAME, Feed  # noqa: E402

DBC = ROOT / "mock" / "bench.dbc"
BUS_FULL = 12_700
SETTLE_S = 0.5
PING, PONG = 0x9, 0xA
PATIENCE_S = 30.0
END_ID = 0x7FF
CONFIG = """
[rides]
enabled = false
[websocket]
host = "127.0.0.1"
port = 0
[api]
enabled = true
host = "127.0.0.1"
port = 0
[workbench]
enabled = true
dbc_folder = "{folder}/dbc"
[workbench.buses.default]
device_type = "socketcan"
channel = "bench0"
"""


class BenchmarkError(Exception):
    pass


class Daemon:
    def __init__(self, folder: Path, sensor: Feed, bench: Feed) -> None:
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        descriptors = sensor.reader.fileno(), bench.reader.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serve_workbench", *map(str, descriptors)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder)},
            pass_fds=descriptors,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        urls: dict[str, str] = {}
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.append(line)
            record = json.loads(line) if line.startswith("{") else {}
            if record.get("event") in {"websocket_server_started", "api_started"}:
                urls[record["event"]] = record["url"]
            if record.get("event") == "workbench_bus_up":
                break
        else:
            raise BenchmarkError("the daemon has not started:\n" + "".join(self._lines[-5:]))
        self.port = int(urls["websocket_server_started"].rpartition(":")[2])
        self.api = urls["api_started"]
        threading.Thread(target=self._lines.extend, args=(self.process.stderr,), daemon=True).start()

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.api + path, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def upload(self, path: Path) -> None:
        body = (
            b"--x\r\nContent-Disposition: form-data; name=file; filename=bench.dbc\r\n\r\n"
            + path.read_bytes()
            + b"\r\n--x--\r\n"
        )
        request = urllib.request.Request(
            f"{self.api}/dbc/upload", body, {"Content-Type": "multipart/form-data; boundary=x"}
        )
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)


class Generator(threading.Thread):
    """So many frames a second, evenly within a millisecond or two."""

    def __init__(self, feed: Feed, frames: list[bytes], rate: float) -> None:
        super().__init__(daemon=True)
        self._feed = feed
        self._frames = frames
        self._rate = rate
        self.stopping = threading.Event()
        self.sent = 0

    def run(self) -> None:
        began = time.monotonic()
        send, frames = self._feed.writer.send, self._frames
        while not self.stopping.is_set():
            due = int((time.monotonic() - began) * self._rate)
            for number in range(self.sent, due):
                send(frames[number % len(frames)])
            self.sent = max(self.sent, due)
            time.sleep(0.001)

    def stop(self) -> int:
        self.stopping.set()
        self.join()
        return self.sent


# Clients: this file again, as a process, with bare sockets, so that they cost less than what they measure.


def listen(port: int, path: str, count: int, mark: str) -> None:
    """Counts until each has seen the mark; prints messages, skipped ones and latencies as JSON."""
    watch = selectors.DefaultSelector()
    for _ in range(count):
        opened = socket.create_connection(("127.0.0.1", port))
        opened.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += opened.recv(1)
        if b" 101 " not in head.splitlines()[0]:
            raise BenchmarkError(head.decode())
        watch.register(opened, selectors.EVENT_READ, bytearray())
    print("ready", flush=True)
    messages = skipped = 0
    latencies: list[float] = []
    end, stamp = mark.encode(), (b'"timestamp":' if path.startswith("/ws/") else b'"ts":')
    while watch.get_map():
        for key, _ in watch.select(PATIENCE_S):
            connection, held = key.fileobj, key.data
            assert isinstance(connection, socket.socket)
            octets = connection.recv(262_144)
            now = time.time()
            held += octets
            at = 0
            over = not octets
            while (found := _next(held, at)) is not None:
                is_ping = _answers_ping(connection, held, at, found)
                begin, at = found
                if is_ping:
                    continue
                if (where := held.find(stamp, begin, at)) < 0 or held.startswith(b'{"type"', begin):
                    if held.startswith(b'{"type":"gap"', begin):
                        skipped += json.loads(held[begin:at])["skipped"]
                elif held.find(end, begin, min(begin + 60, at)) >= 0:
                    over = True
                else:
                    messages += 1
                    start = where + len(stamp)
                    latencies.append(now - float(held[start : held.index(b",", start)]))
            del held[:at]
            if over:
                watch.unregister(connection)
    latencies.sort()
    told = {"messages": messages, "skipped": skipped, **_percentiles(latencies)}
    print(json.dumps(told), flush=True)


def _next(held: bytearray, at: int) -> tuple[int, int] | None:
    """Where the next whole frame's payload begins and ends."""
    if len(held) < at + 2:
        return None
    length, begin = held[at + 1] & 0x7F, at + 2
    if length == 126:
        length, begin = int.from_bytes(held[at + 2 : at + 4], "big"), at + 4
    elif length == 127:
        length, begin = int.from_bytes(held[at + 2 : at + 10], "big"), at + 10
    return (begin, begin + length) if len(held) >= begin + length and begin > at + 1 else None


def _answers_ping(connection: socket.socket, held: bytearray, at: int, found: tuple[int, int]) -> bool:
    """The daemon asks every 20 s, and lets go of who does not answer."""
    if held[at] & 0x0F != PING:
        return False
    begin, end = found
    connection.sendall(bytes((0x80 | PONG, 0x80 | (end - begin), 0, 0, 0, 0)) + held[begin:end])
    return True


def _percentiles(ordered: list[float]) -> dict[str, float]:
    if not ordered:
        return {"p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}
    return {
        "p50_ms": 1000 * statistics.median(ordered),
        "p99_ms": 1000 * ordered[int(0.99 * (len(ordered) - 1))],
        "max_ms": 1000 * ordered[-1],
    }


@contextmanager
def clients(port: int, path: str, count: int, mark: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(Path(__file__)), "--listen", str(port), path, str(count), mark]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise BenchmarkError("the clients have not connected")
            yield process
        finally:
            process.kill()


def measure(daemon: Daemon, feed: Feed, path: str, count: int, rate: float, seconds: float) -> dict[str, Any]:
    frames = [FRAME.pack(0x100, 8, number.to_bytes(2, "little") + bytes(6)) for number in range(10_000)]
    before = daemon.get("/stats")["message_count"]
    with clients(daemon.port, path, count, f'"id":{END_ID},') as process:
        time.sleep(SETTLE_S)
        generator = Generator(feed, frames, rate)
        cpu_s, began = daemon.cpu_s(), time.monotonic()
        generator.start()
        time.sleep(seconds)
        sent = generator.stop()
        took_s = time.monotonic() - began
        cpu = (daemon.cpu_s() - cpu_s) / took_s
        time.sleep(SETTLE_S)
        feed.writer.send(FRAME.pack(END_ID, 0, bytes(8)))
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
    received = daemon.get("/stats")["message_count"] - before - 1
    return {
        **told,
        "sent": sent,
        "lost": sent * count - told["messages"],
        "lost_before": sent - received,
        "rate": sent / took_s,
        "cpu_percent": 100 * cpu,
    }


def sensor_latency(daemon: Daemon, sensor: Feed, bench: Feed | None, seconds: float) -> dict[str, Any]:
    positions = [FRAME.pack(0x80 + number % 2, 4, bytes(8)) for number in range(2)]
    beside = None
    with clients(daemon.port, "/", 1, '"type":"system"') as process:
        time.sleep(SETTLE_S)
        generator = Generator(sensor, positions, 500)
        generator.start()
        if bench is not None:
            beside = measure(daemon, bench, "/ws/can", 10, 1000, seconds)
        else:
            time.sleep(seconds)
        generator.stop()
        time.sleep(SETTLE_S)
        sensor.end()
        assert process.stdout is not None
        told: dict[str, Any] = json.loads(process.stdout.readline())
    return {**told, "beside": beside}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke test, less than 15 s")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument(
        "--listen", nargs=4, metavar=("PORT", "PATH", "COUNT", "MARK"), help=argparse.SUPPRESS
    )
    options = parser.parse_args(arguments)
    if options.listen:
        port, path, count, mark = options.listen
        listen(int(port), path, int(count), mark)
        return 0
    seconds = 1.0 if options.quick else options.seconds
    wrong = []
    with tempfile.TemporaryDirectory() as folder, Feed() as sensor, Feed() as bench:
        daemon = Daemon(Path(folder), sensor, bench)
        try:
            daemon.upload(DBC)
            rate = 2000 if options.quick else BUS_FULL
            plain = measure(daemon, bench, "/ws/can?decoded=0", 1, rate, seconds)
            _say(f"plain, {rate}/s to 1 client", plain)
            decoded = measure(daemon, bench, "/ws/can", 10, 200 if options.quick else 1000, seconds)
            _say("decoded, to 10 clients", decoded)
            alone = sensor_latency(daemon, sensor, None, seconds)
            beside = sensor_latency(daemon, sensor, bench, seconds)
            for name, told in (("alone", alone), ("beside decoded", beside)):
                print(f"sensor {name}: p50 {told['p50_ms']:.2f} ms, p99 {told['p99_ms']:.2f} ms")
        finally:
            daemon.close()
    for name, told in (("plain", plain), ("decoded", decoded)):
        if told["lost"] or told["skipped"] or not told["messages"]:
            wrong.append(f"{name}: {told['lost']} of {told['sent']} lost")
    if not options.quick and decoded["p99_ms"] > 10:
        wrong.append(f"decoded: p99 {decoded['p99_ms']:.1f} ms")
    for line in wrong:
        sys.stderr.write(f"workbench: {line}\n")
    return 1 if wrong and options.quick else 0


def _say(name: str, told: dict[str, Any]) -> None:
    print(
        f"{name}: {told['rate']:.0f}/s, lost {told['lost']} ({told['lost_before']} before the daemon), "
        f"p50 {told['p50_ms']:.2f} ms, p99 {told['p99_ms']:.2f} ms, max {told['max_ms']:.1f} ms, "
        f"{told['cpu_percent']:.0f} % of a core",
        flush=True,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as exc:
        sys.exit(f"workbench: {exc}")
