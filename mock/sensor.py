"""The sensor's way on the bus as values: which frames, at what time. Pure; the caller paces and sends.

The frames are those of the LES02 [manual R67073, as quoted in public excerpts]; what is unconfirmed says so:

1. Each channel sends its position every 4 ms, the slave 2 ms after the master, whether the car moves or not.
2. A time is a slot number divided by 500, never a sum: the last frame of a year is as punctual as the first.
3. Start-up: sub-status 0x0F with the CRC of the software, then 0xF0, then positions. How long it takes, and
   that each status comes once per channel, is unconfirmed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mock.car import Car

MASTER, SLAVE = 0, 1
SLOTS_PER_S = 500
HIGHEST_RAW = 0xFFFFFF

POSITION_ID, STATUS_ID, ERROR_ID, SYSTEM_ID = 0x80, 0x30, 0x20, 0x10
STARTING_UP, READY, LOCKED = 0x0F, 0xF0, 0xF0

_READY_SLOT = 100
_SOFTWARE_CRC = bytes.fromhex("c3d2e1f0")


class Frame(NamedTuple):
    """What a `can.Message` says, less the time: the pure part does not know the library."""

    arbitration_id: int
    data: bytes = b""
    is_extended_id: bool = False
    is_remote_frame: bool = False
    is_fd: bool = False
    bitrate_switch: bool = False
    dlc: int | None = None  # None: the length of the data; a remote frame has none


@dataclass(frozen=True, slots=True)
class Slot:
    """One turn of one channel; `due_s` counts from the start, `frames` may be empty."""

    number: int
    due_s: float
    frames: tuple[Frame, ...] = ()

    @property
    def channel(self) -> int:
        return self.number % 2


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong from `after_s` on for `for_s`, and again `every_s` if that is not 0."""

    apply: Callable[[Slot, Fault, int, random.Random], Slot]
    value: float
    after_s: float
    for_s: float
    every_s: float

    def active_since(self, slot_number: int) -> int | None:
        """How long it has lasted, in whole slots so that no rounding adds or loses one; None: it rests."""
        since = slot_number - round(self.after_s * SLOTS_PER_S)
        if since >= 0 and self.every_s:
            since %= max(1, round(self.every_s * SLOTS_PER_S))
        return since if 0 <= since < self.for_s * SLOTS_PER_S else None


def position_frame(channel: int, raw: int, unspecified: int = 0) -> Frame:
    return Frame(POSITION_ID + channel, raw.to_bytes(3, "big") + bytes((unspecified,)))


def status_frame(channel: int, sub_status: int, crc: bytes = bytes(4)) -> Frame:
    return Frame(STATUS_ID + channel, crc + bytes((0, 0, 0, sub_status)))


def error_frame(channel: int, code: int) -> Frame:
    return Frame(ERROR_ID + channel, bytes(7) + bytes((code,)))


def locked_frame(channel: int, key: bytes) -> Frame:
    return Frame(SYSTEM_ID + channel, key + bytes(5) + bytes((LOCKED,)))


class Sensor:
    def __init__(
        self, car: Car, faults: Sequence[Fault] = (), *, resolution_mm: float = 1.0, seed: int | None = None
    ) -> None:
        self._car = car
        self._faults = faults
        self._resolution_mm = resolution_mm
        self._random = random.Random(seed)

    def slots(self) -> Iterator[Slot]:
        """Until the car has finished; nothing is computed ahead, so the car obeys within one slot."""
        latest_s = 0.0
        for number in count():  # pragma: no branch
            at_s = number / SLOTS_PER_S
            self._car.advance(at_s)
            if self._car.finished:
                return
            slot = Slot(number, at_s, self._frames(number))
            for fault in self._faults:
                since = fault.active_since(number)
                if since is not None:
                    slot = fault.apply(slot, fault, since, self._random)
            # A delayed frame delays those behind it: a bus does not overtake.
            latest_s = max(latest_s, slot.due_s)
            yield slot if slot.due_s == latest_s else replace(slot, due_s=latest_s)

    def _frames(self, number: int) -> tuple[Frame, ...]:
        channel = number % 2
        if number < 2:
            return (status_frame(channel, STARTING_UP, _SOFTWARE_CRC),)
        if number < _READY_SLOT:
            return ()
        if number < _READY_SLOT + 2:
            return (status_frame(channel, READY),)
        raw = min(max(round(self._car.position_mm / self._resolution_mm), 0), HIGHEST_RAW)
        # Byte 4 is unspecified; one that changes shows who relies on it.
        return (position_frame(channel, raw, number & 0xFF),)
