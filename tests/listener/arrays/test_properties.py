"""Whatever the API's own document allows for the arrays, and much that it does not: never a 5xx."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.e2e.helpers import PATIENCE_S
from tests.listener.api_bench import Api
from tests.listener.arrays.benches import octets_of
from tests.listener.arrays.serving import serving
from tests.properties import ARRAYS, MODES, ask_everything

KEPT = (
    np.array(7.5),
    np.arange(5),
    np.arange(12, dtype=">i2").reshape(3, 4),
    np.array([np.nan, np.inf, 1.0]),
    np.zeros((2, 0)),
    np.array([(1, "a")], [("n", "<i4"), ("t", "<U3")]),
    np.zeros((2, 3, 4), complex),
    np.array(["2026-01-02", "NaT"], "M8[D]"),
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    place = tmp_path_factory.mktemp("arrays")
    with (
        serving(place, LES02_ARRAYS__MAX_BYTES="10000") as (running, url),
        httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client,
    ):
        keep(client)
        yield Api(running, client, place / "les02.db")


def keep(client: httpx.Client) -> list[int]:
    """Returns their indexes."""
    files = [{"file": ("a.npy", octets_of(array))} for array in KEPT]
    return [client.post("/upload", files=each).raise_for_status().json()["index"] for each in files]


def is_of_the_arrays(_path: str, operation: dict[str, Any]) -> bool:
    return "arrays" in operation.get("tags", ())


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", MODES)
def test_no_call_is_answered_with_a_5xx(api: Api, mode: str) -> None:
    tried = ask_everything(api, MODES[mode], examples=40, is_wanted=is_of_the_arrays, trouble=ARRAYS)
    assert len(tried) >= 4
    assert api.client.get("/health").json()["status"] == "healthy"
    assert [record["event"] for record in api.daemon.records() if record["level"] == "error"] == []


def test_whatever_part_of_whatever_array_is_asked_for_the_answer_says_what_it_is(api: Api) -> None:
    parts = ("", ":", "0:2", "-1:", "::-1", "3:1", "::7", "-999999999999999:999999999999999:999999999999999")
    for array, index in zip(KEPT, keep(api.client), strict=True):
        for rows in parts:
            for cols in parts:
                asked = {"rows": rows, "cols": cols}
                answer = api.client.get(f"/array/{index}", params=asked)
                fits = bool(rows) + 2 * bool(cols) <= (0, 1, 3)[min(array.ndim, 2)]
                assert answer.status_code == (200 if fits else 422)
                assert answer.status_code == 422 or answer.json()["dtype"] == str(array.dtype)


def test_its_trouble_has_the_words_of_the_fields_clients_too(api: Api) -> None:
    told = api.client.get("/array/999").json()
    assert told == {"status": "error", "message": "Array not found", "detail": "Array not found"}
