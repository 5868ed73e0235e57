"""The calls that the field's clients know, over real HTTP, and what was added to them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from listener.access import Access
from tests.listener.workbench.benches import DBC, Member, Running, frames, receive, running, told, until

CONTROL = "controls-0001"
READ = "reads-0001"


async def test_the_front_page_says_what_there_is(bench: Running) -> None:
    about = await bench.get("/")
    assert about.keys() == {"name", "version", "pcan_available", "canable_available", "dbc_support"}
    assert about["dbc_support"] is True


async def test_devices(bench: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listener.workbench.enumeration._serial_ports", lambda: iter(()))
    found = await bench.get("/devices")
    assert found.keys() == {"pcan_available", "canable_available", "devices"}
    (virtual,) = [device for device in found["devices"] if device["device_type"] == "virtual"]
    assert virtual.keys() >= {"device_type", "index", "name", "description", "available", "occupied"}
    assert (virtual["available"], virtual["occupied"]) == (True, False)
    await bench.connect(virtual["index"])
    found = await bench.get("/devices")
    (virtual,) = [device for device in found["devices"] if device["device_type"] == "virtual"]
    assert (virtual["available"], virtual["occupied"], virtual["bus"]) == (False, True, "default")


async def test_connect_status_disconnect(bench: Running) -> None:
    nothing = {
        "connected": False,
        "device_type": None,
        "channel": None,
        "baudrate": None,
        "status": None,
        "interface": None,
    }
    assert await bench.get("/status") == nothing
    assert await bench.post("/disconnect", status=400) == {"detail": "Not connected to any device"}
    wanted = {"device_type": "virtual", "channel": "life", "baudrate": "BAUD_500K"}
    answer = await bench.post("/connect", wanted)
    assert answer == {
        "success": True,
        "message": "Connected successfully",
        "device_type": "virtual",
        "channel": "life",
        "baudrate": "BAUD_500K",
        "bus": "default",
    }
    again = await bench.post("/connect", wanted, status=400)
    assert again == {"detail": "Already connected. Disconnect first."}
    status = await bench.get("/status")
    assert {name: status[name] for name in nothing} == {
        "connected": True,
        "device_type": "virtual",
        "channel": "life",
        "baudrate": "BAUD_500K",
        "status": "OK",
        "interface": "virtual",
    }
    assert (await bench.post("/disconnect"))["message"] == "Disconnected successfully"
    assert await bench.get("/status") == nothing


@pytest.mark.parametrize(
    "wanted",
    [
        {"device_type": "pcan", "channel": "USB99", "baudrate": "BAUD_500K"},
        {"device_type": "pcan", "channel": "USB1", "baudrate": "BAUD_1"},
        {"device_type": "toaster", "channel": "USB1", "baudrate": "BAUD_500K"},
        {"device_type": "canable", "channel": 0, "baudrate": "BAUD_95K"},
        {"channel": "USB1"},
        {},
    ],
)
async def test_what_cannot_be_meant_is_422(bench: Running, wanted: dict[str, Any]) -> None:
    await bench.post("/connect", wanted, status=422)


async def test_a_device_that_is_not_there_is_500_and_says_why(bench: Running) -> None:
    wanted = {"device_type": "slcan", "channel": "/dev/nothing-here", "baudrate": "BAUD_500K"}
    detail = (await bench.post("/connect", wanted, status=500))["detail"]
    assert detail.startswith("Failed to connect to device: ")
    assert "/dev/nothing-here" in detail


async def test_the_sensors_bus_cannot_be_opened_nor_sent_on(bench: Running) -> None:
    for name in ("default", "les02"):
        wanted = {"device_type": "virtual", "channel": "the sensor's", "bus": name}
        await bench.post("/connect", wanted, status=403)
    with Member("the sensor's") as sensor:
        for path, body in (
            ("/send", {"can_id": 1}),
            ("/cyclic", {"can_id": 1, "period_ms": 10, "pinned": True}),
            ("/send_message", {"message_name": "InverterState"}),
            ("/disconnect", {}),
        ):
            await bench.post(path, {**body, "bus": "les02"}, status=403)
        assert await asyncio.to_thread(sensor.bus.recv, 0.1) is None
    (listed,) = await bench.get("/buses")
    assert (listed["name"], listed["is_sensor"], listed["writable"]) == ("les02", True, False)


async def test_send(bench: Running) -> None:
    frame = {"can_id": 291, "data": [1, 2, 3], "is_extended": False, "is_remote": False}
    assert (await bench.post("/send", frame, status=400))["detail"] == "Not connected to any device"
    with Member("send") as member:
        await bench.connect("send")
        assert (await bench.post("/send", frame))["message"] == "Message sent successfully"
        heard = await member.hear()
        assert (heard.arbitration_id, list(heard.data), heard.is_extended_id) == (291, [1, 2, 3], False)
        await bench.post("/send", {"can_id": 0x18FEF100, "data": [], "is_extended": True})
        assert (await member.hear()).is_extended_id
        await bench.post("/send", {"can_id": 5, "data": [0, 0], "is_remote": True})
        heard = await member.hear()
        assert (heard.is_remote_frame, heard.dlc) == (True, 2)


@pytest.mark.parametrize(
    "frame",
    [
        {"can_id": 1, "data": [0] * 9},
        {"can_id": 1, "data": [256]},
        {"can_id": 1, "data": [-1]},
        {"can_id": 0x800, "data": []},
        {"can_id": -1, "data": []},
        {"can_id": 0x2000_0000, "data": [], "is_extended": True},
        {"can_id": 1, "data": [1.5]},
        {"can_id": "1", "data": []},
        {"can_id": 1, "data": "AQ=="},
        {"can_id": 1, "data": [0] * 9, "is_fd": True},
        {"can_id": 1, "is_fd": True},  # not connected with fd
        {"data": []},
    ],
)
async def test_a_frame_that_is_none_is_422_and_not_sent(bench: Running, frame: dict[str, Any]) -> None:
    with Member("wrong") as member:
        await bench.connect("wrong")
        await bench.post("/send", frame, status=422)
        assert await asyncio.to_thread(member.bus.recv, 0.05) is None


async def test_nothing_is_sent_unless_it_is_allowed_and_asked_for(tmp_path: Path, logs: object) -> None:
    async with running(tmp_path, transmit=False) as bench:
        await bench.connect("quiet")
        assert "transmit" in (await bench.post("/send", {"can_id": 1}, status=403))["detail"]
    async with running(tmp_path) as bench:
        await bench.connect("quiet", listen_only=True)
        assert "listen-only" in (await bench.post("/send", {"can_id": 1}, status=403))["detail"]
        assert (await bench.get("/status"))["listen_only"] == "software"


async def test_who_may_only_read_changes_nothing(tmp_path: Path, logs: object) -> None:
    async with running(tmp_path, Access((), (CONTROL,))) as bench:
        wanted = {"device_type": "virtual", "channel": "mine"}
        await bench.post("/connect", wanted, status=403)
        for path in ("/disconnect", "/recordings/stop"):
            await bench.post(path, {}, status=403)
        await bench.get("/buses")
        bench.http.headers["Authorization"] = f"Bearer {CONTROL}"
        await bench.post("/connect", wanted)


CONTROLLED = {"Authorization": f"Bearer {CONTROL}"}
ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}
# They change nothing.
ASKING = {"/dbc/encode_message"}


@pytest.mark.parametrize("tokens", [False, True], ids=["from elsewhere", "with a read token"])
async def test_every_call_that_changes_something_needs_to_be_allowed(
    tmp_path: Path, logs: object, tokens: bool
) -> None:
    access = Access((READ,), (CONTROL,)) if tokens else Access()
    headers = {"Authorization": f"Bearer {READ}"} if tokens else ELSEWHERE
    async with running(tmp_path, access) as bench:
        document = (await bench.http.get("/openapi.json", headers=headers)).json()
        changing = {
            (method, path)
            for path, operations in document["paths"].items()
            for method in operations.keys() - {"get"}
            if path not in ASKING
        }
        assert len(changing) > 20
        for method, path in sorted(changing):
            address = path.replace("{number}", "1").replace("{name}", "any")
            answer = await bench.http.request(method, address, json={}, headers=headers)
            assert answer.status_code == 403, (method, path, answer.text)
            assert "control token" in answer.text or "this computer alone" in answer.text
        for path in ("/buses", "/devices", "/recordings", "/cyclic", "/dbc/list", "/transmit_lists"):
            assert (await bench.http.get(path, headers=headers)).status_code == 200
            if tokens:
                assert (await bench.http.get(path)).status_code == 401
                assert (await bench.http.get(path, headers=CONTROLLED)).status_code == 200


TRICKS = [
    "../secret.log",
    "..%2Fsecret.log",
    "%2e%2e%2fsecret.log",
    "a/../../secret.log",
    "..%5Csecret.log",
    "%2Fetc%2Fpasswd",
    "/etc/passwd",
    ".loaded.json",
    "secret.log%00.dbc",
    "link.log",
    "link.dbc",
    "link",
]


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def test_no_name_leads_out_of_its_folder(bench: Running, tmp_path: Path) -> None:
    secret = tmp_path / "secret.log"
    secret.write_text("(1.0) can0 123#01\n")
    folders = [bench.bench.recordings_folder, bench.bench.dbc_folder, tmp_path / "transmit_lists"]
    for folder in folders:
        folder.mkdir(exist_ok=True)
        for link in ("link.log", "link.dbc", "link.json"):
            (folder / link).symlink_to(secret)
    before = everything(tmp_path)
    await bench.connect("tricks")
    for name in TRICKS:
        for method, path in (
            ("GET", f"/recordings/{name}/download"),
            ("POST", f"/recordings/{name}/replay"),
            ("DELETE", f"/recordings/{name}"),
            ("DELETE", f"/dbc/delete/{name}"),
            ("GET", f"/transmit_lists/{name}"),
            ("PUT", f"/transmit_lists/{name}"),
            ("DELETE", f"/transmit_lists/{name}"),
        ):
            if path.startswith("/transmit_lists/link."):  # a list of this name
                continue
            body: object = {"frames": []} if method == "PUT" else {}
            answer = await bench.http.request(method, path, json=body)
            if (method, path) == ("PUT", "/transmit_lists/link"):
                # It takes the place of the link, not of what that leads to.
                assert answer.status_code == 200
                await bench.http.delete(path)
                before.remove(tmp_path / "transmit_lists" / "link.json")
                continue
            assert answer.status_code in {400, 404, 405, 422}, (method, path, answer.text)
        plain = name.replace("%2F", "/").replace("%2e", ".").replace("%2f", "/").replace("%5C", "\\")
        for path in ("/dbc/load", "/dbc/unload"):
            answer = await bench.http.post(path, json={"file_path": plain})
            assert answer.status_code in {404, 422}, (path, plain, answer.text)
        if "/" in plain:
            await bench.post("/recordings/start", {"name": plain}, status=422)
    assert secret.read_text() == "(1.0) can0 123#01\n"
    assert everything(tmp_path) == before


async def test_lists_written_at_once_are_whole(bench: Running) -> None:
    contents = [{"frames": [{"frame": {"can_id": number}}]} for number in range(20)]
    answers = await asyncio.gather(
        *(bench.http.put("/transmit_lists/shared", json=content) for content in contents)
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len((await bench.get("/transmit_lists/shared"))["frames"]) == 1
    assert await bench.get("/transmit_lists") == ["shared"]


async def test_stats(bench: Running) -> None:
    empty = await bench.get("/stats")
    assert empty == {"connected": False, "message_count": 0, "uptime_seconds": 0.0, "message_rate": 0.0}
    with Member("stats") as member:
        await bench.connect("stats", baudrate="BAUD_500K")
        for _ in range(10):
            member.say(0x123, bytes(8))
        await until(lambda: bench.bench.buses.own().received == 10)
        stats = await bench.get("/stats")
        assert (stats["connected"], stats["message_count"]) == (True, 10)
        assert stats["message_rate"] == pytest.approx(10 / stats["uptime_seconds"])
        (one,) = (await bench.get("/buses/default/statistics"))["ids"]
        assert (one["id"], one["count"]) == (0x123, 10)
        await bench.post("/buses/default/statistics/reset")
        assert (await bench.get("/buses/default/statistics"))["ids"] == []
    await bench.get("/buses/nothing/statistics", status=404)


async def test_dbc(bench: Running, tmp_path: Path) -> None:
    assert await bench.get("/dbc/messages", status=400) == {"detail": "No DBC file loaded"}
    assert (await bench.get("/dbc/current"))["loaded"] is False
    missing = await bench.post("/dbc/load", {"file_path": "missing.dbc"}, status=404)
    assert "missing.dbc" in missing["detail"]
    uploaded = await bench.load_dbc("elsewhere")
    assert (uploaded["success"], uploaded["file_path"], uploaded["message_count"]) == (True, "bench.dbc", 5)
    for path in ("bench.dbc", str(tmp_path / "dbc" / "bench.dbc")):
        loaded = await bench.post("/dbc/load", {"file_path": path})
        assert loaded.keys() >= {"success", "message", "file_path", "message_count"}
    for path in ("/etc/passwd", "../les02.db", str(DBC)):
        await bench.post("/dbc/load", {"file_path": path}, status=422)
    messages = (await bench.get("/dbc/messages"))["messages"]
    (pressure,) = [message for message in messages if message["name"] == "PressureSensor"]
    assert pressure.keys() >= {"name", "frame_id", "is_extended", "dlc", "length", "signal_count", "signals"}
    assert pressure["signals"][0].keys() >= {
        *("name", "start_bit", "length", "byte_order", "scale", "offset"),
        *("minimum", "maximum", "unit", "choices"),
    }
    assert [info["name"] for info in (await bench.get("/dbc/list"))["files"]] == ["bench.dbc"]
    assert (await bench.http.delete("/dbc/delete/bench.dbc")).status_code == 200
    assert (await bench.get("/dbc/current"))["loaded"] is False
    assert (await bench.http.delete("/dbc/delete/bench.dbc")).status_code == 404


async def test_a_file_that_is_no_dbc_is_422_with_the_reason(bench: Running) -> None:
    for content in (b"\x00\xff" * 500, b"BO_ nonsense"):
        answer = await bench.http.post("/dbc/upload", files={"file": ("broken.dbc", content)})
        assert answer.status_code == 422
        assert "broken.dbc" in answer.json()["detail"]


async def test_the_dbc_is_loaded_again_at_the_next_start(tmp_path: Path, logs: object) -> None:
    async with running(tmp_path) as bench:
        await bench.load_dbc()
    async with running(tmp_path) as bench:
        assert (await bench.get("/dbc/current"))["file_path"] == "bench.dbc"


async def test_encode_and_send_by_names(bench: Running) -> None:
    command = {"message_name": "InverterCommand", "signals": {"Target": 1000.5, "Enable": 1}}
    await bench.post("/dbc/encode_message", command, status=400)
    with Member("names") as member:
        await bench.connect("names")
        await bench.load_dbc()
        encoded = await bench.post("/dbc/encode_message", command)
        assert (encoded["can_id"], encoded["data"]) == (512, [209, 7, 1, 0])
        await bench.post("/send_message", command)
        assert list((await member.hear()).data) == encoded["data"]
        for wrong in ({"Target": 1e6, "Enable": 1}, {"Target": "fast"}, {"Nothing": 1}):
            await bench.post("/send_message", {**command, "signals": wrong}, status=422)
        await bench.post("/send_message", {"message_name": "Nothing"}, status=422)


async def test_transmit_lists(bench: Running, tmp_path: Path) -> None:
    content = {
        "frames": [
            {"frame": {"can_id": 1, "data": [1]}, "label": "first"},
            {"frame": {"can_id": 2}, "period_ms": 20},
        ],
        "description": "wakes it up",
    }
    assert (await bench.http.put("/transmit_lists/wake up", json=content)).status_code == 200
    assert (tmp_path / "transmit_lists" / "wake up.json").is_file()
    assert await bench.get("/transmit_lists") == ["wake up"]
    read = await bench.get("/transmit_lists/wake up")
    assert [entry["frame"]["can_id"] for entry in read["frames"]] == [1, 2]
    with Member("lists") as member:
        await bench.connect("lists")
        assert (await bench.post("/transmit_lists/wake up/send"))["sent"] == 2
        assert [(await member.hear()).arbitration_id for _ in range(2)] == [1, 2]
        started = await bench.post("/transmit_lists/wake up/start", {"pinned": True})
        assert [cyclic["can_id"] for cyclic in started] == [2]
        assert (await member.hear()).arbitration_id == 2
    assert (await bench.http.delete("/transmit_lists/wake up")).status_code == 200
    await bench.get("/transmit_lists/wake up", status=404)
    for wrong in ({}, {"frames": [{"frame": {"wat": 1}}]}, {"frames": [{"frame": {}, "period_ms": 0}]}):
        assert (await bench.http.put("/transmit_lists/x", json=wrong)).status_code == 422
    assert (await bench.http.put("/transmit_lists/.hidden", json=content)).status_code == 422


async def test_recordings(bench: Running) -> None:
    with Member("recorded") as member:
        await bench.connect("recorded")
        await bench.post("/recordings/start", {"format": "tape"}, status=422)
        status = await bench.post("/recordings/start", {"format": "candump", "name": "run"})
        assert status["state"] == "recording"
        await bench.post("/recordings/start", {"format": "candump"}, status=409)
        for number in range(20):
            member.say(0x100, bytes([number]))
        await bench.post("/send", {"can_id": 0x55})
        await until(lambda: bench.bench.buses.own().received == 20)
        stopped = await bench.post("/recordings/stop")
        assert stopped["frames"] == 21
        (listed,) = (await bench.get("/recordings"))["recordings"]
        text = (await bench.http.get(f"/recordings/{listed['name']}/download")).text
        assert len(text.splitlines()) == 21
        assert " 100#13" in text
        assert " 055#" in text
        async with bench.client() as client:
            await bench.joined()
            await bench.post(f"/recordings/{listed['name']}/replay", {"speed": 100})
            await told(client, "replay_ended")
        heard = [(await member.hear()).arbitration_id for _ in range(22)]
        assert sorted(heard) == [0x55, 0x55, *[0x100] * 20]
        assert (await bench.http.delete(f"/recordings/{listed['name']}")).status_code == 200
    assert (await bench.http.get(f"/recordings/{listed['name']}/download")).status_code == 404
    assert (await bench.http.get("/recordings/..%2Fles02.db/download")).status_code in {404, 422}
    assert (await bench.post("/recordings/replay/stop", {}))["success"] is False


@pytest.mark.parametrize("speed", [0, 0.009, -1, 101, "fast", None])
async def test_a_speed_that_is_none_is_refused_at_once(bench: Running, speed: object) -> None:
    await bench.connect("speed")
    await bench.post("/recordings/start", {"name": "speed"})
    await bench.post("/recordings/stop")
    async with bench.client() as client:
        await bench.joined()
        await bench.post("/recordings/speed.log/replay", {"speed": speed}, status=422)
        await bench.post("/recordings/speed.log/replay", {"speed": 0.01})
        assert (await receive(client))["state"] == "replay_started"


async def test_of_a_recording_the_newest_files_are_kept_and_that_is_told(bench: Running) -> None:
    with Member("rotated") as member:
        await bench.connect("rotated", fd=True)
        wanted = {"name": "long", "max_bytes": 65_536, "max_files": 2}
        await bench.post("/recordings/start", {**wanted, "max_files": -1}, status=422)
        async with bench.client() as client:
            await bench.joined()
            await bench.post("/recordings/start", wanted)
            removed = 0
            while not removed:
                for _ in range(200):
                    member.say(0x100, bytes(64), is_fd=True)
                left = 200
                while left:
                    message = await receive(client)
                    left -= "id" in message
                    removed = message.get("recording", {}).get("removed", removed)
            assert (await bench.get("/recordings"))["buses"]["default"]["removed"] >= removed
            status = await bench.post("/recordings/stop")
        assert len(status["files"]) == 2
        names = {entry["name"] for entry in (await bench.get("/recordings"))["recordings"]}
        assert names == set(status["files"])
        assert "long.log" not in names


async def test_an_upload_that_is_cut_leaves_nothing(bench: Running) -> None:
    begun = b'--b\r\nContent-Disposition: form-data; name="file"; filename="cut.dbc"\r\n\r\nVERSION ""\n'
    for rest in (b"", b"x" * 100_000):
        _, writer = await asyncio.open_connection("127.0.0.1", bench.api.port)
        head = "POST /dbc/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n"
        kind = "Content-Type: multipart/form-data; boundary=b\r\n"
        writer.write(f"{head}{kind}\r\n".encode() + begun + rest)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await bench.get("/dbc/list"))["files"] == []
    assert (await bench.load_dbc())["message_count"] == 5


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"(" * 10_000_001, 413),
        (bytes(range(256)) * 1000, 422),
        (b"\x7fELF" + bytes(5000), 422),
        (b"(" * 9_900_000, 422),
    ],
    ids=["too large", "binary", "a program", "hostile"],
)
async def test_hostile_files_get_clear_answers(bench: Running, content: bytes, status: int) -> None:
    bench.bench.library._reading_s = 3.0
    answer = await bench.http.post("/dbc/upload", files={"file": ("hostile.dbc", content)})
    assert answer.status_code == status, answer.text
    detail = answer.json()["detail"]
    assert detail.startswith("hostile.dbc")
    assert len(detail) < 500
    assert (await bench.get("/dbc/list"))["files"] == []


async def test_the_sensors_bus_can_be_recorded_but_nothing_is_replayed_onto_it(bench: Running) -> None:
    with Member("the sensor's") as sensor:
        await bench.post("/recordings/start", {"bus": "les02", "name": "sensor"})
        sensor.say(0x80, bytes(4))
        await until(lambda: bench.bench.sensor.received == 1)
        assert (await bench.post("/recordings/stop", {"bus": "les02"}))["frames"] == 1
        await bench.post("/recordings/sensor.log/replay", {"bus": "les02"}, status=403)


async def test_a_client_sees_what_happens_to_its_bus(bench: Running) -> None:
    async with bench.client() as client:
        await bench.joined()
        await bench.connect("seen")
        assert (await receive(client))["state"] == "connected"
        await bench.post("/disconnect")
        assert (await receive(client))["state"] == "disconnected"


async def test_the_document_has_examples_and_every_route_says_what_can_go_wrong(bench: Running) -> None:
    document = await bench.get("/openapi.json")
    operations = [(path, method) for path, methods in document["paths"].items() for method in methods]
    assert len(operations) > 35
    assert "USB1" in json.dumps(document["components"]["schemas"]["Connect"])


async def test_several_buses_at_once(bench: Running) -> None:
    with Member("first") as first, Member("second") as second:
        await bench.connect("first")
        await bench.connect("second", "second")
        await bench.post("/send", {"can_id": 2, "bus": "second"})
        assert (await second.hear()).arbitration_id == 2
        assert await asyncio.to_thread(first.bus.recv, 0.02) is None
        names = [bus["name"] for bus in await bench.get("/buses")]
        assert names == ["les02", "default", "second"]
        async with bench.client() as client:
            await bench.joined()
            await bench.post("/disconnect", {"bus": "second"})
            first.say(1)
            assert (await frames(client, 1))[0]["id"] == 1
