"""How much of what was written to a connection its peer's kernel has not acknowledged yet.

What lies there cannot be taken back, and arrives late.
"""

import asyncio
import contextlib
import struct
import sys

if sys.platform == "linux":
    import fcntl
    import termios


def unread(transport: asyncio.BaseTransport | None) -> int:
    """Octets; those that the kernel holds are told by Linux alone."""
    if not isinstance(transport, asyncio.WriteTransport):
        return 0
    waiting = transport.get_write_buffer_size()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, ValueError, AttributeError):  # it is closed
            held = fcntl.ioctl(transport.get_extra_info("socket"), termios.TIOCOUTQ, b"\0" * 4)
            waiting += struct.unpack("i", held)[0]
    return waiting
