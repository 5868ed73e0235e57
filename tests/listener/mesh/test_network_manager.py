"""The middle: from the UART into the registry or to programs, from programs to the UART, or answered."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh import network_manager, outcomes
from listener.mesh.node import Status
from listener.mesh.outcomes import Outcome
from listener.mesh.priority import Priority
from tests.listener.mesh.root import ONLINE, Middle, ack, data, net_info, node_info, temperature, until, uuid

NORMAL, IMPORTANT, RESET = Priority.NORMAL, Priority.IMPORTANT, Priority.RESET


@pytest.fixture
async def middle() -> AsyncIterator[Middle]:
    made = Middle()
    yield made
    made.manager.close()


def failed(reason: str) -> bytes:
    return b"F" + bytes([len(reason)]) + reason.encode()


# From the UART


async def test_data_is_kept_told_and_not_forwarded(middle: Middle) -> None:
    middle.manager.add_listener(middle.heard.append)
    middle.say(data(5, (0, b"\x07"), (2, b"\x09\x23")))
    node = middle.registry.get(5)
    assert node is not None
    last = node.last("Temperature")
    assert last is not None
    assert (last.data, middle.is_recent(last.ts)) == (b"\x09\x23", True)
    assert middle.heard == []
    assert middle.kept.rows == [(5, "Sequence", last.ts, b"\x07"), (5, "Temperature", last.ts, b"\x09\x23")]
    assert middle.kept.nodes == {5: (b"", last.ts)}
    assert [event.type for event in middle.events] == ["node_connected", "traffic", "node_data", "traffic"]
    assert middle.of_type("node_connected") == [
        {"channel": "node-5", "addr": 5, "name": "Node-5", "uuid": "", "again": False}
    ]
    assert middle.of_type("node_data") == [
        {
            "channel": "node-5",
            "addr": 5,
            "name": "Node-5",
            "values": {
                "Sequence": {"raw": "07", "value": 7, "unit": ""},
                "Temperature": {"raw": "0923", "value": 23.39, "unit": "°C"},
            },
        }
    ]
    assert {event.source for event in middle.events} == {"mesh"}
    assert middle.lines == [
        ("note", 5, "Node-5 connected"),
        ("up", 5, "Node-5: Sequence 7, Temperature 23.39 °C"),
    ]


async def test_of_broken_data_what_can_be_read_is_kept_of_a_node_that_is_known(middle: Middle) -> None:
    middle.say(temperature(5, 20.0))
    middle.say(data(5, (2, b"\x09\x23"), (99, b"\x01")))
    middle.say(data(6, (2, b"\x09\x23"), (99, b"\x01")))
    node = middle.registry.get(5)
    assert node is not None
    assert [value.data for value in node.history("Temperature")] == [b"\x07\xd0", b"\x09\x23"]
    assert middle.registry.get(6) is None
    assert (middle.manager.counts["data"], middle.manager.counts["broken_data"]) == (1, 2)
    assert "broken data" in middle.lines[-1][2]


async def test_a_node_that_says_that_it_measures_nothing_is_there(middle: Middle) -> None:
    middle.say(data(5))
    assert middle.of_type("node_data") == []
    assert middle.registry.count(Status.ACTIVE) == 1


async def test_a_list_of_nodes_goes_into_the_registry_and_on_the_disk(middle: Middle) -> None:
    middle.manager.add_listener(middle.heard.append)
    middle.say(net_info(5, 6), node_info(7))
    assert [(each["addr"], each["uuid"]) for each in middle.of_type("node_connected")] == [
        (5, uuid(5).hex()),
        (6, uuid(6).hex()),
        (7, uuid(7).hex()),
    ]
    assert middle.kept.nodes[5] == (uuid(5), None)
    assert middle.kept.nodes[7][0] == uuid(7)
    assert middle.heard == []


async def test_everything_else_goes_to_all_listeners_octet_by_octet(middle: Middle) -> None:
    middle.say(net_info(5))
    others: list[bytes] = []
    leave = middle.manager.add_listener(middle.heard.append)
    middle.manager.add_listener(others.append)
    frames = [
        b"\x00\x05Ehello",
        b"\x00\x05\x00custom",
        b"\x00\x05\xffunknown opcode",
        b"\x00\x05R\x02",
        ack(5),
        ONLINE,
        b"I (123) mesh: started",
        b"\x00",
        b"",
        b"\xff\xff\x44",
    ]
    middle.say(*frames[:5])
    leave()
    middle.say(*frames[5:])
    assert middle.heard == frames[:5]
    assert others == [frame for frame in frames if frame[2:3] != b"D"]
    assert middle.manager.listeners == 1


async def test_a_log_line_makes_no_node(middle: Middle) -> None:
    middle.say(b"I (123) mesh: started", b"ADDRESS table", b"\x49\x20Estrange")
    assert len(middle.registry) == 0


async def test_whatever_a_node_says_keeps_it_alive(middle: Middle) -> None:
    middle.say(net_info(5, 6))
    five, six = middle.registry.get(5), middle.registry.get(6)
    assert five is not None
    assert six is not None
    middle.say(b"\x00\x05Ehello", ack(6, b"F", 4))
    assert five.last_seen is not None
    assert six.last_seen is None  # it was the root that said so


async def test_when_the_root_starts_all_nodes_are_lost_and_it_is_asked_for_them(middle: Middle) -> None:
    middle.root.answer = lambda payload: middle.say(net_info(6)) if payload == b"NINFO" else None
    middle.say(temperature(5, 20), temperature(6, 20))
    running = asyncio.create_task(middle.manager.run(), name="run the manager")
    middle.say(ONLINE)
    assert middle.registry.count(Status.DISCONNECT) == 2
    await until(lambda: middle.registry.count(Status.ACTIVE) == 1)
    running.cancel()
    assert middle.root.sent == [(b"NINFO", NORMAL)]
    assert [(each["addr"], each["state"]) for each in middle.of_type("node_status")] == [
        (5, "disconnected"),
        (6, "disconnected"),
    ]
    assert middle.of_type("node_connected")[-1].items() >= {"addr": 6, "again": True}.items()


async def test_nodes_grow_old_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_manager, "AGE_S", 0.01)
    monkeypatch.setattr(outcomes, "ACK_S", 0.02)
    middle = Middle(idle_s=0.05, disconnect_s=0.1)
    middle.say(temperature(5, 20))
    assert await middle.ask(b"SENDI\x00\x05hello") == b"S"
    running = asyncio.create_task(middle.manager.run(), name="run the manager")
    await until(lambda: middle.registry.count(Status.DISCONNECT))
    running.cancel()
    assert [each["state"] for each in middle.of_type("node_status")] == ["idle", "disconnected"]
    assert len(middle.manager.outcomes) == 0
    middle.manager.close()


async def test_the_root_is_asked_about_strangers_and_those_it_does_not_know_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network_manager, "AGE_S", 0.01)
    middle = Middle(idle_s=0.1, disconnect_s=100.0)
    middle.say(net_info(5))
    middle.root.answer = lambda payload: middle.say(net_info(5, 6)) if payload == b"NINFO" else None
    running = asyncio.create_task(middle.manager.run(), name="run the manager")
    middle.say(temperature(6, 20), temperature(7, 20), temperature(8, 20))
    await until(lambda: middle.registry.count(Status.IDLE) == 2)
    running.cancel()
    assert middle.root.payloads == [b"NINFO"]
    assert [node.addr for node in middle.registry] == [5, 6]
    assert set(middle.kept.nodes) == {5, 6}
    middle.manager.close()


async def test_a_root_that_names_nobody_is_not_asked(middle: Middle) -> None:
    running = asyncio.create_task(middle.manager.run(), name="run the manager")
    middle.say(temperature(6, 20))
    await asyncio.sleep(0)
    running.cancel()
    assert middle.root.sent == []


@given(frames=st.lists(st.binary(max_size=40), max_size=20))
async def test_no_octets_whatever_stop_it(frames: list[bytes]) -> None:
    middle = Middle()
    middle.manager.add_listener(middle.heard.append)
    middle.say(*frames)
    kept = sum(middle.manager.counts[kind] for kind in ("data", "broken_data", "net_info", "node_info"))
    assert len(middle.heard) == len(frames) - kept
    json.dumps(middle.manager.news.lines(500))
    middle.manager.close()


# Answered at once


async def test_the_status_of_all_nodes(middle: Middle) -> None:
    middle.say(temperature(6, 20), ONLINE, temperature(5, 20))
    answer = await middle.ask(b"NSTAT")
    assert answer[:1] == b"S"
    assert json.loads(answer[1:]) == {
        "node_amount": 2,
        "node_addr_list": [5, 6],
        "node_status_list": [1, 0],
    }
    assert await middle.ask(b"ACT-C") == b"S\x01"


async def test_who_is_in_a_state(middle: Middle) -> None:
    middle.say(net_info(5, 6), ONLINE, node_info(6))
    assert await middle.ask(b"NETIFA") == b"S\x01\x00\x06" + uuid(6)
    assert await middle.ask(b"NETIFD") == b"S\x01\x00\x05" + uuid(5)
    assert await middle.ask(b"NETIFN") == b"S\x00"
    assert (await middle.ask(b"NETIFX"))[:1] == b"F"


async def test_what_there_is_about_nodes(middle: Middle) -> None:
    middle.say(node_info(5), temperature(5, 20))
    told = json.loads((await middle.ask(b"NINFO"))[1:])
    (node,) = told["nodes"]
    assert node.pop("age_s") < 15
    assert node == {
        "addr": 5,
        "name": "Node-5",
        "uuid": uuid(5).hex(),
        "status": 1,
        "data_types": ["Temperature"],
    }


async def test_the_last_value_of_a_node_or_of_all(middle: Middle) -> None:
    middle.say(temperature(5, 20), temperature(6, 21), temperature(5, 22), data(7, (0, b"\x01")))
    assert await middle.ask(b"[GET]\x00\x05\x02") == b"S\x02\x02\x01\x00\x05\x08\x98"
    assert await middle.ask(b"[GET]\x00\x00\x02") == b"S\x02\x02\x02\x00\x05\x08\x98\x00\x06\x08\x34"
    assert await middle.ask(b"[GET]\x00\x00\x03") == b"S\x03\x04\x00"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"[GET]\x00\x09\x02", "Node Not Found"),
        (b"[GET]\x00\x05\x03", "Data Type Not Found"),
        (b"[GET]\x00\x05\x63", "Data Type Not Found"),
        (b"[GET]\x00\x00\x63", "Data Type Not Found"),
    ],
)
async def test_what_is_not_there_has_a_reason(middle: Middle, request_: bytes, reason: str) -> None:
    middle.say(temperature(5, 20))
    assert await middle.ask(request_) == failed(reason)


@given(st.binary(max_size=20))
async def test_every_request_is_answered(request_: bytes) -> None:
    middle = Middle()
    assert (await middle.ask(request_))[:1] in {b"S", b"F"}
    middle.manager.close()


# To the UART


@pytest.mark.parametrize(
    ("request_", "priority"),
    [
        (b"SEND-\x00\x05hello", NORMAL),
        (b"SEND-\x00\x00to the root", NORMAL),
        (b"SENDI\x00\x05hello", IMPORTANT),
        (b"BCAST\x00\x00hello", NORMAL),
        (b"STATE", NORMAL),
        (b"STATE anything", NORMAL),
        (b"CLEAN", RESET),
        (b"RST-R", RESET),
    ],
)
async def test_a_command_goes_to_the_uart_as_it_is(
    middle: Middle, request_: bytes, priority: Priority
) -> None:
    assert await middle.ask(request_) == b"S"
    assert middle.root.sent == [(request_, priority)]
    (line,) = middle.manager.news.lines(10)
    assert (line["direction"], line["raw"]) == ("down", request_.hex())
    assert "127.0.0.1:4711" in line["text"]


@pytest.mark.parametrize("request_", [b"RST-R", b"CLEAN"])
async def test_a_restart_and_a_clean_disconnect_all_nodes(middle: Middle, request_: bytes) -> None:
    middle.say(temperature(5, 20))
    assert await middle.ask(request_) == b"S"
    node = middle.registry.get(5)
    assert node is not None
    assert (node.status, len(node.history("Temperature"))) == (Status.DISCONNECT, 1)


@pytest.mark.parametrize("request_", [b"SEND-\x00\x05x", b"SENDI\x00\x05x", b"BCAST\x00\x00x", b"RST-R"])
async def test_a_command_that_cannot_be_sent_has_a_reason_and_changes_nothing(
    middle: Middle, request_: bytes
) -> None:
    middle.say(temperature(5, 20))
    middle.root.refusal = "Too Many Commands Waiting"
    assert await middle.ask(request_) == failed("Too Many Commands Waiting")
    assert middle.registry.count(Status.ACTIVE) == 1
    assert len(middle.manager.outcomes) == 0
    direction, _, text = middle.lines[-1]
    assert (direction, text.endswith("Too Many Commands Waiting")) == ("note", True)


async def test_without_a_uart_there_is_no_serial_connection() -> None:
    middle = Middle(attached=False)
    assert await middle.ask(b"SEND-\x00\x05x") == failed("No Serial Connection")
    assert middle.manager.uart_state == "disconnected"


async def test_who_may_not_change_anything_may_ask(middle: Middle) -> None:
    middle.say(temperature(5, 20))
    for request_ in (b"SEND-\x00\x05x", b"SENDI\x00\x05x", b"BCAST\x00\x00x", b"CLEAN", b"STATE", b"RST-R"):
        assert await middle.ask(request_, refusal="only from here") == failed("only from here")
    assert middle.root.sent == []
    for request_ in (b"NSTAT", b"ACT-C", b"NINFO", b"NETIFA", b"[GET]\x00\x05\x02"):
        assert (await middle.ask(request_, refusal="only from here"))[:1] == b"S"


async def test_an_important_message_is_waited_for(middle: Middle) -> None:
    middle.root.answer = lambda _: middle.say(ack(5, attempts=3))  # before the sender runs again
    assert await middle.manager.send(5, b"x", important=True, wait_s=10) == Outcome("delivered", 3)
    assert middle.root.sent == [(b"SENDI\x00\x05x", IMPORTANT)]
    middle.root.answer = lambda _: middle.say(ack(1, b"F", 4))
    failed_ = await middle.manager.send(0, b"x", important=True, wait_s=10)
    assert failed_ == Outcome("failed", 4, "not delivered in 4 attempts")
    middle.root.answer = lambda _: None
    unknown = await middle.manager.send(5, b"x", important=True, wait_s=0.01)
    assert unknown == Outcome("unknown", reason="no word of it in 0.01 s")


async def test_who_does_not_wait_is_told_that_it_was_sent(middle: Middle) -> None:
    assert await middle.manager.send(5, b"x", important=True) == Outcome("sent")
    assert await middle.manager.send(5, b"x", wait_s=10) == Outcome("sent")
    assert await middle.manager.broadcast(b"x") == Outcome("sent")
    assert await middle.manager.clean() == Outcome("sent")
    assert await middle.manager.reset() == Outcome("sent")
    assert middle.root.payloads == [
        b"SENDI\x00\x05x",
        b"SEND-\x00\x05x",
        b"BCAST\x00\x00x",
        b"CLEAN",
        b"RST-R",
    ]


@pytest.mark.parametrize("trouble", ["unplugged", "restarted", "reset", "closed"])
async def test_what_was_under_way_when_the_root_went_will_not_be_known(middle: Middle, trouble: str) -> None:
    sending = asyncio.create_task(middle.manager.send(5, b"x", important=True, wait_s=10), name="send")
    await until(lambda: middle.lines)
    match trouble:
        case "unplugged":
            middle.manager.uart_changed("disconnected", "Input/output error")
        case "restarted":
            middle.say(ONLINE)
        case "reset":
            await middle.manager.reset()
        case _:
            middle.manager.close()
    assert (await sending).state == "unknown"


# Those who look on


async def test_a_monitor_is_told_what_is_then_what_happens(middle: Middle) -> None:
    middle.manager.add_monitor(middle.shown.append)
    assert [each["type"] for each in middle.manager.present()] == ["connectionStatus", "networkStatus"]
    middle.manager.uart_changed("connected", "")
    leave = middle.manager.add_listener(middle.heard.append)
    for addr in range(5, 205):
        middle.say(temperature(addr, 20))
    await until(lambda: middle.shown[-1]["type"] == "networkStatus")
    leave()
    connections = [each for each in middle.shown if each["type"] == "connectionStatus"]
    assert [(each["socket"], each["uart"]) for each in connections] == [
        ("disconnected", "connected"),
        ("connected", "connected"),
        ("disconnected", "connected"),
    ]
    (network,) = [each for each in middle.shown if each["type"] == "networkStatus"]  # in one piece
    assert len(network["nodes"]) == 200
    assert {"type": "trafficLog", "message": "Node-5 connected"} in middle.shown
    assert middle.manager.present() == [connections[-1], network]


async def test_the_state_of_the_uart_is_told_to_all(middle: Middle) -> None:
    middle.manager.uart_changed("searching", "no answer")
    (told,) = middle.of_type("status")
    assert told == {
        "channel": "uart",
        "state": "searching",
        "device": "/dev/ttyUSB0",
        "why": "no answer",
    }
    assert middle.lines == [("note", None, "UART /dev/ttyUSB0 searching: no answer")]


async def test_who_was_silent_while_the_uart_was_away_may_come_back_by_the_roots_word(middle: Middle) -> None:
    middle.say(net_info(5))
    middle.registry.age(1e12)
    middle.say(net_info(5))
    assert middle.registry.count(Status.ACTIVE) == 0
    middle.manager.uart_changed("connected", "")
    middle.say(net_info(5))
    assert middle.registry.count(Status.ACTIVE) == 1


async def test_a_node_is_forgotten_once(middle: Middle) -> None:
    middle.say(temperature(5, 20))
    assert middle.manager.forget(5)
    assert not middle.manager.forget(5)
    assert middle.of_type("node_status")[-1]["reason"] == "forgotten"


async def test_of_the_traffic_the_last_lines_are_kept(middle: Middle) -> None:
    for number in range(600):
        middle.say(b"\x00\x05E%d" % number)
    assert len(middle.manager.news.lines(1000)) == 500
    assert [each["text"] for each in middle.manager.news.lines(2)] == [
        "from 5: echo '598'",
        "from 5: echo '599'",
    ]
