import pytest

from listener.access import Access, Scope, token_of

READ, CONTROL = "just-looking", "turns-the-screw"


@pytest.mark.parametrize(
    ("tokens", "token", "from_here", "scope"),
    [
        (((), ()), None, True, Scope.CONTROL),
        (((), ()), None, False, Scope.READ),
        (((), ()), "anything", True, Scope.NONE),
        (((), (CONTROL,)), None, True, Scope.READ),
        (((), (CONTROL,)), None, False, Scope.READ),
        (((), (CONTROL,)), CONTROL, False, Scope.CONTROL),
        (((), (CONTROL,)), CONTROL + "x", False, Scope.NONE),
        (((READ,), (CONTROL,)), None, True, Scope.NONE),
        (((READ,), (CONTROL,)), READ, True, Scope.READ),
        (((READ,), (CONTROL,)), READ, False, Scope.READ),
        (((READ,), (CONTROL, "another-one")), "another-one", False, Scope.CONTROL),
        (((READ,), ()), READ, True, Scope.CONTROL),
        (((READ,), ()), READ, False, Scope.READ),
        (((READ,), ()), None, True, Scope.NONE),
        (((READ,), (CONTROL,)), "", False, Scope.NONE),
        (((READ,), (CONTROL,)), "\udcff", False, Scope.NONE),
    ],
)
def test_what_a_token_and_a_place_allow(
    tokens: tuple[tuple[str, ...], tuple[str, ...]], token: str | None, from_here: bool, scope: Scope
) -> None:
    assert Access(*tokens).scope(token, from_here=from_here) is scope


@pytest.mark.parametrize(
    ("authorization", "query", "token", "rest"),
    [
        ("", "", None, ""),
        ("", "seq=1&rate=5", None, "seq=1&rate=5"),
        ("", "token=a%20b&seq=1", "a b", "seq=1"),
        ("", "seq=1&token=", "", "seq=1"),
        ("Bearer abc", "seq=1", "abc", "seq=1"),
        ("bearer  abc ", "token=other", "abc", ""),
        ("Basic abc", "seq=1", None, "seq=1"),
        ("", "token=x&=&&", None, "token=x&=&&"),
    ],
)
def test_a_token_comes_in_a_header_or_in_the_query(
    authorization: str, query: str, token: str | None, rest: str
) -> None:
    assert token_of(authorization, query) == (token, rest)
