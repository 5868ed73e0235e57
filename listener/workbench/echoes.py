"""Which frames of a bus were sent from here and have come back. Adapters do not tell; their content does.

Pure. `now` is any steady clock.

    echoes.expect(frame, now)              one that is sent now, and comes back
    echoes.begin(frame, by_kernel=True)    one that is sent again and again, until `end(frame, now)`
    echoes.look(frame, now)                of a frame that has come: an Echo, or None if somebody else sent it

What was sent is on its way for `GRACE_S` at most. Timestamps do not matter.
"""

from enum import Enum, auto
from typing import Final

from listener.raw_frame import RawFrame

GRACE_S: Final = 2.0
EXPECTED_MAX: Final = 4096

_Key = tuple[int, int, bytes]


class Echo(Enum):
    COUNTED = auto()  # by who has sent it
    OF_THE_KERNEL = auto()  # which tells nobody what it sends


class Echoes:
    def __init__(self) -> None:
        self._cyclic: dict[_Key, Echo] = {}
        self._expected: dict[_Key, tuple[float, Echo]] = {}  # until when, the oldest first

    def __bool__(self) -> bool:
        return bool(self._cyclic or self._expected)

    def expect(self, frame: RawFrame, now: float) -> None:
        self._until(frame[:3], now, Echo.COUNTED)

    def begin(self, frame: RawFrame, *, by_kernel: bool) -> None:
        self._cyclic[frame[:3]] = Echo.OF_THE_KERNEL if by_kernel else Echo.COUNTED

    def end(self, frame: RawFrame, now: float) -> None:
        if echo := self._cyclic.pop(frame[:3], None):
            self._until(frame[:3], now, echo)

    def look(self, frame: RawFrame, now: float) -> Echo | None:
        key = frame[:3]
        if echo := self._cyclic.get(key):
            return echo
        until, expected = self._expected.get(key, (now, None))
        return expected if now < until else None

    def _until(self, key: _Key, now: float, echo: Echo) -> None:
        expected = self._expected
        expected.pop(key, None)
        expected[key] = now + GRACE_S, echo
        while len(expected) > EXPECTED_MAX or next(iter(expected.values()))[0] <= now:
            del expected[next(iter(expected))]
