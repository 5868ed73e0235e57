"""Rides over real HTTP, from a daemon's own process."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.helpers import ROOT, clean_environment
from tests.listener.api_bench import ELSEWHERE, Api, detail, serving
from tests.listener.rides.terminal import LIFT


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, recorded: Path) -> Iterator[Api]:
    """For what only reads."""
    with serving(tmp_path_factory.mktemp("kept"), recorded) as running:
        yield running


@pytest.fixture
def changing(tmp_path: Path, recorded: Path) -> Iterator[Api]:
    with serving(tmp_path, recorded) as running:
        yield running


def lesrides(api: Api, *words: str) -> bytes:
    ended = subprocess.run(
        [sys.executable, "-m", "listener.rides.cli", "--database", str(api.database), *words],
        cwd=api.database.parent,
        env=clean_environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        check=False,
    )
    assert ended.stderr == b""
    return ended.stdout


def listed(api: Api, **parameters: Any) -> list[int]:
    answer = api.client.get("/rides", params=parameters)
    assert answer.status_code == 200, answer.text
    return [ride["number"] for ride in answer.json()["rides"]]


def test_rides_are_listed_newest_first_filtered_and_paged(kept: Api) -> None:
    everything = kept.client.get("/rides").json()
    assert (everything["total"], everything["specimen"]) == (4, "")
    assert listed(kept) == [4, 3, 2, 1]
    assert listed(kept, limit=2) == [4, 3]
    assert listed(kept, limit=2, before=3) == [2, 1]
    assert listed(kept, direction="down") == [4, 2]
    assert listed(kept, specimen="V-17") == [2, 1]
    assert listed(kept, text="prüf") == [3]
    assert listed(kept, distance_min_mm=1900, distance_max_mm=2100) == [4]
    third = everything["rides"][1]["start_ts"]
    assert listed(kept, since=third) == [4, 3]
    assert listed(kept, until=third) == [2, 1]
    assert listed(kept, starred="true") == []
    assert listed(kept, reference="false", reason="completed") == [4, 3, 2, 1]


def test_a_ride_is_given_by_its_number_its_id_or_the_beginning_of_that(kept: Api) -> None:
    ride = kept.client.get("/rides/1").json()
    assert set(ride) == {"ride", "curve", "signals", "events"}
    assert ride["ride"]["distance_mm"] == pytest.approx(3000.0, abs=2.0)
    assert len({len(column) for column in ride["curve"].values()}) == 1
    assert [event["type"] for event in ride["events"]] == ["ride_start", "ride_end"]
    ride_id = ride["ride"]["id"]
    for which in (ride_id, ride_id[:8]):
        assert kept.client.get(f"/rides/{which}").json() == ride


def test_parts_of_a_ride_are_left_out_or_put_in(kept: Api) -> None:
    few = kept.client.get("/rides/1", params={"curve": "false", "events": "false", "signals": "false"}).json()
    assert set(few) == {"ride"}
    more = kept.client.get("/rides/1", params={"samples": "true"}).json()
    offsets_us, raw = more["samples"]["slave"]
    assert len(offsets_us) == len(raw) > 250 * LIFT.rides[0][1].duration_s


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("decimal_comma", [False, True])
def test_csv_is_byte_for_byte_what_lesrides_exports(kept: Api, raw: bool, decimal_comma: bool) -> None:
    answer = kept.client.get("/rides/1.csv", params={"raw": raw, "decimal_comma": decimal_comma})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = "ride-1-raw.csv" if raw else "ride-1.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    flags = [*(["--raw"] if raw else []), *(["--decimal-comma"] if decimal_comma else [])]
    assert answer.content == lesrides(kept, "export", "1", "--csv", *flags)
    assert answer.content.count(b"\r\n") > 400


def test_a_ride_is_compared_as_lesrides_compares_it(kept: Api) -> None:
    answer = kept.client.get("/rides/3/comparison", params={"reference": "1"})
    assert answer.json() == json.loads(lesrides(kept, "compare", "3", "1", "--json"))
    assert answer.json()["passed"] is False
    more = kept.client.get("/rides/3/comparison", params={"reference": 1, "curves": True}).json()
    assert len(more["curves"]["ride"]["speed_mm_s"]) > 100


def test_without_a_reference_there_is_nothing_to_compare_with(kept: Api) -> None:
    answer = kept.client.get("/rides/1/comparison")
    assert answer.status_code == 404
    assert "no reference goes up about as far as ride 1" in detail(answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/rides/17"),
        ("GET", "/rides/17.csv"),
        ("GET", "/rides/17/comparison"),
        ("PATCH", "/rides/17"),
        ("DELETE", "/rides/17"),
    ],
)
def test_a_ride_that_is_not_there_is_404_and_named(kept: Api, method: str, path: str) -> None:
    answer = kept.client.request(method, path, json={"note": "x"} if method == "PATCH" else None)
    assert (answer.status_code, detail(answer)) == (404, "there is no ride with '17'")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("direction=sideways", "direction"),
        ("limit=501", "limit"),
        ("limit=0", "limit"),
        ("before=-1", "before"),
        ("since=nan", "since"),
        ("since=yesterday", "since"),
        ("starred=perhaps", "starred"),
        ("direktion=up", "direktion"),
        (f"before={'9' * 5000}", "before"),
    ],
)
def test_a_wrong_parameter_is_422_and_named(kept: Api, query: str, word: str) -> None:
    answer = kept.client.get(f"/rides?{query}")
    assert answer.status_code == 422
    assert f"'{word}'" in detail(answer)
    assert len(answer.content) < 1000


def test_a_ride_is_annotated(changing: Api) -> None:
    client = changing.client
    ride = client.patch("/rides/1", json={"note": "Schraube 2 ¼ 🔩", "starred": True}).json()["ride"]
    assert (ride["note"], ride["is_starred"], ride["specimen"]) == ("Schraube 2 ¼ 🔩", True, "V-17")
    ride = client.patch("/rides/1", json={"specimen": "V-99", "reference": True}).json()["ride"]
    assert (ride["note"], ride["specimen"], ride["is_reference"]) == ("Schraube 2 ¼ 🔩", "V-99", True)
    assert client.get("/rides/3/comparison").json()["reference"] == 1
    assert client.patch("/rides/1", json={"reference": False}).json()["ride"]["is_reference"] is False
    assert client.get("/rides/1").json()["ride"]["note"] == "Schraube 2 ¼ 🔩"


def test_an_annotation_is_made_as_a_whole_or_not_at_all(changing: Api) -> None:
    with contextlib.closing(sqlite3.connect(changing.database)) as connection, connection:
        refusal = "BEGIN SELECT RAISE(ABORT, 'no'); END"
        connection.execute(f"CREATE TRIGGER no BEFORE UPDATE OF is_reference ON rides {refusal}")
    before = changing.client.get("/rides/1").json()["ride"]
    answer = changing.client.patch("/rides/1", json={"note": "half", "starred": True, "reference": True})
    assert answer.status_code == 503
    assert changing.client.get("/rides/1").json()["ride"] == before


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"note":null}',
        b'{"notiz":"x"}',
        b'{"note":"%s"}' % (b"x" * 4001),
        b'{"starred":"perhaps"}',
        b'{"note":"\\ud800"}',
        b'{"\\ud800":"x"}',
        b"[]",
        b"7",
        b"",
        b"{",
        b'{"note":"\xff"}',
    ],
)
def test_what_is_no_annotation_is_told_and_changes_nothing(kept: Api, body: bytes) -> None:
    answer = kept.client.patch("/rides/1", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    detail(answer)
    assert kept.client.get("/rides/1").json()["ride"]["note"] == ""


def test_a_ride_is_deleted(changing: Api) -> None:
    gone = changing.client.get("/rides/2").json()["ride"]
    answer = changing.client.delete("/rides/2")
    assert answer.json() == {"number": 2, "ride_id": gone["id"]}
    assert changing.client.delete("/rides/2").status_code == 404
    assert listed(changing) == [4, 3, 1]


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"note": "x"}), ("DELETE", None)])
def test_only_this_computer_changes_rides(kept: Api, method: str, body: dict[str, Any] | None) -> None:
    answer = kept.client.request(method, "/rides/1", json=body, headers=ELSEWHERE)
    assert answer.status_code == 403
    assert detail(answer) == "commands that change something are taken from this computer alone"
    assert kept.client.get("/rides/1", headers=ELSEWHERE).status_code == 200


def test_a_ride_in_progress_is_409_for_what_needs_its_end(tmp_path: Path, recorded: Path) -> None:
    demo = ("--demo", "--host", "127.0.0.1", "--port", "0")
    with serving(tmp_path, recorded, arguments=demo) as api:
        while len(listed(api)) == 4:
            pass
        for answer in (
            api.client.delete("/rides/5"),
            api.client.patch("/rides/5", json={"reference": True, "note": "x"}),
            api.client.get("/rides/5/comparison", params={"reference": 1}),
        ):
            assert (answer.status_code, detail(answer)) == (409, "ride 5 is in progress")
        assert api.client.get("/rides/5").json()["ride"]["note"] == ""
        assert api.client.patch("/rides/5", json={"note": "now"}).json()["ride"]["note"] == "now"
        assert api.client.get("/rides/5.csv", params={"raw": True}).text.count("master") > 100


def test_what_is_damaged_is_503(changing: Api) -> None:
    with contextlib.closing(sqlite3.connect(changing.database)) as connection, connection:
        connection.execute("UPDATE curves SET position_mm = '[1,' WHERE ride = 1")
    answer = changing.client.get("/rides/1")
    assert answer.status_code == 503
    assert "what is stored is damaged" in detail(answer)
    assert changing.client.get("/rides/2").status_code == 200
