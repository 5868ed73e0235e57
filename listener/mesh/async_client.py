"""The wireless mesh from Python, with coroutines (see `client`)."""

import asyncio
import contextlib
import inspect
import logging
import random
import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from listener.mesh import calls, requests
from listener.mesh.calls import MeshError, Message, NobodyListens, OpcodeLike, Reading
from listener.mesh.data_types import DEFAULT, DataTypes
from listener.mesh.listening import ANSWERS, SYN_FRAMED, Unframer

HOST: Final = "127.0.0.1"
PORT: Final = 5002
TIMEOUT_S: Final = 12.0  # the server answers within ten
OPEN_S: Final = 5.0
BACK_OFF_FIRST_S: Final = 0.2
BACK_OFF_LIMIT_S: Final = 5.0
RESPONSE_MAX: Final = 4_194_304
PIECE: Final = 65_536

_log = logging.getLogger(__name__)

Handler = Callable[[Message], Any]
H = TypeVar("H", bound=Handler)


class AsyncMeshClient:
    def __init__(
        self,
        host: str = HOST,
        port: int = PORT,
        *,
        types: DataTypes = DEFAULT,
        timeout_s: float = TIMEOUT_S,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`types` are those of the project; `tell` gets a sentence for each connection made and lost."""
        self.address = f"{host}:{port}"
        self._where = host, port
        self._types = types
        self._timeout_s = timeout_s
        self._tell = tell
        self._handlers: dict[int | None, list[Handler]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends listening."""
        self._is_closed = True
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
            self._listening = None
        self._connected.clear()

    # Listening

    def on(self, opcode: OpcodeLike | None = None) -> Callable[[H], H]:
        """For a function or a coroutine function that gets each `Message` with this opcode, or every one.

        One that takes long holds up the next message.
        """
        key = None if opcode is None else calls.opcode(opcode)

        def add(handler: H) -> H:
            self._handlers.setdefault(key, []).append(handler)
            return handler

        return add

    async def listen(self, wait_s: float = OPEN_S) -> bool:
        """From now on, over every reconnection, until the client is closed. Whether it is connected now."""
        if self._is_closed:
            raise MeshError("the client is closed")
        if self._listening is None:
            self._listening = asyncio.create_task(self._keep_listening(), name="listen to the mesh")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), wait_s)
        return self._connected.is_set()

    @property
    def is_listening(self) -> bool:
        return self._connected.is_set()

    async def _keep_listening(self) -> None:
        delay_s = BACK_OFF_FIRST_S
        while True:
            try:
                # Servers of the field know the second alone; after the first they hang up.
                if not await self._hear(SYN_FRAMED) and not await self._hear(requests.SYN):
                    self._tell(f"{self.address} is no mesh server")
            except MeshError as exc:
                self._tell(f"{self.address} refuses: {exc}")
            except (OSError, TimeoutError, EOFError) as exc:
                reason = str(exc) or type(exc).__name__
                lost = "lost" if self._connected.is_set() else "cannot be reached"
                self._tell(f"{self.address} {lost}: {reason}")
            if self._connected.is_set():
                self._connected.clear()
                delay_s = BACK_OFF_FIRST_S
            await asyncio.sleep(delay_s * random.uniform(0.8, 1.2))
            delay_s = min(2 * delay_s, BACK_OFF_LIMIT_S)

    async def _hear(self, greeting: bytes) -> bool:
        """Until the connection is lost; False: it did not come about."""
        async with asyncio.timeout(OPEN_S):
            reader, writer = await asyncio.open_connection(*self._where)
        try:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if not await self._greet(reader, writer, greeting):
                return False
            self._connected.set()
            self._tell(f"listening to {self.address}")
            unframer = Unframer() if greeting == SYN_FRAMED else None
            while data := await reader.read(PIECE):
                for raw in [data] if unframer is None else unframer.feed(data):
                    await self.hand_over(calls.message(raw))
            raise EOFError("the server has ended it")
        finally:
            writer.close()

    async def _greet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes
    ) -> bool:
        writer.write(greeting)
        expected = ANSWERS[greeting]
        try:
            async with asyncio.timeout(OPEN_S):
                answer = await reader.readexactly(len(expected))
                if answer[:1] == b"F":
                    calls.body(answer + await reader.read(PIECE))
        except (TimeoutError, asyncio.IncompleteReadError):
            return False
        return answer == expected

    async def hand_over(self, message: Message) -> None:
        for handler in self.handlers_of(message):
            with logged():
                waiting = handler(message)
                if inspect.isawaitable(waiting):
                    await waiting

    def handlers_of(self, message: Message) -> tuple[Handler, ...]:
        return (*self._handlers.get(message.opcode, ()), *self._handlers.get(None, ()))

    # Asking

    async def send(self, addr: int, payload: bytes | str, opcode: OpcodeLike | None = None) -> None:
        """To a node, or to the root (1, or 0). Nothing tells whether it arrives."""
        await self._ask("SEND-", addr, payload, opcode)

    async def send_important(self, addr: int, payload: bytes | str, opcode: OpcodeLike | None = None) -> None:
        """The root tries up to three times; what becomes of it is a message with the opcode `A`."""
        await self._ask("SENDI", addr, payload, opcode)

    async def broadcast(self, payload: bytes | str, opcode: OpcodeLike | None = None) -> None:
        await self._ask("BCAST", 0, payload, opcode)

    async def get_data(self, addr: int, data_type: str | int) -> Reading:
        """The last that came from this node; the type by its name or ID."""
        if addr == 0:
            raise ValueError("0 means every node: get_all_data")
        found = await self._readings(addr, data_type)
        if addr not in found:
            raise MeshError(f"no such data of node {addr}")
        return found[addr]

    async def get_all_data(self, data_type: str | int) -> dict[int, Reading]:
        """By address, of every node that has sent any."""
        return await self._readings(0, data_type)

    async def node_status(self) -> dict[int, bool]:
        """Address: is it active?"""
        return calls.node_status(await self._ask("NSTAT"))

    async def active_count(self) -> int:
        return calls.active_count(await self._ask("ACT-C"))

    async def node_info(self) -> list[dict[str, Any]]:
        """`addr`, `name`, `uuid`, `status`, `age_s` and `data_types` of each."""
        return calls.node_info(await self._ask("NINFO"))

    async def net_interface(self, state: str = "A") -> dict[int, bytes]:
        """Address: UUID, of those that are active (A), disconnected (D) or not available (N)."""
        return calls.net_interface(await self._ask("NETIF", payload=state))

    async def reset_root(self) -> None:
        """All nodes are disconnected until they join again."""
        await self._ask("RST-R")

    async def clean(self) -> None:
        """The root module forgets its network."""
        await self._ask("CLEAN")

    async def _readings(self, addr: int, of: str | int) -> dict[int, Reading]:
        data_type = calls.find_type(self._types, of)
        return calls.readings(await self._ask("[GET]", addr, bytes([data_type.id])), data_type)

    async def _ask(
        self,
        command: str,
        addr: int | None = None,
        payload: bytes | str = b"",
        opcode: OpcodeLike | None = None,
    ) -> bytes:
        request = calls.request(command, addr, payload, opcode)
        try:
            return calls.body(await self._exchange(request))
        except NobodyListens:
            if not await self.listen():
                raise
            return calls.body(await self._exchange(request))

    async def _exchange(self, request: bytes) -> bytes:
        if self._is_closed:
            raise MeshError("the client is closed")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._once(request)
        except TimeoutError as exc:
            raise MeshError(f"{self.address} has not answered within {self._timeout_s:g} s") from exc
        except OSError as exc:
            raise MeshError(f"{self.address} cannot be reached: {exc.strerror or exc}") from exc

    async def _once(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._where)
        response = bytearray()
        try:
            writer.write(request)
            with contextlib.suppress(OSError):  # it has answered before it was asked
                writer.write_eof()
            while len(response) <= RESPONSE_MAX and (piece := await reader.read(PIECE)):
                response += piece
        except ConnectionError:
            if not response:  # some servers hang up rudely
                raise
        finally:
            writer.close()
        return bytes(response)


@contextlib.contextmanager
def logged() -> Iterator[None]:
    """One handler's defect must not silence the others."""
    try:
        yield
    except Exception:  # noqa: BLE001 - the user's own
        _log.exception("a handler of mesh messages has failed")
