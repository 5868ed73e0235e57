"""`/ws/can` over real sockets, frames from a virtual bus."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from listener.config import WebsocketConfig
from tests.listener.workbench.benches import Member, Running, frames, receive, running, told, until


async def test_a_frame_is_one_message_with_exactly_the_fields_of_the_field(bench: Running) -> None:
    with Member("frames") as member:
        await bench.connect("frames")
        async with bench.client() as client:
            await bench.joined()
            before = time.time()
            member.say(291, bytes(range(1, 9)))
            message = await receive(client)
    assert before <= message.pop("timestamp") <= time.time()
    assert message == {
        "id": 291,
        "data": [1, 2, 3, 4, 5, 6, 7, 8],
        "is_extended": False,
        "is_remote": False,
        "dlc": 8,
    }


async def test_both_ports_have_it(bench: Running) -> None:
    with Member("both") as member:
        await bench.connect("both")
        url = f"ws://127.0.0.1:{bench.api.port}/ws/can"
        async with bench.client() as one, connect(url, proxy=None) as other:
            await bench.joined(2)
            member.say(1)
            assert await receive(one) == await receive(other)


async def test_there_is_no_greeting_and_any_text_is_answered_with_a_heartbeat(bench: Running) -> None:
    async with bench.client() as client:
        for text in ("ping", "", '{"type":"heartbeat"}', "🚗"):
            await client.send(text)
            message = await receive(client)
            assert message.keys() == {"type", "timestamp"}
            assert message["type"] == "heartbeat"
            assert message["timestamp"][4] == "-"


async def test_remote_extended_and_fd_frames(bench: Running) -> None:
    with Member("kinds") as member:
        await bench.connect("kinds", fd=True)
        async with bench.client() as client:
            await bench.joined()
            member.say(0x123, is_remote_frame=True, dlc=4)
            member.say(0x18FEF100, b"\x01", is_extended_id=True)
            member.say(0x10, bytes(64), is_fd=True)
            member.say(0x10, is_fd=True, bitrate_switch=True, error_state_indicator=True)
            remote, extended, fd, switched = await frames(client, 4)
    assert (remote["is_remote"], remote["data"], remote["dlc"]) == (True, [], 4)
    assert (extended["id"], extended["is_extended"]) == (0x18FEF100, True)
    assert (fd["is_fd"], fd["dlc"]) == (True, 64)
    assert not {"bitrate_switch", "error_state_indicator"} & fd.keys()
    assert (switched["is_fd"], switched["bitrate_switch"], switched["error_state_indicator"]) == (True,) * 3


async def test_with_a_dbc_frames_are_decoded_and_on_request_not(bench: Running) -> None:
    with Member("decoded") as member:
        await bench.connect("decoded")
        assert (await bench.load_dbc())["message_count"] == 5
        async with bench.client() as plain_or_not, bench.client("?decoded=0") as plain:
            await bench.joined(2)
            member.say(272, bytes((1, 30, 2, 134)))
            (one,) = await frames(plain_or_not, 1)
            (other,) = await frames(plain, 1)
            # Its identifier is in the file with bit 31 set, and on the bus without.
            member.say(0x18FEF100, bytes((0, 0, 0, 64, 31, 0, 0, 0)), is_extended_id=True)
            (extended,) = await frames(plain_or_not, 1)
    assert one["decoded"]["message_name"] == "PressureSensor"
    pressure = one["decoded"]["signals"]["Pressure"]
    assert pressure["value"] == pytest.approx(2.86)
    assert (pressure["unit"], pressure["min"], pressure["max"]) == ("bar", 0, 250)
    assert "decoded" not in other
    assert extended["decoded"]["signals"]["EngineRpm"]["value"] == 1000


async def test_nothing_is_decoded_for_those_who_did_not_ask(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Any] = []
    with Member("lazy") as member:
        await bench.connect("lazy")
        await bench.load_dbc()
        codec = bench.bench.library.codec("default")
        decode = codec.decode

        def counted(*given: Any) -> Any:
            decoded.append(given)
            return decode(*given)

        monkeypatch.setattr(codec, "decode", counted)
        async with bench.client("?decoded=0") as client:
            await bench.joined()
            member.say(272, bytes(4))
            await frames(client, 1)
            assert decoded == []
        async with bench.client("?ids=0x110") as one, bench.client("?decoded=1") as two:
            await bench.joined(2)
            member.say(272, bytes(4))
            await frames(one, 1)
            await frames(two, 1)
    assert len(decoded) == 1


async def test_ids_are_picked(bench: Running) -> None:
    with Member("ids") as member:
        await bench.connect("ids")
        async with bench.client("?ids=0x100-0x1FF,0x300") as client:
            await bench.joined()
            for can_id in (0x0FF, 0x100, 0x1FF, 0x200, 0x300, 0x301):
                member.say(can_id)
            member.say(0x100, is_extended_id=True)
            member.say(0x150)
            assert [frame["id"] for frame in await frames(client, 4)] == [0x100, 0x1FF, 0x300, 0x150]


async def test_rate_brings_the_newest_of_each_id(bench: Running) -> None:
    with Member("rate") as member:
        await bench.connect("rate")
        async with bench.client("?rate=5") as client:
            await bench.joined()
            began = time.monotonic()
            for number in range(100):
                member.say(1, bytes([number]))
                member.say(2, bytes([number]))
                await asyncio.sleep(0.005)
            seen: dict[int, list[int]] = {1: [], 2: []}
            while 99 not in seen[1] or 99 not in seen[2]:
                (frame,) = await frames(client, 1)
                seen[frame["id"]].append(frame["data"][0])
            took_s = time.monotonic() - began
    for values in seen.values():
        assert values == sorted(values)
        assert len(values) <= took_s * 5 + 2


async def test_buses_are_told_apart_by_name(bench: Running) -> None:
    with Member("one") as one, Member("two") as two:
        await bench.connect("one")
        await bench.connect("two", "inverter")
        async with (
            bench.client() as default,
            bench.client("?bus=inverter") as named,
            bench.client("?bus=*") as every,
        ):
            await bench.joined(3)
            one.say(1)
            two.say(2)
            assert (await frames(default, 1))[0]["id"] == 1
            assert (await frames(named, 1))[0]["id"] == 2
            found = {(frame["id"], frame["bus"]) for frame in await frames(every, 2)}
    assert found == {(1, "default"), (2, "inverter")}


async def test_who_names_a_bus_that_is_not_there_is_told_and_gets_its_frames_later(bench: Running) -> None:
    with Member("late") as member:
        async with bench.client("?bus=late") as client:
            assert (await receive(client))["state"] == "not_connected"
            await bench.connect("late", "late")
            await told(client, "connected")
            member.say(7)
            assert (await frames(client, 1))[0]["id"] == 7


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?ids=banana", "ids:"),
        ("?rate=0", "rate:"),
        ("?decoded=yes", "decoded:"),
        ("?wat=1", "wat:"),
        ("?bus=a&bus=b", "bus:"),
    ],
)
async def test_a_wrong_parameter_is_named(bench: Running, query: str, reason: str) -> None:
    async with bench.client(query) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert closed.value.rcvd.reason.startswith(reason)


async def test_who_reads_slowly_is_told_how_much_it_missed_and_others_miss_nothing(
    tmp_path: Path, logs: object
) -> None:
    limits = WebsocketConfig(host="127.0.0.1", port=0, write_buffer=8192, stall_s=60.0)
    count = 30_000
    async with running(tmp_path, limits=limits) as bench:
        await bench.connect("flood")
        bus = bench.bench.buses.own()
        from listener.raw_frame import RawFrame

        async with bench.client("?bus=default", max_queue=1) as slow, bench.client("?ids=0x7") as other:
            await bench.joined(2)
            for number in range(count):
                bus.feed(RawFrame(5, 0, number.to_bytes(8, "big"), 1e9 + number))
                if not number % 500:
                    bus.feed(RawFrame(7, 0, b"", 1e9 + number))
                    await asyncio.sleep(0)
            assert len(await frames(other, count // 500)) == count // 500
            assert bench.bench.stream.skipped > 0
            got = skipped = 0
            numbers = []
            while got + skipped < count + count // 500:
                message = await receive(slow)
                if message.get("type") == "gap":
                    assert message.keys() == {"type", "skipped"}
                    skipped += message["skipped"]
                else:
                    got += 1
                    numbers.append(message["timestamp"])
        assert got + skipped == count + count // 500
        assert numbers == sorted(numbers)


async def test_a_client_that_has_gone_leaves_nothing_behind(bench: Running) -> None:
    async with bench.client("?rate=1"):
        await bench.joined()
    await until(lambda: bench.bench.stream.clients == 0)
    assert bench.bench.stream._groups == {}


async def test_the_sensors_bus_can_be_read(bench: Running) -> None:
    with Member("the sensor's") as sensor:
        async with bench.client("?bus=les02") as client:
            await bench.joined()
            sensor.say(0x80, bytes(4))
            assert (await frames(client, 1))[0]["id"] == 0x80
            bench.sensor_is_up = False
            assert (await told(client, "bus_lost"))["bus"] == "les02"
            bench.sensor_is_up = True
            await told(client, "bus_up")


async def test_a_message_that_is_missing_is_told(bench: Running) -> None:
    with Member("alarm") as member:
        await bench.connect("alarm")
        await bench.load_dbc()
        async with bench.client() as client:
            await bench.joined()
            for _ in range(20):
                member.say(256, bytes(8))
                await asyncio.sleep(0.01)
            missing = await told(client, "missing")
            assert (missing["id"], missing["message_name"]) == ("0x100", "InverterState")
            member.say(256, bytes(8))
            await told(client, "returned")


def test_json_is_what_any_parser_reads() -> None:
    from listener.raw_frame import RawFrame
    from listener.workbench.messages import frame_json, with_bus

    text = with_bus(frame_json(RawFrame(1, 0, b"\xff", 2.5)), 'a"b')
    assert json.loads(text)["bus"] == 'a"b'
