import pytest

from listener.rides.plausibility import Finding, Limits, Plausibility
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


def test_after_a_restart_another_position_is_no_jump() -> None:
    plausibility = Plausibility()
    findings(plausibility, Lift(), 1.0)
    plausibility.restart()
    assert findings(plausibility, Lift(start_mm=11_000.0), 3.0, since_s=1.0) == []


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
