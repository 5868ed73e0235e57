"""Whatever the API's own document allows for the workbench, and much that it does not: never a 5xx.

But for /connect, which is 500 when a device cannot be opened: the field's clients know it so. And 503 is what
an adapter that has gone answers; here none does.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.listener.api_bench import QUIET, Api
from tests.listener.workbench.benches import DBC

EXAMPLES = 15
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
TAGS = {"CAN devices", "CAN sending", "CAN recordings", "DBC"}
bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


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


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does_not"])
def test_no_call_is_answered_with_a_5xx(api: Api, mode: GenerationMode) -> None:
    document = api.client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    tried: Counter[str] = Counter()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        told = document["paths"][operation.path][operation.method]
        if not TAGS & set(told.get("tags", ())) or operation.path == "/disconnect":
            continue
        if mode is GenerationMode.NEGATIVE and not {"parameters", "requestBody"} & told.keys():
            continue  # nothing in it can be wrong

        @bounded
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: Any) -> None:
            answer = case.call(base_url=api.url)
            tried[case.operation.label] += 1
            if case.operation.path == "/connect" and answer.status_code == 500:
                assert "Failed to connect to device: " in answer.json()["detail"]
            else:
                case.validate_response(answer, checks=CHECKS)

        holds()
    assert len(tried) > 20


def test_the_file_of_the_sensors_rides_is_not_among_them(api: Api, tmp_path: Path) -> None:
    for name in ("../les02.db", "..%2Fles02.db", "%2Fetc%2Fpasswd"):
        for path in (f"/recordings/{name}/download", f"/transmit_lists/{name}"):
            assert api.client.get(path).status_code in {404, 422}
