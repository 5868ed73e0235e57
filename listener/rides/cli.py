"""`lesrides`: the rides in the database, in a terminal. Works while the daemon runs.

Answers go to stdout, remarks and errors to stderr, a line each. Exit status: 0 done; 1 compared and failed,
or nothing found to import, or not deleted; 2 a mistake or trouble; 130 after Ctrl+C.
"""

import argparse
import contextlib
import math
import os
import sqlite3
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn, get_args

import msgspec

from listener import __version__
from listener.config import SYSTEM_FILE, ConfigError
from listener.database import StorageError
from listener.rides import cli_reading, cli_writing
from listener.rides.cli_tools import LAST, Complaint, Tools, remark
from listener.rides.commands import Short, Text
from listener.rides.opening import CannotOpen
from listener.rides.store import NoSuchRide

TROUBLE: Final = 2
INTERRUPTED: Final = 130

_RIDE_HELP: Final = f'its number, its id or the beginning of its id, or "{LAST}"'
_EXPORT: Final = """\
--csv   for a spreadsheet: a row every 20 ms with time_s (0 is the beginning of the ride), position_mm,
        velocity_mm_s, acceleration_mm_s2 and a column for each signal: the last value that it had told,
        empty where that is more than two of its periods old. With --raw instead every position that the
        sensor has sent: time_s, position_mm, channel, position_raw.
--json  everything that is known of the ride; `lesrides import` takes it back.
--log   a candump log of both channels for `lesmock --replay`, SavvyCAN or canplayer. Its last position is
        repeated until the car has stood for 3 s, so that whoever replays it sees the end of the ride."""
_IMPORT: Final = """\
What a file is, is told from its beginning:
- a log of `candump -l`, or what `candump -ta` has printed; positions of one bus, the first that has any;
- CSV: time in s and position in mm, in the first two columns or in those that a header calls time and
  position (time_ms, position_m and the like are understood). Separated by ; or tabs or commas; with the
  former two a decimal comma is fine. Where it begins or ends in mid-movement, the ride is partial or
  aborted. Times that do not count from 1970 are counted to the moment when the file was written;
- the JSON of `lesrides export`.
A ride that is there already is not imported again; a whole one takes the place of an aborted part of it.
Of a CSV at most 2000000 positions. Exit status 1: there was no ride in a file."""
_COMPARE: Final = """\
Without REFERENCE, the newest reference of the same direction and distance (5 %). Both rides begin at their
first movement; in a table of another system, where its first 50 mm are most like those of the ride. Exit
status 0: within the tolerances; 1: not; 2: trouble."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        remark(f"{message} ({self.prog} --help tells more)")
        self.exit(TROUBLE)


def main(arguments: list[str] | None = None) -> int:
    # Started with `>&-` there is no such stream, and whoever writes to it would fail.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    # A note may hold what the terminal cannot show.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # `lesrides list | head` has what it wanted. Python would flush once more, and complain, at its end.
        _give_up_stdout()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as exc:
        _give_up_stdout()
        remark(f"{exc.filename or 'cannot write'}: {exc.strerror or exc}")
        return TROUBLE
    return status


def _run(arguments: list[str] | None) -> int:
    options = _parser().parse_args(arguments)
    try:
        tools = Tools(options.config, options.database)
    except ConfigError as exc:
        for line in str(exc).splitlines():
            remark(line)
        return TROUBLE
    try:
        status: int = options.run(tools, options)
    except (Complaint, CannotOpen, NoSuchRide, StorageError) as exc:
        remark(str(exc))
    except sqlite3.Error as exc:
        remark(f"{tools.found}: {exc}")
    else:
        return status
    return TROUBLE


def _give_up_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lesrides",
        description="Rides of the lift: list, show, export, import, compare. Works while the listener runs.",
        epilog="`lesrides COMMAND --help` tells more of a command. Exit status 2: something was wrong.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--database", metavar="FILE", help="default: where leslisten keeps it")
    parser.add_argument(
        "--config", metavar="FILE", help=f"of leslisten; default: ./config.toml, else {SYSTEM_FILE}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_list(commands)
    _add_reading(commands)
    _add_compare(commands)
    _add_writing(commands)
    return parser


def _add(commands: Any, name: str, run: Any, text: str, more: str | None = None) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _add_list(commands: Any) -> None:
    command = _add(commands, "list", cli_reading.list_rides, "list rides, the newest first")
    command.add_argument("--direction", choices=("up", "down"))
    command.add_argument("--reason", choices=("completed", "aborted", "error"), help="of its end")
    command.add_argument("--specimen", type=_utf_8, metavar="TEXT", help="exactly this one")
    command.add_argument("--text", type=_utf_8, metavar="TEXT", help="in the note or the specimen")
    command.add_argument(
        "--since", type=_since, metavar="DATE", help="2026-03-01, or 2026-03-01T14:30; local time"
    )
    command.add_argument("--until", type=_until, metavar="DATE", help="a date: to the end of that day")
    command.add_argument("--min-distance", dest="distance_min_mm", type=_amount, metavar="MM")
    command.add_argument("--max-distance", dest="distance_max_mm", type=_amount, metavar="MM")
    command.add_argument("--reference", action="store_const", const=True, help="references only")
    command.add_argument("--starred", action="store_const", const=True, help="starred ones only")
    command.add_argument(
        "--limit", type=_count, default=50, metavar="N", help="at most; 0: all (default %(default)s)"
    )
    command.add_argument("--before", type=_count, metavar="NUMBER", help="rides before that one")
    command.add_argument("--json", action="store_true", help="everything but the positions, as JSON")


def _add_reading(commands: Any) -> None:
    command = _add(commands, "show", cli_reading.show, "show a ride: numbers, phases and curves")
    command.add_argument(
        "ride", type=_utf_8, metavar="RIDE", nargs="?", default=LAST, help=f"{_RIDE_HELP} (default {LAST})"
    )

    command = _add(commands, "export", cli_reading.export, "write a ride as CSV, JSON or log", _EXPORT)
    command.add_argument("ride", type=_utf_8, metavar="RIDE", help=_RIDE_HELP)
    what = command.add_mutually_exclusive_group(required=True)
    for name in ("csv", "json", "log"):
        what.add_argument(f"--{name}", dest="what", action="store_const", const=name)
    command.add_argument("--raw", action="store_true", help="CSV of what the sensor has sent")
    command.add_argument(
        "--decimal-comma", action="store_true", help="CSV with 1,5 and ; as German spreadsheets want it"
    )
    command.add_argument("-o", "--output", metavar="FILE", help="default: stdout")


def _add_compare(commands: Any) -> None:
    command = _add(
        commands, "compare", cli_reading.compare_ride, "tell how a ride differs from a reference", _COMPARE
    )
    command.add_argument("ride", type=_utf_8, metavar="RIDE", help=_RIDE_HELP)
    which = command.add_mutually_exclusive_group()
    which.add_argument("reference", type=_utf_8, metavar="REFERENCE", nargs="?", help="another ride")
    which.add_argument("--csv", metavar="FILE", help="a curve: time in s, position in mm, as for import")
    command.add_argument("--position-tolerance", type=_amount, metavar="MM", help="default: as configured")
    command.add_argument("--velocity-tolerance", type=_amount, metavar="MM/S", help="default: as configured")
    command.add_argument("--curves", action="store_true", help="show the deviation over time, too")
    command.add_argument("--json", action="store_true", help="the same as JSON")


def _add_writing(commands: Any) -> None:
    command = _add(
        commands, "import", cli_writing.import_files, "find rides in recordings and store them", _IMPORT
    )
    command.add_argument("file", metavar="FILE", nargs="+", help="- is stdin")
    command.add_argument("--bus", metavar="NAME", help="of a candump log: the interface whose frames count")
    command.add_argument(
        "--resolution",
        type=_positive,
        metavar="MM",
        help="per count (default: as configured); positions of a CSV are rounded to it",
    )
    command.add_argument("--specimen", type=_specimen, metavar="TEXT", help="whose rides these are")
    command.add_argument("--note", type=_note, metavar="TEXT", help="default: where they are from")

    command = _add(commands, "reference", cli_writing.reference, "make a ride a reference")
    command.add_argument("ride", type=_utf_8, metavar="RIDE", help=_RIDE_HELP)
    command.add_argument("--remove", action="store_true", help="it is none any more")

    command = _add(commands, "annotate", cli_writing.annotate, "note something about a ride")
    command.add_argument("ride", type=_utf_8, metavar="RIDE", help=_RIDE_HELP)
    command.add_argument("--note", type=_note, metavar="TEXT")
    command.add_argument("--specimen", type=_specimen, metavar="TEXT")
    command.add_argument(
        "--star", dest="starred", action="store_const", const=True, help="never deleted by itself"
    )
    command.add_argument("--no-star", dest="starred", action="store_const", const=False)

    command = _add(commands, "delete", cli_writing.delete, "delete rides, for good")
    command.add_argument("ride", type=_utf_8, metavar="RIDE", nargs="+", help=_RIDE_HELP)
    command.add_argument("--yes", action="store_true", help="without asking")


def _utf_8(text: str) -> str:
    """A file may have any name; what goes into the database, or is looked for in it, must be text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!r} is no text in UTF-8") from None
    return text


def _note(text: str) -> str:
    return _limited(text, Text)


def _specimen(text: str) -> str:
    return _limited(text, Short)


def _limited(text: str, kind: Any) -> str:
    """As the command `annotate_ride` has it."""
    try:
        return str(msgspec.convert(_utf_8(text), kind))
    except msgspec.ValidationError:
        most = get_args(kind)[1].max_length
        raise argparse.ArgumentTypeError(f"{len(text)} characters, and {most} are allowed") from None


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2026-03-01") from None


def _since(text: str) -> float:
    return _timestamp(_date(text), text)


def _until(text: str) -> float:
    """A day counts to its end."""
    date = _date(text)
    if len(text) > len("2026-03-01"):
        return _timestamp(date, text)
    try:
        return _timestamp(date + timedelta(days=1), text)
    except OverflowError:  # the last of all days
        return math.inf


def _timestamp(date: datetime, text: str) -> float:
    try:
        return date.astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(f"{text!r} is too far from today") from None


def _amount(text: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


def _positive(text: str) -> float:
    value = _amount(text)
    if not 1e-6 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not in 0.000001 to 1000")
    return value


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
