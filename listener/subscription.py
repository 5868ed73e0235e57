"""What a client wants to see: the query parameters of its address, or a `command:subscribe`.

Pure. Text in, a `Subscription` out; a mistake is a `QueryError` that names the parameter.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from listener.events import TYPES, USUAL
from listener.query import QueryError, number, parameters, switch
from listener.ring import Kind

CHANNELS: Final = ("master", "slave", "system")
_OF_THE_SENSOR: Final = ("master", "slave")
RATE_MAX_HZ: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """The default is all that is usual, in the envelope of five fields. Who asks the same shares the work."""

    types: frozenset[str] | None = USUAL  # None: all there are
    channel: str | None = None
    rate_hz: float | None = None
    seq: bool = False

    def wants(self, kind: Kind) -> bool:
        """A `gap` passes: nobody shall be fooled. So does what belongs to none of the sensor's channels."""
        event_type, channel = kind
        if self.types is not None and event_type not in self.types and event_type != "gap":
            return False
        return self.channel is None or channel == self.channel or channel not in _OF_THE_SENSOR


@dataclass(frozen=True, slots=True)
class Resume:
    epoch: str
    seq: int


EVERYTHING: Final = Subscription()


def parse_query(query: str) -> tuple[Subscription, Resume | None]:
    given = parameters(query, _PARAMETERS, lambda name: _hint(name, _PARAMETERS))
    values: dict[str, Any] = {name: _PARAMETERS[name](text) for name, text in given.items()}
    resume = values.pop("resume", None)
    return Subscription(**{_FIELDS.get(name, name): value for name, value in values.items()}), resume


def from_command(types: list[str] | None, channel: str | None, rate: float | None, seq: bool) -> Subscription:
    return Subscription(
        USUAL if types is None else _types(",".join(types)),
        None if channel is None else _channel(channel),
        None if rate is None else _rate(str(rate)),
        seq,
    )


def _types(text: str) -> frozenset[str]:
    types = frozenset(text.split(","))
    for name in sorted(types - TYPES):
        raise QueryError(f"types: no such type: {name[:32]!r}{_hint(name, TYPES)}")
    return types


def _channel(text: str) -> str:
    if text not in CHANNELS:
        raise QueryError(f"channel: {text[:32]!r} is not one of {', '.join(CHANNELS)}")
    return text


def _rate(text: str) -> float:
    return number("rate", text, 0.001, RATE_MAX_HZ, "a number of events a second")


def _seq(text: str) -> bool:
    return switch("seq", text)


def _resume(text: str) -> Resume:
    epoch, colon, seq = text.partition(":")
    if not (epoch and colon and seq.isascii() and seq.isdecimal() and len(seq) < 19):
        raise QueryError(f"resume: {text[:64]!r} is not EPOCH:SEQ, both from the last session")
    return Resume(epoch, int(seq))


def _hint(word: str, known: Mapping[str, Any] | frozenset[str]) -> str:
    match = difflib.get_close_matches(word[:32], known, n=1)
    return f", did you mean {match[0]!r}?" if match else f"; known are {', '.join(sorted(known))}"


_PARAMETERS: Final[dict[str, Callable[[str], Any]]] = {
    "types": _types,
    "channel": _channel,
    "rate": _rate,
    "seq": _seq,
    "resume": _resume,
}
_FIELDS: Final = {"rate": "rate_hz"}
