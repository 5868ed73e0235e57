"""A ride as JSON: what `lesrides export` writes and `lesrides import` reads.

It may come from anywhere, so all that is read of it has bounds. What is beyond them is a
`msgspec.ValidationError` of one line that names the field.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from listener.rides import store
from listener.rides.commands import Short, Text
from listener.rides.finder import LONGEST_S, motions
from listener.rides.intake import Found
from listener.rides.recovery import merged
from listener.rides.signals import Track, fits
from listener.rides.store import Ride, RideInProgress

FORMAT: Final = 1
# It is known a little later that a ride is over, or takes too long; and what came before it is kept, too.
DURATION_MAX_S: Final = LONGEST_S + 60.0
PRE_ROLL_MAX_S: Final = 60.0

_Time = Annotated[float, Meta(ge=0, le=1e11)]
_Number = Annotated[float, Meta(ge=-1e12, le=1e12)]
_Count = Annotated[int, Meta(ge=0, le=1_000_000)]
_Floor = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
_Within = Annotated[float, Meta(ge=0, le=DURATION_MAX_S)]
_Offset = Annotated[int, Meta(ge=round(-1e6 * PRE_ROLL_MAX_S), le=round(1e6 * DURATION_MAX_S))]
# Those of the sensor have 24 bits and no sign. A CSV may have others.
_Raw = Annotated[int, Meta(ge=-(10**15), le=10**15)]
_Name = Annotated[str, Meta(max_length=64)]
_LongName = Annotated[str, Meta(min_length=1, max_length=300)]


class Exported(msgspec.Struct, kw_only=True):
    """What the command `get_ride` answers, and which version of it this is."""

    lesrides: int = FORMAT
    ride: Ride
    samples: store.Columns
    signals: Mapping[str, Track] = {}
    curve: dict[str, list[float]] = {}  # derived from the samples; not read again
    events: list[msgspec.Raw]


class _Stored(Ride, kw_only=True):
    id: Annotated[str, Meta(min_length=1, max_length=64)]
    specimen: Short
    note: Text
    start_ts: _Time
    end_ts: _Time
    distance_mm: Annotated[float, Meta(ge=0, le=1e12)]
    direction: Annotated[str, Meta(pattern=r"^(up|down)\Z")]
    reason: Annotated[str, Meta(pattern=r"^(completed|aborted|error)\Z")]
    resolution_mm: Annotated[float, Meta(ge=1e-6, le=1000)]


class _Track(Track, kw_only=True):
    unit: _Name = ""
    offsets_us: list[_Offset]
    values: list[Annotated[float, Meta(ge=-1e300, le=1e300)]]
    words: dict[_Name, _LongName]


class _Imported(Exported, kw_only=True):
    lesrides: Annotated[int, Meta(ge=1, le=FORMAT)]
    ride: _Stored
    samples: dict[_Name, tuple[list[_Offset], list[_Raw]]]  # stricter
    signals: Annotated[dict[_LongName, _Track], Meta(max_length=64)] = {}  # stricter


class _Phase(msgspec.Struct):
    name: _Name
    begin_s: _Within
    duration_s: _Within
    distance_mm: _Number
    speed_mm_s: _Number


class _Extremes(msgspec.Struct):
    velocity_mm_s: _Number
    acceleration_mm_s2: _Number
    deceleration_mm_s2: _Number
    jerk_mm_s3: _Number


class _Summary(msgspec.Struct):
    """What is read of it; whatever else it holds is kept."""

    phases: list[_Phase] = []
    max: _Extremes | UnsetType = UNSET
    p95: _Extremes | UnsetType = UNSET
    duration_s: _Number | None = None
    full_speed_mm_s: _Number | None = None
    creep_speed_mm_s: _Number | None = None
    start_position_mm: _Number | None = None
    stop_position_mm: _Number | None = None
    stop_offset_mm: _Number | None = None
    start_floor: _Floor | None = None
    stop_floor: _Floor | None = None
    cause: _Name | None = None
    partial: bool = False
    turned: bool = False
    stops: _Count = 0
    relevels: _Count = 0
    incomplete_s: _Number | None = None


class _Payload(msgspec.Struct):
    channel: _Name = ""
    code: _Name = ""
    state: _Name = ""
    raw: _Name = ""
    details: dict[str, Any] = {}


class _Event(msgspec.Struct):
    type: _Name
    ts: _Time
    payload: _Payload


def exported(connection: sqlite3.Connection, ride: Ride) -> Exported:
    told = [msgspec.Raw(msgspec.json.encode(event)) for event in store.events(connection, ride.number)]
    return Exported(
        ride=ride,
        samples=store.columns(connection, ride.number),
        signals=store.signals(connection, ride.number),
        curve=store.curve(connection, ride.number),
        events=told,
    )


class _Head(msgspec.Struct):
    reason: str | None


class _Begun(msgspec.Struct):
    """Of whatever else that may be."""

    ride: _Head


def from_json(text: bytes) -> Found:
    """Raises msgspec.DecodeError, of which ValidationError is one; RideInProgress if it was not over."""
    try:
        imported = msgspec.json.decode(text, type=_Imported)
    except msgspec.ValidationError:
        with contextlib.suppress(msgspec.ValidationError):
            if msgspec.json.decode(text, type=_Begun).ride.reason is None:
                raise RideInProgress("the ride was in progress when this was written") from None
        raise
    ride = imported.ride
    if not 0 <= ride.end_ts - ride.start_ts <= DURATION_MAX_S:
        raise msgspec.ValidationError(
            f"Expected 0 to {DURATION_MAX_S:.0f} s after `$.ride.start_ts` - at `$.ride.end_ts`"
        )
    for channel, (offsets_us, raw) in imported.samples.items():
        if len(offsets_us) != len(raw) or channel not in ("master", "slave"):
            raise msgspec.ValidationError(f"the samples of {channel[:20]!r} do not fit together")
    for name, track in imported.signals.items():
        times = track.offsets_us
        if not fits(track) or any(after <= before for before, after in pairwise(times)):
            raise msgspec.ValidationError(f"the samples of {name[:60]!r} do not fit together")
    _check(ride.summary, _Summary, "ride.summary")
    for number, event in enumerate(imported.events):
        _check(msgspec.json.decode(event), _Event, f"events[{number}]")
    names = set(Found.__struct_fields__) - {"samples", "signals", "events", "motions"}
    found = Found(
        **{name: getattr(ride, name) for name in names},
        samples=imported.samples,
        signals=dict(imported.signals),
        events=imported.events,
    )
    samples = {channel: list(zip(*both, strict=True)) for channel, both in found.samples.items()}
    derived = motions(merged(samples, found.start_ts), found.resolution_mm)
    found.motions = tuple(motion for motion in derived if motion.ts >= found.start_ts)
    return found


def _check(value: Any, kind: type, where: str) -> None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        text = str(exc)
        text = text.replace("`$", f"`$.{where}", 1) if "`$" in text else f"{text} - at `$.{where}`"
        raise msgspec.ValidationError(text) from None
