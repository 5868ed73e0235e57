"""What the programs of this wing take in their command lines, and how a mistake there is told."""

import argparse
import math
import os
import re
from typing import Final, NoReturn

from listener.arrays.terminal import TROUBLE, remark

SERVER: Final = "http://localhost:8000"
# A token in the command line can be read by everybody on the computer.
TOKEN_VARIABLE: Final = "LES02_TOKEN"  # noqa: S105
_ROWS: Final = re.compile(r"(-?\d{1,15})?:(-?\d{1,15})?(:(-?\d{1,15})?)?", re.ASCII)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        remark(f"{message} ({self.prog} --help tells more)", self.prog.split()[0])
        self.exit(TROUBLE)


def add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", default=SERVER, metavar="URL", help="default: %(default)s")
    token = os.environ.get(TOKEN_VARIABLE)
    parser.add_argument("--token", default=token, help=f"if the listener wants one; else ${TOKEN_VARIABLE}")


def add_wanted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", metavar="NAME", help="such as les02.velocity (lesarrays sources)")
    parser.add_argument("--window", type=count, metavar="N", help="points of a packet")
    parser.add_argument("--rate", type=seconds, metavar="HZ", help="packets a second")


def count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def seconds(text: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def rows(text: str) -> str:
    if not _ROWS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no slice such as 0:100, -1000: or ::10")
    return text
