"""Robots over HTTP, with a real server."""

import csv
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from listener.access import Access
from listener.robots import store
from listener.robots.answers import stamp
from tests.listener.robots.hall import Hall, hall

STEP_S = 3.0
COUNT = 40


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[Hall]:
    """A robot that was here for two minutes an hour ago; its battery loses a percent each time."""
    async with hall(tmp_path, groups={"stairs": ("robot_01", "robot_02")}) as bench:
        rows: list[store.Row] = [
            (began() + STEP_S * number, "robot_01", "Anna", (100.0 - number, None, 36.6, 90.0))
            for number in range(COUNT)
        ]
        await bench.wing.database.write(lambda connection: store.add(connection, rows))
        yield bench


def began() -> float:
    return float(int(time.time() / 3600) * 3600 - 3600)


async def test_robots_are_listed_with_what_is_known_of_them(filled: Hall) -> None:
    website, robot = await filled.website("?name=Tablet"), await filled.robot("robot_02")
    await robot.say("telemetry", battery=5, device_name="Berta")
    await robot.say("status", status="climbing", message="step 3")
    await robot.say("command_result", id=1, status="executed")
    await website.say("take_robot")
    await website.hear("robot_operator")
    told = await filled.get("/robots")
    (known,) = told["robots"]
    assert told["storing"] == "ok"
    assert (
        known.items()
        >= {
            "device_id": "robot_02",
            "device_name": "Berta",
            "status": "connected",
            "said": {"status": "climbing", "message": "step 3"},
            "wrong": ["low_battery"],
            "operator": {"id": "website-1", "name": "Tablet"},
            "confirms": True,
            "groups": ["stairs"],
        }.items()
    )
    assert known["telemetry"]["battery"] == 5
    assert abs(known["telemetry"]["ts"] - time.time()) < 10


async def test_telemetry_is_read_from_when_to_when_and_so_many(filled: Hall) -> None:
    all_of_it = (await filled.get("/robots/robot_01/telemetry"))["samples"]
    assert len(all_of_it) == COUNT
    assert all_of_it[0] == {
        "ts": began(),
        "battery": 100.0,
        "cpu": None,
        "temperature": 36.6,
        "signal": 90.0,
        "count": 1,
    }
    some = await filled.get(f"/robots/robot_01/telemetry?since={began() + 3}&until={began() + 12}")
    assert [each["battery"] for each in some["samples"]] == [99.0, 98.0, 97.0]
    assert some["more"] is False
    few = await filled.get("/robots/robot_01/telemetry?limit=7")
    assert (len(few["samples"]), few["more"]) == (7, True)
    means = await filled.get("/robots/robot_01/telemetry?every=60")
    assert [(each["battery"], each["count"]) for each in means["samples"]] == [(90.5, 20), (70.5, 20)]


async def test_pieces_of_it_put_together_are_all_of_it(filled: Hall) -> None:
    found: list[dict[str, Any]] = []
    more, since = True, 0.0
    while more:
        piece = await filled.get(f"/robots/robot_01/telemetry?limit=7&since={since!r}")
        found += piece["samples"]
        more, since = piece["more"], found[-1]["ts"] + 1e-3
    assert [each["battery"] for each in found] == [100.0 - number for number in range(COUNT)]


@pytest.mark.parametrize("rows_max", [10_000, 7])
async def test_telemetry_is_there_as_csv(
    filled: Hall, rows_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROWS_MAX", rows_max)
    answer = await filled.http.get("/robots/robot_01/telemetry.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="robot_01-telemetry.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["time", "ts", "battery", "cpu", "temperature", "signal"]
    assert rows[1] == [stamp(began()), repr(began()), "100.0", "", "36.6", "90.0"]
    assert [float(row[2]) for row in rows[1:]] == [100.0 - number for number in range(COUNT)]
    answer = await filled.http.get("/robots/robot_01/telemetry.csv?every=6")
    assert len(answer.text.splitlines()) == 1 + COUNT // 2


async def test_an_empty_span_is_no_error(filled: Hall) -> None:
    assert (await filled.get("/robots/robot_01/telemetry?since=9e9"))["samples"] == []
    answer = await filled.http.get("/robots/robot_01/telemetry.csv?until=1")
    assert answer.text == "time,ts,battery,cpu,temperature,signal\r\n"


async def test_a_robot_that_has_said_nothing_yet_is_there(filled: Hall) -> None:
    await filled.robot("robot_02")
    assert await filled.get("/robots/robot_02/telemetry") == {
        "device_id": "robot_02",
        "samples": [],
        "more": False,
    }


async def test_a_robot_that_was_never_there_is_404(filled: Hall) -> None:
    for path in ("/robots/robot_09/telemetry", "/robots/robot_09/telemetry.csv"):
        assert await filled.get(path, 404) == {"detail": "there is no robot robot_09"}


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=nan",
        "since=inf",
        "since=1e300",
        "until=-1e300",
        "every=0",
        "every=-1",
        "every=1e9",
        "limit=0",
        "limit=10001",
        "limit=1.5",
        "form=1",
    ],
)
async def test_what_is_asked_wrong_is_422(filled: Hall, query: str) -> None:
    told = await filled.get(f"/robots/robot_01/telemetry?{query}", 422)
    assert told["detail"]
    await filled.get("/robots/a%20b/telemetry", 422)


def put_a_folder_there(path: Path) -> None:
    for ending in ("-wal", "-shm", ""):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    path.mkdir()


async def test_a_database_that_cannot_be_read_is_503(filled: Hall) -> None:
    await filled.get("/robots/robot_01/telemetry")
    path = filled.wing.database.path
    await filled.wing.database.read(lambda connection: connection.execute("PRAGMA wal_checkpoint").fetchall())
    put_a_folder_there(path)
    await filled.get("/robots/robot_01/telemetry", 503)
    await filled.get("/robots/robot_01/telemetry.csv", 503)


async def test_with_read_tokens_one_is_needed(tmp_path: Path) -> None:
    async with hall(tmp_path, Access(("reads-only-0001",))) as bench:
        assert (await bench.http.get("/robots")).status_code == 401
        assert await bench.get("/robots?token=reads-only-0001") == {"robots": [], "storing": "ok"}
