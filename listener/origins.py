"""From where a browser may connect: a page of our own host, or of a configured origin.

Pure.
"""

import contextlib
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

# What local name servers append to a computer's name; nobody can register these on the internet.
LOCAL_ENDINGS = (".local", ".lan", ".home", ".internal", ".home.arpa", ".fritz.box", ".localdomain")


class Origins:
    def __init__(self, own_name: str, listens_on: str, allowed: Iterable[str]) -> None:
        own = own_name.lower().partition(".")[0]
        self._names = {"localhost", listens_on.lower(), own, *(own + end for end in LOCAL_ENDINGS)}
        self._allowed = frozenset(allowed)

    def admit(self, origin: str, host: str) -> bool:
        """Browsers send an Origin: another site's page must not read the bench through its visitor.

        Nor may one whose own name was made to point here (DNS rebinding): the name must be ours.
        """
        if not origin or origin in self._allowed:
            return True
        host = host.lower()
        return origin.partition("://")[2].lower() == host and self._is_ours(host)

    def _is_ours(self, host: str) -> bool:
        name = ""
        with contextlib.suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
            return True  # no name, so nobody can have pointed it here
        return name in self._names
