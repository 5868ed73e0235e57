import time

import pytest

from listener.robots.stalls import CATCH_UP_S, Stalls, clock


def test_who_looks_in_time_was_not_away() -> None:
    stalls = Stalls(0.125, 0.25)
    assert not stalls.look(1000.0)  # nothing is known of before
    for step in range(1, 20):
        assert not stalls.look(1000.0 + 0.37 * step)
        assert not stalls.is_late(1000.0 + 0.37 * step)


@pytest.mark.parametrize("away_s", [0.4, 3600.0])
def test_after_it_was_away_what_is_heard_is_late_for_a_moment(away_s: float) -> None:
    stalls = Stalls(0.125, 0.25)
    stalls.look(0.0)
    assert stalls.look(away_s)
    assert not stalls.look(away_s + 0.1)
    assert stalls.is_late(away_s + 0.9 * CATCH_UP_S)
    assert not stalls.is_late(away_s + CATCH_UP_S)


def test_its_clock_does_not_go_back_and_counts_sleep_where_the_system_does() -> None:
    first = clock()
    assert first <= clock()
    assert first >= time.monotonic() - 1.0
