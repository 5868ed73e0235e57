import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.metrics import CONTENT_TYPE, render

names = st.from_regex(re.compile(r"[a-z_]{1,6}(_total)?(\{kind=\"[a-z]{1,4}\"\})?", re.ASCII), fullmatch=True)


def test_samples_of_one_family_stand_together_under_one_type() -> None:
    text = render(
        {
            "les02_frames_total{kind='status'}": 3,
            "les02_clients": 2,
            "les02_frames_total{kind='master'}": 500,
            "les02_frame_age_seconds": 0.25,
        }
    )
    assert text.decode().splitlines() == [
        "# TYPE les02_clients gauge",
        "les02_clients 2",
        "# TYPE les02_frame_age_seconds gauge",
        "les02_frame_age_seconds 0.25",
        "# TYPE les02_frames_total counter",
        "les02_frames_total{kind='master'} 500",
        "les02_frames_total{kind='status'} 3",
    ]
    assert text.endswith(b"\n")
    assert "version=0.0.4" in CONTENT_TYPE


@pytest.mark.parametrize("value", [0, 1, 2**53, 1_700_000_000.123456, 1e-9, -0.1, float("inf")])
def test_a_value_is_written_exactly(value: float) -> None:
    line = render({"les02_value": value}).decode().splitlines()[-1]
    assert float(line.split()[-1]) == value


@given(samples=st.dictionaries(names, st.floats(allow_nan=False), max_size=20))
def test_every_sample_is_there_once_after_its_familys_only_type(samples: dict[str, float]) -> None:
    seen: dict[str, float] = {}
    typed: set[str] = set()
    for line in render(samples).decode().split("\n"):
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family not in typed
            assert (kind == "counter") == family.endswith("_total")
            typed.add(family)
        elif line:
            name, value = line.split(" ")
            assert name not in seen
            assert name.partition("{")[0] in typed
            seen[name] = float(value)
    assert seen == samples
