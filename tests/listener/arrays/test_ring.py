from hypothesis import given
from hypothesis import strategies as st

from listener.arrays.ring import Ring

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 30)),
        st.tuples(st.just("grow"), st.integers(1, 20)),
        st.tuples(st.just("newest"), st.integers(1, 25)),
    )
)


@given(st.integers(1, 10), STEPS)
def test_the_newest_are_always_there_in_their_order(length: int, steps: list[tuple[str, int]]) -> None:
    ring = Ring(length)
    came: list[float] = []
    sure = 0  # of those that came since the ring was last as long as now
    for what, number in steps:
        if what == "add":
            for _ in range(number):
                came.append(float(len(came)))
                ring.add(came[-1], -came[-1])
            sure = min(sure + number, length)
        elif what == "grow":
            ring.grow(number)
            length = max(length, number)
        else:
            x, y = ring.newest(number)
            assert x.tolist() == came[len(came) - len(x) :]
            assert y.tolist() == [-each for each in x]
            assert min(sure, number) <= len(x) <= min(number, length)
    assert ring.total == len(came)
