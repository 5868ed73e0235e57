"""A mesh beside the sensor: the real daemon with its mesh and its REST API, and the root module of the mock.

    with mesh_benches(folder, nodes=3) as bench:     # all of them have joined when this is entered
        bench.fix(5, TEMPERATURE, 2339)              # what node 5 measures from now on: the octets' number
        bench.silence(6); bench.silence(6, False)    # it says nothing, and goes on
        bench.unplug(); bench.plug_in()              # the module, or its cable
        bench.heard(5)                               # what a node was sent, oldest first
        with bench.program(): …                      # one listens on the TCP port

The root module lives in a thread with a loop of its own, on a pseudo terminal.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from mock.mesh_node import BATTERY, GPS, HUMIDITY, KINDS, PRESSURE, SEQUENCE, TEMPERATURE, Node
from mock.mock_mesh import MeshOptions, MockMesh, running
from tests.e2e.helpers import PATIENCE_S
from tests.page.bench import FLAGS, Bench, benches

T = TypeVar("T")

SETTINGS = {
    "LES02_API__ENABLED": "true",
    "LES02_API__HOST": "127.0.0.1",
    "LES02_API__PORT": "0",
    "LES02_MESH__ENABLED": "true",
    "LES02_MESH__HOST": "127.0.0.1",
    "LES02_MESH__TCP_PORTS": "[0]",
    "LES02_MESH__WEBSOCKET_PORT": "0",
    "LES02_MESH__REOPEN_S": "0.5",
}
FIRST, SECOND, THIRD = 5, 6, 7
_OCTETS = {SEQUENCE: 1, GPS: 6, TEMPERATURE: 2, PRESSURE: 4, BATTERY: 2, HUMIDITY: 2}
assert set(_OCTETS) == set(KINDS)


class MeshBench:
    def __init__(self, bench: Bench, mesh: MockMesh, loop: asyncio.AbstractEventLoop) -> None:
        self.bench = bench
        self.mesh = mesh
        self.url = bench.url
        self.daemon = bench.daemon
        self._loop = loop

    @property
    def api(self) -> str:
        return str(self.daemon.logged("api_started")["url"])

    def get(self, path: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.api}{path}", timeout=PATIENCE_S)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def node(self, addr: int) -> Node:
        return self._do(lambda: self.mesh.network.node(addr))

    def fix(self, addr: int, kind: int, number: int) -> None:
        node = self.node(addr)
        others = node.value
        fixed = number.to_bytes(_OCTETS[kind], "big", signed=kind == TEMPERATURE)

        def value(asked: int, now_s: float) -> bytes:
            return fixed if asked == kind else others(asked, now_s)

        node.value = value  # type: ignore[method-assign, assignment]

    def silence(self, addr: int, silent: bool = True) -> None:
        self.node(addr).silent = silent

    def heard(self, addr: int) -> list[bytes]:
        return self._do(lambda: list(self.mesh.network.node(addr).heard))

    def unplug(self) -> None:
        self._do(self.mesh.unplug)

    def plug_in(self) -> None:
        self._do(self.mesh.plug_in)

    @property
    def boots(self) -> int:
        return self.mesh.network.boots

    @contextmanager
    def program(self) -> Iterator[socket.socket]:
        port = self.get("/mesh")["tcp_ports"][0]
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as line:
            line.sendall(b"[syn]\0")
            assert line.recv(6) == b"[ack]\0"
            yield line

    def _do(self, what: Callable[[], T]) -> T:
        async def done() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(PATIENCE_S)


@contextmanager
def meshes(port: Path, options: MeshOptions) -> Iterator[tuple[MockMesh, asyncio.AbstractEventLoop]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="the mesh")
    thread.start()
    there = threading.Event()
    made: list[MockMesh] = []

    async def live(over: asyncio.Event) -> None:
        async with running(options, port) as mesh:
            made.append(mesh)
            there.set()
            await over.wait()

    over = asyncio.Event()
    task = asyncio.run_coroutine_threadsafe(live(over), loop)
    try:
        assert there.wait(PATIENCE_S), task.exception(0)
        yield made[0], loop
    finally:
        loop.call_soon_threadsafe(over.set)
        task.result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def mesh_benches(
    folder: Path,
    *,
    nodes: int = 3,
    interval_s: float = 0.5,
    port: int = 0,
    device: Path | None = None,
    settings: dict[str, str] | None = None,
    **options: Any,
) -> Iterator[MeshBench]:
    given = MeshOptions(nodes=nodes, interval_s=interval_s, seed=1, **options)
    flags = (*FLAGS[:-1], str(port))
    device = device or folder / "ttyMesh"
    where = {"LES02_MESH__DEVICE": str(device)}
    with (
        meshes(device, given) as (mesh, loop),
        benches(folder, flags=flags, **SETTINGS | where | (settings or {})) as bench,
    ):
        yield MeshBench(bench, mesh, loop)
