"""Robots over HTTP: who is there, and what they told of themselves."""

import csv
import io
import math
import re
import sqlite3
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from listener.database import StorageError
from listener.rest import STATUS_OF, problems
from listener.robots import store
from listener.robots.answers import stamp
from listener.robots.fleet import Robots
from listener.robots.messages import DEVICE_ID, QUANTITIES


def _device_id(text: str) -> str:
    """By the rule by which robots are let in: pydantic's patterns know other letters than Python's."""
    if not re.match(DEVICE_ID, text):
        raise ValueError("device_id is 1 to 64 letters, digits and .:_-")
    return text


Which = Annotated[
    str,
    Path(json_schema_extra={"pattern": r"^[\w.:-]{1,64}$"}, examples=["robot_01"]),
    AfterValidator(_device_id),
]
_Time = Annotated[float | None, Field(allow_inf_nan=False, ge=-1e12, le=1e12, examples=[1795294864.0])]
_NOT_THERE: Final = {404: "There was never such a robot", 503: "The database cannot be read now"}
_SAMPLE: Final = {
    "ts": 1795294864.0673523,
    "battery": 84.6,
    "cpu": 41.2,
    "temperature": 36.5,
    "signal": 88.0,
    "count": 20,
}
_ROBOT: Final = {
    "device_id": "robot_01",
    "device_name": "robot_01",
    "status": "connected",
    "said": None,
    "wrong": [],
    "operator": {"id": "website-3", "name": "Tablet"},
    "confirms": True,
    "telemetry": {name: value for name, value in _SAMPLE.items() if name != "count"},
    "groups": ["stairs"],
}


class Span(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: _Time = Field(None, description="Unix seconds; this one is the first")
    until: _Time = Field(None, description="Unix seconds; this one is not there any more")
    every: Annotated[float | None, Field(ge=0.001, le=31_536_000)] = Field(
        None, description="Means of so many seconds at a time"
    )


class Wanted(Span):
    limit: int = Field(1000, ge=1, le=store.ROWS_MAX)


def router(robots: Robots) -> APIRouter:
    routes = APIRouter(prefix="/robots", tags=["robots"])

    async def read(
        device_id: str, span: Span, since: float | None, limit: int
    ) -> list[dict[str, Any]] | None:
        """None: there is no such robot."""

        def job(connection: sqlite3.Connection) -> list[dict[str, Any]] | None:
            if robots.registry.find(device_id) is None and not store.is_known(connection, device_id):
                return None
            found = store.telemetry(
                connection, device_id, since=since, until=span.until, every_s=span.every, limit=limit
            )
            return list(found)

        try:
            return await robots.database.read(job)
        except StorageError as exc:
            raise HTTPException(STATUS_OF["storing_failed"], str(exc)) from None

    async def first(device_id: str, span: Span, limit: int) -> list[dict[str, Any]]:
        samples = await read(device_id, span, span.since, limit)
        if samples is None:
            raise HTTPException(404, f"there is no robot {device_id}")
        return samples

    @routes.get("", summary="All robots that are or were here", responses=_json({"robots": [_ROBOT]}))
    async def list_robots() -> dict[str, Any]:
        return {"robots": robots.told(), "storing": robots.keeper.state}

    # Before the next one: `{device_id}` would take the ending as well.
    @routes.get(
        "/{device_id}/telemetry.csv",
        summary="Telemetry as CSV",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/csv": {"example": "time,ts,battery,cpu,temperature,signal\r\n"}}},
            **problems(_NOT_THERE),
        },
    )
    async def get_csv(device_id: Which, wanted: Annotated[Span, Query()]) -> Response:
        """All of it, oldest first."""
        samples = await first(device_id, wanted, store.ROWS_MAX)

        async def pieces() -> AsyncIterator[str]:
            found: list[dict[str, Any]] | None = samples
            yield _lines([("time", "ts", *QUANTITIES)])
            while found:
                yield _lines(
                    [(stamp(row["ts"]), row["ts"], *(row[name] for name in QUANTITIES)) for row in found]
                )
                if len(found) < store.ROWS_MAX:
                    return
                found = await read(device_id, wanted, _after(found[-1]["ts"], wanted.every), store.ROWS_MAX)

        name = f"{device_id.replace(':', '_')}-telemetry.csv"
        headers = {
            "Content-Disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}"'
        }
        return StreamingResponse(pieces(), headers=headers, media_type="text/csv; charset=utf-8")

    @routes.get(
        "/{device_id}/telemetry",
        summary="What a robot told of itself",
        responses=_json({"device_id": "robot_01", "samples": [_SAMPLE], "more": False})
        | problems(_NOT_THERE),
    )
    async def get_telemetry(device_id: Which, wanted: Annotated[Wanted, Query()]) -> dict[str, Any]:
        """Oldest first. With `every` the means of so many seconds at a time, of `count` samples each. `more`
        says that there is more of it after the last one."""
        samples = await first(device_id, wanted, wanted.limit + 1)
        more = len(samples) > wanted.limit
        return {"device_id": device_id, "samples": samples[: wanted.limit], "more": more}

    return routes


def _after(ts: float, every_s: float | None) -> float:
    """Where the next piece begins."""
    return math.nextafter(ts, math.inf) if every_s is None else (int(ts / every_s) + 1) * every_s


def _lines(rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _json(example: object) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": example}}}}
