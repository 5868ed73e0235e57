"""For comparison: the design this product started from, as its document describes it, on the same descriptor.

    python -m benchmarks.reference_seed DESCRIPTOR PORT

A thread blocks in python-can and fills an unbounded queue; a task polls the queue each millisecond, makes
a dict, `json.dumps`, and gathers a `send` to every client before it takes the next frame.
"""

import asyncio
import json
import queue
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import can
import websockets
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.descriptor_bus import DescriptorBus

POLL_S = 0.001


@dataclass
class CANFrame:
    arbitration_id: int
    dlc: int
    data: bytes
    timestamp: float
    channel: str


@dataclass
class EventEnvelope:
    proto: int
    type: str
    ts: float
    source: str
    payload: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "proto": self.proto,
            "type": self.type,
            "ts": self.ts,
            "source": self.source,
            "payload": self.payload,
        }


class WebSocketEventServer:
    def __init__(self, port: int) -> None:
        self._port = port
        self._clients: set[ServerConnection] = set()

    async def start(self) -> None:
        async with serve(self._handler, "127.0.0.1", self._port):
            await asyncio.get_running_loop().create_future()

    async def broadcast(self, event: EventEnvelope) -> None:
        message = json.dumps(event.to_dict())

        async def send_to_client(client: ServerConnection) -> None:
            try:
                await client.send(message)
            except websockets.exceptions.ConnectionClosed:
                self._clients.discard(client)

        await asyncio.gather(*(send_to_client(c) for c in self._clients), return_exceptions=True)

    async def _handler(self, websocket: ServerConnection) -> None:
        self._clients.add(websocket)
        try:
            async for _ in websocket:
                pass
        finally:
            self._clients.discard(websocket)


def to_frame(message: can.Message) -> CANFrame:
    channel = "master" if message.arbitration_id % 2 == 0 else "slave"
    return CANFrame(message.arbitration_id, message.dlc, bytes(message.data), message.timestamp, channel)


async def run_can_loop(bus: can.BusABC, server: WebSocketEventServer) -> None:
    frames: queue.Queue[CANFrame] = queue.Queue()

    def read_can_frames_blocking() -> None:
        for message in bus:
            frames.put(to_frame(message))

    executor = ThreadPoolExecutor(max_workers=1)
    executor.submit(read_can_frames_blocking)
    while True:
        try:
            frame = frames.get_nowait()
        except queue.Empty:
            await asyncio.sleep(POLL_S)
            continue
        if frame.arbitration_id & 0xFE != 0x80 or frame.dlc != 4:
            continue
        position = frame.data[0] << 16 | frame.data[1] << 8 | frame.data[2]
        payload = {"channel": frame.channel, "position_raw": position}
        await server.broadcast(EventEnvelope(1, "position_sample", frame.timestamp, "les02", payload))


async def main(descriptor: int, port: int) -> None:
    server = WebSocketEventServer(port)
    await asyncio.gather(server.start(), run_can_loop(DescriptorBus(descriptor), server))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
