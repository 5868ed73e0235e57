"""The wing as a whole, with a root module on a pseudo terminal: from a node's word to those who want it."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from listener.access import Access
from listener.config import ConfigError, MeshConfig
from listener.database import Database
from listener.mesh import keeper, wing
from listener.mesh.node import Status
from listener.ports import PortUnavailable
from mock.mesh_network import MeshOptions
from mock.mock_mesh import running
from tests.listener.mesh.root import PATIENCE_S, until
from tests.listener.mesh.whole import Whole, whole

FAST = MeshOptions(nodes=3, interval_s=0.1, boot_s=0.02, join_s=0.01, seed=1)
ADDRS = [5, 6, 7]


def kinds(bench: Whole) -> set[str]:
    return {event.type for event in bench.events}


def put_a_folder_there(path: Path) -> None:
    for ending in ("-wal", "-shm", ""):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    path.mkdir()


async def test_nodes_come_by_themselves_and_everybody_is_told(tmp_path: Path) -> None:
    async with running(FAST) as root, whole(tmp_path, root.path) as bench:
        reader, writer = await bench.listen()
        async with connect(bench.websocket, proxy=None) as page:
            await bench.until_active(3)
            await until(lambda: "node_data" in kinds(bench))
            first = [json.loads(await page.recv())["type"] for _ in range(2)]
            assert first == ["connectionStatus", "networkStatus"]
            told: dict[str, Any] = {}
            async with asyncio.timeout(PATIENCE_S):
                while told.get("type") != "networkStatus" or len(told["nodes"]) < 3:
                    told = json.loads(await page.recv())
            assert [node["status"] for node in told["nodes"]] == ["normal"] * 3
            assert await bench.ask(b"ACT-C") == b"S\x03"
            assert await bench.ask(b"SENDI\x00\x05Ehello") == b"S"
            async with asyncio.timeout(PATIENCE_S):
                assert await reader.readuntil(b"\x00\x05AS") is not None
        writer.close()
        await writer.wait_closed()
        assert {"node_connected", "node_data", "traffic", "status"} <= kinds(bench)
        (up,) = [event.payload["state"] for event in bench.events if event.type == "status"]
        assert up == "connected"


async def test_what_was_measured_is_there_after_a_restart_of_the_listener(tmp_path: Path) -> None:
    async with running(FAST) as root, whole(tmp_path, root.path) as bench:
        await bench.until_active(3)
        await until(lambda: all(node.last("Temperature") and node.last_seen for node in bench.wing.registry))
    before = {node.addr: node for node in bench.wing.registry}
    async with whole(tmp_path, str(tmp_path / "nothing")) as bench:
        assert [node.addr for node in bench.wing.registry] == ADDRS
        for node in bench.wing.registry:
            was = before[node.addr]
            assert (node.status, node.uuid, node.last_seen) == (Status.DISCONNECT, was.uuid, was.last_seen)
            assert node.history("Temperature") == was.history("Temperature")
        assert bench.wing.health()["nodes"] == {"active": 0, "idle": 0, "disconnected": 3}
        told = await bench.get("/mesh/nodes")
        assert {node["state"] for node in told["nodes"]} == {"disconnected"}


async def test_an_unplugged_root_is_told_and_found_again(tmp_path: Path) -> None:
    link = tmp_path / "root"
    async with running(FAST, link) as root, whole(tmp_path, str(link)) as bench:
        await bench.until_active(3)
        for _ in range(3):
            root.unplug()
            await until(lambda: bench.wing.uart.state == "disconnected")
            assert await bench.ask(b"SEND-\x00\x05x") in {
                b"F\x14No Serial Connection",
                b"[err]-listen_socket_disconnected",
            }
            root.plug_in()
            await until(lambda: bench.wing.uart.state == "connected")
            await bench.until_active(3)
        assert bench.wing.health()["uart"] == "connected"


async def test_a_restart_of_the_root_loses_all_nodes_until_they_have_joined_again(tmp_path: Path) -> None:
    async with running(FAST) as root, whole(tmp_path, root.path) as bench:
        await bench.until_active(3)
        await bench.post("/mesh/reset")
        await until(lambda: bench.wing.manager.counts["root_reset"] == 1)
        await bench.until_active(3)
        states = [e.payload["reason"] for e in bench.events if e.type == "node_status"]
        assert states[:3] == ["the root module restarts"] * 3
        again = [e.payload["again"] for e in bench.events if e.type == "node_connected"]
        assert again[-3:] == [True] * 3


async def test_what_the_wing_says_of_itself(tmp_path: Path) -> None:
    async with running(FAST) as root, whole(tmp_path, root.path) as bench:
        await bench.until_active(3)
        health, metrics = bench.wing.health(), bench.wing.metrics()
        assert health.items() >= {"uart": "connected", "device": root.path, "storing": "ok"}.items()
        assert metrics['les02_mesh_nodes{state="active"}'] == 3
        assert metrics["les02_mesh_uart_up"] == 1
        assert all(isinstance(value, int | float) for value in metrics.values())


async def test_a_disk_that_takes_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "BATCH_S", 0.02)
    async with running(FAST) as root, whole(tmp_path, root.path) as bench:
        await until(lambda: bench.wing.keeper.written)
        path = bench.wing.keeper._database.path
        put_a_folder_there(path)
        await until(lambda: bench.wing.health()["storing"] != "ok")
        lines = (await bench.get("/mesh/traffic?limit=500"))["lines"]
        assert any(line["text"].startswith("node data is not kept") for line in lines)
        path.rmdir()
        await until(lambda: bench.wing.health()["storing"] == "ok")


async def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    async with whole(tmp_path, "") as bench:
        taken = bench.wing.sockets.ports
        with pytest.raises(PortUnavailable):
            async with whole(tmp_path, "", tcp_ports=taken):
                pass
        with pytest.raises(PortUnavailable):
            async with whole(tmp_path, "", websocket_port=bench.wing.monitor.port):
                pass


async def test_own_data_types_and_opcodes_come_from_files(tmp_path: Path) -> None:
    types, opcodes = tmp_path / "types.json", tmp_path / "opcodes.json"
    types.write_text('{"Level": {"ID": 9, "Length": 1, "Unit": "%"}}')
    opcodes.write_text('{"Alarm": "P"}')
    async with whole(tmp_path, "", data_types=str(types), opcodes=str(opcodes)) as bench:
        bench.wing.manager.received(b"\x00\x05D\x01\x09\x07")
        bench.wing.manager.received(b"\x00\x05Pfire")
        told = await bench.get("/mesh")
        assert [each["name"] for each in told["types"]] == ["Level"]
        assert {"name": "Alarm", "code": 80, "handling": "forward"} in told["opcodes"]
        assert (await bench.get("/mesh/nodes/5"))["data"]["Level"]["value"] == 7
        assert "Node-5: Alarm 'fire'" in [line["text"] for line in bench.wing.manager.news.lines(9)]


@pytest.mark.parametrize(
    ("key", "content", "told"),
    [
        ("data_types", '{"Level": {"ID": 300, "Length": 1}}', "Level: ID must be"),
        ("data_types", "{", "is no JSON"),
        ("opcodes", '{"Alarm": "D"}', "Alarm: 'D' is data"),
        ("opcodes", None, "No such file or directory"),
    ],
)
def test_a_mistake_in_such_a_file_is_told_with_its_place(
    tmp_path: Path, key: str, content: str | None, told: str
) -> None:
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_text(content)
    settings: dict[str, Any] = {key: str(path)}
    with pytest.raises(ConfigError) as caught:
        wing.check(MeshConfig(**settings))
    text = str(caught.value)
    assert text.startswith(f"[mesh] {key}: {path}: ")
    assert told in text
    assert "\n" not in text


async def test_the_last_values_are_written_at_the_end_and_a_disk_that_hangs_does_not_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wing, "LAST_WRITE_S", 0.1)
    release = asyncio.Event()

    async def hang(*_: Any) -> None:
        await release.wait()

    began = time.monotonic()
    async with whole(tmp_path, "") as bench:
        bench.wing.manager.received(b"\x00\x05D\x01\x00\x07")
        monkeypatch.setattr(Database, "write", hang)
    assert time.monotonic() - began < PATIENCE_S


async def test_tokens_hold_on_every_port(tmp_path: Path) -> None:
    async with whole(tmp_path, "", Access(("reads-only-0001",), ("controls-00001",))) as bench:
        assert (await bench.http.get("/mesh")).status_code == 401
        assert (await bench.http.get("/mesh?token=reads-only-0001")).status_code == 200
        body = {"addr": 5, "text": "x"}
        answer = await bench.http.post("/mesh/send?token=reads-only-0001", json=body)
        assert answer.status_code == 403
        answer = await bench.http.post("/mesh/send?token=controls-00001", json=body)
        assert (answer.status_code, answer.json()) == (503, {"detail": "No Serial Connection"})
