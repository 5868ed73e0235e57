"""What docs/mesh.md says: every octet in it is run, and what it names is there."""

import asyncio
import contextlib
import json
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from fastapi.routing import APIRoute
from websockets.asyncio.client import connect

from listener import events, node_events
from listener.access import Access
from listener.config import MeshConfig, WebsocketConfig
from listener.database import Database
from listener.events import EventEnvelope
from listener.hub import Hub
from listener.mesh import (
    data_types,
    message_opcodes,
    news,
    outcomes,
    registry,
    requests,
    socket_connection,
    store,
    uart_finding,
    uart_manager,
)
from listener.mesh.client import AsyncMeshClient, MeshClient
from listener.mesh.messages import (
    Ack,
    Forward,
    LogText,
    NetInfo,
    NodeData,
    NodeInfo,
    RootReset,
    UartMessage,
    parse_uart,
)
from listener.mesh.routes import PAYLOAD_MAX, router
from listener.mesh.uart_codec import MAX_FRAME, Decoder, encode
from listener.mesh.wing import Mesh, mesh
from mock.pseudo_port import PseudoPort

PATIENCE_S = 15.0
TEXT = (Path(__file__).parents[1] / "docs" / "mesh.md").read_text()
WORDS = re.compile(r"'([^']*)'|([0-9A-F]{2})(?![^ ])")


def octets(told: str) -> bytes:
    """Of `00 05 'D'`; nothing may be left over."""
    assert WORDS.sub("", told).strip() == "", told
    return b"".join(text.encode("ascii") or bytes.fromhex(pair) for text, pair in WORDS.findall(told))


def section(title: str) -> str:
    _, found, rest = TEXT.partition(f"\n{title}\n")
    assert found, title
    return re.split(r"\n##+ ", rest)[0]


def rows(title: str, head: str) -> list[list[str]]:
    """Of the table that begins so; code marks removed."""
    _, found, rest = section(title).partition(f"{head}\n|---")
    assert found, head
    lines = rest.splitlines()[1:]
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def in_code(cell: str) -> str:
    return cell.strip("`")


@pytest.mark.parametrize(("payload", "line"), rows("## Framing on the UART", "| payload | on the line |"))
def test_a_payload_is_on_the_line_as_is_shown(payload: str, line: str) -> None:
    frame = octets(in_code(line))
    assert encode(octets(in_code(payload))) == frame
    for pieces in ([frame], [bytes((octet,)) for octet in frame], [b"\x07", frame, b"\x07"]):
        decoder = Decoder()
        assert [found for piece in pieces for found in decoder.feed(piece)] == [octets(in_code(payload))]


MALFORMED = rows("## Framing on the UART", "| on the line | counted as | |")


def test_what_is_malformed_is_counted_as_is_said() -> None:
    for line, counted, _ in MALFORMED:
        if line:
            decoder = Decoder()
            assert decoder.feed(octets(in_code(line))) == []
            number, kind = counted.split(" × ")
            assert {kind: count for kind, count in decoder.counts.items() if count} == {
                in_code(kind): int(number)
            }
    assert [in_code(counted.rpartition(" ")[2]) for _, counted, _ in MALFORMED] == [
        "noise_bytes",
        "restarted",
        "empty",
        "dangling_escape",
        "bad_escape",
        "too_long",
    ]
    assert {in_code(counted.rpartition(" ")[2]) for _, counted, _ in MALFORMED} == set(Decoder().counts)
    assert f"more than {MAX_FRAME} octets" in MALFORMED[-1][2]


def in_words(message: UartMessage) -> str:
    match message:
        case NodeData(addr, values, problem):
            told = ", ".join(f"{kind.name} {kind.value(data)} {kind.unit}".strip() for kind, data in values)
            return f"data of node {addr}: {told}" + (f" ({problem})" if problem else "")
        case NetInfo(nodes):
            return f"the nodes: {', '.join(str(addr) for addr, _ in nodes)}"
        case NodeInfo(addr):
            return f"node {addr} has joined"
        case RootReset(_, text):
            return f"the root has started: {text.strip()}"
        case Ack(addr, delivered, attempts):
            return f"to node {addr}: {'' if delivered else 'not '}delivered, {attempts} attempts"
        case Forward(addr, opcode, body):
            return f"to the programs, from {addr}: opcode {opcode:02x}, body {body.hex(' ')}"
        case LogText(text):
            return f"a log line: {text}"


@pytest.mark.parametrize(("payload", "is_"), rows("## What the module says", "| payload | is |"))
def test_a_message_is_what_is_said(payload: str, is_: str) -> None:
    message = parse_uart(octets(in_code(payload)), message_opcodes.DEFAULT, data_types.DEFAULT)
    assert in_words(message) == is_


def test_every_opcode_of_the_table_is_there() -> None:
    told = "".join(
        row[0] for row in rows("## What the module says", "| opcode | from | body | what becomes of it |")
    )
    for opcode in message_opcodes.DEFAULT.by_code.values():
        assert f"`{opcode.told.removeprefix('0x')}` {opcode.name.replace('_', ' ')}" in told


def test_every_request_is_there() -> None:
    told = "".join(row[0] for row in rows("## Programs: TCP 5002", "| request | | response |"))
    assert set(re.findall(r"`'(.{5})'`", told)) == set(requests.COMMANDS)


@pytest.mark.parametrize(
    "phrase",
    [
        f"It may have {requests.REQUEST_MAX} octets",
        f"the first {requests.COUNT_MAX} nodes",
        f"`'{requests.NO_LISTENER.decode()}'`",
        f"ends with the client's half-close, or with {1000 * socket_connection.QUIET_S:g} ms of quiet"
        f" ({1000 * socket_connection.PIECES_QUIET_S:g} ms if it comes in pieces)",
        f"Who says nothing for {socket_connection.SILENT_S:g} s",
        f"when {socket_connection.WRITE_BUFFER // 1024} KiB wait for it",
        f"when it takes nothing for {socket_connection.STALL_S:g} s",
        f"At most {uart_manager.WAITING_MAX} wait",
        f"after {outcomes.ACK_S:g} s without one nobody knows",
        f"after {uart_manager.Timing().ask_s:g} s of silence",
        f"tried again after {uart_manager.Timing().first_s:g} s",
        f"answers it within {uart_finding.ANSWER_S:g} s",
        f"At most {registry.NODES_MAX} nodes",
        f"the last so many, up to {store.ROWS_MAX:,};",
        f"lines, up to {news.LINES_MAX}",
        f"up to {PAYLOAD_MAX} octets",
        uart_manager.NO_CONNECTION,
        uart_manager.TOO_MANY,
        uart_manager.TIMED_OUT,
    ],
)
def test_what_is_said_in_passing_is_so(phrase: str) -> None:
    assert phrase in " ".join(TEXT.split())


class Module:
    """The root module's end of the UART."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.port = PseudoPort(None, self._receive)
        self._decoder = Decoder()

    def _receive(self, data: bytes) -> None:
        for payload in self._decoder.feed(data):
            self.heard.put_nowait(payload)

    def say(self, payload: bytes) -> None:
        frame = encode(payload)
        assert self.port.write(frame) == len(frame)


class Bench:
    """The mesh in this process, with its module, on free ports."""

    def __init__(self, wing: Mesh, module: Module) -> None:
        self.wing = wing
        self.module = module
        self.published: list[EventEnvelope] = []
        self.lines_up: asyncio.Queue[EventEnvelope] = asyncio.Queue()

    def publish(self, event: EventEnvelope) -> None:
        self.published.append(event)
        if event.type == "traffic" and event.payload["direction"] == "up":
            self.lines_up.put_nowait(event)


@contextlib.asynccontextmanager
async def bench(path: Path) -> AsyncIterator[Bench]:
    module = Module()
    hub = Hub()
    config = MeshConfig(enabled=True, device=module.port.path, tcp_ports=(0,), websocket_port=0)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(module.port.unplug)
        database = Database(path / "mesh.sqlite")
        database.start()
        stack.push_async_callback(database.stop, PATIENCE_S)
        door = mesh(config, database=database, hub=hub, access=Access(), limits=WebsocketConfig())
        found = Bench(await stack.enter_async_context(door), module)
        hub.subscribe(found.publish)
        running = asyncio.create_task(found.wing.run(), name="mesh")
        try:
            yield found
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


(CONVERSATION,) = re.findall(r"```conversation\n(.*?)```", TEXT, re.DOTALL)


async def test_the_conversation_goes_as_is_shown(tmp_path: Path) -> None:
    async with bench(tmp_path) as found, asyncio.timeout(4 * PATIENCE_S):
        port = found.wing.sockets.ports[0]
        connections: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        for line in CONVERSATION.splitlines():
            who, arrow, rest = line.split(" ", 2)
            wanted = octets(rest.partition("   ")[0])
            match who, arrow:
                case "M", "→":
                    found.module.say(wanted)
                    await found.lines_up.get()  # understood before the next one asks
                case "M", "←":
                    assert await found.module.heard.get() == wanted, line
                case who, "→":
                    connections[who] = await asyncio.open_connection("127.0.0.1", port)
                    connections[who][1].write(wanted)
                case "L", "←":
                    assert await connections["L"][0].readexactly(len(wanted)) == wanted, line
                case "P", "←":
                    assert await connections["P"][0].read() == wanted, line
                    connections["P"][1].close()
                case _:
                    raise AssertionError(line)
        assert found.module.heard.empty()
        for _, writer in connections.values():
            writer.close()


async def test_the_program_in_python_does_what_it_looks_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    async with bench(tmp_path) as found, asyncio.timeout(2 * PATIENCE_S):
        port = found.wing.sockets.ports[0]
        there = program.replace("MeshClient() as", f'MeshClient("127.0.0.1", {port}) as')
        assert there != program
        assert await found.module.heard.get() == b"NINFO"
        found.module.say(octets("00 05 'D' 02 00 07 02 09 23"))
        await found.lines_up.get()
        running = asyncio.create_task(asyncio.to_thread(exec, compile(there, "docs/mesh.md", "exec"), {}))
        assert await found.module.heard.get() == octets("'SENDI' 00 05 'Ehello'")
        found.module.say(octets("00 05 'Ehello'"))
        await running
    told = capsys.readouterr().out
    assert "node 5: 23.39 °C\n" in told
    assert "node 5 says hello\n" in told


def test_every_call_of_the_client_is_there() -> None:
    told = "".join(row[0] for row in rows("### From Python", "| call | |"))
    calls = [name for name in vars(MeshClient) if not name.startswith("_")]
    assert [name for name in calls if not re.search(rf"`{name}\b", told)] == []
    functions = [name for name in calls if callable(getattr(MeshClient, name))]
    assert [name for name in functions if not hasattr(AsyncMeshClient, name)] == []


async def test_a_monitoring_page_and_the_events_are_told_as_is_shown(tmp_path: Path) -> None:
    shown = [
        json.loads(line)
        for line in section("## Monitoring pages: WebSocket 7654").splitlines()
        if line[:1] == "{"
    ]
    connection, network, traffic = shown
    async with bench(tmp_path) as found, asyncio.timeout(2 * PATIENCE_S):
        assert await found.module.heard.get() == b"NINFO"
        reader, writer = await asyncio.open_connection("127.0.0.1", found.wing.sockets.ports[0])
        writer.write(requests.SYN)
        assert await reader.readexactly(6) == requests.SYN_ACK
        url = f"ws://127.0.0.1:{found.wing.monitor.port}/"
        async with connect(url, proxy=None) as page:
            assert json.loads(await page.recv()) == connection
            assert json.loads(await page.recv()) == network | {"nodes": []}
            found.module.say(octets("00 05 'D' 02 00 07 02 09 23"))
            told = []
            while network not in told or traffic not in told:
                told.append(json.loads(await page.recv()))
        writer.close()
    (event,) = [json.loads(events.encode(event)) for event in found.published if event.type == "node_data"]
    (example,) = re.findall(r"```json\n(.*?)\n```", section("## Events on 8765"))
    assert {**event, "ts": 0} == {**json.loads(example), "ts": 0}


def test_the_payloads_of_the_events_are_there() -> None:
    told = {in_code(row[0]): row[1] for row in rows("## Events on 8765", "| type | payload |")}
    for event in (
        node_events.node_connected(0.0, 5, "", again=False),
        node_events.node_status(0.0, 5, "idle", ""),
        node_events.node_data(0.0, 5, {}),
        node_events.traffic(0.0, "up", 5, "", ""),
        events.status(0.0, "uart", "connected", "mesh", device="", why=""),
    ):
        assert all(f"`{key}`" in told[event.type] for key in event.payload), event.type


async def test_every_call_over_http_is_there(tmp_path: Path) -> None:
    told = [
        (cell.split()[0].strip("`"), path)
        for cell, _ in rows("## HTTP", "| call | |")
        for path in re.findall(r"(/mesh[^`]*)`", cell)
    ]
    async with bench(tmp_path) as found:
        routes = [route for route in router(found.wing).routes if isinstance(route, APIRoute)]
        assert sorted(told) == sorted(("".join(route.methods or ()), route.path) for route in routes)


def test_the_data_types_without_a_file_are_there() -> None:
    head = "| name | ID | length | kind | scale | unit |"
    assert rows("## Data types", head) == [
        [
            one.name,
            str(one.id),
            str(one.length),
            one.kind,
            "" if one.scale == 1 else f"{one.scale:g}",
            one.unit,
        ]
        for one in data_types.DEFAULT.by_id.values()
    ]


def test_the_files_are_read() -> None:
    (types,) = re.findall(r"```json\n(.*?)```", section("## Data types"), re.DOTALL)
    found = data_types.parse(types)
    assert found.by_name["Oil temperature"].value(b"\x09\x23") == 23.39
    assert found.by_name["Serial number"].value(b"A17".ljust(12, b"\0")) == "A17"
    assert "Temperature" not in found.by_name
    (opcodes,) = re.findall(r"```json\n(.*?)```", section("## Opcodes"), re.DOTALL)
    assert {name: one.code for name, one in message_opcodes.parse(opcodes).by_name.items()}.items() >= {
        ("Alarm", 0x50),
        ("Heating", 0x51),
        ("Light", 0x60),
    }


def test_every_key_of_the_configuration_is_there_with_its_default() -> None:
    told: dict[str, object] = {}
    for keys, defaults, _ in rows("## Configuration", "| key | default | |"):
        names = re.findall(r"`(.*?)`", keys)
        values = re.findall(r"`(.*?)`", defaults)
        for number, name in enumerate(names):
            told[name] = tomllib.loads(f"x = {values[min(number, len(values) - 1)]}")["x"]
    assert msgspec.convert(told, MeshConfig) == MeshConfig()
    assert list(told) == [field.name for field in msgspec.structs.fields(MeshConfig)]
