"""The arrays under load, with the real daemon as a process of its own.

    .venv/bin/python benchmarks/arrays.py [--quick] [--seconds S] [--megabytes N]

large     an array up and down, as npy and as JSON: rate, and how much the daemon grows (below 100 MB)
many      100 points at 20/s to 100 clients, JSON: p99 from packet to client below 50 ms
wide      10,000 points at 50/s to 5 clients, JSON and binary: the same
cost      CPU of the daemon for either form, and of the encoding alone: binary less than a fifth
sensor    latency of the LES02's events alone, and beside each of these

Clients and generator are processes of their own. --quick fails if something does not run or is lost,
never for a time.
"""

import argparse
import base64
import http.client
import io
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.descriptor_bus import FRAME, Feed  # noqa: E402
from benchmarks.workbench import (  # noqa: E402
    PATIENCE_S,
    SETTLE_S,
    BenchmarkError,
    Generator,
    _next,
    _percentiles,
    clients,
)
from listener.arrays.packets import HEADER, MAGIC, Packet, binary, text_pieces  # noqa: E402

PIECE = 1024 * 1024
BINARY = "?format=binary"
FILL_S = 1.0
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
[arrays]
enabled = true
folder = "{folder}/arrays"
"""


class Daemon:
    def __init__(self, folder: Path, sensor: Feed) -> None:
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        descriptor = sensor.reader.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serve_daemon", str(descriptor)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder)},
            pass_fds=(descriptor,),
            stderr=subprocess.PIPE,
            text=True,
        )
        lines: list[str] = []
        urls: dict[str, str] = {}
        assert self.process.stderr is not None
        for line in self.process.stderr:
            lines.append(line)
            record = json.loads(line) if line.startswith("{") else {}
            if record.get("event") in {"websocket_server_started", "api_started"}:
                urls[record["event"]] = record["url"]
            if record.get("event") == "listener_started":
                break
        else:
            raise BenchmarkError("the daemon has not started:\n" + "".join(lines[-5:]))
        self.port = int(urls["websocket_server_started"].rpartition(":")[2])
        self.api = int(urls["api_started"].rpartition(":")[2])
        threading.Thread(target=lines.extend, args=(self.process.stderr,), daemon=True).start()

    def cpu_s(self) -> float:
        # The clock of that process (clock_getcpuclockid): /proc counts in hundredths of a second.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)


# Large


def large(daemon: Daemon, megabytes: int) -> dict[str, float]:
    most, stopping = [daemon.resident_mb()] * 2, threading.Event()

    def watch() -> None:
        while not stopping.wait(0.02):
            most[1] = max(most[1], daemon.resident_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    index = _upload(daemon.api, megabytes)
    up = time.monotonic()
    size = _download(daemon.api, f"/array/{index}?format=npy")
    down = time.monotonic()
    _download(daemon.api, f"/array/{index}?rows=::{max(1, megabytes // 50)}")
    stopping.set()
    watcher.join()
    if size < megabytes * PIECE:
        raise BenchmarkError(f"{size} octets came back")
    return {
        "up_mb_s": megabytes / (up - began),
        "down_mb_s": megabytes / (down - up),
        "grown_mb": most[1] - most[0],
    }


def _upload(port: int, megabytes: int) -> int:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (megabytes * PIECE // 8,)}
    )
    head = b"--x\r\nContent-Disposition: form-data; name=file; filename=a.npy\r\n\r\n" + header.getvalue()
    tail = b"\r\n--x--\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.putrequest("POST", "/upload")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(len(head) + megabytes * PIECE + len(tail)))
    connection.endheaders()
    piece = np.random.default_rng(1).normal(size=PIECE // 8).tobytes()
    connection.send(head)
    for _ in range(megabytes):
        connection.send(piece)
    connection.send(tail)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    if answer.status != 200:
        raise BenchmarkError(str(told))
    return int(told["index"])


def _download(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", path)
    answer = connection.getresponse()
    size = 0
    while octets := answer.read(PIECE):
        size += len(octets)
    connection.close()
    return size


# Clients: this file again, as a process, with bare sockets, so that they cost less than what they measure.


def listen(port: int, path: str, count: int, ask: str, seconds: float) -> None:
    watch = selectors.DefaultSelector()
    for _ in range(count):
        opened = socket.create_connection(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        opened.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += opened.recv(1)
        message = ask.encode()
        opened.sendall(bytes((0x81, 0x80 | len(message), 0, 0, 0, 0)) + message)
        watch.register(opened, selectors.EVENT_READ, bytearray())
    print("ready", flush=True)
    packets = skipped = 0
    latencies: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key_, _ in watch.select(0.1):
            connection, held = key_.fileobj, key_.data
            assert isinstance(connection, socket.socket)
            held += connection.recv(1_048_576)
            now = time.time()
            at = 0
            while (found := _next(held, at)) is not None:
                begin, at = found
                sent_at = _sent_at(held, begin)
                if sent_at is not None:
                    packets += 1
                    latencies.append(now - sent_at)
                elif held.startswith(b'{"type":"gap"', begin):
                    skipped += json.loads(held[begin:at])["skipped"]
            del held[:at]
    latencies.sort()
    print(json.dumps({"packets": packets, "skipped": skipped, **_percentiles(latencies)}), flush=True)


def _sent_at(held: bytearray, begin: int) -> float | None:
    if held.startswith(MAGIC, begin):
        return float(HEADER.unpack_from(held, begin)[6])
    mark = b'{"type":"data","timestamp":'
    if not held.startswith(mark, begin):
        return None
    start = begin + len(mark)
    return float(held[start : held.index(b",", start)])


@contextmanager
def listening(
    daemon: Daemon,
    count: int,
    window: int,
    rate: float,
    seconds: float,
    query: str = "",
    source: str = "demo",
) -> Iterator[Callable[[], dict[str, Any]]]:
    ask = json.dumps({"action": "start", "source": source, "window": window, "rate": rate})
    command = [sys.executable, str(Path(__file__)), "--listen", str(daemon.port), f"/ws/stream{query}"]
    command += [str(count), ask, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout
        try:
            if output.readline() != "ready\n":
                raise BenchmarkError("the clients have not connected")
            yield lambda: json.loads(output.readline())
        finally:
            process.kill()


def streamed(
    daemon: Daemon, sensor: Feed, count: int, window: int, rate: float, seconds: float, query: str = ""
) -> dict[str, Any]:
    """Beside the sensor."""
    positions = [FRAME.pack(0x80 + number % 2, 4, bytes(8)) for number in range(2)]
    with clients(daemon.port, "/", 1, '"type":"system"') as events:
        generator = Generator(sensor, positions, 500)
        generator.start()
        time.sleep(SETTLE_S)
        cpu_s, began = daemon.cpu_s(), time.monotonic()
        told: dict[str, Any] = {"packets": 0, "skipped": 0, **_percentiles([])}
        if count:
            with listening(daemon, count, window, rate, seconds, query) as result:
                told = result()
        else:
            time.sleep(seconds)
        told["cpu_percent"] = 100 * (daemon.cpu_s() - cpu_s) / (time.monotonic() - began)
        generator.stop()
        time.sleep(SETTLE_S)
        sensor.end()
        assert events.stdout is not None
        told["sensor"] = json.loads(events.stdout.readline())
    return told


def cost(daemon: Daemon, sensor: Feed, count: int, window: int, seconds: float, query: str = "") -> float:
    """Of the sensor's positions, `window` of them 50 times a second: seconds of CPU in a second."""
    positions = [FRAME.pack(0x80, 4, number.to_bytes(3, "big") + bytes(5)) for number in range(5000)]
    with listening(daemon, count, window, 50, FILL_S + seconds + SETTLE_S, query, "les02.position"):
        filling = Generator(sensor, positions, window / FILL_S)
        filling.start()
        time.sleep(FILL_S)
        filling.stop()
        going_on = Generator(sensor, positions, 60)
        going_on.start()
        cpu_s, began = daemon.cpu_s(), time.monotonic()
        time.sleep(seconds)
        share = (daemon.cpu_s() - cpu_s) / (time.monotonic() - began)
        going_on.stop()
    return share


def encoding(window: int) -> tuple[float, float]:
    """Of one packet, as JSON and binary: ms of CPU."""
    points = np.random.default_rng(1).normal(size=(2, window))
    packet = Packet(time.time(), points[0], points[1], more={})
    times = []
    ways: list[Callable[[], bytes]] = [lambda: b"".join(text_pieces(packet)), lambda: binary(packet)]
    for encode in ways:
        began = time.process_time()
        for _ in range(100):
            encode()
        times.append(10 * (time.process_time() - began))
    return times[0], times[1]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke test, less than 15 s")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--megabytes", type=int, default=500, help="of the large array")
    parser.add_argument("--listen", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.listen:
        port, path, count, ask, seconds = options.listen
        listen(int(port), path, int(count), ask, float(seconds))
        return 0
    seconds = 1.0 if options.quick else options.seconds
    many, window = (20, 2_000) if options.quick else (100, 10_000)
    with tempfile.TemporaryDirectory() as folder, Feed() as sensor:
        daemon = Daemon(Path(folder), sensor)
        try:
            size = 50 if options.quick else options.megabytes
            moved = large(daemon, size)
            print(
                f"large, {size} MB: up {moved['up_mb_s']:.0f} MB/s, down {moved['down_mb_s']:.0f} MB/s, "
                f"the daemon grew by {moved['grown_mb']:.0f} MB",
                flush=True,
            )
            runs = {
                "alone": streamed(daemon, sensor, 0, 0, 0, seconds),
                f"100 points at 20/s to {many}": streamed(daemon, sensor, many, 100, 20, seconds),
                f"{window} points at 50/s to 5": streamed(daemon, sensor, 5, window, 50, seconds),
                "the same, binary": streamed(daemon, sensor, 5, window, 50, seconds, BINARY),
            }
            costs = {
                (count, query): cost(daemon, sensor, count, window, seconds, query)
                for count, query in ((0, ""), (1, ""), (1, BINARY), (5, ""), (5, BINARY))
            }
        finally:
            daemon.close()
    for name, told in runs.items():
        beside = told["sensor"]
        print(
            f"{name}: {told['packets']} packets, {told['skipped']} skipped, p50 {told['p50_ms']:.1f} ms, "
            f"p99 {told['p99_ms']:.1f} ms, {told['cpu_percent']:.0f} % of a core; "
            f"sensor p50 {beside['p50_ms']:.2f} ms, p99 {beside['p99_ms']:.2f} ms"
        )
    nothing = costs.pop((0, ""))
    for count in (1, 5):
        text, octets = (100 * (costs[count, query] - nothing) for query in ("", BINARY))
        print(
            f"{window} positions at 50/s to {count}: JSON {text:.1f} % of a core, binary {octets:.1f} %, "
            f"1/{text / max(0.1, octets):.1f}, with all that the kernel does to send it"
        )
    text, octets = encoding(window)
    print(f"to encode {window} points: JSON {text:.2f} ms, binary {octets:.3f} ms, 1/{text / octets:.0f}")
    wrong = [
        f"{name}: nothing came" for name, told in runs.items() if name != "alone" and not told["packets"]
    ]
    if moved["grown_mb"] > 100:
        wrong.append(f"the daemon grew by {moved['grown_mb']:.0f} MB")
    if not options.quick:
        wrong += [
            f"{name}: p99 {told['p99_ms']:.0f} ms" for name, told in runs.items() if told["p99_ms"] > 50
        ]
    for line in wrong:
        sys.stderr.write(f"arrays: {line}\n")
    return 1 if wrong and options.quick else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as exc:
        sys.exit(f"arrays: {exc}")
