"""The client that other programs import: events as they come, over every reconnection, none twice.

    async for event in EventClient("ws://liftbench.local:8765/", types=["ride_end"]):
        print(event["payload"])

An event is a dict with the envelope's fields and `seq`. What is missing in between is a `gap` event, as is a
new start of the listener (`where: resume`). Who leaves the loop calls `aclose` or uses `async with`.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import CloseCode

from listener.events import SAMPLES

BACK_OFF_FIRST_S = 0.2
BACK_OFF_LIMIT_S = 5.0
OPEN_S = 5.0
CLOSE_S = 1.0
# A listener that has gone without a word is noticed after twice this.
PING_S = 10.0
# What another attempt would not change.
_FINAL = frozenset({400, 401, 403})

Event = dict[str, Any]

_decode = msgspec.json.Decoder(Event).decode


class Refused(Exception):  # noqa: N818 - the listener's word, not a defect
    """The listener does not let us in, and says why."""


class EventClient:
    def __init__(
        self,
        url: str,
        *,
        types: Iterable[str] | None = None,
        channel: str | None = None,
        rate: float | None = None,
        token: str | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`tell` gets a sentence for each connection made and lost."""
        self._url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._ask_for(types, channel, rate)
        self._tell = tell
        self._connection: ClientConnection | None = None
        self._closed = asyncio.Event()
        self._epoch = ""
        self._seq = 0

    def _ask_for(self, types: Iterable[str] | None, channel: str | None, rate: float | None) -> None:
        self._has_rate = rate is not None
        wanted = {
            "types": None if types is None else ",".join(types),
            "channel": channel,
            "rate": None if rate is None else f"{rate:g}",
            "seq": "1",
        }
        self._wanted = {name: value for name, value in wanted.items() if value is not None}

    async def __aenter__(self) -> "EventClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the iteration, also one in another task."""
        self._closed.set()
        if self._connection is not None:
            await self._connection.close()

    async def send(self, command: Event) -> None:
        """Raises ConnectionError while there is no connection; the answer comes as an event."""
        if self._connection is None:
            raise ConnectionError("not connected")
        if command.get("type") == "command:subscribe":
            command = command | {"seq": True}  # without numbers there is no place to come back to
            self._ask_for(command.get("types"), command.get("channel"), command.get("rate"))
        try:
            await self._connection.send(msgspec.json.encode(command).decode())
        except ConnectionClosed as exc:
            raise ConnectionError(str(exc)) from exc

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        async with aclosing(self.messages()) as messages:
            async for _, event in messages:
                if event:
                    yield event

    async def messages(self) -> AsyncGenerator[tuple[str, Event], None]:
        """Each message as it came beside its event; what is no JSON object comes with an empty one."""
        delay_s = BACK_OFF_FIRST_S
        while not self._closed.is_set():
            try:
                async with aclosing(self._session()) as session:
                    async for message in session:
                        delay_s = BACK_OFF_FIRST_S
                        yield message
            except (OSError, InvalidHandshake, TimeoutError, EOFError) as exc:
                self._tell(f"Cannot connect to {self._url}: {_reason(exc)}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), delay_s * random.uniform(0.8, 1.2))
            delay_s = min(2 * delay_s, BACK_OFF_LIMIT_S)

    async def _session(self) -> AsyncGenerator[tuple[str, Event], None]:
        try:
            connection = await connect(
                self._address(),
                additional_headers=self._headers,
                compression=None,
                max_size=None,
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                ping_interval=PING_S,
                ping_timeout=PING_S,
            )
        except InvalidURI as exc:
            raise Refused(str(exc)) from exc
        except InvalidStatus as exc:
            if exc.response.status_code in _FINAL:
                raise Refused(_reason(exc)) from exc
            raise
        self._connection = connection
        self._tell(f"Connected to {self._url}")
        try:
            async for message in connection:
                text = message if isinstance(message, str) else message.decode(errors="replace")
                event = _parse(text)
                if self._is_new(event):
                    yield text, event
            self._tell(f"Disconnected: {connection.close_code} {connection.close_reason}")
        except ConnectionClosed as exc:
            if connection.close_code == CloseCode.POLICY_VIOLATION:
                raise Refused(connection.close_reason or "not allowed") from exc
            self._tell(f"Disconnected: {exc}")
        finally:
            self._connection = None
            # Also when the loop was left: else the listener would log an abnormal end.
            await connection.close()

    def _is_new(self, event: Event) -> bool:
        """Keeps the place in the stream."""
        payload = event.get("payload")
        if event.get("type") == "hello" and isinstance(payload, dict):
            epoch, head = payload.get("epoch"), payload.get("seq")
            if isinstance(epoch, str) and isinstance(head, int) and epoch != self._epoch:
                self._epoch, self._seq = epoch, head
            return True
        seq = event.get("seq")
        if not isinstance(seq, int):
            return True
        is_new = seq > self._seq
        self._seq = max(seq, self._seq)
        # The latest value waits for its rate while states go ahead of it.
        return is_new or (self._has_rate and event.get("type") in SAMPLES)

    def _address(self) -> str:
        query = dict(self._wanted)
        if self._epoch:
            query["resume"] = f"{self._epoch}:{self._seq}"
        parts = urlsplit(self._url)
        joined = dict(parse_qsl(parts.query, keep_blank_values=True)) | query
        return urlunsplit(parts._replace(query=urlencode(joined, safe=",:")))


def _parse(text: str) -> Event:
    """What is no event, whoever sends it, is one without a type."""
    try:
        return _decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def _reason(exc: Exception) -> str:
    if isinstance(exc, InvalidStatus):
        body = (exc.response.body or b"").decode(errors="replace").strip()
        return f"HTTP {exc.response.status_code}{': ' if body else ''}{body[:200]}"
    return str(exc) or type(exc).__name__
