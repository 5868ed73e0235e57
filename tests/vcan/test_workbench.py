"""The workbench on a real bus, against what can-utils see and send there."""

import math
import re
import statistics
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.helpers import ROOT
from tests.vcan.bench import (
    PATIENCE_S,
    STAMP_TOLERANCE_S,
    Failure,
    Saboteur,
    canplayer,
    cansend,
    going_away,
    going_down,
    metric,
    recording,
    sent,
    until,
    write_log,
)
from tests.vcan.workbench import OTHER, SENSOR, Line, Workbench, kernels_periods, lines, working

Report = Callable[[str, object], None]
PLAYED_EVERY_S = 0.002
# Of timers in User Mode Linux.
LATENCY_S = 0.001
PINNED: dict[str, Any] = {"can_id": 0x222, "data": [1], "period_ms": 20, "pinned": True}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    with working(tmp_path_factory.mktemp("workbench")) as running:
        yield running
        assert running.listener.process.poll() is None, running.listener.lines[-20:]
        assert running.listener.end()[0] == 0
        assert not [line for line in running.listener.lines if "Traceback" in line]


def traffic(count: int) -> list[str]:
    """Of every kind."""
    frames = []
    for number in range(count):
        data = number.to_bytes(4, "big").hex().upper()
        frames += [
            f"{number % 0x7FF:03X}#{data}{'55' * (number % 5)}",
            f"{0x18FE0000 + number:08X}#{data}",
            f"{number % 0x7FF:03X}#R{number % 9 or ''}",
            f"1F0##{4 + number % 4}{data}{'A5' * 60}",
            f"{0x18FF0000 + number:08X}##{5}{data}",
        ]
    return frames


def default(bench: Workbench) -> Any:
    (own,) = [bus for bus in bench.get("/buses") if bus["name"] == "default"]
    return own


def play(place: Path, frames: list[str]) -> None:
    canplayer(write_log(place / "played", frames, PLAYED_EVERY_S, OTHER))


def assert_same(heard: list[Line], seen: list[Line], tolerance_s: float = STAMP_TOLERANCE_S) -> None:
    assert len(heard) == len(seen)
    for number, (one, other) in enumerate(zip(heard, seen, strict=True)):
        assert one.frame == other.frame, f"frame {number}"
        assert abs(one.ts - other.ts) < tolerance_s, f"frame {number}: {one} is not {other}"


def test_every_frame_is_traced_as_candump_sees_it(
    bench: Workbench, tmp_path: Path, record_property: Report
) -> None:
    frames = traffic(300)
    with (
        bench.connected(fd=True),
        bench.client() as client,
        recording(tmp_path / "log", channel=OTHER) as log,
    ):
        play(tmp_path, frames)
        until(lambda: len(log.frames()) == len(frames), "candump's log")
        until(lambda: len(client.frames()) >= len(frames), "all frames at the client")
        seen, heard = lines(log.frames()), client.frames()
        stats = bench.get("/stats")
    record_property("frames", len(seen))
    record_property("span_s", round(seen[-1].ts - seen[0].ts, 2))
    record_property(
        "largest_difference_us",
        round(1e6 * max(abs(a.ts - b.ts) for a, b in zip(heard, seen, strict=True)), 2),
    )
    assert [line.frame for line in seen] == frames
    assert_same(heard, seen)
    assert (stats["message_count"], stats["bus"]["frames"]) == (len(frames), len(frames))


def test_what_is_sent_is_on_the_bus_as_it_was_asked_for(bench: Workbench, tmp_path: Path) -> None:
    command = {"message_name": "InverterCommand", "signals": {"Target": 1000.5, "Enable": 1}}
    entries = [{"frame": {"can_id": 0x10 + number, "data": [number]}} for number in range(20)]
    with bench.connected(fd=True), recording(tmp_path / "log", channel=OTHER) as log:
        bench.post("/send", {"can_id": 0x123, "data": [1, 2, 0xFF]})
        bench.post("/send", {"can_id": 0x18FEF100, "data": [0xAA] * 8, "is_extended": True})
        bench.post("/send", {"can_id": 0x123, "data": [0] * 4, "is_remote": True})
        bench.post("/send", {"can_id": 0x200, "data": [3] * 64, "is_fd": True, "bitrate_switch": True})
        bench.post("/send", {"can_id": 1, "data": [0] * 9}, status=422)
        bench.post("/send", {"can_id": 0x800}, status=422)
        upload = bench.http.post(
            "/dbc/upload", files={"file": ("bench.dbc", (ROOT / "mock/bench.dbc").read_bytes())}
        )
        assert upload.status_code == 200, upload.text
        bench.post("/send_message", command)
        bench.post("/send_message", {**command, "signals": {"Target": 1e6}}, status=422)
        assert bench.http.put("/transmit_lists/twenty", json={"frames": entries}).status_code == 200
        bench.post("/transmit_lists/twenty/send")
        expected = ["123#0102FF", "18FEF100#AAAAAAAAAAAAAAAA", "123#R4", f"200##5{'03' * 64}", "200#D1070100"]
        expected += [f"{0x10 + number:03X}#{number:02X}" for number in range(20)]
        until(lambda: len(log.frames()) >= len(expected), "the frames in the log")
        (own,) = [bus for bus in bench.get("/buses") if bus["name"] == "default"]
        counted = bench.get("/buses/default/statistics")["frames"]
        cansend("7FF#", channel=OTHER)  # candump is awake
        until(lambda: lines(log.frames())[-1].frame == "7FF#", "the last frame")
        seen = [
            line.frame.replace("##1", "##5") for line in lines(log.frames())
        ]  # FDF is told by newer kernels
    assert seen == [*expected, "7FF#"]
    assert own["sent"] == len(expected)
    assert counted == len(expected)


def test_frames_that_come_back_are_counted_once(bench: Workbench) -> None:
    with bench.connected(receive_own=True), bench.client() as client:
        for number in range(10):
            bench.post("/send", {"can_id": number})
        until(lambda: len(client.frames()) == 10, "its own frames")
        own = default(bench)
        assert (own["sent"], own["received"]) == (10, 10)
        assert bench.get("/buses/default/statistics")["frames"] == 10


def test_the_sensors_bus_is_read_and_never_written(bench: Workbench, tmp_path: Path) -> None:
    frame = {"can_id": 0x10, "data": [1], "bus": SENSOR}
    with bench.client(f"?bus={SENSOR}&decoded=0") as client, recording(tmp_path / "log") as log:
        before = sent()
        (listed,) = [bus for bus in bench.get("/buses") if bus["name"] == SENSOR]
        assert (listed["is_sensor"], listed["writable"]) == (True, False)
        for path, body in (
            (
                "/connect",
                {"device_type": "socketcan", "channel": "vcan0", "baudrate": "BAUD_250K", "bus": "mine"},
            ),
            ("/connect", {"device_type": "socketcand", "channel": "127.0.0.1:29536/vcan0", "bus": "mine"}),
            ("/send", frame),
            ("/send_message", {"message_name": "InverterCommand", "bus": SENSOR}),
            ("/cyclic", {**PINNED, "bus": SENSOR}),
            ("/disconnect", {"bus": SENSOR}),
        ):
            bench.post(path, body, status=403)
        assert kernels_periods() == []
        assert sent() == before
        # No position, so that there is nothing to be missed afterwards.
        cansend("7FE#01", "18FEF100#02", "123#R3")
        until(lambda: len(client.frames()) == 3, "what was on the sensor's bus")
        until(lambda: len(log.frames()) == 3, "the frames in the log")
        seen, heard = lines(log.frames()), client.frames()
        assert sent() == before + 3
        assert metric(bench.listener, f'les02_workbench_sent_frames_total{{bus="{SENSOR}"}}') == 0
    assert [line.frame for line in seen] == ["7FE#01", "18FEF100#02", "123#R3"]
    assert_same(heard, seen)


def test_on_a_bus_that_is_listen_only_nothing_is_sent(bench: Workbench, tmp_path: Path) -> None:
    with bench.connected(listen_only=True), recording(tmp_path / "log", channel=OTHER) as log:
        for path, body in (("/send", {"can_id": 1}), ("/cyclic", PINNED)):
            assert "listen-only" in bench.post(path, body, status=403)["detail"]
        cansend("7FF#", channel=OTHER)
        until(log.frames, "the frame in the log")
        assert [line.frame for line in lines(log.frames())] == ["7FF#"]


@pytest.mark.parametrize(("period_ms", "count"), [(10, 500), (100, 60)])
def test_the_kernel_sends_cyclic_frames_at_their_period(
    bench: Workbench, tmp_path: Path, record_property: Report, period_ms: int, count: int
) -> None:
    period_s = period_ms / 1000
    with bench.connected(), recording(tmp_path / "log", "222:7FF", OTHER) as log:
        task = bench.post("/cyclic", {**PINNED, "period_ms": period_ms})
        assert kernels_periods() == [1000 * period_ms]
        until(lambda: len(log.frames()) > count, f"{count} frames", 2 * count * period_s + PATIENCE_S)
        bench.delete(f"/cyclic/{task['id']}")
        assert kernels_periods() == []
        until(lambda: default(bench)["sent"] == len(log.frames()), "all that were sent, counted")
        stamps = [line.ts for line in lines(log.frames())]
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    mean_s = (stamps[-1] - stamps[0]) / len(steps)
    jitter = sorted(abs(step - period_s) for step in steps)
    record_property("frames", len(stamps))
    record_property("period_mean_ms", round(1000 * mean_s, 4))
    record_property("period_median_ms", round(1000 * statistics.median(steps), 4))
    record_property("jitter_p99_ms", round(1000 * jitter[math.ceil(0.99 * len(jitter)) - 1], 3))
    record_property("jitter_max_ms", round(1000 * jitter[-1], 3))
    # The kernel counts each period from the moment at which it has sent: its own latency comes on top.
    assert mean_s > 0.99 * period_s
    assert statistics.median(steps) < 1.01 * period_s + LATENCY_S


@pytest.mark.parametrize("failure", [going_down(OTHER), going_away(OTHER)], ids=["down", "gone"])
def test_a_bus_that_fails_is_told_and_its_cyclic_frames_go_on_when_it_is_back(
    bench: Workbench, tmp_path: Path, failure: Failure
) -> None:
    with bench.connected(), bench.client() as client:
        with recording(tmp_path / "before", channel=OTHER) as log:
            task = bench.post("/cyclic", PINNED)
            until(lambda: len(log.frames()) > 3, "cyclic frames")
        place = client.now
        with Saboteur(failure).at_work():
            assert client.told("bus_lost", after=place)["reason"]
            status = bench.get("/status")
            assert (status["connected"], status["status"]) == (True, "bus_lost")
            (resting,) = bench.get("/cyclic")
            assert (resting["id"], resting["running"]) == (task["id"], False)
            bench.post("/send", {"can_id": 1}, status=503)
        client.told("bus_up", after=place)
        with recording(tmp_path / "after", channel=OTHER) as log:
            until(lambda: len(log.frames()) > 3, "cyclic frames again")
            assert {line.frame for line in lines(log.frames())} == {"222#01"}
        (going_on,) = bench.get("/cyclic")
        assert going_on["running"]
        place = client.now
        cansend("7FF#", channel=OTHER)
        until(lambda: "7FF#" in [line.frame for line in client.frames(after=place)], "frames at the client")
    assert bench.get("/cyclic") == []


def test_a_recording_is_candumps_log_and_is_played_at_its_pace(
    bench: Workbench, tmp_path: Path, record_property: Report
) -> None:
    frames = traffic(100)
    with bench.connected(fd=True), bench.client() as client:
        with recording(tmp_path / "log", channel=OTHER) as log:
            bench.post("/recordings/start", {"format": "candump", "name": tmp_path.name})
            play(tmp_path, frames)
            until(lambda: len(log.frames()) == len(frames), "candump's log")
            until(lambda: bench.get("/stats")["message_count"] == len(frames), "the frames")
            assert bench.post("/recordings/stop")["frames"] == len(frames)
            original = log.frames()
        name = f"{tmp_path.name}.log"
        text = bench.http.get(f"/recordings/{name}/download").text
        assert text.count("\n") == len(frames)
        assert {line.rpartition(" ")[2] for line in text.splitlines()} == {"R"}
        recorded, seen = lines(text.splitlines()), lines(original)
        assert_same(recorded, seen)
        # Octet for octet, but for the bus, who has sent it, and the last digit of the time.
        assert [written(line) for line in text.splitlines()] == [written(line) for line in original]

        with recording(tmp_path / "replayed", channel=OTHER) as log:
            bench.post(f"/recordings/{name}/replay", {})
            assert client.told("replay_ended")["reason"] == f"all of its {len(frames)} frames"
            until(lambda: len(log.frames()) == len(frames), "the replay in candump's log")
            played = lines(log.frames())
    assert [line.frame for line in played] == frames
    late_s = [(a.ts - played[0].ts) - (b.ts - recorded[0].ts) for a, b in zip(played, recorded, strict=True)]
    record_property("frames", len(frames))
    record_property("span_s", round(recorded[-1].ts - recorded[0].ts, 3))
    record_property("played_span_s", round(played[-1].ts - played[0].ts, 3))
    record_property("latest_ms", round(1000 * max(late_s), 1))
    record_property("earliest_ms", round(1000 * min(late_s), 1))
    # Never all at once. How late, has to do with this machine's processor.
    assert played[-1].ts - played[0].ts > 0.5 * (recorded[-1].ts - recorded[0].ts)


def written(line: str) -> str:
    """A frame as it is written in a log."""
    return re.sub(r"^\(\d+\.\d{6}\) \S+ (\S+)( [RT])?$", r"\1", line)
