"""`lesrides` as a technician types it, on what the daemon's own recorder has stored."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from listener import events
from listener.commands import Commands
from listener.config import RidesConfig
from listener.database import Database
from listener.hub import Hub
from listener.rides.cli import main
from listener.rides.recorder import Recorder
from listener.rides.wing import rides
from mock.profile import Profile, hydraulic
from tests.listener.rides.bench import Lift

ROOT = Path(__file__).parents[3]
PATIENCE_S = 20.0
BOTH = ("master", "slave")
SPECIMENS = ("V-17", "V-17", "V-18 Prüfling", "")
DISTANCES_MM = (3000.0, -3000.0, 3000.0, -2000.0)


def at_bench() -> tuple[Lift, float]:
    """Four rides: the third is like the first, but slower."""
    drives: list[tuple[float, Profile]] = []
    at_s = 3.0
    for number, distance_mm in enumerate(DISTANCES_MM):
        ride = hydraulic(distance_mm, speed_mm_s=500.0 if number == 2 else 630.0)
        drives.append((at_s, ride))
        at_s += ride.duration_s + 3.0
    return Lift(drives, start_mm=1000.0), at_s


LIFT, OVER_S = at_bench()


@contextlib.asynccontextmanager
async def daemon(path: Path) -> AsyncIterator[tuple[Hub, Recorder]]:
    """Its parts that keep rides."""
    hub, database = Hub(), Database(path)
    database.start()
    async with rides(hub, Commands(), database, RidesConfig(), resolution_mm=1.0, source="les02") as recorder:
        writing = asyncio.create_task(recorder.run())
        yield hub, recorder
        writing.cancel()
    await database.stop(5.0)


async def record(path: Path) -> None:
    async with daemon(path) as (hub, recorder):
        started = 0
        for channel, ts, raw in LIFT.samples(OVER_S, channels=BOTH):
            if recorder.ride is None and recorder.counts["rides"] == started:
                recorder.specimen = SPECIMENS[min(started, 3)]
                started += 1
            hub.publish(events.position_sample(ts, channel, raw))


class Typed:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.err: list[str] = []

    def __call__(self, *words: str, status: int = 0) -> list[str]:
        try:
            ended = main(list(words))
        except SystemExit as exc:
            ended = int(exc.code or 0)
        out, err = self._capsys.readouterr()
        self.err = err.splitlines()
        assert ended == status, (out, err)
        assert all(line.startswith("lesrides: ") for line in self.err)
        return out.splitlines()

    def json(self, *words: str, status: int = 0) -> Any:
        return json.loads("\n".join(self(*words, "--json", status=status)))

    def complaint(self, *words: str) -> str:
        assert self(*words, status=2) == []
        (line,) = self.err
        return line.removeprefix("lesrides: ")


def process(*words: str, **how: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "listener.rides.cli", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"} | how.pop("env", {}),
        **how,
    )
