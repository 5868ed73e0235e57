"""When a batch may go out: a flush clocks itself, by what the last one has cost.

What comes alone goes out at once, a batch at the end of the loop's turn, neither before the last flush has
been paid for with a pause as long as it took. An idle daemon answers at once; a loaded one joins more by
itself, and spends about half of its time with flushing at most.
"""

import asyncio
import time
from collections.abc import Callable

# A flush shorter than this needs no pause.
FREE_S = 0.0002
# After so long without any, what comes is likely to stay alone.
SPARSE_S = 0.001


class Pace:
    """`flush` calls `begin` first and `end` last; also when it is called by somebody else."""

    def __init__(self, flush: Callable[[], None], at_least_s: float = 0.0) -> None:
        self._flush = flush
        self._at_least_s = at_least_s
        self._was_alone = True
        self.timer: asyncio.Handle | None = None  # None: nothing is scheduled
        self.next_at = 0.0

    def schedule(self) -> None:
        wait_s = self.next_at - time.monotonic()
        if wait_s < -SPARSE_S and self._was_alone:
            self._flush()  # saves a turn of the loop, which costs as much as three clients
        elif wait_s > 0:
            self.timer = asyncio.get_running_loop().call_later(wait_s, self._flush)
        else:
            self.timer = asyncio.get_running_loop().call_soon(self._flush)

    def begin(self) -> float:
        self.cancel()
        return time.monotonic()

    def end(self, began: float, *, alone: bool) -> float:
        now = time.monotonic()
        cost_s = now - began
        self._was_alone = alone
        self.next_at = max(now + cost_s if cost_s > FREE_S else now, began + self._at_least_s)
        return now

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
