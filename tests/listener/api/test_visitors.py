import pytest

from listener.access import Access, Scope
from listener.api.visitors import Doorkeeper, Visitor
from listener.origins import Origins

READ, CONTROL = "reads-only-0001", "controls-0001"


def look(
    *headers: tuple[str, str],
    client: tuple[str, int] | None = ("127.0.0.1", 5000),
    query: str = "",
    access: Access | None = None,
) -> Visitor:
    doorkeeper = Doorkeeper(access or Access(), Origins("bench", "localhost", ["http://page.example"]))
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return doorkeeper.look({"headers": raw, "client": client, "query_string": query.encode()})


@pytest.mark.parametrize(
    ("host", "from_here"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("192.0.2.7", False),
        ("fe80::1%eth0", False),
        ("bench", False),
    ],
)
def test_who_is_on_this_computer_may_change_something(host: str, from_here: bool) -> None:
    visitor = look(client=(host, 5000))
    assert (visitor.from_here, visitor.scope) == (from_here, Scope.CONTROL if from_here else Scope.READ)
    assert (visitor.refusal is None) == from_here
    assert (visitor.host, visitor.address) == (host, f"{host}:5000")


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "x-real-ip"])
def test_who_comes_through_a_proxy_on_this_computer_is_not_from_here(header: str) -> None:
    assert look((header.lower(), "127.0.0.1")).scope is Scope.READ


@pytest.mark.parametrize(
    ("origin", "host", "welcome"),
    [
        ("http://bench:8765", "bench:8000", True),  # our own page, which is on the WebSocket's port
        ("http://192.0.2.7:8765", "192.0.2.7:8000", True),
        ("http://[2001:db8::7]:8765", "[2001:db8::7]:8000", True),
        ("http://bench:8000", "bench:8000", True),
        ("http://bench:8766", "bench:8000", False),
        ("http://bench", "bench:8000", False),
        ("http://192.0.2.8:8765", "192.0.2.7:8000", False),
        ("http://evil.example:8765", "evil.example:8000", False),  # whose name was made to point here
    ],
)
def test_our_own_page_may_ask(origin: str, host: str, welcome: bool) -> None:
    origins = Origins("bench", "localhost", [], lambda: 8765)
    assert origins.admit(origin, host) == welcome
    assert not Origins("bench", "localhost", []).admit("http://bench:8765", "bench:8000")


def test_a_page_on_the_port_of_http_is_named_without_it() -> None:
    assert Origins("bench", "localhost", [], lambda: 80).admit("http://bench", "bench:8000")


def test_who_has_gone_already_is_nobody() -> None:
    assert (look(client=None).address, look(client=None).from_here) == ("gone:0", False)


@pytest.mark.parametrize(
    ("headers", "query", "scope", "unknown", "left"),
    [
        ([], "a=1", Scope.NONE, "a token is needed", "a=1"),
        ([("authorization", f"Bearer {READ}")], "a=1", Scope.READ, None, "a=1"),
        ([("authorization", f"bearer {CONTROL}")], "", Scope.CONTROL, None, ""),
        ([], f"a=1&token={CONTROL}&b=", Scope.CONTROL, None, "a=1&b="),
        ([], "token=nonsense", Scope.NONE, "this token is not known", ""),
        ([("authorization", "Basic eDp5")], "", Scope.NONE, "a token is needed", ""),
        ([("authorization", "Bearer \xff")], "", Scope.NONE, "this token is not known", ""),
    ],
)
def test_tokens(
    headers: list[tuple[str, str]], query: str, scope: Scope, unknown: str | None, left: str
) -> None:
    visitor = look(*headers, query=query, access=Access([READ], [CONTROL]))
    assert (visitor.scope, visitor.unknown, visitor.query) == (scope, unknown, left)


def test_the_first_of_several_headers_counts() -> None:
    visitor = look(("host", "bench:8000"), ("origin", "http://evil.example"), ("origin", "http://bench:8000"))
    assert not visitor.is_of_our_page
    assert look(("Host", "bench:8000"), ("Origin", "http://bench:8000")).is_of_our_page
