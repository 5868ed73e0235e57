"""What else is on a bus beside the sensor is never taken for it, and never fills a log."""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from tests.e2e.helpers import Daemon
from tests.vcan.bench import (
    CHANNEL,
    Program,
    accounted,
    assert_same,
    canplayer,
    cansend,
    metric,
    program,
    recording,
    sending,
    sent,
    tally,
    until,
    write_log,
)
from tests.vcan.client import client

FOREIGN = [
    "180#00123400",
    "181#0012340000000000",
    "00000080#00ABCD00",  # eight digits: an extended identifier
    "00000081#00ABCD00",
    "080#R4",
    "081#R",
]
MALFORMED = ["080#", "081#1081110000000000"]  # CANopen's SYNC, and EMCY of node 1
CAN_FD = ["080##000ABCD00", "081##100ABCD00"]  # never even handed to a socket that did not ask for them
ROUNDS = 20
BUS_OFF = "20000040#0000000000000000"


def test_five_hundred_malformed_frames_a_second_are_told_once_in_ten_seconds(
    listener: Daemon, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    count = 1500
    with client(listener) as witness:
        start, lines = tally(listener), told(listener, "malformed_frame")
        flood = ("cangen", CHANNEL, "-g", "2", "-I", "080", "-L", "3", "-n", str(count))
        with program(tmp_path / "cangen", *flood) as generator:
            assert generator.wait() == 0
        said = accounted(listener, start, count)
        assert said.frames["malformed"] == count
        errors = [event["payload"] for event in witness.events("error")]
    assert {error["code"] for error in errors} <= {"malformed_frame"}
    assert len(errors) <= 1
    new = told(listener, "malformed_frame")[len(lines) :]
    record_property("lines", len(new))
    assert len(new) <= 1
    assert told(listener, "malformed_frame")  # now, or in the ten seconds before
    assert_apart(told(listener, "malformed_frame"), 10)


def test_no_neighbour_is_taken_for_the_sensor(
    listener: Daemon, paused_sensor: Program, tmp_path: Path
) -> None:
    neighbours = [*FOREIGN, *MALFORMED, *CAN_FD]
    mixed = write_log(tmp_path / "neighbours", neighbours * ROUNDS, 0.003)
    with recording(tmp_path / "log") as log, client(listener) as witness:
        start, before = tally(listener), sent()
        place = witness.now
        with sending(paused_sensor):
            canplayer(mixed)
            cansend(*neighbours)
        total = sent() - before
        said = accounted(listener, start, total - len(CAN_FD) * (ROUNDS + 1))
        until(lambda: len(log.frames()) == total, f"{total} frames in the log")
        seen = log.positions()
        until(lambda: len(witness.positions(after=place)) >= len(seen), f"{len(seen)} positions")
        assert_same(witness.positions(after=place), seen)
    assert said.frames["foreign"] == len(FOREIGN) * (ROUNDS + 1)
    assert said.frames["malformed"] == len(MALFORMED) * (ROUNDS + 1)
    assert said.frames["master"] + said.frames["slave"] == len(seen)
    assert said.lost_kernel == 0


def test_can_errors_are_counted_by_class_and_told_once_a_second(
    listener: Daemon, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    count = 400
    errors = write_log(tmp_path / "errors", [BUS_OFF] * count, 0.005)
    with client(listener) as witness:
        start = tally(listener)
        counted = metric_of_bus_off(listener)
        canplayer(errors)
        said = accounted(listener, start, count)
        assert said.frames["error_frame"] == count
        assert {name: n for name, n in said.can_errors.items() if n} == {"bus_off": count}
        assert metric_of_bus_off(listener) == counted + count
        heard = witness.events("error")
    assert {event["payload"]["code"] for event in heard} == {"can_error"}
    assert {event["payload"]["channel"] for event in heard} == {"system"}
    details = [event["payload"]["details"] for event in heard]
    assert all(detail["classes"] == ["bus_off"] for detail in details)
    record_property("events", len(heard))
    assert 2 <= len(heard) <= 4  # 2 s, on a slow machine some more
    assert all(later["ts"] - event["ts"] > 0.99 for event, later in pairwise(heard))
    # Each event says how many before it were not told; those after the last one still wait.
    accounted_for = sum(1 + detail["repeated"] for detail in details)
    assert count / 3 < accounted_for <= count
    assert told(listener, "can_error")
    assert_apart(told(listener, "can_error"), 10)


def metric_of_bus_off(listener: Daemon) -> float:
    if "bus_off" not in tally(listener).can_errors:
        return 0.0
    return metric(listener, 'les02_can_errors_total{class="bus_off"}')


def told(listener: Daemon, event: str) -> list[datetime]:
    return [
        datetime.fromisoformat(record["timestamp"])
        for record in listener.records()
        if record["event"] == event
    ]


def assert_apart(moments: list[datetime], seconds: float) -> None:
    distances = [(later - moment).total_seconds() for moment, later in pairwise(moments)]
    assert all(distance > seconds - 0.1 for distance in distances), distances
