"""What rides cost: the estimator for each position, and the database with ten thousand of them.

    .venv/bin/python benchmarks/rides.py [--quick]

--quick is a smoke test: it fails if something does not run, never for a time.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.fanout_report import machine
from listener.database import fold_case
from listener.rides import store
from listener.rides.comparison import compare_rides
from listener.rides.curves import Tolerance
from listener.rides.finder import RideEnded, RideFinder
from listener.rides.motion import Motion, MotionEstimator
from listener.rides.report import report
from listener.rides.store import Filter, Piece
from listener.schema import MIGRATIONS
from mock.profile import hydraulic

PERIOD_S = 0.004
TS = 1_700_000_000.0
MINUTE_MM = 34_000.0  # of a hydraulic ride of about a minute
Samples = list[tuple[str, float, int]]
Columns = dict[str, tuple[list[int], list[int]]]


def positions(distance_mm: float) -> Samples:
    ride = hydraulic(distance_mm)
    count = round((ride.duration_s + 6.0) / PERIOD_S)
    return [
        (channel, TS + n * PERIOD_S + late_s, round(1000 + ride.position_mm(n * PERIOD_S + late_s - 2.0)))
        for n in range(count)
        for channel, late_s in (("master", 0.0), ("slave", PERIOD_S / 2))
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke test, a few seconds")
    count = 200 if parser.parse_args().quick else 10_000
    print(machine())
    print(f"estimator, per position of the master: {estimator_us():.1f} µs")
    print(f"finder, per frame of both channels: {finder_us():.1f} µs")
    with tempfile.TemporaryDirectory() as folder:
        database(Path(folder) / "les02.db", count)
    return 0


def estimator_us() -> float:
    samples = [(ts, float(raw)) for channel, ts, raw in positions(6000.0) if channel == "master"]

    def run() -> None:
        estimator = MotionEstimator()
        for ts, position_mm in samples:
            for _ in estimator.add(ts, position_mm):
                pass

    return 1e6 * seconds(run) / len(samples)


def finder_us() -> float:
    samples = positions(6000.0)

    def run() -> None:
        finder = RideFinder(1.0)
        for sample in samples:
            for _ in finder.position(*sample):
                pass

    return 1e6 * seconds(run) / len(samples)


def database(path: Path, count: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    fold_case(connection)
    for script in MIGRATIONS:
        connection.executescript(script)
    connection.execute("PRAGMA journal_mode = WAL")
    short, minute = kept(positions(1500.0)), kept(positions(MINUTE_MM))
    connection.execute("BEGIN")
    for number in range(count - 1):
        put(connection, number, *short)
    before = size(connection)
    put(connection, count - 1, *minute)
    connection.execute("COMMIT")
    its_minutes = minute[1]["duration_s"] / 60
    print(f"{count} rides, {path.stat().st_size / 1e6:.0f} MB")
    grown_kb = (size(connection) - before) / 1e3
    print(f"a ride of {60 * its_minutes:.0f} s: {grown_kb / its_minutes:.0f} kB a minute")
    tolerance = Tolerance(20.0, 50.0)
    jobs: dict[str, Callable[[], object]] = {
        "list the newest 50": lambda: store.rides(connection, Filter(), limit=50),
        "filter by direction and distance": lambda: store.rides(
            connection, Filter(direction="down", distance_min_mm=1000.0), limit=50
        ),
        "filter by specimen": lambda: store.rides(connection, Filter(specimen="V-7"), limit=50),
        "search the notes": lambda: store.rides(connection, Filter(text="quarter"), limit=50),
        "get a ride of a minute": lambda: (
            store.find(connection, count),
            store.curve(connection, count),
            store.columns(connection, count),
            store.events(connection, count),
        ),
        "compare two rides of a minute": lambda: compare_rides(connection, count, count, tolerance),
    }
    for name, job in jobs.items():
        print(f"{name}: {1e3 * seconds(job):.1f} ms")
    connection.close()


def kept(
    samples: Samples,
) -> tuple[Columns, dict[str, float], tuple[Motion, ...]]:
    finder = RideFinder(1.0)
    ended = next(t for sample in samples for t in finder.position(*sample) if isinstance(t, RideEnded))
    columns: Columns = {"master": ([], []), "slave": ([], [])}
    for channel, ts, raw in samples:
        columns[channel][0].append(round((ts - TS) * 1e6))
        columns[channel][1].append(raw)
    return columns, report(ended, None), ended.motions


def put(
    connection: sqlite3.Connection,
    number: int,
    samples: Columns,
    summary: dict[str, float],
    motions: tuple[Motion, ...],
) -> None:
    row = store.begin(
        connection,
        f"{number:08x}-ride",
        source="les02",
        start_ts=TS + 60.0 * number,
        direction="down" if number % 2 else "up",
        resolution_mm=1.0,
        specimen=f"V-{number // 100}",
    )
    store.append(connection, row, 0, Piece(samples))
    end = {"end_ts": TS + 60.0 * number + 10.0, "reason": "completed", "summary": summary, "motions": motions}
    store.finish(connection, row, distance_mm=summary["distance_mm"], **end)  # type: ignore[arg-type]
    if number % 50 == 0:
        store.annotate(connection, row, note="screw 2 a quarter turn out")


def size(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page)


def seconds(job: Callable[[], object], rounds: int = 5) -> float:
    costs = []
    for _ in range(rounds):
        began = time.perf_counter()
        job()
        costs.append(time.perf_counter() - began)
    return median(costs)


if __name__ == "__main__":
    sys.exit(main())
