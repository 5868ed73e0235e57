"""What is asked for, and the python-can settings that it becomes."""

from pathlib import Path
from typing import Any

import can
import pytest

from listener.config import CanConfig
from listener.workbench import same_bus
from listener.workbench.devices import RATES, Connection, DeviceError, can_config, listens_only_by_itself
from listener.workbench.same_bus import is_same


def made(device_type: str, channel: str | int, baudrate: str | None = "BAUD_500K", **more: Any) -> CanConfig:
    return can_config(Connection(device_type, channel, baudrate, **more))


def test_what_the_fields_clients_ask_for() -> None:
    assert made("pcan", "USB1") == CanConfig("pcan", "PCAN_USBBUS1", 500_000)
    assert made("pcan", "usb16", "BAUD_83K").bitrate == 83_000
    assert made("canable", 0) == CanConfig("gs_usb", "0", 500_000, options={"index": 0})
    assert made("canable", "1").options == {"index": 1}


def test_a_canable_at_a_serial_port_has_slcan_firmware() -> None:
    config = made("canable", "/dev/ttyACM0")
    assert (config.interface, config.channel, config.bitrate) == ("slcan", "/dev/ttyACM0", 500_000)


def test_the_others() -> None:
    assert made("socketcan", "can1", None).options == {"fd": False, "receive_own_messages": False}
    assert made("socketcand", "192.0.2.1:29536/can0", None).options == {"host": "192.0.2.1", "port": 29536}
    assert made("slcan", "/dev/ttyUSB0", listen_only=True).options["listen_only"] is True
    assert made("virtual", "bench", None, receive_own=True).options["receive_own_messages"] is True


def test_listen_only_where_the_adapter_can() -> None:
    options: dict[str, Any] = dict(made("pcan", "USB1", listen_only=True).options)
    assert options["state"] is can.BusState.PASSIVE
    assert listens_only_by_itself(Connection("pcan", "USB1", "BAUD_1M"))
    assert listens_only_by_itself(Connection("canable", "/dev/ttyACM0", "BAUD_1M"))
    assert not listens_only_by_itself(Connection("canable", 0, "BAUD_1M"))
    assert not listens_only_by_itself(Connection("socketcan", "can1", None))


def test_can_fd_where_the_adapter_can() -> None:
    timing = made("pcan", "USB1", fd=True, data_bitrate=2_000_000).options["timing"]
    assert isinstance(timing, can.BitTimingFd)
    assert (timing.nom_bitrate, timing.data_bitrate) == (500_000, 2_000_000)
    assert made("socketcan", "can1", None, fd=True).options["fd"] is True
    assert "timing" in made("slcan", "/dev/ttyACM0", fd=True, data_bitrate=5_000_000).options


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (("kvaser", "0"), "device_type: 'kvaser'"),
        (("pcan", "USB17"), "channel: 'USB17'"),
        (("pcan", 1), "channel: 1"),
        (("pcan", "USB1", "BAUD_501K"), "baudrate: 'BAUD_501K'"),
        (("pcan", "USB1", None), "baudrate: a pcan"),
        (("canable", 0, "BAUD_95K"), "baudrate: BAUD_95K"),
        (("canable", "/dev/ttyACM0", "BAUD_800K"), "baudrate: BAUD_800K"),
        (("canable", -1), "channel: -1"),
        (("slcan", "socket://192.0.2.1:80"), "channel:"),
        (("slcan", 3), "channel:"),
        (("socketcan", ""), "channel: ''"),  # would be every interface, the sensor's too
        (("socketcan", "../can0"), "channel:"),
        (("socketcand", "can0"), "channel: 'can0'"),
        (("virtual", "\n"), "channel:"),
    ],
)
def test_what_does_not_fit_is_named(asked: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(DeviceError, match="^" + reason.replace("'", "'")):
        made(*asked)


@pytest.mark.parametrize(
    ("device_type", "channel", "more"),
    [
        ("canable", 0, {"fd": True}),
        ("socketcand", "h:1/c", {"fd": True}),
        ("pcan", "USB1", {"data_bitrate": 1}),
    ],
)
def test_can_fd_where_there_is_none_is_refused(device_type: str, channel: str | int, more: Any) -> None:
    with pytest.raises(DeviceError):
        made(device_type, channel, **more)


def test_rates_a_canable_lacks() -> None:
    lacking = {name for name in RATES if _refused("canable", 0, name)}
    assert lacking == {"BAUD_95K", "BAUD_83K", "BAUD_47K", "BAUD_33K", "BAUD_5K"}
    assert not any(_refused("pcan", "USB1", name) for name in RATES)


def _refused(device_type: str, channel: str | int, rate: str) -> bool:
    try:
        made(device_type, channel, rate)
    except DeviceError:
        return True
    return False


def test_the_same_bus_is_known_however_it_is_written() -> None:
    assert is_same(CanConfig("socketcan", "lo"), CanConfig("socketcan", "lo"))
    assert is_same(CanConfig("socketcan_native", "can0"), CanConfig("socketcan", "can0"))
    assert is_same(CanConfig("pcan", "PCAN_USBBUS1"), made("pcan", "usb1"))
    assert is_same(CanConfig("gs_usb", "0"), made("canable", 0))
    assert is_same(CanConfig("slcan", "/dev/null@115200"), made("slcan", "/dev/../dev/null"))
    assert not is_same(CanConfig("socketcan", "can0"), made("socketcan", "can1"))
    assert not is_same(CanConfig("virtual", "can0"), made("socketcan", "can0"))


def test_ways_around_to_the_sensors_interface_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drivers" / "gs_usb").mkdir(parents=True)
    (tmp_path / "can0" / "device").mkdir(parents=True)
    (tmp_path / "can0" / "device" / "driver").symlink_to(tmp_path / "drivers" / "gs_usb")
    monkeypatch.setattr(same_bus, "_NETWORK", tmp_path)
    sensor = CanConfig("socketcan", "can0")
    assert is_same(made("canable", 0), sensor)  # would take the adapter from the kernel
    assert is_same(made("socketcand", "127.0.0.1:29536/can0", None), sensor)
    assert not is_same(made("socketcand", "127.0.0.1:29536/can1", None), sensor)
    assert not is_same(made("socketcand", "192.0.2.1:29536/can0", None), sensor)
    assert not is_same(made("canable", 0), CanConfig("socketcan", "can7"))
