"""Rides over HTTP: what the commands on the WebSocket do, and CSV exactly as `lesrides export` writes it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from heapq import merge
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from listener.rest import needs_control, problems
from listener.rides import files, signal_report, store
from listener.rides.commands import (
    CompareRide,
    DeleteRide,
    GetRide,
    ListRides,
    RideCommands,
)
from listener.rides.signals import Track
from listener.rides.store import Filter

# An export takes seconds of a small computer; so long at once it may keep the sensor's samples waiting.
SLICE_S: Final = 0.002

Which = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        description="The number of the ride, its `ride_id`, or so much of that as is enough to tell",
        examples=["17"],
    ),
]
_Number = Annotated[float | None, Field(allow_inf_nan=False)]
_NO_RIDE: Final = {404: "There is no such ride", 503: "The database cannot be read or written now"}
_NOT_OVER: Final = {409: "The ride is in progress"}

_RIDE: Final = {
    "number": 17,
    "id": "2c2cc851-55e5-4355-8f2b-bf92d5ec9636",
    "source": "les02",
    "start_ts": 1795294864.0673523,
    "end_ts": 1795294872.4394715,
    "direction": "up",
    "distance_mm": 3000.0,
    "reason": "completed",
    "summary": {"duration_s": 8.372, "distance_mm": 3000.0, "full_speed_mm_s": 629.927},
    "resolution_mm": 1.0,
    "specimen": "V-2417",
    "note": "screw 2 a quarter turn out",
    "is_reference": False,
    "is_starred": True,
    "size": 61240,
}
_CURVE: Final = {
    "offsets_us": [200000, 220000],
    "position_mm": [1000.0, 1000.31],
    "velocity_mm_s": [0.0, 31.2],
    "acceleration_mm_s2": [0, 402],
}
_SIGNALS: Final = {
    "inverter.PressureSensor.Pressure": {
        "unit": "bar",
        "offsets_us": [198120, 218130],
        "values": [2.86, 2.9],
        "words": {},
    }
}
_CSV: Final = "time_s,position_mm,velocity_mm_s,acceleration_mm_s2\r\n0.2000,1000.00,0.00,0.00\r\n"
_COMPARISON: Final = {
    "ride": 17,
    "reference": 3,
    "tolerance": {"position_mm": 20.0, "velocity_mm_s": 50.0},
    "passed": True,
    "reasons": [],
}


class Wanted(BaseModel):
    """Of the rides, whatever is given must be so."""

    model_config = ConfigDict(extra="forbid")

    direction: Literal["up", "down"] | None = None
    reason: Literal["completed", "aborted", "error"] | None = None
    specimen: Annotated[str | None, Field(max_length=200)] = None
    text: Annotated[str | None, Field(max_length=200, description="in the note or the specimen")] = None
    since: _Number = Field(None, description="begun at this Unix time or later")
    until: _Number = Field(None, description="begun before")
    distance_min_mm: _Number = None
    distance_max_mm: _Number = None
    reference: bool | None = None
    starred: bool | None = None
    limit: Annotated[int, Field(ge=1, le=store.LIST_LIMIT)] = 50
    before: Annotated[
        int | None, Field(ge=0, le=2**63 - 1, description="the next page: the last number of the one before")
    ] = None


class Changes(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"minProperties": 1, "examples": [{"note": "screw 2", "starred": True}]},
    )

    note: Annotated[str, Field(max_length=4000)] = ""
    specimen: Annotated[str, Field(max_length=200)] = ""
    starred: bool = False
    reference: bool = False


def router(commands: RideCommands) -> APIRouter:
    router = APIRouter(prefix="/rides", tags=["rides"])

    @router.get("", summary="List rides", responses=_json({"rides": [_RIDE], "total": 17, "specimen": ""}))
    async def list_rides(wanted: Annotated[Wanted, Query()]) -> Response:
        """The newest first. `total` is how many there are of them, `specimen` what the next ride is of."""
        given = wanted.model_dump(exclude={"limit", "before"})
        found = ListRides(Filter(**given), limit=wanted.limit, before=wanted.before)
        return _answer(await commands.list_rides(found))

    # Before the next one, to which this would be a ride whose id ends so.
    @router.get(
        "/{ride}.csv",
        summary="A ride as CSV",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {"example": _CSV}}}, **problems(_NO_RIDE)},
    )
    async def get_csv(ride: Which, raw: bool = False, decimal_comma: bool = False) -> Response:
        """A line every 20 ms, with a column for each signal: the last value that it told, empty where that
        is old; with `raw` every position of the sensor, and no signals. `decimal_comma` is for spreadsheets
        that want one, and separates by semicolons then."""
        found = await commands.get_ride(GetRide(ride, samples=True, curve=False, events=False))
        lines = _csv(found, raw=raw, decimal_comma=decimal_comma)
        name = f"ride-{found['ride']['number']}{'-raw' if raw else ''}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(_in_slices(lines), headers=headers, media_type="text/csv; charset=utf-8")

    @router.get(
        "/{ride}",
        summary="One ride",
        responses=_json({"ride": _RIDE, "curve": _CURVE, "signals": _SIGNALS, "events": []})
        | problems(_NO_RIDE),
    )
    async def get_ride(
        ride: Which, samples: bool = False, curve: bool = True, events: bool = True, signals: bool = True
    ) -> Response:
        """`samples` are ten times as much as the curve: for each channel microseconds after the start, and
        positions in counts."""
        return _answer(await commands.get_ride(GetRide(ride, samples, curve, events, signals)))

    @router.get(
        "/{ride}/comparison",
        summary="A ride against a reference",
        responses=_json(_COMPARISON) | problems(_NO_RIDE | _NOT_OVER),
    )
    async def compare_ride(
        ride: Which,
        reference: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
        curves: bool = False,
    ) -> Response:
        """Against the newest reference of its direction and distance, if none is named."""
        return _answer(await commands.compare_ride(CompareRide(ride, reference, curves)))

    @router.patch(
        "/{ride}",
        summary="Annotate a ride",
        dependencies=[needs_control],
        responses=_json({"ride": _RIDE}) | problems(_NO_RIDE | _NOT_OVER),
    )
    async def change_ride(ride: Which, changes: Changes) -> Response:
        """A note, the specimen, a star, or whether it is a reference. A ride in progress is no reference."""
        given: dict[str, Any] = changes.model_dump(exclude_unset=True)
        if not given:
            raise HTTPException(422, "say what: note, specimen, starred or reference")
        return _answer(await commands.change_ride(ride, **given))

    @router.delete(
        "/{ride}",
        summary="Delete a ride",
        dependencies=[needs_control],
        responses=_json({"number": 17, "ride_id": _RIDE["id"]}) | problems(_NO_RIDE | _NOT_OVER),
    )
    async def delete_ride(ride: Which) -> Response:
        return _answer(await commands.delete_ride(DeleteRide(ride)))

    return router


def _json(example: object) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": example}}}}


def _answer(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")


def _csv(found: dict[str, Any], *, raw: bool, decimal_comma: bool) -> Iterator[str]:
    ride = found["ride"]
    start_ts, resolution_mm = ride["start_ts"], ride["resolution_mm"]
    # As `recovery.merged`, but one by one: of an hour there are a million and a half.
    channels = [_timed(channel, start_ts, *both) for channel, both in found["samples"].items()]
    samples = ((channel, ts, counts) for ts, channel, counts in merge(*channels))
    if raw:
        rows = files.raw_rows(samples, start_ts, resolution_mm)
        return files.write_csv(files.RAW_HEADER, rows, decimal_comma=decimal_comma)
    tracks = {name: Track(**track) for name, track in found["signals"].items()}
    rows = signal_report.with_signals(files.motion_rows(samples, start_ts, resolution_mm), tracks)
    header = (*files.MOTION_HEADER, *signal_report.header(tracks))
    return files.write_csv(header, rows, decimal_comma=decimal_comma)


def _timed(
    channel: str, start_ts: float, offsets_us: list[int], raw: list[int]
) -> Iterator[tuple[float, str, int]]:
    for offset_us, counts in zip(offsets_us, raw, strict=True):
        yield start_ts + offset_us / 1e6, channel, counts


async def _in_slices(lines: Iterator[str]) -> AsyncIterator[bytes]:
    while True:
        slice_: list[str] = []
        until = time.monotonic() + SLICE_S
        for line in lines:
            slice_.append(line)
            if time.monotonic() > until:
                break
        else:
            yield "".join(slice_).encode()
            return
        yield "".join(slice_).encode()
        await asyncio.sleep(0)
