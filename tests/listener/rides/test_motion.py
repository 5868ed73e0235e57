import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.rides.motion import (
    ENOUGH,
    GAP_S,
    INTERVAL_S,
    WINDOW_S,
    Motion,
    MotionEstimator,
    OneChannel,
)
from mock.profile import s_curve
from tests.listener.rides.bench import TS, Lift

RIDE = s_curve(8000.0, 1600.0, 800.0, 1000.0)
LIFT = Lift([(2.0, RIDE)])
UNTIL_S = 2.0 + RIDE.duration_s + 2.0


def motions(samples: Iterable[tuple[str, float, float]]) -> list[Motion]:
    estimator = MotionEstimator()
    return [motion for _, ts, position in samples for motion in estimator.add(ts, position)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("missing", "jitter_s", "acceleration_mm_s2"),
    [(0.0, 0.0, 100.0), (0.05, 0.0, 100.0), (0.05, 0.001, 150.0)],
    ids=["even", "5 % missing", "5 % missing, 1 ms of jitter"],
)
def test_velocity_and_acceleration_follow_the_truth(
    missing: float, jitter_s: float, acceleration_mm_s2: float, seed: int
) -> None:
    samples = LIFT.samples(UNTIL_S, missing=missing, jitter_s=jitter_s, seed=seed)
    told = motions(samples)
    velocity_errors = [m.velocity_mm_s - LIFT.velocity_mm_s(m.ts - TS) for m in told]
    acceleration_errors = [m.acceleration_mm_s2 - LIFT.acceleration_mm_s2(m.ts - TS) for m in told]
    assert max(map(abs, velocity_errors)) <= 12.0
    assert math.sqrt(sum(error**2 for error in velocity_errors) / len(told)) <= 3.0
    assert max(map(abs, acceleration_errors)) <= acceleration_mm_s2
    assert max(abs(m.position_mm - LIFT.position_mm(m.ts - TS)) for m in told) <= 1.0


def test_a_motion_comes_every_20_ms_from_the_middle_of_the_first_full_window_on() -> None:
    samples = list(LIFT.samples(3.0))
    told = motions(samples)
    assert [m.ts for m in told] == pytest.approx(
        [samples[0][1] + WINDOW_S / 2 + n * INTERVAL_S for n in range(len(told))]
    )
    assert told[-1].ts == pytest.approx(samples[-1][1] - WINDOW_S / 2, abs=INTERVAL_S)


def test_nothing_is_said_before_the_window_is_full() -> None:
    estimator = MotionEstimator()
    for _, ts, position in LIFT.samples(WINDOW_S - 0.004):
        assert list(estimator.add(ts, position)) == []


def test_a_cubic_is_its_own_fit() -> None:
    def position(t: float) -> float:
        return 3.0 + 2.0 * t - 1.5 * t**2 + 0.5 * t**3

    told = motions(("master", TS + n / 250, position(n / 250)) for n in range(250))
    for m in told:
        t = m.ts - TS
        assert m.position_mm == pytest.approx(position(t), abs=1e-4)
        assert m.velocity_mm_s == pytest.approx(2.0 - 3.0 * t + 1.5 * t**2, abs=1e-3)
        assert m.acceleration_mm_s2 == pytest.approx(-3.0 + 3.0 * t, abs=1e-2)
        assert m.jerk_mm_s3 == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("step_s", [GAP_S + 0.01, 60.0, -0.5], ids=str)
def test_after_a_gap_or_a_step_of_the_clock_everything_starts_anew(step_s: float) -> None:
    estimator = MotionEstimator()
    ts = TS
    for _ in range(200):
        ts += 0.004
        list(estimator.add(ts, 1000.0))
    ts += step_s
    told = []
    first = ts
    for _ in range(200):
        told += list(estimator.add(ts, 9000.0))
        ts += 0.004
    assert told[0].ts == pytest.approx(first + WINDOW_S / 2)
    assert {round(m.position_mm, 6) for m in told} == {9000.0}
    assert max(abs(m.velocity_mm_s) for m in told) < 1e-6


def test_positions_that_carry_the_same_time_count_once() -> None:
    """As from an adapter that stamps what it has collected."""
    samples = list(LIFT.samples(4.0))
    doubled = [sample for sample in samples for _ in range(3)]
    assert motions(doubled) == motions(samples)


def test_a_window_with_too_few_positions_says_nothing() -> None:
    spacing_s = WINDOW_S / (ENOUGH - 2)
    assert spacing_s < GAP_S
    assert motions(("master", TS + n * spacing_s, 5.0) for n in range(100)) == []


def test_a_burst_after_a_pause_of_an_adapter_is_over_with_the_window() -> None:
    """Its positions carry the time at which it had time for them: those of 80 ms at the end of that."""
    samples = [
        (channel, TS + 4.08 + (ts - TS - 4.0) / 80 if 4.0 <= ts - TS < 4.08 else ts, raw)
        for channel, ts, raw in LIFT.samples(UNTIL_S)
    ]
    right = motions(LIFT.samples(UNTIL_S))
    told = motions(samples)
    assert [m.ts for m in told] == pytest.approx([m.ts for m in right])
    for ours, theirs in zip(told, right, strict=True):
        if abs(ours.ts - TS - 4.04) > WINDOW_S / 2 + 0.06:
            assert ours == theirs
        else:
            assert ours.velocity_mm_s == pytest.approx(theirs.velocity_mm_s, abs=150.0)


def test_flicker_between_two_steps_at_a_standstill_is_slower_than_any_movement() -> None:
    told = motions(("master", TS + n / 250, 1000.0 + (n // 7) % 2) for n in range(1000))
    assert max(abs(m.velocity_mm_s) for m in told) < 8.0


ODD_STEPS = st.one_of(
    st.floats(-1, 1), st.sampled_from([0.0, 1e-9, 0.0009, 0.001, GAP_S, -1e9, 1e9]), st.floats(0.001, GAP_S)
)


@given(
    st.lists(st.tuples(ODD_STEPS, st.integers(1, 60)), max_size=12),
    st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=50),
)
def test_whatever_comes_it_does_not_fail_and_goes_on_after_it(
    stretches: list[tuple[float, int]], positions: list[int]
) -> None:
    """Odd steps of time, after each of them a while of even ones."""
    estimator = MotionEstimator()
    ts, number = TS, 0
    told: list[Motion] = []
    for step_s, count in [*stretches, (0.004, 120)]:
        for offset_s in (step_s, *[0.004] * count):
            ts += offset_s
            number += 1
            told += estimator.add(ts, positions[number % len(positions)])
    assert ts - 0.3 < told[-1].ts <= ts
    for motion in told:
        values = motion.position_mm, motion.velocity_mm_s, motion.acceleration_mm_s2, motion.jerk_mm_s3
        assert all(map(math.isfinite, values))
        assert abs(motion.position_mm) < 2**26


# --- which channel


def channels_used(samples: Iterable[tuple[str, float, float]]) -> list[str]:
    one = OneChannel(MotionEstimator())
    used: list[str] = []
    for channel, ts, position in samples:
        used += [one.channel for _ in one.add(channel, ts, position)]
    return used


def test_the_master_counts_and_the_slave_does_not_mix_in() -> None:
    both = LIFT.samples(UNTIL_S, channels=("master", "slave"), slave_off_mm=400.0)
    one = OneChannel(MotionEstimator())
    for channel, ts, position in both:
        for motion in one.add(channel, ts, position):
            assert abs(motion.velocity_mm_s - LIFT.velocity_mm_s(motion.ts - TS)) < 12.0
    assert one.channel == "master"


def test_the_slave_takes_over_while_the_master_is_silent_each_time_with_a_new_window() -> None:
    def samples() -> Iterable[tuple[str, float, float]]:
        for channel, ts, raw in LIFT.samples(6.0, channels=("master", "slave")):
            if channel == "slave" or not 2.0 < ts - TS < 4.0:
                yield channel, ts, raw

    used = channels_used(samples())
    switches = [name for number, name in enumerate(used) if number == 0 or name != used[number - 1]]
    assert switches == ["master", "slave", "master"]
    # Each switch costs a gap or a window, not more.
    assert len(used) > (6.0 - 3 * WINDOW_S - 2 * GAP_S) / INTERVAL_S - 5
