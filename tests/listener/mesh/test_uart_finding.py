"""Which port the root module is at, among others that are silent, talk rubbish, or belong to others."""

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from listener.mesh.uart_codec import encode
from listener.mesh.uart_finding import is_boot, is_net_info
from listener.mesh.uart_manager import CONNECTED, DISCONNECTED, SEARCHING, Timing
from mock.mock_mesh import running
from tests.listener.mesh.serial_ports import desk, open_files, opened_paths, options, stranger, until

BOOT = b"\x00\x00\x03online\n"
HASTY = Timing(answer_s=0.75)
RUBBISH = bytes(range(256)) + encode(b"\x00\x05D\x01\x00\x07") + b"\xff\x00\x01\x01\x02short\xfe"


@pytest.mark.parametrize(
    ("payload", "is_one"),
    [
        (b"\x00\x01\x01\x00", True),
        (b"\x00\x00\x01\x01\x00\x05" + bytes(16), True),
        (b"\x00\x00\x01\x02" + bytes(36), True),
        (b"\x00\x05\x01\x00", False),  # not from the root
        (b"\x00\x01\x02\x00", False),
        (b"\x00\x01\x01\x01" + bytes(17), False),
        (b"\x00\x01\x01\x01" + bytes(19), False),
        (b"\x00\x01\x01", False),
        (b"NINFO", False),
        (b"", False),
    ],
)
def test_an_answer_is_taken_strictly(payload: bytes, *, is_one: bool) -> None:
    assert is_net_info(payload) == is_one


def test_a_module_that_boots_says_so() -> None:
    assert is_boot(BOOT)
    assert is_boot(b"\x00\x01\x03")
    assert not is_boot(b"\x00\x05\x03online\n")
    assert not is_boot(b"\x00")


async def test_the_one_that_answers_is_found_and_what_is_avoided_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = {name: tmp_path / f"tty{name}" for name in "ABCDEFG"}
    sent: list[bytes] = []
    with ExitStack() as stack:
        silent = stack.enter_context(stranger(ports["A"]))
        talker = stack.enter_context(stranger(ports["B"], lambda _octets: RUBBISH))
        loop = stack.enter_context(stranger(ports["C"], lambda octets: octets))
        adapter = stack.enter_context(stranger(tmp_path / "adapter"))
        ports["D"].symlink_to(tmp_path / "adapter")  # one more name of what others use
        taken = stack.enter_context(stranger(ports["E"]))
        owner = os.open(ports["E"], os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(owner, fcntl.LOCK_EX)
        ports["F"].write_text("no serial port")
        async with running(options(), ports["G"], sent=lambda payload, _intact: sent.append(payload)):
            await until(lambda: sent)
            paths = opened_paths(monkeypatch)
            files = open_files()
            avoid = {"can0", str(tmp_path / "adapter")}
            async with desk(scan=(str(tmp_path / "tty*"),), avoid=lambda: avoid, timing=HASTY) as at:
                assert at.manager.device == ""
                await at.state(CONNECTED)
                assert at.states == [SEARCHING, CONNECTED]
                assert at.manager.device == str(ports["G"])
                await until(lambda: len(at.payloads) > 10)
                # Strangers were asked, once, in their turn, and left.
                asked = [path for path in paths if path.startswith(str(tmp_path))]
                assert asked == [str(ports[name]) for name in "ABCEFG"]
                assert [port.commands for port in (silent, talker, loop)] == [[b"NINFO"]] * 3
                await until(lambda: open_files() <= files + 1)
                assert at.manager.counts["noise_bytes"] == 0  # those of the others are not ours
        os.close(owner)
    assert (adapter.heard, taken.heard) == (b"", b"")
    # What it said while it was asked is not lost, and nothing comes twice.
    begin = sent.index(at.payloads[0])
    assert at.payloads == sent[begin : begin + len(at.payloads)]
    assert any(is_net_info(payload) for payload in at.payloads)


async def test_one_that_boots_as_it_is_opened_is_asked_again(tmp_path: Path) -> None:
    with stranger(tmp_path / "tty") as module:

        def says(_octets: bytes) -> bytes:
            if len(module.commands) < 2:  # the first question is lost, for it starts anew
                return encode(BOOT)
            return encode(b"\x00\x01\x01\x00")

        module._says = says
        async with desk(scan=(str(tmp_path / "tty"),)) as at:
            await at.state(CONNECTED)
            await until(lambda: len(at.payloads) == 3)
        assert at.payloads == [BOOT, *[b"\x00\x01\x01\x00"] * 2]


async def test_after_an_unplug_the_one_that_was_it_is_asked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = opened_paths(monkeypatch)
    with stranger(tmp_path / "ttyA") as other:
        async with (
            running(options(), tmp_path / "ttyB") as mesh,
            desk(scan=(str(tmp_path / "tty?"),), timing=HASTY) as at,
        ):
            await at.state(CONNECTED)
            assert len(other.commands) == 1
            mesh.unplug()
            mesh.plug_in()
            await until(lambda: at.states.count(CONNECTED) == 2)
            assert at.states == [SEARCHING, CONNECTED, DISCONNECTED, SEARCHING, CONNECTED]
            assert len(other.commands) == 1
    assert [Path(path).name for path in paths if path.startswith(str(tmp_path))] == ["ttyA", "ttyB", "ttyB"]


async def test_without_an_answer_it_goes_on_to_search(tmp_path: Path) -> None:
    async with desk(scan=(str(tmp_path / "tty*"),), timing=HASTY) as at:
        await at.state(SEARCHING, f"no serial port like {tmp_path}/tty* to ask")
        assert at.manager.device == ""
        with stranger(tmp_path / "tty0") as other:
            await at.state(SEARCHING, f"no root module answers at {tmp_path}/tty0")
            await until(lambda: len(other.commands) >= 2)
            async with running(options(), tmp_path / "tty1"):
                await at.state(CONNECTED)
    assert set(at.states) == {SEARCHING, CONNECTED}


async def test_stopped_while_it_asks_it_leaves_nothing_open(tmp_path: Path) -> None:
    with stranger(tmp_path / "tty") as other:
        files = open_files()
        async with desk(scan=(str(tmp_path / "tty"),), timing=Timing(answer_s=60.0)):
            await until(lambda: other.commands)
        await until(lambda: open_files() <= files)


async def test_a_configured_port_that_others_use_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    avoid = [str(tmp_path / "same")]
    (tmp_path / "same").symlink_to(tmp_path / "tty")
    paths = opened_paths(monkeypatch)
    async with running(options(), tmp_path / "tty"), desk(tmp_path / "tty", avoid=lambda: avoid) as at:
        await at.state(DISCONNECTED, "is in use by another part of the listener")
        assert str(tmp_path / "tty") not in paths
        avoid.clear()
        await at.state(CONNECTED)


class UsbPorts:
    """What the kernel and udev tell of USB serial ports, in a folder of ours."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dev = folder / "dev"
        self._sys = folder / "sys"
        (self.dev).mkdir()
        (self._sys / "class/tty").mkdir(parents=True)
        monkeypatch.setattr("serialx.platforms.serial_linux.DEV_ROOT", self.dev)
        monkeypatch.setattr("serialx.platforms.serial_linux.SYS_ROOT", self._sys)

    def add(self, name: str, usb_id: str) -> Path:
        usb = self._sys / "devices/usb" / name
        port = usb / "interface" / name
        (port / "driver").mkdir(parents=True)
        kind = self._sys / "bus/usb-serial"
        kind.mkdir(parents=True, exist_ok=True)
        (port / "subsystem").symlink_to(kind)
        (port / "port_number").write_text("0\n")
        (usb / "interface/bInterfaceNumber").write_text("00\n")
        vendor, product = usb_id.split(":")
        for file, text in (("idVendor", vendor), ("idProduct", product), ("bcdDevice", "0100")):
            (usb / file).write_text(f"{text}\n")
        (self._sys / "class/tty" / name).mkdir()
        (self._sys / "class/tty" / name / "device").symlink_to(port)
        return self.dev / name


async def test_it_is_found_by_its_usb_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usb = UsbPorts(tmp_path, monkeypatch)
    usb.add("ttyUSB0", "0403:6001")
    async with desk(usb_id="10C4:ea60", scan=()) as at:
        await at.state(SEARCHING, "no serial port with the USB id 10C4:ea60")
        async with running(options(), usb.add("ttyUSB1", "10c4:ea60")) as mesh:
            await at.state(CONNECTED)
            assert at.manager.device == str(usb.dev / "ttyUSB1")
            mesh.unplug()
            await at.state(SEARCHING, "ttyUSB1")
            mesh.plug_in()
            await at.state(CONNECTED)


async def test_of_two_with_the_usb_id_the_one_that_is_free_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb = UsbPorts(tmp_path, monkeypatch)
    first = usb.add("ttyUSB0", "10c4:ea60")
    avoid = [str(first)]
    with stranger(first) as adapter:
        async with desk(usb_id="10c4:ea60", avoid=lambda: avoid) as at:
            await at.state(SEARCHING, "no serial port with the USB id 10c4:ea60 that is not in use")
            async with running(options(), usb.add("ttyUSB1", "10c4:ea60")):
                await at.state(CONNECTED)
                assert at.manager.device == str(usb.dev / "ttyUSB1")
    assert adapter.heard == b""


async def test_with_nothing_to_look_for_it_says_so() -> None:
    async with desk(scan=()) as at:
        await at.state(SEARCHING, "no serial port like none to ask")
