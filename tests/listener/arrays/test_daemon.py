"""The arrays in the daemon itself, as a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from websockets.asyncio.client import connect

from listener.arrays import notation
from tests.e2e.helpers import ROOT, Daemon, daemon, leslisten, receive
from tests.listener.api_bench import QUIET
from tests.listener.arrays.benches import array_of, ask, hear_until, octets_of
from tests.listener.arrays.strategies import any_arrays

ON = {"LES02_ARRAYS__ENABLED": "true"}
API = {"LES02_API__ENABLED": "true", "LES02_API__PORT": "0", "LES02_API__HOST": "127.0.0.1"}
MIB = 1024 * 1024
PATIENCE_S = 30.0


def client_of(running: Daemon) -> httpx.Client:
    port = str(running.logged("api_started")["url"]).rpartition(":")[2]
    running.logged("listener_started")
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, httpx.Client]]:
    place = tmp_path_factory.mktemp("arrays")
    more = {"LES02_RIDES__ENABLED": "false", "LES02_DATABASE__PATH": str(place / "les02.db")}
    with daemon(*QUIET, cwd=place, **ON, **API, **more) as running, client_of(running) as client:
        yield running, client


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.timeout(180)
@settings(max_examples=60)
@given(any_arrays())
def test_any_array_comes_back_as_it_was(served: tuple[Daemon, httpx.Client], array: Any) -> None:
    _, client = served
    answer = client.post("/upload", files={"file": ("a.npy", octets_of(array))})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["shape"], told["dtype"]) == (list(array.shape), str(array.dtype))
    path = f"/array/{told['index']}"
    again = array_of(client.get(path, params={"format": "npy"}).content)
    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert client.get(path).json()["data"] == json.loads(json.dumps(notation.to_lists(array)))
    assert client.get(path, params={"format": "csv"}).status_code in {200, 422}
    if array.ndim:
        part = array_of(client.get(path, params={"format": "npy", "rows": "1:"}).content)
        assert part.tobytes() == array[1:].tobytes()
    assert client.delete(path).status_code == 200


def test_a_large_array_passes_through_little_memory(served: tuple[Daemon, httpx.Client]) -> None:
    running, client = served
    client.post("/upload", files={"file": octets_of(np.arange(1000.0))})  # what is needed once is there
    client.get("/array/0")
    before = running.resident_kib()
    array = np.arange(12 * MIB, dtype=np.float64)  # 96 MiB
    index = client.post("/upload", files={"file": octets_of(array)}).json()["index"]
    most = running.resident_kib()
    for query in ("format=npy", "format=npy&rows=1:", "rows=::8", "format=csv&rows=:1000000"):
        with client.stream("GET", f"/array/{index}?{query}") as answer:
            assert answer.status_code == 200
            for _ in answer.iter_raw():
                pass
        most = max(most, running.resident_kib())
    assert most - before < 40 * 1024
    client.delete(f"/array/{index}")


async def test_without_the_api_it_is_a_websocket_alone(tmp_path: Path) -> None:
    more = {"LES02_DATABASE__PATH": str(tmp_path / "les02.db")}
    demo = ("--demo", "--host", "127.0.0.1", "--port", "0")
    with daemon(*demo, cwd=tmp_path, **ON, **more) as running:
        async with connect(running.url, proxy=None) as client:
            assert (await receive(client))["payload"]["parts"] == ["demo", "rides", "arrays"]
        async with connect(f"{running.url}/ws/stream", proxy=None) as client:
            for source in ("les02.position", "les02.velocity"):
                await ask(client, action="start", source=source, window=50)
                packet = await hear_until(client, "data", source=source)
                assert packet["shape"] == [len(packet["x"])] == [len(packet["y"])]
            health = json.loads(running.get("/healthz")[1])["arrays"]
            assert (health["connections"], health["streaming"]) == (1, True)
        code, took_s = running.end()
    assert (code, took_s < 3) == (0, True)


def test_a_mistake_in_the_section_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[arrays]\nmax_bytes = -1\n")
    told = leslisten(cwd=tmp_path)
    assert told.returncode == 78
    assert "[arrays] max_bytes: -1 is not" in told.stderr


def test_without_numpy_it_is_one_line_and_the_daemon_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[arrays]\nenabled = true\n")
    hidden = "import sys; sys.modules['numpy'] = None; from listener import extras, main; "
    hidden += "extras.importlib.util.find_spec = lambda name: None if name == 'numpy' else 1; "
    code = f"{hidden}sys.exit(main.main([]))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 78
    assert told.stderr == "leslisten: [arrays] enabled: needs: pip install 'les02-listener[arrays]'\n"


def test_a_daemon_without_arrays_loads_no_numpy(tmp_path: Path) -> None:
    code = (
        "import sys, asyncio; from listener import main, config; "
        "from pathlib import Path; loaded = config.load({'demo': True}, {}, Path('.')); "
        "main.Daemon(loaded); import listener.rides.wing, listener.workbench.wing; "
        "print('numpy' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"
