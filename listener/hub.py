"""Publish and subscribe between the parts of the daemon.

`publish` is a plain call: subscribers run in the order they came, before it returns, so the order of
events is the order of frames. A subscriber that raises is logged and does not disturb the others.
"""

import time
from collections.abc import Callable

import structlog

from listener.events import EventEnvelope
from listener.throttle import Throttle

_log = structlog.get_logger(__name__)

Subscriber = Callable[[EventEnvelope], None]

FAILURE_LOG_S = 10.0


class Hub:
    def __init__(self) -> None:
        # Tells a client that reconnects whether it still speaks with the same process.
        self.epoch = f"{time.time_ns():x}"
        # A tuple, replaced on change: a subscriber may subscribe or leave in the middle of a publish.
        self._subscribers: tuple[Subscriber, ...] = ()
        self._throttle = Throttle(FAILURE_LOG_S)
        self.failures = 0

    def subscribe(self, subscriber: Subscriber, *, first: bool = False) -> Callable[[], None]:
        """Returns the function that ends it. The `first` may add to an event before others see it."""
        self._subscribers = (subscriber, *self._subscribers) if first else (*self._subscribers, subscriber)

        def unsubscribe() -> None:
            self._subscribers = tuple(s for s in self._subscribers if s is not subscriber)

        return unsubscribe

    def publish(self, event: EventEnvelope) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # noqa: BLE001 - one part's defect must not silence the others
                self._subscriber_failed(subscriber, event)

    def _subscriber_failed(self, subscriber: Subscriber, event: EventEnvelope) -> None:
        self.failures += 1
        suppressed = self._throttle.admit(subscriber, time.monotonic())
        if suppressed is not None:
            _log.exception(
                "subscriber_failed", subscriber=repr(subscriber), type=event.type, suppressed=suppressed
            )
