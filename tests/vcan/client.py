"""A WebSocket client for tests that lasts on a slow CPU."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.helpers import Daemon
from tests.vcan.bench import PATIENCE_S, Position, until

_HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_READ_EVERY_S = 0.01


@dataclass(frozen=True)
class Heard:
    at: float
    event: dict[str, Any]


class Client:
    """Lean enough to keep up on a slow CPU: a thread stores what came, decoded when it is asked for.

    A moment of reception may be `_READ_EVERY_S` too late, never too early.
    """

    def __init__(self, port: int, path: str = "/") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.sendall(_HANDSHAKE % path.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            byte = self._socket.recv(1)
            assert byte, f"the handshake ended with {answer!r}"
            answer += byte
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        self._socket.settimeout(None)
        self._messages: list[tuple[float, bytes]] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="read events")
        self._thread.start()

    def close(self) -> None:
        if not self.ended.is_set():
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._socket.close()

    def send(self, text: str) -> None:
        self._write(0x81, text.encode())

    @property
    def now(self) -> int:
        """A place in what was heard, for `after`."""
        return len(self._messages)

    def events(self, kind: str | None = None, *, after: int = 0) -> list[dict[str, Any]]:
        mark = b"" if kind is None else f'"type":"{kind}"'.encode()
        return [json.loads(text) for _, text in self._messages[after:] if mark in text]

    def messages(self, *, after: int = 0) -> list[dict[str, Any]]:
        """All of them, on paths that have no events."""
        return [json.loads(text) for _, text in self._messages[after:]]

    def positions(self, *, after: int = 0) -> list[Position]:
        return [
            Position(event["ts"], event["payload"]["channel"], event["payload"]["position_raw"])
            for event in self.events("position_sample", after=after)
        ]

    def gaps(self, where: str, *, after: int = 0) -> list[dict[str, Any]]:
        payloads = [event["payload"] for event in self.events("gap", after=after)]
        return [payload for payload in payloads if payload["where"] == where]

    def wait_for(
        self, kind: str, *, after: int = 0, patience_s: float = PATIENCE_S, **payload: object
    ) -> Heard:
        """The first event from that place on whose payload holds these fields."""
        place = after
        mark = f'"type":"{kind}"'.encode()

        def find() -> Heard | None:
            nonlocal place
            while place < len(self._messages):
                at, text = self._messages[place]
                place += 1
                if mark in text:
                    event = json.loads(text)
                    if payload.items() <= event["payload"].items():
                        return Heard(at, event)
            return None

        found = until(find, f"{kind} {payload}", patience_s)
        assert found is not None
        return found

    def wait_for_position(self, ts: float) -> None:
        """Until everything that was sent before that moment has come, if anything is sent after it."""
        until(lambda: (last := self.last_position_ts()) is not None and last >= ts, "newer positions")

    def last_position_ts(self) -> float | None:
        for _, text in reversed(self._messages[-50:]):
            if b'"type":"position_sample"' in text:
                return float(json.loads(text)["ts"])
        return None

    def _read(self) -> None:
        pending = b""
        try:
            while data := self._socket.recv(1 << 20):
                at = time.time()
                pending = self._split(pending + data, at)
                time.sleep(_READ_EVERY_S)  # gathers several events for one system call
        except ConnectionResetError:
            pass
        finally:
            self.ended.set()

    def _split(self, data: bytes, at: float) -> bytes:
        """Complete, unmasked frames (RFC 6455, 5.2); the rest is returned."""
        begin = 0
        while len(data) - begin >= 4:
            size, head = data[begin + 1], 2
            if size == 126:
                size, head = int.from_bytes(data[begin + 2 : begin + 4], "big"), 4
            assert size < 127 or head == 4, "no event is longer than 64 KiB"
            end = begin + head + size
            if end > len(data):
                break
            payload = data[begin + head : end]
            if data[begin] == 0x81:
                self._messages.append((at, payload))
            elif data[begin] == 0x89:
                self._write(0x8A, payload)  # who does not answer pings is cut off
            begin = end
        return data[begin:]

    def _write(self, first: int, payload: bytes) -> None:
        # A mask is obligatory; one of zeros changes nothing.
        size = len(payload)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self._socket.sendall(bytes((first,)) + length + bytes(4) + payload)


@contextmanager
def client(listener: Daemon) -> Iterator[Client]:
    connected = Client(listener.port)
    try:
        connected.wait_for("hello")
        yield connected
    finally:
        connected.close()
