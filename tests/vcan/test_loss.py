"""Frames that the kernel could not keep for the listener: each is told, once, and none is made up."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.helpers import Daemon
from tests.vcan.bench import (
    CHANNEL,
    POSITIONS,
    Program,
    accounted,
    assert_bus_gaps,
    late_at_most,
    left_out,
    listening,
    metric,
    pause,
    program,
    recording,
    sending,
    sent,
    silence,
    tally,
    until,
)
from tests.vcan.client import Client, client

Report = Callable[[str, object], None]
FRAMES_MEANWHILE = 1500  # 3 s of the sensor
FRAME_BYTES = 768  # what the kernel counts for one in a receive buffer
SMALL_BUFFER = 100_000
FLOOD_S = 10
GROWTH_KIB = 16 * 1024


def stop_and_go(listener: Daemon, witness: Client, frames: int) -> None:
    """The process stands still while the sensor goes on."""
    witness.wait_for("position_sample")
    pause(listener.process.pid)
    begin = sent()
    until(lambda: sent() >= begin + frames, f"{frames} frames")
    listener.process.send_signal(signal.SIGCONT)
    witness.wait_for_position(time.time())


def test_what_a_small_receive_buffer_loses_is_told_to_the_frame(
    paused_sensor: Program, tmp_path: Path, record_property: Report
) -> None:
    with (
        listening(tmp_path, LES02_CAN__RECEIVE_BUFFER=str(SMALL_BUFFER)) as listener,
        client(listener) as witness,
        recording(tmp_path / "log", POSITIONS) as log,
    ):
        start, before = tally(listener), sent()
        with sending(paused_sensor):
            stop_and_go(listener, witness, FRAMES_MEANWHILE)
            witness.wait_for("gap", where="kernel")
        total = sent() - before
        said = accounted(listener, start, total)

        record_property("sent", total)
        record_property("received", said.frames.total())
        record_property("told_lost", said.lost_kernel)
        assert said.lost_kernel > FRAMES_MEANWHILE - 2 * SMALL_BUFFER // FRAME_BYTES
        assert metric(listener, 'les02_lost_frames_total{where="kernel"}') == said.lost_kernel
        until(
            lambda: sum(gap["skipped"] for gap in witness.gaps("kernel")) == said.lost_kernel,
            f"{said.lost_kernel} told to the client, not {witness.gaps('kernel')}",
        )
        assert all(0 < gap["last_ts"] - gap["first_ts"] < 10 for gap in witness.gaps("kernel"))
        assert len(witness.positions()) == said.frames["master"] + said.frames["slave"]
        assert said.lost_bus == sum(gap["skipped"] for gap in witness.gaps("bus"))
        not_sent = left_out(log.positions())
        record_property("told_bus", said.lost_bus)
        record_property("left_out_by_lesmock", not_sent)
        assert said.lost_bus <= late_at_most(log.positions())

        assert listener.end()[0] == 0
        stopped = listener.logged("listener_stopped")
        assert (stopped["frames"], stopped["lost_kernel"]) == (said.frames.total(), said.lost_kernel)


def test_the_default_receive_buffer_loses_nothing_in_three_seconds(
    listener: Daemon, paused_sensor: Program, record_property: Report
) -> None:
    # A kernel that does not grant all of it (without root) must keep at least what fits.
    fits = listener.logged("receive_buffer")["granted"] // FRAME_BYTES // 2
    silence(listener)
    with client(listener) as witness:
        start, before = tally(listener), sent()
        with sending(paused_sensor):
            place = witness.now
            stop_and_go(listener, witness, min(FRAMES_MEANWHILE, fits))
        total = sent() - before
        said = accounted(listener, start, total)
        record_property("sent", total)
        record_property("told_lost", said.lost_kernel)
        assert said.lost_kernel == 0
        until(lambda: len(witness.positions()) == total, f"{total} positions at the client")
        missing = left_out(witness.positions())
        record_property("left_out_by_lesmock", missing)
        assert_bus_gaps(said.lost_bus, witness.positions())
        assert sum(event["payload"]["skipped"] for event in witness.events("gap")) == said.lost_bus
        states = [event["payload"]["state"] for event in witness.events("status", after=place)]
        assert set(states) <= {"receiving"}


def test_a_flood_of_ten_seconds_is_counted_to_the_frame_and_survived(
    listener: Daemon, paused_sensor: Program, tmp_path: Path, record_property: Report
) -> None:
    # An identifier that passes for a position to whoever does not compare all of it.
    flood = ("cangen", CHANNEL, "-g", "0", "-i", "-I", "180", "-L", "4", "-D", "i")
    silence(listener)
    with client(listener) as witness, recording(tmp_path / "log", POSITIONS) as log:
        start, before = tally(listener), sent()
        small = listener.resident_kib()
        with sending(paused_sensor):
            with program(tmp_path / "cangen", *flood) as generator:
                with pytest.raises(subprocess.TimeoutExpired):
                    generator.wait(FLOOD_S)
                flooded = listener.resident_kib()
            ended_at = time.time()
            witness.wait_for_position(ended_at)
        total = sent() - before
        said = accounted(listener, start, total)
        after = listener.resident_kib()
        not_sent = left_out(log.positions())

        record_property("sent", total)
        record_property("received", said.frames.total())
        record_property("told_lost", said.lost_kernel)
        record_property("told_bus", said.lost_bus)
        record_property("left_out_by_lesmock", not_sent)
        record_property("rss_kib", (small, flooded, after))
        assert total > 10_000
        assert said.frames["malformed"] == 0
        assert said.frames["foreign"] > said.frames["master"] > 0
        until(
            lambda: sum(gap["skipped"] for gap in witness.gaps("kernel")) == said.lost_kernel,
            f"{said.lost_kernel} told to the client, not {witness.gaps('kernel')}",
        )
        assert not witness.gaps("client")
        assert said.lost_bus <= late_at_most(log.positions())  # nothing that the kernel dropped
        assert len(witness.positions()) == said.frames["master"] + said.frames["slave"]
        assert max(flooded, after) - small < GROWTH_KIB
        assert listener.get("/healthz")[0] == 200
