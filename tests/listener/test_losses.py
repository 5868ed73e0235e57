import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.losses import Blame, Cadence, Missing

PERIOD_S = 0.004
TS = 1_700_000_000.0
SETTLED = 3 * Cadence.WINDOW  # samples after which every loss before them has been told


def ideal(count: int, *, period_s: float = PERIOD_S, ts: float = TS) -> list[float]:
    return [ts + number * period_s for number in range(count)]


def told(timestamps: Iterable[float], cadence: Cadence | None = None) -> list[Missing]:
    cadence = cadence or Cadence(PERIOD_S)
    return [missing for ts in timestamps if (missing := cadence.observe(ts))]


def without(timestamps: list[float], dropped: Iterable[int]) -> list[float]:
    gone = set(dropped)
    return [ts for number, ts in enumerate(timestamps) if number not in gone]


def stalled(timestamps: list[float], at: int, for_s: float) -> Iterator[float]:
    """Nothing comes for a while, then everything at once: an adapter or a machine that was busy."""
    until = timestamps[at] + for_s
    return (max(ts, until) if number >= at else ts for number, ts in enumerate(timestamps))


# --- cadence


def test_a_complete_stream_misses_nothing() -> None:
    assert told(ideal(10_000)) == []


def test_a_hole_is_told_once_with_its_number_and_its_edges() -> None:
    stream = ideal(2000)
    (missing,) = told(without(stream, range(500, 507)))
    assert missing == Missing(7, stream[499], stream[507])


@pytest.mark.parametrize("at", [1, 2, 249, 250, 251, 499, 500, 600])
def test_one_missing_sample_is_told_wherever_it_was(at: int) -> None:
    assert [missing.count for missing in told(without(ideal(2000), [at]))] == [1]


def test_two_holes_in_two_windows_are_told_each_with_its_own_edges() -> None:
    stream = ideal(3000)
    first, second = told(without(stream, [700, *range(900, 905)]))
    assert first == Missing(1, stream[699], stream[701])
    assert second == Missing(5, stream[899], stream[905])


def test_a_hole_in_a_jittering_stream_has_its_own_edges() -> None:
    jitter = random.Random(3)
    stream = [ts + jitter.uniform(0, 0.009) for ts in ideal(3000)]
    stream.sort()
    (missing,) = told(without(stream, range(1000, 1075)))
    assert missing == Missing(75, stream[999], stream[1075])


def test_a_loss_is_told_within_two_seconds() -> None:
    cadence = Cadence(PERIOD_S)
    stream = without(ideal(2000), [300])
    when = next(ts for ts in stream if cadence.observe(ts))
    assert when - stream[300] < 2.0


@given(st.sets(st.integers(1, 1999), max_size=400), st.integers(0, 2**32))
def test_every_missing_sample_is_counted_whatever_the_jitter(dropped: set[int], seed: int) -> None:
    jitter = random.Random(seed)
    stream = [ts + jitter.uniform(0, 0.0015) for ts in ideal(2000 + SETTLED)]
    assert sum(missing.count for missing in told(without(stream, dropped))) == len(dropped)


@pytest.mark.parametrize("for_s", [0.01, 0.05, 0.2, 0.5, 0.95])
def test_a_pause_with_a_burst_after_it_is_no_loss(for_s: float) -> None:
    for at in range(400, 700, 7):
        assert told(stalled(ideal(2000), at, for_s)) == []


def test_a_loss_within_a_burst_is_a_loss() -> None:
    stream = list(stalled(ideal(2000), 300, 0.1))
    assert [missing.count for missing in told(without(stream, [310, 311]))] == [2]


def test_an_old_pause_does_not_widen_a_later_loss() -> None:
    stream = list(stalled(ideal(2000), 300, 0.1))
    (missing,) = told(without(stream, [1500]))
    assert missing == Missing(1, stream[1499], stream[1501])


@pytest.mark.parametrize("drift", [-200e-6, 200e-6])
def test_two_clocks_that_drift_are_no_loss(drift: float) -> None:
    assert told(ideal(50_000, period_s=PERIOD_S * (1 + drift))) == []


@pytest.mark.parametrize("period_s", [0.00395, 0.00401, 0.0042, 0.0049])
def test_a_sensor_of_another_pace_misses_nothing(period_s: float) -> None:
    assert told(ideal(10_000, period_s=period_s)) == []


@pytest.mark.parametrize("at", [1000, 1100, 1229])
def test_what_was_missing_before_a_silence_is_told_when_the_silence_is(at: int) -> None:
    cadence = Cadence(PERIOD_S)
    stream = ideal(1260)
    first = told(without(stream, range(at, at + 5)), cadence)
    last = cadence.restart()
    assert [*first, *([last] if last else [])] == [Missing(5, stream[at - 1], stream[at + 5])]
    assert cadence.restart() is None


@pytest.mark.parametrize("late_s", [0.0025, 0.004, 0.03])
def test_a_last_sample_that_was_late_is_no_loss(late_s: float) -> None:
    cadence = Cadence(PERIOD_S)
    stream = ideal(1001)
    assert told([*stream[:-1], stream[-1] + late_s], cadence) == []
    assert cadence.restart() is None


def test_a_pause_with_a_burst_before_a_silence_is_no_loss() -> None:
    cadence = Cadence(PERIOD_S)
    assert told(stalled(ideal(1100), 1000, 0.3), cadence) == []
    assert cadence.restart() is None


@pytest.mark.parametrize("ts", [TS - 3600, TS + 3600])
def test_a_clock_that_was_set_is_no_loss(ts: float) -> None:
    assert told(ideal(500) + ideal(500, ts=ts)) == []


def test_after_a_restart_a_silence_is_no_loss() -> None:
    cadence = Cadence(PERIOD_S)
    assert told(ideal(500), cadence) == []
    cadence.restart()
    assert told(ideal(500, ts=TS + 30), cadence) == []


def test_samples_of_the_old_clock_that_come_after_it_was_set_are_ignored() -> None:
    cadence = Cadence(PERIOD_S)
    assert told(ideal(500), cadence) == []
    cadence.restart(ignore=Cadence.WINDOW)
    assert told(ideal(20, ts=TS + 2) + ideal(500, ts=TS + 5), cadence) == []


def test_a_hole_after_a_long_pause_of_the_process_is_told_although_nobody_saw_the_silence() -> None:
    stream = ideal(2000)
    assert [missing.count for missing in told(without(stream, range(500, 1250)))] == [750]


# --- blame


def test_the_kernels_drops_are_told_as_they_rise() -> None:
    blame = Blame(TS)
    assert blame.kernel(0, TS + 1) is None
    assert blame.kernel(7, TS + 2) == Missing(7, TS + 1, TS + 2)
    assert blame.kernel(7, TS + 3) is None
    assert blame.kernel(9, TS + 4) == Missing(2, TS + 3, TS + 4)


def test_what_the_kernel_dropped_is_not_missing_on_the_bus() -> None:
    blame = Blame(TS)
    blame.kernel(10, TS + 1)
    assert blame.bus(Missing(5, TS + 0.3, TS + 0.5)) == 0  # master
    assert blame.bus(Missing(5, TS + 0.3, TS + 0.5)) == 0  # slave
    assert blame.bus(Missing(1, TS + 0.6, TS + 0.7)) == 1


def test_a_hole_is_the_buss_as_far_as_the_kernel_did_not_drop_it() -> None:
    blame = Blame(TS)
    blame.kernel(3, TS + 1)
    assert blame.bus(Missing(5, TS + 0.3, TS + 0.5)) == 2


def test_drops_of_neighbours_do_not_excuse_a_later_hole() -> None:
    blame = Blame(TS)
    blame.kernel(1000, TS + 1)
    assert blame.bus(Missing(5, TS + 1.5, TS + 1.6)) == 5
    assert blame.bus(Missing(5, TS + 0.5, TS + 0.6)) == 5  # nor, once that is known, an earlier one


def test_drops_of_long_ago_do_not_excuse_a_hole_with_a_drop_of_its_own() -> None:
    blame = Blame(TS)
    blame.kernel(1000, TS + 1)
    for second in range(2, 100):
        blame.kernel(1000, TS + second)
    blame.kernel(1001, TS + 100)
    assert blame.bus(Missing(50, TS + 99.2, TS + 99.4)) == 49


def test_drops_do_not_excuse_a_hole_from_before_them() -> None:
    blame = Blame(TS)
    blame.kernel(0, TS + 1)
    blame.kernel(1000, TS + 2)
    assert blame.bus(Missing(5, TS + 0.5, TS + 0.6)) == 5


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), max_size=50))
def test_each_loss_is_told_once_and_none_is_forgotten(seconds: list[tuple[int, int, int]]) -> None:
    """Per second: samples that the kernel dropped, and that the bus lost, in one hole."""
    blame = Blame(TS)
    total = 0
    kernel = bus = 0
    for second, (by_kernel, by_bus, order) in enumerate(seconds):
        ts = TS + second
        total += by_kernel
        hole = Missing(by_kernel + by_bus, ts + 0.2, ts + 0.3)
        if order:  # the counter is read before the hole has been seen, as the watch does
            kernel += getattr(blame.kernel(total, ts + 0.5), "count", 0)
        kernel += getattr(blame.kernel(total, ts + 0.9), "count", 0)
        if hole.count:
            bus += blame.bus(hole)
    assert (kernel, bus) == (sum(k for k, _, _ in seconds), sum(b for _, b, _ in seconds))
