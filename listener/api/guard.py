"""What every HTTP request passes on its way to a route, and every answer on its way back.

1. Who is unknown is told nothing but how to ask: the documentation has no data of the bench.
2. A page of another site may not change anything through its visitor; reading is between browser and CORS.
3. A body has a bound, and a small one if its sender may not change anything.
4. A defect of a route is logged once, and its client learns that there was one.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.access import Scope as Rights
from listener.api.errors import problem
from listener.api.visitors import Doorkeeper

_log = structlog.get_logger(__name__)

OPEN_PATHS: Final = ("/docs", "/redoc", "/openapi.json")
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_MAX: Final = 256 * 1024
UPLOAD_MAX: Final = 64 * 1024 * 1024
# Of who may only read.
QUESTION_MAX: Final = 64 * 1024
# So much of what somebody sends who is refused is read, and so long is it waited for.
DRAIN_MAX: Final = 1024 * 1024
DRAIN_S: Final = 0.5


class Guard:
    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, uploads: Mapping[str, int]) -> None:
        """`uploads`: paths whose bodies may be larger, and how large."""
        self._app = app
        self._doorkeeper = doorkeeper
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = self._doorkeeper.look(scope)
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                # What has a tag may be kept by the browser, which asks whether it is still this one.
                is_tagged = any(name.lower() == b"etag" for name, _ in message["headers"])
                keep = b"no-cache" if is_tagged else b"no-store"
                more = [(b"cache-control", keep), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        if visitor.unknown is not None and not scope["path"].startswith(OPEN_PATHS):
            refused = problem(401, visitor.unknown, {"WWW-Authenticate": "Bearer"})
        elif visitor.is_robot:
            refused = problem(403, "this token is for robots, which have a path of their own")
        elif scope["method"] not in READING and not visitor.is_of_our_page:
            refused = problem(403, "this origin is not allowed; see [api] cors_origins")
        else:
            refused = None
        if refused is not None:
            if not await _drained(receive):
                refused.headers["Connection"] = "close"
            await refused(scope, receive, answer)
            return

        scope["query_string"] = visitor.query.encode("latin-1")
        scope["state"] = {
            **scope.get("state", {}),
            "scope": visitor.scope,
            "from_here": visitor.from_here,
            "refusal": visitor.refusal,
        }
        try:
            await self._app(scope, _bounded(receive, self._bound(scope, visitor.scope)), answer)
        except asyncio.CancelledError:  # an answer that takes longer than the daemon has left
            if not begun:
                await problem(503, "the listener is stopping")(scope, receive, answer)
            raise
        except Exception:  # noqa: BLE001 - a route's defect is no end of the API
            _log.exception("request_failed", method=scope["method"], path=scope["path"])
            if not begun:
                await problem(500, "this has failed; the log says why")(scope, receive, answer)

    def _bound(self, scope: Scope, rights: Rights) -> int:
        if rights is not Rights.CONTROL:
            return QUESTION_MAX
        kinds = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
        if not kinds or not kinds[0].lower().startswith(b"multipart/form-data"):
            return BODY_MAX
        return self._uploads.get(scope["path"], UPLOAD_MAX)


async def _drained(receive: Receive) -> bool:
    """Closed with something unread, a connection may be reset before its client has read why."""
    taken = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while taken <= DRAIN_MAX:
                message = await receive()
                taken += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return True
    return False


def _bounded(receive: Receive, most: int) -> Receive:
    taken = 0

    async def take() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            is_over = not message.get("more_body", False) or await _drained(receive)
            headers = None if is_over else {"Connection": "close"}
            raise HTTPException(413, f"more than {most} bytes are not taken", headers)
        return message

    return take
