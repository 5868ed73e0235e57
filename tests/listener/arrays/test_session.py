"""`/ws/stream` on both ports, with real clients: the field's protocol, and streams of one's own."""

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from listener import events
from tests.listener.arrays.benches import (
    PATIENCE_S,
    Running,
    ask,
    hear,
    hear_octets,
    hear_until,
    running,
    until,
)

TS = 1_700_000_000.0


async def nothing_comes(client: ClientConnection) -> None:
    """What is said before the pong would have come before it."""
    await ask(client, action="ping")
    assert await hear(client) == {"type": "pong"}


@pytest.mark.parametrize("on_api", [True, False])
async def test_the_words_are_those_of_the_field(bench: Running, on_api: bool) -> None:
    async with bench.client(on_api=on_api) as client:
        await nothing_comes(client)
        await ask(client, action="start")
        assert await hear(client) == {"type": "status", "streaming": True}
        packets = [await hear(client) for _ in range(3)]
        for number, packet in enumerate(packets):
            assert list(packet) == ["type", "timestamp", "shape", "dtype", "x", "y"]
            t = 0.1 * number
            assert packet["timestamp"] == pytest.approx(t)
            assert (packet["shape"], packet["dtype"]) == ([100], "float64")
            assert np.allclose(packet["x"], np.linspace(t, t + 2 * np.pi, 100))
            noise = np.array(packet["y"]) - np.sin(packet["x"])
            assert 0.01 < noise.std() < 0.3
        await ask(client, action="stop")
        assert await hear_until(client, "status") == {"type": "status", "streaming": False}
        await nothing_comes(client)


async def test_one_starts_and_stops_it_for_all_and_it_begins_anew(bench: Running) -> None:
    async with bench.client() as one, bench.client(on_api=True) as other:
        await nothing_comes(one)
        await nothing_comes(other)
        await ask(one, action="start")
        for client in (one, other):
            assert (await hear(client))["streaming"] is True
            assert (await hear(client))["timestamp"] == 0.0
        await ask(other, action="stop")
        for client in (one, other):
            assert (await hear_until(client, "status"))["streaming"] is False
        await bench.http.post("/control/start")
        for client in (one, other):
            assert await hear(client) == {"type": "status", "streaming": True}
            assert (await hear(client))["timestamp"] == 0.0


async def test_the_last_one_who_leaves_ends_it(bench: Running) -> None:
    stream = bench.wing.stream
    async with bench.client() as one:
        async with bench.client() as other:
            await ask(other, action="start")
            await hear_until(one, "data")
        await until(lambda: stream.connections == 1)
        assert stream.is_streaming
    await until(lambda: not stream.connections and not stream.is_streaming)
    health = (await bench.http.get("/health")).json()
    assert (health["connections"], health["streaming"]) == (0, False)


async def test_who_comes_later_hears_what_is_streamed_already(bench: Running) -> None:
    await bench.http.post("/control/start")
    async with bench.client() as client:
        assert (await hear(client))["type"] == "data"


@pytest.mark.parametrize("on_api", [True, False])
async def test_nonsense_is_told_and_the_session_goes_on(bench: Running, on_api: bool) -> None:
    async with bench.client(on_api=on_api) as client:
        for message in (
            "nonsense",
            "[1]",
            "17",
            '{"action":"jump"}',
            b"\x00\xff",
            '{"action":"start","rate":0}',
        ):
            await client.send(message)
            told = await hear(client)
            assert told.keys() == {"type", "message"}
            assert told["type"] == "error"
        assert bench.wing.stream.connections == 1
        await nothing_comes(client)
    await until(lambda: bench.wing.stream.connections == 0)


async def test_an_address_that_is_wrong_is_told(bench: Running) -> None:
    async with bench.client("?format=xml") as client:
        with pytest.raises(ConnectionClosed) as closed:
            await hear(client)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "format: 'xml' is not json or binary")
    assert bench.wing.stream.connections == 0


async def test_the_sensor_comes_in_windows_and_none_is_missed(bench: Running) -> None:
    stop = asyncio.Event()

    async def ride() -> int:
        number = 0
        while not stop.is_set():
            for _ in range(5):
                bench.position(TS + number / 250, number)
                bench.position(TS + number / 250, 7, "slave")
                number += 1
            await asyncio.sleep(0.001)
        return number

    async with bench.client() as client:
        await ask(client, action="start", source="les02.position", window=1000, rate=50)
        status = await hear(client)
        assert status == {
            "type": "status",
            "streaming": True,
            "source": "les02.position",
            "window": 1000,
            "rate": 50.0,
            "unit": "mm",
        }
        riding = asyncio.create_task(ride())
        seen: list[float] = []
        for sequence in range(6):
            packet = await hear(client)
            assert packet["sequence"] == sequence
            assert (packet["source"], packet["unit"]) == ("les02.position", "mm")
            assert packet["shape"] == [len(packet["x"])]
            seen += packet["y"][len(packet["y"]) - packet["new"] :]
            assert packet["total"] == len(seen)
            assert np.allclose((np.array(packet["x"]) - TS) * 250 * 0.5, packet["y"], atol=0.001)
        assert seen == [0.5 * n for n in range(len(seen))]  # resolution_mm
        stop.set()
        await riding
        await ask(client, action="stop")
        assert (await hear_until(client, "status"))["streaming"] is False
        await nothing_comes(client)
    await until(lambda: not bench.wing.stream.is_streaming)
    assert not bench.hub._subscribers


async def test_velocity_and_acceleration_come_from_motion(bench: Running) -> None:
    async with bench.client() as one, bench.client() as other:
        await ask(one, action="start", source="les02.velocity", rate=100)
        await ask(other, action="start", source="les02.acceleration", rate=100)
        await hear(one)
        await hear(other)
        bench.motion(TS, 630.0)
        assert (await hear(one))["y"] == [630.0]
        assert (await hear(other))["y"] == [-630.0]


async def test_those_who_want_the_same_share_it_and_others_do_not(bench: Running) -> None:
    async with bench.client() as one, bench.client() as other, bench.client() as third:
        for client, window in ((one, 10), (other, 10), (third, 20)):
            await ask(client, action="start", source="les02.position", window=window, rate=100)
            await hear(client)
        assert len(bench.wing.stream._groups) == 2
        bench.position(TS, 1)
        assert [(await hear(client))["y"] for client in (one, other, third)] == [[0.5]] * 3
        await ask(one, action="stop")
        assert (await hear(one))["streaming"] is False
        bench.position(TS, 2)
        assert (await hear(other))["y"] == [0.5, 1.0]
        await nothing_comes(one)


async def test_a_stream_of_ones_own_is_nobody_elses_business(bench: Running) -> None:
    async with bench.client() as one, bench.client() as other:
        await ask(one, action="start", source="demo", window=5, rate=100)
        assert (await hear(one))["window"] == 5
        assert (await hear(one))["shape"] == [5]
        await nothing_comes(other)
        await bench.http.post("/control/start")
        assert (await hear(other))["type"] == "status"
        assert (await hear(other))["shape"] == [100]
        assert [(await hear(one))["shape"] for _ in range(5)] == [[5]] * 5
        await ask(one, action="start")  # and back to the one that all share
        assert await hear_until(one, "status") == {"type": "status", "streaming": True}
        assert (await hear(one))["shape"] == [100]


async def test_what_is_not_there_or_not_possible_is_told(tmp_path: Path, logs: object) -> None:
    async with running(tmp_path, has_motion=False, with_signals=False) as bench:
        await bench.upload(np.zeros((2, 3)))
        async with bench.client() as client:
            for source, reason in (
                ("moon", "unknown source 'moon'; known are demo, les02.position"),
                ("les02.velocity", "les02.velocity: rides are switched off"),
                ("signal:default.Motor.Speed", "signal:default.Motor.Speed: the workbench is switched off"),
                ("signal:Speed", "unknown source"),
                ("array:0", "array 0 (float64, 2×3) is no curve"),
                ("array:1", "array 1: Array not found"),
            ):
                await ask(client, action="start", source=source)
                told = await hear(client)
                assert told["type"] == "error"
                assert told["message"].startswith(reason)
            await nothing_comes(client)
        told = (await bench.http.get("/sources")).json()
        assert [each["source"] for each in told["sources"]] == ["demo", "les02.position"]
        assert told["more_signals"] is False


async def test_a_signal_is_asked_for_while_somebody_wants_it(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = "inverter.Motor.Speed"
    async with bench.client() as client:
        await ask(client, action="start", source=f"signal:{channel}", rate=100)
        await hear(client)
        bench.signals.wanted[channel](events.signal_sample(TS, channel, 64.5, "rpm"))
        packet = await hear_until(client, "data")
        assert (packet["x"], packet["y"], packet["unit"]) == ([TS], [64.5], "rpm")
    await until(lambda: not bench.signals.wanted)


async def test_signals_that_can_be_asked_for_are_listed_with_their_units(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed() -> tuple[dict[str, str], bool]:
        told = (await bench.http.get("/sources")).json()
        found = {each["source"]: each["unit"] for each in told["sources"]}
        return {name: unit for name, unit in found.items() if name.startswith("signal:")}, told[
            "more_signals"
        ]

    pressure, mode = "signal:inverter.PressureSensor.Pressure", "signal:inverter.Mode.Mode"
    assert await listed() == ({mode: "", pressure: "bar"}, False)
    monkeypatch.setattr("listener.arrays.sources.SIGNALS_MAX", 1)
    assert await listed() == ({pressure: "bar"}, True)


async def test_the_unit_of_a_signal_is_told_before_its_first_sample_and_when_it_is_another(
    bench: Running,
) -> None:
    known, strange = "inverter.PressureSensor.Pressure", "inverter.Motor.Speed"
    async with bench.client("?format=binary") as client, bench.client("?format=binary") as other:
        await ask(client, action="start", source=f"signal:{known}", rate=100)
        assert (await hear(client))["unit"] == "bar"
        await ask(other, action="start", source=f"signal:{strange}", rate=100)
        assert (await hear(other))["unit"] == ""  # no file is loaded that knows it
        bench.signals.wanted[known](events.signal_sample(TS, known, 1.0, "bar"))
        bench.signals.wanted[strange](events.signal_sample(TS, strange, 64.5, "rpm"))
        assert isinstance(await client.recv(), bytes)  # and nothing was told again
        told = await hear(other)
        assert (told["type"], told["streaming"], told["unit"]) == ("status", True, "rpm")
        assert isinstance(await other.recv(), bytes)


async def test_silence_is_told_with_its_reason_and_so_is_its_end(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.arrays.stream.STALE_S", 0.05)
    channel = "default.Unknown.Speed"
    async with bench.client() as client, bench.client() as later:
        await ask(client, action="start", source=f"signal:{channel}", rate=100)
        await hear(client)
        told = await hear(client)
        assert (told["waiting"], told["reason"]) == (True, "no file is loaded for its bus")
        await ask(later, action="start", source=f"signal:{channel}", rate=100)
        assert (await hear(later))["waiting"] is True
        bench.signals.wanted[channel](events.signal_sample(TS, channel, 1.0, ""))
        for each in (client, later):
            assert (await hear(each))["waiting"] is False
            assert (await hear(each))["y"] == [1.0]


async def test_an_array_is_played_from_its_beginning_to_its_end(bench: Running) -> None:
    await bench.upload(np.arange(10, dtype=np.int16))
    async with bench.client() as client, bench.client() as other:
        for each in (client, other):
            await ask(each, action="start", source="array:0", window=4, rate=100)
            assert (await hear(each))["streaming"] is True
        for each in (client, other):
            packets = [await hear(each) for _ in range(3)]
            assert [packet["y"] for packet in packets] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
            assert [packet["x"][0] for packet in packets] == [0, 4, 8]
            assert [packet["new"] for packet in packets] == [4, 4, 2]
            told = await hear(each)
            assert (told["streaming"], told["ended"]) == (False, True)
    assert not bench.wing.stream.is_streaming


async def test_in_a_loop_it_has_no_end_and_two_columns_are_x_and_y(bench: Running) -> None:
    await bench.upload(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, np.nan]]))
    async with bench.client() as client:
        await ask(client, action="start", source="array:0", window=2, rate=100, loop=True)
        await hear(client)
        packets = [await hear(client) for _ in range(4)]
        assert [packet["x"] for packet in packets] == [[1, 2], [3], [1, 2], [3]]
        assert packets[1]["y"] == ["NaN"]
        await bench.http.delete("/array/0")  # who plays it already goes on
        assert (await hear(client))["x"] == [1, 2]


async def test_numbers_that_a_double_cannot_hold_are_played_as_well_as_it_can(bench: Running) -> None:
    await bench.upload(np.array([np.finfo(np.longdouble).max, 1.0], np.longdouble))
    await bench.upload(np.array([2**64 - 1], np.uint64))
    async with bench.client() as client:
        for source, values in (
            ("array:0", (["Infinity", 1.0], [float(np.finfo(np.float64).max), 1.0])),
            ("array:1", ([2.0**64],)),
        ):
            await ask(client, action="start", source=source)
            assert (await hear(client))["streaming"] is True
            assert (await hear(client))["y"] in values
            assert (await hear(client))["ended"] is True


async def test_an_empty_array_is_over_at_once(bench: Running) -> None:
    await bench.upload(np.zeros(0))
    async with bench.client() as client:
        await ask(client, action="start", source="array:0")
        await hear(client)
        assert (await hear(client))["ended"] is True


@pytest.mark.parametrize("on_api", [True, False])
async def test_binary_says_the_same_and_states_stay_text(bench: Running, on_api: bool) -> None:
    async with bench.client("?format=binary", on_api=on_api) as client, bench.client() as other:
        for each in (client, other):
            await ask(each, action="start", source="les02.position", window=3, rate=100)
            assert (await hear(each))["streaming"] is True
        for number in range(5):
            bench.position(TS + number, number)
        octets = await hear_octets(client)
        packet = await hear(other)
        assert octets[:4] == b"LSIG"
        header = struct.unpack_from("<BBHIIdIIQ", octets, 4)
        assert header == (1, 1, 40, 0, 3, packet["timestamp"], 5, 0, 5)
        assert np.frombuffer(octets, "<f8", 3, 40).tolist() == packet["x"]
        assert np.frombuffer(octets, "<f8", 3, 64).tolist() == packet["y"] == [1.0, 1.5, 2.0]
        await nothing_comes(client)


@pytest.mark.parametrize("query", ["", "?format=binary"])
@pytest.mark.parametrize("on_api", [True, False])
async def test_who_is_too_slow_is_told_how_much_it_missed(
    tmp_path: Path, logs: object, query: str, on_api: bool
) -> None:
    limits = {"write_buffer": 4096, "stall_s": 60.0}
    async with (
        running(tmp_path, limits=limits) as bench,
        bench.client(query, on_api=on_api, max_queue=1, close_timeout=0.1) as client,
    ):
        await ask(client, action="start", source="demo", window=5000, rate=100)
        await until(lambda: bench.wing.stream.skipped > 5)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await client.recv()
                if isinstance(message, str) and message.startswith('{"type":"gap"'):
                    break
            assert json.loads(message)["skipped"] > 0
            packet: Any = await client.recv()
        assert isinstance(packet, bytes if query else str)
        assert query or json.loads(packet)["type"] == "data"


async def test_a_stream_that_fails_is_told_and_the_others_go_on(
    bench: Running, monkeypatch: pytest.MonkeyPatch, logs: Any
) -> None:
    async with bench.client() as client, bench.client() as other:
        await ask(other, action="start", source="demo", window=7, rate=100)
        await hear(other)

        async def fail(_self: object) -> None:
            raise RuntimeError("out of order")

        monkeypatch.setattr("listener.arrays.sources.Live.take", fail)
        await ask(client, action="start", source="les02.position")
        await hear(client)
        told = await hear(client)
        assert (told["streaming"], told["reason"]) == (False, "RuntimeError: out of order")
        assert (await hear(other))["shape"] == [7]
        await nothing_comes(client)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["stream_failed"]


async def test_all_together_want_no_more_than_the_daemon_can(bench: Running) -> None:
    async with bench.client() as client:
        for window in range(100_000, 99_990, -1):
            async with bench.client() as other:
                await ask(other, action="start", source="les02.position", window=window, rate=1)
                await hear(other)
        clients = [await bench.client().__aenter__() for _ in range(5)]
        try:
            for number, each in enumerate(clients):
                await ask(each, action="start", source="les02.position", window=9_999 - number, rate=100)
            told = [await hear(each) for each in clients]
            assert [message["type"] for message in told] == ["status"] * 4 + ["error"]
        finally:
            for each in clients:
                await each.close()
        await nothing_comes(client)
