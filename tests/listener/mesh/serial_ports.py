"""A manager of a serial port with all that it told, and ports at which there is no root module."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from listener.config import MeshConfig
from listener.mesh.uart_codec import Decoder
from listener.mesh.uart_manager import Timing, UartManager
from mock.mesh_network import MeshOptions
from mock.pseudo_port import PseudoPort

PATIENCE_S = 15.0
# Between two turns of a loop that nobody blocks, on a machine that is busy.
TURN_S = 5.0
_USUAL = Timing()


class Desk:
    """`states` are the states told, `told` these with the reasons."""

    def __init__(self, config: MeshConfig, avoid: Callable[[], Collection[str]], timing: Timing) -> None:
        self.payloads: list[bytes] = []
        self.told: list[tuple[str, str]] = []
        self.manager = UartManager(
            config, self.payloads.append, lambda *what: self.told.append(what), avoid, timing=timing
        )

    @property
    def states(self) -> list[str]:
        return [state for state, _ in self.told]

    async def state(self, state: str, why: str = "") -> None:
        await until(lambda: self.manager.state == state and why in self.manager.why)


@asynccontextmanager
async def desk(
    device: Path | str = "",
    *,
    avoid: Callable[[], Collection[str]] = tuple,
    timing: Timing = _USUAL,
    **config: Any,
) -> AsyncIterator[Desk]:
    config = {"reopen_s": 0.25, **config}
    found = Desk(MeshConfig(enabled=True, device=str(device), **config), avoid, timing)
    running = asyncio.create_task(found.manager.run(), name="the manager")
    try:
        yield found
    finally:
        running.cancel()
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


def options(**more: Any) -> MeshOptions:
    return MeshOptions(**{"seed": 1, "nodes": 3, "interval_s": 0.05, "boot_s": 0.02, "join_s": 0.005, **more})


class Stranger:
    """Something at a serial port that is no root module: `says` is its answer to what it is told."""

    def __init__(self, link: Path, says: Callable[[bytes], bytes] = lambda _octets: b"") -> None:
        self.heard = b""
        self.commands: list[bytes] = []
        self._decoder = Decoder()
        self._says = says
        self.port = PseudoPort(link, self._receive)

    def _receive(self, octets: bytes) -> None:
        self.heard += octets
        self.commands += self._decoder.feed(octets)
        self.port.write(self._says(octets))


@contextmanager
def stranger(link: Path, says: Callable[[bytes], bytes] = lambda _octets: b"") -> Iterator[Stranger]:
    found = Stranger(link, says)
    try:
        yield found
    finally:
        found.port.unplug()


def opened_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every path that is opened from now on."""
    paths: list[str] = []
    real = os.open

    def recording(path: Any, *arguments: Any, **more: Any) -> int:
        paths.append(str(path))
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "open", recording)
    return paths


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
