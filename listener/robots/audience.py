"""All dashboards, each of which gets everything.

Telemetry goes out in batches (see `pace`), and may be skipped for one that is too slow (see `follower`).
Everything else goes out at once, after the telemetry that came before it.
"""

import asyncio
from collections.abc import Callable, Iterator

from listener.follower import RETRY_S, Follower
from listener.pace import Pace
from listener.robots.sticks import Sticks
from listener.sessions import Peer


class Website(Follower):
    def __init__(self, peer: Peer, website_id: str, name: str) -> None:
        super().__init__(peer)
        self.id = website_id
        self.name = name
        self.sticks = Sticks()


class Audience:
    def __init__(self) -> None:
        self._websites: dict[str, Website] = {}
        self._made = 0
        self._batch: list[bytes] = []
        self._pace = Pace(self._flush)
        self._retry_timer: asyncio.TimerHandle | None = None
        self.skipped = 0

    def __len__(self) -> int:
        return len(self._websites)

    def __iter__(self) -> Iterator[Website]:
        return iter(tuple(self._websites.values()))

    def join(self, peer: Peer, name: str) -> tuple[Website, Callable[[], None]]:
        """It gets what is told from now on, until the function is called."""
        self._flush()
        self._made += 1
        website = Website(peer, f"website-{self._made}", name)
        self._websites[website.id] = website

        def leave() -> None:
            del self._websites[website.id]

        return website, leave

    def name_of(self, website_id: str) -> str:
        website = self._websites.get(website_id)
        return website.name if website else ""

    def find(self, website_id: str) -> Website | None:
        return self._websites.get(website_id)

    def sample(self, payload: bytes) -> None:
        if not self._websites:
            return
        self._batch.append(payload)
        if self._pace.timer is None:
            self._pace.schedule()

    def tell(self, payload: bytes) -> None:
        self._flush()
        for website in self:
            self.answer(website, payload)

    def answer(self, website: Website, payload: bytes) -> None:
        website.say(payload)
        if website.is_behind:
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
        for website in self:
            self.skipped += website.give([batch])
            if website.is_behind:
                self._retry_later()
        self._pace.end(began, alone=len(batch) <= 1)

    def _retry_later(self) -> None:
        if self._retry_timer is None:
            self._retry_timer = asyncio.get_running_loop().call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._retry_timer = None
        for website in self:
            website.catch_up()
            if website.is_behind:
                self._retry_later()
