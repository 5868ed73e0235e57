"""Which serial port the root module is at: the one that is configured, the one with the USB id, or the one
that answers when it is asked.

To ask writes octets into whatever is at the port. So the patterns name USB serial ports only, and what others
of this daemon use (`avoid`) is not even opened, under none of its names.
"""

import asyncio
import contextlib
import glob
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import serialx
import structlog

from listener.config import MeshConfig
from listener.mesh.uart_link import Link, PortError, open_link

_log = structlog.get_logger(__name__)

ASK: Final = b"NINFO"
# An ESP32 whose reset is wired to the port starts anew when it is opened, and does not hear what comes first.
ANSWER_S: Final = 1.5
_ROOT: Final = (b"\x00\x00", b"\x00\x01")  # its addresses
_NET_INFO: Final = 0x01
_ROOT_RESET: Final = b"\x03"
_HEAD: Final = 4  # address, opcode, number of nodes
_ENTRY: Final = 18  # address and uuid of each


class Finder:
    """`find` opens the port, or raises PortError. `guesses`: it may be any of several ports."""

    def __init__(
        self, config: MeshConfig, avoid: Callable[[], Collection[str]], *, answer_s: float = ANSWER_S
    ) -> None:
        self._config = config
        self._avoid = avoid
        self._answer_s = answer_s
        self._last = ""  # that answered; after an unplug it is asked first, and others are left in peace
        self.guesses = not config.device

    async def find(self) -> Link:
        avoided = set(self._avoid())
        if self._config.device:
            if await asyncio.to_thread(_without, [self._config.device], avoided):
                return await open_link(self._config.device, self._config.baudrate)
            raise PortError(f"{self._config.device} is in use by another part of the listener")
        if self._config.usb_id:
            return await self._by_usb_id(avoided)
        return await self._by_asking(avoided)

    async def _by_usb_id(self, avoided: set[str]) -> Link:
        wanted = tuple(int(part, 16) for part in self._config.usb_id.split(":"))
        ports = await asyncio.to_thread(serialx.list_serial_ports)
        devices = sorted(port.device for port in ports if (port.vid, port.pid) == wanted)
        free = await asyncio.to_thread(_without, devices, avoided)
        if not free:
            unused = " that is not in use by another part of the listener" if devices else ""
            raise PortError(f"no serial port with the USB id {self._config.usb_id}{unused}")
        return await open_link(free[0], self._config.baudrate)

    async def _by_asking(self, avoided: set[str]) -> Link:
        devices = await asyncio.to_thread(_matching, self._config.scan, avoided)
        for device in sorted(devices, key=lambda device: (device != self._last, device)):
            try:
                link = await open_link(device, self._config.baudrate)
            except PortError as exc:
                _log.debug("uart_not_asked", device=device, reason=str(exc))
                continue
            is_root = False
            try:
                is_root = await self._is_root(link)
            finally:
                if not is_root:
                    await link.close()
            if is_root:
                self._last = device
                return link
        if devices:
            raise PortError(f"no root module answers at {', '.join(devices)}")
        raise PortError(f"no serial port like {', '.join(self._config.scan) or 'none'} to ask")

    async def _is_root(self, link: Link) -> bool:
        booting = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._answer_s) as limit:
                await link.write(ASK, self._answer_s)
                while True:
                    payload = await link.hear()
                    if is_net_info(payload):
                        return True
                    if is_boot(payload) and not booting:
                        booting = True
                        limit.reschedule(asyncio.get_running_loop().time() + self._answer_s)
                        await link.write(ASK, self._answer_s)
        return False


def is_net_info(payload: bytes) -> bool:
    """Strictly: it decides whether commands are sent to what is at that port."""
    return (
        len(payload) >= _HEAD
        and payload[:2] in _ROOT
        and payload[2] == _NET_INFO
        and len(payload) == _HEAD + _ENTRY * payload[3]
    )


def is_boot(payload: bytes) -> bool:
    return payload[:2] in _ROOT and payload[2:3] == _ROOT_RESET


def _matching(patterns: Sequence[str], avoided: set[str]) -> list[str]:
    return _without(sorted({path for pattern in patterns for path in glob.glob(pattern)}), avoided)  # noqa: PTH207


def _without(devices: Iterable[str], avoided: set[str]) -> list[str]:
    """Each of them once, whatever its names are."""
    seen = {os.path.realpath(path) for path in avoided if path}
    left = []
    for device in devices:
        real = os.path.realpath(device)
        if real not in seen:
            seen.add(real)
            left.append(device)
    return left
