"""The reading side of ingest.py, one variant a process.

    python -m benchmarks.ingest_worker backlog VARIANT FRAMES ROUNDS     fills a feed of its own, and reads it
    python -m benchmarks.ingest_worker live VARIANT DESCRIPTOR           until the mark at the end

Each variant is a coroutine that reads until the mark and returns the number of frames before it.
"""

import asyncio
import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from statistics import median

import can
import structlog

from benchmarks.descriptor_bus import END_ID, DescriptorBus, Feed
from listener import can_reader, events
from listener.can_reader import CANBusReader
from listener.config import CanConfig, Les02Config
from listener.frames import decode
from listener.hub import Hub
from listener.les02 import LES02
from listener.raw_frame import RawFrame

VARIANTS = {
    "seed": "thread, and a queue polled each ms (the seed's design)",
    "stock": "Notifier + AsyncBufferedReader as they come",
    "reader": "CANBusReader",
    "decode": "CANBusReader + frames.decode",
    "sensor": "CANBusReader + LES02 + hub, no clients",
}
POLL_S = 0.001

Ready = Callable[[], None]


async def _seed(descriptor: int, ready: Ready) -> int:
    bus = DescriptorBus(descriptor)
    frames: queue.Queue[can.Message] = queue.Queue()

    def read() -> None:
        for message in bus:
            frames.put(message)
            if message.arbitration_id == END_ID:
                return

    thread = threading.Thread(target=read)
    thread.start()
    ready()
    count = 0
    while True:
        try:
            message = frames.get_nowait()
        except queue.Empty:
            await asyncio.sleep(POLL_S)
            continue
        if message.arbitration_id == END_ID:
            break
        count += 1
    thread.join()
    bus.shutdown()
    return count


async def _stock(descriptor: int, ready: Ready) -> int:
    bus = DescriptorBus(descriptor)
    reader = can.AsyncBufferedReader()
    notifier = can.Notifier(bus, [reader], loop=asyncio.get_running_loop())
    ready()
    count = 0
    async for message in reader:
        if message.arbitration_id == END_ID:
            break
        count += 1
    notifier.stop()
    bus.shutdown()
    return count


async def _reader(descriptor: int, ready: Ready) -> int:
    return await _delivered(descriptor, ready, lambda _frame: None)


async def _decode(descriptor: int, ready: Ready) -> int:
    return await _delivered(descriptor, ready, lambda frame: decode(*frame))


async def _delivered(descriptor: int, ready: Ready, handle: Callable[[RawFrame], object]) -> int:
    reader = _open(descriptor)
    count = 0
    ended = asyncio.Event()

    def take(frame: RawFrame) -> None:
        nonlocal count
        if frame.arbitration_id == END_ID:
            ended.set()
        else:
            count += 1
            handle(frame)

    reading = asyncio.create_task(reader.deliver(take))
    ready()
    await ended.wait()
    reading.cancel()
    reader.close()
    return count


async def _sensor(descriptor: int, ready: Ready) -> int:
    """Positions and mark are seen as a subscriber sees them, as events."""
    reader = _open(descriptor)
    hub = Hub()
    count = 0
    ended = asyncio.Event()

    def subscriber(event: events.EventEnvelope) -> None:
        nonlocal count
        if event.type == "position_sample":
            count += 1
        elif event.type == "system":
            ended.set()

    hub.subscribe(subscriber)
    sensor = LES02(hub, Les02Config(), dropped=reader.dropped)
    reading = asyncio.create_task(sensor.run(reader), name="read the bus")
    ready()
    await ended.wait()
    reading.cancel()
    reader.close()
    return count


_RUN: dict[str, Callable[[int, Ready], Awaitable[int]]] = {
    "seed": _seed,
    "stock": _stock,
    "reader": _reader,
    "decode": _decode,
    "sensor": _sensor,
}


def _open(descriptor: int) -> CANBusReader:
    can_reader.open_bus = lambda config: DescriptorBus(descriptor, config.channel)
    reader = CANBusReader(CanConfig(channel="bench"))
    reader.open()
    return reader


def _backlog(variant: str, count: int, rounds: int) -> float:
    costs = []
    for _ in range(rounds):
        with Feed() as feed:
            feed.fill(count)
            feed.end()
            began = time.process_time()
            got = asyncio.run(_counted(variant, feed.reader.fileno(), lambda: None))
            costs.append(1e6 * (time.process_time() - began) / count)
            assert got == count, f"{variant}: {got} of {count} frames"
    return median(costs)


async def _counted(variant: str, descriptor: int, ready: Ready) -> int:
    return await _RUN[variant](descriptor, ready)


def _tell(what: object) -> None:
    print(json.dumps(what), flush=True)


def main(arguments: list[str]) -> None:
    # What the sensor says of its bus belongs neither to the measurement nor into the answer.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    mode, variant, *numbers = arguments
    if mode == "backlog":
        _tell({"us": _backlog(variant, *map(int, numbers))})
    else:
        count = asyncio.run(_counted(variant, int(numbers[0]), lambda: _tell("ready")))
        _tell({"frames": count})


if __name__ == "__main__":
    main(sys.argv[1:])
