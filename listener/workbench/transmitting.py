"""A frame out through python-can, and who learns of it.

python-can sends cyclic frames by the kernel where it can (SocketCAN's broadcast manager), whose frames come
back to us as anybody's do; else by a thread, whose frames nobody would know of.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import can
from can.broadcastmanager import ThreadBasedCyclicSendTask

SEND_S: Final = 1.0


def send(bus: can.BusABC, message: can.Message) -> None:
    # python-can's periodic tasks without a kernel have a thread each, and this lock among them.
    with getattr(bus, "_lock_send_periodic", None) or contextlib.nullcontext():
        bus.send(message, SEND_S)


def report(task: Any, sent: Callable[[can.Message], None], failed: Callable[[Exception], None]) -> bool:
    """Before it is started: both are called on the loop. False: of the kernel's tasks nothing is reported."""
    if not isinstance(task, ThreadBasedCyclicSendTask):
        return False
    loop = asyncio.get_running_loop()

    def on_error(exc: Exception) -> bool:  # in the task's thread
        _call(loop, failed, exc)
        return False

    task.on_error = on_error
    task.bus = _Reporting(task.bus, lambda message: _call(loop, sent, message))  # type: ignore[assignment]
    return True


def _call(loop: asyncio.AbstractEventLoop, tell: Callable[[Any], None], news: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(tell, news)


class _Reporting:
    """What a task needs of a bus."""

    def __init__(self, bus: can.BusABC, sent: Callable[[can.Message], None]) -> None:
        self._bus = bus
        self._sent = sent

    def send(self, message: can.Message) -> None:
        self._bus.send(message)
        self._sent(message)
