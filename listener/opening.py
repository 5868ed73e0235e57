"""Opening a bus: without holding up the loop, and what to do when it cannot be opened."""

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future

import can

from listener.config import CanConfig

# What the adapters need beside the minimal install; their own messages do not always say it.
_NEEDS = {
    "gs_usb": "; needs: pip install 'les02-listener[gs-usb]', a channel index and [can] bitrate",
    "pcan": "; needs: PEAK's PCAN-Basic, pip install 'les02-listener[pcan]' and [can] bitrate",
    "slcan": "; needs: pip install 'les02-listener[slcan]', the serial port as channel and [can] bitrate",
    "socketcand": "; needs: [can] options = {host = ..., port = ...}",
}


async def in_thread(open_bus: Callable[[], can.BusABC]) -> can.BusABC:
    """Some adapters take seconds to answer, or for ever: neither clients nor the exit must wait for them.

    Hence not `asyncio.to_thread`: the exit joins its threads.
    """
    opened: Future[can.BusABC] = Future()
    opened.set_running_or_notify_cancel()

    def run() -> None:
        try:
            opened.set_result(open_bus())
        except Exception as exc:  # noqa: BLE001 - raised again where it is awaited
            opened.set_exception(exc)

    threading.Thread(target=run, name="open the bus", daemon=True).start()
    try:
        return await asyncio.wrap_future(opened)
    except asyncio.CancelledError:  # nobody waits for it any more, and nobody else would close it
        opened.add_done_callback(_put_away)
        raise


def _put_away(opened: "Future[can.BusABC]") -> None:
    with contextlib.suppress(Exception):
        opened.result().shutdown()


def explain(exc: Exception, config: CanConfig) -> str:
    channel = config.channel
    name = f"{config.interface} {channel}"
    code = exc.errno if isinstance(exc, OSError) else getattr(exc, "error_code", None)
    if config.interface not in can.VALID_INTERFACES:
        known = ", ".join(sorted(can.VALID_INTERFACES))
        return f"no such interface: {config.interface}; python-can knows {known}"
    if config.interface != "socketcan":
        needs = _NEEDS.get(config.interface, "")
        return f"cannot open {name}: {str(exc) or type(exc).__name__}{needs}"
    if code == errno.EAFNOSUPPORT:
        return f"cannot open {name}: this kernel has no CAN; try: sudo modprobe can_raw (or leslisten --demo)"
    if code == errno.ENODEV:
        make = (
            f"sudo ip link add dev {channel} type vcan && sudo ip link set up {channel}"
            if channel.startswith("vcan")
            else f"sudo ip link set {channel} up type can bitrate 250000 (ip link shows what is there)"
        )
        return f"cannot open {name}: no such interface; try: {make}"
    if code == errno.ENETDOWN:
        return f"cannot open {name}: the interface is down; try: sudo ip link set {channel} up"
    return f"cannot open {name}: {exc}"
