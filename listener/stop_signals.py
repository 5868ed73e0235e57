"""What ends a program in order: Ctrl+C, SIGTERM and, on Windows, Ctrl+Break and the closing of its window."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable

STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    STOP_SIGNALS.append(signal.SIGBREAK)


def on_stop(call: Callable[[], object]) -> None:
    """`call` is called on the running loop, at each of them."""
    loop = asyncio.get_running_loop()

    def interrupted(*_: object) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed: once more, and too late
            loop.call_soon_threadsafe(call)

    for number in STOP_SIGNALS:
        if sys.platform == "win32":  # whose loop takes no signals, but wakes up for them
            signal.signal(number, interrupted)
        else:
            loop.add_signal_handler(number, call)
