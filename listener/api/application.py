"""The FastAPI application that the wings' routers are put into."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from listener import __version__
from listener.api import documentation, errors
from listener.api.guard import Guard
from listener.api.told import Health, Parts
from listener.api.visitors import Doorkeeper
from listener.origins import Origins

ABOUT: Final = """\
What the listener keeps and does, for scripts and other programs. Positions as they come are not here but on
the WebSocket port (8765).

Trouble is `{"detail": …}`. Where tokens are configured, send `Authorization: Bearer TOKEN`, or `?token=`
where no header can be sent; without, calls that change something are taken from this computer alone.
"""
_TAGS: Final = [
    {"name": "rides", "description": "The rides that are kept."},
    {"name": "listener", "description": "The daemon itself."},
]
_HEALTH: Final = {
    "status": "ok",
    "version": __version__,
    "uptime_s": 3601.2,
    "bus": "bus_up",
    "channels": {"master": {"state": "receiving", "sensor": "ready", "position_raw": 1000}},
    "last_frame_age_s": 0.002,
    "clients": 1,
}


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = documentation.describe(self)
        return self.openapi_schema


class _Cors:
    """Browsers let a page read only what names its origin; ours comes from the WebSocket port."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        answer = CORSMiddleware(
            self._app,
            allow_origins=[origin] if self._origins.admit(origin, headers.get("host", "")) else [],
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Content-Disposition"],
        )
        await answer(scope, receive, send)


def build(
    doorkeeper: Doorkeeper, origins: Origins, about: Parts, health: Health, uploads: Mapping[str, int]
) -> FastAPI:
    """`uploads` may grow later: paths whose bodies may be larger than others."""
    app = _Application(
        title="LES02 listener",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_tags=_TAGS,
    )
    app.add_middleware(Guard, doorkeeper=doorkeeper, uploads=uploads)
    # The outermost, so that a page can read why it was refused.
    app.add_middleware(_Cors, origins=origins)
    errors.tell_all(app)
    documentation.add_pages(app)
    app.include_router(_listener(about, health))
    return app


class About(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str = Field(examples=["LES02 listener"])
    version: str = Field(examples=[__version__])


def _listener(about: Parts, health: Health) -> APIRouter:
    router = APIRouter(tags=["listener"])

    @router.get("/", summary="Who answers here")
    async def get_about() -> About:
        """And what the parts that are switched on say of themselves."""
        return About(**{**about.collect(), "name": "LES02 listener", "version": __version__})

    @router.get(
        "/health",
        summary="How the listener is",
        responses={
            200: {"content": {"application/json": {"example": _HEALTH}}},
            503: {"description": "The bus is lost; the body is the same"},
        },
    )
    async def get_health() -> Response:
        """The same as `/healthz` on the WebSocket port, and what parts of the API add to it."""
        status, kind, body = health.answer()
        return Response(body, status, media_type=kind)

    return router
