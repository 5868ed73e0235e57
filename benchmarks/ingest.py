"""What reading costs: CPU per frame from a CAN descriptor to the end of each stage, and what is lost.

    .venv/bin/python benchmarks/ingest.py [--quick] [--seconds N] [--report FILE]

backlog     frames that wait already, read at once: what a frame costs without the wake-up
live        frames one by one at a bus's rates: with it (250 kbit/s and 1 Mbit/s full of four-byte frames)
alone       the pure functions of the hot path, each in a loop of its own

--quick is a smoke test: it fails if a variant does not run or loses frames at 500/s, never for a time.
"""

import argparse
import contextlib
import json
import signal
import sys
import time
import timeit
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.descriptor_bus import Feed
from benchmarks.fanout_parts import BenchmarkError, Process, Tools, cpu_s
from benchmarks.fanout_report import machine
from benchmarks.ingest_worker import VARIANTS
from listener import events, frames

RATES = (500, 3_164, 12_658, 20_000)
BACKLOG = 5_000  # what the buffer has room for
ROUNDS = 7
WARM_S = 0.5
TAIL_S = 0.2

Row = dict[str, float]


def backlog(variant: str, rounds: int) -> float:
    """µs of CPU per frame, the median of the rounds."""
    worker = Process(_worker("backlog", variant, BACKLOG, rounds), talks=True)
    try:
        return float(json.loads(worker.hear())["us"])
    finally:
        worker.end()


def live(variant: str, rate: int, seconds: float, tools: Tools) -> Row:
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(Feed())
        reader, writer = feed.reader.fileno(), feed.writer.fileno()
        worker = Process(_worker("live", variant, reader), (reader,), talks=True)
        stack.callback(worker.end)
        worker.hear()  # ready
        command = [tools["generate"], str(writer), str(rate), str(WARM_S + seconds + TAIL_S)]
        generator = Process(command, (writer,), talks=True)
        stack.callback(generator.end)
        time.sleep(WARM_S)
        began, cpu = time.monotonic(), cpu_s(worker.pid)
        time.sleep(seconds)
        cpu, lasted_s = cpu_s(worker.pid) - cpu, time.monotonic() - began
        told = json.loads(generator.hear())
        feed.end()
        count = json.loads(worker.hear())["frames"]
        return {
            "cpu": cpu / lasted_s,
            "us": 1e6 * cpu / (rate * lasted_s),
            "offered": told["offered"],
            "lost": told["offered"] - count,
        }


def alone() -> dict[str, float]:
    """ns per call."""
    data = bytes((0, 3, 232, 0))
    event = events.position_sample(1795273221.5174012, "master", 1000)
    calls = {
        "frames.decode": lambda: frames.decode(0x80, 0, data, 1795273221.5174012),
        "frames.parse_position": lambda: frames.parse_position(data),
        "events.position_sample": lambda: events.position_sample(1795273221.5174012, "master", 1000),
        "events.encode": lambda: events.encode(event),
    }
    loops = 50_000
    empty = min(timeit.repeat(lambda: None, number=loops, repeat=5))
    return {
        name: 1e9 * max(0.0, min(timeit.repeat(call, number=loops, repeat=5)) - empty) / loops
        for name, call in calls.items()
    }


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # `finally` ends the other processes
    tools = None
    try:
        tools = Tools("generate")
        return _run(options, tools)
    except BenchmarkError as exc:
        sys.stderr.write(f"ingest: {exc}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if tools is not None:
            tools.close()


def _run(options: argparse.Namespace, tools: Tools) -> int:
    rates = RATES[:1] if options.quick else RATES
    seconds = 1.0 if options.quick else options.seconds
    print(machine(), flush=True)
    waited = {name: backlog(name, 1 if options.quick else ROUNDS) for name in VARIANTS}
    lived: dict[str, dict[int, Row]] = {name: {} for name in VARIANTS}
    for rate in rates:
        for name in VARIANTS:  # innermost: what is compared is measured one after the other
            lived[name][rate] = live(name, rate, seconds, tools)
    called = alone()
    print("\nµs of CPU per frame; live also the share of a core and what was lost.\n")
    print(f"| reader | backlog | {' | '.join(f'{rate:,}/s' for rate in rates)} |")
    print("|---" * (2 + len(rates)) + "|")
    for name, what in VARIANTS.items():
        cells = [_cell(lived[name][rate]) for rate in rates]
        print(f"| {what} | {waited[name]:.2f} | {' | '.join(cells)} |")
    print("\n| call alone | ns |\n|---|---|")
    for name, cost_ns in called.items():
        print(f"| {name} | {cost_ns:.0f} |")
    if options.report:
        told = {"machine": machine(), "backlog_us": waited, "live": lived, "alone_ns": called}
        options.report.write_text(json.dumps(told, indent=1) + "\n")
    if options.quick:
        lossy = [name for name in VARIANTS if lived[name][rates[0]]["lost"]]
        for name in lossy:
            sys.stderr.write(f"ingest: {name} has lost frames at {rates[0]}/s\n")
        return 1 if lossy else 0
    return 0


def _cell(row: Row) -> str:
    lost = f" · lost {row['lost']:,.0f} of {row['offered']:,.0f}" if row["lost"] else ""
    return f"{row['us']:.1f} · {100 * row['cpu']:.1f} %{lost}"


def _worker(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks.ingest_worker", *map(str, arguments)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke test, less than 20 s")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured per variant and rate")
    parser.add_argument("--report", type=Path, metavar="FILE", help="everything as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
