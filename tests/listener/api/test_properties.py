"""Whatever the API's own document allows, and much that it does not: never a 5xx, always as it says."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from schemathesis.specs.openapi.checks import response_schema_conformance

from tests.listener.api_bench import Api, serving
from tests.properties import ALWAYS, MODES, ask_everything


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, recorded: Path) -> Iterator[Api]:
    with serving(tmp_path_factory.mktemp("changed"), recorded) as running:
        yield running


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mode", MODES)
def test_no_call_is_answered_with_a_5xx(changed: Api, mode: str) -> None:
    checks = (*ALWAYS, response_schema_conformance)
    tried = ask_everything(changed, MODES[mode], examples=25, checks=checks)
    assert len(tried) >= 6
    assert changed.client.get("/health").status_code == 200
    assert [record["event"] for record in changed.daemon.records() if record["level"] == "error"] == []
