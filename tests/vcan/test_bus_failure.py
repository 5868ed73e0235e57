"""The interface fails under the running listener, in the two ways in which it can."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.helpers import Daemon, leslisten
from tests.vcan.bench import (
    DOWN,
    GONE,
    Failure,
    Program,
    Saboteur,
    cansend,
    ip,
    listening,
    make_bus,
    raise_bus,
    recording,
    sent,
    until,
)
from tests.vcan.client import Client, client

TOLD_WITHIN_S = 0.1
# The longest pause between two looks for the bus, and its jitter.
FOUND_WITHIN_S = 5.0 * 1.2


@pytest.mark.parametrize("failure", [DOWN, GONE], ids=["down", "gone"])
def test_a_bus_that_fails_mid_ride_is_told_at_once_and_found_again(
    listener: Daemon, sensor: Program, failure: Failure, record_property: Callable[[str, object], None]
) -> None:
    told_s: list[float] = []
    with ExitStack() as stack:
        clients = [stack.enter_context(client(listener)) for _ in range(3)]
        # Two of five: who shares one slow CPU with all the others has to wait for it now and then.
        while sum(one_s < TOLD_WITHIN_S for one_s in told_s) < 2:
            assert len(told_s) < 5, told_s
            said_before = sensor.said()
            once_s, found_s = fail_and_recover(listener, clients, failure)
            assert "sending again" in sensor.said().removeprefix(said_before)
            assert found_s < FOUND_WITHIN_S
            told_s.append(once_s)
            record_property("told_ms", round(1000 * once_s, 1))
            record_property("found_s", round(found_s, 2))
        assert not any(each.ended.is_set() for each in clients)


def fail_and_recover(listener: Daemon, clients: list[Client], failure: Failure) -> tuple[float, float]:
    """How long after it happened all clients knew, and how long after the remedy again."""
    places = [each.now for each in clients]
    for each, place in zip(clients, places, strict=True):
        each.wait_for("position_sample", after=place)
    saboteur = Saboteur(failure)
    failing_at = time.time()
    with saboteur.at_work():
        losses = [
            each.wait_for("status", after=place, state="bus_lost", position_stale=True)
            for each, place in zip(clients, places, strict=True)
        ]
        status, body = listener.get("/healthz")
        assert status == 503
        assert '"status":"bus_lost"' in body
        raised_at = time.time()
    found = [
        each.wait_for("status", after=place, state="bus_up")
        for each, place in zip(clients, places, strict=True)
    ]
    for each, place in zip(clients, places, strict=True):
        received = each.wait_for("status", after=place, state="receiving", channel="system")
        each.wait_for_position(received.event["ts"])
        states = [event["payload"]["state"] for event in each.events("status", after=place)]
        assert states == ["bus_lost", "bus_up", "receiving"]
        assert not each.gaps("kernel", after=place)
    assert listener.get("/healthz")[0] == 200
    told_s = max(heard.at for heard in losses) - failing_at
    return told_s, max(heard.at for heard in found) - raised_at


def test_the_listener_never_sends_a_frame(listener: Daemon, tmp_path: Path) -> None:
    commands = [
        '{"type":"unlock","id":1}',
        '{"type":"command:unlock","channel":"master","id":"two"}',
        '{"type":"send","id":3,"frame":"010#0000000000000000"}',
        '{"type":"position_sample","payload":{"channel":"master","position_raw":1}}',
        "no JSON",
    ]
    with recording(tmp_path / "log") as log, client(listener) as commander:
        before = sent()
        for command in commands:
            commander.send(command)
        until(lambda: len(commander.events("error")) == len(commands), "every command to be refused")
        place = commander.now
        with Saboteur(DOWN).at_work():
            commander.wait_for("status", after=place, state="bus_lost")
        commander.wait_for("status", after=place, state="bus_up")
        for command in commands:
            commander.send(command)
        until(lambda: len(commander.events("error")) == 2 * len(commands), "every command to be refused")
        assert sent() == before
        cansend("7FF#")  # both witnesses are awake
        until(log.frames, "the frame in the log")
        assert [frame.split()[2] for frame in log.frames()] == ["7FF#"]
        assert sent() == before + 1


def test_a_start_on_a_missing_interface_is_one_line_and_exit_1(tmp_path: Path) -> None:
    assert_refused(tmp_path, "vcan7", "no such interface; try: sudo ip link add dev vcan7 type vcan")


def test_a_start_on_an_interface_that_is_down_is_one_line_and_exit_1_and_works_when_it_is_up(
    tmp_path: Path,
) -> None:
    make_bus("vcan1")
    try:
        assert_refused(tmp_path, "vcan1", "the interface is down; try: sudo ip link set vcan1 up")
        raise_bus("vcan1")
        with listening(tmp_path, "vcan1") as listener:
            assert listener.get("/healthz")[0] == 200
            assert listener.end()[0] == 0
    finally:
        ip("link", "del", "vcan1")


def assert_refused(cwd: Path, channel: str, reason: str) -> None:
    ended = leslisten("--interface", "socketcan", "--channel", channel, "--port", "0", cwd=cwd)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith(f"leslisten: cannot open socketcan {channel}: {reason}")
    assert "Traceback" not in ended.stderr + ended.stdout
