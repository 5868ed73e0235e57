"""One TCP connection of a client program. What it says first decides what it is: it listens, or it asks.

1. One that asks gets one response, then the end. A request of a known length is answered as soon as it is
   there; any other ends with the client's half-close, or with a short quiet time.
2. One that listens gets each message in a write of its own: programs of the field take what one `recv`
   gives them for one message.
3. Everything has a bound in octets and in time, and nothing here waits: a client that is silent, slow, too
   long, half-open or gone is trouble for itself alone.
4. After the response we shut down our side and read on until the client closes: to close with something
   unread would reset the connection, and the response might be lost.
"""

import asyncio
from enum import Enum, auto
from typing import Final, Protocol, cast

from listener.access import is_loopback
from listener.mesh import requests
from listener.mesh.listening import ANSWERS, SYN_FRAMED, frame

# A request that comes in one piece ends with the first; in more than one, the client takes its time.
QUIET_S: Final = 0.02
PIECES_QUIET_S: Final = 0.2
SILENT_S: Final = 2.0
REQUEST_S: Final = 10.0
LINGER_S: Final = 2.0
STALL_S: Final = 2.0
READ_MAX: Final = 65_536
# That much of a request tells how long it is.
BEGINNING: Final = 8
WRITE_BUFFER: Final = 65_536


class Stage(Enum):
    ASKING = auto()
    WORKING = auto()  # on its request
    LISTENING = auto()
    LEAVING = auto()  # it has been answered
    GONE = auto()


class Host(Protocol):
    """What a connection needs to know, and tells."""

    @property
    def listeners(self) -> int: ...

    def came(self, connection: "Connection") -> None: ...

    def refuses(self, connection: "Connection") -> str:
        """Why it gets nothing at all here; "": it does."""

    def refuses_listener(self) -> str: ...

    def listens(self, connection: "Connection") -> None: ...

    def asks(self, connection: "Connection", request: bytes) -> None:
        """`Connection.leave` is called with the response."""

    def skipped(self, connection: "Connection", messages: int) -> None: ...

    def dropped(self, connection: "Connection") -> None:
        """It listened, and did not read."""

    def gone(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._data = bytearray()
        self._pieces = 0
        self._has_ended = False  # the client has, on its side
        self._is_framed = False
        self._skipped = 0
        self._written = 0
        self._taken = 0  # by its kernel, of what was written
        self.stage = Stage.ASKING
        self.address = "gone"
        self.is_here = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if peer := transport.get_extra_info("peername"):
            self.address = f"{peer[0]}:{peer[1]}"
            self.is_here = is_loopback(str(peer[0]))
        self._wait(SILENT_S)
        self._host.came(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._stop_waiting()
        self.stage = Stage.GONE
        self._data.clear()
        self._host.gone(self)

    def data_received(self, data: bytes) -> None:
        if self.stage is not Stage.ASKING:
            return  # it has said what it had to say
        self._data += data
        self._pieces += 1
        self._look()

    def eof_received(self) -> bool:
        """True: we still have something to say."""
        self._has_ended = True
        if self.stage is Stage.ASKING and self._data:
            self._look()
        return self.stage is Stage.WORKING

    # One that asks

    def _look(self) -> None:
        data = self._data
        first = bytes(data[: len(requests.SYN)])
        if refusal := self._host.refuses(self):
            self.leave(requests.failed(refusal))
        elif first in ANSWERS:
            self._listen(first)
        elif any(each.startswith(first) for each in ANSWERS) and not self._has_ended:
            self._wait(SILENT_S)
        elif not self._host.listeners:
            self.leave(requests.NO_LISTENER)
        elif len(data) > READ_MAX:
            self.leave(requests.failed(f"a request has at most {READ_MAX} octets"))
        elif self._loop.time() - self._since > REQUEST_S:
            self.leave(requests.failed(f"the request was not there after {REQUEST_S:g} s"))
        else:
            length = requests.needed(bytes(data[:BEGINNING]))
            if self._has_ended or (length is not None and len(data) >= length):
                self._ask()
            elif length is None:
                self._wait(QUIET_S if self._pieces == 1 else PIECES_QUIET_S, is_end=True)
            else:
                self._wait(SILENT_S)

    def _wait(self, seconds: float, *, is_end: bool = False) -> None:
        self._stop_waiting()
        self._timer = self._loop.call_later(seconds, self._ask if is_end else self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self) -> None:
        self._stop_waiting()
        self.stage = Stage.WORKING
        request = bytes(self._data)
        self._data.clear()
        self._host.asks(self, request)

    def _give_up(self) -> None:
        what = "the rest of the request" if self._data else "a request"
        self.leave(requests.failed(f"{what} did not come within {SILENT_S:g} s"))

    def leave(self, response: bytes) -> None:
        """The response, and the end."""
        if self.stage in {Stage.LEAVING, Stage.GONE}:
            return
        self.stage = Stage.LEAVING
        self._stop_waiting()
        self._data.clear()
        self._timer = self._loop.call_later(LINGER_S, self._transport.abort)
        self._transport.write(response)
        if self._has_ended:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()

    def make_room(self, reason: str) -> bool:
        """Ends one that asked for nothing yet, or was answered; False: it is no such one."""
        if self._transport.is_closing():
            return False
        if self.stage is Stage.ASKING:
            self._transport.write(requests.failed(reason))
            self.close()
        elif self.stage is Stage.LEAVING:
            self.abort()
        else:
            return False
        return True

    # One that listens

    def _listen(self, greeting: bytes) -> None:
        if refusal := self._host.refuses_listener():
            self.leave(requests.failed(refusal))
            return
        self.stage = Stage.LISTENING
        self._stop_waiting()
        self._data.clear()
        self._is_framed = greeting == SYN_FRAMED
        self._transport.write(ANSWERS[greeting])
        self._host.listens(self)

    def tell(self, message: bytes) -> None:
        """Skipped for one that has no room; who reads nothing at all for STALL_S then is dropped."""
        if self._transport.is_closing():
            return
        data = frame(message) if self._is_framed else message
        held = self._transport.get_write_buffer_size()
        if not held or held + len(data) <= WRITE_BUFFER:
            self._transport.write(data)
            self._written += len(data)
            return
        self._skipped += 1
        if self._timer is None:
            self._watch(self._written - held)

    def _watch(self, taken: int) -> None:
        self._taken = taken
        self._timer = self._loop.call_later(STALL_S, self._check)

    def _check(self) -> None:
        self._timer = None
        held = self._transport.get_write_buffer_size()
        taken = self._written - held
        skipped, self._skipped = self._skipped, 0
        if skipped:
            self._host.skipped(self, skipped)
        if held and taken == self._taken:
            self._host.dropped(self)
            self.abort()
        elif skipped:
            self._watch(taken)

    # The end

    def close(self) -> None:
        """What was written may still go."""
        self._stop_waiting()
        self._transport.close()

    def abort(self) -> None:
        self._stop_waiting()
        self._transport.abort()
