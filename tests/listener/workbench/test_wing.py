"""The workbench in the daemon itself, as a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

from websockets.asyncio.client import connect

from tests.e2e.helpers import ROOT, daemon, leslisten, receive

DEMO = ("--demo", "--host", "127.0.0.1", "--port", "0")


async def test_without_the_api_it_is_a_websocket_alone(tmp_path: Path) -> None:
    variables = {
        "LES02_WORKBENCH__ENABLED": "true",
        "LES02_WORKBENCH__BUSES": '{spare = {device_type = "virtual", channel = "spare"}}',
        "LES02_DATABASE__PATH": str(tmp_path / "les02.db"),
    }
    with daemon(*DEMO, cwd=tmp_path, **variables) as running:
        async with connect(running.url, proxy=None) as client:
            assert (await receive(client))["payload"]["parts"] == ["demo", "rides", "workbench"]
        async with connect(f"{running.url}/ws/can?bus=les02&ids=0x80", proxy=None) as client:
            frames = [await receive(client) for _ in range(20)]
        assert {frame["id"] for frame in frames} == {0x80}
        status, body = running.get("/healthz")
        assert status == 200
        assert json.loads(body)["workbench"]["buses"].keys() == {"les02", "spare"}
        assert running.get("/ws/can")[0] == 404
        code, took_s = running.end()
    assert (code, took_s < 3) == (0, True)


async def test_it_is_off_until_it_is_wanted(tmp_path: Path) -> None:
    with daemon(*DEMO, cwd=tmp_path, LES02_RIDES__ENABLED="false") as running:
        async with connect(running.url, proxy=None) as client:
            assert (await receive(client))["payload"]["parts"] == ["demo"]
        assert "workbench" not in json.loads(running.get("/healthz")[1])


def test_a_mistake_in_a_bus_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[workbench.buses.one]\ndevice_type = "pcan"\nbitrate = 500000\n')
    told = leslisten(cwd=tmp_path)
    assert told.returncode == 78
    assert "[workbench] buses" in told.stderr


def test_the_door_alone_loads_neither_fastapi_nor_cantools() -> None:
    names = "cantools fastapi pydantic serial uvicorn"
    code = (
        "import sys, listener.workbench.wing; "
        f"print([name for name in {names.split()} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
