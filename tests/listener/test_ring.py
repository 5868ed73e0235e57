import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.ring import Ring

KIND = ("position_sample", "master")


def filled(count: int, *, max_bytes: int = 10**6, keep_s: float = 60.0, each_s: float = 0.0) -> Ring:
    ring = Ring(max_bytes, keep_s)
    for number in range(1, count + 1):
        assert ring.append(KIND, b"%06d" % number, number * each_s) == number
    return ring


def everything(ring: Ring, start: int) -> list[tuple[int, bytes]]:
    got: list[tuple[int, bytes]] = []
    while piece := ring.since(start):
        got += [(number, payload) for number, _, payload in piece]
        start = piece[-1][0] + 1
    return got


def test_an_empty_ring_has_nothing_and_no_head() -> None:
    ring = Ring(1000, 60)
    assert (ring.head, ring.tail, ring.since(1)) == (0, 1, [])


@pytest.mark.parametrize("start", [1, 2, 255, 256, 257, 258, 999, 1000, 1001, 5000])
def test_everything_from_a_number_on_comes_in_order_with_its_number(start: int) -> None:
    ring = filled(1000)
    assert everything(ring, start) == [(n, b"%06d" % n) for n in range(start, 1001)]


def test_bytes_are_bounded_and_the_oldest_go() -> None:
    ring = filled(10_000, max_bytes=(6 + Ring.OVERHEAD) * 1000)
    assert ring.head == 10_000
    assert 1000 - Ring.SEGMENT <= ring.head - ring.tail + 1 <= 1000
    got = everything(ring, 1)
    assert got == [(n, b"%06d" % n) for n in range(ring.tail, 10_001)]


def test_what_is_older_than_it_is_kept_goes() -> None:
    ring = filled(60_000, max_bytes=10**8, keep_s=60, each_s=0.002)  # two minutes
    kept_s = (ring.head - ring.tail) * 0.002
    assert 60 <= kept_s <= 60 + 2 * Ring.SEGMENT * 0.002


def test_one_event_larger_than_the_bound_does_not_empty_what_is_being_written() -> None:
    ring = filled(10)
    ring.append(KIND, b"x" * 2_000_000, 0.0)
    assert everything(ring, 11) == [(11, b"x" * 2_000_000)]


@given(st.integers(1, 2000), st.integers(1, 20_000), st.integers(0, 2500))
def test_the_ring_never_has_a_hole(count: int, max_bytes: int, start: int) -> None:
    ring = filled(count, max_bytes=max_bytes)
    numbers = [number for number, _ in everything(ring, start)]
    assert numbers == list(range(max(start, ring.tail), count + 1))
