"""What `GET /` and `GET /health` say: the API's own words, and what the wings have to add to them.

Clients in the field know either with the keys of their own instrument, and all instruments share one port.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import structlog

_log = structlog.get_logger(__name__)

Part = Callable[[], dict[str, Any]]
# Status, content type, body.
Answer = tuple[int, str, bytes]


class Parts:
    def __init__(self) -> None:
        self._parts: list[Part] = []

    def add(self, part: Part) -> Callable[[], None]:
        self._parts.append(part)
        return lambda: self._parts.remove(part)

    def collect(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for part in self._parts:
            try:
                told |= part()
            except Exception:  # noqa: BLE001 - a wing's defect; the others have something to say still
                _log.exception("part_failed", part=repr(part))
        return told


class Health(Parts):
    """`own` is how the daemon is."""

    def __init__(self, own: Callable[[], Answer]) -> None:
        super().__init__()
        self._own = own

    def answer(self) -> Answer:
        status, kind, body = self._own()
        added = self.collect()
        if not added:
            return status, kind, body
        own = msgspec.json.decode(body)
        # Clients of an instrument wait for its own word ("healthy"); but none covers that the bus is lost.
        merged = {**own, **added} if status == 200 else {**added, **own}
        return status, kind, msgspec.json.encode(merged)
