"""The mesh over HTTP, with a real server."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from listener.access import Access
from listener.mesh import store
from tests.listener.mesh.root import ONLINE, Root, ack, data, net_info, node_info, temperature, until, uuid
from tests.listener.mesh.whole import Whole, whole

COUNT = 40


def began() -> float:
    return float(int(time.time() / 3600) * 3600 - 3600)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(tmp_path, "", history=3) as found:
        yield found


@pytest.fixture
async def filled(bench: Whole) -> Whole:
    """Node 5 was here an hour ago for forty seconds, a degree warmer each second; node 6 joined."""
    rows: list[store.Row] = [
        (5, "Temperature", began() + number, (number * 100).to_bytes(2)) for number in range(COUNT)
    ]
    await bench.wing.keeper._database.write(
        lambda connection: store.add(connection, [(5, b"", began())], rows)
    )
    await bench.wing.load()
    bench.wing.manager.received(node_info(6))
    return bench


@pytest.fixture
def root(bench: Whole) -> Root:
    """Takes the place of the serial port."""
    made = Root()
    bench.wing.manager.attach(made)
    return made


def degrees(told: dict[str, Any]) -> list[float]:
    return [each["value"] for each in told["values"]]


async def test_what_there_is_of_the_mesh(filled: Whole) -> None:
    told = await filled.get("/mesh")
    assert told["uart"].items() >= {"state": "searching", "device": "", "baudrate": 115_200}.items()
    assert told["uart"]["counts"]["frames_in"] == 0
    assert told["nodes"] == {"active": 1, "idle": 0, "disconnected": 1}
    assert (told["listeners"], told["storing"]) == (0, "ok")
    assert told["tcp_ports"] == list(filled.wing.sockets.ports)
    assert [each["name"] for each in told["types"]][:3] == ["Sequence", "GPS", "Temperature"]
    assert {"name": "data", "code": 68, "handling": "data"} in told["opcodes"]


async def test_nodes_are_listed_with_their_last_values(filled: Whole) -> None:
    five, six = (await filled.get("/mesh/nodes"))["nodes"]
    assert five["data"]["Temperature"].items() >= {"raw": "0f3c", "value": 39.0, "unit": "°C"}.items()
    assert (five["status"], five["state"], five["uuid"]) == (3, "disconnected", "")
    assert (six["status"], six["state"], six["uuid"], six["data"]) == (1, "active", uuid(6).hex(), {})
    assert 0 <= six["age_s"] < 15
    assert await filled.get("/mesh/nodes/5") == {
        **five,
        "age_s": pytest.approx(five["age_s"], abs=15),
    }


async def test_the_history_of_a_type_is_read_so_long_or_from_when_to_when(filled: Whole) -> None:
    path = "/mesh/nodes/5/data/Temperature"
    last = await filled.get(path)
    assert (last["addr"], last["type"], last["id"], last["length"], last["unit"]) == (
        5,
        "Temperature",
        2,
        2,
        "°C",
    )
    assert last["values"] == [{"ts": began() + 39, "raw": "0f3c", "value": 39.0}]
    assert degrees(await filled.get(f"{path}?history=1")) == [37.0, 38.0, 39.0]  # all that are in memory
    assert degrees(await filled.get(f"{path}?history=0")) == [39.0]
    assert degrees(await filled.get(f"{path}?history=2")) == [38.0, 39.0]
    assert degrees(await filled.get(f"{path}?history=1&since={began() + 35}")) == [
        35.0,
        36.0,
        37.0,
        38.0,
        39.0,
    ]
    assert degrees(await filled.get(f"{path}?history=5")) == [35.0, 36.0, 37.0, 38.0, 39.0]
    assert len(degrees(await filled.get(f"{path}?history=10000"))) == COUNT
    span = f"history=100&since={began() + 3}&until={began() + 6}"
    assert degrees(await filled.get(f"{path}?{span}")) == [3.0, 4.0, 5.0]
    assert degrees(await filled.get(f"{path}?until={began() + 6}")) == [5.0]
    assert degrees(await filled.get("/mesh/nodes/5/data/2?history=2")) == [38.0, 39.0]


async def test_what_is_not_on_the_disk_yet_is_there_too(filled: Whole) -> None:
    for celsius in (40, 41):
        filled.wing.manager.received(temperature(5, celsius))
    told = await filled.get("/mesh/nodes/5/data/Temperature?history=10")
    assert degrees(told) == [*map(float, range(32, 42))]
    await filled.wing.keeper.write()
    assert await filled.get("/mesh/nodes/5/data/Temperature?history=10") == told


async def test_a_type_that_a_node_has_never_measured_is_empty(filled: Whole) -> None:
    assert (await filled.get("/mesh/nodes/6/data/Temperature"))["values"] == []


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/mesh/nodes/9", "there is no node 9"),
        ("/mesh/nodes/9/data/Temperature", "there is no node 9"),
        ("/mesh/nodes/5/data/Heat", "there is no data type Heat"),
        ("/mesh/nodes/5/data/99", "there is no data type 99"),
    ],
)
async def test_what_is_not_there_is_404(filled: Whole, path: str, detail: str) -> None:
    assert await filled.get(path, 404) == {"detail": detail}


@pytest.mark.parametrize(
    "path",
    [
        "nodes/x",
        "nodes/-1",
        "nodes/65536",
        "nodes/5/data/2?history=-1",
        "nodes/5/data/2?history=10001",
        "nodes/5/data/2?since=nan",
        "nodes/5/data/2?when=now",
        "traffic?limit=0",
        "traffic?limit=501",
    ],
)
async def test_what_is_asked_wrong_is_422(filled: Whole, path: str) -> None:
    assert (await filled.get(f"/mesh/{path}", 422))["detail"]


async def test_a_message_goes_to_a_node(bench: Whole, root: Root) -> None:
    sent = {"state": "sent", "attempts": 0, "reason": ""}
    assert await bench.post("/mesh/send", addr=5, payload="01 ff") == sent
    assert await bench.post("/mesh/send", addr=5, text="grün") == sent
    assert await bench.post("/mesh/send", addr=0, opcode="echo", text="hi") == sent
    assert await bench.post("/mesh/send", addr=5, opcode="T") == sent
    assert await bench.post("/mesh/send", addr=5, opcode=82, payload="02", important=True) == sent
    assert await bench.post("/mesh/broadcast", text="all") == sent
    assert root.payloads == [
        b"SEND-\x00\x05\x01\xff",
        b"SEND-\x00\x05gr\xc3\xbcn",
        b"SEND-\x00\x00Ehi",
        b"SEND-\x00\x05T",
        b"SENDI\x00\x05R\x02",
        b"BCAST\x00\x00all",
    ]


async def test_an_important_message_is_waited_for(bench: Whole, root: Root) -> None:
    root.answer = lambda _: bench.wing.manager.received(ack(5, attempts=2))
    body: dict[str, Any] = {"addr": 5, "text": "x", "important": True}
    assert await bench.post("/mesh/send", **body, wait_s=10) == {
        "state": "delivered",
        "attempts": 2,
        "reason": "",
    }
    root.answer = lambda _: None
    assert (await bench.post("/mesh/send", **body, wait_s=0.01))["state"] == "unknown"


async def test_the_root_is_restarted_and_its_network_cleaned(bench: Whole, root: Root) -> None:
    for path, command in (("/mesh/reset", b"RST-R"), ("/mesh/clean", b"CLEAN")):
        bench.wing.manager.received(node_info(5))
        assert (await bench.post(path))["state"] == "sent"
        assert root.payloads[-1] == command
        assert (await bench.get("/mesh/nodes/5"))["state"] == "disconnected"


@pytest.mark.parametrize("path", ["send", "broadcast", "reset", "clean"])
async def test_without_a_serial_connection_it_is_503(bench: Whole, path: str) -> None:
    body = {"addr": 5, "text": "x"} if path == "send" else {"text": "x"}
    assert await bench.post(f"/mesh/{path}", 503, **body) == {"detail": "No Serial Connection"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"addr": 5},
        {"text": "x"},
        {"addr": -1, "text": "x"},
        {"addr": 65_536, "text": "x"},
        {"addr": 5, "payload": "0"},
        {"addr": 5, "payload": "xy"},
        {"addr": 5, "payload": "00", "text": "x"},
        {"addr": 5, "opcode": "nonsense"},
        {"addr": 5, "opcode": 256},
        {"addr": 5, "text": "ä" * 1000},
        {"addr": 5, "payload": "00" * 1025},
        {"addr": 5, "text": "x", "wait_s": 11},
        {"addr": 5, "text": "x", "urgent": True},
    ],
)
async def test_a_message_that_is_none_is_422(bench: Whole, root: Root, body: dict[str, Any]) -> None:
    assert (await bench.post("/mesh/send", 422, **body))["detail"]
    assert root.sent == []


async def test_the_traffic_is_read_oldest_first(bench: Whole) -> None:
    bench.wing.manager.received(data(5, (0, b"\x07")))
    bench.wing.manager.received(ONLINE)
    lines = (await bench.get("/mesh/traffic?limit=500"))["lines"]
    told = [(each["direction"], each["addr"], each["text"], each["raw"]) for each in lines if each["addr"]]
    assert told == [
        ("note", 5, "Node-5 connected", ""),
        ("up", 5, "Node-5: Sequence 7", "000544010007"),
        ("up", 1, 'root: has started: "online', ONLINE.hex()),
        ("note", 5, "Node-5 is disconnected: the root module has restarted", ""),
    ]
    assert (await bench.get("/mesh/traffic?limit=1"))["lines"] == lines[-1:]


async def test_a_node_is_forgotten_with_all_that_it_has_measured(filled: Whole) -> None:
    answer = await filled.http.delete("/mesh/nodes/5")
    assert (answer.status_code, answer.json()) == (200, {"addr": 5})
    await filled.get("/mesh/nodes/5", 404)
    assert (await filled.http.delete("/mesh/nodes/5")).status_code == 404
    filled.wing.manager.received(temperature(5, 20))
    assert degrees(await filled.get("/mesh/nodes/5/data/Temperature?history=10000")) == [20.0]


async def test_a_database_that_is_locked_is_503(filled: Whole) -> None:
    path = filled.wing.keeper._database.path
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await filled.http.delete("/mesh/nodes/5")
        assert (answer.status_code, list(answer.json())) == (503, ["detail"])
        other.execute("ROLLBACK")
    assert (await filled.get("/mesh/nodes/5"))["addr"] == 5


async def test_a_history_that_cannot_be_read_is_503_and_the_last_values_are_there(filled: Whole) -> None:
    path = filled.wing.keeper._database.path
    await asyncio.to_thread(_destroy, path)
    await filled.get("/mesh/nodes/5/data/Temperature?history=100", 503)
    assert degrees(await filled.get("/mesh/nodes/5/data/Temperature")) == [39.0]


def _destroy(path: Path) -> None:
    for ending in ("-wal", "-shm", ""):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    path.mkdir()


async def test_who_may_only_read_changes_nothing(tmp_path: Path) -> None:
    async with whole(tmp_path, "", Access((), ("controls-00001",))) as bench:
        bench.wing.manager.received(net_info(5))
        calls = [
            bench.http.post("/mesh/send", json={"addr": 5, "text": "x"}),
            bench.http.post("/mesh/broadcast", json={"text": "x"}),
            bench.http.post("/mesh/reset"),
            bench.http.post("/mesh/clean"),
            bench.http.delete("/mesh/nodes/5"),
        ]
        for answer in await asyncio.gather(*calls):
            assert (answer.status_code, list(answer.json())) == (403, ["detail"])
        assert (await bench.get("/mesh/nodes/5"))["addr"] == 5


async def test_two_hundred_nodes_are_answered_for_at_once(bench: Whole) -> None:
    for addr in range(5, 205):
        bench.wing.manager.received(temperature(addr, 20))
    await until(lambda: bench.active() == 200)
    assert len((await bench.get("/mesh/nodes"))["nodes"]) == 200
