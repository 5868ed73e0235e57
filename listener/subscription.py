"""What a client wants to see: the query parameters of its address, or a `command:subscribe`.

Pure. Text in, a `Subscription` out; a mistake is a `SubscriptionError` that names the parameter.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from listener.events import TYPES
from listener.ring import Kind

CHANNELS: Final = ("master", "slave", "system")
RATE_MAX_HZ: Final = 1000.0


class SubscriptionError(ValueError):
    """Names the parameter and says what it may be."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """The default is everything, in the envelope of five fields. Those who ask the same share the work."""

    types: frozenset[str] | None = None
    channel: str | None = None
    rate_hz: float | None = None
    seq: bool = False

    def wants(self, kind: Kind) -> bool:
        """A `gap` passes: nobody shall be fooled. So does what belongs to no channel or to all."""
        event_type, channel = kind
        if self.types is not None and event_type not in self.types and event_type != "gap":
            return False
        return self.channel is None or channel in {None, "system", self.channel}


@dataclass(frozen=True, slots=True)
class Resume:
    epoch: str
    seq: int


EVERYTHING: Final = Subscription()


def parse_query(query: str) -> tuple[Subscription, Resume | None]:
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=16)
    except ValueError as exc:
        raise SubscriptionError(f"query: {exc}") from None
    for name, text in pairs:
        if name not in _PARAMETERS:
            raise SubscriptionError(f"{name[:32]}: unknown parameter{_hint(name, _PARAMETERS)}")
        if name in values:
            raise SubscriptionError(f"{name}: given more than once")
        values[name] = _PARAMETERS[name](text)
    resume = values.pop("resume", None)
    return Subscription(**{_FIELDS.get(name, name): value for name, value in values.items()}), resume


def from_command(types: list[str] | None, channel: str | None, rate: float | None, seq: bool) -> Subscription:
    return Subscription(
        None if types is None else _types(",".join(types)),
        None if channel is None else _channel(channel),
        None if rate is None else _rate(str(rate)),
        seq,
    )


def _types(text: str) -> frozenset[str]:
    types = frozenset(text.split(","))
    for name in sorted(types - TYPES):
        raise SubscriptionError(f"types: no such type: {name[:32]!r}{_hint(name, TYPES)}")
    return types


def _channel(text: str) -> str:
    if text not in CHANNELS:
        raise SubscriptionError(f"channel: {text[:32]!r} is not one of {', '.join(CHANNELS)}")
    return text


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.001 <= rate <= RATE_MAX_HZ:
        raise SubscriptionError(f"rate: {text[:32]!r} is not a number of events a second in 0.001…1000")
    return rate


def _seq(text: str) -> bool:
    if text not in {"0", "1"}:
        raise SubscriptionError(f"seq: {text[:32]!r} is not 0 or 1")
    return text == "1"


def _resume(text: str) -> Resume:
    epoch, colon, seq = text.partition(":")
    if not (epoch and colon and seq.isascii() and seq.isdecimal() and len(seq) < 19):
        raise SubscriptionError(f"resume: {text[:64]!r} is not EPOCH:SEQ, both from the last session")
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
