"""Whatever the API's own document allows for the workbench, and much that it does not: never a 5xx.

But for /connect, which is 500 when a device cannot be opened: the field's clients know it so. And 503 is what
an adapter that has gone answers; here none does.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.listener.api_bench import QUIET, Api
from tests.listener.workbench.benches import DBC
from tests.properties import MODES, ask_everything

TAGS = {"CAN devices", "CAN sending", "CAN recordings", "DBC"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    import httpx

    from tests.e2e.helpers import PATIENCE_S, daemon

    place = tmp_path_factory.mktemp("workbench")
    (place / "config.toml").write_text(
        "[rides]\nenabled = false\n[workbench]\nenabled = true\ntransmit = true\n"
        '[workbench.buses.default]\ndevice_type = "virtual"\nchannel = "properties"\nfd = true\n'
    )
    variables = {
        "LES02_API__ENABLED": "true",
        "LES02_API__PORT": "0",
        "LES02_API__HOST": "127.0.0.1",
        "LES02_DATABASE__PATH": str(place / "les02.db"),
    }
    with daemon(*QUIET, cwd=place, **variables) as running:
        port = str(running.logged("api_started")["url"]).rpartition(":")[2]
        running.logged("workbench_bus_up")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False) as client:
            client.post("/dbc/upload", files={"file": ("bench.dbc", DBC.read_bytes())}).raise_for_status()
            yield Api(running, client, place / "les02.db")


def is_of_the_workbench(path: str, operation: dict[str, Any]) -> bool:
    return path != "/disconnect" and bool(TAGS & set(operation.get("tags", ())))


def cannot_be_opened(case: Any, answer: Any) -> bool:
    if case.operation.path != "/connect" or answer.status_code != 500:
        return False
    return "Failed to connect to device: " in answer.json()["detail"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", MODES)
def test_no_call_is_answered_with_a_5xx(api: Api, mode: str) -> None:
    tried = ask_everything(
        api, MODES[mode], examples=15, is_wanted=is_of_the_workbench, is_excused=cannot_be_opened
    )
    assert len(tried) > 20


def test_metrics_have_the_workbench(api: Api) -> None:
    status, text = api.daemon.get("/metrics")
    assert status == 200
    for line in ('bus_up{bus="default"} 1', 'sent_frames_total{bus="les02"} 0', "clients 0"):
        assert f"les02_workbench_{line}\n" in text
    assert "# TYPE les02_workbench_received_frames_total counter\n" in text


def test_the_file_of_the_sensors_rides_is_not_among_them(api: Api, tmp_path: Path) -> None:
    for name in ("../les02.db", "..%2Fles02.db", "%2Fetc%2Fpasswd"):
        for path in (f"/recordings/{name}/download", f"/transmit_lists/{name}"):
            assert api.client.get(path).status_code in {404, 422}
