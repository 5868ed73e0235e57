from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.rides.files import Point
from listener.rides.filling import FINDING_S, FINDING_SPARSE_S, dense, spacing_s, too_sparse
from listener.rides.finder import RideEnded, RideFinder
from mock.profile import Profile, hydraulic, s_curve
from tests.listener.rides.bench import TS, Lift, found

RIDE = hydraulic(3000.0)
LIFT = Lift([(3.0, RIDE)])


def sparse(lift: Lift, step_s: float, until_s: float) -> Iterator[Point]:
    for number in range(round(until_s / step_s)):
        yield Point("master", number * step_s, lift.position_mm(number * step_s))


@pytest.mark.parametrize("step_s", [0.02, 0.05, 0.1])
def test_positions_far_apart_are_filled_in_until_a_ride_can_be_seen(step_s: float) -> None:
    coarse = list(dense(sparse(LIFT, step_s, 3.0 + RIDE.duration_s + 4.0)))
    assert max(b.ts - a.ts for a, b in pairwise(coarse)) <= 0.0205
    points = list(dense(coarse, FINDING_SPARSE_S, FINDING_S))
    assert max(b.ts - a.ts for a, b in pairwise(points)) <= 0.0041
    samples = [(point.channel, TS + point.ts, round(point.position_mm)) for point in points]
    _, ended = found(RideFinder(1.0), samples)
    assert isinstance(ended, RideEnded)
    assert ended.summary.distance_mm == pytest.approx(3000.0, abs=1.0)
    assert ended.summary.duration_s == pytest.approx(RIDE.duration_s, abs=0.06)


@pytest.mark.parametrize(("step_s", "off_mm"), [(0.02, 0.01), (0.1, 0.3), (0.2, 2.0)])
@pytest.mark.parametrize("ride", [RIDE, s_curve(-5000.0)], ids=["hydraulic", "s-curve"])
def test_what_is_filled_in_is_the_way_of_the_car(ride: Profile, step_s: float, off_mm: float) -> None:
    lift = Lift([(1.0, ride)])
    points = dense(sparse(lift, step_s, 1.0 + ride.duration_s + 1.0), FINDING_SPARSE_S, FINDING_S)
    assert max(abs(point.position_mm - lift.position_mm(point.ts)) for point in points) < off_mm


def test_what_is_there_stays_as_it_is_in_the_order_of_time() -> None:
    points = [
        Point("master", 0.0, 0.0, 5.0),
        Point("master", 0.1, 1.0, 7.0),
        Point("slave", 0.02, 0.5),
        Point("slave", 0.11, 2.0),
    ]
    filled = list(dense(points))
    assert [point for point in filled if point in points] == sorted(points, key=lambda point: point.ts)
    times = [point.ts for point in filled]
    assert times == sorted(times)
    assert len(filled) > 15


def test_a_gap_is_not_filled_in() -> None:
    points = [Point("master", 0.0, 0.0), Point("master", 0.6, 100.0), Point("slave", 0.7, 0.0)]
    assert list(dense(points)) == points


@given(
    st.lists(
        st.tuples(st.integers(1, 500), st.integers(-10_000, 10_000)),
        unique_by=lambda pair: pair[0],
        max_size=20,
    )
)
def test_what_is_filled_in_lies_between_its_neighbours(pairs: list[tuple[int, int]]) -> None:
    """A car that stood before it set off has not gone the other way first."""
    points = [Point("master", cs / 100, float(mm)) for cs, mm in sorted(pairs)]
    last = iter(points)
    before = after = next(last, None)
    for point in dense(points):
        if after is not None and point.ts > after.ts:
            before, after = after, next(last)
        if before is not None and after is not None:
            low, high = sorted([before.position_mm, after.position_mm])
            assert low - 1e-6 <= point.position_mm <= high + 1e-6


@pytest.mark.parametrize(("step_s", "said"), [(0.1, ""), (0.4, "0.4 s apart, so"), (1.0, "1 s apart, and")])
def test_positions_too_far_apart_are_told(step_s: float, said: str) -> None:
    points = [Point("slave", 7.0, 0.0), *sparse(LIFT, step_s, 20.0)]
    assert spacing_s(points[1:]) == pytest.approx(step_s)
    told = too_sparse(points[1:])
    assert said in told
    assert bool(told) is bool(said)


def test_of_one_position_or_none_there_is_nothing_to_be_said() -> None:
    assert too_sparse([]) == ""
    assert too_sparse([Point("master", 0.0, 0.0)]) == ""
