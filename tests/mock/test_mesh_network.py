"""The simulated mesh, without a wire: what its module says, and what it does when it is told to."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh import data_types, message_opcodes, uart_codec
from listener.mesh.messages import (
    Ack,
    Forward,
    NetInfo,
    NodeData,
    NodeInfo,
    RootReset,
    UartMessage,
    parse_uart,
)
from mock.mesh_framing import COMMAND_MAX, Unframer, framed
from mock.mesh_network import ATTEMPTS, LOGS, RETRY_S, MeshOptions, Network
from mock.mesh_node import Node

BOOT_S = 10.0  # long enough for every node of these to have joined


def network(**options: Any) -> Network:
    return Network(MeshOptions(**{"seed": 1, "interval_s": 5.0, **options}), 0.0)


def parsed(payloads: list[bytes]) -> list[UartMessage]:
    return [parse_uart(payload, message_opcodes.DEFAULT, data_types.DEFAULT) for payload in payloads]


def gathered(**options: Any) -> Network:
    """Booted, all nodes there, and they say nothing by themselves for a long time."""
    found = network(interval_s=1e6, **options)
    found.advance(BOOT_S)
    return found


def told(found: Network, *commands: bytes, until_s: float = BOOT_S + 5) -> list[UartMessage]:
    for command in commands:
        found.receive(framed(command), BOOT_S)
    return parsed(found.advance(until_s))


@given(st.binary(max_size=300))
def test_its_framing_is_that_of_the_listener(payload: bytes) -> None:
    assert framed(payload) == uart_codec.encode(payload)
    assert Unframer().feed(uart_codec.encode(payload)) == [payload]


def test_garbage_costs_no_later_command() -> None:
    unframer = Unframer()
    assert unframer.feed(
        b"noise\xfe\xff" + bytes(COMMAND_MAX + 1) + b"\xfe" + b"\xffhalf" + framed(b"a")
    ) == [b"a"]
    assert [found for octet in framed(b"\xff\xfa") for found in unframer.feed(bytes((octet,)))] == [
        b"\xff\xfa"
    ]


def test_it_boots_then_nodes_join_then_they_report() -> None:
    found = network(nodes=20)
    messages = parsed(found.advance(BOOT_S))

    assert messages[0] == RootReset(0, "online\n")
    joined = [message for message in messages if isinstance(message, NodeInfo)]
    assert [message.addr for message in joined] == list(range(5, 25))
    assert len({message.uuid for message in joined}) == 20
    first: dict[int, object] = {}
    for message in messages[1:]:
        assert isinstance(message, (NodeInfo, NodeData))
        first.setdefault(message.addr, message)
    assert all(isinstance(message, NodeInfo) for message in first.values())
    assert Counter(type(message) for message in messages[1:])[NodeData] >= 20


def test_what_nodes_measure_is_plausible() -> None:
    found = network(nodes=30, interval_s=60.0)
    types = {}
    sequences: dict[int, list[object]] = {}
    for message in parsed(found.advance(3600.0)):
        if isinstance(message, NodeData):
            assert message.problem == ""
            values = {kind.name: kind.value(data) for kind, data in message.values}
            assert 10 < float(values["Temperature"] or 0) < 35
            assert 99_000 < float(values["Pressure"] or 0) < 102_000
            assert 3.0 < float(values["Battery"] or 0) <= 4.2
            sequences.setdefault(message.addr, []).append(values["Sequence"])
            types.update(values)
    assert types.keys() == set(data_types.DEFAULT.by_name)
    assert 0 < float(types["Humidity"] or 0) < 100
    assert len(sequences) == 30
    for numbers in sequences.values():
        assert numbers == list(range(len(numbers)))
        assert len(numbers) in (59, 60)


def test_the_same_seed_says_the_same() -> None:
    trouble = {"nodes": 10, "drop": 0.1, "duplicate": 0.1, "logs": 0.5}
    one, same, other = (network(seed=seed, **trouble).advance(60.0) for seed in (1, 1, 2))

    assert one == same != other


def test_when_it_says_something_again_is_known() -> None:
    found = network(nodes=1)
    assert found.next_s == pytest.approx(0.2)
    while found.next_s < 100:
        at_s = found.next_s
        assert found.advance(at_s - 1e-9) == []
        found.advance(at_s)
        assert found.next_s > at_s
    empty = network(nodes=0)
    empty.advance(1.0)
    assert math.isinf(empty.next_s)


@pytest.mark.parametrize(("nodes", "sizes"), [(0, [0]), (3, [3]), (50, [50]), (120, [50, 50, 20])])
def test_asked_for_the_network_it_names_all_nodes(nodes: int, sizes: list[int]) -> None:
    found = gathered(nodes=nodes)
    answers = told(found, b"NINFO")

    assert all(isinstance(answer, NetInfo) for answer in answers)
    named = [answer.nodes for answer in answers if isinstance(answer, NetInfo)]
    assert [len(entries) for entries in named] == sizes
    assert [entry for entries in named for entry in entries] == [
        (node.address, node.uuid) for node in found.joined()
    ]


def test_nodes_do_as_they_are_told() -> None:
    found = gathered(nodes=3)
    assert told(found, b"SEND-\x00\x05Ehello\xff") == [Forward(5, ord("E"), b"hello\xff")]
    assert told(found, b"SEND-\x00\x06T") == [Forward(6, ord("T"), b"passed\n")]
    (asked,) = told(found, b"SEND-\x00\x06R\x02\x63\x03")
    assert isinstance(asked, NodeData)
    assert [kind.name for kind, _ in asked.values] == ["Temperature", "Pressure"]
    (asked,) = told(found, b"SEND-\x00\x06R")
    assert isinstance(asked, NodeData)
    assert len(asked.values) > 3
    assert told(found, b"SEND-\x00\x06S") == [NodeInfo(6, found.node(6).uuid)]
    assert told(found, b"SEND-\x00\x07\x00anything") == []
    assert list(found.node(7).heard) == [b"\x00anything"]


def test_a_node_that_restarts_is_not_there_meanwhile() -> None:
    found = gathered(nodes=2, boot_s=1.0)
    assert told(found, b"SEND-\x00\x06S", until_s=BOOT_S + 0.5) == []
    assert [node.address for node in found.joined()] == [5]
    assert parsed(found.advance(BOOT_S + 5)) == [NodeInfo(6, found.node(6).uuid)]


def test_all_hear_a_broadcast() -> None:
    answers = told(gathered(nodes=9), b"BCAST\x00\x00Ehi")

    assert sorted(answer.addr for answer in answers if isinstance(answer, Forward)) == list(range(5, 14))


def test_the_root_itself_has_an_echo_and_a_state() -> None:
    answers = told(gathered(nodes=2), b"SEND-\x00\x00Ea", b"SEND-\x00\x01Eb", b"SEND-\x00\x01x", b"STATE")

    assert answers == [
        Forward(1, ord("E"), b"a"),
        Forward(1, ord("E"), b"b"),
        Forward(1, 0, b"connected, 2 nodes\n"),
    ]


@pytest.mark.parametrize(
    ("loss", "ack"),
    [(0.0, Ack(5, delivered=True, attempts=1)), (1.0, Ack(5, delivered=False, attempts=ATTEMPTS))],
)
def test_an_important_message_has_a_result(loss: float, ack: Ack) -> None:
    found = gathered(nodes=1, loss=loss)

    assert told(found, b"SENDI\x00\x05x") == [ack]
    assert list(found.node(5).heard) == ([b"x"] if ack.delivered else [])


def test_it_is_tried_again_with_a_higher_ttl() -> None:
    found = gathered(nodes=6, hops=6)
    acks = {}
    for node in found.joined():
        (ack,) = told(found, b"SENDI" + node.address.to_bytes(2, "big"), until_s=BOOT_S + 1000)
        assert isinstance(ack, Ack)
        acks[node.hops] = ack.attempts
    assert acks == {1: 1, 2: 1, 3: 1, 4: 2, 5: 3, 6: 4}


def test_to_try_again_takes_time() -> None:
    found = gathered(nodes=1, loss=1.0)
    told(found, b"SENDI\x00\x05x", until_s=BOOT_S)
    assert found.advance(BOOT_S + (ATTEMPTS - 1) * RETRY_S - 0.01) == []
    assert len(found.advance(BOOT_S + (ATTEMPTS - 1) * RETRY_S + 0.1)) == 1


def test_loss_is_overcome_by_some_attempts() -> None:
    found = gathered(nodes=1, loss=0.5)
    acks = [ack for ack in told(found, *[b"SENDI\x00\x05x"] * 300) if isinstance(ack, Ack)]

    assert len(acks) == 300
    assert {(ack.delivered, ack.attempts) for ack in acks} == {
        *((True, number) for number in range(1, ATTEMPTS + 1)),
        (False, ATTEMPTS),
    }


def test_to_root_and_to_nobody() -> None:
    found = gathered(nodes=1)
    assert told(found, b"SENDI\x00\x00x", b"SENDI\x00\x01x") == [Ack(1, delivered=True, attempts=1)] * 2
    assert told(found, b"SENDI\x03\xe7x") == [Ack(999, delivered=False, attempts=ATTEMPTS)]


@pytest.mark.parametrize("command", [b"SEND-\x03\xe7x", b"SEND-\x03", b"SENDI", b"HELLO", b"\x00\x01", b""])
def test_what_cannot_be_done_is_in_its_log(command: bytes) -> None:
    found = gathered(nodes=1)
    found.receive(framed(command), BOOT_S)
    (log,) = found.advance(BOOT_S)

    assert log[:2] in {b"E ", b"W "}


def test_told_to_restart_it_boots_and_knows_its_nodes_again() -> None:
    found = gathered(nodes=3)
    before = {node.address: node.uuid for node in found.joined()}
    found.receive(framed(b"SENDI\x00\x05x") + framed(b"RST-R"), BOOT_S)
    found.receive(framed(b"NINFO"), BOOT_S + 0.1)  # it is deaf while it boots
    messages = parsed(found.advance(BOOT_S + 5))

    assert messages[0] == RootReset(0, "online\n")  # and the message that was under way is forgotten
    assert {message.addr: message.uuid for message in messages if isinstance(message, NodeInfo)} == before
    assert len(messages) == 1 + len(before)
    assert found.boots == 2


def test_cleaned_it_forgets_its_nodes_which_join_as_new() -> None:
    found = gathered(nodes=12)
    before = {node.address: node.uuid for node in found.joined()}
    messages = told(found, b"CLEAN", b"NINFO")
    empty, *joined = messages

    assert empty == NetInfo(())
    after = {message.addr: message.uuid for message in joined if isinstance(message, NodeInfo)}
    assert after.keys() == before.keys()
    assert set(after.values()) == set(before.values())
    assert after != before


def test_it_can_reset_itself() -> None:
    found = network(nodes=1, reset_every_s=10.0)
    found.receive(framed(b"CLEAN"), 0.0)
    messages = parsed(found.advance(55.0))
    assert messages.count(RootReset(0, "online\n")) == found.boots == 6
    found.receive(framed(b"CLEAN"), 55.0)
    assert RootReset(0, "online\n") in parsed(found.advance(66.0))


def test_nodes_fall_silent() -> None:
    found = network(nodes=4, silent=2, silent_after_s=60.0)
    before = {message.addr for message in parsed(found.advance(60.0)) if isinstance(message, NodeData)}
    after = {message.addr for message in parsed(found.advance(120.0)) if isinstance(message, NodeData)}

    assert before == {5, 6, 7, 8}
    assert len(after) == 2
    silent = (before - after).pop()
    found.receive(framed(b"SENDI" + silent.to_bytes(2, "big") + b"x"), 120.0)
    assert Ack(silent, delivered=False, attempts=ATTEMPTS) in parsed(found.advance(125.0))
    found.boot(130.0)
    assert not {silent} & {
        message.addr for message in parsed(found.advance(200.0)) if isinstance(message, NodeData)
    }


def test_the_mesh_loses_and_doubles() -> None:
    whole = [message for message in network(nodes=20).advance(500.0) if message[2] == ord("D")]
    fewer = [message for message in network(nodes=20, drop=0.1).advance(500.0) if message[2] == ord("D")]
    more = [message for message in network(nodes=20, duplicate=0.1).advance(500.0) if message[2] == ord("D")]

    assert len(whole) * 0.85 < len(fewer) < len(whole) * 0.95
    assert len(whole) * 1.05 < len(more) < len(whole) * 1.15
    assert sum(count - 1 for count in Counter(more).values()) == len(more) - len(whole)


def test_its_log_has_the_framing_of_messages_and_is_none() -> None:
    messages = parsed(network(nodes=20, logs=1.0).advance(500.0))
    kinds = Counter(type(message) for message in messages)

    assert kinds[NodeInfo] == 20
    assert kinds[NodeData] > 1900
    assert kinds[RootReset] == 1
    assert sum(kinds.values()) - 20 - 1 - kinds[NodeData] > 1900 / len(LOGS)
    assert not kinds[NetInfo]
    assert not kinds[Ack]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nodes", -1),
        ("nodes", 65_001),
        ("interval_s", 0),
        ("interval_s", math.nan),
        ("drop", 1.1),
        ("corrupt", -0.1),
        ("silent", -1),
        ("baudrate", -1),
        ("boot_s", math.inf),
        ("hops", 0),
    ],
)
def test_a_mistake_is_named(name: str, value: float) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=name.removesuffix("_s").split("_")[0]):
        MeshOptions(**options)


def test_a_node_has_a_place_and_a_charge() -> None:
    low, high = Node(0, "1"), Node(30, "1")
    pressures = [int.from_bytes(node.value(3, 0.0), "big") for node in (low, high)]
    assert pressures[0] > pressures[1] + 900
    charges = [int.from_bytes(low.value(4, at_s), "big") for at_s in (0.0, 1e6, 1e12)]
    assert charges[0] > charges[1] > charges[2] == 3000
