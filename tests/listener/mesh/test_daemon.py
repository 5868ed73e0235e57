"""The mesh in the daemon itself, as a process of its own, with a root module on a pseudo terminal."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from schemathesis.specs.openapi.checks import response_schema_conformance
from websockets.asyncio.client import connect

from listener import config, main, wings
from mock.mesh_network import MeshOptions
from mock.mock_mesh import MockMesh
from mock.mock_mesh import running as root_module
from tests.e2e.helpers import PATIENCE_S, ROOT, Daemon, daemon, leslisten, receive
from tests.listener.api_bench import QUIET, Api
from tests.properties import ALWAYS, MODES, ask_everything

HERE = "127.0.0.1"
FAST = MeshOptions(nodes=3, interval_s=0.1, boot_s=0.05, join_s=0.01, seed=1)


def settings(folder: Path, device: str, **more: str) -> dict[str, str]:
    return {
        "LES02_MESH__ENABLED": "true",
        "LES02_MESH__DEVICE": device,
        "LES02_MESH__SCAN": "[]",
        "LES02_MESH__HOST": HERE,
        "LES02_MESH__TCP_PORTS": "[0]",
        "LES02_MESH__WEBSOCKET_PORT": "0",
        "LES02_MESH__REOPEN_S": "0.5",
        "LES02_RIDES__ENABLED": "false",
        "LES02_API__ENABLED": "true",
        "LES02_API__HOST": HERE,
        "LES02_API__PORT": "0",
        "LES02_DATABASE__PATH": str(folder / "les02.db"),
        **more,
    }


def api_of(running: Daemon) -> str:
    running.logged("listener_started")
    return str(running.logged("api_started")["url"])


def tcp_of(running: Daemon) -> int:
    (port,) = running.logged("mesh_listening")["ports"]
    return int(port)


@asynccontextmanager
async def bench(folder: Path, *arguments: str, **more: str) -> AsyncIterator[tuple[MockMesh, Daemon]]:
    """The root module runs in this process, on this loop; the daemon does not."""
    async with root_module(FAST, folder / "root") as root:
        opened = daemon(*(arguments or QUIET), cwd=folder, **settings(folder, str(folder / "root"), **more))
        running = opened.__enter__()
        try:
            await asyncio.to_thread(running.logged, "listener_started")
            yield root, running
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)


@asynccontextmanager
async def listening(running: Daemon) -> AsyncIterator[asyncio.StreamReader]:
    """Without anybody who listens the field's clients are answered nothing else."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(HERE, tcp_of(running))
        writer.write(b"[syn]\0")
        assert await reader.readexactly(6) == b"[ack]\0"
    try:
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


def watching(url: str) -> connect:
    return connect(url, proxy=None, max_queue=None, close_timeout=1)


async def ask(running: Daemon, request: bytes) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(HERE, tcp_of(running))
        writer.write(request)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer


async def answered(running: Daemon, request: bytes, wanted: bytes) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await ask(running, request) != wanted:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def hear(client: Any, type: str, **wanted: Any) -> dict[str, Any]:  # noqa: A002 - its name on the wire
    while True:
        event = await receive(client)
        if event["type"] == type and wanted.items() <= event.get("payload", event).items():
            return event


async def test_every_way_to_the_mesh_at_once_while_the_sensor_runs(tmp_path: Path) -> None:
    demo = ("--demo", "--host", HERE, "--port", "0")
    async with bench(tmp_path, *demo) as (_, running):
        monitor = str(running.logged("mesh_websocket_started")["url"])
        async with (
            listening(running) as listener,
            httpx.AsyncClient(base_url=api_of(running), trust_env=False, timeout=PATIENCE_S) as api,
        ):
            await answered(running, b"ACT-C", b"S\x03")
            async with watching(running.url) as events, watching(monitor) as page:
                hello = await receive(events)
                assert "mesh" in hello["payload"]["parts"]
                await hear(events, "position_sample")
                data = await hear(events, "node_data", addr=5)
                assert data["source"] == "mesh"
                assert data["payload"]["values"]["Temperature"]["unit"] == "°C"
                assert await receive(page) == {
                    "type": "connectionStatus",
                    "socket": "connected",
                    "uart": "connected",
                }
                assert len((await receive(page))["nodes"]) == 3
                body = {"addr": 5, "opcode": "echo", "text": "hi", "important": True, "wait_s": 10}
                assert (await api.post("/mesh/send", json=body)).json()["state"] == "delivered"
                async with asyncio.timeout(PATIENCE_S):
                    await listener.readuntil(b"\x00\x05Ehi")
                assert (await api.post("/mesh/reset")).json()["state"] == "sent"
                await hear(events, "node_status", addr=5, state="disconnected")
                await hear(events, "node_connected", addr=5, again=True)
                told = (await api.get("/mesh/nodes")).json()["nodes"]
                assert [node["addr"] for node in told] == [5, 6, 7]
        status, health = await asyncio.to_thread(running.get, "/healthz")
        assert (status, json.loads(health)["mesh"]["uart"]) == (200, "connected")
        _, metrics = await asyncio.to_thread(running.get, "/metrics")
        assert "les02_mesh_uart_up 1" in metrics
        code, took_s = await asyncio.to_thread(running.end)
        assert (code, took_s < 5) == (0, True)
        assert [each for each in running.records() if each["level"] == "error"] == []


def nodes_of(running: Daemon) -> list[dict[str, Any]]:
    with httpx.Client(base_url=api_of(running), trust_env=False, timeout=PATIENCE_S) as client:
        found: list[dict[str, Any]] = client.get("/mesh/nodes").json()["nodes"]
        return found


async def test_after_a_restart_nodes_are_known_and_wait_to_be_heard(tmp_path: Path) -> None:
    async with bench(tmp_path) as (_, running), asyncio.timeout(PATIENCE_S):
        known: list[dict[str, Any]] = []
        while sum("Temperature" in node["data"] for node in known) < 3:
            known = await asyncio.to_thread(nodes_of, running)
        await asyncio.to_thread(running.end)
    with daemon(*QUIET, cwd=tmp_path, **settings(tmp_path, str(tmp_path / "root"))) as again:
        nodes = nodes_of(again)
        assert [node["addr"] for node in nodes] == [5, 6, 7]
        for node in nodes:
            assert (node["state"], node["data"]["Temperature"]["unit"]) == ("disconnected", "°C")
            assert len(node["uuid"]) == 32
        assert again.end()[0] == 0


async def test_an_unplugged_root_disturbs_nothing_and_is_found_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as (root, running), watching(running.url) as events:
        await hear(events, "node_data", addr=5)
        root.unplug()
        await hear(events, "status", channel="uart", state="disconnected")
        root.plug_in()
        await hear(events, "status", channel="uart", state="connected")
        await hear(events, "node_data", addr=5)


@contextmanager
def quiet_mesh(place: Path) -> Iterator[Api]:
    """Without a root module: what is asked changes nothing."""
    database = place / "les02.db"
    with (
        daemon(*QUIET, cwd=place, **settings(place, str(place / "nothing"))) as running,
        httpx.Client(base_url=api_of(running), timeout=PATIENCE_S, trust_env=False) as client,
    ):
        yield Api(running, client, database)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", MODES)
def test_no_call_is_answered_with_what_its_document_does_not_say(tmp_path: Path, mode: str) -> None:
    with quiet_mesh(tmp_path) as api:
        tried = ask_everything(
            api,
            MODES[mode],
            examples=30,
            checks=(*ALWAYS[1:], response_schema_conformance),  # 503: there is no serial connection
            is_wanted=lambda path, _: path.startswith("/mesh"),
        )
        assert len(tried) >= 6
        records = api.daemon.records()
        assert [record["event"] for record in records if record["level"] == "error"] == []


def test_a_mistake_in_the_section_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[mesh]\ntcp_ports = [5001, 5002, 5003]\n")
    told = leslisten(cwd=tmp_path)
    assert told.returncode == 78
    assert "[mesh] tcp_ports: " in told.stderr


@pytest.mark.parametrize("arguments", [(), ("--check-config",)])
def test_a_mistake_in_a_file_that_it_names_is_one_line_with_its_place(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "types.json").write_text('{"Temperature": {"ID": 2, "Lenght": 2}}')
    (tmp_path / "config.toml").write_text('[mesh]\nenabled = true\ndata_types = "types.json"\n')
    told = leslisten(*arguments, cwd=tmp_path)
    assert told.returncode == 78
    assert told.stderr.startswith(
        'leslisten: [mesh] data_types: types.json: Temperature: unknown key "Lenght"'
    )
    assert told.stderr.count("\n") == 1


def test_a_file_that_is_broken_after_the_check_is_told_in_the_same_way(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    untouched_logging: None,
) -> None:
    (tmp_path / "config.toml").write_text('[mesh]\nenabled = true\nopcodes = "mine.json"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wings, "check", lambda _: None)
    arguments = ["--interface", "virtual", "--host", HERE, "--port", "0"]
    monkeypatch.setenv("LES02_DATABASE__PATH", str(tmp_path / "les02.db"))
    assert main.main(arguments) == 78
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "leslisten: [mesh] opcodes: mine.json: No such file or directory"


def test_without_its_extra_it_is_one_line_and_the_daemon_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[mesh]\nenabled = true\n")
    hidden = "import sys; sys.modules['serialx'] = None; from listener import extras, main; "
    hidden += "extras.importlib.util.find_spec = lambda name: None if name == 'serialx' else 1; "
    told = subprocess.run(
        [sys.executable, "-c", f"{hidden}sys.exit(main.main([]))"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 78
    assert told.stderr == "leslisten: [mesh] enabled: needs: pip install 'les02-listener[mesh]'\n"


async def test_the_adapters_of_buses_are_not_written_to(tmp_path: Path) -> None:
    """The sensor's own, and those that the workbench has opened or looks for."""
    loaded = config.load({}, {"LES02_WORKBENCH__ENABLED": "true"}, tmp_path)
    bus = config.WorkbenchBus("slcan", "/dev/ttyACM3", "BAUD_500K")
    changed = msgspec.structs.replace(
        loaded.config,
        can=config.CanConfig("slcan", "/dev/ttyUSB7@115200"),
        workbench=config.WorkbenchConfig(enabled=True, buses={"second": bus}),
        rides=config.RidesConfig(enabled=False),
        database=config.DatabaseConfig(str(tmp_path / "les02.db")),
    )
    built = main.Daemon(config.Loaded(changed, loaded.origins))
    assert built.wings._serial_devices() == ["/dev/ttyUSB7"]
    async with AsyncExitStack() as stack:
        await built.wings.enter(stack)
        assert built.wings._serial_devices() == ["/dev/ttyUSB7", "/dev/ttyACM3"]
