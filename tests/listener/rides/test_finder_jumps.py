"""Positions that cannot be, and what becomes of rides."""

import random
from collections.abc import Iterable, Iterator

import pytest

from listener.rides.finder import RideBegan, RideEnded, RideFinder, Told, motions
from listener.rides.motion import Motion
from listener.rides.plausibility import Finding
from mock.profile import hydraulic
from tests.listener.rides.bench import BOTH, TS, Lift, Sample, found, kinds, ride_of


def codes(told: Iterable[Told]) -> set[str]:
    return {each.code for each in told if isinstance(each, Finding)}


def wrong(
    samples: Iterable[Sample], channel: str, from_s: float, to_s: float, off_mm: int
) -> Iterator[Sample]:
    for each, ts, raw in samples:
        is_wrong = each == channel and from_s - 0.001 < ts - TS < to_s - 0.001
        yield each, ts, max(0, min(0xFFFFFF, raw + off_mm)) if is_wrong else raw


@pytest.mark.parametrize("channels", [("master",), ("slave",), BOTH], ids=" and ".join)
@pytest.mark.parametrize("off_mm", [0xFFFFFF, 60, -9000])
@pytest.mark.parametrize("lasts_s", [0.004, 0.04, 0.08, 0.15])
def test_wrong_positions_at_a_standstill_are_told_and_nothing_is_made_of_them(
    channels: tuple[str, ...], off_mm: int, lasts_s: float
) -> None:
    samples = Lift().samples(6.0, channels=channels)
    told = found(RideFinder(1.0), wrong(samples, channels[0], 2.0, 2.0 + lasts_s, off_mm))
    assert "position_jump" in codes(told)
    assert codes(told) <= {"position_jump", "channels_disagree"}
    assert set(kinds(told)) == {"Finding"}
    for code in codes(told):
        each_time = [each.well_again for each in told if isinstance(each, Finding) and each.code == code]
        assert each_time == [False, True] * (len(each_time) // 2)


@pytest.mark.parametrize("channels", [("master",), BOTH], ids=" and ".join)
@pytest.mark.parametrize("off_mm", [0xFFFFFF, 400])
@pytest.mark.parametrize("lasts_s", [0.004, 0.09])
@pytest.mark.parametrize("at_s", [3.1, 3.8, 5.0], ids=["setting off", "accelerating", "at full speed"])
def test_a_ride_goes_on_where_the_positions_do_after_wrong_ones(
    channels: tuple[str, ...], off_mm: int, lasts_s: float, at_s: float
) -> None:
    ride = hydraulic(2000.0)
    samples = list(Lift([(3.0, ride)]).samples(3.0 + ride.duration_s + 3.0, channels=channels))
    _, right = ride_of(found(RideFinder(1.0), samples))
    told = found(RideFinder(1.0), wrong(samples, "master", at_s, at_s + lasts_s, off_mm))
    assert codes(told) == {"position_jump"}
    _, ended = ride_of([each for each in told if not isinstance(each, Finding)])
    assert (ended.reason, ended.end) == ("completed", right.end)
    assert ended.summary.distance_mm == right.summary.distance_mm
    # Without some of its first steps the beginning is less exact.
    off_s = 0.12 if at_s < 3.5 else 0.001
    assert ended.summary.duration_s == pytest.approx(right.summary.duration_s, abs=off_s)
    assert ended.summary.max.velocity_mm_s == pytest.approx(right.summary.max.velocity_mm_s, abs=3.0)
    assert ended.summary.max.acceleration_mm_s2 == pytest.approx(
        right.summary.max.acceleration_mm_s2, abs=40.0
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_sensor_that_is_wrong_in_one_frame_of_fifty_is_measured_all_the_same(seed: int) -> None:
    chance = random.Random(seed)
    ride = hydraulic(3000.0)
    samples = [
        (channel, ts, chance.randrange(2**24) if chance.random() < 0.02 else raw)
        for channel, ts, raw in Lift([(3.0, ride)]).samples(3.0 + ride.duration_s + 4.0, channels=BOTH)
    ]
    told = found(RideFinder(1.0), samples)
    assert codes(told) == {"position_jump"}
    _, ended = ride_of([each for each in told if not isinstance(each, Finding)])
    assert (ended.reason, ended.partial, ended.turned, ended.stops) == ("completed", False, False, 0)
    assert ended.summary.distance_mm == pytest.approx(3000.0, abs=1.0)
    assert ended.summary.duration_s == pytest.approx(ride.duration_s, abs=0.06)
    assert ended.summary.max.velocity_mm_s == pytest.approx(631.0, abs=5.0)


def test_frames_that_were_left_out_are_kept_like_every_other() -> None:
    finder = RideFinder(1.0)
    samples = list(wrong(Lift().samples(6.0, channels=BOTH), "master", 5.0, 5.004, 3000))
    found(finder, samples)
    kept = [(channel, ts, raw) for channel, column in finder.since(TS + 4.5).items() for ts, raw in column]
    assert sorted(kept) == sorted(sample for sample in samples if sample[1] >= TS + 4.5)


@pytest.mark.parametrize(
    ("channels", "jumping"), [(("master",), ("master",)), (("slave",), ("slave",)), (BOTH, BOTH)], ids=str
)
@pytest.mark.parametrize("off_mm", [300, -9000, 0xFFFFFF])
@pytest.mark.parametrize("first", [0.0, 0.002], ids=["master first", "slave first"])
def test_a_jump_that_lasts_ends_the_ride_as_an_error_where_it_was_last_believed(
    channels: tuple[str, ...], jumping: tuple[str, ...], off_mm: int, first: float
) -> None:
    lift = Lift([(3.0, hydraulic(3000.0))])
    samples: Iterable[Sample] = lift.samples(14.0, channels=channels)
    for channel in jumping:
        samples = wrong(samples, channel, 6.0 + first, 99.0, off_mm)
    told = found(RideFinder(1.0), samples)
    assert codes(told) == {"position_jump"}
    began, ended, *more = (each for each in told if not isinstance(each, Finding))
    assert isinstance(began, RideBegan)
    assert isinstance(ended, RideEnded)
    assert (ended.reason, ended.cause) == ("error", "position_jump")
    assert ended.end.ts - TS == pytest.approx(6.0, abs=0.01)
    assert ended.end.position_mm == pytest.approx(lift.position_mm(6.0), abs=5.0)
    if off_mm == 0xFFFFFF:
        assert more == []  # all of it reads the same
        return
    then, rest = more
    assert isinstance(then, RideBegan)
    assert isinstance(rest, RideEnded)
    assert (rest.reason, rest.partial) == ("completed", True)
    assert then.begin.ts > ended.end.ts
    assert rest.end.position_mm == lift.position_mm(14.0) + off_mm
    for channel in jumping:
        jumps = [each.well_again for each in told if isinstance(each, Finding) and each.channel == channel]
        assert jumps == [False, True]


@pytest.mark.parametrize("jumping", BOTH)
@pytest.mark.parametrize("off_mm", [300, -9000])
@pytest.mark.parametrize("until_s", [6.15, 8.0, 99.0])
def test_a_channel_that_jumps_ends_nothing_while_the_other_goes_on(
    jumping: str, off_mm: int, until_s: float
) -> None:
    ride = hydraulic(3000.0)
    samples = Lift([(3.0, ride)]).samples(3.0 + ride.duration_s + 3.0, channels=BOTH)
    told = found(RideFinder(1.0), wrong(samples, jumping, 6.0, until_s, off_mm))
    assert codes(told) == {"position_jump", "channels_disagree"}
    began, ended = ride_of([each for each in told if not isinstance(each, Finding)])
    assert not began.partial
    assert ended.reason == "completed"
    assert ended.summary.distance_mm == pytest.approx(3000.0, abs=1.0)
    assert ended.summary.duration_s == pytest.approx(ride.duration_s, abs=0.06)
    assert ended.summary.max.velocity_mm_s == pytest.approx(631.0, abs=5.0)


def test_a_ride_does_not_go_on_with_a_channel_that_has_jumped_when_the_other_falls_silent() -> None:
    lift = Lift([(3.0, hydraulic(8000.0))])
    samples = wrong(lift.samples(30.0, channels=BOTH), "slave", 8.0, 99.0, 2000)
    told = found(RideFinder(1.0), (each for each in samples if each[0] == "slave" or each[1] - TS < 10.0))
    first, second = (each for each in told if isinstance(each, RideEnded))
    assert (first.reason, first.cause) == ("error", "position_jump")
    assert first.end.position_mm == pytest.approx(lift.position_mm(10.0), abs=5.0)
    assert (second.reason, second.partial) == ("completed", True)


def test_what_was_left_out_stays_so_when_a_kept_ride_is_derived_once_more() -> None:
    ride = hydraulic(3000.0)
    samples = list(Lift([(3.0, ride)]).samples(3.0 + ride.duration_s + 4.0, channels=BOTH))
    right = {motion.ts: motion for motion in motions(samples, 1.0)}
    told = list(motions(wrong(samples, "master", 6.0, 6.03, -9000), 1.0))
    assert len(told) == len(right)
    for motion in told:
        assert motion.velocity_mm_s == pytest.approx(right[motion.ts].velocity_mm_s, abs=5.0)
    finder = RideFinder(1.0)
    live = [each for sample in samples for each in finder.position(*sample) if isinstance(each, Motion)]
    assert live == list(right.values())
