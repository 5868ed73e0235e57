"""What is known of one node: its status, its age, the last values of each type."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from listener.mesh.node import SET_S, Node, Status, Value


def test_a_node_that_was_only_told_of_has_no_age() -> None:
    node = Node(5, b"u" * 16)
    node.told_of(now=10.0)
    assert (node.name, node.status, node.last_seen, node.age_s(1000.0, 20.0)) == (
        "Node-5",
        Status.ACTIVE,
        None,
        None,
    )


def test_the_age_of_what_was_heard_is_by_the_clock_that_nobody_sets() -> None:
    node = Node(5)
    node.heard(ts=1000.0, now=10.0)
    assert node.age_s(ts=5.0, now=13.0) == 3.0
    node.told_of(now=12.0)
    assert (node.age_s(ts=5.0, now=13.0), node.last_seen) == (3.0, 1000.0)


def test_the_age_of_one_from_before_the_start_is_by_the_other_clock_and_never_negative() -> None:
    node = Node(5)
    node.last_seen = 1000.0
    assert node.age_s(ts=1100.0, now=3.0) == 100.0
    node.told_of(now=2.0)
    assert node.age_s(ts=1100.0, now=3.0) == 100.0
    assert node.age_s(ts=900.0, now=3.0) == 0.0


def test_what_was_never_measured_is_empty() -> None:
    node = Node(5)
    assert (node.last("GPS"), node.history("GPS"), node.types) == (None, (), ())


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.binary(max_size=3),
            st.integers(0, 40).map(lambda quarters: 1.7e9 + quarters / 4),
        )
    ),
    st.integers(1, 5),
)
def test_the_last_values_of_each_type_are_kept_in_order_and_each_at_a_time_of_its_own(
    given_values: list[tuple[str, bytes, float]], depth: int
) -> None:
    node = Node(5, depth=depth)
    stored = [(name, Value(node.store(name, data, ts), data)) for name, data, ts in given_values]
    for name in "ab":
        of_it = [value for each, value in stored if each == name]
        assert list(node.history(name)) == of_it[-depth:]
        assert node.last(name) == (of_it[-1] if of_it else None)
        times = [value.ts for value in of_it]
        assert all(after > before or after <= before - SET_S for before, after in pairwise(times))
    assert set(node.types) == {name for name, _, _ in given_values}


def test_a_time_is_kept_as_it_was_given_unless_it_is_not_later() -> None:
    node = Node(5)
    assert node.store("a", b"1", 1000.0) == 1000.0
    assert 1000.0 < node.store("a", b"2", 1000.0) < 1000.001
    assert 1000.0 < node.store("a", b"3", 999.9) < 1000.001  # the clock was corrected
    assert node.store("a", b"4", 1001.0) == 1001.0
    assert node.store("b", b"1", 10.0) == 10.0


def test_after_a_clock_was_set_back_times_are_right_again() -> None:
    node = Node(5)
    node.store("a", b"1", 2e9)
    assert node.store("a", b"2", 1e9) == 1e9
    assert node.store("a", b"3", 1e9 + 1) == 1e9 + 1
    assert [value.data for value in node.history("a")] == [b"1", b"2", b"3"]
