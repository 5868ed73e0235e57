"""A serial port without a device: a pseudo terminal under a name that stays the same over unplugging.

`received` gets what the computer sends, on the running loop. Nothing here blocks.
"""

import asyncio
import contextlib
import errno
import os
import pty
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Final

_READ_MAX: Final = 4096


class PseudoPort:
    """Plugged in from the beginning. While `deaf` it takes nothing, and the computer's writes never end."""

    def __init__(self, link: Path | None, received: Callable[[bytes], None]) -> None:
        self.path = ""
        self._link = link
        self._received = received
        self._ends: tuple[int, int] | None = None
        self._deaf = False
        self.plug_in()

    @property
    def is_plugged_in(self) -> bool:
        return self._ends is not None

    @property
    def deaf(self) -> bool:
        return self._deaf

    @deaf.setter
    def deaf(self, deaf: bool) -> None:
        self._deaf = deaf
        self.listen()

    def plug_in(self) -> None:
        assert self._ends is None
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        # Both ends stay open here: a terminal that nobody has open could not be read.
        self._ends = ours, theirs
        self.path = os.ttyname(theirs)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.path)
            self.path = str(self._link)
        self.listen()

    def listen(self) -> None:
        """Before the loop runs it is too early; then whoever starts the loop does it again."""
        if self._ends is None:
            return
        with contextlib.suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            if self._deaf:
                loop.remove_reader(self._ends[0])
            else:
                loop.add_reader(self._ends[0], self._read, self._ends[0])

    def unplug(self) -> None:
        if self._ends is None:
            return
        ours, theirs = self._ends
        self._ends = None
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(ours)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        os.close(ours)
        os.close(theirs)

    def write(self, octets: bytes) -> int:
        """How many of them the computer has room for."""
        if self._ends is None:
            return 0
        try:
            return os.write(self._ends[0], octets)
        except OSError as exc:
            if exc.errno not in {errno.EAGAIN, errno.EIO}:
                raise
            return 0

    def _read(self, ours: int) -> None:
        try:
            octets = os.read(ours, _READ_MAX)
        except OSError:
            return
        self._received(octets)
