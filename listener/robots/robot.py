"""One robot as the listener knows it, connected or not."""

import math
from typing import TYPE_CHECKING, Any, Final

from listener.robots.limits import Watch
from listener.robots.messages import QUANTITIES
from listener.robots.operators import Hold
from listener.robots.orders import Outbox
from listener.throttle import TokenBucket

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from listener.follower import Follower

CONNECTED: Final = "connected"
DISCONNECTED: Final = "disconnected"
STALE: Final = "stale"
# So many octets may be on the way to a robot when it is given something: what is stuck arrives late.
ON_THE_WAY_MAX: Final = 1024
# So many `status` a second may a robot send, and so many at once; its coming and going is told as often.
STATUS_RATE: Final = 5.0
STATUS_BURST: Final = 20.0


class Robot:
    def __init__(self, device_id: str, hold: Hold, watch: Watch) -> None:
        self.device_id = device_id
        self.name = device_id
        self.hold = hold
        self.watch = watch
        self.outbox = Outbox()
        self.follower: Follower | None = None  # while it is connected
        self.status = DISCONNECTED
        self.said: tuple[str, str] | None = None  # its own last status, and message
        self.telemetry: Sequence[float | None] = (None,) * len(QUANTITIES)
        self.telemetry_ts: float | None = None
        self.heard_at = 0.0  # on the clock that nobody sets
        self.looked_at = -math.inf  # at its limits
        self.statuses = TokenBucket(STATUS_RATE, STATUS_BURST)
        self.stop_told_at = -math.inf
        self.timer: asyncio.TimerHandle | None = None
        # Of its link: what is told of it, and what waits to be
        self.status_message = ""
        self.links = TokenBucket(STATUS_RATE, STATUS_BURST)
        self.telling: asyncio.TimerHandle | None = None

    @property
    def is_connected(self) -> bool:
        return self.follower is not None

    @property
    def is_clear(self) -> bool:
        return self.follower is not None and self.follower.peer.unread <= ON_THE_WAY_MAX

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def told(self, operator_name: str) -> dict[str, Any]:
        """As a list of robots has it."""
        return {
            "device_id": self.device_id,
            "device_name": self.name,
            "status": self.status,
            "said": None if self.said is None else {"status": self.said[0], "message": self.said[1]},
            "wrong": sorted(self.watch.wrong),
            "operator": None
            if self.hold.website is None
            else {"id": self.hold.website, "name": operator_name},
            "confirms": self.outbox.confirms,
            "telemetry": None
            if self.telemetry_ts is None
            else {**dict(zip(QUANTITIES, self.telemetry, strict=True)), "ts": self.telemetry_ts},
        }
