"""Those who follow the same. Each of them gets everything.

Samples go out in batches (see `pace`), and may be skipped for one that is too slow (see `follower`).
Everything else goes out at once, after the samples that came before it.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from listener.follower import RETRY_S, Follower
from listener.pace import Pace

F = TypeVar("F", bound=Follower)


class Followers(Generic[F]):
    def __init__(self) -> None:
        self._all: dict[F, None] = {}
        self._batch: list[bytes] = []
        self._pace = Pace(self._flush)
        self._retry_timer: asyncio.TimerHandle | None = None
        self.skipped = 0

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[F]:
        return iter(tuple(self._all))

    def add(self, follower: F) -> Callable[[], None]:
        """It gets what is told from now on, until the function is called."""
        self._flush()
        self._all[follower] = None

        def leave() -> None:
            del self._all[follower]

        return leave

    def sample(self, payload: bytes) -> None:
        if not self._all:
            return
        self._batch.append(payload)
        if self._pace.timer is None:
            self._pace.schedule()

    def tell(self, payload: bytes) -> None:
        self._flush()
        for follower in self:
            self.answer(follower, payload)

    def answer(self, follower: F, payload: bytes) -> None:
        follower.say(payload)
        if follower.is_behind:
            self._retry_later()

    def stop(self) -> None:
        self._flush()
        self._pace.cancel()
        if self._retry_timer is not None:
            self._retry_timer.cancel()

    def _flush(self) -> None:
        began = self._pace.begin()
        batch, self._batch = self._batch, []
        if not batch:
            return
        for follower in self:
            self.skipped += follower.give([batch])
            if follower.is_behind:
                self._retry_later()
        self._pace.end(began, alone=len(batch) <= 1)

    def _retry_later(self) -> None:
        if self._retry_timer is None:
            self._retry_timer = asyncio.get_running_loop().call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._retry_timer = None
        for follower in self:
            follower.catch_up()
            if follower.is_behind:
                self._retry_later()
