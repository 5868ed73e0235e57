"""Whatever the API's own document allows, and much that it does not: never a 5xx, always as it says."""

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
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.listener.api_bench import Api, serving

EXAMPLES = 25
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, recorded: Path) -> Iterator[Api]:
    with serving(tmp_path_factory.mktemp("changed"), recorded) as running:
        yield running


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does_not"])
def test_no_call_is_answered_with_a_5xx(changed: Api, mode: GenerationMode) -> None:
    document = changed.client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    tried: Counter[str] = Counter()
    wanted = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        told = document["paths"][operation.path][operation.method]
        if mode is GenerationMode.NEGATIVE and not {"parameters", "requestBody"} & told.keys():
            continue  # nothing in it can be wrong
        wanted += 1

        @bounded
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            tried[f"{case.method} {case.path}"] += 1
            response = case.call(base_url=changed.url)
            case.validate_response(response, checks=CHECKS)
            if response.status_code >= 400:
                assert list(response.json()) == ["detail"]

        ask()
    assert len(tried) == wanted >= 6
    assert changed.client.get("/health").status_code == 200
    assert [record["event"] for record in changed.daemon.records() if record["level"] == "error"] == []
