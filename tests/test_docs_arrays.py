"""What docs/arrays.md says of the client: the example is run on a live ride, and what is named is there."""

import re
from pathlib import Path

import numpy as np
import pytest

from listener.arrays.client import AsyncNumpyClient, NumpyClient
from tests.listener.arrays.serving import demo_serving

TEXT = (Path(__file__).parents[1] / "docs" / "arrays.md").read_text()
(EXAMPLE,) = re.findall(r"```python\n(import numpy.*?)```", TEXT, re.DOTALL)


def test_the_example_leads_from_a_live_ride_to_its_spectrum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with demo_serving(tmp_path) as (_, url):
        names: dict[str, object] = {}
        exec(compile(EXAMPLE.replace("http://localhost:8000", url), "docs/arrays.md", "exec"), names)
        client = names["client"]
        assert isinstance(client, NumpyClient)
        with client:
            (entry,) = client.list_arrays()["arrays"]
            assert entry["name"] == "spectrum of a ride"
            frequency, spectrum = client.get_array(entry["index"]).T
    acceleration = names["acceleration"]
    assert isinstance(acceleration, np.ndarray)
    assert np.abs(acceleration).max() > 100  # there was a ride
    assert len(acceleration) > 400
    assert frequency[-1] == pytest.approx(25.0, abs=0.1)
    assert spectrum[frequency < 2].sum() > 0.9 * spectrum.sum()
    told = capsys.readouterr().out
    assert re.fullmatch(rf"{len(acceleration)} points, strongest at \d\.\d\d Hz\n", told)


def test_it_is_ten_lines() -> None:
    assert len([line for line in EXAMPLE.splitlines() if line]) == 10


def test_every_call_of_the_client_is_there() -> None:
    told = TEXT.partition("## From Python")[2].partition("### In the terminal")[0]
    calls = [name for name in vars(NumpyClient) if not name.startswith("_")]
    assert [name for name in calls if f"{name}(" not in told] == []
    assert [name for name in calls if not hasattr(AsyncNumpyClient, name)] == []
