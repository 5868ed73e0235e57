"""What a robot does and feels: it drives, its battery drains, it gets warm, its radio comes and goes.

Pure: time comes in as an argument, chance from a seed. Poses are in metres, x to the right and y ahead.
"""

import math
import random
from dataclasses import dataclass, field
from typing import Any, Final

TOP_SPEED_M_S: Final = 0.5
_ROOM_C: Final = 32.0
# A body that drives at full speed gets so much warmer in the end, and is most of the way there after so long.
_WARMER_C: Final = 30.0
_WARMING_S: Final = 120.0
_IDLE_PERCENT_S: Final = 0.01
_DRIVING_PERCENT_S: Final = 0.05


@dataclass(slots=True)
class Body:
    seed: str
    x: float = 0.0
    y: float = 0.0
    battery: float = 85.0
    cpu: float = 40.0
    temperature: float = _ROOM_C + 3.0
    signal: float = 90.0
    speed_percent: float = 50.0
    brightness_percent: float = 50.0
    move: tuple[float, float] = (0.0, 0.0)
    camera: tuple[float, float] = (0.0, 0.0)
    # Of each kind of move, when it stops by itself: nobody has repeated it
    _stop_at: dict[str, float] = field(default_factory=dict)
    _now: float | None = None
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self.battery += self._chance.uniform(-5.0, 10.0)

    @property
    def is_moving(self) -> bool:
        return self.move != (0.0, 0.0) or self.camera != (0.0, 0.0)

    @property
    def stop_at(self) -> float:
        return min(self._stop_at.values(), default=math.inf)

    def obey(self, order: dict[str, Any], now: float) -> str:
        """The order in words. A `KeyError`, `TypeError` or `ValueError` says that it is none."""
        self.advance(now)
        kind = order["type"]
        if kind in {"robot_move", "camera_move"}:
            move = float(order["x"]), float(order["y"])
            if kind == "robot_move":
                self.move, words = move, "Robot move"
            else:
                self.camera, words = move, "Camera move"
            hold_ms = order.get("hold_ms")
            self._stop_at.pop(kind, None)
            if hold_ms is not None and move != (0.0, 0.0):
                self._stop_at[kind] = now + float(hold_ms) / 1000
            return f"{words} x={move[0]:g}, y={move[1]:g}"
        value = float(order["value"])
        if kind == "set_speed":
            self.speed_percent = value
            return f"Set speed to {value:g}%"
        if kind == "set_brightness":
            self.brightness_percent = value
            return f"Set brightness to {value:g}%"
        raise ValueError(f"unknown type {kind}")

    def stop(self, now: float) -> None:
        self.advance(now)
        self.move = self.camera = (0.0, 0.0)
        self._stop_at.clear()

    def stop_late(self, now: float) -> bool:
        """What nobody has repeated in time; True if there was such."""
        self.advance(now)
        late = [kind for kind, at in self._stop_at.items() if now >= at]
        for kind in late:
            del self._stop_at[kind]
            if kind == "robot_move":
                self.move = (0.0, 0.0)
            else:
                self.camera = (0.0, 0.0)
        return bool(late)

    def advance(self, now: float) -> None:
        """Up to now."""
        since_s = 0.0 if self._now is None else max(0.0, now - self._now)
        self._now = now
        if since_s == 0:
            return
        share = self.speed_percent / 100
        speed = share * TOP_SPEED_M_S
        self.x += self.move[0] * speed * since_s
        self.y += self.move[1] * speed * since_s
        effort = min(1.0, math.hypot(*self.move)) * share
        drain = _IDLE_PERCENT_S + effort * (_DRIVING_PERCENT_S - _IDLE_PERCENT_S)
        self.battery = max(0.0, self.battery - drain * since_s)
        nearer = 1 - math.exp(-since_s / _WARMING_S)
        self.temperature += (_ROOM_C + 3.0 + effort * _WARMER_C - self.temperature) * nearer

    def telemetry(self, now: float) -> dict[str, float]:
        """Measured now."""
        self.advance(now)
        driving = 25.0 * min(1.0, math.hypot(*self.move))
        self.cpu = _within(self.cpu + self._chance.gauss(0.0, 3.0) + (40 + driving - self.cpu) * 0.2)
        self.signal = _within(self.signal + self._chance.gauss(0.0, 1.5) + (88 - self.signal) * 0.1)
        felt = self.temperature + self._chance.gauss(0.0, 0.1)
        return {
            "battery": round(self.battery, 1),
            "cpu": round(self.cpu, 1),
            "temperature": round(felt, 1),
            "signal": round(self.signal, 1),
        }


def _within(percent: float) -> float:
    return min(100.0, max(0.0, percent))
