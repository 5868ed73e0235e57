"""What one client may say: so many messages a second, and an end to those who will not hear of it."""

import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from listener.outbound import address_of
from listener.sessions import INBOUND_BURST, INBOUND_RATE
from listener.throttle import TokenBucket

_log = structlog.get_logger(__name__)

# Who goes on after so many that were not read is not a client but a flood.
REFUSED_MAX = 1000


async def heard(
    connection: ServerConnection,
    counts: Counter[str],
    refuse: Callable[[], None],
    rate: float = INBOUND_RATE,
    burst: float = INBOUND_BURST,
    is_urgent: Callable[[str | bytes], bool] = lambda _message: False,
) -> AsyncIterator[str | bytes]:
    """What is within the limits, until the connection ends, however it ends.

    What is urgent is heard beyond them as well. `refuse` is called for the first of those that are not: one
    answer, or the flood would be answered with another.
    """
    bucket = TokenBucket(rate, burst)
    refused = 0
    # Abnormal ends are as ordinary as normal ones: a tablet goes out of range.
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            counts["messages_received"] += 1
            was_dry = bucket.is_dry
            if bucket.take(time.monotonic()):
                yield message
                continue
            refused += 1
            if is_urgent(message):
                yield message
            else:
                counts["messages_refused"] += 1
            if refused > REFUSED_MAX:
                _log.warning("client_aborted", address=address_of(connection), reason="flood")
                connection.transport.abort()
                return
            if not was_dry:
                refuse()
