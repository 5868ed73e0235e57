"""PCAN and gs_usb adapters without either: python-can's classes, on drivers that note what they hear."""

import inspect
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import can
import pytest
from can.interfaces.pcan import pcan
from can.interfaces.pcan.basic import (
    PCAN_BITRATES,
    PCAN_CHANNEL_NAMES,
    PCAN_ERROR_OK,
    PCAN_LISTEN_ONLY,
    PCAN_RECEIVE_EVENT,
)

from listener.can_reader import BusUnavailable, open_bus
from listener.workbench.devices import RATES, Connection, can_config
from tests.listener.workbench.benches import Running, until


class Driver:
    """PCANBasic."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def Initialize(self, handle: Any, bitrate: Any, *_: Any) -> Any:  # noqa: N802
        self.told.append(("Initialize", (handle.value, bitrate.value)))
        return PCAN_ERROR_OK

    def InitializeFD(self, handle: Any, bitrate: bytes) -> Any:  # noqa: N802
        self.told.append(("InitializeFD", (handle.value, bitrate.decode())))
        return PCAN_ERROR_OK

    def SetValue(self, _handle: Any, parameter: Any, value: Any) -> Any:  # noqa: N802
        self.told.append(("SetValue", (parameter.value, getattr(value, "value", value))))
        return PCAN_ERROR_OK

    def GetValue(self, _handle: Any, parameter: Any) -> tuple[Any, Any]:  # noqa: N802
        return PCAN_ERROR_OK, -1 if parameter is PCAN_RECEIVE_EVENT else b"4.9.0.0"

    def Uninitialize(self, _handle: Any) -> Any:  # noqa: N802
        return PCAN_ERROR_OK


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setattr(pcan, "PCANBasic", lambda: made)
    return made


def opened(device_type: str, channel: str | int, baudrate: str | None = "BAUD_500K", **more: Any) -> None:
    open_bus(can_config(Connection(device_type, channel, baudrate, **more))).shutdown()


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_of_a_pcan_is_one_that_it_has(driver: Driver, rate: str) -> None:
    """For another python-can would take 500 kbit/s without a word."""
    opened("pcan", "USB3", rate)
    handle = PCAN_CHANNEL_NAMES["PCAN_USBBUS3"].value
    assert ("Initialize", (handle, PCAN_BITRATES[RATES[rate]].value)) in driver.told


def test_a_pcan_that_only_listens_is_told_before_it_is_on_the_bus(driver: Driver) -> None:
    opened("pcan", "USB1", listen_only=True)
    names = [told for told, _ in driver.told]
    assert ("SetValue", (PCAN_LISTEN_ONLY.value, 1)) in driver.told[: names.index("Initialize")]


def test_a_pcan_gets_the_timing_of_can_fd(driver: Driver) -> None:
    opened("pcan", "USB1", "BAUD_500K", fd=True, data_bitrate=2_000_000)
    (text,) = [told[1] for name, told in driver.told if name == "InitializeFD"]
    timing = {name: int(value) for name, _, value in (part.partition("=") for part in text.split(", "))}
    clock = timing["f_clock"]
    for phase, rate in (("nom", 500_000), ("data", 2_000_000)):
        quanta = 1 + timing[f"{phase}_tseg1"] + timing[f"{phase}_tseg2"]
        assert clock == rate * timing[f"{phase}_brp"] * quanta
        assert (1 + timing[f"{phase}_tseg1"]) / quanta == pytest.approx(0.8, abs=0.02)


class Stick:
    """What the package gs_usb finds."""

    device_capability = SimpleNamespace(fclk_can=48_000_000)

    def __init__(self) -> None:
        self.timing: dict[str, int] = {}
        self.is_started = False

    def set_timing(self, **timing: int) -> None:
        self.timing = timing

    def start(self) -> None:
        self.is_started = True

    def stop(self) -> None:
        self.is_started = False

    def set_bitrate(self, _bitrate: int) -> None:
        """Of the next opening."""


@pytest.fixture
def sticks(monkeypatch: pytest.MonkeyPatch) -> list[Stick]:
    plugged_in: list[Stick] = []
    parts: dict[str, dict[str, Any]] = {
        "usb": {"core": SimpleNamespace(USBError=OSError)},
        "gs_usb": {},
        "gs_usb.constants": dict.fromkeys(("CAN_EFF_FLAG", "CAN_ERR_FLAG", "CAN_MAX_DLC", "CAN_RTR_FLAG"), 8),
        "gs_usb.gs_usb": {"GsUsb": SimpleNamespace(scan=lambda: plugged_in)},
        "gs_usb.gs_usb_frame": {"GS_USB_NONE_ECHO_ID": 0xFFFF_FFFF, "GsUsbFrame": object},
    }
    for name, content in parts.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "can.interfaces.gs_usb", raising=False)
    return plugged_in


def test_a_canable_is_the_one_of_its_index_at_its_rate(sticks: list[Stick]) -> None:
    sticks += [Stick(), Stick()]
    opened("canable", 1, "BAUD_250K")
    assert sticks[0].timing == {}
    timing = sticks[1].timing
    quanta = 1 + timing["prop_seg"] + timing["phase_seg1"] + timing["phase_seg2"]
    assert 250_000 * timing["brp"] * quanta == 48_000_000


def test_a_canable_that_is_not_there_is_one_line(sticks: list[Stick]) -> None:
    with pytest.raises(
        BusUnavailable, match=r"cannot open gs_usb 0: Cannot find device 0\. Devices found: 0"
    ):
        opened("canable", 0)


def test_arguments_are_those_that_the_adapters_have(sticks: list[Stick]) -> None:
    from can.interfaces.gs_usb import GsUsbBus

    asked = {
        pcan.PcanBus: Connection("pcan", "USB1", "BAUD_500K", True, True, 2_000_000, True),
        GsUsbBus: Connection("canable", 0, "BAUD_500K", True, receive_own=True),
    }
    for kind, connection in asked.items():
        config = can_config(connection)
        given = {"channel", *config.options, *(["bitrate"] if config.bitrate else [])}
        named = {
            name
            for name, parameter in inspect.signature(kind).parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }
        assert given <= named, kind  # a misspelt one would be swallowed


@pytest.mark.parametrize(
    ("wanted", "needs"),
    [
        ({"device_type": "pcan", "channel": "USB1"}, "les02-listener[pcan]"),
        ({"device_type": "canable", "channel": 0}, "les02-listener[gs-usb]"),
    ],
)
async def test_a_driver_that_is_not_installed_is_named_in_one_line(
    bench: Running, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], needs: str
) -> None:
    def missing() -> None:
        raise OSError("libpcanbasic.so library not found.")  # as python-can words it

    monkeypatch.setattr(pcan, "PCANBasic", missing)
    monkeypatch.setitem(sys.modules, "usb", None)
    monkeypatch.delitem(sys.modules, "can.interfaces.gs_usb", raising=False)
    answer = await bench.post("/connect", {**wanted, "baudrate": "BAUD_500K"}, status=500)
    assert answer["detail"].startswith("Failed to connect to device: cannot open ")
    assert needs in answer["detail"]
    assert "[can]" not in answer["detail"]
    assert "\n" not in answer["detail"]


async def test_what_a_canable_sends_comes_back_by_itself_and_counts_once(
    bench: Running, sticks: list[Stick], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its firmware tells of each frame that has gone out, and python-can hands that on."""
    echo: list[can.Message] = []

    class Echoing(can.BusABC):
        def __init__(self, *_: object, **__: object) -> None:
            super().__init__("echoing")

        def send(self, msg: can.Message, timeout: float | None = None) -> None:
            echo.append(msg.__copy__())

        def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
            if not echo:
                time.sleep(0.005)
                return None, False
            echo[0].timestamp, echo[0].is_rx = time.time(), False
            return echo.pop(0), False

    monkeypatch.setattr(can, "Bus", Echoing)
    await bench.post("/connect", {"device_type": "canable", "channel": 0, "baudrate": "BAUD_500K"})
    await bench.post("/send", {"can_id": 0x123, "data": [1]})
    own = bench.bench.buses.own()
    await until(lambda: own.received == 1)
    assert own.statistics.frames == 1
