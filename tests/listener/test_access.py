from collections.abc import AsyncIterator

import msgspec
import pytest
from websockets.exceptions import ConnectionClosedError

from listener.access import Access, Scope, token_of
from listener.client import EventClient, Refused
from listener.commands import Commands
from tests.listener.serving import Start, client_of, receive, servers


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with servers({"version": "test"}) as start:
        yield start


READ, CONTROL, ROBOT = "just-looking", "turns-the-screw", "climbs-stairs"


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
        (((), (), (ROBOT,)), ROBOT, True, Scope.ROBOT),
        (((READ,), (CONTROL,), (ROBOT,)), ROBOT, False, Scope.ROBOT),
        (((), (), (ROBOT,)), None, True, Scope.CONTROL),
        (((), (), (ROBOT,)), None, False, Scope.READ),
    ],
)
def test_what_a_token_and_a_place_allow(
    tokens: tuple[tuple[str, ...], tuple[str, ...]], token: str | None, from_here: bool, scope: Scope
) -> None:
    assert Access(*tokens).scope(token, from_here=from_here) is scope


@pytest.mark.parametrize(
    ("tokens", "scope", "is_welcome"),
    [
        ((), Scope.READ, True),
        ((), Scope.CONTROL, True),
        ((ROBOT,), Scope.READ, False),
        ((ROBOT,), Scope.ROBOT, True),
        ((ROBOT,), Scope.CONTROL, True),
    ],
)
def test_who_may_be_a_robot(tokens: tuple[str, ...], scope: Scope, is_welcome: bool) -> None:
    assert (Access((), (), tokens).robots_refusal(scope) is None) == is_welcome


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


class Screw(msgspec.Struct):
    turns: float


def bench() -> Commands:
    commands = Commands()
    commands.register("turn", Screw, lambda screw: {"turned": screw.turns}, control=True)
    return commands


@pytest.mark.parametrize("query", ["", "?token=wrong-one", "?seq=1&token=", "?token=%FF"])
async def test_without_the_token_it_needs_a_session_is_closed_with_a_reason(start: Start, query: str) -> None:
    server = await start(access=Access((READ,), (CONTROL,)))
    async with client_of(server, query) as client:
        with pytest.raises(ConnectionClosedError) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert "token" in closed.value.rcvd.reason
    assert server.clients == 0


@pytest.mark.parametrize(
    ("token", "access", "answer"),
    [(READ, "read", "error"), (CONTROL, "control", "result")],
)
async def test_who_may_read_and_who_may_command(start: Start, token: str, access: str, answer: str) -> None:
    server = await start(access=Access((READ,), (CONTROL,)), commands=bench())
    headers = {"Authorization": f"Bearer {token}"}
    async with client_of(server, "?seq=1", additional_headers=headers) as client:
        assert (await receive(client))["payload"]["access"] == access
        await client.send('{"type":"command:turn","turns":0.25,"id":1}')
        told = await receive(client)
    assert told["type"] == answer
    if answer == "error":
        assert told["payload"]["code"] == "not_allowed"
        assert "control token" in told["payload"]["details"]["reason"]


async def test_without_tokens_this_computer_may_command(start: Start) -> None:
    server = await start(commands=bench())
    async with client_of(server) as client:
        assert (await receive(client))["payload"]["access"] == "control"


async def test_the_client_says_its_token_and_gives_up_on_a_wrong_one(start: Start) -> None:
    server = await start(access=Access((READ,)), epoch="e")
    url = f"ws://127.0.0.1:{server.port}/"
    async with EventClient(url, token=READ) as client:
        async for event in client:
            assert event["type"] == "hello"
            break
    with pytest.raises(Refused, match="not known"):
        async for _ in EventClient(url, token="wrong-one"):
            pass
