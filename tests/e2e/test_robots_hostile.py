"""Robots and dashboards that say whatever they like: nobody else may notice."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.helpers import PATIENCE_S, Daemon, until
from tests.e2e.robots import Listening, serving, telemetry_url

NONSENSE: list[str | bytes] = [
    '{"type":"robot_move","x":1e999,"y":0}',
    '{"type":"telemetry","battery":1e999}',
    '{"type":"robot_move","x":NaN,"y":NaN}',
    "[" * 4000,
    '{"a":' * 4000,
    '{"type":"take_robot","id":' + "9" * 3000 + "}",
    bytes(range(256)),
    "",
    "null",
    '{"type":"' + "x" * 3000 + '"}',
    '{"type":"robot_move","x":0.1,"y":0.1,"device_id":"../../etc/passwd"}',
    '{"type":"robot_move","x":0.1,"y":0.1,"device_id":"🤖"}',
    '{"type":"telemetry","battery":50,"device_name":"\\ud800"}',
    '{"type":"status","status":"' + "s" * 65 + '"}',
    '{"type":"command_result","id":-1,"status":"executed"}',
]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Daemon]:
    with serving(tmp_path) as started:
        yield started


@pytest.fixture(autouse=True)
async def quick_loop() -> None:
    """Asyncio's debug mode costs more than what is measured here."""
    asyncio.get_running_loop().set_debug(False)


async def test_hostile_inputs_leave_every_other_session_untouched(running: Daemon) -> None:
    url = telemetry_url(running)
    for_api = telemetry_url(running, api=True)
    async with contextlib.AsyncExitStack() as stack:

        async def come(address: str) -> Listening:
            return Listening(await stack.enter_async_context(connect(address, proxy=None, close_timeout=1)))

        robot = await come(f"{url}?device_id=good")
        websites = [await come(url), await come(for_api)]
        sent: dict[float, float] = {}
        stop = asyncio.Event()

        async def report() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                sent[number] = time.monotonic()
                await robot.say("telemetry", temperature=number / 100)
                await asyncio.sleep(0.02)

        reporting = asyncio.create_task(report(), name="a good robot")
        for address in (url, for_api):
            for query in ("", "?device_id=bad"):
                await _talk_nonsense(await come(address + query))
                await _megabyte(await come(address + query))
                await _no_utf_8(await come(address + query))
                await _flood(await come(address + query))
            for query in ("?device_id=a/b", "?device_id=%F0%9F%A4%96", "?device_id=", "?device_id=%00"):
                refused = await come(address + query)
                await refused.connection.wait_closed()
                assert refused.connection.close_code == 1008
        many = [await come(f"{url}?device_id=bad_{number}") for number in range(300)]
        await until(lambda: sum(each.connection.close_code == 1013 for each in many) >= 44)
        stop.set()
        await reporting
        last = max(sent) / 100
        for website in websites:
            await website.hear(type="telemetry_update", temperature=last)
            heard = [
                (at, round(100 * m["temperature"]))
                for at, m in website.messages
                if m.get("type") == "telemetry_update" and m["device_id"] == "good"
            ]
            assert [number for _, number in heard] == list(sent)
            late = sorted(at - sent[number] for at, number in heard)
            p50, p99 = (1000 * late[int(share * len(late))] for share in (0.5, 0.99))
            print(
                f"{len(late)} telemetry, p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {1000 * late[-1]:.1f} ms"
            )
        await websites[0].say("set_speed", value=33, device_id="good")
        await robot.hear(type="set_speed", value=33)
    assert not [each for each in running.records() if each["level"] in {"error", "critical"}]


async def _talk_nonsense(client: Listening) -> None:
    """Each gets an answer, and the session goes on."""
    for text in NONSENSE:
        before = _answers(client)
        await client.connection.send(text)
        await until(lambda: _answers(client) > before)  # noqa: B023
    assert client.connection.close_code is None


def _answers(client: Listening) -> int:
    return sum("error" in m or m.get("status") == "rejected" for _, m in client.messages)


async def _megabyte(client: Listening) -> None:
    with contextlib.suppress(ConnectionClosed):
        await client.connection.send("x" * 1_000_000)
    await client.connection.wait_closed()
    # Who is still sending may lose the reason.
    assert client.connection.close_code in {1009, 1006}


async def _no_utf_8(client: Listening) -> None:
    await client.connection.send(b'{"type":"\xff\xfe"}', text=True)
    await client.connection.wait_closed()
    assert client.connection.close_code == 1007


async def _flood(client: Listening) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not any("too many" in str(m.get("error")) for _, m in client.messages):
            for _ in range(500):
                await client.connection.send('{"type":"fly"}')
            await asyncio.sleep(0.1)
    with contextlib.suppress(ConnectionClosed):
        for _ in range(10_000):
            await client.connection.send('{"type":"fly"}')
    async with asyncio.timeout(PATIENCE_S):
        await client.connection.wait_closed()
