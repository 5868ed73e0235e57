"""The lean receive reads what python-can's own reads: the same records through both, over a datagram socket.

That it is right on a real interface is what tests/vcan proves.
"""

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from can.interfaces.socketcan import SocketcanBus
from can.interfaces.socketcan import constants as kernel
from hypothesis import given
from hypothesis import strategies as st

from listener.can_reader import raw_frame
from listener.raw_frame import Flag, RawFrame, length_of
from listener.socketcan import lean_receive

CLASSIC = struct.Struct("=IBB2x8s")
FD = struct.Struct("=IBB2x64s")


class PairBus(SocketcanBus):
    """A SocketcanBus on a socket without CAN; the other end is the wire."""

    def __init__(self) -> None:
        self.socket, self.wire = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, kernel.SO_TIMESTAMPNS, 1)
        self.channel = "can7"
        self._filters, self._is_filtered = None, False
        self._bcm_sockets = {}
        self._is_shutdown = False

    def shutdown(self) -> None:
        self._is_shutdown = True
        self.socket.close()
        self.wire.close()


@pytest.fixture(scope="module")
def bus() -> Iterator[PairBus]:
    bus = PairBus()
    yield bus
    bus.shutdown()


def both(bus: PairBus, record: bytes) -> tuple[RawFrame, RawFrame]:
    """What the lean receive and python-can's own make of it, but for the timestamp."""
    receive = lean_receive(bus)
    bus.wire.send(record)
    lean = receive()
    bus.wire.send(record)
    stock = bus.recv(0)
    assert lean is not None
    assert stock is not None
    return lean._replace(timestamp=0.0), raw_frame(stock)._replace(timestamp=0.0)


@given(
    can_id=st.integers(0, 2**32 - 1),
    length=st.integers(0, 8),
    data=st.binary(min_size=8, max_size=8),
)
def test_a_classic_frame_is_read_alike(bus: PairBus, can_id: int, length: int, data: bytes) -> None:
    lean, stock = both(bus, CLASSIC.pack(can_id, length, 0, data))
    assert lean == stock
    assert [type(value) for value in lean] == [int, int, bytes, float]


@given(
    can_id=st.integers(0, 2**32 - 1),
    length=st.sampled_from([0, 4, 8, 12, 48, 64]),
    flags=st.integers(0, 3),
    data=st.binary(min_size=64, max_size=64),
)
def test_a_can_fd_frame_is_read_alike(
    bus: PairBus, can_id: int, length: int, flags: int, data: bytes
) -> None:
    lean, stock = both(bus, FD.pack(can_id, length, flags, data))
    assert lean == stock
    assert lean.flags & Flag.FD
    assert (bool(lean.flags & Flag.BITRATE_SWITCH), bool(lean.flags & Flag.ERROR_STATE)) == (
        bool(flags & kernel.CANFD_BRS),
        bool(flags & kernel.CANFD_ESI),
    )


def test_what_a_remote_frame_asks_for_is_kept(bus: PairBus) -> None:
    lean, stock = both(bus, CLASSIC.pack(0x123 | kernel.CAN_RTR_FLAG, 5, 0, b"leftover"))
    assert lean == stock
    assert (lean.data, length_of(lean.flags, lean.data)) == (b"", 5)


def test_the_timestamp_is_the_kernels(bus: PairBus) -> None:
    before = time.time()
    bus.wire.send(CLASSIC.pack(0x80, 4, 0, bytes(8)))
    after = time.time()
    time.sleep(0.02)
    frame = lean_receive(bus)()
    assert frame is not None
    assert before <= frame.timestamp <= after + 0.001


def test_nothing_there_is_none_and_a_failed_interface_an_error(bus: PairBus) -> None:
    assert lean_receive(bus)() is None
    broken = PairBus()
    receive = lean_receive(broken)
    broken.shutdown()
    with pytest.raises(OSError, match="Bad file descriptor"):
        receive()
