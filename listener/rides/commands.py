"""The commands about rides. Each reads or writes the database in one job, and answers with plain data."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import msgspec

from listener.commands import CommandError, Commands
from listener.config import RidesConfig
from listener.database import Database, StorageError
from listener.rides import store
from listener.rides.comparison import compare_rides
from listener.rides.curves import Tolerance
from listener.rides.recorder import Recorder
from listener.rides.store import Filter, NoSuchRide, Ride, RideInProgress
from listener.rides.writer import SPECIMEN

T = TypeVar("T")
Find = Callable[[sqlite3.Connection, str | int], Ride]
Which = Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | Annotated[int, msgspec.Meta(ge=1)]
Text = Annotated[str, msgspec.Meta(max_length=4000)]
Short = Annotated[str, msgspec.Meta(max_length=200)]


class ListRides(msgspec.Struct, forbid_unknown_fields=True):
    filter: Filter = msgspec.field(default_factory=Filter)
    limit: Annotated[int, msgspec.Meta(ge=1, le=store.LIST_LIMIT)] = 50
    before: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None


class GetRide(msgspec.Struct, forbid_unknown_fields=True):
    ride: Which
    samples: bool = False  # ten times as much as the curve
    curve: bool = True
    events: bool = True
    signals: bool = True


class CompareRide(msgspec.Struct, forbid_unknown_fields=True):
    ride: Which
    reference: Which | None = None  # None: the newest reference of its direction and distance
    curves: bool = False


class SetReference(msgspec.Struct, forbid_unknown_fields=True):
    ride: Which
    reference: bool = True


class AnnotateRide(msgspec.Struct, forbid_unknown_fields=True):
    ride: Which
    note: Text | msgspec.UnsetType = msgspec.UNSET
    specimen: Short | msgspec.UnsetType = msgspec.UNSET
    starred: bool | msgspec.UnsetType = msgspec.UNSET


class DeleteRide(msgspec.Struct, forbid_unknown_fields=True):
    ride: Which


class SetSpecimen(msgspec.Struct, forbid_unknown_fields=True):
    specimen: Short


class RideCommands:
    def __init__(self, database: Database, recorder: Recorder, config: RidesConfig) -> None:
        self._database = database
        self._recorder = recorder
        self._tolerance = Tolerance(config.position_tolerance_mm, config.velocity_tolerance_mm_s)

    @contextmanager
    def registered(self, commands: Commands) -> Iterator[None]:
        entries: list[tuple[str, type[msgspec.Struct], Callable[[Any], Any], bool]] = [
            ("list_rides", ListRides, self.list_rides, False),
            ("get_ride", GetRide, self.get_ride, False),
            ("compare_ride", CompareRide, self.compare_ride, False),
            ("set_reference", SetReference, self.set_reference, True),
            ("annotate_ride", AnnotateRide, self.annotate_ride, True),
            ("delete_ride", DeleteRide, self.delete_ride, True),
            ("set_specimen", SetSpecimen, self.set_specimen, True),
        ]
        ends = [commands.register(name, kind, done, control=control) for name, kind, done, control in entries]
        try:
            yield
        finally:
            for end in ends:
                end()

    async def list_rides(self, wanted: ListRides) -> dict[str, Any]:
        rides, total = await self._read(
            lambda c: store.rides(c, wanted.filter, limit=wanted.limit, before=wanted.before)
        )
        return {"rides": msgspec.to_builtins(rides), "total": total, "specimen": self._recorder.specimen}

    async def get_ride(self, wanted: GetRide) -> dict[str, Any]:
        def job(connection: sqlite3.Connection) -> dict[str, Any]:
            ride = store.find(connection, wanted.ride)
            answer: dict[str, Any] = {"ride": msgspec.to_builtins(ride)}
            if wanted.samples:
                answer["samples"] = store.columns(connection, ride.number)
            if wanted.curve:
                answer["curve"] = store.curve(connection, ride.number)
            if wanted.signals:
                answer["signals"] = msgspec.to_builtins(store.signals(connection, ride.number))
            if wanted.events:
                answer["events"] = store.events(connection, ride.number)
            return answer

        return await self._read(job)

    async def compare_ride(self, wanted: CompareRide) -> dict[str, Any]:
        tolerance = self._tolerance
        return await self._read(
            lambda c: compare_rides(c, wanted.ride, wanted.reference, tolerance, curves=wanted.curves)
        )

    async def set_reference(self, wanted: SetReference) -> dict[str, Any]:
        return await self._annotate(wanted.ride, store.find_finished, reference=wanted.reference)

    async def annotate_ride(self, wanted: AnnotateRide) -> dict[str, Any]:
        given = {name: getattr(wanted, name) for name in ("note", "specimen", "starred")}
        return await self._annotate(
            wanted.ride,
            store.find,
            **{name: value for name, value in given.items() if value is not msgspec.UNSET},
        )

    async def change_ride(self, which: str | int, **values: str | bool) -> dict[str, Any]:
        """What these two do, in one transaction: all of it or nothing. Names are those of the store."""
        find = store.find_finished if "reference" in values else store.find
        return await self._annotate(which, find, **values)

    async def delete_ride(self, wanted: DeleteRide) -> dict[str, Any]:
        def job(connection: sqlite3.Connection) -> dict[str, Any]:
            ride = store.find_finished(connection, wanted.ride)
            store.delete(connection, ride.number)
            return {"number": ride.number, "ride_id": ride.id}

        return await self._write(job)

    async def set_specimen(self, wanted: SetSpecimen) -> dict[str, Any]:
        """For the rides to come; one in progress keeps its own."""
        await self._write(lambda c: store.set_setting(c, SPECIMEN, wanted.specimen))
        self._recorder.specimen = wanted.specimen
        return {"specimen": wanted.specimen}

    async def _annotate(self, which: str | int, find: Find, **values: Any) -> dict[str, Any]:
        def job(connection: sqlite3.Connection) -> dict[str, Any]:
            ride = find(connection, which)
            store.annotate(connection, ride.number, **values)
            return {"ride": msgspec.to_builtins(store.find(connection, ride.number))}

        return await self._write(job)

    async def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        with _told():
            return await self._database.read(job)

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        with _told():
            return await self._database.write(job)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except RideInProgress as exc:
        raise CommandError("in_progress", str(exc)) from None
    except NoSuchRide as exc:
        raise CommandError("no_such_ride", str(exc)) from None
    except StorageError as exc:
        raise CommandError("storing_failed", str(exc)) from None
    except msgspec.DecodeError as exc:
        raise CommandError("storing_failed", f"what is stored is damaged: {exc}") from None
