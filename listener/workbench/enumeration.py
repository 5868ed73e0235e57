"""Which CAN devices are there to be connected with.

python-can asks the drivers, which may take seconds or never answer: in a thread of its own, and who waits
waits so long and no longer. Serial ports are told when they are USB's: one of them may be a CANable.
"""

import asyncio
import contextlib
import importlib.util
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import can
import structlog

_log = structlog.get_logger(__name__)

LIMIT_S: Final = 5.0
_ASKED: Final = ("pcan", "gs_usb")
_NETWORK: Final = Path("/sys/class/net")
_ARPHRD_CAN: Final = "280"

Device = dict[str, Any]


class Enumeration:
    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._asking: Future[list[Device]] | None = None
        self.known: list[Device] = []

    async def devices(self) -> list[Device]:
        """Those that could be found in time; of drivers that hang what they said the last time."""
        if self._asking is None or self._asking.done():
            self._asking = _in_thread(find)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limit_s):
                self.known = await asyncio.shield(asyncio.wrap_future(self._asking))
        return self.known


def _in_thread(find: Callable[[], list[Device]]) -> Future[list[Device]]:
    """Not `to_thread`: the exit would wait for a driver that hangs."""
    found: Future[list[Device]] = Future()

    def run() -> None:
        try:
            found.set_result(find())
        except Exception:  # noqa: BLE001 - whatever drivers raise, the others' devices are told
            _log.exception("devices_not_found")
            found.set_result([])

    found.set_running_or_notify_cancel()
    threading.Thread(target=run, name="look for CAN devices", daemon=True).start()
    return found


def find() -> list[Device]:
    return [
        *_adapters(),
        *_interfaces(),
        *_serial_ports(),
        _device("virtual", "bench", "inside this process"),
    ]


def can_use(interface: str) -> bool:
    """Whether what it needs is installed; not whether a device is there."""
    if interface == "pcan":
        return _has_pcan_basic()
    return importlib.util.find_spec("gs_usb") is not None or importlib.util.find_spec("serial") is not None


def _adapters() -> Iterator[Device]:
    for found in can.detect_available_configs(_ASKED, timeout=LIMIT_S):
        channel = found["channel"]
        if found["interface"] == "pcan":
            name = str(channel).removeprefix("PCAN_USBBUS")
            yield _device("pcan", f"USB{name}", f"PCAN-USB {name}")
        else:
            yield _device("canable", int(str(found.get("index", 0))), str(channel))


def _interfaces() -> Iterator[Device]:
    """Those that are down as well: they can be brought up."""
    with contextlib.suppress(OSError):
        for folder in sorted(_NETWORK.iterdir()):
            with contextlib.suppress(OSError):
                if (folder / "type").read_text().strip() == _ARPHRD_CAN:
                    state = (folder / "operstate").read_text().strip()
                    yield _device("socketcan", folder.name, f"network interface, {state}")


def _serial_ports() -> Iterator[Device]:
    try:
        from serial.tools import list_ports
    except ImportError:
        return
    for port in sorted(list_ports.comports()):
        if port.vid is not None:
            yield _device("slcan", port.device, port.description or "USB serial port")


def _device(device_type: str, index: str | int, description: str) -> Device:
    return {
        "device_type": device_type,
        "index": index,
        "name": f"{device_type} {index}",
        "description": description,
    }


def _has_pcan_basic() -> bool:
    with contextlib.suppress(Exception):
        from can.interfaces.pcan.basic import PCANBasic

        PCANBasic()  # type: ignore[no-untyped-call]
        return True
    return False
