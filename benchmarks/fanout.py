"""The whole pipeline, from a CAN descriptor to the clients: this daemon beside reference servers, in one run.

    .venv/bin/python benchmarks/fanout.py [--quick]        needs a C compiler (Debian: gcc, libc6-dev)

daemon      this product, its real main.Daemon as a process of its own
seed        the design it started from: thread, queue polled each millisecond, gather(send)
broadcast   Notifier, AsyncBufferedReader and websockets.broadcast()
floor       C, one send() per event and client

--quick is a smoke test: it fails if something does not run, is lost or comes out of order, never for a time.
Otherwise the exit status is 0 whatever was reached; the gates are printed.
"""

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import fanout_report
from benchmarks.fanout_parts import SERVERS, BenchmarkError, Case, Result, Tools, allow_many_files, run
from benchmarks.fanout_report import ALONE_ROW, BUS_FULL, MOTION_ROW, RIDES_ROW, STOP_ROW, STUCK_ROW, Results

FASTER_THAN_ANY_BUS = 20_000
IDLE_S = 10.0
# In turn, so that a slow moment of the machine falls on both; the gates compare medians.
ROUNDS = 5
STUCK_ROUNDS = 3
STUCK_RATE = 2000
# So long the kernel alone takes what a client does not, where nobody has bounded it (tcp_wmem: 4 MB).
KERNEL_FULL_S = 16.0


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # `finally` ends the other processes
    allow_many_files()
    tools = None
    try:
        tools = Tools("generate", "load", "floor")
        return _quick(tools) if options.quick else _full(options, tools)
    except BenchmarkError as exc:
        sys.stderr.write(f"fanout: {exc}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if tools is not None:
            tools.close()


def _full(options: argparse.Namespace, tools: Tools) -> int:
    print(fanout_report.machine(), flush=True)
    measured: list[Result] = []
    cases = list(_cases(options))
    for number, case in enumerate(cases, 1):
        try:
            result = run(case, tools, options.channel)
        except BenchmarkError as exc:
            print(f"{number}/{len(cases)} {_name(case)}: FAILED: {exc}", file=sys.stderr, flush=True)
            continue
        measured.append(result)
        print(
            f"{number}/{len(cases)} {_name(case)}: {fanout_report.cell(result)}", file=sys.stderr, flush=True
        )
    results = Results(measured)
    found = fanout_report.gates(results)
    print("", fanout_report.table(results, options.servers), "", fanout_report.LEGEND, sep="\n")
    print("", fanout_report.gate_table(found), sep="\n")
    if options.report:
        told = {
            "machine": fanout_report.machine(),
            "results": [asdict(result) for result in measured],
            "gates": [asdict(gate) for gate in found],
        }
        options.report.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if len(measured) == len(cases) else 1


def _cases(options: argparse.Namespace) -> Iterator[Case]:
    """Servers innermost: what is compared is measured one after the other."""
    servers, seconds = options.servers, options.seconds
    for clients in options.clients:
        for rate in options.rates:
            for server in servers:
                yield Case(server, clients, rate, seconds, stuck=server == "daemon")
    if options.grid_only:
        return
    for _ in range(ROUNDS - 1):
        for server in servers:
            yield Case(server, 10, 500, seconds, stuck=server == "daemon")
        if "daemon" in servers:
            yield Case("daemon", 10, 500, seconds, stuck=True, note=MOTION_ROW, rides="found")
            yield Case("daemon", 10, 500, seconds, stuck=True, note=RIDES_ROW, rides="kept")
    if "daemon" in servers:  # what is kept for resuming is full after this: the memory of a long run
        yield Case("daemon", 1, BUS_FULL, seconds, stuck=True)
    for clients in (10, 1000):
        for server in servers:
            yield Case(server, clients, BUS_FULL, seconds, stuck=server == "daemon")
        if options.full and "daemon" in servers:
            yield Case("daemon", clients, FASTER_THAN_ANY_BUS, seconds, stuck=True)
    for clients in (10, 100):
        for server in ("daemon", "seed"):
            if server in servers:
                yield Case(server, clients, 0, seconds, stuck=server == "daemon")
    if "daemon" in servers:
        yield Case("daemon", 10, None, max(seconds, IDLE_S), warm_s=3.0)
    yield from _stuck_cases(servers, max(seconds, 5.0))


def _stuck_cases(servers: list[str], seconds: float) -> Iterator[Case]:
    if "daemon" in servers:
        for _ in range(STUCK_ROUNDS):
            yield Case("daemon", 10, STUCK_RATE, seconds, note=ALONE_ROW)
            yield Case("daemon", 10, STUCK_RATE, seconds, stuck=True, note=STUCK_ROW)
        # Stopped while the client is held back and not yet given up.
        yield Case("daemon", 10, STUCK_RATE, 1.5, stuck=True, warm_s=0.5, note=STOP_ROW)
    for server in ("seed", "broadcast"):
        if server in servers:
            yield Case(server, 10, STUCK_RATE, seconds, stuck=True, warm_s=KERNEL_FULL_S, note=STUCK_ROW)


def _quick(tools: Tools) -> int:
    wrong = []
    for case in (
        *(Case(server, 10, 500, 1.0, warm_s=0.3) for server in SERVERS),
        Case("daemon", 100, 2000, 1.0, stuck=True, warm_s=0.3),
        Case("daemon", 10, 0, 1.0, stuck=True, warm_s=0.3),
    ):
        result = run(case, tools)
        print(f"{_name(case)}: {fanout_report.cell(result)}", flush=True)
        if not result.load["positions"]:
            wrong.append(f"{_name(case)}: nothing has arrived")
        if result.load["disorder"]:
            wrong.append(f"{_name(case)}: {result.load['disorder']} events out of order")
        if case.server == "daemon" and result.load["closed"]:
            wrong.append(f"{_name(case)}: {result.load['closed']} clients were disconnected")
        if case.rate == 500 and result.lost:
            wrong.append(f"{_name(case)}: {result.lost} events of {result.offered} × {case.clients} lost")
    for line in wrong:
        sys.stderr.write(f"fanout: {line}\n")
    return 1 if wrong else 0


def _name(case: Case) -> str:
    load = "idle" if case.rate is None else f"{case.rate:g}/s" if case.rate else "flat out"
    return f"{case.server} {load} × {case.clients}{f', {case.note}' if case.note else ''}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke test, less than 30 s")
    parser.add_argument("--full", action="store_true", help=f"also {FASTER_THAN_ANY_BUS} frames/s")
    parser.add_argument("--grid-only", action="store_true", help="clients × rates and nothing else")
    parser.add_argument("--clients", type=_numbers, default=[1, 10, 100, 1000], metavar="N,N")
    parser.add_argument("--rates", type=_numbers, default=[500, 2000, 8000], metavar="N,N", help="frames/s")
    parser.add_argument("--servers", type=_servers, default=list(SERVERS), metavar="NAME,NAME")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured per case, after 1 s of warm-up")
    parser.add_argument("--report", type=Path, metavar="FILE", help="everything as JSON")
    parser.add_argument("--channel", help="a real interface, such as vcan0, instead of a socketpair")
    return parser


def _numbers(text: str) -> list[int]:
    numbers = [int(word) for word in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("numbers above 0")
    return numbers


def _servers(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SERVERS:
            raise argparse.ArgumentTypeError(f"no such server: {name}; there are {', '.join(SERVERS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
