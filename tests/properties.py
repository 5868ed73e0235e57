"""Calls whatever an API's own document allows, and much that it does not."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.listener.api_bench import Api

ALWAYS = (not_a_server_error, status_code_conformance, content_type_conformance)
MODES = {"fits": GenerationMode.POSITIVE, "does_not": GenerationMode.NEGATIVE}

# Given the case and its answer: true if the answer is as it should be although no check would have it so.
Excuse = Callable[[Any, Any], bool]

# What trouble looks like. That of the arrays has the words of the field's clients, beside what all say.
DETAIL = ({"detail"},)
ARRAYS = ({"detail"}, {"status", "message", "detail"})


def ask_everything(
    api: Api,
    mode: GenerationMode,
    *,
    examples: int,
    checks: Sequence[Any] = ALWAYS,
    is_wanted: Callable[[str, dict[str, Any]], bool] = lambda _path, _operation: True,
    is_excused: Excuse = lambda _case, _answer: False,
    trouble: Sequence[set[str]] = DETAIL,
) -> Counter[str]:
    """How often each call was made; `is_wanted` is given its path and what the document says of it."""
    document = api.client.get("/openapi.json").json()
    tried: Counter[str] = Counter()
    bounded = settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    wanted = 0
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        told = document["paths"][operation.path][operation.method]
        if not is_wanted(operation.path, told):
            continue
        if mode is GenerationMode.NEGATIVE and not {"parameters", "requestBody"} & told.keys():
            continue  # nothing in it can be wrong
        wanted += 1

        @bounded
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            tried[case.operation.label] += 1
            answer = case.call(base_url=api.url)
            if not is_excused(case, answer):
                case.validate_response(answer, checks=list(checks))
            if answer.status_code >= 400:
                assert answer.json().keys() in trouble

        ask()
    assert len(tried) == wanted
    return tried
