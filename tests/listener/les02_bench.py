"""The source on a real hub, and frames for it."""

from typing import Any

import can

from listener.can_reader import raw_frame
from listener.config import Les02Config
from listener.events import EventEnvelope
from listener.hub import Hub
from listener.les02 import LES02

TS = 1_700_000_000.25
PARITY = {"master": 0, "slave": 1}
CODED = {"status": 0x30, "error": 0x20, "system": 0x10}


def position(channel: str = "master", raw: int = 1000, timestamp: float = TS) -> can.Message:
    return frame(0x80 + PARITY[channel], raw.to_bytes(3, "big") + b"\xff", timestamp=timestamp)


def coded(kind: str, code: int, channel: str = "master", head: str = "00000000000000") -> can.Message:
    return frame(CODED[kind] + PARITY[channel], bytes.fromhex(head) + bytes([code]))


def lock(channel: str = "master") -> can.Message:
    return coded("system", 0xF0, channel, "abcd0000000000")


def frame(arbitration_id: int, data: bytes, *, timestamp: float = TS, **kind: Any) -> can.Message:
    return can.Message(
        timestamp=timestamp, arbitration_id=arbitration_id, data=data, **{"is_extended_id": False, **kind}
    )


class Bench:
    """With a clock that moves when told to; what the wall shows moves with it, or is set."""

    def __init__(self, config: Les02Config | None = None) -> None:
        self.now = 5000.0
        self.events: list[EventEnvelope] = []
        self.hub = Hub()
        self.hub.subscribe(self.events.append)
        self.dropped = 0
        self.wall_ahead_s = TS - self.now
        self.les02 = LES02(
            self.hub,
            config or Les02Config(),
            dropped=lambda: self.dropped,
            clock=lambda: self.now,
            wall=lambda: self.now + self.wall_ahead_s,
        )

    def feed(self, *messages: can.Message) -> None:
        for message in messages:
            self.les02.feed(raw_frame(message))

    def silence(self, seconds: float) -> None:
        """The watch looks about as often as it does in the daemon."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.les02.check_silence()

    def news(self) -> list[EventEnvelope]:
        news = self.events[:]
        self.events.clear()
        return news

    def states(self) -> list[tuple[str, str]]:
        """(channel, state) of each status told since last asked."""
        return [(e.payload["channel"], e.payload["state"]) for e in self.news() if e.type == "status"]
