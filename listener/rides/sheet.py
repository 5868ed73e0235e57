"""A ride on a sheet: lists, numbers, curves and comparisons as plain text for a terminal.

Pure but for the computer's time zone. What the database holds in, lines out.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from listener.rides import plot
from listener.rides.motion import Motion
from listener.rides.plot import Glyphs
from listener.rides.store import Ride

LINES_POSITION: Final = 10
LINES_VELOCITY: Final = 10
LINES_DEVIATION: Final = 8
MARGIN: Final = 7
# What is shown before the beginning of a ride and after its end.
BEFORE_S: Final = 0.5
AFTER_S: Final = 1.0
# So much of a note, and of a specimen, is shown in a list at least.
TEXT_LEAST: Final = 12


def when(ts: float) -> str:
    try:
        return f"{datetime.fromtimestamp(ts, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # years that nobody will live to see
        return f"{ts:.0f} s"


def printable(text: str) -> str:
    """On one line, and nothing that would move the cursor."""
    return "".join(char if char.isprintable() else " " for char in text)


_LIST: Final[tuple[str, ...]] = ("no", "start", "way", "mm", "s", "mm/s", "end", "specimen", "", "note")
_SPECIMEN: Final = _LIST.index("specimen")


def table(rides: Iterable[Ride], width: int) -> list[str]:
    rows = [_LIST, *map(_row, rides)]
    right = {0, 3, 4, 5}
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    taken = sum(each + 2 for column, each in enumerate(widths[:-1]) if each and column != _SPECIMEN)
    most = max(TEXT_LEAST, width - taken - 2 - min(TEXT_LEAST, widths[-1]))
    widths[_SPECIMEN] = min(most, widths[_SPECIMEN])
    lines = []
    for row in rows:
        cells = [
            f"{cell:>{widths[column]}}"
            if column in right
            else f"{_cut(cell, widths[column]):<{widths[column]}}"
            for column, cell in enumerate(row[:-1])
            if widths[column]
        ]
        line = "  ".join(cells)
        room = max(TEXT_LEAST, width - len(line) - 2)
        lines.append(f"{line}  {_cut(row[-1], room)}".rstrip())
    return lines


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _row(ride: Ride) -> tuple[str, ...]:
    summary = ride.summary
    marks = ("R" if ride.is_reference else "") + ("*" if ride.is_starred else "")
    return (
        str(ride.number),
        when(ride.start_ts),
        ride.direction,
        _number(ride.distance_mm),
        _number(summary.get("duration_s"), 2),
        _number(summary.get("full_speed_mm_s")),
        ride.reason or "in progress",
        printable(ride.specimen),
        marks,
        printable(ride.note),
    )


def headline(ride: Ride) -> str:
    parts = [f"Ride {ride.number}", when(ride.start_ts), ride.direction, ride.reason or "in progress"]
    cause = ride.summary.get("cause")
    if ride.reason is not None and cause:
        parts[-1] += f" ({printable(str(cause))})"
    parts += [
        name for name, said in (("a reference", ride.is_reference), ("starred", ride.is_starred)) if said
    ]
    return ", ".join(parts)


def summary(ride: Ride) -> list[str]:
    known = ride.summary
    lines = [headline(ride)]
    lines += [f"  {name:<13}{printable(text)}" for name, text in _texts(ride) if text]
    where = _between(known.get("start_position_mm"), known.get("stop_position_mm"))
    floors = _between(known.get("start_floor"), known.get("stop_floor"), "floor ")
    values = [
        ("distance", _with_unit(ride.distance_mm, "mm", 1), ", ".join(filter(None, (where, floors)))),
        ("duration", _with_unit(known.get("duration_s"), "s", 2), ""),
        ("full speed", _with_unit(known.get("full_speed_mm_s"), "mm/s"), ""),
        ("creep speed", _with_unit(known.get("creep_speed_mm_s"), "mm/s"), ""),
        ("stop offset", _with_unit(known.get("stop_offset_mm"), "mm", 1), "from the floor as it was known"),
        ("re-levels", str(known.get("relevels") or ""), "after it"),
        ("stops", str(known.get("stops") or ""), "between floors"),
        ("missing", _with_unit(known.get("incomplete_s") or None, "s", 1), "of its positions"),
    ]
    lines += [f"  {name:<13}{value:<12}{more}".rstrip() for name, value, more in values if value]
    lines += [f"  {text}" for name, text in _ODDITIES.items() if known.get(name)]
    if known.get("max"):
        lines += ["", *_extremes(known["max"], known.get("p95") or {})]
    if known.get("phases"):
        lines += ["", *_phases(known["phases"])]
    return lines


_ODDITIES: Final = {
    "partial": "partial: seen from its middle on only",
    "turned": "the car turned without having stood",
}


def _texts(ride: Ride) -> tuple[tuple[str, str], ...]:
    return ("id", ride.id), ("specimen", ride.specimen), ("note", ride.note)


def _extremes(highest: Mapping[str, Any], most: Mapping[str, Any]) -> list[str]:
    lines = [f"  {'position-derived':<18}{'max':>8}{'95 %':>8}"]
    for name, unit in (
        ("velocity", "mm/s"),
        ("acceleration", "mm/s²"),
        ("deceleration", "mm/s²"),
        ("jerk", "mm/s³"),
    ):
        key = f"{name}_{unit.replace('/', '_').replace('²', '2').replace('³', '3')}"
        lines.append(f"  {name:<18}{_number(highest.get(key)):>8}{_number(most.get(key)):>8}  {unit}")
    return lines


def _phases(phases: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = [("phase", "from s", "for s", "mm", "mm/s")]
    rows += [
        (
            _phase_name(phase),
            _number(phase.get("begin_s"), 2),
            _number(phase.get("duration_s"), 2),
            _number(phase.get("distance_mm")),
            _number(phase.get("speed_mm_s")),
        )
        for phase in phases
    ]
    return [f"  {name:<18}{begin:>8}{lasts:>8}{mm:>8}{speed:>8}" for name, begin, lasts, mm, speed in rows]


def curves(ride: Ride, motions: Sequence[Motion], width: int, glyphs: Glyphs) -> list[str]:
    """Position and velocity, one above the other, and the phases under them."""
    if not motions:
        return ["no curve: too few positions"]
    end_s = motions[-1].ts - ride.start_ts if ride.end_ts is None else ride.end_ts - ride.start_ts
    times = [motion.ts - ride.start_ts for motion in motions]
    x_range = max(times[0], -BEFORE_S), max(min(times[-1], end_s + AFTER_S), times[0] + 0.1)
    inside = [(at_s, motion) for at_s, motion in zip(times, motions, strict=True) if at_s <= x_range[1]]
    inside = [each for each in inside if each[0] >= x_range[0]]
    how: dict[str, Any] = {"width": width, "glyphs": glyphs, "x_range": x_range, "margin": MARGIN, "gap": 0.1}
    positions = [(at_s, motion.position_mm) for at_s, motion in inside]
    velocities = [(at_s, motion.velocity_mm_s) for at_s, motion in inside]
    phases = [
        (_phase_name(phase), phase["begin_s"], phase["begin_s"] + phase["duration_s"])
        for phase in ride.summary.get("phases", [])
    ]
    lines = ["position mm", *plot.draw(positions, height=LINES_POSITION, **how)]
    lines += ["velocity mm/s", *plot.draw(velocities, height=LINES_VELOCITY, with_zero=True, **how)]
    if phases:
        lines.append(plot.band(phases, width=width, margin=MARGIN, x_range=x_range, glyphs=glyphs))
    return lines


def told(events: Iterable[Mapping[str, Any]], start_ts: float) -> list[str]:
    """What else has happened, a line each."""
    lines = []
    for event in events:
        kind, payload = event["type"], event["payload"]
        if kind in ("ride_start", "ride_end"):
            continue
        details = payload.get("details")
        if not isinstance(details, dict):
            details = {name: payload[name] for name in payload.keys() - {"channel", "code", "state"}}
        words = [kind, payload.get("channel"), payload.get("code"), payload.get("state")]
        words += [f"{name} {value}" for name, value in sorted(details.items())]
        text = "  ".join(str(word) for word in words if word)
        lines.append(f"  {event['ts'] - start_ts:>8.2f} s  {printable(text)}")
    return ["what happened", *lines] if lines else []


def comparison(answer: Mapping[str, Any], name: str, reference: str) -> list[str]:
    lines = [f"{name} against {reference}: {'PASS' if answer['passed'] else 'FAIL'}"]
    lines += [f"  {reason}" for reason in answer["reasons"]]
    tolerance = answer["tolerance"]
    lines += [
        f"  allowed: {tolerance['position_mm']:g} mm, {tolerance['velocity_mm_s']:g} mm/s",
        f"  {answer['duration_s']:+.2f} s in duration, {answer['distance_mm']:+.1f} mm in distance",
        "",
        f"  {'':<14}{'position mm':>24}   {'velocity mm/s':>24}",
        f"  {'deviation':<14}{'max':>8}{'rms':>8}{'at s':>8}   {'max':>8}{'rms':>8}{'at s':>8}",
    ]
    for each in [{"name": "whole ride", **answer}, *answer["phases"]]:
        cells = "   ".join(
            f"{each[what]['max']:>+8.1f}{each[what]['rms']:>8.1f}{each[what]['at_s']:>8.2f}"
            for what in ("position", "velocity")
        )
        lines.append(f"  {_phase_name(each):<14}{cells}")
    return lines


def deviations(answer: Mapping[str, Any], width: int, glyphs: Glyphs) -> list[str]:
    """How far the ride is from its reference, over its time."""
    interval_s, both = answer["interval_s"], answer["curves"]
    lines = []
    for title, column in (("position mm", "distance_mm"), ("velocity mm/s", "speed_mm_s")):
        ours, theirs = both["ride"][column], both["reference"][column]
        count = max(len(ours), len(theirs))
        points = [
            (number * interval_s, _at(ours, number, column) - _at(theirs, number, column))
            for number in range(count)
        ]
        drawn = plot.draw(
            points, width=width, height=LINES_DEVIATION, glyphs=glyphs, with_zero=True, margin=MARGIN
        )
        lines += [f"deviation of {title}", *drawn]
    return lines


def _at(column: Sequence[float], number: int, name: str) -> float:
    """After its end a car stands."""
    if number < len(column):
        return column[number]
    return 0.0 if name == "speed_mm_s" else column[-1]


def _phase_name(phase: Mapping[str, Any]) -> str:
    return printable(str(phase["name"]).replace("_", " "))


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _with_unit(value: float | None, unit: str, digits: int = 0) -> str:
    return "" if value is None else f"{_number(value, digits)} {unit}"


def _between(start: float | None, stop: float | None, name: str = "") -> str:
    if start is None or stop is None:
        return ""
    return f"from {name}{start:g} to {name}{stop:g}"
