"""Adapters that are pulled out, not there yet, or hang; and the tap on the sensor's bus."""

import asyncio
from pathlib import Path
from typing import Any

import can
import pytest

from listener.workbench import enumeration, own_bus
from listener.workbench.bus import BusError
from listener.workbench.enumeration import Enumeration
from mock.dbc_traffic import sources
from mock.mock_canable import Canable
from mock.slcan_firmware import Frame
from tests.listener.workbench.benches import DBC, Member, Running, frames, running, told, until


async def test_an_unplugged_adapter_is_told_and_found_again(bench: Running, tmp_path: Path) -> None:
    received: list[Frame] = []
    link = tmp_path / "ttyACM0"
    canable = Canable(link, received=received.append)
    running = asyncio.create_task(canable.run(sources(DBC)))
    wanted = {"device_type": "canable", "channel": str(link), "baudrate": "BAUD_500K"}
    await bench.post("/connect", wanted)
    await bench.load_dbc()
    try:
        async with bench.client() as client:
            await bench.joined()
            names = {frame["decoded"]["message_name"] for frame in await frames(client, 50)}
            assert names == {"InverterState", "PressureSensor", "CellVoltages", "EngineSpeed"}
            await bench.post("/cyclic", {"can_id": 0x77, "period_ms": 20, "pinned": True})
            await until(lambda: Frame(0x77) in received)
            canable.unplug()
            assert (await told(client, "bus_lost"))["reason"]
            status = await bench.get("/status")
            assert (status["connected"], status["status"]) == (True, "bus_lost")
            await bench.post("/send", {"can_id": 1}, status=503)
            (cyclic,) = await bench.get("/cyclic")
            assert cyclic["running"] is False
            canable.plug_in()
            assert (await told(client, "bus_up"))["bus"] == "default"
            await frames(client, 5)
            await bench.post("/send", {"can_id": 1, "data": [9]})
            received.clear()
            await until(lambda: Frame(0x77) in received)
        await bench.post("/disconnect")
        await until(lambda: not canable.firmware.is_open)
    finally:
        running.cancel()
        canable.unplug()


async def test_listen_only_is_told_to_the_adapter(bench: Running) -> None:
    canable = Canable()
    running = asyncio.create_task(canable.run())
    wanted = {"device_type": "canable", "channel": canable.port, "baudrate": "BAUD_250K"}
    try:
        await bench.post("/connect", {**wanted, "listen_only": True})
        await until(lambda: canable.firmware.listen_only)
        assert canable.firmware.bitrate == 250_000
        assert (await bench.get("/status"))["listen_only"] == "adapter"
        await bench.post("/disconnect")
    finally:
        running.cancel()
        canable.unplug()


async def test_a_bus_of_the_configuration_is_found_when_it_comes(tmp_path: Path, logs: object) -> None:
    link = tmp_path / "ttyACM0"
    from listener.config import WorkbenchBus

    async with running(tmp_path, buses={"late": WorkbenchBus("canable", str(link), "BAUD_500K")}) as bench:
        (_, late) = await bench.get("/buses")
        assert (late["name"], late["state"]) == ("late", "bus_lost")
        canable = Canable(link)
        adapter = asyncio.create_task(canable.run(sources(DBC)))
        try:
            async with bench.client("?bus=late") as client:
                assert len(await frames(client, 3)) == 3
        finally:
            adapter.cancel()
            canable.unplug()


async def test_a_configured_bus_that_is_the_sensors_is_an_error_and_not_opened(
    tmp_path: Path, logs: list[dict[str, Any]]
) -> None:
    from listener.config import WorkbenchBus

    wrong = {"mine": WorkbenchBus("virtual", "the sensor's"), "no": WorkbenchBus("toaster", 1)}
    async with running(tmp_path, buses=wrong) as bench:
        assert [bus["name"] for bus in await bench.get("/buses")] == ["les02"]
    assert [entry["bus"] for entry in logs if entry["event"] == "workbench_bus_not_possible"] == [
        "mine",
        "no",
    ]


async def test_an_adapter_that_does_not_answer_is_given_up_and_closed_when_it_does(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    answer, closed = threading.Event(), threading.Event()

    class Slow(can.BusABC):
        def __init__(self, *_: object, **__: object) -> None:
            answer.wait(20)
            super().__init__("slow")

        def shutdown(self) -> None:
            super().shutdown()
            closed.set()

        def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
            return None, False

        def send(self, msg: can.Message, timeout: float | None = None) -> None: ...

    monkeypatch.setattr(own_bus, "OPEN_S", 0.2)
    monkeypatch.setattr(can, "Bus", Slow)
    detail = (await bench.post("/connect", {"device_type": "virtual", "channel": "slow"}, status=500))[
        "detail"
    ]
    assert "has not answered" in detail
    answer.set()
    assert await asyncio.to_thread(closed.wait, 20)


async def test_a_bus_that_is_disconnected_while_it_is_sent_on_is_told_as_that(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the frame that the adapter has, those that wait for it, and those that were to come."""
    import threading

    began, answer = threading.Event(), threading.Event()

    def send(_bus: can.BusABC, _message: can.Message) -> None:
        began.set()
        answer.wait(20)
        raise can.CanOperationError("Cannot operate on a closed bus")

    monkeypatch.setattr(own_bus, "send", send)
    await bench.connect("busy")
    bus = bench.bench.buses.own()
    posts = [asyncio.create_task(bench.http.post("/send", json={"can_id": number})) for number in range(3)]
    assert await asyncio.to_thread(began.wait, 20)
    await until(lambda: bus._sender._work_queue.qsize() == 2)
    await bench.post("/disconnect")
    answer.set()
    for post in posts:
        refused = await post
        assert (refused.status_code, refused.json()) == (400, {"detail": "default was disconnected"})
    with pytest.raises(BusError, match="default was disconnected"):
        await bus.send(can.Message())
    with pytest.raises(BusError, match="default was disconnected"):
        bus.send_soon(can.Message())


async def test_who_sends_is_cancelled_when_he_is_cancelled(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    answer = threading.Event()
    monkeypatch.setattr(own_bus, "send", lambda _bus, _message: answer.wait(20))
    await bench.connect("busy")
    sending = asyncio.create_task(bench.bench.buses.own().send(can.Message()))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    answer.set()


async def test_drivers_that_hang_do_not_hold_up_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    hang = threading.Event()
    monkeypatch.setattr(enumeration, "find", lambda: (hang.wait(20), [{"name": "found"}])[1])
    looking = Enumeration(limit_s=0.1)
    assert await looking.devices() == []
    hang.set()
    await until(lambda: looking._asking is not None and looking._asking.done())
    assert await Enumeration(limit_s=10).devices() == [{"name": "found"}]


def test_interfaces_and_adapters_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in (("can1", "280"), ("eth0", "1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n")
        (tmp_path / name / "operstate").write_text("down\n")
    monkeypatch.setattr(enumeration, "_NETWORK", tmp_path)
    monkeypatch.setattr(enumeration, "_serial_ports", lambda: iter(()))
    plugged_in = [
        {"interface": "pcan", "channel": "PCAN_USBBUS2"},
        {"interface": "gs_usb", "channel": "candleLight", "index": 0},
    ]
    monkeypatch.setattr(can, "detect_available_configs", lambda *_, **__: plugged_in)
    found = [(device["device_type"], device["index"]) for device in enumeration.find()]
    assert found == [("pcan", "USB2"), ("canable", 0), ("socketcan", "can1"), ("virtual", "bench")]


async def test_an_onlooker_that_fails_is_cut_off_and_the_sensor_is_read_on(bench: Running) -> None:
    reader_frames = []
    sensor = bench.bench.sensor
    with Member("the sensor's") as member:
        member.say(1)
        await until(lambda: sensor.received == 1)
        broken = sensor.statistics
        sensor.statistics = None  # type: ignore[assignment]
        member.say(2)
        await until(lambda: sensor.received == 2)
        member.say(3)
        await asyncio.sleep(0.05)
        reader_frames.append(sensor.received)
        sensor.statistics = broken
    assert reader_frames == [2]


async def test_an_adapters_own_clock_is_taken_for_ours(bench: Running) -> None:
    import time

    from listener.raw_frame import RawFrame

    await bench.connect("clock")
    async with bench.client() as client:
        await bench.joined()
        bus = bench.bench.buses.own()
        bus.feed(RawFrame(1, 0, b"", 5.0))
        bus.feed(RawFrame(1, 0, b"", 5.5))
        first, second = [frame["timestamp"] for frame in await frames(client, 2)]
    assert abs(first - time.time()) < 5
    assert second - first == pytest.approx(0.5)


# What we send ourselves


async def counted(bench: Running) -> tuple[int, int, int]:
    """Frames that were sent, received, and in the statistics."""
    own = bench.bench.buses.own()
    return own.sent, own.received, (await bench.get("/buses/default/statistics"))["frames"]


@pytest.mark.parametrize("receive_own", [False, True])
async def test_what_is_sent_is_counted_once_and_is_load_of_the_bus(bench: Running, receive_own: bool) -> None:
    await bench.connect("counts", baudrate="BAUD_500K", receive_own=receive_own)
    for _ in range(5):
        await bench.post("/send", {"can_id": 0x123, "data": [0x55] * 8})
    own = bench.bench.buses.own()
    await until(lambda: own.statistics.frames == 5)
    assert await counted(bench) == (5, 5 if receive_own else 0, 5)
    while not own.summary()["load_percent"]:
        await bench.post("/send", {"can_id": 0x123, "data": [0x55] * 8})


@pytest.mark.parametrize("receive_own", [False, True])
async def test_cyclic_frames_of_a_thread_are_counted_once(bench: Running, receive_own: bool) -> None:
    with Member("counts cyclic") as member:
        await bench.connect("counts cyclic", receive_own=receive_own)
        await bench.post("/recordings/start", {"name": f"cyclic-{receive_own}"})
        task = await bench.post("/cyclic", {"can_id": 0x77, "period_ms": 5, "pinned": True})
        for _ in range(10):
            await member.hear()
        assert (await bench.http.delete(f"/cyclic/{task['id']}")).status_code == 200
        heard = 10
        while await asyncio.to_thread(member.bus.recv, 0.05):
            heard += 1
        await until(lambda: bench.bench.buses.own().statistics.frames == heard)
        assert await counted(bench) == (heard, heard if receive_own else 0, heard)
        assert (await bench.post("/recordings/stop"))["frames"] == heard


class KernelsTask:
    """As SocketCAN's: it sends by itself, and its frames come back as anybody's do."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


async def test_cyclic_frames_of_the_kernel_are_counted_when_they_come_back(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Member("kernel") as kernel:
        await bench.connect("kernel")
        own = bench.bench.buses.own()
        monkeypatch.setattr(own.reader.bus, "send_periodic", lambda *_, **__: KernelsTask())
        await bench.post("/recordings/start", {"name": "kernel"})
        task = await bench.post("/cyclic", {"can_id": 0x77, "data": [1], "period_ms": 5, "pinned": True})
        for _ in range(3):
            kernel.say(0x77, b"\1")
        kernel.say(0x77, b"\2")  # somebody else's
        await until(lambda: own.received == 4)
        assert await counted(bench) == (3, 4, 4)
        assert (await bench.http.delete(f"/cyclic/{task['id']}")).status_code == 200
        kernel.say(0x77, b"\1")  # was on its way
        await until(lambda: own.received == 5)
        assert await counted(bench) == (4, 5, 5)
        (file,) = (await bench.post("/recordings/stop"))["files"]
    log = (bench.bench.recordings_folder / file).read_text()
    assert [line.split()[2:] for line in log.splitlines()] == [
        ["077#01", "T"],
        ["077#01", "T"],
        ["077#01", "T"],
        ["077#02", "R"],
        ["077#01", "T"],
    ]


@pytest.mark.parametrize("receive_own", [False, True])
async def test_what_is_not_sent_any_more_is_not_missing(bench: Running, receive_own: bool) -> None:
    with Member("ended") as member:
        await bench.connect("ended", receive_own=receive_own)
        await bench.load_dbc()
        async with bench.client("?decoded=0") as client:
            await bench.joined()
            wanted = {"message_name": "InverterState", "period_ms": 10, "pinned": True}
            task = await bench.post("/cyclic/message", wanted)
            for _ in range(30):
                await member.hear()
            assert (await bench.http.delete(f"/cyclic/{task['id']}")).status_code == 200
            member.say(0x110, bytes(4))
            # Which is missing later than the other would be.
            assert (await told(client, "missing"))["message_name"] == "PressureSensor"


async def test_an_adapter_that_brings_nothing_back_is_helped(bench: Running) -> None:
    canable = Canable()
    adapter = asyncio.create_task(canable.run())
    wanted = {"device_type": "slcan", "channel": canable.port, "baudrate": "BAUD_500K", "receive_own": True}
    try:
        await bench.post("/connect", wanted)
        async with bench.client() as client:
            await bench.joined()
            await bench.post("/send", {"can_id": 0x123, "data": [7]})
            (own,) = await frames(client, 1)
        assert (own["id"], own["data"]) == (0x123, [7])
        assert await counted(bench) == (1, 1, 1)
        await bench.post("/disconnect")
    finally:
        adapter.cancel()
        canable.unplug()


async def test_metrics_tell_of_each_bus(bench: Running) -> None:
    with Member("metrics") as member:
        await bench.connect("metrics")
        await bench.post("/recordings/start", {"name": "m"})
        await bench.post("/send", {"can_id": 1})
        member.say(2)
        await until(lambda: bench.bench.buses.own().received == 1)
        size = (await bench.post("/recordings/stop"))["bytes"]
        await bench.post("/recordings/start", {"name": "n"})
        async with bench.client():
            await bench.joined()
            told = bench.bench.metrics()
    assert size > 0
    assert told == {
        "les02_workbench_clients": 1,
        "les02_workbench_skipped_frames_total": 0,
        'les02_workbench_received_frames_total{bus="les02"}': 0,
        'les02_workbench_sent_frames_total{bus="les02"}': 0,
        'les02_workbench_recorded_bytes_total{bus="les02"}': 0,
        'les02_workbench_bus_up{bus="les02"}': True,
        'les02_workbench_received_frames_total{bus="default"}': 1,
        'les02_workbench_sent_frames_total{bus="default"}': 1,
        'les02_workbench_recorded_bytes_total{bus="default"}': size,
        'les02_workbench_bus_up{bus="default"}': True,
    }
