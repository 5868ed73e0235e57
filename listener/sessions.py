"""A conversation with one client, whichever server it came through: the WebSocket port, or the REST port.

A wing registers a session under a path, and both servers offer it there. The session is called once for
each client and speaks with it through a `Peer`; when it returns the connection is closed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from listener.access import Scope

# Messages a second that one client may send, and how many at once.
INBOUND_RATE: Final = 20.0
INBOUND_BURST: Final = 50.0


class Peer(Protocol):
    @property
    def address(self) -> str: ...

    @property
    def query(self) -> str:
        """Of the address that was asked for, without the token."""

    @property
    def scope(self) -> Scope: ...

    @property
    def unread(self) -> int:
        """Octets that were offered and that the client's kernel has not taken: what is stuck on the way."""

    def offer(self, messages: Sequence[bytes], binary: Sequence[bytes] = ()) -> bool:
        """Text messages in UTF-8, then binary ones: all go out, in this order and at once, or none of them.

        False when what waits for this client would exceed its bound. Never waits, never raises.
        """

    async def send(self, message: bytes) -> None:
        """One text message; waits for room. Says nothing of a client that has gone."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """What the client says, until it has gone."""

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


Session = Callable[[Peer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Offered:
    """A session and its terms: how much its clients may say, and whether they may be robots."""

    session: Session
    rate: float = INBOUND_RATE
    burst: float = INBOUND_BURST
    for_robots: bool = False
    too_fast: bytes = b""  # is said to who says more, once for as long as that lasts
    # What is heard all the same, though it counts as too much; must be cheap to tell.
    is_urgent: Callable[[str | bytes], bool] = lambda _message: False


class Paths:
    def __init__(self) -> None:
        self._offered: dict[str, Offered] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._offered))

    def add(self, path: str, session: Session | Offered) -> Callable[[], None]:
        """Returns the function that takes it back."""
        assert path not in self._offered, f"{path} is registered twice"
        self._offered[path] = session if isinstance(session, Offered) else Offered(session)

        def take_back() -> None:
            del self._offered[path]

        return take_back

    def find(self, path: str) -> Offered | None:
        return self._offered.get(path)

    def strange(self, scope: Scope, path: str) -> str | None:
        """Why who has this scope has nothing to do there; None when he has."""
        offered = self._offered.get(path)
        if scope is not Scope.ROBOT or (offered is not None and offered.for_robots):
            return None
        return "this token is for robots, which have a path of their own"
