"""What several parts have to say at one address."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.api.told import Health, Parts


def answered(health: Health) -> tuple[int, dict[str, Any]]:
    status, kind, body = health.answer()
    assert kind == "application/json"
    return status, json.loads(body)


def test_parts_are_asked_each_time_until_they_are_taken_back() -> None:
    parts, count = Parts(), iter(range(10))
    parts.add(lambda: {"fixed": True})
    end = parts.add(lambda: {"count": next(count)})
    assert parts.collect() == {"fixed": True, "count": 0}
    assert parts.collect() == {"fixed": True, "count": 1}
    end()
    assert parts.collect() == {"fixed": True}


def test_a_part_that_fails_leaves_the_others_their_word() -> None:
    parts = Parts()
    parts.add(lambda: {"a": 1 // 0})
    parts.add(lambda: {"b": 1})
    with capture_logs() as logs:
        assert parts.collect() == {"b": 1}
    assert [entry["event"] for entry in logs] == ["part_failed"]


def test_without_parts_health_is_the_daemons_to_the_octet() -> None:
    assert Health(lambda: (503, "text/plain", b"as it is")).answer() == (503, "text/plain", b"as it is")


@pytest.mark.parametrize(("status", "word"), [(200, "healthy"), (503, "bus_lost")])
def test_a_wing_has_its_word_but_covers_no_trouble(status: int, word: str) -> None:
    own = b'{"status":"ok","clients":1}' if status == 200 else b'{"status":"bus_lost","clients":1}'
    health = Health(lambda: (status, "application/json", own))
    health.add(lambda: {"status": "healthy", "arrays_stored": 3})
    assert answered(health) == (status, {"status": word, "clients": 1, "arrays_stored": 3})
