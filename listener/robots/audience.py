"""All dashboards, by the names that robots are told of them. Each gets everything."""

from collections.abc import Callable

from listener.follower import Follower
from listener.followers import Followers
from listener.robots.sticks import Sticks
from listener.sessions import Peer


class Website(Follower):
    def __init__(self, peer: Peer, website_id: str, name: str) -> None:
        super().__init__(peer)
        self.id = website_id
        self.name = name
        self.sticks = Sticks()


class Audience(Followers[Website]):
    def __init__(self) -> None:
        super().__init__()
        self._websites: dict[str, Website] = {}
        self._made = 0

    def join(self, peer: Peer, name: str) -> tuple[Website, Callable[[], None]]:
        """It gets what is told from now on, until the function is called."""
        self._made += 1
        website = Website(peer, f"website-{self._made}", name)
        end = self.add(website)
        self._websites[website.id] = website

        def leave() -> None:
            del self._websites[website.id]
            end()

        return website, leave

    def name_of(self, website_id: str) -> str:
        website = self._websites.get(website_id)
        return website.name if website else ""

    def find(self, website_id: str) -> Website | None:
        return self._websites.get(website_id)
