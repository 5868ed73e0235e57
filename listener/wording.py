"""Values and names in what the user is told of the configuration.

Pure.
"""

import difflib
import json
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], spelling: str = '"{}"', cutoff: float = 0.6) -> str:
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f", did you mean {spelling.format(match[0])}?" if match else ""


def toml(value: object) -> str:
    match value:
        case dict():
            items = (f"{toml(key)} = {toml(item)}" for key, item in value.items() if item is not None)
            return "{" + ", ".join(items) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:  # JSON's spelling but for DEL, which TOML wants escaped
            return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")


def one_line(text: str) -> str:
    """Keys, paths and variables may hold anything, line ends included."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
