"""Who may read, and who may command: by a token, and by where somebody comes from.

Pure.

1. Without control tokens in the configuration commands that change something are taken from this computer
   alone, and whoever reaches the port may read.
2. With control tokens such a command needs one, also from this computer: behind a proxy all come from here.
3. A robot's token is good for being a robot, and for nothing else. With such tokens robots need one.
4. With read tokens nothing is told without a token. One that may command may read.
5. A token that is not known is refused, even where none is needed: its owner shall know that it is wrong.
"""

import ipaddress
from collections.abc import Sequence
from enum import IntEnum
from hmac import compare_digest
from urllib.parse import parse_qsl, urlencode

BEARER = "bearer "


class Scope(IntEnum):
    NONE = 0
    READ = 1
    CONTROL = 2
    ROBOT = 3


class Access:
    def __init__(
        self, read: Sequence[str] = (), control: Sequence[str] = (), robot: Sequence[str] = ()
    ) -> None:
        self._read = read
        self._control = control
        self._robot = robot

    @property
    def has_tokens(self) -> bool:
        return bool(self._read or self._control or self._robot)

    def scope(self, token: str | None, *, from_here: bool) -> Scope:
        if token is not None:
            if _is_one_of(token, self._control):
                return Scope.CONTROL
            if _is_one_of(token, self._robot):
                return Scope.ROBOT
            if not _is_one_of(token, self._read):
                return Scope.NONE
        elif self._read:
            return Scope.NONE
        # A read token, or none where none is needed.
        return Scope.CONTROL if from_here and not self._control else Scope.READ

    def robots_refusal(self, scope: Scope) -> str | None:
        """Why who has this scope may not be a robot; None when he may."""
        if self._robot and scope not in {Scope.ROBOT, Scope.CONTROL}:
            return "a robot needs a token, one of [access] robot_tokens"
        return None

    def refusal(self, scope: Scope) -> str | None:
        """Why who has this scope may not command; None when he may."""
        if scope is Scope.CONTROL:
            return None
        if self._control:
            return "a command that changes something needs a control token"
        return "commands that change something are taken from this computer alone"


def token_of(authorization: str, query: str) -> tuple[str | None, str]:
    """The token of `Authorization: Bearer`, else of `token=` in the query; and the query without it.

    Browsers cannot send headers with a WebSocket, hence the query.
    """
    found = authorization[len(BEARER) :].strip() if authorization.lower().startswith(BEARER) else None
    if "token=" not in query:
        return found, query
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=32)
    except ValueError:
        return found, query  # refused as a query
    tokens = [value for name, value in pairs if name == "token"]
    rest = [(name, value) for name, value in pairs if name != "token"]
    return found or next(iter(tokens), None), urlencode(rest)


def is_loopback(host: str) -> bool:
    """Whether this address is of the same computer."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_one_of(token: str, known: Sequence[str]) -> bool:
    # Each is compared, and in constant time, so that the time tells nothing.
    given = token.encode("utf-8", "surrogatepass")
    return sum([compare_digest(given, each.encode()) for each in known]) > 0
