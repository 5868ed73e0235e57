import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.robots.limits import Change, Limits, Watch

FINE = (80.0, 40.0, 35.0, 90.0)


def watch() -> Watch:
    return Watch(Limits(low_battery=20, hot_c=70, weak_signal=25))


def test_what_is_fine_is_not_worth_a_word() -> None:
    assert watch().look(FINE) == []
    assert watch().look((20.0, 100.0, 70.0, 25.0)) == []  # at the limits


@pytest.mark.parametrize(
    ("values", "changes"),
    [
        ((19.9, 0.0, 35.0, 90.0), [Change("low_battery", "battery 19.9%, below 20%")]),
        ((80.0, 0.0, 70.5, 90.0), [Change("hot", "temperature 70.5 °C, above 70 °C")]),
        ((80.0, 0.0, 35.0, 3.0), [Change("weak_signal", "signal 3%, below 25%")]),
        ((80.0, 100.0, -40.0, 90.0), []),
        ((None, None, None, None), []),
        ((-40.0, None, None, None), [Change("low_battery", "battery -40%, below 20%")]),
    ],
)
def test_what_is_wrong_is_told_with_its_value(
    values: tuple[float | None, ...], changes: list[Change]
) -> None:
    assert watch().look(values) == changes


def test_each_is_told_once_and_once_more_when_it_is_clearly_over() -> None:
    found = watch()
    told = [
        change
        for c in (69.0, 71.0, 75.0, 69.5, 67.1, 67.0, 60.0, 71.0)
        for change in found.look((None, None, c, None))
    ]
    assert told == [
        Change("hot", "temperature 71 °C, above 70 °C"),
        Change("hot_over", "temperature 67 °C again"),
        Change("hot", "temperature 71 °C, above 70 °C"),
    ]  # fmt: skip
    assert found.wrong == {"hot"}
    told = [change for percent in (19.0, 22.9, 23.0) for change in found.look((percent, None, None, None))]
    assert [change.status for change in told] == ["low_battery", "low_battery_over"]


def test_what_a_robot_does_not_say_changes_nothing() -> None:
    found = watch()
    found.look((5.0, None, 80.0, 5.0))
    assert found.look((None, None, None, None)) == []
    assert found.wrong == {"low_battery", "hot", "weak_signal"}
    assert len(found.look(FINE)) == 3
    assert found.wrong == set()


def test_temperatures_below_zero_keep_their_sign() -> None:
    found = watch()
    found.look((None, None, 75.0, None))
    assert found.look((None, None, -10.0, None)) == [Change("hot_over", "temperature -10 °C again")]
    frozen = Watch(Limits(hot_c=-5))
    assert frozen.look((None, None, -6.0, None)) == []
    assert frozen.look((None, None, 3.0, None)) == [Change("hot", "temperature 3 °C, above -5 °C")]
    assert frozen.look((None, None, -8.0, None)) == [Change("hot_over", "temperature -8 °C again")]


@given(st.lists(st.tuples(*[st.none() | st.floats(-100, 300)] * 4)))
def test_each_begins_before_it_is_over_and_does_not_begin_twice(
    values: list[tuple[float | None, ...]],
) -> None:
    found = watch()
    wrong: set[str] = set()
    for each in values:
        for change in found.look(each):
            if change.status.endswith("_over"):
                wrong.remove(change.status.removesuffix("_over"))
            else:
                assert change.status not in wrong
                wrong.add(change.status)
        assert wrong == found.wrong
