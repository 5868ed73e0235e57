"""What is made of packets, and of servers that a daemon never is; a real one is in test_client."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from listener.arrays.calls import ArraysError, Server
from listener.arrays.live import LiveClient, Recording

Script = Callable[[ServerConnection], Awaitable[None]]
POINTS = '{"type":"data","timestamp":1.5,"shape":[2],"dtype":"float64","x":[1,"NaN"],"y":[-1,"-Infinity"]}'


async def heard(script: Script, count: int = 1, refusing: int = 0, **wanted: Any) -> list[dict[str, Any]]:
    """So many packets of a server that plays this to everyone; the first `refusing` it is too busy for."""
    left = refusing

    async def refuse(connection: ServerConnection, _request: Request) -> Response | None:
        nonlocal left
        left -= 1
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too busy\n") if left >= 0 else None

    packets: list[dict[str, Any]] = []
    async with serve(script, "127.0.0.1", 0, process_request=refuse) as server:
        (place,) = server.sockets
        client = LiveClient(Server(f"127.0.0.1:{place.getsockname()[1]}"), **wanted)
        async with asyncio.timeout(20):
            async for data in client.packets():
                packets.append(data)
                if len(packets) == count:
                    client.close()
    return packets


async def test_words_for_what_json_has_no_number_for_are_numbers() -> None:
    async def script(connection: ServerConnection) -> None:
        assert json.loads(await connection.recv()) == {"action": "start"}
        await connection.send(POINTS)
        await connection.wait_closed()

    (data,) = await heard(script)
    assert np.array_equal(data["x"], [1, np.nan], equal_nan=True)
    assert data["y"].tolist() == [-1, -np.inf]


async def test_one_who_is_too_busy_is_asked_again() -> None:
    lines: list[str] = []

    async def script(connection: ServerConnection) -> None:
        await connection.send(POINTS)
        await connection.wait_closed()

    assert len(await heard(script, refusing=2, tell=lines.append)) == 1
    assert [line.rpartition(": ")[2] for line in lines[:2]] == ["too busy", "too busy"]
    assert lines[2].startswith("connected to http://127.0.0.1:")
    assert len(lines) == 3  # that we went ourselves is no news


async def test_a_connection_that_is_closed_is_made_again() -> None:
    lines: list[str] = []

    async def script(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(POINTS)
        await connection.close(1001, "going away")

    assert len(await heard(script, 3, tell=lines.append)) == 3
    assert next(line for line in lines if "1001" in line) == "disconnected: 1001 going away"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("nonsense", "what this client does not understand"),
        ("[1]", "what this client does not understand: no object"),
        (b"\x00\xff", "what this client does not understand: this is no packet of numbers"),
        ('{"type":"data","x":[1]}', "what this client does not understand"),
        ('{"type":"data","x":[1],"y":["one"]}', "what this client does not understand"),
        ('{"type":"error","message":"not today"}', "not today"),
        ('{"type":"status","streaming":false,"source":"a","reason":"it broke"}', "it broke"),
    ],
)
async def test_what_another_attempt_would_not_change_ends_it(said: str | bytes, reason: str) -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send(said)
        await connection.wait_closed()

    with pytest.raises(ArraysError, match=reason):
        await heard(script)


async def test_who_is_not_let_in_is_told_why() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.close(1008, "a token is needed")

    with pytest.raises(ArraysError, match="a token is needed"):
        await heard(script)


async def test_what_is_no_packet_is_passed_on() -> None:
    told: list[dict[str, Any]] = []
    statuses = (
        {"type": "status", "streaming": True, "source": "a", "unit": "bar"},
        {"type": "gap", "skipped": 3},
    )

    async def script(connection: ServerConnection) -> None:
        for message in statuses:
            await connection.send(json.dumps(message))
        await connection.send(POINTS)
        await connection.wait_closed()

    (data,) = await heard(script, on_status=told.append)
    assert told == list(statuses)
    assert (data["source"], data["unit"]) == ("a", "bar")


def packet(last: int, points: int, new: int | None, total: int | None) -> dict[str, Any]:
    x = np.arange(last - points + 1, last + 1, dtype=np.float64)
    told = {"new": new, "total": total}
    return {"x": x, "y": -x, **{name: value for name, value in told.items() if value is not None}}


def test_points_of_packets_that_overlap_are_there_once() -> None:
    recording = Recording()
    for last, new in ((4, 2), (7, 3), (8, 1)):
        recording.add(packet(last, 5, new, last + 100))
    x, y = recording.arrays()
    assert x.tolist() == [3, 4, 5, 6, 7, 8]
    assert (y == -x).all()
    assert (recording.points, recording.lost) == (6, 0)


def test_what_a_skipped_packet_had_is_taken_from_the_next_one_as_far_as_it_is_there() -> None:
    recording = Recording()
    recording.add(packet(4, 5, 5, 5))
    recording.add(packet(8, 5, 2, 9))  # the one before it, with two more, was skipped
    recording.add(packet(20, 5, 2, 21))
    assert recording.arrays()[0].tolist() == [*range(9), 16, 17, 18, 19, 20]
    assert recording.lost == 7


def test_a_stream_that_begins_anew_goes_on() -> None:
    recording = Recording()
    recording.add(packet(100, 3, 3, 1000))
    recording.add(packet(110, 3, 2, 2))
    assert recording.arrays()[0].tolist() == [98, 99, 100, 109, 110]


def test_what_says_nothing_of_overlapping_is_all_new() -> None:
    recording = Recording()
    recording.add(packet(2, 3, None, None))
    recording.add(packet(2, 3, None, None))
    assert recording.points == 6


def test_nothing_is_two_empty_arrays() -> None:
    assert [each.shape for each in Recording().arrays()] == [(0,), (0,)]
