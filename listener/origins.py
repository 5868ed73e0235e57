"""From where a browser may connect: a page of our own host, or of a configured origin.

Pure.
"""

import contextlib
import ipaddress
import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

# What local name servers append to a computer's name; nobody can register these on the internet.
LOCAL_ENDINGS = (".local", ".lan", ".home", ".internal", ".home.arpa", ".fritz.box", ".localdomain")
HTTP_PORT = 80  # which browsers leave out
_PORT = re.compile(r":[0-9]+\Z")


class Origins:
    """`page_port` is the port of our own page, where that is another one than this."""

    def __init__(
        self,
        own_name: str,
        listens_on: str,
        allowed: Iterable[str],
        page_port: Callable[[], int | None] = lambda: None,
    ) -> None:
        own = own_name.lower().partition(".")[0]
        self._names = {"localhost", listens_on.lower(), own, *(own + end for end in LOCAL_ENDINGS)}
        self._allowed = frozenset(allowed)
        self._page_port = page_port

    def admit(self, origin: str, host: str) -> bool:
        """Browsers send an Origin: another site's page must not read the bench through its visitor.

        Nor may one whose own name was made to point here (DNS rebinding): the name must be ours.
        """
        if not origin or origin in self._allowed:
            return True
        host = host.lower()
        page = origin.partition("://")[2].lower()
        return self._is_ours(host) and page in {host, self._page_beside(host)}

    def _page_beside(self, host: str) -> str | None:
        port = self._page_port()
        if port is None:
            return None
        name = host.rpartition(":")[0] if _PORT.search(host) else host
        return f"{name}:{port}" if port != HTTP_PORT else name

    def _is_ours(self, host: str) -> bool:
        name = ""
        with contextlib.suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
            return True  # no name, so nobody can have pointed it here
        return name in self._names
