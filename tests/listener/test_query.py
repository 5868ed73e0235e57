"""What stands behind the ? of an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.query import QueryError, number, parameters, switch

KNOWN = ("rate", "bus")


def test_parameters_come_in_their_order() -> None:
    assert list(parameters("rate=5&bus=a%20b", KNOWN).items()) == [("rate", "5"), ("bus", "a b")]
    assert parameters("", KNOWN) == {}
    assert parameters("bus=", KNOWN) == {"bus": ""}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("bsu=1", "bsu: unknown parameter; known are bus, rate"),
        ("bus=1&bus=2", "bus: given more than once"),
        ("bus", "query: bad query field: 'bus'"),
        ("&".join(f"a{n}=1" for n in range(20)), "query: Max number of fields exceeded"),
    ],
)
def test_a_mistake_is_named(query: str, reason: str) -> None:
    with pytest.raises(QueryError) as caught:
        parameters(query, KNOWN)
    assert str(caught.value) == reason


def test_a_better_hint_is_taken() -> None:
    with pytest.raises(QueryError, match=r"bsu: unknown parameter, did you mean 'bus'\?"):
        parameters("bsu=1", KNOWN, lambda _: ", did you mean 'bus'?")


def test_switches_and_numbers() -> None:
    assert (switch("raw", "1"), switch("raw", "0")) == (True, False)
    assert number("rate", "0.5", 0.01, 100, "a rate") == 0.5
    for text in ("", "x", "nan", "inf", "0.001", "101"):
        with pytest.raises(QueryError, match=r"^rate: .* is not a rate in 0\.01…100"):
            number("rate", text, 0.01, 100, "a rate")
    with pytest.raises(QueryError, match="raw: 'yes' is not 0 or 1"):
        switch("raw", "yes")


@given(st.text())
def test_any_query_is_read_or_an_error(query: str) -> None:
    try:
        assert set(parameters(query, KNOWN)) <= set(KNOWN)
    except QueryError as exc:
        assert len(str(exc)) < 1000  # noqa: PT017
