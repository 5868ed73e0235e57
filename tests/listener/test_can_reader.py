import asyncio
import errno
import itertools
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import can
import pytest
import pytest_asyncio
from can.interfaces.virtual import VirtualBus
from structlog.testing import capture_logs

from listener import can_reader
from listener.can_reader import (
    BACK_OFF_FIRST_S,
    BACK_OFF_LIMIT_S,
    DRAIN_BUDGET,
    BusLost,
    BusUnavailable,
    CANBusReader,
    open_bus,
)
from listener.config import CanConfig
from listener.raw_frame import RawFrame

PATIENCE_S = 5.0
CAN_FRAME = struct.Struct("<IB3x8s")
SOCKETCAN = CanConfig(interface="socketcan", channel="can0")
# With any other interface the reader leaves the socket, if there is one, as it is.
ADAPTER = CanConfig(interface="virtual", channel="bench")


class SocketpairBus(can.BusABC):
    """SocketCAN without a kernel that has it: a descriptor from which records of `struct can_frame` are read.

    The other end is the wire. When it is cut, the descriptor stays readable and every read fails.
    """

    def __init__(
        self,
        channel: str = "can0",
        *,
        shutdown_error: Exception | None = None,
        first_read_error: Exception | None = None,
    ) -> None:
        self._first_read_error = first_read_error
        self.stamp: Callable[[], float] = lambda: 0.0
        self.socket, self.wire = socket.socketpair()
        self.socket.setblocking(False)
        self.channel_info = f"socketpair {channel}"
        self.received = 0
        self.empty_reads = 0
        self.failed_reads = 0
        self.is_shut_down = False
        self._shutdown_error = shutdown_error
        super().__init__(channel)

    def carry(self, numbers: range) -> None:
        frames = (CAN_FRAME.pack(0x80, 4, number.to_bytes(4, "big") + bytes(4)) for number in numbers)
        self.wire.sendall(b"".join(frames))

    def cut(self) -> None:
        self.wire.close()

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        raise AssertionError("nothing is ever sent to the sensor")

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        assert timeout == 0, "a wait here stops the whole loop"
        if self._first_read_error is not None:
            error, self._first_read_error = self._first_read_error, None
            raise error
        try:
            record = self.socket.recv(CAN_FRAME.size)
        except BlockingIOError:
            self.empty_reads += 1
            return None, True
        if not record:
            self.failed_reads += 1
            raise can.CanOperationError("Network is down", errno.ENETDOWN)
        arbitration_id, length, data = CAN_FRAME.unpack(record)
        self.received += 1
        message = can.Message(self.stamp(), arbitration_id, data=data[:length], is_extended_id=False)
        return message, True

    def shutdown(self) -> None:
        super().shutdown()
        self.is_shut_down = True
        self.wire.close()
        self.socket.close()
        if self._shutdown_error is not None:
            raise self._shutdown_error


class Adapter:
    """Stands in for can.Bus: each attempt to open gives the next outcome, a bus or the driver's error."""

    def __init__(self) -> None:
        self.outcomes: list[can.BusABC | Exception] = []
        self.requests: list[dict[str, Any]] = []

    def __call__(self, **request: Any) -> can.BusABC:
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Adapter:
    adapter = Adapter()
    monkeypatch.setattr(can, "Bus", adapter)
    return adapter


@pytest.fixture
def bus(adapter: Adapter) -> Iterator[SocketpairBus]:
    bus = SocketpairBus()
    adapter.outcomes.append(bus)
    yield bus
    bus.shutdown()


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[CANBusReader]:
    """Whatever happens on the bus, the loop's own exception handler must hear nothing of it."""
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    reader = CANBusReader(ADAPTER)
    async with asyncio.timeout(PATIENCE_S):
        yield reader
    reader.close()
    await asyncio.sleep(0)
    assert unheard == []


class Taker:
    """Has the open bus of a reader delivered, and the numbers in its frames in the order they came."""

    def __init__(self, reader: CANBusReader) -> None:
        self.bus = reader._bus
        self.numbers: list[int] = []
        self._news = asyncio.Event()
        self.task = asyncio.create_task(reader.deliver(self._take))

    def _take(self, frame: RawFrame) -> None:
        self.numbers.append(number_in(frame))
        self._news.set()

    async def take(self, count: int) -> list[int]:
        while len(self.numbers) < count:
            self._news.clear()
            news = asyncio.create_task(self._news.wait())
            await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if self.task.done():
                self.task.result()
        taken, self.numbers[:] = self.numbers[:count], self.numbers[count:]
        return taken


_takers: WeakKeyDictionary[CANBusReader, Taker] = WeakKeyDictionary()


def taker(reader: CANBusReader) -> Taker:
    known = _takers.get(reader)
    if known is None or known.bus is not reader._bus:
        known = _takers[reader] = Taker(reader)
    return known


async def take(reader: CANBusReader, count: int) -> list[int]:
    async with asyncio.timeout(PATIENCE_S):
        return await taker(reader).take(count)


async def take_to_the_end(reader: CANBusReader) -> tuple[list[int], BusLost]:
    taking = taker(reader)
    with pytest.raises(BusLost) as caught:
        await asyncio.wait_for(taking.task, PATIENCE_S)
    return taking.numbers, caught.value


def number_in(frame: RawFrame) -> int:
    return int.from_bytes(frame.data, "big")


# --- interfaces with a descriptor


async def test_messages_come_in_the_order_of_the_bus(reader: CANBusReader, bus: SocketpairBus) -> None:
    reader.open()
    for start in range(0, 100, 10):
        bus.carry(range(start, start + 10))
        assert await take(reader, 10) == list(range(start, start + 10))


async def test_a_message_that_has_just_arrived_costs_one_read(
    reader: CANBusReader, bus: SocketpairBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_reader, "FRESH_S", 60.0)
    monkeypatch.setattr(bus, "stamp", time.time)
    reader.open()
    for number in range(3):
        bus.carry(range(number, number + 1))
        assert await take(reader, 1) == [number]
        await asyncio.sleep(10 * can_reader.BUSY_S)
    assert (bus.received, bus.empty_reads) == (3, 0)


async def test_one_wake_up_reads_everything_that_is_there(reader: CANBusReader, bus: SocketpairBus) -> None:
    bus.carry(range(DRAIN_BUDGET - 1))
    reader.open()
    assert await take(reader, DRAIN_BUDGET - 1) == list(range(DRAIN_BUDGET - 1))
    # Each wake-up ends with a read that finds nothing, so there was one.
    assert (bus.received, bus.empty_reads) == (DRAIN_BUDGET - 1, 1)


async def test_a_flood_leaves_the_loop_time_for_its_other_work(
    reader: CANBusReader, bus: SocketpairBus
) -> None:
    flood = 2 * DRAIN_BUDGET + 88
    bus.carry(range(flood))
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def other_work() -> None:
        seen.append(bus.received)
        if bus.received < flood:
            loop.call_soon(other_work)

    reader.open()
    loop.call_soon(other_work)
    assert await take(reader, flood) == list(range(flood))
    steps = [now - before for before, now in itertools.pairwise(sorted({0, *seen, flood}))]
    assert steps == [DRAIN_BUDGET, DRAIN_BUDGET, 88]


async def test_on_a_busy_bus_a_timer_takes_the_place_of_the_descriptor_until_it_is_quiet(
    reader: CANBusReader, bus: SocketpairBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_reader, "BUSY_S", 60.0)
    loop = asyncio.get_running_loop()
    watches: list[str] = []
    really_add, really_remove = loop.add_reader, loop.remove_reader

    def add_reader(*arguments: Any) -> None:
        watches.append("descriptor")
        really_add(*arguments)

    def remove_reader(fd: int) -> bool:
        watches.append("timer")
        return really_remove(fd)

    monkeypatch.setattr(loop, "add_reader", add_reader)
    monkeypatch.setattr(loop, "remove_reader", remove_reader)
    reader.open()
    sent = 0
    while "timer" not in watches:
        bus.carry(range(sent, sent + 1))
        assert await take(reader, 1) == [sent]
        sent += 1
    assert sent == can_reader.BUSY_WAKE_UPS + 1
    for _ in range(5):  # busy: each look finds several
        bus.carry(range(sent, sent + 10))
        assert await take(reader, 10) == list(range(sent, sent + 10))
        sent += 10
    assert watches == ["descriptor", "timer"]
    async with asyncio.timeout(PATIENCE_S):
        while watches != ["descriptor", "timer", "descriptor"]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
    bus.carry(range(sent, sent + 1))
    assert await take(reader, 1) == [sent]


async def test_a_busy_bus_that_fails_is_lost_and_one_that_is_closed_is_left_alone(
    reader: CANBusReader, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_reader, "BUSY_S", 60.0)
    for ends in ("cut", "closed"):
        bus = SocketpairBus()
        adapter.outcomes.append(bus)
        reader.open()
        for number in range(10):
            bus.carry(range(number, number + 1))
            assert await take(reader, 1) == [number]
        bus.carry(range(20))
        if ends == "cut":
            bus.cut()
            numbers, _ = await take_to_the_end(reader)
            assert numbers == list(range(20))
        reader.close()
        await asyncio.sleep(2 * can_reader.POLL_S)


async def test_a_receive_error_ends_the_iteration_after_what_came_before_it(
    reader: CANBusReader, bus: SocketpairBus
) -> None:
    reader.open()
    bus.carry(range(50))
    bus.cut()
    numbers, lost = await take_to_the_end(reader)
    assert numbers == list(range(50))
    assert "Network is down" in str(lost)
    assert isinstance(lost.__cause__, can.CanOperationError)


async def test_a_descriptor_in_error_does_not_keep_the_loop_busy(
    reader: CANBusReader, bus: SocketpairBus
) -> None:
    reader.open()
    bus.cut()
    await take_to_the_end(reader)
    for _ in range(10):
        await asyncio.sleep(0)
    assert bus.failed_reads == 2  # the error, and the look at what it left behind


async def test_what_still_waits_in_a_socket_that_tells_its_error_first_is_not_lost(
    reader: CANBusReader, adapter: Adapter
) -> None:
    down = can.CanOperationError("Network is down", errno.ENETDOWN)
    bus = SocketpairBus(first_read_error=down)
    adapter.outcomes.append(bus)
    bus.carry(range(3 * DRAIN_BUDGET))
    reader.open()
    numbers, lost = await take_to_the_end(reader)
    assert numbers == list(range(3 * DRAIN_BUDGET))
    assert lost.__cause__ is down


async def test_a_long_rescue_leaves_the_loop_time_for_its_other_work(
    reader: CANBusReader, adapter: Adapter
) -> None:
    bus = SocketpairBus(first_read_error=can.CanOperationError("Network is down", errno.ENETDOWN))
    adapter.outcomes.append(bus)
    count = 2 * DRAIN_BUDGET + 88
    bus.carry(range(count))
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def other_work() -> None:
        seen.append(bus.received)
        if bus.received < count:
            loop.call_soon(other_work)

    reader.open()
    loop.call_soon(other_work)
    numbers, _ = await take_to_the_end(reader)
    assert numbers == list(range(count))
    steps = [now - before for before, now in itertools.pairwise(sorted({0, *seen, count}))]
    assert steps == [DRAIN_BUDGET, DRAIN_BUDGET, 88]


async def test_a_bus_that_breaks_off_in_the_middle_of_a_frame_is_lost(
    reader: CANBusReader, bus: SocketpairBus
) -> None:
    """Any exception will do: here the driver does not even expect it itself."""
    reader.open()
    bus.carry(range(1))
    bus.wire.send(b"half")
    numbers, lost = await take_to_the_end(reader)
    assert numbers == [0]
    assert isinstance(lost.__cause__, struct.error)


async def test_a_descriptor_that_is_gone_is_a_lost_bus_too(reader: CANBusReader, adapter: Adapter) -> None:
    class Vanishing(SocketpairBus):
        def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.socket.close()
            raise OSError(errno.EBADF, "Bad file descriptor")

    bus = Vanishing()
    adapter.outcomes.append(bus)
    reader.open()
    bus.carry(range(1))
    numbers, lost = await take_to_the_end(reader)
    assert numbers == []
    assert "Bad file descriptor" in str(lost)


# --- delivered at once


async def test_a_frame_is_delivered_where_it_is_read(reader: CANBusReader, bus: SocketpairBus) -> None:
    reader.open()
    read_before: list[int] = []
    delivering = asyncio.create_task(reader.deliver(lambda _frame: read_before.append(bus.received)))
    bus.carry(range(5))
    async with asyncio.timeout(PATIENCE_S):
        while len(read_before) < 5:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    assert read_before == [1, 2, 3, 4, 5]
    delivering.cancel()


async def test_who_does_not_want_to_be_delivered_to_any_more_is_left_alone(
    reader: CANBusReader, bus: SocketpairBus
) -> None:
    reader.open()
    frames: list[RawFrame] = []
    delivering = asyncio.create_task(reader.deliver(frames.append))
    await asyncio.sleep(0)
    delivering.cancel()
    bus.carry(range(5))
    await asyncio.sleep(0.01)
    assert delivering.cancelled()
    assert frames == []


@pytest.mark.parametrize("told_first", [False, True], ids=["while reading", "in what was left behind"])
async def test_a_defect_of_the_handler_is_no_lost_bus(
    reader: CANBusReader, adapter: Adapter, told_first: bool
) -> None:
    def defective(_frame: RawFrame) -> None:
        calls.append(None)
        raise ZeroDivisionError

    calls: list[None] = []
    down = can.CanOperationError("Network is down", errno.ENETDOWN)
    bus = SocketpairBus(first_read_error=down if told_first else None)
    adapter.outcomes.append(bus)
    bus.carry(range(5))
    reader.open()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(reader.deliver(defective), PATIENCE_S)
    await asyncio.sleep(0.01)
    assert len(calls) == 1


# --- interfaces without a descriptor


@pytest.fixture
def virtual(request: pytest.FixtureRequest, adapter: Adapter) -> Iterator[tuple[VirtualBus, VirtualBus]]:
    """The bus that is read, and one to send on the same channel."""
    channel = request.node.name
    with VirtualBus(channel) as ours, VirtualBus(channel) as theirs:
        adapter.outcomes.append(ours)
        yield ours, theirs


def send(bus: can.BusABC, numbers: range) -> None:
    for number in numbers:
        bus.send(can.Message(arbitration_id=0x80, data=number.to_bytes(4, "big"), is_extended_id=False))


async def test_messages_of_a_thread_come_in_order(
    reader: CANBusReader, virtual: tuple[VirtualBus, VirtualBus]
) -> None:
    _, theirs = virtual
    reader.open()
    send(theirs, range(100))
    assert await take(reader, 100) == list(range(100))


async def test_an_error_in_the_thread_ends_the_delivery_after_what_came_before_it(
    reader: CANBusReader, virtual: tuple[VirtualBus, VirtualBus]
) -> None:
    ours, theirs = virtual
    reader.open()
    send(theirs, range(10))
    assert await take(reader, 10) == list(range(10))
    ours.shutdown()
    numbers, lost = await take_to_the_end(reader)
    assert numbers == []
    assert str(lost) == "Cannot operate on a closed bus"
    assert isinstance(lost.__cause__, can.CanOperationError)


def stand_still(bus: VirtualBus) -> None:
    """The loop, that is, while the thread reads everything."""
    while not bus.queue.empty():
        time.sleep(0.001)
    time.sleep(0.01)


async def test_a_thread_that_is_faster_than_the_loop_leaves_it_time_and_loses_nothing(
    reader: CANBusReader, virtual: tuple[VirtualBus, VirtualBus]
) -> None:
    ours, theirs = virtual
    count = 2 * DRAIN_BUDGET + 88
    reader.open()
    taking = taker(reader)
    await asyncio.sleep(0)
    send(theirs, range(count))
    stand_still(ours)
    seen: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(taking.numbers) < count:
            seen.append(len(taking.numbers))
            await asyncio.sleep(0)
    assert taking.numbers == list(range(count))
    assert {DRAIN_BUDGET, 2 * DRAIN_BUDGET} <= set(seen)
    taking.task.cancel()


async def test_what_a_thread_brings_is_bounded_and_what_does_not_fit_is_counted(
    reader: CANBusReader, virtual: tuple[VirtualBus, VirtualBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = virtual
    monkeypatch.setattr(can_reader, "QUEUE_LIMIT", 100)
    reader.open()
    taking = taker(reader)
    await asyncio.sleep(0)
    send(theirs, range(107))
    stand_still(ours)
    assert await take(reader, 100) == list(range(100))
    assert reader.dropped() == 7
    assert reader.dropped() == 7
    send(theirs, range(200, 203))
    assert await take(reader, 3) == [200, 201, 202]
    taking.task.cancel()


# --- opening again


async def test_a_lost_bus_is_looked_for_ever_more_seldom_until_it_is_there(
    reader: CANBusReader, bus: SocketpairBus, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = SocketpairBus()
    refusals = 7
    adapter.outcomes += [OSError(errno.ENODEV, "No such device")] * refusals
    adapter.outcomes.append(again)
    delays: list[float] = []
    jitters: list[tuple[float, float]] = []

    async def sleep(delay_s: float) -> None:
        delays.append(delay_s)

    def latest(low: float, high: float) -> float:
        jitters.append((low, high))
        return high

    reader.open()
    bus.cut()
    await take_to_the_end(reader)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        patch.setattr(random, "uniform", latest)
        await reader.reopen()
    assert bus.is_shut_down
    expected = [min(BACK_OFF_FIRST_S * 2**n, BACK_OFF_LIMIT_S) for n in range(refusals + 1)]
    assert delays == pytest.approx([1.2 * delay_s for delay_s in expected])
    assert set(jitters) == {(0.8, 1.2)}
    assert len(adapter.requests) == 1 + refusals + 1
    again.carry(range(3))
    assert await take(reader, 3) == [0, 1, 2]


async def test_what_the_old_bus_had_left_does_not_come_from_the_new_one(
    reader: CANBusReader, bus: SocketpairBus, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = SocketpairBus()
    adapter.outcomes.append(again)
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)
    reader.open()
    bus.carry(range(5))
    assert await take(reader, 1) == [0]
    await reader.reopen()
    again.carry(range(100, 103))
    assert await take(reader, 3) == [100, 101, 102]


def test_an_adapter_that_never_answers_does_not_hold_the_exit() -> None:
    code = """if True:
        import asyncio, can, threading
        from listener.can_reader import CANBusReader
        from listener.config import CanConfig

        can.Bus = lambda **_: threading.Event().wait()

        async def give_up():
            await asyncio.wait_for(CANBusReader(CanConfig()).reopen(), 0.5)

        asyncio.run(give_up())"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, "TimeoutError")


# --- what the kernel had no room for


class DroppingSocket:
    """A socket as far as the drop counter needs one; the descriptor and the frames are the bus's."""

    def __init__(self, drops: int = 0) -> None:
        self.drops = drops
        self.is_gone = False

    def setsockopt(self, *_: int) -> None:
        pass

    def getsockopt(self, level: int, option: int, size: int = 0) -> int | bytes:
        if self.is_gone:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return struct.pack("=9I", 0, 4_194_304, *range(6), self.drops) if size == 36 else 0


class CountingBus(SocketpairBus):
    def __init__(self, drops: int = 0) -> None:
        super().__init__()
        self._pair = self.socket
        self.counting = DroppingSocket(drops)
        self.socket = self.counting  # type: ignore[assignment]

    def fileno(self) -> int:
        return self._pair.fileno()

    def shutdown(self) -> None:
        self.socket = self._pair
        super().shutdown()


async def test_drops_are_counted_over_all_sockets_that_the_reader_has_had(adapter: Adapter) -> None:
    first, second = CountingBus(), CountingBus()
    adapter.outcomes += [first, second]
    reader = CANBusReader(SOCKETCAN)
    assert reader.dropped() == 0
    reader.open()
    assert reader.dropped() == 0
    first.counting.drops = 1722
    assert reader.dropped() == 1722
    assert reader.dropped() == 1722
    first.counting.drops = 1730
    await reader.reopen()
    assert reader.dropped() == 1730
    second.counting.drops = 5
    reader.close()
    assert reader.dropped() == 1735


async def test_the_counters_32_bits_may_overflow(adapter: Adapter) -> None:
    bus = CountingBus()
    adapter.outcomes.append(bus)
    reader = CANBusReader(SOCKETCAN)
    reader.open()
    bus.counting.drops = 2**32 - 1
    assert reader.dropped() == 2**32 - 1
    bus.counting.drops = 4
    assert reader.dropped() == 2**32 + 4
    reader.close()


async def test_a_socket_that_is_gone_has_dropped_what_was_known(adapter: Adapter) -> None:
    bus = CountingBus()
    adapter.outcomes.append(bus)
    reader = CANBusReader(SOCKETCAN)
    reader.open()
    bus.counting.drops = 7
    assert reader.dropped() == 7
    bus.counting.is_gone = True
    assert reader.dropped() == 7
    reader.close()


# --- closing


async def test_close_may_be_called_at_any_time_and_twice(reader: CANBusReader, bus: SocketpairBus) -> None:
    reader.close()
    reader.open()
    reader.close()
    reader.close()
    assert bus.is_shut_down


@pytest.mark.parametrize(
    "error",
    [can.CanOperationError("gone"), OSError(errno.ENODEV, "No such device"), AttributeError("handle")],
    ids=lambda error: type(error).__name__,
)
async def test_close_tolerates_an_adapter_that_fails_once_more(
    reader: CANBusReader, adapter: Adapter, error: Exception
) -> None:
    bus = SocketpairBus(shutdown_error=error)
    adapter.outcomes.append(bus)
    reader.open()
    reader.close()
    assert bus.is_shut_down


# --- opening


def test_the_adapter_is_given_the_configuration_and_nothing_else(
    adapter: Adapter, bus: SocketpairBus
) -> None:
    config = CanConfig(interface="pcan", channel="PCAN_USBBUS1", bitrate=500_000, options={"fd": False})
    assert open_bus(config) is bus
    assert adapter.requests == [
        {
            "interface": "pcan",
            "channel": "PCAN_USBBUS1",
            "bitrate": 500_000,
            "fd": False,
            "ignore_config": True,
        }
    ]


def test_an_interface_without_a_bitrate_is_left_as_ip_link_set_it(
    adapter: Adapter, bus: SocketpairBus
) -> None:
    open_bus(SOCKETCAN)
    assert "bitrate" not in adapter.requests[0]


class Kernel:
    """A socket of Linux: grants a receive buffer doubled, and within rmem_max to whom is not privileged;
    tells an error that waits for the first reader."""

    RMEM_MAX = 212_992
    SO_RCVBUFFORCE = 33

    def __init__(self, *, privileged: bool = False, pending_error: int = 0) -> None:
        self._privileged = privileged
        self._pending_error = pending_error
        self._size = 0

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert level == socket.SOL_SOCKET
        if option == self.SO_RCVBUFFORCE:
            if not self._privileged:
                raise PermissionError(errno.EPERM, "Operation not permitted")
            self._size = 2 * value
        else:
            assert option == socket.SO_RCVBUF
            self._size = 2 * min(value, self.RMEM_MAX)

    def getsockopt(self, level: int, option: int) -> int:
        assert level == socket.SOL_SOCKET
        return {socket.SO_RCVBUF: self._size, socket.SO_ERROR: self._pending_error}[option]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("privileged", "wanted", "granted", "level"),
    [
        pytest.param(True, 4_194_304, 4_194_304, "info", id="privileged"),
        pytest.param(False, 4_194_304, 2 * Kernel.RMEM_MAX, "warning", id="more than allowed"),
        pytest.param(False, 100_000, 100_000, "info", id="as much as allowed"),
    ],
)
def test_the_kernels_buffer_is_enlarged_as_far_as_it_lets_us(
    adapter: Adapter,
    bus: SocketpairBus,
    monkeypatch: pytest.MonkeyPatch,
    privileged: bool,
    wanted: int,
    granted: int,
    level: str,
) -> None:
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(bus, "socket", Kernel(privileged=privileged))
        open_bus(CanConfig(receive_buffer=wanted))
    assert logs == [{"event": "receive_buffer", "granted": granted, "wanted": wanted, "log_level": level}]


def test_an_interface_that_is_down_counts_as_unavailable_although_it_can_be_opened(
    adapter: Adapter, bus: SocketpairBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "cannot open socketcan can0: the interface is down; try: sudo ip link set can0 up"
    with monkeypatch.context() as patch:
        patch.setattr(bus, "socket", Kernel(pending_error=errno.ENETDOWN))
        with pytest.raises(BusUnavailable) as caught:
            open_bus(SOCKETCAN)
    assert str(caught.value) == text
    assert bus.is_shut_down


def kernel_has_can() -> bool:
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(kernel_has_can(), reason="the real thing needs a kernel without CAN")
def test_a_kernel_without_can_is_told_as_such_with_the_remedy() -> None:
    with pytest.raises(BusUnavailable, match=r"this kernel has no CAN; try: sudo modprobe can_raw") as caught:
        open_bus(SOCKETCAN)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EAFNOSUPPORT


NO_CAN = OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
NO_DEVICE = OSError(errno.ENODEV, "No such device")


@pytest.mark.parametrize(
    ("interface", "channel", "error", "text"),
    [
        pytest.param(
            "socketcan",
            "can0",
            NO_CAN,
            "cannot open socketcan can0: this kernel has no CAN; "
            "try: sudo modprobe can_raw (or leslisten --demo)",
            id="no CAN in the kernel",
        ),
        pytest.param(
            "socketcan",
            "can0",
            NO_DEVICE,
            "cannot open socketcan can0: no such interface; "
            "try: sudo ip link set can0 up type can bitrate 250000 (ip link shows what is there)",
            id="no can0",
        ),
        pytest.param(
            "socketcan",
            "vcan0",
            NO_DEVICE,
            "cannot open socketcan vcan0: no such interface; "
            "try: sudo ip link add dev vcan0 type vcan && sudo ip link set up vcan0",
            id="no vcan0",
        ),
        pytest.param(
            "socketcan",
            "can0",
            OSError(errno.ENETDOWN, "Network is down"),
            "cannot open socketcan can0: the interface is down; try: sudo ip link set can0 up",
            id="can0 is down",
        ),
        pytest.param(
            "socketcan",
            "can0",
            can.CanInitializationError("No such device", errno.ENODEV),
            "cannot open socketcan can0: no such interface; "
            "try: sudo ip link set can0 up type can bitrate 250000 (ip link shows what is there)",
            id="python-can's error with the kernel's code",
        ),
        pytest.param(
            "socketcan",
            "can0",
            PermissionError(errno.EPERM, "Operation not permitted"),
            "cannot open socketcan can0: [Errno 1] Operation not permitted",
            id="another error of the kernel",
        ),
        pytest.param(
            "kvaser", "0", NO_DEVICE, "cannot open kvaser 0: [Errno 19] No such device", id="another adapter"
        ),
        pytest.param(
            "kvaser", "0", ValueError(), "cannot open kvaser 0: ValueError", id="a driver of no words"
        ),
        pytest.param(
            "slcan",
            "/dev/ttyACM0",
            ImportError("No module named 'serial'"),
            "cannot open slcan /dev/ttyACM0: No module named 'serial'; needs: pip install "
            "'les02-listener[slcan]', the serial port as channel and [can] bitrate",
            id="an adapter that needs more than the minimal install",
        ),
    ],
)
def test_a_bus_that_cannot_be_opened_is_told_with_the_remedy(
    adapter: Adapter, interface: str, channel: str, error: Exception, text: str
) -> None:
    adapter.outcomes.append(error)
    with pytest.raises(BusUnavailable) as caught:
        open_bus(CanConfig(interface=interface, channel=channel))
    assert str(caught.value) == text
    assert caught.value.__cause__ is error


def test_an_interface_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(BusUnavailable, match=r"^no such interface: soketcan; .*\bsocketcan\b.*\bvirtual\b"):
        open_bus(CanConfig(interface="soketcan"))


async def test_a_bus_that_is_not_there_at_the_start_is_not_waited_for(
    reader: CANBusReader, adapter: Adapter
) -> None:
    adapter.outcomes.append(NO_DEVICE)
    with pytest.raises(BusUnavailable):
        reader.open()
    reader.close()
