"""An endurance run of the daemon: all that happens to it in a workshop, and its accounts checked.

    sudo .venv/bin/python benchmarks/soak.py --minutes 60   on a machine with a vcan0 (deleted and made anew)
    tests/vcan/boot .venv/bin/python benchmarks/soak.py     where there is none

At the sensor's rate: ten clients come and go, one never reads, one reads too slowly, the interface fails,
the daemon is stopped for a second. A witness on the bus and a permanent client prove that no frame is lost
without being told. Exit 1, with the reason, if anything is not as it should be.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import random
import signal
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.soak_parts import (
    TICK_S,
    Daemon,
    Guests,
    SoakError,
    Subscriber,
    Witness,
    cpu_s,
    end,
    ip,
    make_punctual,
    not_a_vcan,
    restore,
    spawn,
    until,
)
from benchmarks.soak_report import Loss, Report

if TYPE_CHECKING:
    import subprocess

STAY_S = (2.0, 12.0)
OUTAGE_S = (0.5, 3.0)
STOP_S = 1.0
# Up to these, less in a short run, so that each kind of trouble comes at least once a minute.
LOSS_EVERY_S = 100.0
STOP_EVERY_S = 60.0
# No new trouble so late that it would not be over in time.
LAST_TROUBLE_S = 8.0
WARM_UP_S = 8.0
LIVE_S = 10.0
SAMPLE_S = 1.0
# A slow reader begins to read this long after so many positions wait for it: about what socket and write
# buffers hold, and before the daemon gives up on it (stall_s later).
SLOW_POSITIONS = 900
SLOW_S = 1.0
SLOW_BUFFER = 16_384


class Soak:
    def __init__(self, options: argparse.Namespace) -> None:
        self.channel: str = options.channel
        self.run_s: float = options.minutes * 60
        self.clients: int = options.clients
        self.seed: int = options.seed
        self.ending = asyncio.Event()
        # One trouble at a time: a stop in the middle of a loss would blur what is measured.
        self.trouble = asyncio.Lock()
        self.losses: list[Loss] = []
        self.unexpected: list[str] = []
        self.slow_from_s = math.inf
        self.longest_pause_s = 0.0
        self.interrupted = False
        self.bus_gaps = 0
        self.false_gaps: list[str] = []
        self.stops = 0
        self.resident: list[tuple[float, int]] = []
        self.ages = array("d")
        self.warm_kib = 0
        self.received: dict[str, float] = {}
        self.summary = ""
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe nobody reads would fill up
        self.mock: subprocess.Popen[bytes] | None = None
        self.witness = Witness(self.channel)
        self.began = time.monotonic()

    async def run(self) -> None:
        self.daemon = Daemon(self.channel)
        try:
            await self._start()
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(self._pump(), name="read")
                live = tasks.create_task(self._live(), name="tell")
                await self._warm_up()
                load = [tasks.create_task(work) for work in self._load()]
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(self._ends_at()):
                        await self.ending.wait()
                        self.interrupted = True
                self.ran_s = time.monotonic() - self.began
                self.ending.set()
                async with self.trouble:
                    for task in (*load, live):
                        task.cancel()
                await asyncio.wait(load)
                await self._settle()
                pump.cancel()
            await self._finish()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._clean_up()

    async def _start(self) -> None:
        daemon = self.daemon
        await until(
            lambda: daemon.read_log() and (daemon.port or daemon.process.poll() is not None), "the daemon"
        )
        if daemon.process.poll() is not None:
            raise SoakError(f"the daemon did not start: {daemon.failures}")
        self.permanent = Subscriber(daemon.port, self._told)
        self.slow = Subscriber(daemon.port, buffer=SLOW_BUFFER)
        self.slow_address = self.slow.address
        self.guests = Guests(daemon.port)
        await until(lambda: self.permanent.read() and self.permanent.types["hello"], "hello")
        self.mock = spawn("mock.mock_les02", "--channel", self.channel, stdout=self.output.fileno())
        make_punctual(self.mock.pid)

    async def _warm_up(self) -> None:
        """What is done for the first time costs memory; this holds for a loss of the bus as well."""
        await until(lambda: self.permanent.positions > 500, "the first positions")
        async with self.trouble:
            await self._lose("down", OUTAGE_S[0])
            await asyncio.sleep(0.5)  # until the thread that opened the bus has ended
            self._weigh()
            self.descriptors, self.threads = self.daemon.descriptors(), self.daemon.threads()

    def _load(self) -> list[Any]:
        visits = [self._come_and_go(number) for number in range(self.clients)]
        return [
            *visits,
            self._stay_stuck(),
            self._lose_now_and_then(),
            self._stop_now_and_then(),
            self._sample(),
        ]

    async def _pump(self) -> None:
        make_punctual(os.getpid())
        before = time.monotonic()
        while self.permanent.open:
            now = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s, now - before)
            before = now
            self.daemon.read_log()
            self.witness.drain()
            self._read_permanent()
            self._read_slowly(now)
            await asyncio.sleep(TICK_S)
        if self.daemon.process.returncode is None:
            raise SoakError(f"the daemon closed the permanent client: {self.permanent.close_code}")

    def _read_slowly(self, now: float) -> None:
        waits = self.permanent.positions - self.slow.positions - self.slow.skipped["client"]
        if waits < 50:
            self.slow_from_s = math.inf
        elif waits >= SLOW_POSITIONS:
            self.slow_from_s = min(self.slow_from_s, now + SLOW_S)
        # While the bus or the daemon stands still its patience with a slow reader does not.
        if now >= self.slow_from_s or self.trouble.locked() or self.ending.is_set():
            self.slow.read()

    def _read_permanent(self) -> None:
        last = self.permanent.last_position
        self.permanent.read()
        if self.permanent.last_position != last and not self.trouble.locked():
            self.ages.append(time.time() - self.permanent.last_position)

    def _told(self, event: dict[str, Any]) -> None:
        now, payload = time.time(), event["payload"]
        loss = self.losses[-1] if self.losses else None
        if event["type"] == "position_sample":
            if loss and loss.up_told and not loss.seen:
                loss.seen, loss.first = now, event["ts"]
            elif loss and loss.lost_told and not loss.seen:
                loss.last = event["ts"]  # out of order, and yet not lost
        elif event["type"] == "gap" and payload["where"] == "bus":
            self.bus_gaps += 1
            if not self.witness.sensor_was_late(payload["first_ts"], payload["last_ts"]):
                self.false_gaps.append(json.dumps(payload))
        elif event["type"] == "status":
            state = payload["state"]
            if state == "bus_lost" and loss and not loss.lost_told:
                loss.lost_told, loss.last = now, self.permanent.last_position
            elif state == "bus_up" and loss and loss.lost_told and not loss.up_told:
                loss.up_told = now
            elif state == "receiving" and loss and loss.up_told and not loss.receiving_told:
                loss.receiving_told = now
            elif state in {"bus_lost", "bus_up"}:
                self.unexpected.append(json.dumps(payload))

    def _chance(self, whose: object) -> random.Random:
        """One for each actor: what it does must not depend on the timing of the others."""
        return random.Random(f"{self.seed} {whose}")

    async def _come_and_go(self, number: int) -> None:
        chance = self._chance(number)
        while True:
            await self.guests.visit(chance.uniform(*STAY_S), polite=chance.random() < 0.5)
            await asyncio.sleep(chance.uniform(0, 0.3))

    async def _stay_stuck(self) -> None:
        while True:
            await self.guests.be_stuck(self.daemon)

    async def _lose_now_and_then(self) -> None:
        chance = self._chance("losses")
        for kind in itertools.cycle(("del", "down")):
            await self._pause(LOSS_EVERY_S, chance)
            async with self.trouble:
                await self._lose(kind, chance.uniform(*OUTAGE_S))

    async def _stop_now_and_then(self) -> None:
        chance = self._chance("stops")
        while True:
            await self._pause(STOP_EVERY_S, chance)
            async with self.trouble:
                await asyncio.sleep(0.3)  # for the slow reader to catch up
                self.daemon.process.send_signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(STOP_S)
                finally:
                    self.daemon.process.send_signal(signal.SIGCONT)
                self.stops += 1
                # The witness knows by now what the daemon has to catch up with.
                await until(self._caught_up_with(self.witness.last), "catching up after SIGSTOP")

    def _caught_up_with(self, ts: float) -> Callable[[], bool]:
        return lambda: self.permanent.last_position >= ts

    async def _lose(self, kind: str, outage_s: float) -> None:
        await asyncio.sleep(0.3)  # for the slow reader to catch up
        loss = Loss(kind, down=time.time())
        self.losses.append(loss)
        await ip("link", *(("set", self.channel, "down") if kind == "down" else ("del", self.channel)))
        await asyncio.sleep(outage_s)
        if kind == "del":
            await ip("link", "add", "dev", self.channel, "type", "vcan")
        loss.up = time.time()
        await ip("link", "set", self.channel, "up")
        await until(lambda: loss.seen, f"the first position after a loss ({kind})")
        await until(lambda: self.witness.last >= loss.first, "the witness")
        # Exclusive on both sides: what the client saw last and first is in the daemon's account, and so is
        # what it was told to have missed by itself.
        missed = self.permanent.missed
        in_all = self.witness.between(loss.last, loss.first) - missed(loss.last, loss.first)
        loss.unread = max(0, self.witness.between(loss.last, loss.up) - missed(loss.last, loss.up))
        loss.unheard = in_all - loss.unread

    async def _pause(self, most_s: float, chance: random.Random) -> None:
        pause_s = min(most_s, self.run_s / 6) * chance.uniform(0.7, 1.2)
        if asyncio.get_running_loop().time() + pause_s > self._ends_at() - LAST_TROUBLE_S:
            await asyncio.Future()  # until the load is ended
        await asyncio.sleep(pause_s)
        if self.ending.is_set():
            await asyncio.Future()

    def _ends_at(self) -> float:
        return self.began + self.run_s  # the loop's clock is time.monotonic

    async def _sample(self) -> None:
        load_began = time.monotonic()
        while True:
            await asyncio.sleep(SAMPLE_S)
            self._weigh()
            if not self.warm_kib and time.monotonic() - load_began > WARM_UP_S:
                self.warm_kib = self.resident[-1][1]

    def _weigh(self) -> None:
        self.resident.append((time.monotonic() - self.began, self.daemon.resident_kib()))

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(LIVE_S)
            print(
                f"{time.monotonic() - self.began:6.0f} s  {self.witness.frames} frames sent, "
                f"{self.permanent.positions} positions at the permanent client, "
                f"{self.guests.present} guests, RSS {self.daemon.resident_kib()} KiB, "
                f"{len(self.losses)} losses, {self.stops} stops",
                flush=True,
            )

    async def _settle(self) -> None:
        """The sensor ends, all get what is on its way; the two clients of the beginning are left."""
        mock = self.mock
        assert mock is not None
        self.mock_cpu_s = cpu_s(mock.pid)
        mock.terminate()
        await until(lambda: mock.poll() is not None, "the end of the simulated sensor")
        self.output.seek(0)
        *_, self.summary = "", *self.output.read().decode().splitlines()
        with contextlib.suppress(SoakError):  # the accounts will tell
            await until(lambda: self.permanent.last_position == self.witness.last, "the last position")
        with contextlib.suppress(SoakError):
            await until(lambda: self.daemon.descriptors() == self.descriptors, "", 10)
        await asyncio.sleep(1.2)  # the counters of the kernel are read once a second
        self.ended_descriptors, self.ended_threads = self.daemon.descriptors(), self.daemon.threads()
        wall_s = time.monotonic() - self.began
        self.cpu_share = cpu_s(self.daemon.process.pid) / wall_s
        self.cpu_around = (time.process_time() + self.mock_cpu_s) / wall_s
        self.received = await asyncio.to_thread(self.daemon.metrics)
        self.permanent.read()
        self.slow.read()

    async def _finish(self) -> None:
        began = time.monotonic()
        self.daemon.process.terminate()
        await until(lambda: self.permanent.read() and self.daemon.process.poll() is not None, "its end")
        self.end_s = time.monotonic() - began
        self.permanent.read()
        self.daemon.read_log()

    def _clean_up(self) -> None:
        end(self.mock)
        end(self.daemon.process)
        self.witness_dropped = self.witness.dropped
        self.witness.close()
        self.output.close()
        restore(self.channel)


async def supervise(options: argparse.Namespace) -> int:
    soak = Soak(options)
    main = asyncio.current_task()
    assert main is not None

    def interrupted() -> None:
        # The first ends the run in order, with its report; the second only cleans up.
        main.cancel() if soak.ending.is_set() else soak.ending.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted)
    try:
        await soak.run()
    except SoakError as reason:
        print(*soak.daemon.failures, f"FAILED: {reason}", sep="\n")
        if options.report:
            options.report.write_text(json.dumps({"failures": [*soak.daemon.failures, str(reason)]}) + "\n")
        return 1
    except asyncio.CancelledError:
        return 130
    report = Report(soak)
    print(report.table())
    for failure in report.failures:
        print("FAILED:", failure)
    if options.report:
        rows = [dict(zip(("what", "value", "must"), row, strict=True)) for row in report.rows]
        whole = {"failures": report.failures, "rows": rows, "losses": [asdict(loss) for loss in soak.losses]}
        options.report.write_text(json.dumps(whole | {"resident_kib": soak.resident}, indent=1) + "\n")
    return 1 if report.failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Let the daemon run for long, disturb it, and check its accounts."
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the disturbances (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=10, help="that come and go (default: %(default)s)")
    parser.add_argument(
        "--channel", default="vcan0", help="a vcan, deleted and made anew (default: %(default)s)"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the result as JSON as well")
    options = parser.parse_args()
    if trouble := not_a_vcan(options.channel):
        parser.error(trouble)
    return asyncio.run(supervise(options))


if __name__ == "__main__":
    sys.exit(main())
