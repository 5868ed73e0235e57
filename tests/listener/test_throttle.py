from hypothesis import given
from hypothesis import strategies as st

from listener.throttle import Throttle, TokenBucket

times = st.floats(0, 1e9)


@given(interval_s=st.floats(1e-3, 1e5), now=times)
def test_what_comes_for_the_first_time_is_said_at_once(interval_s: float, now: float) -> None:
    assert Throttle(interval_s).admit("key", now) == 0


def test_repeats_are_said_once_per_interval_with_how_often_they_went_unsaid() -> None:
    throttle = Throttle(1.0)
    said = [throttle.admit("key", now) for now in (0.0, 0.25, 0.5, 0.999, 1.0, 1.5, 2.0, 3.0)]
    assert said == [0, None, None, None, 3, None, 1, 0]


def test_keys_do_not_disturb_each_other() -> None:
    throttle = Throttle(1.0)
    assert throttle.admit("one", 0.0) == 0
    assert throttle.admit("other", 0.5) == 0
    assert throttle.admit("one", 0.5) is None
    assert throttle.admit("one", 1.0) == 1
    assert throttle.admit("other", 1.0) is None


def test_beyond_the_limit_all_new_keys_share_one() -> None:
    throttle = Throttle(1.0)
    known = [f"key {number}" for number in range(Throttle.MAX_KEYS)]
    assert [throttle.admit(key, 0.0) for key in known] == [0] * len(known)
    assert throttle.admit("late", 0.0) == 0
    assert throttle.admit("later", 0.0) is None
    assert throttle.admit("latest", 1.0) == 1
    assert throttle.admit(known[0], 1.0) == 0


@given(steps=st.lists(st.tuples(st.integers(0, 200), st.floats(0, 2)), max_size=300))
def test_nothing_is_lost_in_the_count_and_nothing_said_too_soon(steps: list[tuple[int, float]]) -> None:
    throttle = Throttle(1.0)
    now = 0.0
    said_at: dict[int, float] = {}
    told = unsaid = 0
    for key, pause in steps:
        key %= 5
        now += pause
        suppressed = throttle.admit(key, now)
        if suppressed is None:
            unsaid += 1
            assert now - said_at[key] < 1.0
        else:
            unsaid -= suppressed
            told += 1 + suppressed
            assert key not in said_at or now - said_at[key] >= 1.0
            said_at[key] = now
    assert told + unsaid == len(steps)


def test_a_bucket_allows_so_many_at_once_and_so_many_a_second_after_that() -> None:
    bucket = TokenBucket(20.0, 50.0)
    assert [bucket.take(100.0) for _ in range(60)] == [True] * 50 + [False] * 10
    assert [bucket.take(100.125) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1000.0) for _ in range(51)] == [True] * 50 + [False]


def test_a_bucket_knows_when_it_has_run_dry() -> None:
    bucket = TokenBucket(1.0, 1.0)
    seen = [bucket.is_dry]
    for now in (0.0, 0.0, 1.0):
        bucket.take(now)
        seen.append(bucket.is_dry)
    assert seen == [False, False, True, False]
