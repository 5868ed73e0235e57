"""What is told of a bus."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.raw_frame import Flag, RawFrame
from listener.workbench.frame_bits import bits_of, head_of
from listener.workbench.identifiers import Identifier, identifier
from listener.workbench.statistics import BusStatistics, Missing, Returned

TS = 1_700_000_000.0
SWITCHED = Flag.FD | Flag.BITRATE_SWITCH


class Bench:
    """A bus in time: frames come with `send`, the statistics are asked every 100 ms."""

    def __init__(self, statistics: BusStatistics) -> None:
        self.statistics = statistics
        self.now = 100.0
        self.alarms: list[Missing | Returned] = []
        self.alarms += statistics.check(self.now)

    def run(
        self, seconds: float, *periodic: tuple[int, float], data: bytes = bytes(8), flags: int = 0
    ) -> None:
        begun = self.now
        due = [
            (begun + i * period, number)
            for number, period in periodic
            for i in range(int(seconds / period + 0.5))
        ]
        times = iter(sorted(due))
        upcoming = next(times, None)
        for step in range(1, round(seconds / 0.1) + 1):
            self.now = begun + step * 0.1
            while upcoming is not None and upcoming[0] < self.now - 1e-9:
                when, number = upcoming
                self.statistics.update(RawFrame(number, flags, data, TS + when))
                upcoming = next(times, None)
            self.alarms += self.statistics.check(self.now)


def cycles(**known: float) -> BusStatistics:
    by_id = {Identifier(int(name[1:], 16)): cycle_s for name, cycle_s in known.items()}
    return BusStatistics(500_000, cycle_time_s=by_id.get)


def test_counts_rates_and_periods_are_told() -> None:
    bench = Bench(BusStatistics(500_000))
    bench.run(2.0, (0x100, 0.01), (0x200, 0.1))
    told = bench.statistics.snapshot(bench.now)
    first, second = told["ids"]

    assert (told["frames"], told["identifiers"], told["uptime_s"]) == (220, 2, 2.0)
    assert told["rate"] == pytest.approx(110, abs=1)
    assert (first["id"], first["count"], second["count"]) == (0x100, 200, 20)
    assert first["rate"] == pytest.approx(100, rel=0.01)
    assert [first[f"period_{each}_ms"] for each in ("min", "mean", "max")] == pytest.approx(
        [10, 10, 10], abs=0.01
    )
    json.dumps(told, allow_nan=False)


def test_the_load_is_the_time_that_the_bits_take() -> None:
    bench = Bench(BusStatistics(250_000))
    bench.run(3.0, (0x100, 0.002), data=b"\x55" * 8)
    bits, _ = bits_of(head_of(0x100, 0, 8), b"\x55" * 8)
    expected = 100 * 500 * bits / 250_000

    summary = bench.statistics.summary(bench.now)
    assert summary["load_percent"] == pytest.approx(expected, rel=0.02)
    assert summary["load_peak_percent"] >= summary["load_percent"]
    bench.run(3.0)
    summary = bench.statistics.summary(bench.now)
    assert (summary["load_percent"], summary["rate"]) == (0, 0)
    assert summary["load_peak_percent"] == pytest.approx(expected, rel=0.05)


def test_the_data_of_an_fd_frame_goes_at_its_own_rate() -> None:
    bench = Bench(BusStatistics(500_000, 2_000_000))
    bench.run(2.0, (0x100, 0.01), data=bytes(range(64)), flags=SWITCHED)
    slow, fast = bits_of(head_of(0x100, SWITCHED, 64), bytes(range(64)))

    load = bench.statistics.summary(bench.now)["load_percent"]
    assert load == pytest.approx(100 * 100 * (slow / 500_000 + fast / 2_000_000), rel=0.02)


def test_without_a_bit_rate_there_is_no_load() -> None:
    bench = Bench(BusStatistics(None))
    bench.run(1.0, (0x100, 0.1), flags=SWITCHED)

    told = bench.statistics.snapshot(bench.now)
    assert (told["load_percent"], told["load_peak_percent"]) == (None, None)
    assert (told["ids"][0]["is_fd"], told["ids"][0]["data"]) == (True, [0] * 8)


def test_a_bus_that_nobody_has_looked_at_yet_can_be_told() -> None:
    statistics = BusStatistics(500_000)
    statistics.update(RawFrame(0x100, 0, b"", 0.0))

    told = statistics.snapshot(5.0)
    assert (told["frames"], told["rate"], told["load_percent"], told["uptime_s"]) == (1, 0, None, 0)


def test_the_octets_that_changed_are_told() -> None:
    statistics = BusStatistics(500_000)

    def changed(*frames: bytes) -> list[int]:
        for data in frames:
            statistics.update(RawFrame(0x100, 0, data, TS))
        told: list[int] = statistics.snapshot(0.0)["ids"][0]["changed"]
        return told

    assert changed(b"\1\2\3") == []
    assert changed(b"\1\5\3") == [1]
    assert changed(b"\1\5\3") == []
    assert changed(b"\1\5\3\4") == [3]
    assert changed(b"\2") == [0]


def test_standard_and_extended_are_two() -> None:
    statistics = BusStatistics(500_000)
    for flags in (0, Flag.EXTENDED, Flag.EXTENDED | Flag.REMOTE):
        statistics.update(RawFrame(0x100, flags, b"", TS))

    ids = statistics.snapshot(0.0)["ids"]
    assert [(each["id"], each["is_extended"], each["is_remote"], each["count"]) for each in ids] == [
        (0x100, False, False, 1), (0x100, True, True, 2)
    ]  # fmt: skip


def test_the_rate_of_what_has_stopped_falls() -> None:
    bench = Bench(BusStatistics(500_000))
    bench.run(1.0, (0x100, 0.01))
    bench.run(10.0)

    assert bench.statistics.snapshot(bench.now)["ids"][0]["rate"] == pytest.approx(0.1)


def test_a_clock_that_is_set_back_makes_no_negative_period() -> None:
    statistics = BusStatistics(500_000)
    for timestamp in (TS, TS + 0.1, TS - 50, TS - 49.9):
        statistics.update(RawFrame(0x100, 0, b"", timestamp))

    told = statistics.snapshot(0.0)["ids"][0]
    assert (told["count"], told["period_min_ms"], told["period_max_ms"]) == (4, 100.0, 100.0)


# Missing messages


def test_a_missing_message_is_told_once_and_its_return_once() -> None:
    bench = Bench(cycles(x100=0.1, x200=0.1))
    bench.run(1.0, (0x100, 0.1), (0x200, 0.1))
    assert bench.alarms == []
    bench.run(2.0, (0x200, 0.1))
    (missing,) = bench.alarms
    assert isinstance(missing, Missing)
    assert (missing.identifier, missing.cycle_time_s) == (0x100, 0.1)
    assert missing.last_ts == pytest.approx(TS + 100.9)
    assert bench.statistics.summary(bench.now)["missing"] == 1

    bench.run(2.0, (0x100, 0.1), (0x200, 0.1))
    _, returned = bench.alarms
    assert isinstance(returned, Returned)
    assert returned.identifier == 0x100
    assert returned.missing_s == pytest.approx(2.1, abs=0.11)
    assert not any(each["missing"] for each in bench.statistics.snapshot(bench.now)["ids"])


def test_what_was_never_seen_and_what_has_no_cycle_is_not_missing() -> None:
    bench = Bench(cycles(x100=0.1))
    bench.run(1.0, (0x200, 0.1))
    bench.run(5.0)

    assert bench.alarms == []


def test_a_message_that_is_a_little_late_is_not_missing() -> None:
    bench = Bench(cycles(x100=0.01))
    bench.run(1.0, (0x100, 0.01))
    bench.run(0.1)
    bench.run(1.0, (0x100, 0.01))

    assert bench.alarms == []


def test_nothing_is_missing_because_nobody_looked() -> None:
    bench = Bench(cycles(x100=0.1))
    bench.run(1.0, (0x100, 0.1))
    bench.now += 3600  # suspended, or the clock was set
    bench.run(0.2)
    bench.now -= 7200
    bench.run(0.2)

    assert bench.alarms == []
    bench.run(1.0)
    assert len(bench.alarms) == 1


def test_cycle_times_are_asked_again_when_they_have_changed() -> None:
    known: dict[Identifier, float] = {}
    bench = Bench(BusStatistics(500_000, cycle_time_s=known.get))
    bench.run(1.0, (0x100, 0.1))
    known[Identifier(0x100)] = 0.1
    bench.statistics.forget_cycle_times()
    bench.run(1.0)
    assert len(bench.alarms) == 1
    known.clear()
    bench.statistics.forget_cycle_times()
    bench.run(1.0, (0x100, 0.1))
    assert len(bench.alarms) == 1
    assert bench.statistics.summary(bench.now)["missing"] == 0


# Errors, bounds


def test_error_frames_are_counted_by_class() -> None:
    statistics = BusStatistics(500_000)
    for number, data in ((0x20C, "000804000000 0507"), (0x004, "0010000000000000"), (0x040, "")):
        statistics.update(RawFrame(number, Flag.ERROR, bytes.fromhex(data), TS))

    told = statistics.summary(0.0)
    assert (told["frames"], told["error_frames"], told["tx_errors"], told["rx_errors"]) == (0, 3, 5, 7)
    assert told["errors"] == {
        "controller": 2, "protocol": 1, "bus_off": 1,
        "controller_tx_warning": 1, "controller_stuff": 1, "controller_rx_passive": 1,
    }  # fmt: skip


def test_more_identifiers_than_can_be_kept_are_counted_together() -> None:
    bench = Bench(BusStatistics(500_000))
    for number in range(5000):
        bench.statistics.update(RawFrame(number, Flag.EXTENDED, bytes(8), TS))
    bench.run(0.1)

    told = bench.statistics.snapshot(bench.now)
    assert (told["frames"], told["identifiers"], told["others"], len(told["ids"])) == (5000, 4096, 904, 4096)
    assert told["load_percent"] > 100


def test_a_reset_begins_anew() -> None:
    bench = Bench(cycles(x100=0.1))
    bench.run(1.0, (0x100, 0.1))
    bench.statistics.reset()
    bench.run(1.0)

    told = bench.statistics.snapshot(bench.now)
    assert (told["frames"], told["ids"], bench.alarms) == (0, [], [])


@given(
    st.lists(
        st.builds(
            RawFrame,
            st.integers(0, 2**29 - 1),
            st.integers(0, 0xFFF),
            st.binary(max_size=64),
            st.floats(0, 2e9),
        )
    )
)
def test_any_frames_can_be_told(frames: list[RawFrame]) -> None:
    statistics = BusStatistics(500_000, 2_000_000, cycle_time_s=lambda _: 0.1)
    for count, frame in enumerate(frames):
        statistics.update(frame)
        statistics.check(count * 0.1)

    told = statistics.snapshot(len(frames) * 0.1)
    json.dumps(told, allow_nan=False)
    assert told["frames"] + told["error_frames"] == len(frames)
    assert sum(each["count"] for each in told["ids"]) + told["others"] == told["frames"]


def test_identifiers_are_those_of_the_workbench() -> None:
    asked: list[Identifier] = []
    statistics = BusStatistics(None, cycle_time_s=asked.append)
    statistics.update(RawFrame(0x100, Flag.EXTENDED, b"", TS))

    assert asked == [identifier(0x100, True)]


# Frames of our own


def test_what_was_sent_from_here_is_counted_and_not_missed() -> None:
    bench = Bench(cycles(x100=0.1))
    for number in range(10):
        bench.statistics.update_own(RawFrame(0x100, 0, b"", TS + number / 10))
    bench.run(3.0)
    bench.now += 3600  # suspended
    bench.run(3.0)
    (told,) = bench.statistics.snapshot(bench.now)["ids"]

    assert bench.alarms == []
    assert told["count"] == 10
    assert told["rate"] < 1  # it has stopped
    bench.run(1.0, (0x100, 0.1))
    bench.run(1.0)
    assert [type(alarm) for alarm in bench.alarms] == [Missing]
