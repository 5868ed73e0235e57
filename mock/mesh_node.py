"""An edge node along the shaft: what it measures, and how it says it.

Pure: the clock is an argument, and the same seed measures the same. The data types are those that the
listener has by itself: Sequence, GPS, Temperature, Pressure, Battery, Humidity.
"""

import math
import random
from collections import deque
from collections.abc import Iterable
from typing import Final

SEQUENCE, GPS, TEMPERATURE, PRESSURE, BATTERY, HUMIDITY = range(6)
KINDS: Final = (SEQUENCE, GPS, TEMPERATURE, PRESSURE, BATTERY, HUMIDITY)
# In every report; the slow ones come with the first and then with every tenth.
OFTEN: Final = (SEQUENCE, TEMPERATURE, PRESSURE, BATTERY)
SELDOM_EVERY: Final = 10
DATA: Final = 0x44
FLOOR_HEIGHT_M: Final = 3.0
_HEARD_MAX: Final = 100
_PASCAL_PER_M: Final = 12.0
_HOUR_S: Final = 3600.0
_LATITUDE_DEG, _LONGITUDE_DEG = 52.52, 13.405
_GPS_STEP_DEG: Final = 2e-5  # 24 bits for each


class Node:
    """`address` is 0 until the root module has given it one."""

    def __init__(self, index: int, seed: str, hops: int = 1) -> None:
        self._chance = random.Random(f"{seed} node {index}")
        self.index = index
        self.uuid = self._chance.randbytes(16)
        self.hops = hops
        self.address = 0
        self.silent = False
        self.reports = 0
        self.heard: deque[bytes] = deque(maxlen=_HEARD_MAX)
        self._phase = self._chance.uniform(0, 2 * math.pi)
        self._charge = self._chance.uniform(0.6, 1.0)

    def report(self, now_s: float) -> bytes:
        """The next one of those that it sends by itself."""
        kinds = KINDS if self.reports % SELDOM_EVERY == 0 else OFTEN
        self.reports += 1
        return self.data(kinds, now_s)

    def data(self, kinds: Iterable[int], now_s: float) -> bytes:
        known = [kind for kind in kinds if kind in KINDS]
        values = b"".join(bytes((kind,)) + self.value(kind, now_s) for kind in known)
        return self.says(DATA, bytes((len(known),)) + values)

    def says(self, opcode: int, body: bytes) -> bytes:
        return self.address.to_bytes(2, "big") + bytes((opcode,)) + body

    def value(self, kind: int, now_s: float) -> bytes:
        height_m = FLOOR_HEIGHT_M * self.index
        if kind == SEQUENCE:
            return bytes(((self.reports - 1) % 256,))
        if kind == GPS:
            both = (
                round((_LATITUDE_DEG + 90) / _GPS_STEP_DEG),
                round((_LONGITUDE_DEG + 180) / _GPS_STEP_DEG),
            )
            return b"".join(number.to_bytes(3, "big") for number in both)
        if kind == TEMPERATURE:  # warm air rises, and the shaft breathes with the day
            warmth = 18 + min(0.12 * height_m, 9) + 1.5 * math.sin(now_s / _HOUR_S + self._phase)
            return round(100 * (warmth + self._chance.gauss(0, 0.05))).to_bytes(2, "big", signed=True)
        if kind == PRESSURE:
            pascal = 101_325 - _PASCAL_PER_M * height_m + 40 * math.sin(now_s / (6 * _HOUR_S))
            return round(pascal + self._chance.gauss(0, 2)).to_bytes(4, "big")
        if kind == BATTERY:
            left = max(self._charge - now_s / (5000 * _HOUR_S), 0.0)
            return round(3000 + 1200 * left).to_bytes(2, "big")
        humidity = 45 + 10 * math.sin(now_s / (3 * _HOUR_S) + self._phase)
        return round(100 * humidity).to_bytes(2, "big")
