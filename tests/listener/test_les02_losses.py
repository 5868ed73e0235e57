"""What the source tells of missing samples, of the controller's errors and of a clock that was set."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from listener.events import EventEnvelope
from tests.listener.les02_bench import TS, Bench, frame, lock, position

PERIOD_S = 0.004


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.les02.bus_up()
    bench.news()
    return bench


def ride(bench: Bench, count: int, *, first: int = 0, ahead_s: float = 0.0) -> None:
    """Both channels for so many cycles, at the pace of the sensor; `first` is the number of the cycle."""
    for number in range(first, first + count):
        ts = TS + ahead_s + number * PERIOD_S
        bench.now = 5000.0 + number * PERIOD_S
        bench.feed(position("master", timestamp=ts), position("slave", timestamp=ts + PERIOD_S / 2))


def gaps(bench: Bench) -> list[tuple[str, str | None, int]]:
    told = [event.payload for event in bench.news() if event.type == "gap"]
    return [(gap["where"], gap.get("channel"), gap["skipped"]) for gap in told]


def only(events: list[EventEnvelope], kind: str) -> EventEnvelope:
    (event,) = (event for event in events if event.type == kind)
    return event


def test_what_the_kernel_dropped_is_told_with_its_number_and_its_second(
    bench: Bench, logs: list[MutableMapping[str, Any]]
) -> None:
    bench.les02.diagnosis.check_kernel()
    assert bench.news() == []
    bench.now += 1
    bench.dropped = 1722
    bench.les02.diagnosis.check_kernel()
    (gap,) = bench.news()
    assert (gap.type, gap.ts) == ("gap", TS + 1)
    assert gap.payload == {"where": "kernel", "skipped": 1722, "first_ts": TS, "last_ts": TS + 1}
    assert [(line["event"], line["where"], line["lost"]) for line in logs[-1:]] == [
        ("frames_lost", "kernel", 1722)
    ]
    bench.les02.diagnosis.check_kernel()
    assert bench.news() == []
    assert bench.les02.diagnosis.lost == {"kernel": 1722, "bus": 0}


def test_samples_missing_from_the_cadence_are_told_for_their_channel(bench: Bench) -> None:
    ride(bench, 200)
    ride(bench, 800, first=203)
    bench.feed(position("slave", timestamp=TS + 1003 * PERIOD_S + PERIOD_S / 2))
    ride(bench, 800, first=1004)
    assert sorted(gaps(bench)) == [("bus", "master", 1), ("bus", "master", 3), ("bus", "slave", 3)]
    assert bench.les02.diagnosis.lost == {"kernel": 0, "bus": 7}


def test_samples_that_the_kernel_dropped_are_not_told_again_as_missing_on_the_bus(bench: Bench) -> None:
    ride(bench, 200)
    bench.dropped = 2 * 30
    ride(bench, 800, first=230)
    assert gaps(bench) == [("kernel", None, 60)]


def test_a_silence_that_was_told_is_no_missing_sample(bench: Bench) -> None:
    ride(bench, 200)
    bench.silence(2)
    ride(bench, 800, first=750)
    assert gaps(bench) == []


def test_a_bus_that_was_lost_is_no_missing_sample(bench: Bench) -> None:
    ride(bench, 200)
    bench.les02.bus_lost("down")
    bench.les02.bus_up()
    ride(bench, 800, first=750)
    assert gaps(bench) == []


@pytest.mark.parametrize("step_s", [-3600.0, -0.06, 0.06, 2.0, 86_400.0])
def test_a_clock_that_was_set_is_told_once_and_is_no_missing_sample(
    bench: Bench, step_s: float, logs: list[MutableMapping[str, Any]]
) -> None:
    ride(bench, 200)
    bench.news()
    bench.wall_ahead_s += step_s
    ride(bench, 800, first=200, ahead_s=step_s)
    events = bench.news()
    step = only(events, "status")
    assert {**step.payload, "step_s": pytest.approx(step_s, abs=1e-5)} == step.payload
    assert (step.payload["channel"], step.payload["state"]) == ("system", "clock_step")
    assert events[0] is step, "told before the first sample of the new time"
    assert {event.type for event in events} == {"status", "position_sample"}
    assert [line["event"] for line in logs].count("clock_step") == 1
    assert bench.les02.diagnosis.clock_steps == 1


def test_frames_of_the_old_time_that_were_still_waiting_are_no_missing_samples(bench: Bench) -> None:
    ride(bench, 200)
    bench.wall_ahead_s += 5
    ride(bench, 10, first=200)  # stamped before the step
    ride(bench, 800, first=210, ahead_s=5.0)
    assert gaps(bench) == []


def test_slewing_is_no_step(bench: Bench) -> None:
    for second in range(100):
        bench.wall_ahead_s += 0.0004
        ride(bench, 10, first=10 * second)
    assert bench.les02.diagnosis.clock_steps == 0


def test_a_process_that_stood_still_between_two_looks_at_the_clock_sees_no_step(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    diagnosis = bench.les02.diagnosis

    def stopped_in_between() -> float:
        bench.now += 3
        return TS - 5000.0 + bench.now - 3

    monkeypatch.setattr(diagnosis, "_wall", stopped_in_between)
    diagnosis.check_clock()
    assert (bench.news(), diagnosis.clock_steps) == ([], 0)


def test_a_step_sets_an_adapters_own_clock_anew(bench: Bench) -> None:
    bench.feed(position(timestamp=10.0))
    bench.wall_ahead_s += 3600
    bench.news()
    bench.feed(position(timestamp=10.004))
    assert only(bench.news(), "position_sample").ts == TS + 3600


def test_an_error_frame_is_told_by_its_classes(bench: Bench, logs: list[MutableMapping[str, Any]]) -> None:
    bench.feed(frame(0x204, bytes.fromhex("0030000000008087"), is_error_frame=True, is_extended_id=True))
    (error,) = bench.news()
    assert (error.type, error.ts) == ("error", TS)
    assert error.payload == {
        "channel": "system",
        "code": "can_error",
        "details": {
            "classes": ("controller",),
            "more": ("rx_passive", "tx_passive"),
            "raw": "0030000000008087",
            "tx_errors": 128,
            "rx_errors": 135,
            "repeated": 0,
        },
    }
    assert bench.les02.counts["error_frame"] == 1
    assert bench.les02.diagnosis.can_errors == {"controller": 1}
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["can_error"]


def test_a_disturbed_bus_is_told_once_a_second_and_logged_once_in_ten(
    bench: Bench, logs: list[MutableMapping[str, Any]]
) -> None:
    for number in range(10_000):
        bench.now = 5000.0 + number / 1000
        bench.feed(frame(0x088, bytes.fromhex("0000040000000000"), is_error_frame=True))
    bench.feed(frame(0x040, bytes(8), is_error_frame=True))
    *same, bus_off = bench.news()
    assert len(same) == 10
    assert sum(event.payload["details"]["repeated"] + 1 for event in same) == 9001
    assert bus_off.payload["details"]["classes"] == ("bus_off",)
    assert bench.les02.diagnosis.can_errors == {"protocol": 10_000, "bus_error": 10_000, "bus_off": 1}
    assert [line["event"] for line in logs].count("can_error") == 1


async def test_the_watch_reads_the_counter_every_second(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        bench.now += seconds
        looks += 1
        bench.dropped = looks
        if looks == 18:
            raise InterruptedError

    monkeypatch.setattr("asyncio.sleep", sleep)
    with pytest.raises(InterruptedError):
        await bench.les02.watch()
    assert [gap[0] for gap in gaps(bench)] == ["kernel"] * 3


def test_what_a_locked_sensor_does_not_send_is_not_missing(bench: Bench) -> None:
    ride(bench, 600)
    locked_s = 2.0
    bench.now += locked_s
    for channel in ("master", "slave"):
        bench.feed(lock(channel))
    ride(bench, 800, first=600 + round(locked_s / PERIOD_S))
    assert gaps(bench) == []
