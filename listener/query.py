"""The parameters of an address at which clients ask for a WebSocket.

Pure. QueryError names the parameter and says what is wrong with it.
"""

from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import parse_qsl

PARAMETERS_MAX: Final = 16
_SHOWN: Final = 32
_SWITCH: Final = {"0": False, "1": True}


class QueryError(ValueError):
    pass


def parameters(
    query: str, known: Collection[str], hint: Callable[[str], str] = lambda _: ""
) -> dict[str, str]:
    """In their order. Of an unknown one those that are known are named, if `hint` has nothing better."""
    values: dict[str, str] = {}
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=PARAMETERS_MAX
        )
    except ValueError as exc:
        raise QueryError(f"query: {exc}") from None
    for name, text in pairs:
        if name not in known:
            more = hint(name) or f"; known are {', '.join(sorted(known))}"
            raise QueryError(f"{name[:_SHOWN]}: unknown parameter{more}")
        if name in values:
            raise QueryError(f"{name}: given more than once")
        values[name] = text
    return values


def switch(name: str, text: str) -> bool:
    if text not in _SWITCH:
        raise QueryError(f"{name}: {text[:_SHOWN]!r} is not 0 or 1")
    return _SWITCH[text]


def number(name: str, text: str, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise QueryError(f"{name}: {text[:_SHOWN]!r} is not {what} in {least:g}…{most:g}")
    return value
