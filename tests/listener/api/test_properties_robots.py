"""Whatever the API's own document allows for the robots, and much that it does not: never a 5xx."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.e2e.helpers import PATIENCE_S, daemon
from tests.listener.api_bench import QUIET, Api
from tests.properties import MODES, ask_everything

TELEMETRY = {"battery": 84.6, "cpu": 41.2, "temperature": 36.5, "signal": 88.0}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """With a robot that is there, and one that was."""
    place = tmp_path_factory.mktemp("robots")
    settings = {
        "LES02_API__ENABLED": "true",
        "LES02_API__PORT": "0",
        "LES02_API__HOST": "127.0.0.1",
        "LES02_RIDES__ENABLED": "false",
        "LES02_ROBOTS__ENABLED": "true",
        "LES02_DATABASE__PATH": str(place / "les02.db"),
    }
    with daemon(*QUIET, cwd=place, **settings) as running:
        port = str(running.logged("api_started")["url"]).rpartition(":")[2]
        url = f"{running.url}/ws/telemetry/?device_id="
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False) as client,
            connect(f"{url}robot_01", proxy=None) as here,
        ):
            with connect(f"{url}robot_02", proxy=None) as gone:
                for robot in (here, gone):
                    robot.send(json.dumps({"type": "telemetry", **TELEMETRY}))
                    while json.loads(robot.recv(PATIENCE_S)).get("type") != "ack":
                        pass
            yield Api(running, client, place / "les02.db")


def is_of_the_robots(_path: str, operation: dict[str, Any]) -> bool:
    return "robots" in operation.get("tags", ())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mode", MODES)
def test_no_call_is_answered_with_a_5xx(api: Api, mode: str) -> None:
    tried = ask_everything(api, MODES[mode], examples=60, is_wanted=is_of_the_robots)
    assert len(tried) >= 2
    assert [record["event"] for record in api.daemon.records() if record["level"] == "error"] == []


def test_what_was_asked_was_there(api: Api) -> None:
    robots = api.client.get("/robots").json()["robots"]
    assert {robot["device_id"]: robot["status"] for robot in robots} == {
        "robot_01": "connected",
        "robot_02": "disconnected",
    }
