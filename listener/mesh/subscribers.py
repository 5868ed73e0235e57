"""Those who want to be told of something: called in the order they came; one that fails disturbs nobody."""

import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import structlog

from listener.throttle import Throttle

_log = structlog.get_logger(__name__)

T = TypeVar("T")

FAILURE_LOG_S: Final = 10.0


class Subscribers(Generic[T]):
    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """`changed` is called when somebody has come or gone."""
        # Replaced on change: one may come or leave while all are called.
        self._all: tuple[Callable[[T], None], ...] = ()
        self._changed = changed
        self._throttle = Throttle(FAILURE_LOG_S)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, subscriber: Callable[[T], None]) -> Callable[[], None]:
        """Returns the function that ends it, and may be called again."""

        # An own one each time, so that who subscribes twice can leave once.
        def called(told: T) -> None:
            subscriber(told)

        def remove() -> None:
            if called in self._all:
                self._all = tuple(each for each in self._all if each is not called)
                self._changed()

        self._all = (*self._all, called)
        self._changed()
        return remove

    def tell(self, told: T) -> None:
        for each in self._all:
            try:
                each(told)
            except Exception:  # noqa: BLE001 - one part's defect must not silence the others
                suppressed = self._throttle.admit(each, time.monotonic())
                if suppressed is not None:
                    _log.exception("mesh_subscriber_failed", suppressed=suppressed)
