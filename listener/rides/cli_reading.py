"""The commands of `lesrides` that only read: list, show, export, compare. Each returns an exit status."""

import argparse
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from listener.rides import cli_tools, exchange, files, sheet, signal_report, signal_sheet, store, tables
from listener.rides.cli_tools import Complaint, Tools, find, find_finished, say_bytes, write_whole
from listener.rides.comparison import compare_rides, curve_of
from listener.rides.curves import Tolerance, compare
from listener.rides.files import Sample
from listener.rides.finder import COMPLETED, motions
from listener.rides.motion import INTERVAL_S
from listener.rides.recorder import limits_of
from listener.rides.recovery import merged
from listener.rides.report import rounded
from listener.rides.signals import Tracks
from listener.rides.store import Filter, Ride
from listener.rides.tables import NoCurve

PASSED: Final = 0
FAILED: Final = 1
# More is no reference curve.
CSV_BYTES_MAX: Final = 50_000_000


def list_rides(tools: Tools, options: argparse.Namespace) -> int:
    names = Filter.__struct_fields__
    wanted = Filter(**{name: getattr(options, name) for name in names})
    with tools.reading() as connection:
        rides, total, more = _pages(connection, wanted, options.limit, options.before)
    if options.json:
        say_bytes(msgspec.json.encode({"rides": rides, "total": total}) + b"\n")
        return 0
    tools.say(sheet.table(rides, tools.width))
    older = f"; for older ones: --before {rides[-1].number}" if more else ""
    cli_tools.remark(f"{len(rides)} of {total} rides{older}")
    return 0


def _pages(
    connection: sqlite3.Connection, wanted: Filter, limit: int, before: int | None
) -> tuple[list[Ride], int, bool]:
    """All of them for 0; how many there are altogether, and whether there are older ones."""
    found: list[Ride] = []
    while True:
        # The store gives no more than so many at once; one more than wanted, to know whether there is one.
        left = limit + 1 - len(found) if limit else store.LIST_LIMIT
        page, total = store.rides(connection, wanted, limit=left, before=before)
        found += page
        if not page or len(found) > limit > 0:
            return found[: limit or None], total, len(found) > limit > 0
        before = page[-1].number


def show(tools: Tools, options: argparse.Namespace) -> int:
    with tools.reading() as connection:
        ride = find(connection, options.ride)
        known = list(motions(_samples(connection, ride), ride.resolution_mm))
        told = store.events(connection, ride.number)
        tracks = store.signals(connection, ride.number)
    tools.say(sheet.summary(ride))
    tools.say(signal_sheet.summary(ride, tracks))
    if lines := sheet.told(told, ride.start_ts):
        tools.say(["", *lines])
    tools.say(["", *sheet.curves(ride, known, tools.width, tools.glyphs)])
    return 0


def _samples(connection: sqlite3.Connection, ride: Ride) -> list[Sample]:
    return list(merged(store.samples(connection, ride.number), ride.start_ts))


def export(tools: Tools, options: argparse.Namespace) -> int:
    if options.what != "csv" and (options.raw or options.decimal_comma):
        raise Complaint("--raw and --decimal-comma say how --csv is written")
    with tools.reading() as connection:
        ride = find(connection, options.ride)
        if options.what == "json":
            text = msgspec.json.encode(exchange.exported(connection, ride)) + b"\n"
        else:
            samples = _samples(connection, ride)
            told = store.events(connection, ride.number)
            tracks = store.signals(connection, ride.number)
            lines = (
                _log(ride, samples, told) if options.what == "log" else _csv(ride, samples, tracks, options)
            )
            try:
                text = "".join(lines).encode()
            except ValueError as exc:
                raise Complaint(f"ride {ride.number}: {exc}") from None
    # Only now: what cannot be made leaves no half a file behind.
    if options.output is None or options.output == "-":
        say_bytes(text)
    else:
        write_whole(Path(options.output), text)
    return 0


def _log(ride: Ride, samples: list[Sample], told: list[dict[str, Any]]) -> Iterator[str]:
    stands = ride.reason == COMPLETED and not ride.summary.get("turned")
    return files.write_candump(samples, told, arrived_ts=ride.end_ts if stands else None)


def _csv(ride: Ride, samples: list[Sample], tracks: Tracks, options: argparse.Namespace) -> Iterator[str]:
    if options.raw:
        rows = files.raw_rows(samples, ride.start_ts, ride.resolution_mm)
        return files.write_csv(files.RAW_HEADER, rows, decimal_comma=options.decimal_comma)
    rows = files.motion_rows(samples, ride.start_ts, ride.resolution_mm)
    rows = signal_report.with_signals(rows, tracks)
    header = (*files.MOTION_HEADER, *signal_report.header(tracks))
    return files.write_csv(header, rows, decimal_comma=options.decimal_comma)


def compare_ride(tools: Tools, options: argparse.Namespace) -> int:
    settings = tools.config.rides
    tolerance = Tolerance(
        settings.position_tolerance_mm if options.position_tolerance is None else options.position_tolerance,
        settings.velocity_tolerance_mm_s
        if options.velocity_tolerance is None
        else options.velocity_tolerance,
    )
    with tools.reading() as connection:
        ride = find_finished(connection, options.ride)
        if options.csv is None:
            other = None if options.reference is None else find_finished(connection, options.reference).number
            answer = compare_rides(connection, ride.number, other, tolerance, curves=options.curves)
            reference = f"ride {answer['reference']}"
        else:
            answer = _compare_csv(
                tools, connection, ride, Path(options.csv), tolerance, with_curves=options.curves
            )
            reference = sheet.printable(options.csv)
    if options.json:
        say_bytes(msgspec.json.encode(answer) + b"\n")
    else:
        tools.say(sheet.comparison(answer, f"Ride {ride.number}", reference))
        tools.say(signal_sheet.comparison(answer.get("signals", [])))
        if options.curves:
            tools.say(["", *sheet.deviations(answer, tools.width, tools.glyphs)])
    return PASSED if answer["passed"] else FAILED


def _compare_csv(
    tools: Tools,
    connection: sqlite3.Connection,
    ride: Ride,
    path: Path,
    tolerance: Tolerance,
    *,
    with_curves: bool,
) -> dict[str, Any]:
    if path.stat().st_size > CSV_BYTES_MAX:
        raise Complaint(f"{path}: too large for one curve")
    ours = curve_of(connection, ride)
    content = path.read_bytes()
    lines = content.decode(files.encoding_of(content), "replace").splitlines()
    try:
        theirs = tables.reference(
            lines, ours, tools.config.les02.resolution_mm, limits_of(tools.config.rides)
        )
    except NoCurve as exc:
        raise Complaint(f"{path}: {exc}") from None
    for each in theirs.remarks:
        cli_tools.remark(f"{path}: {each}")
    answer = {
        "ride": ride.number,
        "reference": sheet.printable(str(path)),
        "tolerance": {"position_mm": tolerance.position_mm, "velocity_mm_s": tolerance.velocity_mm_s},
        **rounded(msgspec.to_builtins(compare(ours, theirs.curve, theirs.phases, tolerance))),
    }
    if with_curves:
        both = {"ride": msgspec.to_builtins(ours), "reference": msgspec.to_builtins(theirs.curve)}
        answer |= {"interval_s": INTERVAL_S, "curves": rounded(both)}
    return answer
