"""Runs a module of ours on a Python from which everything is taken that Windows has not.

    python tests/e2e/windows.py listener.main --demo

As much of Windows as can be had on Linux: what is imported or called although it is not there fails.
"""

import asyncio
import fcntl
import importlib
import os
import runpy
import signal
import socket
import sys
import types
from typing import Any, NoReturn

MISSING_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
MISSING_SIGNALS = ("SIGHUP", "SIGALRM", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
MISSING_IN_OS = (
    "O_CLOEXEC",
    "O_DIRECTORY",
    "O_NOFOLLOW",
    "fchmod",
    "fork",
    "geteuid",
    "getuid",
    "nice",
    "openpty",
)
MISSING_IN_SOCKET = (
    "AF_CAN",
    "CAN_",
    "CMSG_",
    "MSG_DONTWAIT",
    "PF_CAN",
    "SO_REUSEPORT",
    "TCP_USER_TIMEOUT",
)
# What the daemon loads by and by; others' modules may ask at any time what they run on.
PARTS = ("listener.api.wing", "listener.rides.wing", "mock.mock_les02", "can.interfaces.virtual", "sqlite3")


def not_there(*_: object) -> NoReturn:
    raise NotImplementedError


def locking(descriptor: int, _mode: int, _octets: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise PermissionError(13, "Permission denied") from exc


def become_windows() -> None:
    ours = ("listener", "mock")
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]
    console: Any = types.ModuleType("msvcrt")
    console.LK_NBLCK, console.locking = 2, locking
    sys.modules["msvcrt"] = console
    for name in MISSING_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    signal.SIGBREAK = signal.SIGUSR1  # type: ignore[attr-defined]
    for module, missing in ((signal, MISSING_SIGNALS), (os, MISSING_IN_OS), (socket, MISSING_IN_SOCKET)):
        for name in [name for name in dir(module) if name.startswith(missing)]:
            delattr(module, name)
    socket.SO_EXCLUSIVEADDRUSE = socket.SO_REUSEADDR  # type: ignore[attr-defined]
    loop: Any = asyncio.SelectorEventLoop
    loop.add_reader = loop.add_signal_handler = not_there
    sys.platform = "win32"


if __name__ == "__main__":
    module, sys.argv = sys.argv[1], sys.argv[1:]
    for part in (module, *PARTS):
        importlib.import_module(part)
    become_windows()
    runpy.run_module(module, run_name="__main__")
