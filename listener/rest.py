"""What the routes of every wing share: who may change something, and how trouble is told.

Only routes import this, since it needs FastAPI. `api` puts into the state of each request what is known of
its sender: `scope` (listener.access.Scope), `from_here`, and `refusal`, why he may not change anything.

Trouble is `{"detail": …}`: a sentence, or FastAPI's own list where parameters or a body do not fit. A
CommandError may leave a route as it is.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel

from listener.access import Scope

STATUS_OF: Final = {
    "bad_message": 422,
    "not_allowed": 403,
    "no_such_ride": 404,
    "in_progress": 409,
    "refused": 409,
    "storing_failed": 503,
    "busy": 503,
}


class Parts(Protocol):
    def add(self, part: Callable[[], dict[str, Any]]) -> Callable[[], None]:
        """Asked whenever somebody asks; returns the function that takes it back."""


class Api(Protocol):
    @property
    def about(self) -> Parts:
        """Of what `GET /` says; that route and `GET /health` are the API's, wings add to them."""

    @property
    def health(self) -> Parts:
        """Of what `GET /health` says. While all is well a wing's word stands where there was one already."""

    def include(self, router: APIRouter) -> None:
        """Before anybody can ask for anything."""

    def allow_upload(self, path: str, octets: int) -> None:
        """A body of so many there; a route that reads it as it comes needs no memory for it."""


class Problem(BaseModel):
    detail: str


def problems(reasons: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route."""
    return {status: {"model": Problem, "description": reason} for status, reason in reasons.items()}


def _control(request: Request) -> None:
    if request.state.scope is not Scope.CONTROL:
        reason = getattr(request.state, "refusal", None)
        raise HTTPException(403, reason or "this changes something, and you may only read")


needs_control = Depends(_control)
