"""Whatever goes wrong is answered with `{"detail": …}`, and nothing of ours stands in it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from listener.commands import CommandError
from listener.rest import STATUS_OF

# Of what does not fit so much is told: who sends a thousand mistakes need not get a thousand lines.
MISTAKES_MAX: Final = 20
WORDS_MAX: Final = 300


def problem(status: int, detail: object, headers: Mapping[str, str] | None = None) -> Response:
    # In ASCII: what was sent may stand in it, and need not be text that UTF-8 could say.
    body = json.dumps({"detail": detail}, separators=(",", ":")).encode()
    return Response(body, status, dict(headers or {}), "application/json")


def tell_all(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(_request: Request, exc: HTTPException) -> Response:
        detail = (
            "there is nothing here; /docs says what there is" if exc.detail == "Not Found" else exc.detail
        )
        return problem(exc.status_code, detail, exc.headers)

    @app.exception_handler(CommandError)
    async def could_not(_request: Request, exc: CommandError) -> Response:
        return problem(STATUS_OF.get(exc.code, 500), str(exc))

    @app.exception_handler(RequestValidationError)
    async def does_not_fit(_request: Request, exc: RequestValidationError) -> Response:
        return problem(422, [_mistake(error) for error in exc.errors()[:MISTAKES_MAX]])


def _mistake(error: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was sent: it may be large, or no JSON."""
    place = [part if isinstance(part, int) else str(part)[:WORDS_MAX] for part in error["loc"]]
    return {"loc": place, "msg": str(error["msg"])[:WORDS_MAX], "type": error["type"]}
