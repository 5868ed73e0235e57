"""`lesarrays`: arrays and streams of a listener, from any computer's terminal.

Answers go to stdout, remarks and errors to stderr, a line each. Exit status: 0 done; 1 it is there, but not
healthy; 2 a mistake or trouble; 130 after Ctrl+C, which is how an endless stream is ended as well.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Final

from listener import __version__
from listener.arrays.options import Parser, add_server, add_wanted, count, rows, seconds
from listener.arrays.terminal import INTERRUPTED, TROUBLE, remark

_STREAM: Final = """\
A line for each packet: its last moment or x, how many points of it are new, and their mean, deviation and
extremes. Without --source it is the demo stream, which all share. Connects again by itself.
With -o what has come is written as two columns, x and y, each point once; Ctrl+C ends that in order."""


def main(arguments: list[str] | None = None) -> int:
    # Started with `>&-` there is no such stream, and whoever writes to it would fail.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    # A name may hold what the terminal cannot show.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        from listener.arrays import cli_commands
    except ImportError as exc:
        if exc.name is None or exc.name.split(".")[0] == "listener":
            raise
        remark(f"{exc.name} is missing; needs: pip install 'les02-listener[client]'")
        return TROUBLE
    try:
        status = cli_commands.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # `lesarrays list | head` has what it wanted. Python would flush once more, and complain, at its end.
        _give_up_stdout()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as exc:
        _give_up_stdout()
        remark(f"{exc.filename or 'cannot write'}: {exc.strerror or exc}")
        return TROUBLE
    return status


def _give_up_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lesarrays",
        description="Numpy arrays and live numbers of a listener.",
        epilog="`lesarrays COMMAND --help` tells more of a command. Exit status 2: something was wrong.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_server(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add(commands, "health", "is the listener there, and well?")

    command = _add(commands, "upload", "upload a .npy file")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--name", default="", help="what it is called there (default: as the file)")

    _add(commands, "upload-demo", "upload a sine with noise, to try things out")
    _add(commands, "list", "list the arrays that are kept")

    command = _add(commands, "get", "show an array, or write it to a file")
    command.add_argument("index", type=count, metavar="INDEX")
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help=".npy, or .csv or .json if it is called so"
    )
    command.add_argument("--rows", type=rows, metavar="A:B", help="a slice of the first axis")
    command.add_argument("--cols", type=rows, metavar="A:B", help="a slice of the second axis")

    command = _add(commands, "rename", "call an array otherwise")
    command.add_argument("index", type=count, metavar="INDEX")
    command.add_argument("name", metavar="NAME")

    command = _add(commands, "delete", "delete arrays, for good")
    command.add_argument("index", type=count, metavar="INDEX", nargs="+")

    _add(commands, "sources", "list what can be streamed")

    command = _add(commands, "stream", "print packets of numbers as they come", _STREAM)
    command.add_argument("--duration", type=seconds, metavar="S", help="end after so long")
    add_wanted(command)
    command.add_argument("--loop", action="store_true", help="play an array again and again")
    command.add_argument("--json", action="store_true", help="have it sent as JSON, not binary")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="a .npy file of all points")

    command = _add(commands, "rides", "list rides, or write one as arrays")
    command.add_argument("ride", metavar="RIDE", nargs="?", help='its number, its id, or "last"')
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help=".npz, for numpy.load; else it is shown"
    )
    command.add_argument(
        "--samples", action="store_true", help="with all that the sensor has sent, of each channel"
    )
    return parser


def _add(commands: Any, name: str, text: str, more: str | None = None) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=name)
    return command


if __name__ == "__main__":
    sys.exit(main())
