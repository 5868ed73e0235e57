"""The results of fanout.py as tables, and the gates: what has to be reached, and whether it was.

A gate compares with the reference servers of the same run, or with a bound that holds for this kind of
machine. What was not measured is told as such and not as reached.
"""

import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.fanout_parts import Case, Result

BUS_FULL = 12_658  # four-byte frames a second on 1 Mbit/s
STUCK_ROW = "stuck"
ALONE_ROW = "nobody stuck"
STOP_ROW = "stop"
MOTION_ROW = "motion, no ride"
RIDES_ROW = "a ride being kept"


@dataclass(frozen=True)
class Gate:
    what: str
    measured: float | None
    must: str
    reached: bool | None  # None: not measured


class Results:
    def __init__(self, results: Iterable[Result]) -> None:
        self.all = list(results)

    def find(self, server: str, clients: int, rate: float | None, note: str = "") -> list[Result]:
        """Every round of this case."""
        wanted = (server, clients, rate, note)
        return [r for r in self.all if (r.case.server, r.case.clients, r.case.rate, r.case.note) == wanted]

    def noted(self, note: str, server: str = "daemon") -> list[Result]:
        return [r for r in self.all if r.case.note == note and r.case.server == server]

    def memory(self, clients: int) -> float | None:
        values = [r.rss_mib for r in self.all if r.case.server == "daemon" and r.case.clients == clients]
        return max(values, default=None)


def gates(results: Results) -> list[Gate]:
    find = results.find
    daemon, seed = find("daemon", 10, 500), find("seed", 10, 500)
    found = [
        _ratio("500/s × 10: CPU, of the seed's design", daemon, seed, lambda r: r.cpu, most=0.40),
        _ratio("500/s × 10: p50, of the seed's design", daemon, seed, lambda r: r.p50_ms, most=0.20),
        *_bounds(f"{BUS_FULL}/s × 10", find("daemon", 10, BUS_FULL), cpu=0.15, p99_ms=5),
        *_bounds("500/s × 1000", find("daemon", 1000, 500), cpu=0.60, p99_ms=50),
        *_bounds(f"{BUS_FULL}/s × 1000", find("daemon", 1000, BUS_FULL), cpu=0.60, p99_ms=50),
    ]
    for clients, least in ((10, 35), (100, 150)):
        daemon, seed = find("daemon", clients, 0), find("seed", clients, 0)
        what = f"flat out × {clients}: events/s, times the seed's design"
        found.append(_ratio(what, daemon, seed, lambda r: r.rate, least=least))
    idle = find("daemon", 10, None)
    found.append(_most("idle, 10 clients: share of a core", _median(idle, lambda r: r.cpu), 0.002))
    found += _stuck(results)
    without, keeping = results.noted(MOTION_ROW), results.noted(RIDES_ROW)
    found.append(
        _ratio("a ride being kept: p99, times that without", keeping, without, lambda r: r.p99_ms, most=1.10)
    )
    found.append(_most("memory with 1 client, MiB", results.memory(1), 45))
    found.append(_most("memory with 1000 clients, MiB", results.memory(1000), 65))
    return found


def _median(results: list[Result], value: Callable[[Result], float]) -> float | None:
    return median(map(value, results)) if results else None


def _ratio(
    what: str,
    ours: list[Result],
    theirs: list[Result],
    value: Callable[[Result], float],
    *,
    most: float | None = None,
    least: float = 0.0,
) -> Gate:
    must = f"≥ {least:g}" if most is None else f"≤ {most:g}"
    mine, other = _median(ours, value), _median(theirs, value)
    if mine is None or not other:
        return Gate(what, None, must, None)
    ratio = mine / other
    return Gate(what, ratio, must, ratio >= least if most is None else ratio <= most)


def _most(what: str, value: float | None, most: float) -> Gate:
    return Gate(what, value, f"≤ {most:g}", None if value is None else value <= most)


def _bounds(row: str, results: list[Result], *, cpu: float, p99_ms: float) -> list[Gate]:
    return [
        _most(f"{row}: share of a core", _median(results, lambda r: r.cpu), cpu),
        _most(f"{row}: p99, ms", _median(results, lambda r: r.p99_ms), p99_ms),
        _most(f"{row}: events lost", max((r.lost for r in results), default=None), 0),
    ]


def _stuck(results: Results) -> list[Gate]:
    with_it, without = results.noted(STUCK_ROW), results.noted(ALONE_ROW)
    stops = [r.stop_s for r in results.all if r.stop_s is not None]
    held = [r.held for r in with_it if r.held is not None]
    grace = [r.skipped / r.case.rate for r in with_it if r.skipped and r.case.rate]
    p99 = None
    if with_it and without:
        p99 = median(r.p99_ms for r in with_it) / median(r.p99_ms for r in without)
    gone = len(grace) == len(with_it) > 0
    return [
        _most("stuck client: octets held for it", max(held, default=None), 65_536),
        # It is looked at every 50 ms; without any such line in the log it was not given up.
        Gate(
            "stuck client: gone after so many seconds of samples skipped",
            max(grace, default=None),
            "1.9 … 2.2",
            (gone and all(1.9 <= s <= 2.2 for s in grace)) if with_it else None,
        ),
        _most("stuck client: the others' p99, times that without it", p99, 1.10),
        _most("shutdown, the slowest of all runs, s", max(stops, default=None), 1.0),
    ]


def table(results: Results, servers: Iterable[str]) -> str:
    servers = list(servers)
    rows = list(dict.fromkeys(_row(r.case) for r in results.all))
    lines = [f"| load | {' | '.join(servers)} |", "|---" * (len(servers) + 1) + "|"]
    for row in rows:
        cells = []
        for server in servers:
            rounds = [r for r in results.all if r.case.server == server and _row(r.case) == row]
            cells.append(cell(_typical(rounds)) if rounds else "–")
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _typical(rounds: list[Result]) -> Result:
    return sorted(rounds, key=lambda r: r.cpu)[len(rounds) // 2]


def _row(case: Case) -> str:
    load = "idle" if case.rate is None else f"{case.rate:,.0f}/s" if case.rate else "flat out"
    return f"{load} × {case.clients:,}" + (f", {case.note}" if case.note else "")


def cell(result: Result) -> str:
    words = [f"{100 * result.cpu:.3g} %"]
    if result.us_per_delivery is not None:
        words.append(f"{result.us_per_delivery:.3g} µs")
    if result.case.rate == 0 or not result.holds:
        words.append(f"holds {result.rate:,.0f}/s")
    if result.case.rate and result.load["timed"]:
        words.append(f"{result.p50_ms:.3g}/{result.p99_ms:.3g}/{result.max_ms:.3g} ms")
    words.append(f"{result.rss_mib:.0f} MiB")
    if result.case.rate and result.lost:
        share = 100 * result.lost / result.offered / result.case.clients
        parts = {
            "in front of it": result.refused * result.case.clients,
            "told": result.load["told_client"],
            "untold": result.untold,
        }
        words.append(f"lost {share:.2g} % ({', '.join(name for name, count in parts.items() if count > 0)})")
    if result.load_cpu > 0.95:
        words.append("clients at their limit")
    return " · ".join(words)


LEGEND = """\
Cells: share of a core · CPU per delivery · p50/p99/max from the frame's timestamp to the client · resident
memory · what was lost: in front of it (its descriptor was full), told with `gap`, or untold. The daemon has
one client more that never reads, except where the row says that nobody is stuck; the references have it only
where the row says so, since it stops them or fills their memory. Of several rounds the median is shown."""


def gate_table(found: Iterable[Gate]) -> str:
    lines = ["| gate | measured | must | |", "|---|---|---|---|"]
    for gate in found:
        value = gate.measured
        measured = "–" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
        verdict = {None: "not measured", True: "reached", False: "**NOT reached**"}[gate.reached]
        lines.append(f"| {gate.what} | {measured} | {gate.must} | {verdict} |")
    return "\n".join(lines)


def machine() -> str:
    info = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith(("model name", "Model"))]
    libraries = ", ".join(f"{name} {version(name)}" for name in ("python-can", "websockets", "msgspec"))
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {libraries}"
    )
