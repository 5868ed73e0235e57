import pytest

from listener.rides.plausibility import Finding, Limits, Plausibility, Verdict
from mock.profile import s_curve
from tests.listener.rides.bench import TS, Lift

FAST = Lift([(1.0, s_curve(60_000.0, 8000.0, 1500.0, 2000.0))])


def findings(plausibility: Plausibility, lift: Lift, until_s: float, **how: object) -> list[Finding]:
    return [
        finding
        for channel, ts, raw in lift.samples(until_s, channels=("master", "slave"), **how)  # type: ignore[arg-type]
        for finding in plausibility.position(channel, ts, raw)
    ]


def test_at_8_m_s_the_channels_agree_although_they_are_16_mm_apart() -> None:
    assert findings(Plausibility(Limits(tolerance_mm=3.0)), FAST, 15.0, missing=0.02) == []


def test_channels_that_differ_for_longer_than_the_debounce_are_told_once() -> None:
    told = findings(Plausibility(), Lift(), 5.0, slave_off_mm=15.0)
    (finding,) = told
    assert (finding.channel, finding.code, finding.well_again) == ("system", "channels_disagree", False)
    assert finding.details == {"difference_mm": 15.0, "tolerance_mm": 10.0}
    assert finding.ts - TS < 0.1


def test_within_the_tolerance_they_agree() -> None:
    assert findings(Plausibility(), Lift(), 5.0, slave_off_mm=9.0) == []


def test_when_it_is_over_that_is_told_too_with_how_long_and_how_much() -> None:
    plausibility = Plausibility()
    findings(plausibility, Lift(), 2.0, slave_off_mm=15.0)
    (again,) = findings(plausibility, Lift(), 4.0, since_s=2.0)
    assert (again.code, again.well_again) == ("channels_disagree", True)
    assert again.details["lasted_s"] == pytest.approx(2.0, abs=0.01)
    assert again.details["worst"] == 15.0


def test_a_short_difference_is_nothing() -> None:
    plausibility = Plausibility()
    assert findings(plausibility, Lift(), 1.0) == []
    assert findings(plausibility, Lift(), 1.08, since_s=1.0, slave_off_mm=11.0) == []
    assert findings(plausibility, Lift(), 3.0, since_s=1.08) == []


def test_a_jump_is_told_at_once_and_once() -> None:
    plausibility = Plausibility()
    findings(plausibility, Lift(), 1.0)
    told = findings(plausibility, Lift(start_mm=11_000.0), 3.0, since_s=1.0)
    assert [(f.channel, f.code, f.well_again) for f in told] == [
        ("master", "position_jump", False),
        ("slave", "position_jump", False),
        ("master", "position_jump", True),
        ("slave", "position_jump", True),
    ]
    assert told[0].details == {"step_mm": 1000, "elapsed_s": 0.004}


def verdicts(*samples: tuple[str, float, float]) -> list[str]:
    plausibility = Plausibility()
    found = []
    for channel, at_s, position_mm in samples:
        plausibility.position(channel, TS + at_s, position_mm)
        found.append(plausibility.verdict.name)
    return found


def master(*positions: float) -> list[tuple[str, float, float]]:
    """Every 4 ms."""
    return [("master", number * 0.004, position) for number, position in enumerate(positions)]


def both(master_mm: float, slave_mm: float, count: int, since_s: float) -> list[tuple[str, float, float]]:
    return [
        sample
        for n in range(count)
        for sample in (
            ("master", since_s + n * 0.004, master_mm),
            ("slave", since_s + n * 0.004 + 0.002, slave_mm),
        )
    ]


def test_a_wrong_frame_is_left_out_and_the_next_one_believed() -> None:
    assert verdicts(*master(1000, 1000, 9000, 1000, 1001)) == ["GOOD", "GOOD", "LEFT_OUT", "GOOD", "GOOD"]
    # One that is wrong in another way goes on nowhere.
    assert verdicts(*master(1000, 9000, 5000, 1040, 1070)) == ["GOOD", "LEFT_OUT", "LEFT_OUT", "GOOD", "GOOD"]


def test_wrong_positions_are_not_believed_because_time_goes_by() -> None:
    """After 24 ms a lift could have gone 300 mm, but this one was there after 4."""
    assert set(verdicts(*master(1000, *[1300] * 24))[1:]) == {"LEFT_OUT"}


def test_without_a_witness_the_car_is_elsewhere_after_a_tenth_of_a_second() -> None:
    found = verdicts(*master(1000, *[9000] * 40))
    assert found.index("ELSEWHERE") * 0.004 == pytest.approx(0.104, abs=0.005)
    assert found.count("ELSEWHERE") == 1
    assert found[-1] == "GOOD"
    # Also if it is never twice in the same place.
    found = verdicts(*master(1000, *[9000 + 4000 * n for n in range(80)]))
    assert found.count("ELSEWHERE") == 3


def test_with_a_witness_a_channel_is_left_out_until_they_agree() -> None:
    samples = [*both(1000, 1000, 5, 0.0), *both(1300, 1000, 500, 0.02), *both(1000, 1000, 3, 2.02)]
    found = verdicts(*samples)
    of_master = found[::2]
    assert of_master[:5] == ["GOOD"] * 5
    assert set(of_master[5:506]) == {"LEFT_OUT"}  # the step back is a jump, too
    assert of_master[506:] == ["GOOD", "GOOD"]
    assert set(found[1::2]) == {"GOOD"}


def test_a_channel_that_has_jumped_is_no_witness() -> None:
    samples = [*both(1000, 1000, 5, 0.0), *both(3000, 3000, 60, 0.02)]
    found = verdicts(*samples)
    assert found.count("ELSEWHERE") == 2
    assert "GOOD" not in found[10:60]
    # Nor is one that said something else before.
    samples = [*both(1000, 1500, 5, 0.0), *both(3000, 1500, 60, 0.02)]
    assert verdicts(*samples)[::2].count("ELSEWHERE") == 1


def test_wrong_frames_of_both_channels_at_once_are_both_left_out() -> None:
    samples = [*both(1000, 1000, 5, 0.0), *both(0, 16_777_215, 1, 0.02), *both(1000, 1000, 5, 0.024)]
    found = verdicts(*samples)
    assert found[10:12] == ["LEFT_OUT", "LEFT_OUT"]
    assert found[-6:] == ["GOOD"] * 6


def test_time_that_stands_still_or_goes_back_a_little_is_left_out_and_much_is_told() -> None:
    samples = [("master", at_s, 1000.0) for at_s in (1.0, 1.0, 1.0005, 1.002, 0.95, 1.006, 0.5, 0.504)]
    assert verdicts(*samples) == [
        *("GOOD", "LEFT_OUT", "LEFT_OUT", "GOOD", "LEFT_OUT", "GOOD", "BACK_IN_TIME", "GOOD"),
    ]


def test_after_a_restart_another_position_is_no_jump() -> None:
    plausibility = Plausibility()
    findings(plausibility, Lift(), 1.0)
    plausibility.restart()
    assert findings(plausibility, Lift(start_mm=11_000.0), 3.0, since_s=1.0) == []
    assert plausibility.verdict is Verdict.GOOD


def test_a_channel_that_was_silent_is_not_compared_with_what_it_said_before() -> None:
    plausibility = Plausibility()
    for channel, ts, raw in FAST.samples(6.0, channels=("master", "slave")):
        if channel == "master" or not 2.0 < ts - TS < 4.0:
            assert plausibility.position(channel, ts, raw) == []


def test_overspeed_is_told_once_and_over_only_well_below_the_limit() -> None:
    plausibility = Plausibility(Limits(overspeed_mm_s=1000.0))
    told = []
    for number, speed in enumerate([900, 1001, 1100, -1200, 999, 960, 1001, 940, 930, *[900] * 20, 1001]):
        told += plausibility.velocity(TS + number * 0.02, speed)
    assert [(f.code, f.well_again) for f in told] == [
        ("overspeed", False),
        ("overspeed", True),
        ("overspeed", False),
    ]
    assert told[0].details == {"velocity_mm_s": 1001, "limit_mm_s": 1000.0}
    assert told[1].details["worst"] == 1200
