"""The wireless mesh from Python: what its nodes measure, messages to them, and what they say.

    with MeshClient() as client:
        print(client.get_data(5, "Temperature").value)
        client.send(5, b"on", opcode="T")

        @client.on("E")
        def echoed(message):
            print(message.addr, message.payload)

        client.listen()

`AsyncMeshClient` has the same calls as coroutines. What cannot be done is a `MeshError` with a sentence.
Needs the standard library alone.
"""

import asyncio
import contextlib
import inspect
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from listener.mesh.async_client import HOST, OPEN_S, PORT, AsyncMeshClient, H, logged
from listener.mesh.calls import MeshError, Message, OpcodeLike, Reading

__all__ = ["AsyncMeshClient", "MeshClient", "MeshError", "Message", "Reading"]

CLOSE_S: Final = 5.0
# Messages that wait for handlers; more are dropped, and counted.
WAITING_MAX: Final = 10_000

T = TypeVar("T")


class MeshClient:
    """The same without `await`. Handlers are called on a thread of their own, one message after the other."""

    def __init__(self, host: str = HOST, port: int = PORT, **settings: Any) -> None:
        self._messages: queue.Queue[Message | None] = queue.Queue(WAITING_MAX)
        self._client = _Queueing(self._put, host, port, **settings)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self.dropped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends listening, and calls of other threads; handlers see what has come before."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
            if self._loop is None or was_closed:
                return
            future = asyncio.run_coroutine_threadsafe(self._client.close(), self._loop)
        future.result()
        with contextlib.suppress(queue.Full):  # then they are so far behind that they need not see the rest
            self._messages.put_nowait(None)
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            if thread is not threading.current_thread():  # of a handler
                thread.join(CLOSE_S)

    @property
    def address(self) -> str:
        return self._client.address

    @property
    def is_listening(self) -> bool:
        return self._client.is_listening

    def on(self, opcode: OpcodeLike | None = None) -> Callable[[H], H]:
        """For a function that gets each `Message` with this opcode, or every one."""
        add = self._client.on(opcode)

        def checked(handler: H) -> H:
            if inspect.iscoroutinefunction(handler):
                raise TypeError("coroutine functions are handlers of AsyncMeshClient")
            return add(handler)

        return checked

    def listen(self, wait_s: float = OPEN_S) -> bool:
        """In the background."""
        return self._run(self._client.listen(wait_s))

    def send(self, addr: int, payload: bytes | str, opcode: OpcodeLike | None = None) -> None:
        self._run(self._client.send(addr, payload, opcode))

    def send_important(self, addr: int, payload: bytes | str, opcode: OpcodeLike | None = None) -> None:
        self._run(self._client.send_important(addr, payload, opcode))

    def broadcast(self, payload: bytes | str, opcode: OpcodeLike | None = None) -> None:
        self._run(self._client.broadcast(payload, opcode))

    def get_data(self, addr: int, data_type: str | int) -> Reading:
        return self._run(self._client.get_data(addr, data_type))

    def get_all_data(self, data_type: str | int) -> dict[int, Reading]:
        return self._run(self._client.get_all_data(data_type))

    def node_status(self) -> dict[int, bool]:
        return self._run(self._client.node_status())

    def active_count(self) -> int:
        return self._run(self._client.active_count())

    def node_info(self) -> list[dict[str, Any]]:
        return self._run(self._client.node_info())

    def net_interface(self, state: str = "A") -> dict[int, bytes]:
        return self._run(self._client.net_interface(state))

    def reset_root(self) -> None:
        self._run(self._client.reset_root())

    def clean(self) -> None:
        self._run(self._client.clean())

    def _put(self, message: Message) -> None:
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def _handle(self) -> None:
        while (message := self._messages.get()) is not None:
            self._client.call_handlers(message)
            if self._is_closed and self._messages.empty():
                return

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self._is_closed:
                work.close()
                raise MeshError("the client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._threads = [
                    threading.Thread(target=_serve, args=[self._loop], name="mesh", daemon=True),
                    threading.Thread(target=self._handle, name="mesh handlers", daemon=True),
                ]
                for thread in self._threads:
                    thread.start()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError as exc:
            raise MeshError("the client is closed") from exc
        except BaseException:
            future.cancel()
            raise


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Until it is stopped; what is under way then is cancelled."""
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.wait(tasks) if tasks else asyncio.sleep(0))
    loop.close()


class _Queueing(AsyncMeshClient):
    """Hands messages to another thread, whose handlers may call the client in turn."""

    def __init__(self, put: Callable[[Message], None], *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._put = put

    async def hand_over(self, message: Message) -> None:
        self._put(message)

    def call_handlers(self, message: Message) -> None:
        for handler in self.handlers_of(message):
            with logged():
                handler(message)
