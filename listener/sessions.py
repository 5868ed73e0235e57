"""A conversation with one client, whichever server it came through: the WebSocket port, or the REST port.

A wing registers a session under a path, and both servers offer it there. The session is called once for
each client and speaks with it through a `Peer`; when it returns the connection is closed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from listener.access import Scope


class Peer(Protocol):
    @property
    def address(self) -> str: ...

    @property
    def query(self) -> str:
        """Of the address that was asked for, without the token."""

    @property
    def scope(self) -> Scope: ...

    def offer(self, messages: Sequence[bytes]) -> bool:
        """Text messages in UTF-8: all of them go out, in this order and at once, or none of them.

        False when what waits for this client would exceed its bound. Never waits, never raises.
        """

    async def send(self, message: bytes) -> None:
        """One text message; waits for room. Says nothing of a client that has gone."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """What the client says, until it has gone."""

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


Session = Callable[[Peer], Awaitable[None]]


class Paths:
    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._sessions))

    def add(self, path: str, session: Session) -> Callable[[], None]:
        """Returns the function that takes it back."""
        assert path not in self._sessions, f"{path} is registered twice"
        self._sessions[path] = session

        def take_back() -> None:
            del self._sessions[path]

        return take_back

    def find(self, path: str) -> Session | None:
        return self._sessions.get(path)
