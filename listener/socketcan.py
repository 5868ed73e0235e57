"""What the reader wants of a SocketCAN socket beyond python-can: room, the drop counter, a lean receive.

python-can's `recv(0)` costs 7 µs: a `select` before the `recvmsg`, a dissection with a dozen keyword
arguments, logging. The same message from one system call costs 3.
"""

import os
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import can
import structlog

if TYPE_CHECKING:
    from can.interfaces.socketcan import SocketcanBus

_log = structlog.get_logger(__name__)

Receive = Callable[[], can.Message | None]

# asm-generic/socket.h; Python does not name them. The ninth word of SO_MEMINFO counts the drops.
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("=9I")

# linux/can.h
_FRAME: Final = struct.Struct("=IBB2x")
_FD_SIZE: Final = 72
_EXTENDED: Final = 0x8000_0000
_REMOTE: Final = 0x4000_0000
_ERROR: Final = 0x2000_0000
_ID_29: Final = 0x1FFF_FFFF
_ID_11: Final = 0x7FF
_BITRATE_SWITCH: Final = 0x01
_ERROR_STATE: Final = 0x02
# SO_TIMESTAMPNS, which python-can sets: one control message with a timespec.
_TIMESPEC: Final = struct.Struct("@ll")
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
    """What `bus.recv(0)` returns, from one system call. Raises OSError when the interface has failed."""
    recvmsg = bus.socket.recvmsg
    channel = bus.channel
    frame, timespec, message = _FRAME.unpack_from, _TIMESPEC.unpack_from, can.Message

    def receive() -> can.Message | None:
        try:
            data, control, flags, _ = recvmsg(_FD_SIZE, _CONTROL_SIZE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        can_id, length, fd_flags = frame(data)
        seconds, nanoseconds = timespec(control[0][2])
        extended = can_id >= _EXTENDED
        is_fd = len(data) == _FD_SIZE
        # Positional: keywords cost as much as the rest. python-can's order is part of its documentation.
        return message(
            seconds + nanoseconds * 1e-9,
            can_id & (_ID_29 if extended else _ID_11),
            extended,
            bool(can_id & _REMOTE),
            bool(can_id & _ERROR),
            channel,
            length,
            data[8 : 8 + length],
            is_fd,
            not flags & socket.MSG_DONTROUTE,
            is_fd and bool(fd_flags & _BITRATE_SWITCH),
            is_fd and bool(fd_flags & _ERROR_STATE),
        )

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
