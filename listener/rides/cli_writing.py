"""The commands of `lesrides` that change something: import, reference, annotate, delete.

Each returns an exit status.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from listener.rides import exchange, files, intake, opening, sheet, store
from listener.rides.cli_tools import Complaint, Progress, Tools, find, find_finished, remark
from listener.rides.finder import RideFinder
from listener.rides.intake import (
    BEGINS_LATE,
    END_OF_FILE,
    ENDS_EARLY,
    IMPORTED,
    Collector,
    Found,
    Recording,
    TooMuch,
)
from listener.rides.opening import CannotOpen
from listener.rides.recorder import limits_of
from listener.rides.store import Ride, RideInProgress

DONE: Final = 0
NOTHING: Final = 1
TROUBLE: Final = 2
HEAD_BYTES: Final = 8192
LINE_MAX: Final = 65_536
JSON_BYTES_MAX: Final = 500_000_000


def import_files(tools: Tools, options: argparse.Namespace) -> int:
    # A new one is made only when there is a ride for it; what is wrong with an old one is told at once.
    if tools.is_there():
        tools.path(make=True)
    worst = DONE
    for name in options.file:
        try:
            if name == "-":
                status = _import(tools, options, "stdin", cast("BufferedReader", sys.stdin.buffer))
            else:
                with Path(name).open("rb") as file:
                    status = _import(tools, options, name, file)
        except OSError as exc:
            remark(f"{name}: {exc.strerror or exc}")
            status = TROUBLE
        except Complaint as exc:
            remark(f"{name}: {exc}")
            status = TROUBLE
        worst = max(worst, status)
    return worst


def _import(tools: Tools, options: argparse.Namespace, name: str, file: BufferedReader) -> int:
    progress = Progress(name, os.fstat(file.fileno()).st_size)
    kept: list[int] = []
    summaries: dict[int, dict[str, Any]] = {}
    replaced: list[int] = []
    known = 0

    def tell(done: int) -> None:
        progress.at(done, f"{len(kept)} rides")

    recording, rides = _rides(tools, options, file, tell)
    try:
        for ride in rides:
            ride.specimen = options.specimen or ride.specimen
            if options.note is not None:
                ride.note = options.note
            elif recording is not None:
                ride.note = IMPORTED + sheet.printable(Path(name).name)
            # One by one: the daemon has to wait for none of them.
            with opening.writing(tools.path(make=True)) as connection:
                number, parts = intake.keep(connection, ride)
            if number is None:
                known += 1
            else:
                replaced += [part for part in parts if part not in kept]
                kept = [each for each in kept if each not in parts] + [number]
                summaries[number] = ride.summary
    except TooMuch as exc:
        raise Complaint(str(exc)) from None
    finally:
        progress.clear()
    numbers = f" ({files.spans(kept)})" if kept else ""
    there = f", {known} of the rides in it {'were' if known > 1 else 'was'} there already" if known else ""
    parts_of_it = f", in place of {files.spans(replaced)}, only a part of it" if replaced else ""
    imported = f"{_count(len(kept), 'ride')} imported{numbers}{parts_of_it}{there}"
    tools.say([f"{sheet.printable(name)}: {imported}"])
    if recording is not None:
        _tell_trouble(recording, name)
        if recording.positions and not recording.too_sparse and not kept and not known:
            least_mm = tools.config.rides.ride_mm
            remark(f"{name}: nothing in it was seen to go more than {least_mm:g} mm, as a ride does")
        _tell_what_is_cut({number: summaries[number] for number in kept}, name)
    return DONE if kept or known else NOTHING


def _rides(
    tools: Tools, options: argparse.Namespace, file: BufferedReader, tell: Callable[[int], None]
) -> tuple[Recording | None, Iterator[Found]]:
    head = file.peek(HEAD_BYTES)
    encoding = files.encoding_of(head)
    kind = files.kind_of(head.decode(encoding, "replace"))
    if not kind:
        raise Complaint("neither a candump log, nor CSV, nor a ride as JSON")
    if kind == "json":
        return None, _one(file)
    resolution_mm = options.resolution or tools.config.les02.resolution_mm
    finder = RideFinder(resolution_mm, *limits_of(tools.config.rides))
    source = tools.config.les02.source if kind == "candump" else "csv"
    recording = Recording(Collector(finder, resolution_mm=resolution_mm, source=source))
    lines = _lines(file, encoding, tell)
    if kind == "candump":
        return recording, recording.candump(lines, options.bus)
    return recording, recording.csv(lines, os.fstat(file.fileno()).st_mtime, resolution_mm)


def _one(file: BufferedReader) -> Iterator[Found]:
    try:
        yield exchange.from_json(file.read(JSON_BYTES_MAX))
    except RideInProgress as exc:
        raise Complaint(str(exc)) from None
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Complaint(f"not a ride: {exc}") from None


def _lines(file: BufferedReader, encoding: str, tell: Callable[[int], None]) -> Iterator[str]:
    """Whatever ends a line."""
    done, octets = 0, 2 if encoding == "utf-16" else 1
    text = TextIOWrapper(file, encoding, "replace")
    try:
        while line := text.readline(LINE_MAX):
            yield line
            done += octets * len(line)
            tell(done)
    finally:
        # Whose file it is closes it, or has done so.
        with contextlib.suppress(ValueError):
            text.detach()


def _tell_trouble(recording: Recording, name: str) -> None:
    if not recording.positions:
        remark(f"{name}: no positions in it")
    if recording.not_understood:
        remark(f"{name}: {files.not_understood(recording.not_understood, recording.reason)}")
    if recording.too_sparse:
        remark(f"{name}: {recording.too_sparse}")
    for bus in recording.left_out:
        remark(f"{name}: the frames of {bus} were left out; to take them instead: --bus {bus}")


def _tell_what_is_cut(summaries: dict[int, dict[str, Any]], name: str) -> None:
    partial = [number for number, summary in summaries.items() if summary["partial"]]
    aborted = [number for number, summary in summaries.items() if summary["cause"] == END_OF_FILE]
    for numbers, what in ((partial, f"partial: {BEGINS_LATE}"), (aborted, f"aborted: {ENDS_EARLY}")):
        if numbers:
            verb = "ride {} is" if len(numbers) == 1 else "rides {} are"
            remark(f"{name}: {verb.format(files.spans(numbers))} {what}")


def reference(tools: Tools, options: argparse.Namespace) -> int:
    with tools.writing() as connection:
        ride = find_finished(connection, options.ride)
        store.annotate(connection, ride.number, reference=not options.remove)
    now = "is not a reference any more" if options.remove else "is a reference now"
    tools.say([f"Ride {ride.number} {now}: {ride.direction}, {ride.distance_mm or 0:.0f} mm"])
    return DONE


def annotate(tools: Tools, options: argparse.Namespace) -> int:
    values = {name: getattr(options, name) for name in ("note", "specimen", "starred")}
    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        raise Complaint("annotate: say what: --note, --specimen, --star or --no-star")
    with tools.writing() as connection:
        ride = find_finished(connection, options.ride)
        store.annotate(connection, ride.number, **given)
        ride = store.find(connection, ride.number)
    tools.say(sheet.table([ride], tools.width))
    return DONE


def delete(tools: Tools, options: argparse.Namespace) -> int:
    with tools.reading() as connection:
        rides = {ride.number: ride for ride in (find(connection, which) for which in options.ride)}
    with _nobody_records(tools, rides.values()):
        pass
    if not options.yes:
        if not sys.stdin.isatty():
            raise Complaint("delete: nobody is there to be asked; --yes deletes without asking")
        for ride in rides.values():
            sys.stderr.write(f"{sheet.headline(ride)}\n")
        sys.stderr.write(f"Delete {_count(len(rides), 'ride')}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes", "j", "ja"):
            return NOTHING
    with _nobody_records(tools, rides.values()), tools.writing() as connection:
        for number in rides:
            store.delete(connection, number)
    tools.say([f"{_count(len(rides), 'ride')} deleted"])
    return DONE


@contextlib.contextmanager
def _nobody_records(tools: Tools, rides: Iterable[Ride]) -> Iterator[None]:
    """One without an end may be of a listener that was killed."""
    begun = next((ride for ride in rides if ride.reason is None), None)
    if begun is None:
        yield
        return
    try:
        with opening.alone(tools.path()):
            yield
    except CannotOpen as exc:
        raise Complaint(f"ride {begun.number} is in progress: {exc}") from None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
