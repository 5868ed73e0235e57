"""What rides are written to and read from: candump logs, and CSV for spreadsheets.

Pure. Lines in; samples, other frames of the sensor, and what was not understood out, in the order of the
file. Lines are never an error: who reads decides what too many of them mean. JSON is in `exchange`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from listener.frames import CANFrame, Malformed, MessageType, decode, parse_position
from listener.rides.finder import motions

MASTER: Final = "master"
SLAVE: Final = "slave"

# channel, time, raw position: what RideFinder takes
Sample = tuple[str, float, int]

# At the end of a log a car that has arrived stands for so long after the last position, and until so long
# after its arrival: whoever replays it has to see the car stand for a while, and some want a longer one.
STANDING_S: Final = 0.5
ARRIVED_S: Final = 3.0
STANDING_STEP_US: Final = 4000
SILENT_US: Final = 100_000
# (1700000000.250000) can0 080#0003E8FF; also what candump -ta prints, with the length in brackets.
_CANDUMP: Final = re.compile(
    r"\s*\((?P<ts>\d{1,12}\.\d+)\)\s+(?P<bus>\S+)\s+(?P<id>[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})"
    r"(?:(?P<kind>##?)(?P<data>R[0-9A-Fa-f]*|[0-9A-Fa-f.]*)(?:\s+[RT])?"
    r"|\s+\[\s*\d+\]\s*(?P<bytes>remote request|(?:[0-9A-Fa-f]{2}(?:\s|$))*).*)\s*"
)
_EXTENDED: Final = 1
_REMOTE: Final = 2
_FD: Final = 8
_POSITION_ID: Final = {MASTER: 0x80, SLAVE: 0x81}
_RAW_MAX: Final = 0xFFFFFF
_OCTETS: Final = re.compile(r"[0-9A-Fa-f]{16}")
# type of event -> the identifier of the master's frame
_EVENT_ID: Final = {"status": 0x30, "error": 0x20, "system": 0x10}

# Such as velocity_mm_s, speed (m/s), Geschwindigkeit [mm/s].
_SPEED: Final = re.compile(
    r"(?:velocity|speed|geschwindigkeit|v)(?![^\W\d_]).*(?<![^\W\d_])(mm|cm|m)[_/]s\W*$"
)
_MILLIMETRES: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
RAW_HEADER: Final = ("time_s", "position_mm", "channel", "position_raw")
MOTION_HEADER: Final = ("time_s", "position_mm", "velocity_mm_s", "acceleration_mm_s2")


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    line: int
    reason: str


class Frame(NamedTuple):
    bus: str
    line: int
    frame: CANFrame


class Point(NamedTuple):
    """Of a CSV."""

    channel: str
    ts: float
    position_mm: float
    velocity_mm_s: float | None = None  # where the table has one


def kind_of(head: str) -> str:
    """`candump`, `csv` or `json`, from the first lines; empty for what is no text."""
    if "\0" in head:
        return ""
    begin = head.lstrip("\ufeff \t\r\n")[:1]
    if begin == "{":
        return "json"
    # What comes through a pipe may be half a line yet.
    return "candump" if begin == "(" or any(map(_CANDUMP.fullmatch, head.splitlines())) else "csv"


def encoding_of(head: bytes) -> str:
    """Spreadsheets may write UTF-16 as well."""
    return "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


# candump


def read_candump(lines: Iterable[str]) -> Iterator[Frame | NotUnderstood]:
    """The sensor's frames of every bus; those of its neighbours are left out."""
    match = _CANDUMP.fullmatch
    for number, line in enumerate(lines, 1):
        found = match(line)
        if found is None:
            if line.strip():
                yield NotUnderstood(number, _shortened(line))
            continue
        ts, bus, identifier, kind, text, spaced = found.groups()
        text = (text or "").replace(".", "") if spaced is None else "".join(spaced.split())
        flags = _EXTENDED if len(identifier) == 8 else 0
        if text.startswith(("R", "remote")):
            flags, text = flags | _REMOTE, ""
        if kind == "##":
            flags, text = flags | _FD, ""
        if len(text) % 2:
            yield NotUnderstood(number, _shortened(line))
            continue
        frame = decode(int(identifier, 16), flags, bytes.fromhex(text), float(ts))
        if isinstance(frame, Malformed):
            yield NotUnderstood(number, frame.reason)
        elif frame is not None:
            yield Frame(bus, number, frame)


def is_position(frame: CANFrame) -> bool:
    return frame.message_type is MessageType.POSITION


def sample_of(frame: CANFrame) -> Sample:
    return frame.channel.label, frame.timestamp, parse_position(frame.data)


def write_candump(
    samples: Iterable[Sample],
    events: Iterable[Mapping[str, Any]],
    *,
    bus: str = "can0",
    arrived_ts: float | None = None,
) -> Iterator[str]:
    """All frames in the order of time; `arrived_ts` is since when the car stands that stands at the end.

    Raises ValueError for a position that the sensor's 24 bits cannot tell.
    """
    lines = [(round(ts * 1e6), *_position(channel, raw)) for channel, ts, raw in samples]
    if arrived_ts is not None and lines:
        least_us, most_us = (lines[-1][0] + round(1e6 * added_s) for added_s in (STANDING_S, ARRIVED_S))
        until_us = round(1e6 * (arrived_ts + ARRIVED_S))
        lines += list(_standing(lines, min(max(until_us, least_us), most_us)))
    lines += [found for event in events if (found := _frame_of(event)) is not None]
    for us, identifier, data in sorted(lines):
        yield f"({us // 1_000_000}.{us % 1_000_000:06d}) {bus} {identifier:03X}#{data}\n"


def _position(channel: str, raw: int) -> tuple[int, str]:
    if not 0 <= raw <= _RAW_MAX:
        raise ValueError(f"the sensor cannot tell the position {raw}, but 0 to {_RAW_MAX}")
    return _POSITION_ID[channel], f"{raw:06X}FF"


def _standing(lines: list[tuple[int, int, str]], until_us: int) -> Iterator[tuple[int, int, str]]:
    """Of the channels that were not silent then."""
    last = {identifier: (us, data) for us, identifier, data in lines}
    alive = [each for each in last.items() if lines[-1][0] - each[1][0] <= SILENT_US]
    for identifier, (us, data) in alive:
        for later_us in range(us + STANDING_STEP_US, until_us, STANDING_STEP_US):
            yield later_us, identifier, data


def _frame_of(event: Mapping[str, Any]) -> tuple[int, int, str] | None:
    """The frame that an event was made of. An unlock is not of the sensor, and is never sent again."""
    payload = event.get("payload", {})
    details = payload.get("details")
    raw = details.get("raw") if isinstance(details, dict) else payload.get("raw")
    channel, base = payload.get("channel"), _EVENT_ID.get(str(event.get("type")))
    if base is None or channel not in (MASTER, SLAVE) or not _OCTETS.fullmatch(str(raw)):
        return None
    return round(event["ts"] * 1e6), base + (channel == SLAVE), str(raw).upper()


# CSV


def raw_rows(samples: Iterable[Sample], start_ts: float, resolution_mm: float) -> Iterator[tuple[str, ...]]:
    for channel, ts, raw in samples:
        yield f"{ts - start_ts:.6f}", f"{raw * resolution_mm:.10g}", channel, str(raw)


def motion_rows(
    samples: Iterable[Sample], start_ts: float, resolution_mm: float
) -> Iterator[tuple[str, ...]]:
    for motion in motions(samples, resolution_mm):
        values = motion.position_mm, motion.velocity_mm_s, motion.acceleration_mm_s2
        yield f"{motion.ts - start_ts:.4f}", *(f"{round(value, 2) + 0.0:.2f}" for value in values)


def write_csv(
    header: Iterable[str], rows: Iterable[tuple[str, ...]], *, decimal_comma: bool
) -> Iterator[str]:
    separator = ";" if decimal_comma else ","
    yield separator.join(header) + "\r\n"
    for row in rows:
        line = separator.join(row)
        yield (line.replace(".", ",") if decimal_comma else line) + "\r\n"


@dataclass(frozen=True, slots=True)
class _Columns:
    time: int = 0
    position: int = 1
    channel: int | None = None
    velocity: int | None = None
    seconds: float = 1.0
    millimetres: float = 1.0
    mm_s: float = 1.0


def read_csv(lines: Iterable[str]) -> Iterator[Point | NotUnderstood]:
    """Times in s and positions in mm, in the first two columns unless a header says otherwise.

    Separated by `;`, tabs or commas; where it is not commas, numbers may have a decimal comma. Velocities are
    read where a header tells their unit.
    """
    columns: _Columns | None = None
    last: dict[str, float] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = _cells(line)
        if columns is None:
            header = _header(cells)
            columns = header or _Columns()
            if header is not None:
                continue
        try:
            channel = MASTER if columns.channel is None else cells[columns.channel]
            ts = _number(cells[columns.time]) * columns.seconds
            position_mm = _number(cells[columns.position]) * columns.millimetres
        except (ValueError, IndexError):
            yield NotUnderstood(number, _shortened(line))
            continue
        if channel not in _POSITION_ID:
            yield NotUnderstood(number, f"no channel {_shortened(channel)!r}")
        elif channel in last and ts <= last[channel]:
            yield NotUnderstood(number, "time does not go on")
        else:
            last[channel] = ts
            yield Point(channel, ts, position_mm, _velocity(cells, columns))


def begins_with_ride(lines: Iterable[str]) -> bool:
    """Whether it is a table of `export`, whose time 0 is the beginning of the ride."""
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return tuple(_cells(first)[: len(RAW_HEADER)]) in (RAW_HEADER, MOTION_HEADER)  # and signals behind


def _cells(line: str) -> list[str]:
    separator = next((each for each in ";\t" if each in line), ",")
    return [cell.strip().strip('"').strip() for cell in line.split(separator)]


def _header(cells: list[str]) -> _Columns | None:
    """None where the first line is one of numbers already."""
    try:
        _number(cells[0])
    except ValueError:
        pass
    else:
        return None
    names = [cell.lower() for cell in cells]
    time = _column(names, r"(time|zeit|t)\b|time_|zeit_|t_", 0)
    position = _column(names, r"position(?!_?raw)|pos\b|weg|height|h.he", 1)
    speeds = [(number, found[1]) for number, name in enumerate(names) if (found := _SPEED.match(name))]
    velocity, unit = speeds[0] if speeds else (None, "mm")
    return _Columns(
        time,
        position,
        channel=names.index("channel") if "channel" in names else None,
        velocity=velocity,
        seconds={"ms": 1e-3, "us": 1e-6, "µs": 1e-6}.get(_unit(names, time), 1.0),
        millimetres=_MILLIMETRES.get(_unit(names, position), 1.0),
        mm_s=_MILLIMETRES[unit],
    )


def _velocity(cells: list[str], columns: _Columns) -> float | None:
    if columns.velocity is None:
        return None
    try:
        return _number(cells[columns.velocity]) * columns.mm_s
    except (ValueError, IndexError):
        return None


def _column(names: list[str], pattern: str, otherwise: int) -> int:
    return next((number for number, name in enumerate(names) if re.match(pattern, name)), otherwise)


def _unit(names: list[str], column: int) -> str:
    words = re.findall(r"[^\W\d_]+", names[column]) if column < len(names) else []
    return words[-1] if words else ""


def _number(text: str) -> float:
    value = float(text.replace(",", "."))
    if not abs(value) < 1e12:  # neither infinite nor not a number
        raise ValueError(text)
    return value


def _shortened(line: str) -> str:
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line.strip())
    return text if len(text) <= 40 else f"{text[:39]}…"


def spans(numbers: Iterable[int], at_most: int = 12) -> str:
    """3, 7–9, 12 and how many more."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in found]
    more = len(texts) - at_most
    return ", ".join(texts[:at_most]) + (f" and {more} more places" if more > 0 else "")


def not_understood(lines: list[int], reason: str) -> str:
    """For the user: which lines, and what is wrong with the first."""
    return f"line{'s' if len(lines) > 1 else ''} {spans(lines)} not understood ({reason})"
