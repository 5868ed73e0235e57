"""One measurement of the fan-out: a feed, a server, clients, a generator, and what they cost and delivered.

Every part is a process of its own, ends with this one (PR_SET_PDEATHSIG) and listens on loopback only.
"""

import contextlib
import ctypes
import json
import os
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.descriptor_bus import Feed

ROOT = Path(__file__).parents[1]
PATIENCE_S = 90.0
# How long after the last frame a delivery still counts; whoever needs longer is behind for good.
DRAIN_MS = 3000
TAIL_S = 0.3
SAMPLED = 3
COMPILER = os.environ.get("CC", "cc")
# Nothing is long enough to be kept: all of the work but that of the disk.
RIDES = {"off": "enabled = false", "found": "ride_mm = 1e6", "kept": "enabled = true"}
SERVERS = ("daemon", "seed", "broadcast", "floor")
_PR_SET_PDEATHSIG = 1
_CPUCLOCK_SCHED = 2


class BenchmarkError(Exception):
    """A part has failed; the text says which and what it said."""


@dataclass(frozen=True)
class Case:
    server: str
    clients: int
    rate: float | None  # frames a second; 0: flat out, None: no frame at all
    seconds: float
    stuck: bool = False
    warm_s: float = 1.0
    note: str = ""
    rides: str = "off"  # where only the way of an event is compared; "found", and not kept; "kept"


@dataclass
class Result:
    case: Case
    cpu: float  # share of a core
    load_cpu: float
    us_per_delivery: float | None
    rate: float  # events a second and client that arrived in the window
    rss_mib: float
    offered: int
    refused: int  # by the descriptor, whose queue was full
    lost: int  # over all clients: frames offered and not delivered
    untold: int  # of these: neither refused nor told with a `gap`
    p50_ms: float
    p99_ms: float
    max_ms: float
    kernel_held: int | None  # octets in the kernel for the stuck client, at the end of the window
    load: dict[str, Any]
    generator: dict[str, Any]
    stop_s: float | None = None
    held: int | None = None  # octets in the process for the stuck client, when it was given up
    gone_s: float | None = None  # after the generator's start
    skipped: int | None = None  # samples skipped for it until then
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.case.rate or self.rate > 0.99 * self.case.rate


class Tools:
    """The C programs, compiled into a directory that goes away."""

    def __init__(self, *names: str) -> None:
        if shutil.which(COMPILER) is None:
            raise BenchmarkError(
                f"there is no C compiler ({COMPILER}), and generator and clients are written in C: "
                "sudo apt install gcc libc6-dev"
            )
        self._directory = tempfile.TemporaryDirectory(prefix="fanout-")
        for name in names:
            source = Path(__file__).with_name(f"{name}.c")
            command = [COMPILER, "-O2", "-o", self[name], str(source)]
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            if told.returncode:
                raise BenchmarkError(f"{source.name} does not compile (libc6-dev?):\n{told.stderr[:2000]}")

    def __getitem__(self, name: str) -> str:
        return str(Path(self._directory.name) / name)

    def close(self) -> None:
        self._directory.cleanup()


class Process:
    def __init__(
        self, command: list[str], fds: tuple[int, ...] = (), *, talks: bool = False, errors: Any = None
    ) -> None:
        libc = ctypes.CDLL(None)
        parent = os.getpid()

        def die_with_parent() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        foreign = ("LES02_", "NOTIFY_SOCKET", "WATCHDOG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.name = command[2] if command[1] == "-m" else Path(command[0]).name
        self.popen = subprocess.Popen(
            command,
            cwd="/",  # keeps a config.toml of the checkout out of it
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else errors,
            stderr=errors,
            pass_fds=fds,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - this program has one thread
            start_new_session=True,  # Ctrl+C is for the run, which ends the others itself
        )
        self.pid = self.popen.pid

    def say(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def hear(self, alive: Callable[[], None] = lambda: None) -> str:
        """The next line; `alive` raises when waiting has become useless."""
        assert self.popen.stdout is not None
        deadline = time.monotonic() + PATIENCE_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.popen.stdout, selectors.EVENT_READ)
            while not selector.select(0.2):
                alive()
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"{self.name} says nothing")
        line = self.popen.stdout.readline().decode()
        if not line:
            raise BenchmarkError(f"{self.name} has ended with {self.popen.wait(PATIENCE_S)}")
        return line

    def stop(self) -> float:
        """SIGTERM, and how long it took."""
        began = time.monotonic()
        self.popen.terminate()
        self.popen.wait(PATIENCE_S)
        return time.monotonic() - began

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(PATIENCE_S)
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def cpu_s(pid: int) -> float:
    """User and system time of all threads, in nanoseconds' resolution; see clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


def rss_mib(pid: int) -> float:
    words = Path(f"/proc/{pid}/status").read_text().split()
    return int(words[words.index("VmRSS:") + 1]) / 1024


def allow_many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(case: Case, tools: Tools, channel: str | None = None) -> Result:
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(Feed(channel))
        errors = stack.enter_context(tempfile.TemporaryFile())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = _free_port()
        server = Process(_command(case, tools, feed, port, directory), (feed.reader.fileno(),), errors=errors)
        stack.callback(server.end)

        def alive() -> None:
            if server.popen.poll() is not None:
                errors.seek(0)
                tail = errors.read()[-1500:].decode(errors="replace")
                raise BenchmarkError(f"{case.server} has ended with {server.popen.returncode}:\n{tail}")

        command = [tools["load"], *map(str, (port, case.clients, int(case.stuck), SAMPLED))]
        load = Process(command, talks=True)
        stack.callback(load.end)
        stuck_ports = [int(word) for word in load.hear(alive).split()[1:]]
        return _measure(case, tools, feed, server, load, alive, port, stuck_ports, errors)


def _measure(
    case: Case,
    tools: Tools,
    feed: Feed,
    server: Process,
    load: Process,
    alive: Callable[[], None],
    port: int,
    stuck_ports: list[int],
    errors: Any,
) -> Result:
    began = time.time()
    until = began + case.warm_s + case.seconds
    load.say(f"window {round((began + case.warm_s) * 1e9)} {round(until * 1e9)}")
    told: dict[str, Any] = {"offered": 0, "refused": 0}
    with contextlib.ExitStack() as stack:
        generator = None
        if case.rate is not None:
            seconds = case.warm_s + case.seconds + TAIL_S
            command = [tools["generate"], str(feed.writer.fileno()), str(case.rate), str(seconds)]
            generator = Process(command, (feed.writer.fileno(),), talks=True)
            stack.callback(generator.end)
        _sleep_until(began + case.warm_s)
        from_s, server_s, load_s = time.monotonic(), cpu_s(server.pid), cpu_s(load.pid)
        _sleep_until(until)
        alive()
        server_s, load_s = cpu_s(server.pid) - server_s, cpu_s(load.pid) - load_s
        lasted_s = time.monotonic() - from_s
        memory = rss_mib(server.pid)
        kernel_held = next((_send_queue(port, stuck) for stuck in stuck_ports), None)
        if generator is not None:
            told = json.loads(generator.hear(alive))
    load.say(f"finish {told['offered'] - told['refused']} {DRAIN_MS}")
    counted = json.loads(load.hear(alive))
    lost = told["offered"] * case.clients - counted["positions"]
    explained = counted["told_client"] + case.clients * (told["refused"] + counted["told_kernel"])
    result = Result(
        case=case,
        cpu=server_s / lasted_s,
        load_cpu=load_s / lasted_s,
        us_per_delivery=1e6 * server_s / counted["window_events"] if counted["window_events"] else None,
        rate=counted["window_events"] / case.clients / case.seconds,
        rss_mib=memory,
        offered=told["offered"],
        refused=told["refused"],
        lost=lost,
        untold=lost - explained,
        p50_ms=counted["p50_ms"],
        p99_ms=counted["p99_ms"],
        max_ms=counted["max_ms"],
        kernel_held=kernel_held,
        load=counted,
        generator=told,
    )
    if case.server == "daemon":
        result.stop_s = server.stop()
        if server.popen.returncode:
            alive()
        _read_log(result, errors, began)
    return result


def _read_log(result: Result, errors: Any, began: float) -> None:
    """What the daemon and its launcher said of the client that was given up."""
    errors.seek(0)
    for line in errors:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if entry.get("event") == "bench_abort":
                result.held = max(result.held or 0, entry["held"])
                if entry["held"] and result.gone_s is None:
                    result.gone_s = round(entry["at"] - began, 3)
            elif entry.get("event") == "client_aborted":
                result.skipped = entry["skipped"]
            elif entry.get("level") in {"error", "critical"}:
                result.notes.append(str(entry)[:300])


def _command(case: Case, tools: Tools, feed: Feed, port: int, directory: Path) -> list[str]:
    server, descriptor = case.server, str(feed.reader.fileno())
    if server == "floor":
        return [tools["floor"], descriptor, str(port)]
    if server != "daemon":
        return [sys.executable, "-m", f"benchmarks.reference_{server}", descriptor, str(port)]
    config = directory / "config.toml"
    config.write_text(
        f'[websocket]\nhost = "127.0.0.1"\nport = {port}\nmax_clients = 2000\nmax_per_address = 2000\n'
        f'[logging]\nformat = "json"\n[rides]\n{RIDES[case.rides]}\n'
        f'[database]\npath = "{directory}/les02.db"\n'
    )
    return [sys.executable, "-m", "benchmarks.serve_daemon", descriptor, "--config", str(config)]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _send_queue(server_port: int, client_port: int) -> int | None:
    """What the server's kernel still holds for this client; None when the connection is gone."""
    for local, remote, queues in _connections():
        if (local, remote) == (server_port, client_port):
            return queues
    return None


def _connections() -> Iterator[tuple[int, int, int]]:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        yield int(local[-4:], 16), int(remote[-4:], 16), int(queues.partition(":")[0], 16)
