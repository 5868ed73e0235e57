import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.query import QueryError
from listener.subscription import (
    EVERYTHING,
    Resume,
    Subscription,
    from_command,
    parse_query,
)


@pytest.mark.parametrize(
    ("query", "subscription", "resume"),
    [
        ("", EVERYTHING, None),
        ("seq=0", EVERYTHING, None),
        ("seq=1", Subscription(seq=True), None),
        ("types=status", Subscription(types=frozenset({"status"})), None),
        ("types=status%2Cerror", Subscription(types=frozenset({"status", "error"})), None),
        ("channel=master&rate=10", Subscription(channel="master", rate_hz=10.0), None),
        ("rate=0.5", Subscription(rate_hz=0.5), None),
        ("seq=1&resume=18ea1741fd0ac234:17", Subscription(seq=True), Resume("18ea1741fd0ac234", 17)),
    ],
)
def test_an_address_asks_for_what_it_says(
    query: str, subscription: Subscription, resume: Resume | None
) -> None:
    assert parse_query(query) == (subscription, resume)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("typs=status", "typs: unknown parameter, did you mean 'types'?"),
        ("x=1", "x: unknown parameter; known are channel, rate, resume, seq, types"),
        ("types=stauts", "types: no such type: 'stauts', did you mean 'status'?"),
        ("types=", "types: no such type: ''"),
        ("channel=left", "channel: 'left' is not one of master, slave, system"),
        ("rate=0", "rate: '0' is not a number of events a second in 0.001…1000"),
        ("rate=nan", "rate: 'nan' is not a number"),
        ("rate=1e9", "rate: '1e9' is not a number"),
        ("rate=fast", "rate: 'fast' is not a number"),
        ("seq=yes", "seq: 'yes' is not 0 or 1"),
        ("seq=1&seq=1", "seq: given more than once"),
        ("resume=abc", "resume: 'abc' is not EPOCH:SEQ"),
        ("resume=abc:-1", "resume: 'abc:-1' is not EPOCH:SEQ"),
        ("resume=:5", "resume: ':5' is not EPOCH:SEQ"),
        ("resume=abc:99999999999999999999", "resume: "),
        ("resume=abc:²", "resume: "),
        ("seq", "query: bad query field"),
        ("&".join(["seq=1"] * 17), "query: Max number of fields exceeded"),
    ],
)
def test_a_mistake_names_its_parameter(query: str, complaint: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(query)
    assert str(caught.value).startswith(complaint)


@given(st.text(max_size=80))
def test_whatever_an_address_says_it_is_a_subscription_or_a_mistake(query: str) -> None:
    with contextlib.suppress(QueryError):
        assert isinstance(parse_query(query)[0], Subscription)


def test_a_command_asks_for_the_same_as_an_address() -> None:
    wanted = from_command(["status", "error"], "slave", 5, True)
    assert wanted == parse_query("types=status,error&channel=slave&rate=5&seq=1")[0]
    assert from_command(None, None, None, False) == EVERYTHING


@pytest.mark.parametrize(
    ("subscription", "wanted", "unwanted"),
    [
        (EVERYTHING, [("status", "system"), ("position_sample", "slave"), ("ride_end", None)], []),
        (
            Subscription(types=frozenset({"status"})),
            [("status", "slave"), ("gap", "master")],
            [("error", "system"), ("position_sample", "master")],
        ),
        (
            Subscription(channel="master"),
            [("position_sample", "master"), ("status", "system"), ("ride_end", None), ("gap", None)],
            [("position_sample", "slave"), ("gap", "slave")],
        ),
        (Subscription(channel="system"), [("status", "system")], [("status", "master")]),
        (EVERYTHING, [], [("signal_sample", "default.PressureSensor.Pressure")]),
        (
            Subscription(types=frozenset({"signal_sample"}), channel="master"),
            [("signal_sample", "default.PressureSensor.Pressure")],
            [("position_sample", "master")],
        ),
    ],
)
def test_what_is_for_everybody_passes_every_channel_and_a_gap_every_type(
    subscription: Subscription, wanted: list[tuple[str, str | None]], unwanted: list[tuple[str, str | None]]
) -> None:
    assert [subscription.wants(kind) for kind in wanted] == [True] * len(wanted)
    assert [subscription.wants(kind) for kind in unwanted] == [False] * len(unwanted)
