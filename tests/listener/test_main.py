import asyncio
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import can
import pytest
import structlog
from websockets.asyncio.client import connect

from listener import __version__, config, main, systemd, websocket_port
from listener.demo import Demo
from listener.les02 import LES02
from listener.raw_frame import Flag, RawFrame
from listener.websocket_server import WebSocketEventServer

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def alone(untouched_logging: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration but the test's own."""
    for name in os.environ:
        if name.startswith(("LES02_", "NOTIFY_SOCKET", "WATCHDOG_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def leslisten(*arguments: str, prelude: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """As a process; `prelude` is Python that runs in it before."""
    command = ["-m", "listener.main"]
    if prelude:
        command = ["-c", f"import sys\nfrom listener import main\n{prelude}\nsys.exit(main.main())"]
    return subprocess.run(
        [sys.executable, *command, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def demo(*arguments: str) -> list[str]:
    return ["--demo", "--host", "127.0.0.1", "--port", "0", *arguments]


def end_as_soon_as_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "ready", lambda _text: os.kill(os.getpid(), signal.SIGTERM))


def plain(text: str) -> list[str]:
    """What is written for people; the rest are log records."""
    return [line for line in text.splitlines() if not line.startswith("{")]


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


# Configuration

MISTAKES = [
    ("[websoket]\nport = 1\n", [], "{file}: unknown section [websoket], did you mean [websocket]?"),
    ("[can]\nchanel = 'can1'\n", [], '{file}: [can] chanel: unknown key, did you mean "channel"?'),
    ("[websocket]\nport = '8765'\n", [], "{file}: [websocket] port: expected int, got str"),
    ("[websocket]\nport = 65536\n", [], "{file}: [websocket] port: 65536 is not in 0…65535"),
    ("[les02]\nsilence_s = 0\n", [], "{file}: [les02] silence_s: 0 is not above 0 and up to 86400 s"),
    ("", ["--port", "70000"], "--port: 70000 is not in 0…65535"),
    ("", ["--port", "http"], "--port: expected int, got str"),
    ("", ["--log-level", "LOUD"], '--log-level: "LOUD" is not one of DEBUG, INFO, WARNING, ERROR'),
    (
        "[logging]\nfile = '/nonexistent/log'\n",
        [],
        "[logging] file: /nonexistent/log: No such file or directory",
    ),
]


@pytest.mark.parametrize(("text", "flags", "complaint"), MISTAKES)
def test_a_mistake_in_the_configuration_is_one_line_and_exit_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, flags: list[str], complaint: str
) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(text, encoding="utf-8")
    assert main.main(["--config", str(file), *flags]) == 78
    captured = capsys.readouterr()
    assert captured.err == f"leslisten: {complaint.format(file=file)}\n"
    assert captured.out == ""


def test_broken_toml_and_a_missing_file_are_one_line_and_exit_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[can\n")
    for file, reason in ((broken, "line 1"), (tmp_path / "missing.toml", "No such file or directory")):
        assert main.main(["--config", str(file)]) == 78
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"leslisten: {file}: ")
        assert reason in line


def test_a_mistake_ends_the_process_before_anything_is_opened() -> None:
    ended = leslisten("--demo", LES02_WEBSOCKET__PROT="1")
    assert ended.returncode == 78
    assert ended.stderr == (
        "leslisten: LES02_WEBSOCKET__PROT: unknown variable, did you mean LES02_WEBSOCKET__PORT?\n"
    )
    assert ended.stdout == ""


def test_several_mistakes_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text("[can]\nchannel = 5\n[nonsense]\n")
    assert main.main(["--port", "-1"]) == 78
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_check_config_tells_each_value_and_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[can]\nchannel = 'can1'\n")
    ended = leslisten("--check-config", "--port", "9000", LES02_LES02__SOURCE="bench 3")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert f'channel = "can1" # {tmp_path / "config.toml"}' in lines
    assert "port = 9000 # flag --port" in lines
    assert 'source = "bench 3" # environment LES02_LES02__SOURCE' in lines
    assert 'host = "localhost" # default' in lines


def test_check_config_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "Daemon", None)
    assert main.main(["--check-config"]) == 0
    assert capsys.readouterr().out.startswith("[can]\n")


def test_version_is_told() -> None:
    ended = leslisten("--version")
    assert (ended.returncode, ended.stdout) == (0, f"leslisten {__version__}\n")


# What cannot be had


def test_without_can_it_is_one_line_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_bus(*_arguments: object, **_settings: object) -> can.BusABC:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(can, "Bus", no_bus)
    assert main.main(["--port", "0"]) == 1
    assert plain(capsys.readouterr().err) == [
        "leslisten: cannot open socketcan can0: this kernel has no CAN; "
        "try: sudo modprobe can_raw (or leslisten --demo)"
    ]


def test_an_interface_that_does_not_exist_ends_the_process_with_one_line_and_exit_1() -> None:
    ended = leslisten("--channel", "nosuchcan", "--port", "0")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("leslisten: cannot open socketcan nosuchcan: ")
    assert "try: sudo " in line


def test_a_used_port_is_one_line_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main.main(["--demo", "--host", "127.0.0.1", "--port", str(port)]) == 1
    (line,) = plain(capsys.readouterr().err)
    assert line.startswith(f"leslisten: port {port} on 127.0.0.1 is in use; ")


# Running


def test_a_signal_ends_it_with_0_and_the_start_is_told_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    end_as_soon_as_started(monkeypatch)
    assert main.main(demo()) == 0
    text = capsys.readouterr().err
    assert plain(text) == []
    assert [record["event"] for record in records(text) if record["event"] != "receiving"] == [
        "rides_are_kept",
        "websocket_server_starting",
        "websocket_server_started",
        "waiting_for_clients",
        "listener_started",
        "listener_stopping",
        "listener_stopped",
    ]
    started = next(record for record in records(text) if record["event"] == "listener_started")
    assert (started["version"], started["bus"]) == (__version__, "virtual can0")


def test_without_the_demo_nothing_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    end_as_soon_as_started(monkeypatch)
    monkeypatch.setattr(Demo, "__init__", broken_at_once)
    assert main.main(["--interface", "virtual", "--host", "127.0.0.1", "--port", "0"]) == 0


async def broken(*_arguments: object) -> None:
    raise RuntimeError("the part is broken")


def broken_at_once(*_arguments: object) -> None:
    raise RuntimeError("the part is broken")


@pytest.mark.parametrize(
    ("owner", "name", "defect"),
    [
        (LES02, "run", broken),
        (LES02, "watch", broken),
        (LES02, "check_silence", broken_at_once),
        (systemd, "watchdog", broken),
        (Demo, "run", broken),
        (WebSocketEventServer, "start", broken),
        (LES02, "feed", broken_at_once),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_part_that_fails_ends_the_process_with_a_clear_line_and_exit_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    owner: Any,
    name: str,
    defect: Callable[..., Any],
) -> None:
    monkeypatch.setattr(owner, name, defect)
    assert main.main(demo()) == 1
    text = capsys.readouterr().err
    assert plain(text) == ["leslisten: stopped by an error: RuntimeError: the part is broken"]
    failure = next(record for record in records(text) if record["event"] == "listener_failed")
    assert failure["level"] == "critical"
    assert "the part is broken" in failure["exception"]


def test_a_part_that_fails_ends_a_real_process_too() -> None:
    prelude = "async def broken(self): raise RuntimeError('broken')\nmain.LES02.watch = broken"
    ended = leslisten(*demo(), prelude=prelude)
    assert ended.returncode == 1
    assert plain(ended.stderr) == ["leslisten: stopped by an error: RuntimeError: broken"]


async def answer(port: int, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body


async def test_health_is_503_while_the_bus_is_lost_and_hello_says_so() -> None:
    flags = {"interface": "virtual", "channel": "lost", "host": "127.0.0.1", "port": "0"}
    daemon = main.Daemon(config.load(flags, {}, Path.cwd()))
    await daemon.server.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            status, body = await answer(daemon.server.port, "/healthz")
            assert (status, json.loads(body)["status"]) == (503, "bus_lost")
            assert json.loads(body)["last_frame_age_s"] is None
            assert "les02_bus_up 0\n" in (await answer(daemon.server.port, "/metrics"))[1]
            async with connect(f"ws://127.0.0.1:{daemon.server.port}") as client:
                hello = json.loads(await client.recv())
            assert (hello["type"], hello["payload"]["bus"], hello["payload"]["parts"]) == (
                "hello",
                "bus_lost",
                [],
            )
            daemon.sensor.bus_up()
            daemon.sensor.feed(RawFrame(0x80, 0, bytes(4), 2e9))
            status, body = await answer(daemon.server.port, "/healthz")
            assert (status, json.loads(body)["status"]) == (200, "ok")
            assert json.loads(body)["last_frame_age_s"] < PATIENCE_S
    finally:
        await daemon.server.stop()


async def test_what_was_lost_is_counted_in_health_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"interface": "virtual", "channel": "losses", "host": "127.0.0.1", "port": "0"}
    monkeypatch.setattr("listener.can_reader.CANBusReader.dropped", lambda _reader: 1722)
    daemon = main.Daemon(config.load(flags, {}, Path.cwd()))
    daemon.sensor.feed(RawFrame(0x40, Flag.ERROR, bytes(8), 2e9))
    daemon.sensor.diagnosis.check_kernel()
    await daemon.server.start()
    try:
        _, health = await answer(daemon.server.port, "/healthz")
        _, metrics = await answer(daemon.server.port, "/metrics")
    finally:
        await daemon.server.stop()
    told = json.loads(health)
    assert told["lost"] == {"kernel": 1722, "bus": 0}
    assert (told["can_errors"], told["clock_steps"]) == ({"bus_off": 1}, 0)
    lines = metrics.splitlines()
    assert 'les02_lost_frames_total{where="kernel"} 1722' in lines
    assert 'les02_can_errors_total{class="bus_off"} 1' in lines
    assert "les02_clock_steps_total 0" in lines


def test_what_is_not_needed_at_the_start_is_not_imported() -> None:
    heavy = {"numpy", "fastapi", "uvicorn", "serial", "cantools", "mock"}
    program = f"import sys, listener.main\nprint(*({heavy} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert ended.stdout.split() == []


def test_stopping_leaves_the_daemon_time_for_its_connections() -> None:
    assert max(websocket_port.OPEN_S, websocket_port.CLOSE_S) < main.STOP_S


@pytest.mark.parametrize(("closed", "code"), [("2>&-", 78), (">&-", 78)])
def test_a_stream_that_was_closed_at_the_start_does_not_change_the_exit_code(closed: str, code: int) -> None:
    command = f"exec {sys.executable} -m listener.main --port x {closed}"
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, timeout=20, check=False)
    assert ended.returncode == code
    assert b"Traceback" not in ended.stderr


def test_a_host_that_no_name_server_could_know_is_one_line_and_exit_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["--demo", "--host", "a" * 70, "--port", "0"]) == 1
    (line,) = plain(capsys.readouterr().err)
    assert line.startswith("leslisten: cannot listen on aaa")


@pytest.mark.parametrize(
    ("soft", "hard", "clients", "then", "told"),
    [
        (1024, 524_288, 1000, 1200, False),
        (1024, resource.RLIM_INFINITY, 5000, 5200, False),
        (4096, 4096, 1000, None, False),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 1000, None, False),
        (256, 1024, 1000, 1024, True),
    ],
)
def test_there_is_a_descriptor_for_every_client_or_it_is_told(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, clients: int, then: int | None, told: bool
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    with structlog.testing.capture_logs() as logs:
        main._allow_files(clients)
    assert limits == ([] if then is None else [(then, hard)])
    assert [line["event"] for line in logs] == (["too_few_files"] if told else [])


def test_a_limit_that_may_not_be_raised_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with structlog.testing.capture_logs() as logs:
        main._allow_files(1000)
    assert logs[0]["limit"] == 1024
