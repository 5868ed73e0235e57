"""Programs on TCP, over real sockets: those that listen, those that ask, and the rude ones among both."""

import asyncio
import errno
import json
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from listener.access import Access
from listener.mesh import socket_connection, socket_manager
from listener.mesh.listening import SYN_FRAMED, Unframer
from listener.mesh.requests import NO_LISTENER, SYN, failed
from listener.mesh.socket_connection import READ_MAX, WRITE_BUFFER
from listener.ports import PortUnavailable
from tests.e2e.helpers import leslisten
from tests.listener.api_bench import QUIET
from tests.listener.mesh.programs import PATIENCE_S, UUID, Program, Served, ask, program, serving, until

GET = b"[GET]\x00\x05\x02"
TEMPERATURE = b"S\x02\x02\x01\x00\x05\x09\x23"
EVENT = b"\x00\x05Eecho"


@pytest.fixture
def logged() -> Any:
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody comes from another computer."""
    monkeypatch.setattr(socket_connection, "is_loopback", lambda _host: False)


def only_the_half_close_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waited for a quiet time would wait longer than any test does."""
    monkeypatch.setattr(socket_connection, "QUIET_S", 4 * PATIENCE_S)
    monkeypatch.setattr(socket_connection, "PIECES_QUIET_S", 4 * PATIENCE_S)


def reason(response: bytes) -> str:
    assert response[:1] == b"F"
    assert response[1] == len(response) - 2
    return response[2:].decode()


# Asking


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (GET, TEMPERATURE),
        (b"[GET]\x00\x00\x02", TEMPERATURE),
        (b"[GET]\x00\x63\x02", failed("Node Not Found")),
        (b"[GET]\x00\x05\x03", failed("Data Type Not Found")),
        (b"ACT-C", b"S\x02"),
        (b"NETIFA", b"S\x02\x00\x05" + UUID + b"\x00\x06" + UUID),
        (b"CLEAN", b"S"),
        (b"RST-R", b"S"),
        (b"GARBAGE", failed("Unknown Command GARBA")),
        (GET + b"\r\n", TEMPERATURE),
    ],
)
async def test_a_request_of_a_known_length_is_answered_when_it_is_there_and_the_connection_ends(
    request_: bytes, response: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_the_half_close_ends_it(monkeypatch)
    async with serving() as served:
        await served.listener()
        assert await served.ask(request_) == response
        assert await served.ask(request_, half_close=True) == response


async def test_the_nodes_are_told_as_json() -> None:
    async with serving() as served:
        await served.listener()
        status = await served.ask(b"NSTAT")
        assert status[:1] == b"S"
        assert json.loads(status[1:]) == {
            "node_amount": 2,
            "node_addr_list": [5, 6],
            "node_status_list": [1, 1],
        }


async def test_a_request_without_a_length_ends_where_the_client_falls_silent() -> None:
    async with serving() as served:
        await served.listener()
        assert await served.ask(b"SEND-\x00\x05Ton") == b"S"
        assert await served.ask(b"SENDI\x00\x05" + bytes(range(256)) * 16) == b"S"
        assert served.uart.sent == [b"SEND-\x00\x05Ton", b"SENDI\x00\x05" + bytes(range(256)) * 16]


async def test_or_where_it_half_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    only_the_half_close_ends_it(monkeypatch)
    async with serving() as served:
        await served.listener()
        assert await served.ask(b"BCAST\x00\x00all", half_close=True) == b"S"
        assert served.uart.sent == [b"BCAST\x00\x00all"]


async def test_a_request_that_comes_octet_by_octet_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    only_the_half_close_ends_it(monkeypatch)
    async with serving() as served:
        await served.listener()
        for request, ends, response in [(GET, False, TEMPERATURE), (b"SEND-\x00\x05Ton", True, b"S")]:
            asking = await served.program()
            asking.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in request:
                await asking.say(bytes([octet]))
                await asyncio.sleep(0)
            if ends:
                asking.half_close()
            assert await asking.rest() == response
        assert served.uart.sent == [b"SEND-\x00\x05Ton"]


async def test_who_takes_its_time_between_the_pieces_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_connection, "PIECES_QUIET_S", 1.0)
    async with serving() as served:
        await served.listener()
        asking = await served.program()
        await asking.say(b"SE")
        await until(lambda: any(each._data for each in served.sockets._alive))
        for piece in (b"ND-\x00\x05T", b"light ", b"on"):
            await asking.say(piece)
            await asyncio.sleep(3 * socket_connection.QUIET_S)
        assert await asking.rest() == b"S"
        assert served.uart.sent == [b"SEND-\x00\x05Tlight on"]


async def test_what_the_uart_does_not_take_is_told() -> None:
    async with serving() as served:
        await served.listener()
        served.uart.refusal = "No Serial Connection"
        assert reason(await served.ask(b"SEND-\x00\x05Ton")) == "No Serial Connection"


async def test_without_anybody_who_listens_nothing_is_answered_as_in_the_field() -> None:
    async with serving() as served:
        assert await served.ask(GET) == NO_LISTENER
        assert await served.ask(b"[syn]?") == NO_LISTENER
        assert await served.ask(b"[sy", half_close=True) == NO_LISTENER
        listening = await served.listener()
        assert await served.ask(GET) == TEMPERATURE
        listening.close()
        await until(lambda: not served.sockets.listeners)
        assert await served.ask(GET) == NO_LISTENER
        assert served.uart.sent == []


async def test_a_get_is_answered_within_ten_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    only_the_half_close_ends_it(monkeypatch)
    async with serving() as served:
        await served.listener()
        took = []
        for _ in range(100):
            began = time.perf_counter()
            assert await served.ask(GET) == TEMPERATURE
            took.append(time.perf_counter() - began)
        print(f"median {1000 * statistics.median(took):.2f} ms, longest {1000 * max(took):.2f} ms")
        assert min(took) < 0.010  # with the client in the same process, and asyncio in its debug mode


# Listening


async def test_every_listener_gets_every_message() -> None:
    async with serving() as served:
        listening = [await served.listener() for _ in range(3)]
        assert served.sockets.listeners == 3
        served.manager.received(EVENT)
        served.manager.received(b"\x00\x00\x03online\n")
        for each in listening:
            assert await each.hear(len(EVENT) + 10) == EVENT + b"\x00\x00\x03online\n"


async def test_one_that_asks_for_lengths_is_told_where_a_message_ends() -> None:
    async with serving() as served:
        framed, plain = await served.listener(SYN_FRAMED), await served.listener()
        messages = [b"\x00\x05E", EVENT, b"\x00\x05E" + bytes(3000)]
        for message in messages:
            served.manager.received(message)
        length = sum(map(len, messages))
        assert Unframer().feed(await framed.hear(length + 2 * len(messages))) == messages
        assert await plain.hear(length) == b"".join(messages)


async def test_the_handshake_may_come_octet_by_octet() -> None:
    async with serving() as served:
        listening = await served.program()
        for number, octet in enumerate(SYN, 1):
            await listening.say(bytes([octet]))
            await until(lambda number=number: heard_so_far(served) in {number, 0})  # type: ignore[misc]
        assert await listening.hear(6) == b"[ack]\0"


def heard_so_far(served: Served) -> int:
    return sum(len(each._data) for each in served.sockets._alive)


async def test_what_a_listener_says_later_is_ignored() -> None:
    async with serving() as served:
        listening = await served.listener()
        await listening.say(b"SEND-\x00\x05T" + bytes(200_000))
        assert await served.ask(GET) == TEMPERATURE
        served.manager.received(EVENT)
        assert await listening.hear(len(EVENT)) == EVENT
        assert served.uart.sent == []


@pytest.mark.parametrize("leave", [Program.close, Program.half_close, Program.reset])
async def test_a_listener_that_goes_away_is_noticed_at_once_and_misses_nobody_else(
    leave: Callable[[Program], None],
) -> None:
    async with serving() as served:
        leaving, staying = await served.listener(), await served.listener()
        leave(leaving)
        await until(lambda: served.sockets.listeners == served.manager.listeners == 1)
        for _ in range(20):
            served.manager.received(EVENT)
        assert await staying.hear(20 * len(EVENT)) == 20 * EVENT
        assert served.notes[-1].endswith("does not listen any more")
        leaving.close()


async def test_messages_to_one_that_has_just_been_reset_are_lost_without_a_word(logged: Any) -> None:
    async with serving() as served:
        listening = await served.listener()
        listening.reset()
        for _ in range(20):
            served.manager.received(EVENT)
        await until(lambda: not served.sockets.listeners)


async def test_one_that_never_reads_harms_nobody_and_is_dropped(
    monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(socket_connection, "STALL_S", 0.3)
    message = b"\x00\x05E" + bytes(997)
    async with serving() as served:
        await served.listener(room=4096)
        reading = await served.listener()
        stuck, other = served.sockets._alive
        heard = asyncio.create_task(reading.hear(10_000 * len(message)))
        held = 0
        for _ in range(10_000):
            served.manager.received(message)
            held = max(held, stuck._transport.get_write_buffer_size())
            while other._transport.get_write_buffer_size() > WRITE_BUFFER // 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert await heard == 10_000 * message
        assert 0 < held <= WRITE_BUFFER
        await until(lambda: served.sockets.listeners == 1)
        assert served.sockets.counts["listeners_dropped"] == 1
        assert served.sockets.counts["messages_skipped"] > 0
        assert any("does not read" in note for note in served.notes)
        assert "mesh_listener_dropped" in [entry["event"] for entry in logged]


async def test_one_that_reads_slowly_is_kept_and_what_it_missed_is_counted(
    monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(socket_connection, "STALL_S", 0.3)
    message = b"\x00\x05E" + bytes(997)
    async with serving() as served:
        slow = await served.listener(room=4096)
        (connection,) = served.sockets._alive
        for _ in range(2):
            while not connection._skipped:
                served.manager.received(message)
            skipped = served.sockets.counts["messages_skipped"]
            while connection._transport.get_write_buffer_size():
                assert await slow.hear(1000)
            await until(lambda skipped=skipped: served.sockets.counts["messages_skipped"] > skipped)  # type: ignore[misc]
        assert served.sockets.listeners == 1
        assert "mesh_listener_is_slow" in [entry["event"] for entry in logged]
        assert served.sockets.counts["listeners_dropped"] == 0
        await until(lambda: connection._timer is None)


# Rude ones


async def test_one_that_says_nothing_is_told_so_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_connection, "SILENT_S", 0.1)
    async with serving() as served:
        await served.listener()
        silent = await served.program()
        assert reason(await silent.rest()) == "a request did not come within 0.1 s"
        for beginning in (b"[GET]\x00", b"[sy", b"N"):
            stopped = await served.program()
            await stopped.say(beginning)
            assert reason(await stopped.rest()) == "the rest of the request did not come within 0.1 s"


async def test_one_that_never_comes_to_an_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_connection, "REQUEST_S", 0.2)
    monkeypatch.setattr(socket_connection, "PIECES_QUIET_S", PATIENCE_S)
    async with serving() as served:
        await served.listener()
        endless = await served.program()
        ended = asyncio.create_task(endless.rest())
        while not ended.done():
            await endless.say(b"SEND-" if not heard_so_far(served) else b".")
            await asyncio.sleep(0.01)
        assert reason(await ended) == "the request was not there after 0.2 s"


async def test_a_message_whose_address_comes_late_is_waited_for() -> None:
    async with serving() as served:
        await served.listener()
        slow = await served.program()
        await slow.say(b"SEND-")
        await asyncio.sleep(2 * socket_connection.PIECES_QUIET_S)
        await slow.say(b"\x00\x05hello")
        assert await slow.rest() == b"S"
        assert served.uart.sent == [b"SEND-\x00\x05hello"]


async def test_a_request_of_a_megabyte_is_answered_with_the_reason() -> None:
    async with serving() as served:
        await served.listener()
        rude = await served.program()
        await rude.say(b"SEND-\x00\x05T" + bytes(1_000_000))
        assert reason(await rude.rest()) == f"a request has at most {READ_MAX} octets"
        assert reason(await served.ask(b"SEND-\x00\x05" + bytes(60_000))) == "Request Too Long"
        assert served.uart.sent == []


async def test_a_truncated_request_is_answered_with_the_reason() -> None:
    async with serving() as served:
        await served.listener()
        assert reason(await served.ask(b"[GET]\x00", half_close=True)) == "Node Address Or Data ID Missing"
        assert reason(await served.ask(b"SEND-\x00", half_close=True)) == "Node Address Missing"
        assert reason(await served.ask(b"x", half_close=True)) == "Command Too Short"


async def test_a_reset_in_mid_request_is_nobodys_trouble(logged: list[dict[str, Any]]) -> None:
    async with serving() as served:
        await served.listener()
        for beginning in (b"", b"[GE", b"SEND-\x00\x05T"):
            rude = await served.program()
            await rude.say(beginning)
            rude.reset()
        await until(lambda: len(served.sockets._alive) == 1)
        assert await served.ask(GET) == TEMPERATURE
        assert [entry for entry in logged if entry["log_level"] in {"warning", "error"}] == []


async def test_one_that_opens_and_closes_without_a_word_is_no_trouble_either() -> None:
    async with serving() as served:
        await served.listener()
        for leave in (Program.close, Program.half_close):
            quiet = await served.program()
            leave(quiet)
            await until(lambda: len(served.sockets._alive) == 1)


async def test_what_somebody_sent_who_has_gone_meanwhile_goes_its_way() -> None:
    async with serving() as served:
        await served.listener()
        served.uart.free.clear()
        gone = await served.program()
        await gone.say(b"SEND-\x00\x05Ton")
        await until(lambda: served.sockets.counts["requests"] == 1)
        gone.reset()
        await until(lambda: len(served.sockets._alive) == 1)
        served.uart.free.set()
        await until(lambda: served.uart.sent == [b"SEND-\x00\x05Ton"])


async def test_who_never_closes_is_ended_after_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_connection, "LINGER_S", 0.1)
    async with serving() as served:
        await served.listener()
        staying = await served.program()
        await staying.say(GET)
        assert await staying.rest() == TEMPERATURE
        await until(lambda: len(served.sockets._alive) == 1)


async def test_a_defect_of_ours_is_answered_and_logged(logged: list[dict[str, Any]]) -> None:
    class Broken:
        async def request(self, data: bytes, source: str, *, refusal: str | None = None) -> bytes:
            raise ZeroDivisionError

        def add_listener(self, callback: Callable[[bytes], None]) -> Callable[[], None]:
            return lambda: None

    async with serving(manager=Broken()) as served:
        await served.listener()
        assert reason(await served.ask(GET)) == "the request has failed; the log says why"
    assert "mesh_request_failed" in [entry["event"] for entry in logged]


async def test_there_is_an_answer_even_when_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_manager, "ANSWER_S", 0.1)
    async with serving() as served:
        await served.listener()
        served.uart.free.clear()
        assert reason(await served.ask(b"SEND-\x00\x05Ton")) == "no answer within 0.1 s"


async def test_of_a_hundred_at_once_half_of_them_rude_the_polite_ones_are_all_answered() -> None:
    async def rude(port: int, number: int) -> None:
        one = await program(port, room=4096)
        kind = number % 5
        if kind == 0:  # resets in mid-request
            await one.say(b"[GET]\x00")
            one.reset()
        elif kind == 1:  # says nothing
            assert (await one.end())[:1] == b"F"
        elif kind == 2:  # octet by octet, and never done
            for octet in b"SEND-\x00":
                await one.say(bytes([octet]))
                await asyncio.sleep(0.01)
            await one.end()
        elif kind == 3:  # far too much
            await one.say(bytes(1_000_000))
            await one.end()
        else:  # half-closes, and never reads
            await one.say(b"NINFO")
            one.half_close()
            await asyncio.sleep(1)
        one.close()

    async def polite(port: int, number: int) -> bytes:
        await asyncio.sleep(number / 500)
        if number % 2:
            return await ask(port, GET)
        return await ask(port, b"SEND-\x00\x05T" + bytes([number]), half_close=number % 4 == 0)

    async with serving() as served:
        listening = await served.listener()
        rudes = [asyncio.create_task(rude(served.port, number)) for number in range(50)]
        answers = await asyncio.gather(*(polite(served.port, number) for number in range(50)))
        served.manager.received(EVENT)
        assert await listening.hear(len(EVENT)) == EVENT
        assert answers == [TEMPERATURE if number % 2 else b"S" for number in range(50)]
        assert sorted(served.uart.sent) == [b"SEND-\x00\x05T" + bytes([number]) for number in range(0, 50, 2)]
        await asyncio.gather(*rudes)
        await until(lambda: len(served.sockets._alive) == 1)


# Limits


async def test_the_one_that_waits_longest_makes_room_for_the_next() -> None:
    async with serving(max_clients=3) as served:
        await served.listener()
        silent = [await served.program() for _ in range(3)]
        await until(lambda: len(served.sockets._alive) == 4)
        assert await served.ask(GET) == TEMPERATURE
        assert reason(await silent[0].rest()) == "more than 3 connections at once; see [mesh] max_clients"
        await silent[1].say(GET)
        assert await silent[1].rest() == TEMPERATURE


async def test_when_many_come_at_once_the_last_one_stays() -> None:
    async with serving(max_clients=1) as served:
        await served.listener()
        crowd = [await served.program() for _ in range(20)]
        await until(lambda: len(served.sockets._alive) == 2)
        await crowd[-1].say(GET)
        assert await crowd[-1].rest() == TEMPERATURE
        for each in crowd[:-1]:
            assert reason(await each.rest()) == "more than 1 connections at once; see [mesh] max_clients"


async def test_so_does_one_that_was_answered_and_stays() -> None:
    async with serving(max_clients=1) as served:
        await served.listener()
        staying = await served.program()
        await staying.say(GET)
        assert await staying.rest() == TEMPERATURE
        assert await served.ask(GET) == TEMPERATURE


async def test_while_all_are_worked_for_another_one_is_refused() -> None:
    async with serving(max_clients=2) as served:
        await served.listener()
        served.uart.free.clear()
        working = [asyncio.create_task(served.ask(b"SEND-\x00\x05T")) for _ in range(2)]
        await until(lambda: served.sockets.counts["requests"] == 2)
        another = await served.program()
        assert reason(await another.rest()) == "more than 2 connections at once; see [mesh] max_clients"
        served.uart.free.set()
        assert await asyncio.gather(*working) == [b"S", b"S"]


async def test_there_are_not_more_listeners_than_allowed() -> None:
    async with serving(max_clients=2) as served:
        first = await served.listener()
        await served.listener()
        assert (
            reason(await served.ask(SYN)) == "2 programs listen, more are not allowed; see [mesh] max_clients"
        )
        assert await served.ask(GET) == TEMPERATURE
        first.close()
        await until(lambda: served.sockets.listeners == 1)
        await served.listener()


# Access


@pytest.mark.usefixtures("elsewhere")
async def test_from_elsewhere_one_may_read_and_listen_and_no_more() -> None:
    async with serving() as served:
        await served.listener()
        assert await served.ask(GET) == TEMPERATURE
        assert await served.ask(b"ACT-C") == b"S\x02"
        refusal = "commands that change something are taken from this computer alone"
        for request in (
            b"SEND-\x00\x05Ton",
            b"SENDI\x00\x05T",
            b"BCAST\x00\x00T",
            b"CLEAN",
            b"RST-R",
            b"STATE",
        ):
            assert reason(await served.ask(request)) == refusal
        assert reason(await served.ask(b"WHAT?")) == "Unknown Command WHAT?"
        assert served.uart.sent == []


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("tokens", [(("reads-0001",),), ((), ("controls-0001",)), ((), (), ("climbs-0001",))])
async def test_where_there_are_tokens_nothing_is_told_to_other_computers(tokens: Any) -> None:
    async with serving(Access(*tokens)) as served:
        refusal = "TCP carries no token, and without one this computer alone may connect ([access])"
        for request in (SYN, SYN_FRAMED, GET, b"RST-R"):
            assert reason(await served.ask(request)) == refusal
        assert served.sockets.listeners == 0


async def test_where_there_are_tokens_this_computer_needs_none() -> None:
    async with serving(Access(("reads-0001",), ("controls-0001",))) as served:
        await served.listener()
        assert await served.ask(b"SEND-\x00\x05Ton") == b"S"


# Ports


async def test_it_listens_on_both_ports_and_tells_which_they_are(logged: list[dict[str, Any]]) -> None:
    async with serving(tcp_ports=(0, 0)) as served:
        first, second = served.sockets.ports
        assert first != second
        assert {"ports": [first, second], "host": "127.0.0.1"}.items() <= logged[0].items()
        assert logged[0]["event"] == "mesh_listening"
        await served.listener()
        assert await ask(second, GET) == TEMPERATURE


async def test_localhost_is_listened_on(logged: list[dict[str, Any]]) -> None:
    async with serving(host="localhost") as served:
        await served.listener()
        assert await served.ask(GET) == TEMPERATURE


async def test_a_port_that_is_in_use_is_explained_and_nothing_stays_open() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"port {port} on 127.0.0.1 is in use; is another listener"):
            async with serving(tcp_ports=(port,)):
                pass
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            first = free.getsockname()[1]
        with pytest.raises(PortUnavailable):
            async with serving(tcp_ports=(first, port)):
                pass
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", first)) == errno.ECONNREFUSED


@pytest.mark.parametrize(
    ("key", "value"), [("LES02_MESH__TCP_PORTS", "[0, {}]"), ("LES02_MESH__WEBSOCKET_PORT", "{}")]
)
def test_for_the_daemon_a_used_port_is_one_line_and_exit_1(tmp_path: Path, key: str, value: str) -> None:
    free = {"LES02_MESH__TCP_PORTS": "[0]", "LES02_MESH__WEBSOCKET_PORT": "0", "LES02_MESH__SCAN": "[]"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {**free, "LES02_MESH__ENABLED": "true", "LES02_MESH__HOST": "127.0.0.1"}
        ended = leslisten(*QUIET, cwd=tmp_path, **{**settings, key: value.format(port)})
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith(f"leslisten: port {port} on 127.0.0.1 is in use; ")


async def test_a_peer_that_vanishes_is_noticed_by_its_kernel() -> None:
    async with serving() as served:
        await served.listener()
        (connection,) = served.sockets._alive
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10


# The end


async def test_at_the_end_everybody_is_told_and_nobody_is_waited_for() -> None:
    async with serving() as served:
        listening, _stuck = await served.listener(), await served.listener(room=4096)
        silent = await served.program()
        served.uart.free.clear()
        working = asyncio.create_task(served.ask(b"SEND-\x00\x05T"))
        await until(lambda: served.sockets.counts["requests"] == 1)
        for _ in range(400):
            served.manager.received(b"\x00\x05E" + bytes(997))
        reading = asyncio.create_task(listening.end())
        began = time.monotonic()
        await served.sockets.stop()
        assert time.monotonic() - began < 3 * socket_manager.CLOSE_S
        assert reason(await working) == "the listener is stopping"
        assert await silent.end() == b""
        assert len(await reading) > 0
        assert served.manager.listeners == 0
        assert await refused(served.port)


async def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


async def test_the_port_can_be_listened_on_again_at_once() -> None:
    async with serving() as served:
        port = served.port
        await served.listener()
    async with serving(tcp_ports=(port,)) as again:
        await again.listener()
        assert await again.ask(GET) == TEMPERATURE
