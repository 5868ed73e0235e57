"""start_dev.sh as its user meets it: real processes, in this terminal, in tmux and in windows."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATIENCE_S = 30.0
MARK = "LES02_TEST_MARK"

needs_tmux = pytest.mark.skipif(
    shutil.which("tmux") is None and os.environ.get("CI") != "true", reason="no tmux: apt install tmux"
)


def until(find: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not find():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Stage:
    """An environment in which every process that is started carries a mark."""

    environment: dict[str, str]
    mark: bytes

    def processes(self) -> dict[int, str]:
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(folder.name)] = command
            except OSError:  # gone in the meantime
                continue
        return found

    def runs(self, program: str) -> bool:
        return any(program in command for command in self.processes().values())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [ROOT / "start_dev.sh", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def nothing_is_left(self) -> bool:
        return not self.processes()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with socket.create_server(("localhost", 0)) as probe:
        port = probe.getsockname()[1]
    value = uuid.uuid4().hex
    environment = {
        **os.environ,
        MARK: value,
        "LES02_VENV": sys.prefix,
        "LES02_WEBSOCKET__PORT": str(port),
        "TMPDIR": str(tmp_path),
    }
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX"):
        environment.pop(name, None)
    stage = Stage(environment, f"{MARK}={value}".encode())
    yield stage
    for process in stage.processes():
        os.kill(process, signal.SIGKILL)


def debug_events(output: str) -> list[dict[str, object]]:
    texts = [line.removeprefix("[debug] ") for line in output.splitlines()]
    return [json.loads(text) for text in texts if text.startswith("{") and '"proto"' in text]


def test_three_programs_share_one_terminal_and_end_after_the_given_time(stage: Stage) -> None:
    running = stage.start("--plain", "--seconds", "4")
    output, remarks = running.communicate(timeout=PATIENCE_S)

    assert running.returncode == 0, output + remarks
    assert all(line.startswith(("[listener] ", "[mock] ", "[debug] ")) for line in output.splitlines())
    kinds = [event["type"] for event in debug_events(output)]
    assert kinds[0] == "hello"
    assert kinds.count("position_sample") > 100
    assert "[listener] " in output
    until(stage.nothing_is_left, "the end of all processes")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_in_order(stage: Stage, number: signal.Signals) -> None:
    running = stage.start("--plain")
    assert running.stdout
    for line in running.stdout:
        if "position_sample" in line:
            break
    os.killpg(running.pid, number)  # what Ctrl+C does: the whole foreground group gets it
    output, remarks = running.communicate(timeout=PATIENCE_S)

    assert running.returncode == 0, remarks
    assert "listener_stopped" in output
    until(stage.nothing_is_left, "the end of all processes")


def test_killing_the_script_outright_leaves_nothing_behind(stage: Stage) -> None:
    running = stage.start("--plain")
    assert running.stdout
    for line in running.stdout:
        if "position_sample" in line:
            break
    running.kill()
    running.communicate(timeout=PATIENCE_S)

    until(stage.nothing_is_left, "the end of all processes")


def test_when_one_program_dies_the_script_says_so_and_ends_the_others(stage: Stage) -> None:
    with socket.create_server(("localhost", int(stage.environment["LES02_WEBSOCKET__PORT"]))):
        running = stage.start("--plain")
        output, remarks = running.communicate(timeout=PATIENCE_S)

    assert running.returncode == 1
    assert "listener ended with exit code 1" in remarks
    assert any(stage.environment["LES02_WEBSOCKET__PORT"] in line for line in output.splitlines())
    until(stage.nothing_is_left, "the end of all processes")


@dataclass(frozen=True)
class Terminal:
    """A terminal of 150 × 40 characters with a keyboard, played by a tmux of its own."""

    stage: Stage
    socket: Path

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *arguments]
        return subprocess.run(
            command, env=self.stage.environment, capture_output=True, text=True, check=True
        ).stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def shows(self, text: str) -> None:
        until(lambda: text in self.screen(), f"{text!r} on the screen")


@pytest.fixture
def terminal(stage: Stage, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(stage, tmp_path / "tmux")
    terminal.tmux("new-session", "-d", "-x", "150", "-y", "40", "sh")
    yield terminal
    terminal.tmux("kill-server")
    until(stage.nothing_is_left, "the end of all processes")


@needs_tmux
def test_in_a_terminal_with_tmux_each_program_has_a_pane_and_control_c_ends_all(terminal: Terminal) -> None:
    terminal.tmux("send-keys", f"{ROOT}/start_dev.sh; echo code=$?", "Enter")
    terminal.shows('"position_sample"')
    assert "─ listener ─" in terminal.screen()
    assert "─ debug ─" in terminal.screen()

    terminal.tmux("send-keys", "C-c")
    terminal.shows("code=0")
    until(lambda: not terminal.stage.runs("listener."), "the end of the programs")
    until(lambda: not terminal.stage.runs("tmux -L"), "the end of the inner tmux")


@needs_tmux
def test_leaving_tmux_ends_all(terminal: Terminal) -> None:
    terminal.tmux("send-keys", f"{ROOT}/start_dev.sh --tmux; echo code=$?", "Enter")
    terminal.shows('"position_sample"')

    terminal.tmux("send-keys", "C-b", "d")
    terminal.shows("code=0")
    until(lambda: not terminal.stage.runs("listener."), "the end of the programs")


@needs_tmux
def test_in_tmux_the_last_words_of_a_program_that_died_stay_on_the_screen(terminal: Terminal) -> None:
    with socket.create_server(("localhost", int(terminal.stage.environment["LES02_WEBSOCKET__PORT"]))):
        terminal.tmux("send-keys", f"{ROOT}/start_dev.sh --tmux; echo code=$?", "Enter")
        terminal.shows("code=1")

    assert "listener ended with exit code 1" in terminal.screen()
    assert terminal.stage.environment["LES02_WEBSOCKET__PORT"] in terminal.screen()


@needs_tmux
def test_in_tmux_the_time_runs_out_too(terminal: Terminal) -> None:
    terminal.tmux("send-keys", f"{ROOT}/start_dev.sh --tmux --seconds 1; echo code=$?", "Enter")
    terminal.shows("code=0")
    until(lambda: not terminal.stage.runs("listener."), "the end of the programs")


TERMINALS = {
    "kitty": 'while [ "$1" != bash ] && [ "${1##*/}" != bash ]; do shift; done; exec setsid -w "$@"',
    "gnome-terminal": 'while [ "$1" != -- ]; do shift; done; shift; exec setsid -w "$@"',
    "xterm": 'while [ "$1" != -e ]; do shift; done; shift; exec setsid -w "$@"',
}


@pytest.mark.parametrize("emulator", TERMINALS)
def test_on_a_desktop_each_program_has_a_window(stage: Stage, emulator: str, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    opened = tmp_path / "opened"
    program = folder / emulator
    program.write_text(f'#!/bin/sh\necho "{emulator} $*" >>{opened}\n{TERMINALS[emulator]}\n')
    program.chmod(0o755)
    for better in list(TERMINALS)[: list(TERMINALS).index(emulator)]:
        if shutil.which(better):
            pytest.skip(f"{better} is installed here and comes first")
    stage.environment["PATH"] = f"{folder}:{stage.environment['PATH']}"
    stage.environment["DISPLAY"] = ":0"
    running = stage.start()
    until(lambda: stage.runs("listener.debug_ws_client"), "the debug client")
    running.send_signal(signal.SIGINT)
    _, remarks = running.communicate(timeout=PATIENCE_S)

    assert running.returncode == 0, remarks
    windows = opened.read_text().splitlines()
    assert [line.split("LES02 ")[1].split()[0] for line in windows][:: len(windows) - 1] == [
        "listener",
        "debug",
    ]
    assert all(line.startswith(emulator) for line in windows)
    until(stage.nothing_is_left, "the end of all processes")
