"""`/ws/stream`: no greeting; start, stop and ping, and whatever else is answered with an error."""

from typing import Final

from listener.arrays import packets
from listener.arrays.packets import AskError
from listener.arrays.stream import Stream
from listener.query import QueryError
from listener.sessions import Peer

POLICY: Final = 1008


class StreamSession:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def __call__(self, peer: Peer) -> None:
        stream = self._stream
        try:
            binary = packets.wants_binary(peer.query)
        except QueryError as exc:
            await peer.close(POLICY, str(exc))
            return
        listener = stream.join(peer, binary=binary)
        try:
            async for message in peer:
                try:
                    action, wanted = packets.parse(message)
                    if action == "ping":
                        stream.say(listener, packets.PONG)
                    elif action == "start":
                        stream.start(listener, wanted)
                    else:
                        stream.stop(listener)
                except AskError as exc:
                    stream.say(listener, packets.error(str(exc)))
        finally:
            stream.leave(listener)
