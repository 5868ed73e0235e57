"""For comparison: what the two libraries' manuals recommend, on the same descriptor.

    python -m benchmarks.reference_broadcast DESCRIPTOR PORT

python-can's Notifier on the loop with an AsyncBufferedReader, `json.dumps`, and `websockets.broadcast()`.
"""

import asyncio
import json
import sys

import can
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.descriptor_bus import DescriptorBus


async def main(descriptor: int, port: int) -> None:
    clients: set[ServerConnection] = set()

    async def handler(connection: ServerConnection) -> None:
        clients.add(connection)
        try:
            await connection.wait_closed()
        finally:
            clients.discard(connection)

    bus = DescriptorBus(descriptor)
    reader = can.AsyncBufferedReader()
    async with serve(handler, "127.0.0.1", port):
        can.Notifier(bus, [reader], loop=asyncio.get_running_loop())
        async for frame in reader:
            if frame.arbitration_id not in {0x80, 0x81} or frame.dlc != 4:
                continue
            event = {
                "proto": 1,
                "type": "position_sample",
                "ts": frame.timestamp,
                "source": "les02",
                "payload": {
                    "channel": "slave" if frame.arbitration_id & 1 else "master",
                    "position_raw": int.from_bytes(frame.data[:3], "big"),
                },
            }
            broadcast(clients, json.dumps(event))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
