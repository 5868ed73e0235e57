"""`/ws/can`: frames as they come, no greeting; whatever the client says is answered with a heartbeat."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from listener.follower import Follower
from listener.query import QueryError
from listener.sessions import Peer
from listener.workbench.messages import ALL_BUSES, encode, parse_query
from listener.workbench.stream import FrameStream

POLICY = 1008


class CanSession:
    """`is_open` says whether a bus is; `gone` is called with a client's name when its last session ends."""

    def __init__(
        self, stream: FrameStream, is_open: Callable[[str], bool], gone: Callable[[str], None]
    ) -> None:
        self._stream = stream
        self._is_open = is_open
        self._gone = gone
        self._present: Counter[str] = Counter()

    def is_present(self, client: str) -> bool:
        return self._present[client] > 0

    async def __call__(self, peer: Peer) -> None:
        try:
            wanted, name = parse_query(peer.query)
        except QueryError as exc:
            await peer.close(POLICY, str(exc))
            return
        client = Follower(peer)
        leave = self._stream.join(client, wanted)
        self._present[name] += 1
        try:
            # Who names a bus shall know that nothing comes from there; the field's clients name none.
            if wanted.bus not in {None, ALL_BUSES} and not self._is_open(str(wanted.bus)):
                told = {"type": "status", "bus": wanted.bus, "state": "not_connected"}
                self._stream.answer(client, encode(told))
            async for _ in peer:
                now = datetime.fromtimestamp(time.time(), UTC).isoformat()
                self._stream.answer(client, encode({"type": "heartbeat", "timestamp": now}))
        finally:
            leave()
            self._present -= Counter({name: 1})
            if name and not self._present[name]:
                self._gone(name)
