"""From the bus to the clients: every frame, in order, with its own timestamp."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.e2e.helpers import Daemon
from tests.vcan.bench import (
    PATIENCE_S,
    Position,
    Program,
    accounted,
    assert_bus_gaps,
    assert_same,
    canplayer,
    left_out,
    lesdebug,
    lesmock,
    recording,
    sending,
    sent,
    silence,
    tally,
    until,
)
from tests.vcan.client import client

Report = Callable[[str, object], None]
# Ten rides of 4.8 s, each after a pause.
A_MINUTE = ("--distance", "3000", "--pause", "1.2", "--count", "10")
AT_LEAST = 29_000


def position_of(event: dict[str, object]) -> Position:
    payload = event["payload"]
    assert isinstance(payload, dict)
    assert isinstance(event["ts"], float)
    return Position(event["ts"], payload["channel"], payload["position_raw"])


def test_every_frame_of_a_minute_reaches_three_clients_as_it_was(
    listener: Daemon, tmp_path: Path, record_property: Report
) -> None:
    silence(listener)
    with (
        lesdebug(tmp_path / "lesdebug", listener.url) as printing,
        client(listener) as one,
        client(listener) as another,
        recording(tmp_path / "log") as log,
    ):
        start, before = tally(listener), sent()
        with lesmock(tmp_path / "lesmock", *A_MINUTE) as mock:
            assert mock.wait(60 + PATIENCE_S) == 0
        total = sent() - before
        summary = re.search(r"^(\d+) frames sent$", mock.said(), re.MULTILINE)
        assert summary, mock.said()
        assert total == int(summary[1]), "somebody else has sent as well"

        said = accounted(listener, start, total)
        until(lambda: len(log.frames()) == total, f"{total} frames in candump's log")
        seen = log.positions()
        silence(listener)  # told behind the last position
        until(lambda: '"no_data"' in printing.said()[-500:], "the end at lesdebug")
        for each in (one, another):
            each.wait_for("status", after=each.now - 50, state="no_data")
        printed = [json.loads(line) for line in printing.said().splitlines() if line.startswith("{")]
        heard = [one.events(), another.events(), printed]
    pauses = [later.ts - position.ts for position, later in pairwise(seen)]
    missing = left_out(seen)
    record_property("sent", total)
    record_property("positions", len(seen))
    record_property("span_s", round(seen[-1].ts - seen[0].ts, 3))
    record_property("longest_pause_ms", round(1000 * max(pauses), 1))
    record_property("left_out_by_lesmock", missing)
    record_property("told_bus", said.lost_bus)
    assert len(seen) > AT_LEAST
    assert len({position.raw for position in seen}) > 2500
    assert said.lost_kernel == 0
    for events in heard:
        assert events[0]["type"] == "hello"
        assert_same([position_of(event) for event in events if event["type"] == "position_sample"], seen)
        gaps = [event["payload"] for event in events if event["type"] == "gap"]
        assert {gap["where"] for gap in gaps} <= {"bus"}
        assert sum(gap["skipped"] for gap in gaps) == said.lost_bus
    assert_bus_gaps(said.lost_bus, seen)


def test_a_ride_from_candumps_log_is_heard_as_it_was_recorded(
    listener: Daemon, paused_sensor: Program, tmp_path: Path, record_property: Report
) -> None:
    with recording(tmp_path / "ride.log") as ride:
        before = sent()
        with sending(paused_sensor):
            until(lambda: len({one.raw for one in ride.positions()}) > 200, "a part of a ride")
        until(lambda: len(ride.frames()) == sent() - before, "candump to have written all of it")
        recorded = ride.positions()
    with client(listener) as witness:
        before, place = sent(), witness.now
        canplayer(ride.output)
        assert sent() - before == len(ride.frames()) == len(recorded)
        until(lambda: len(witness.positions(after=place)) == len(recorded), f"{len(recorded)} positions")
        heard = witness.positions(after=place)
    record_property("positions", len(recorded))
    assert [one[1:] for one in heard] == [one[1:] for one in recorded]
    assert all(one.ts < later.ts for one, later in pairwise(heard))
