"""The page and the way to the listener: cut, mended, and nothing lost that need not be."""

import json
import re
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from playwright.sync_api import expect
from websockets.sync.client import connect

from tests.e2e.helpers import Daemon, daemon
from tests.page.conftest import Open


@contextmanager
def demo(folder: Path, port: int = 0) -> Iterator[Daemon]:
    flags = ("--demo", "--host", "127.0.0.1", "--port", str(port))
    with daemon(*flags, cwd=folder, LES02_DATABASE__PATH=str(folder / "les02.db")) as started:
        started.logged("listener_started")
        yield started


def address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@contextmanager
def witness(url: str) -> Iterator[list[int]]:
    """The number of every event at that address, without anything in between."""
    numbers: list[int] = []
    with connect(url) as connection:

        def listen() -> None:
            for text in connection:
                event = json.loads(text)
                if "seq" in event:
                    numbers.append(event["seq"])

        thread = threading.Thread(target=listen, name="the witness")
        thread.start()
        try:
            yield numbers
        finally:
            connection.close()
            thread.join()


class Way:
    """What a switch between page and listener does: passes everything on, or cuts all and lets nobody in."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._open = True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="the way to the listener")
        self._thread.start()

    def cut(self) -> None:
        with self._lock:
            self._open = False
            self._hang_up(list(self._pairs))

    def mend(self) -> None:
        with self._lock:
            self._open = True

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self.cut()
        self._server.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                ends = list(self._pairs)
            ready, _, _ = select.select([self._server, *ends], [], [], 0.05)
            with self._lock:
                for end in ready:
                    if end is self._server:
                        self._accept()
                    elif end in self._pairs:
                        self._pass_on(end)

    def _accept(self) -> None:
        near, _ = self._server.accept()
        if not self._open:
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self._to))
        self._pairs |= {near: far, far: near}

    def _pass_on(self, end: socket.socket) -> None:
        try:
            data = end.recv(65_536)
            if data:
                self._pairs[end].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._hang_up([end])

    def _hang_up(self, ends: list[socket.socket]) -> None:
        for end in ends:
            other = self._pairs.pop(end, None)
            if other is not None:
                self._pairs.pop(other, None)
                for each in (end, other):
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                    each.close()


def test_a_killed_listener_is_told_with_a_countdown_and_found_again(tmp_path: Path, visit: Open) -> None:
    with demo(tmp_path) as first:
        port = first.port
        seen = visit(address(port), disconnects=True)
        seen.is_well()
        first.end(signal.SIGKILL)
        gone = seen.condition("disconnected")
        expect(gone).to_have_text(re.compile(r"Nothing here is current. Next try in \d s"))
        expect(gone.get_by_role("button", name="Try now")).to_be_visible()
        expect(seen.page.locator("section.live.stale")).to_be_visible()
        expect(seen.figure("age")).to_have_text(re.compile(r"[1-9]\d* s"))
        # What was not said could not be done, and that is told.
        seen.open("rides")
        expect(gone).to_be_visible()
        seen.open("live")
        expect(gone).to_contain_text("Next try in 2 s")  # less and less often
    with demo(tmp_path, port):
        if gone.get_by_role("button").is_visible():
            gone.get_by_role("button").click()
        expect(seen.condition("restarted")).to_contain_text("was restarted")
        seen.is_well()
        before = seen.pixels()
        seen.until(lambda: seen.pixels() != before)


def test_a_listener_that_is_stopped_says_so(tmp_path: Path, visit: Open) -> None:
    with demo(tmp_path) as running:
        seen = visit(address(running.port), disconnects=True)
        seen.is_well()
        running.end(signal.SIGTERM)
        expect(seen.condition("disconnected")).to_be_visible()
        expect(seen.condition("disconnected_reason")).to_contain_text("The listener said:")


def test_a_connection_that_is_cut_for_two_seconds_leaves_no_hole(tmp_path: Path, visit: Open) -> None:
    with demo(tmp_path) as running, ExitStack() as stack:
        way = Way(running.port)
        stack.callback(way.close)
        seen = visit(address(way.port), disconnects=True, listen=True)
        seen.is_well()
        url = seen.sockets[0].url.replace(str(way.port), str(running.port))
        all_numbers = stack.enter_context(witness(url))
        seen.until(lambda: len(all_numbers) > 10)
        way.cut()
        expect(seen.condition("disconnected")).to_be_visible()
        seen.page.wait_for_timeout(2000)
        way.mend()
        seen.is_well()
        expect(seen.condition("restarted")).to_have_count(0)
        expect(seen.condition("skipped")).to_have_count(0)
        seen.page.wait_for_timeout(500)
        stack.close()
    assert [event["type"] for event in seen.heard].count("hello") == 2
    numbers = [event["seq"] for event in seen.heard if "seq" in event]
    first, last = all_numbers[0], min(all_numbers[-1], numbers[-1])
    told = [number for number in all_numbers if number <= last]
    assert [number for number in numbers if first <= number <= last] == told, "a hole, or something twice"
    assert len(told) > 100


def test_a_listener_that_stands_still_is_noticed_within_seconds(tmp_path: Path, visit: Open) -> None:
    with demo(tmp_path) as running:
        seen = visit(address(running.port), disconnects=True)
        seen.is_well()
        running.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            expect(seen.condition("nothing_arrives")).to_be_visible()
            assert time.monotonic() - stopped < 4.0
            expect(seen.page.locator("section.live.stale")).to_be_visible()
            expect(seen.condition("disconnected").or_(seen.condition("connecting"))).to_be_visible()
            assert time.monotonic() - stopped < 10.0
        finally:
            running.process.send_signal(signal.SIGCONT)
        seen.is_well()
        expect(seen.figure("age")).to_have_count(0)
        before = seen.pixels()
        seen.page.wait_for_timeout(500)
        assert seen.pixels() != before
