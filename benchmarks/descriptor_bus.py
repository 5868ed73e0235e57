"""A SocketCAN bus without a kernel interface: any datagram descriptor that carries `struct can_frame`.

    feed = Feed()                 a pair of sockets, or with a channel a real (v)can interface
    DescriptorBus(feed.reader)    python-can's SocketcanBus over it: every line of its receive path is used

A datagram socketpair behaves as a raw CAN socket does: one frame a read, the kernel's timestamp with it, and
room for as many frames as the same buffer holds there. What has no room is refused to the sender instead
of dropped, so it is the generator that counts what would be lost.
"""

import os
import socket
import struct
from typing import Self

from can import BusABC
from can.interfaces.socketcan import SocketcanBus
from can.interfaces.socketcan.constants import SO_TIMESTAMPNS

FRAME = struct.Struct("=IB3x8s")
# The last frame of a run: a lock message. Nobody else sends one here, and the daemon makes an event of it.
END_ID = 0x10
# What `[can] receive_buffer` asks for by default; the kernel doubles what is set.
BUFFER = 4_194_304 // 2


class DescriptorBus(SocketcanBus):
    def __init__(self, descriptor: int, channel: str = "bench") -> None:
        # Not SocketcanBus's own: it would make a CAN socket, which needs a kernel that has CAN.
        self.socket = socket.socket(fileno=os.dup(descriptor))
        self.channel = channel
        self.channel_info = f"descriptor {descriptor} as socketcan"
        self._bcm_sockets = {}
        BusABC.__init__(self, channel)

    def _apply_filters(self, filters: object) -> None:  # noqa: ARG002
        self._is_filtered = True  # as with a CAN socket, which leaves the filtering to the kernel


class Feed:
    """Both ends; each may be handed to another process."""

    def __init__(self, channel: str | None = None) -> None:
        if channel is None:
            self.writer, self.reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        else:
            self.writer, self.reader = _can_socket(channel), _can_socket(channel)
        self.reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.reader.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def fill(self, count: int) -> None:
        """A backlog, as if the reader had been away."""
        for number in range(count):
            self.writer.send(FRAME.pack(0x80 + number % 2, 4, number.to_bytes(3, "big") + bytes(5)))

    def end(self) -> None:
        """The mark that every variant of a reader knows; waits for room."""
        self.writer.send(FRAME.pack(END_ID, 8, bytes(8)))

    def close(self) -> None:
        self.writer.close()
        self.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _can_socket(channel: str) -> socket.socket:
    sock = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    sock.bind((channel,))
    return sock
