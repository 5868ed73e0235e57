"""What systemd wants to hear (sd_notify(3)); nothing happens where systemd is not listening."""

import asyncio
import contextlib
import os
import socket
import sys


def ready(text: str) -> None:
    notify(f"READY=1\n{_status(text)}")


def stopping() -> None:
    notify("STOPPING=1")


def status(text: str) -> None:
    notify(_status(text))


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"  # a line end would start another assignment


def notify(message: str) -> None:
    """Never raises: a supervisor that has gone must not take the daemon with it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or sys.platform == "win32":
        return
    if address.startswith("@"):  # abstract namespace
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)  # called on the event loop
        sender.sendto(message.encode(errors="replace"), address)


async def watchdog() -> None:
    """Lives on the event loop, so a loop that hangs is a daemon that systemd restarts."""
    interval_us = os.environ.get("WATCHDOG_USEC", "")
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not interval_us.isdecimal():
        return
    half_s = int(interval_us) / 2_000_000
    while half_s > 0:
        notify("WATCHDOG=1")
        await asyncio.sleep(half_s)
