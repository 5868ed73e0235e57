"""Arrays beside the sensor and other CAN devices: the real daemon with its REST API and `/ws/stream`.

with array_benches(folder) as bench:
    bench.upload("ramp.npy", np.arange(100.0))     # as a script does it; returns its index
    bench.arrays()                                 # as GET /arrays lists them
    bench.can.connect("inverter")                  # see can_bench
    bench.clear()                                  # no array, nobody's demo, nothing connected
"""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.e2e.helpers import PATIENCE_S
from tests.page.can_bench import CanBench, can_benches

SETTINGS = {"LES02_ARRAYS__ENABLED": "true"}
# Of one array and of all: so small that a test can reach them.
MOST, MOST_IN_ALL = 20_000_000, 40_000_000


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(array), allow_pickle=False)
    return file.getvalue()


class ArrayBench:
    def __init__(self, can: CanBench) -> None:
        self.can = can
        self.bench = can.bench
        self.url = can.url
        self.api = can.api
        self.daemon = can.daemon

    def upload(self, name: str, array: Any) -> int:
        answer = httpx.post(f"{self.api}/upload", files={"file": (name, npy(array))}, timeout=PATIENCE_S)
        return int(answer.raise_for_status().json()["index"])

    def arrays(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.can.call("GET", "/arrays")["arrays"]
        return listed

    def names(self) -> list[str]:
        return [str(each["name"]) for each in self.arrays()]

    @property
    def is_demo_on(self) -> bool:
        return bool(self.can.call("GET", "/health")["streaming"])

    def ride(self, distance_mm: float) -> None:
        """As soon as the ride before is over."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.bench.ride(distance_mm)
            except ValueError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return

    def clear(self) -> None:
        self.bench.repair()
        self.can.call("POST", "/control/stop")
        for each in self.arrays():
            self.can.call("DELETE", f"/array/{each['index']}")
        self.can.clear()


@contextmanager
def array_benches(folder: Path, **settings: str) -> Iterator[ArrayBench]:
    bounds = {"LES02_ARRAYS__MAX_BYTES": str(MOST), "LES02_ARRAYS__MAX_TOTAL_BYTES": str(MOST_IN_ALL)}
    with can_benches(folder, **SETTINGS | bounds | settings) as bench:
        yield ArrayBench(bench)
