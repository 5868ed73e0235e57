"""Whether two settings mean the same bus, however they are written: the sensor's must not be opened twice."""

import contextlib
import os
import socket
from pathlib import Path

from listener.config import CanConfig

_NETWORK = Path("/sys/class/net")
_HERE = {"localhost", "127.0.0.1", "127.0.1.1", "::1", socket.gethostname()}


def is_same(one: CanConfig, other: CanConfig) -> bool:
    """Whether both name the same bus, however it is written."""
    if _driver(one) != _driver(other):
        return _reaches(one, other) or _reaches(other, one)
    return _place(one) == _place(other)


def _reaches(one: CanConfig, network: CanConfig) -> bool:
    """Whether one is the adapter of that network interface, or a way to it."""
    if _driver(network) != "socketcan":
        return False
    if _driver(one) == "gs_usb":
        # It would be taken from the kernel. Which of several it is the index does not tell: none then.
        return _kernel_driver(network.channel) == "gs_usb"
    if _driver(one) == "socketcand":
        return str(one.options.get("host")) in _HERE and one.channel == network.channel
    return False


def _kernel_driver(interface: str) -> str:
    return (_NETWORK / interface / "device" / "driver").resolve().name


def _driver(config: CanConfig) -> str:
    name = config.interface.lower()
    return "socketcan" if name.startswith("socketcan_") else name


def _place(config: CanConfig) -> object:
    driver, channel = _driver(config), str(config.channel)
    if driver == "socketcan":
        # An interface may have several names.
        with contextlib.suppress(OSError):
            return socket.if_nametoindex(channel)
    elif driver == "slcan":
        return os.path.realpath(channel.partition("@")[0])
    elif driver == "gs_usb":
        return str(config.options.get("index", channel))
    elif driver == "socketcand":
        return config.options.get("host"), config.options.get("port"), channel
    return channel.lower()
