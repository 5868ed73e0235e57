"""What a client asks to be connected with, and the python-can interface that it is.

Nothing is opened: device type, channel and bit rate in, `CanConfig` out; what does not fit is a `DeviceError`
with a sentence.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from listener.config import CanConfig

DEVICE_TYPES: Final = ("pcan", "canable", "socketcan", "slcan", "socketcand", "virtual")
RATES: Final = {
    "BAUD_1M": 1_000_000,
    "BAUD_800K": 800_000,
    "BAUD_500K": 500_000,
    "BAUD_250K": 250_000,
    "BAUD_125K": 125_000,
    "BAUD_100K": 100_000,
    "BAUD_95K": 95_000,
    "BAUD_83K": 83_000,
    "BAUD_50K": 50_000,
    "BAUD_47K": 47_000,
    "BAUD_33K": 33_000,
    "BAUD_20K": 20_000,
    "BAUD_10K": 10_000,
    "BAUD_5K": 5_000,
}
# What the firmware of each cannot do.
_GS_USB_LACKS: Final = {"BAUD_95K", "BAUD_83K", "BAUD_47K", "BAUD_33K", "BAUD_5K"}
_SLCAN_LACKS: Final = _GS_USB_LACKS | {"BAUD_800K"}
_SLCAN_DATA_RATES: Final = (2_000_000, 5_000_000)
_PCAN: Final = re.compile(r"(?:PCAN_USBBUS|USB)([1-9]|1[0-6])", re.IGNORECASE)
# As the kernel has it: 15 octets, neither slash nor space.
_NETWORK: Final = re.compile(r"[A-Za-z0-9_.:-]{1,15}")
_SOCKETCAND: Final = re.compile(r"([A-Za-z0-9_.-]{1,253}):(\d{1,5})/([A-Za-z0-9_.-]{1,15})")
_TEXT: Final = re.compile(r"[!-~][ -~]{0,254}")
# An Arduino restarts when its port is opened; a CANable is there at once.
_CANABLE_OPENS_S: Final = 0.2


class DeviceError(ValueError):
    """Says which value does not fit, and what it may be."""


@dataclass(frozen=True, slots=True)
class Connection:
    """As it was asked for, and told in `/status`."""

    device_type: str
    channel: str | int
    baudrate: str | None
    listen_only: bool = False
    fd: bool = False
    data_bitrate: int | None = None
    receive_own: bool = False

    @property
    def bitrate(self) -> int | None:
        """Bits a second; of a SocketCAN interface what the client believes it to be."""
        return None if self.baudrate is None else RATES[self.baudrate]


def can_config(asked: Connection) -> CanConfig:
    if asked.device_type not in DEVICE_TYPES:
        raise DeviceError(f"device_type: {_shown(asked.device_type)} is not one of {', '.join(DEVICE_TYPES)}")
    if asked.baudrate is not None and asked.baudrate not in RATES:
        raise DeviceError(f"baudrate: {_shown(asked.baudrate)} is not one of {', '.join(RATES)}")
    if asked.data_bitrate is not None and not asked.fd:
        raise DeviceError("data_bitrate: only with fd")
    return _MAKERS[asked.device_type](asked)


def listens_only_by_itself(asked: Connection) -> bool:
    """Whether the adapter is told; else it still acknowledges what it receives, and we do not send."""
    return asked.device_type in {"pcan", "slcan"} or (
        asked.device_type == "canable" and isinstance(asked.channel, str) and not asked.channel.isdigit()
    )


def _pcan(asked: Connection) -> CanConfig:
    match = _PCAN.fullmatch(str(asked.channel))
    if match is None:
        raise DeviceError(f"channel: {_shown(asked.channel)} is not one of USB1…USB16")
    options: dict[str, Any] = {"receive_own_messages": True} if asked.receive_own else {}
    if asked.listen_only:
        from can import BusState

        options["state"] = BusState.PASSIVE
    if asked.fd:
        options["timing"] = _fd_timing(80_000_000, _rate(asked), asked.data_bitrate or 2_000_000)
    bitrate = None if asked.fd else _rate(asked)
    return CanConfig("pcan", f"PCAN_USBBUS{match[1]}", bitrate, options=options)


def _canable(asked: Connection) -> CanConfig:
    if isinstance(asked.channel, str) and not asked.channel.isdigit():
        return _slcan(asked, sleep_after_open=_CANABLE_OPENS_S)
    index = int(asked.channel)
    if not 0 <= index <= 255:
        raise DeviceError(f"channel: {index} is neither an index from 0 nor a serial port")
    _refuse(asked, _GS_USB_LACKS)
    if asked.fd:
        raise DeviceError("fd: python-can's gs_usb has no CAN FD; use the kernel's driver (socketcan)")
    # A list index, so the text that CanConfig holds would not do.
    return CanConfig("gs_usb", str(index), _rate(asked), options={"index": index})


def _slcan(asked: Connection, **more: Any) -> CanConfig:
    if not (isinstance(asked.channel, str) and _TEXT.fullmatch(asked.channel)) or "://" in asked.channel:
        raise DeviceError(f"channel: {_shown(asked.channel)} is not a serial port such as /dev/ttyACM0")
    _refuse(asked, _SLCAN_LACKS)
    options: dict[str, Any] = {"listen_only": asked.listen_only, **more}
    if asked.fd:
        if asked.data_bitrate not in _SLCAN_DATA_RATES:
            raise DeviceError(f"data_bitrate: with this firmware one of {_SLCAN_DATA_RATES}")
        options["timing"] = _fd_timing(80_000_000, _rate(asked), asked.data_bitrate)
        return CanConfig("slcan", asked.channel, None, options=options)
    return CanConfig("slcan", asked.channel, _rate(asked), options=options)


def _socketcan(asked: Connection) -> CanConfig:
    # An empty name would be every interface of the computer, the sensor's too.
    if not (isinstance(asked.channel, str) and _NETWORK.fullmatch(asked.channel)):
        raise DeviceError(f"channel: {_shown(asked.channel)} is not an interface such as can1")
    options: dict[str, Any] = {"fd": asked.fd, "receive_own_messages": asked.receive_own}
    return CanConfig("socketcan", asked.channel, options=options)


def _socketcand(asked: Connection) -> CanConfig:
    match = _SOCKETCAND.fullmatch(str(asked.channel))
    if match is None or not 0 < int(match[2]) < 65536:
        raise DeviceError(
            f"channel: {_shown(asked.channel)} is not HOST:PORT/BUS, such as 192.0.2.1:29536/can0"
        )
    if asked.fd:
        raise DeviceError("fd: socketcand has no CAN FD")
    return CanConfig("socketcand", match[3], options={"host": match[1], "port": int(match[2])})


def _virtual(asked: Connection) -> CanConfig:
    if not _TEXT.fullmatch(str(asked.channel)):
        raise DeviceError(f"channel: {_shown(asked.channel)} is not a name")
    return CanConfig("virtual", str(asked.channel), options={"receive_own_messages": asked.receive_own})


_MAKERS: Final = {
    "pcan": _pcan,
    "canable": _canable,
    "slcan": _slcan,
    "socketcan": _socketcan,
    "socketcand": _socketcand,
    "virtual": _virtual,
}


def _rate(asked: Connection) -> int:
    if asked.bitrate is None:
        raise DeviceError(f"baudrate: a {asked.device_type} has to be given one of {', '.join(RATES)}")
    return asked.bitrate


def _refuse(asked: Connection, lacking: set[str]) -> None:
    if asked.baudrate in lacking:
        can_do = ", ".join(name for name in RATES if name not in lacking)
        raise DeviceError(f"baudrate: {asked.baudrate} is not possible with this device, only {can_do}")


def _fd_timing(clock: int, bitrate: int, data_bitrate: int) -> object:
    from can import BitTimingFd

    try:
        return BitTimingFd.from_sample_point(
            f_clock=clock,
            nom_bitrate=bitrate,
            nom_sample_point=80.0,
            data_bitrate=data_bitrate,
            data_sample_point=80.0,
        )
    except ValueError as exc:
        raise DeviceError(f"data_bitrate: {data_bitrate} does not go with {bitrate}: {exc}") from None


def _shown(value: object) -> str:
    return repr(value if isinstance(value, int) else str(value)[:64])
