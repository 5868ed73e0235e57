"""What can go wrong with the sensor, by name. Pure: a fault turns a slot of frames into another.

In: `NAME[=VALUE][,after=S][,for=S][,every=S]`. Out: a `Fault`. A mistake is a `ValueError` that names it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mock.sensor import (
    ERROR_ID,
    HIGHEST_RAW,
    POSITION_ID,
    SLAVE,
    STATUS_ID,
    SYSTEM_ID,
    Fault,
    Frame,
    Slot,
    error_frame,
    locked_frame,
    position_frame,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

# Under the 30 ms for which a key is valid [manual]; how often a locked sensor really sends is unconfirmed.
_LOCKED_SLOTS = 14
_FOREIGN_SLOTS = 10
_LENGTHS = {POSITION_ID: 4, STATUS_ID: 8, ERROR_ID: 8, SYSTEM_ID: 8}

# Each looks like the sensor to whoever does not compare the whole identifier, the kind and the length.
NEIGHBOURS = (
    Frame(0x180, bytes.fromhex("00123400")),
    Frame(0x181, bytes.fromhex("0012340000000000")),
    Frame(0x80, bytes.fromhex("00abcd00"), is_extended_id=True),
    Frame(0x81, bytes.fromhex("00abcd00"), is_extended_id=True),
    Frame(0x80, is_remote_frame=True, dlc=4),
    Frame(0x80),  # CANopen SYNC
    Frame(0x81, bytes.fromhex("1081110000000000")),  # CANopen EMCY of node 1
    Frame(0x80, bytes.fromhex("00abcd00"), is_fd=True),
    Frame(0x181, bytes(12), is_fd=True, bitrate_switch=True),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault with its defaults; `highest` bounds the value, None for one that takes no value."""

    apply: Callable[[Slot, Fault, int, random.Random], Slot]
    help: str
    value: float = 0.0
    highest: float | None = None
    after_s: float = 0.0
    for_s: float = math.inf
    every_s: float = 0.0

    @property
    def when(self) -> str:
        if math.isinf(self.for_s):
            return "all the time"
        again = f", every {self.every_s:g} s" if self.every_s else ""
        return f"after {self.after_s:g} s for {self.for_s:g} s{again}"


def _mismatch(slot: Slot, fault: Fault, _since: int, _random: random.Random) -> Slot:
    if slot.channel != SLAVE or not slot.frames or slot.frames[0].arbitration_id & ~1 != POSITION_ID:
        return slot
    (frame,) = slot.frames
    raw = int.from_bytes(frame.data[:3], "big") + round(fault.value)
    return replace(slot, frames=(position_frame(SLAVE, min(max(raw, 0), HIGHEST_RAW), frame.data[3]),))


def _locked(slot: Slot, _fault: Fault, since: int, random: random.Random) -> Slot:
    if since % _LOCKED_SLOTS > 1:
        return replace(slot, frames=())
    return replace(slot, frames=(locked_frame(slot.channel, random.randbytes(2)),))


def _error(slot: Slot, fault: Fault, since: int, _random: random.Random) -> Slot:
    if since > 1:
        return slot
    return replace(slot, frames=(error_frame(slot.channel, round(fault.value)), *slot.frames))


def _malformed(slot: Slot, fault: Fault, _since: int, random: random.Random) -> Slot:
    if random.random() >= fault.value:
        return slot
    base_id, right = random.choice(list(_LENGTHS.items()))
    length = random.choice([length for length in range(9) if length != right])
    return replace(slot, frames=(*slot.frames, Frame(base_id + slot.channel, random.randbytes(length))))


def _drop(slot: Slot, fault: Fault, _since: int, random: random.Random) -> Slot:
    return replace(slot, frames=tuple(frame for frame in slot.frames if random.random() >= fault.value))


def _silent(slot: Slot, _fault: Fault, _since: int, _random: random.Random) -> Slot:
    return replace(slot, frames=())


def _foreign(slot: Slot, _fault: Fault, since: int, _random: random.Random) -> Slot:
    turn, rest = divmod(since, _FOREIGN_SLOTS)
    return slot if rest else replace(slot, frames=(*slot.frames, NEIGHBOURS[turn % len(NEIGHBOURS)]))


def _jitter(slot: Slot, fault: Fault, _since: int, random: random.Random) -> Slot:
    return replace(slot, due_s=slot.due_s + random.uniform(0, fault.value) / 1000)


# In the order of their working: the neighbours are heard while the sensor is silent, and jitter delays all.
KINDS = {
    "mismatch": Kind(
        _mismatch,
        "the slave is off by VALUE counts (1 mm each unless --resolution says otherwise)",
        20,
        HIGHEST_RAW,
    ),
    "error": Kind(
        _error, "each channel sends one error frame with code VALUE", 1, 255, after_s=5, for_s=1, every_s=10
    ),
    "malformed": Kind(_malformed, "after this share of the frames comes one of wrong length", 0.02, 1),
    "locked": Kind(_locked, "locked messages only; for=inf: never again anything else", after_s=5, for_s=5),
    "drop": Kind(_drop, "this share of the frames is missing", 0.05, 1),
    "silent": Kind(_silent, "nothing at all", after_s=5, for_s=3, every_s=15),
    "foreign": Kind(_foreign, "other devices on the bus: CANopen, extended, remote, with --fd CAN FD frames"),
    "jitter": Kind(_jitter, "frames come up to VALUE ms late", 1, 1000),
}
_ORDER = [kind.apply for kind in KINDS.values()]


def parse_fault(text: str) -> Fault:
    head, *settings = text.split(",")
    name, _, value = (part.strip() for part in head.partition("="))
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"unknown fault {name!r}; known are {', '.join(sorted(KINDS))}")
    if value and kind.highest is None:
        raise ValueError(f"fault {name} takes no value, only after=, for= and every=")
    times = {"after": kind.after_s, "for": kind.for_s, "every": kind.every_s}
    for setting in settings:
        key, _, seconds = (part.strip() for part in setting.partition("="))
        if key not in times:
            raise ValueError(f"fault {name}: unknown setting {key!r}; known are after, every, for")
        times[key] = _number(f"fault {name}: {key}", seconds)
    if math.isinf(times["after"]) or math.isinf(times["every"]):
        raise ValueError(f"fault {name}: only 'for' may be inf")
    amount = kind.value
    if value:
        lowest = -HIGHEST_RAW if name == "mismatch" else 0
        amount = _number(f"fault {name}", value, lowest, kind.highest or 0)
    return Fault(kind.apply, amount, times["after"], times["for"], times["every"])


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: _ORDER.index(fault.apply)))


def _number(what: str, text: str, lowest: float = 0, highest: float = math.inf) -> float:
    try:
        number = float(int(text, 16)) if text.lower().startswith("0x") else float(text)
    except ValueError:
        raise ValueError(f"{what}: {text!r} is not a number") from None
    if not lowest <= number <= highest:
        raise ValueError(f"{what}: {text} is not between {lowest:g} and {highest:g}")
    return number
