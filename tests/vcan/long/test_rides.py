"""A morning at the bench, and power cuts: real frames, real processes, a real file."""

import contextlib
import json
import random
import re
import signal
import sqlite3
import subprocess
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mock.profile import hydraulic
from tests.vcan.bench import CHANNEL, health, lesmock, listening, pause, until
from tests.vcan.client import client

Report = Callable[[str, object], None]

RIDES = 40
HOLD_S = 0.8
PAUSE_S = 1.6
# Quicker than a hydraulic lift, so that a morning takes three minutes; a re-level is slow anywhere.
LIFT = (
    *("--profile", "hydraulic", "--speed", "1000", "--acceleration", "1000", "--jerk", "3000"),
    *("--creep-speed", "100", "--creep-distance", "100", "--pause", str(PAUSE_S)),
)
RIDES_ON = {"LES02_RIDES__ENABLED": "true", "LES02_RIDES__HOLD_S": str(HOLD_S)}
RE_LEVEL_MM = 6
KILLS = 20
# Positions come every 4 ms; after a pause like this the lift has moved unseen.
PUNCTUAL_S = 0.02
_BEGUN = re.compile(r"ride \d+: (up|down) (\d+) mm from (\d+) mm")


class Made(NamedTuple):
    """What the simulated lift says that it did."""

    direction: str
    distance_mm: int
    start_mm: int

    @property
    def duration_s(self) -> float:
        return hydraulic(self.distance_mm, 1000.0, 1000.0, 3000.0, 100.0, 100.0).duration_s


def made(said: str) -> list[Made]:
    found = (_BEGUN.search(line) for line in said.splitlines())
    return [Made(m[1], int(m[2]), int(m[3])) for m in found if m]


def kept(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM rides ORDER BY number")]


def last_sample_ts(path: Path, ride: dict[str, Any]) -> float:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT offsets_us FROM samples WHERE ride = ?"
        offsets = [json.loads(text) for (text,) in connection.execute(query, (ride["number"],))]
    last_us: int = max(each[-1] for each in offsets)
    return float(ride["start_ts"]) + last_us / 1e6


def longest_pause(times: list[float], since: float, until_ts: float) -> float:
    inside = times[bisect_left(times, since) : bisect_left(times, until_ts)]
    return max((after - before for before, after in pairwise(inside)), default=0.0)


def a_morning() -> list[int]:
    """Floors so that there are so many rides, and a re-level after every fifth."""
    chance = random.Random(1)
    floors = [20_000]
    for number in range(RIDES):
        floors.append(floors[-1] + chance.choice([-1, 1]) * chance.randint(400, 1600))
        if number % 5 == 4:
            floors.append(floors[-1] - RE_LEVEL_MM)
    return floors


@pytest.mark.timeout(400)
def test_a_morning_of_rides_is_so_many_rides_as_they_were(tmp_path: Path, record_property: Report) -> None:
    path = tmp_path / "les02.db"
    settings = {**RIDES_ON, "LES02_DATABASE__PATH": str(path)}
    floors = a_morning()
    count = len(floors) - 1
    with listening(tmp_path, CHANNEL, 0, **settings) as listener, client(listener) as heard:
        arguments = ("--floors", ",".join(map(str, floors)), "--count", str(count), *LIFT)
        with lesmock(tmp_path / "lesmock", *arguments) as mock:
            assert mock.wait(350) == 0
            truth = [ride for ride in made(mock.said()) if ride.distance_mm != RE_LEVEL_MM]
        until(lambda: len(heard.events("ride_end")) >= RIDES, "the last ride's end")
        time.sleep(1.0)
        ended = [event["payload"] for event in heard.events("ride_end")]
        ends_ts = [event["ts"] for event in heard.events("ride_end")]
        times = [position.ts for position in heard.positions() if position.channel == "master"]
        relevels = heard.events("relevel")
        assert listener.end()[0] == 0
    stored = kept(path)
    assert len(truth) == len(ended) == len(stored) == RIDES
    durations, pauses = [], []
    for ride, event, row, end_ts in zip(truth, ended, stored, ends_ts, strict=True):
        summary = event["summary"]
        assert json.loads(row["summary"]) | {"relevels": 0} == summary
        assert (row["direction"], row["reason"]) == (ride.direction, "completed")
        assert summary["distance_mm"] == pytest.approx(ride.distance_mm, abs=1.0)
        assert summary["start_position_mm"] == pytest.approx(ride.start_mm, abs=1.0)
        durations.append(summary["duration_s"] - ride.duration_s)
        pauses.append(longest_pause(times, end_ts - summary["duration_s"] - 0.5, end_ts + 0.5))
        assert [phase["name"] for phase in summary["phases"]] == [
            *("start", "acceleration", "full_speed", "deceleration", "creep", "stop")
        ]
        assert summary["creep_speed_mm_s"] == pytest.approx(100.0, abs=10.0)
    # The simulated lift goes on while the machine has no time for it: what it did then nobody has seen.
    for error_s, pause_s in zip(durations, pauses, strict=True):
        assert abs(error_s) <= 0.05 + (pause_s if pause_s > PUNCTUAL_S else 0.0)
    assert sum(pause_s <= PUNCTUAL_S for pause_s in pauses) >= RIDES / 2
    assert len(relevels) == RIDES // 5
    assert all(abs(event["payload"]["distance_mm"]) == RE_LEVEL_MM for event in relevels)
    record_property("rides", len(ended))
    record_property("punctual", sum(pause_s <= PUNCTUAL_S for pause_s in pauses))
    record_property("duration_errors_ms", f"{1000 * min(durations):.0f} to {1000 * max(durations):.0f}")


@pytest.mark.timeout(500)
def test_killed_at_any_moment_no_ride_is_lost_and_a_second_of_one_at_most(
    tmp_path: Path, record_property: Report
) -> None:
    path = tmp_path / "les02.db"
    settings = {**RIDES_ON, "LES02_DATABASE__PATH": str(path)}
    chance = random.Random(2)
    told: set[str] = set()
    cut: dict[str, float] = {}
    floors = ",".join(map(str, a_morning()))
    with lesmock(tmp_path / "lesmock", "--floors", floors, *LIFT):
        for _ in range(KILLS):
            with listening(tmp_path, CHANNEL, 0, **settings) as listener, client(listener) as heard:
                time.sleep(chance.uniform(1.0, 9.0))
                # What it has said until it stands still it said before it was killed.
                pause(listener.process.pid)
                time.sleep(0.3)
                # What it had not read by then is the business of the machine, and not of the disk.
                seen_until = heard.last_position_ts()
                begun = {event["payload"]["ride_id"] for event in heard.events("ride_start")}
                over = {event["payload"]["ride_id"] for event in heard.events("ride_end")}
                listener.end(signal.SIGKILL)
            told |= begun | over
            assert seen_until is not None
            cut |= dict.fromkeys(begun - over, seen_until)
    with listening(tmp_path, CHANNEL, 0, **settings) as listener:
        assert listener.end()[0] == 0
    stored = {ride["id"]: ride for ride in kept(path)}
    assert told <= stored.keys()
    assert all(ride["reason"] for ride in stored.values())
    lost = {}
    for ride_id, seen_until in cut.items():
        ride = stored[ride_id]
        assert ride["reason"] in {"aborted", "completed"}
        lost[ride_id] = seen_until - last_sample_ts(path, ride)
    assert all(seconds <= 1.0 + 0.5 for seconds in lost.values()), lost
    record_property("rides", len(stored))
    record_property("cut_off", len(cut))
    record_property("lost_s_at_most", round(max(lost.values(), default=0.0), 2))


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.timeout(200)
def test_a_full_disk_costs_nothing_that_there_is_room_for_later(
    tmp_path: Path, record_property: Report
) -> None:
    settings = dict(RIDES_ON)
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "les02.db"
        settings["LES02_DATABASE__PATH"] = str(path)
        with listening(tmp_path, CHANNEL, 0, **settings) as listener, client(listener) as heard:
            filler = disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            floors = ("--floors", "1000,2500,800,1900", "--count", "3")
            with lesmock(tmp_path / "lesmock", *floors, *LIFT) as mock:
                failed = heard.wait_for("error", code="storing_failed").event["payload"]["details"]
                assert mock.wait(60) == 0
            until(lambda: len(heard.events("ride_end")) == 3, "three rides")
            assert health(listener)["rides"]["storing"] != "ok"
            filler.unlink()
            heard.wait_for("status", state="storing_again")
            until(lambda: len(kept(path)) == 3 and kept(path)[-1]["reason"], "the rides on the disk")
            assert listener.end()[0] == 0
        told = [event["payload"] for event in heard.events("ride_end")]
        stored = kept(path)
    assert [(ride["id"], ride["reason"]) for ride in stored] == [(t["ride_id"], "completed") for t in told]
    assert [json.loads(ride["summary"]) for ride in stored] == [t["summary"] for t in told]
    record_property("kind", failed["kind"])
