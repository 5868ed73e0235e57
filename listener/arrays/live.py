"""`/ws/stream` for who listens: packets as they come, over every reconnection.

1. A stream that is over, or that the listener refuses, is not asked for again; one that was cut off is.
2. After a reconnection the stream begins anew: an array is played from its beginning.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any, Final

import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import CloseCode

from listener.arrays import calls, packets
from listener.arrays.calls import ArraysError

BACK_OFF_FIRST_S: Final = 0.2
BACK_OFF_LIMIT_S: Final = 5.0
OPEN_S: Final = 5.0
CLOSE_S: Final = 1.0
# A listener that has gone without a word is noticed after twice this.
PING_S: Final = 10.0
# What another attempt would not change.
_FINAL: Final = frozenset({400, 401, 403, 404})
_NO_ARRAYS: Final = "there is no /ws/stream here: are the arrays switched on ([arrays] enabled)?"

# A packet: `x` and `y` as arrays of float64, and what else was told, such as `timestamp`, `source`, `new`.
Data = dict[str, Any]


class LiveClient:
    def __init__(
        self,
        server: calls.Server,
        *,
        token: str | None = None,
        auto_start: bool = True,
        source: str | None = None,
        window: int | None = None,
        rate: float | None = None,
        loop: bool = False,
        binary: bool = True,
        on_status: Callable[[Data], object] = lambda _: None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`on_status` gets what is no packet, `tell` a sentence for each connection made and lost."""
        self._server = server
        self._url = server.stream_url(binary=binary)
        self._headers = calls.bearer(token)
        asked = {"source": source, "window": window, "rate": rate, "loop": loop or None}
        wanted = {name: value for name, value in asked.items() if value is not None}
        self._start = {"action": "start", **wanted} if auto_start or wanted else None
        self._on_status = on_status
        self._tell = tell
        self._connection: ClientConnection | None = None
        self._closed = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._is_over = False
        self._known: Data = {}

    def close(self) -> None:
        """Ends the iteration; to be called on its loop."""
        self._closed.set()
        if self._connection is not None and self._closing is None:
            self._closing = asyncio.create_task(self._connection.close())

    async def packets(self) -> AsyncGenerator[Data, None]:
        """Raises ArraysError."""
        delay_s = BACK_OFF_FIRST_S
        while not self._closed.is_set():
            try:
                async with aclosing(self._session()) as session:
                    async for data in session:
                        delay_s = BACK_OFF_FIRST_S
                        yield data
            except (OSError, InvalidHandshake, TimeoutError, EOFError) as exc:
                self._tell(f"cannot connect to {self._server.url}: {_reason(exc)}")
            if self._is_over:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), delay_s * random.uniform(0.8, 1.2))
            delay_s = min(2 * delay_s, BACK_OFF_LIMIT_S)

    async def _session(self) -> AsyncGenerator[Data, None]:
        connection = await self._connect()
        self._connection = connection
        self._known = {}
        self._tell(f"connected to {self._server.url}")
        try:
            if self._closed.is_set():  # meanwhile
                return
            if self._start is not None:
                await connection.send(msgspec.json.encode(self._start).decode())
            async for message in connection:
                data = self._take(message)
                if data is not None:
                    yield data
                if self._is_over or self._closed.is_set():
                    return
            if not self._closed.is_set():
                self._tell(f"disconnected: {connection.close_code} {connection.close_reason}".rstrip())
        except ConnectionClosed as exc:
            if connection.close_code == CloseCode.POLICY_VIOLATION:
                raise ArraysError(connection.close_reason or "not allowed") from exc
            self._tell(f"disconnected: {exc}")
        finally:
            self._connection = None
            # Also when the loop was left: else the listener would log an abnormal end.
            await connection.close()

    async def _connect(self) -> ClientConnection:
        try:
            return await connect(
                self._url,
                additional_headers=self._headers,
                compression=None,
                max_size=None,
                proxy=None if self._server.is_here else True,
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                ping_interval=PING_S,
                ping_timeout=PING_S,
            )
        except InvalidURI as exc:
            raise ArraysError(str(exc)) from exc
        except InvalidStatus as exc:
            status = exc.response.status_code
            if status in _FINAL:
                raise ArraysError(_NO_ARRAYS if status == 404 else _reason(exc), status) from exc
            raise

    def _take(self, message: str | bytes) -> Data | None:
        try:
            told = _binary(message) if isinstance(message, bytes) else _text(message)
        except (ValueError, TypeError, KeyError) as exc:
            raise ArraysError(f"{self._server.url} says what this client does not understand: {exc}") from exc
        kind = told.get("type")
        if kind == "data":
            return self._known | told
        if kind == "error":
            raise ArraysError(str(told.get("message")))
        if kind == "status":
            self._heed(told)
        self._on_status(told)
        return None

    def _heed(self, status: Data) -> None:
        self._known = {name: status[name] for name in ("source", "unit") if name in status}
        if status.get("streaming") or "source" not in status:  # the demo may begin again
            return
        if "reason" in status:
            raise ArraysError(str(status["reason"]))
        self._is_over = bool(status.get("ended"))


def _binary(message: bytes) -> Data:
    packet = packets.parse_binary(message)
    return {
        "type": "data",
        "timestamp": packet.timestamp,
        "shape": list(packet.x.shape),
        "dtype": "float64",
        "sequence": packet.sequence,
        "new": packet.new,
        "total": packet.total,
        "x": packet.x,
        "y": packet.y,
    }


def _text(message: str) -> Data:
    told = msgspec.json.decode(message)
    if not isinstance(told, dict):
        raise TypeError("no object")
    if told.get("type") == "data":
        # numpy reads the words for what JSON has no number for.
        told |= {axis: np.array(told[axis], np.float64) for axis in ("x", "y")}
    return told


def _reason(exc: Exception) -> str:
    if isinstance(exc, InvalidStatus):
        status, body = exc.response.status_code, bytes(exc.response.body or b"")
        return f"HTTP {status}: {calls.trouble(status, body)}" if body else f"HTTP {status}"
    return " ".join(str(exc).split()) or type(exc).__name__


class Recording:
    """All points that came, each once, out of packets that overlap."""

    def __init__(self) -> None:
        self.lost = 0
        self.points = 0
        self._total: int | None = None
        self._x: list[packets.Points] = []
        self._y: list[packets.Points] = []

    def add(self, data: Data) -> None:
        x, y = data["x"], data["y"]
        total, new = data.get("total"), data.get("new", len(x))
        if total is not None:
            # Else it is the first packet, or the first after the stream began anew.
            if self._total is not None and total > self._total:
                new = total - self._total
            self._total = total
        self.lost += max(0, new - len(x))
        new = min(new, len(x))
        if new:
            self.points += new
            self._x.append(x[-new:])
            self._y.append(y[-new:])

    def arrays(self) -> tuple[packets.Points, packets.Points]:
        if not self._x:
            return np.empty(0), np.empty(0)
        return np.concatenate(self._x), np.concatenate(self._y)
