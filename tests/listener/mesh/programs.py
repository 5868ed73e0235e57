"""The TCP side of the wing in this process, with a UART that takes what it is given; and programs, polite
and rude, that come to it."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

from listener.access import Access
from listener.config import MeshConfig
from listener.mesh import message_opcodes
from listener.mesh.data_types import DEFAULT
from listener.mesh.network_manager import NetworkManager
from listener.mesh.priority import Priority
from listener.mesh.registry import Registry
from listener.mesh.requests import SYN, SYN_ACK
from listener.mesh.socket_manager import Manager, SocketManager

PATIENCE_S = 15.0
UUID = bytes(range(16))


class Uart:
    """Takes everything at once, unless told not to."""

    def __init__(self) -> None:
        self.state = "connected"
        self.device = "/dev/ttyUSB7"
        self.sent: list[bytes] = []
        self.refusal = ""
        self.free = asyncio.Event()
        self.free.set()

    async def send(self, payload: bytes, priority: Priority) -> str:
        await self.free.wait()
        if not self.refusal:
            self.sent.append(payload)
        return self.refusal


class NoRecord:
    def record_node(self, addr: int, uuid: bytes, last_seen: float | None) -> None:
        pass

    def record(self, addr: int, type_name: str, ts: float, data: bytes) -> None:
        pass

    def drop(self, addr: int) -> None:
        pass


def manager_with(uart: Uart) -> NetworkManager:
    """With node 5, which has told its temperature (23.39 °C), and node 6, which has not."""
    registry = Registry()
    manager = NetworkManager(
        registry, DEFAULT, message_opcodes.DEFAULT, publish=lambda _: None, record=NoRecord()
    )
    manager.attach(uart)
    manager.received(b"\x00\x05\x02" + UUID)
    manager.received(b"\x00\x06\x02" + UUID)
    manager.received(b"\x00\x05D\x01\x02\x09\x23")
    return manager


class Served:
    def __init__(self, sockets: SocketManager, manager: NetworkManager, uart: Uart, notes: list[str]) -> None:
        self.sockets = sockets
        self.manager = manager
        self.uart = uart
        self.notes = notes
        self._programs: list[Program] = []

    @property
    def port(self) -> int:
        return self.sockets.ports[0]

    async def program(self, **settings: Any) -> "Program":
        found = await program(self.port, **settings)
        self._programs.append(found)
        return found

    def close(self) -> None:
        for each in self._programs:
            each.close()

    async def ask(self, request: bytes, *, half_close: bool = False) -> bytes:
        """As a polite program does; everything up to the end of the connection."""
        return await ask(self.port, request, half_close=half_close)

    async def listener(self, greeting: bytes = SYN, **settings: Any) -> "Program":
        listening = await self.program(**settings)
        await listening.say(greeting)
        assert await listening.hear(len(SYN_ACK)) == b"[ack]" + greeting[-1:]
        return listening


@contextlib.asynccontextmanager
async def serving(
    access: Access | None = None, manager: Manager | None = None, **settings: Any
) -> AsyncIterator[Served]:
    uart = Uart()
    ours = manager_with(uart)
    notes: list[str] = []
    config = MeshConfig(**{"host": "127.0.0.1", "tcp_ports": (0,), **settings})
    sockets = SocketManager(config, manager or ours, access, notes.append)
    await sockets.start()
    served = Served(sockets, ours, uart, notes)
    try:
        yield served
    finally:
        served.close()
        async with asyncio.timeout(PATIENCE_S):
            await sockets.stop()
        ours.close()


class Program:
    """On a bare socket, which reads when it is told to and not before."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._loop = asyncio.get_running_loop()

    async def say(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._loop.sock_sendall(self.socket, data)

    async def hear(self, length: int) -> bytes:
        """So many octets; fewer when the connection ends before."""
        heard = b""
        async with asyncio.timeout(PATIENCE_S):
            while len(heard) < length:
                piece = await self._loop.sock_recv(self.socket, min(65536, length - len(heard)))
                if not piece:
                    break
                heard += piece
        return heard

    async def rest(self) -> bytes:
        """Up to the end of the connection."""
        pieces = []
        async with asyncio.timeout(PATIENCE_S):
            while piece := await self._loop.sock_recv(self.socket, 65536):
                pieces.append(piece)
        return b"".join(pieces)

    async def end(self) -> bytes:
        """The rest, however the connection ends."""
        with contextlib.suppress(ConnectionError):
            return await self.rest()
        return b""

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Ends it as a program does that is killed with something unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


async def program(port: int, *, room: int | None = None) -> Program:
    """`room`: octets that its kernel takes for it."""
    sock = socket.socket()
    sock.setblocking(False)
    if room is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return Program(sock)


async def ask(port: int, request: bytes, *, half_close: bool = False) -> bytes:
    asking = await program(port)
    try:
        await asking.say(request)
        if half_close:
            asking.half_close()
        return await asking.rest()
    finally:
        asking.close()


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
