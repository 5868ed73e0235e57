"""What the reader wants of a SocketCAN socket beyond python-can: room, the drop counter, a lean receive.

python-can's `recv(0)` costs 7 µs: a `select` before the `recvmsg`, a dissection into a `Message` of a dozen
keyword arguments, logging. What is needed of it costs 2.
"""

import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from listener.raw_frame import LENGTH_SHIFT, Flag, RawFrame

if TYPE_CHECKING:
    from can.interfaces.socketcan import SocketcanBus

_log = structlog.get_logger(__name__)

Receive = Callable[[], RawFrame | None]

# asm-generic/socket.h; Python does not name them. The ninth word of SO_MEMINFO counts the drops.
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("=9I")

# linux/can.h: the identifier's 29 bits, above them what kind of frame it is; then the length.
_HEAD: Final = struct.Struct("=IB")
_FD_SIZE: Final = 72
# BRS and ESI are the lowest bits of the octet behind the length, and in this order those of `Flag`.
_FD_FLAGS: Final = 5
_FD_FLAGS_SHIFT: Final = 4
_ID_BITS: Final = 29
_ID_29: Final = 0x1FFF_FFFF
_ID_11: Final = 0x7FF
# Plain integers: an operation of IntFlag costs as much as to parse a position.
_EXTENDED, _REMOTE, _ERROR, _FD, _, _ = map(int, Flag)
_FLAGS: Final = tuple(
    (_EXTENDED if kind & 4 else 0) | (_REMOTE if kind & 2 else 0) | (_ERROR if kind & 1 else 0)
    for kind in range(8)
)
# SO_TIMESTAMPNS, which python-can sets: one control message with a timespec.
_TIMESPEC: Final = struct.Struct("@ll")
if sys.platform == "linux":  # nowhere else is this module used, but it is imported
    _CONTROL_SIZE: Final = socket.CMSG_SPACE(_TIMESPEC.size)


def prepare(bus: "SocketcanBus", receive_buffer: int) -> None:
    # An interface that is down can be opened; the socket then holds the error for the first reader.
    if code := bus.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        bus.shutdown()
        raise OSError(code, os.strerror(code))
    _enlarge_buffer(bus.socket, receive_buffer)


def drop_counter(sock: socket.socket) -> int:
    """Frames of any kind that this socket had no room for; 32 bits, which may overflow."""
    *_, drops = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
    return int(drops)


def lean_receive(bus: "SocketcanBus") -> Receive:
    """One system call a frame, which does not wait. Raises OSError when the interface has failed."""
    recvmsg, at_once = bus.socket.recvmsg, socket.MSG_DONTWAIT
    head, timespec = _HEAD.unpack_from, _TIMESPEC.unpack_from

    def receive() -> RawFrame | None:
        try:
            data, control, _, _ = recvmsg(_FD_SIZE, _CONTROL_SIZE, at_once)
        except BlockingIOError:
            return None
        can_id, length = head(data)
        seconds, nanoseconds = timespec(control[0][2])
        flags = _FLAGS[can_id >> _ID_BITS]
        if flags & _REMOTE:
            flags |= length << LENGTH_SHIFT
            length = 0
        if len(data) == _FD_SIZE:
            flags |= _FD | (data[_FD_FLAGS] & 3) << _FD_FLAGS_SHIFT
        arbitration_id = can_id & (_ID_29 if flags & _EXTENDED else _ID_11)
        return RawFrame(arbitration_id, flags, data[8 : 8 + length], seconds + nanoseconds * 1e-9)

    return receive


def _enlarge_buffer(sock: socket.socket, size: int) -> None:
    """The kernel's default holds 278 frames, half a second of the sensor."""
    # The kernel doubles what is asked for, and tells the double.
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size // 2)  # needs CAP_NET_ADMIN
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size // 2)  # up to net.core.rmem_max
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    (_log.info if granted >= size - 1 else _log.warning)("receive_buffer", granted=granted, wanted=size)
