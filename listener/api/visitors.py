"""Who asks, and what he may: from the head of an ASGI request.

Pure. The rules are those of `access` and `origins`, the same as on the WebSocket port.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from listener.access import Access, Scope, is_loopback, token_of
from listener.origins import Origins

# A proxy on this computer speaks for others.
_FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip")


@dataclass(frozen=True, slots=True)
class Visitor:
    host: str
    address: str
    from_here: bool
    scope: Scope
    query: str  # without the token
    is_of_our_page: bool  # or of no page at all
    unknown: str | None  # why nothing is told to him
    refusal: str | None  # why he may not change anything
    is_robot: bool = False


class Doorkeeper:
    def __init__(self, access: Access, origins: Origins) -> None:
        self._access = access
        self._origins = origins

    def look(self, request: Mapping[str, Any]) -> Visitor:
        headers: dict[bytes, bytes] = {}
        for name, value in request["headers"]:
            headers.setdefault(name.lower(), value)
        client = request.get("client")
        host, port = client or ("gone", 0)
        from_here = client is not None and is_loopback(host) and not headers.keys() & set(_FORWARDED)
        token, query = token_of(_text(headers, b"authorization"), request["query_string"].decode("latin-1"))
        scope = self._access.scope(token, from_here=from_here)
        unknown = None
        if scope is Scope.NONE:
            unknown = "a token is needed" if token is None else "this token is not known"
        return Visitor(
            host=host,
            address=f"{host}:{port}",
            from_here=from_here,
            scope=scope,
            query=query,
            is_of_our_page=self._origins.admit(_text(headers, b"origin"), _text(headers, b"host")),
            unknown=unknown,
            refusal=self._access.refusal(scope),
            is_robot=scope is Scope.ROBOT,
        )


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")
