"""Arrays from Python: uploaded, listed and fetched over HTTP, and numbers as they come.

    client = NumpyClient("http://liftbench.local:8000")
    index = client.upload_numpy_array(np.random.randn(100, 50))["index"]
    array = client.get_array(index)
    time_s, velocity = client.record("les02.velocity", seconds=10)
    client.close()

`AsyncNumpyClient` has the same calls as coroutines. What cannot be done is an `ArraysError` with a sentence.
Needs the extra `client`, nothing of the daemon. `python -m listener.arrays.client` is `lesarrays`.
"""

import asyncio
import contextlib
import inspect
import operator
import os
import runpy
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import numpy as np

from listener.arrays import calls
from listener.arrays.calls import Array, ArraysError, Part
from listener.arrays.live import Data, LiveClient, Recording

__all__ = ["ArraysError", "AsyncNumpyClient", "Data", "NumpyClient"]

SERVER: Final = "http://localhost:8000"
RECORD_WINDOW: Final = 1000
PIECE_OCTETS: Final = 256 * 1024
# An upload is answered when the disk has it.
_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_SWITCHED_OFF: Final = "there are no {0} here: are they switched on ([{0}] enabled)?"
# Of the listener, and of other servers.
_NO_ROUTE: Final = (b"there is nothing here", b'"Not Found"')

T = TypeVar("T")
# Is told how many octets have gone, or come, and of how many.
Progress = Callable[[int, int], object]


def _nobody(_done: int, _of: int) -> None:
    pass


class AsyncNumpyClient:
    def __init__(self, server: str = SERVER, *, token: str | None = None) -> None:
        """`token` is one of the listener's [access] tokens."""
        self.server = calls.Server(server)
        calls.bearer(token)  # told now, not at the first call
        self._token = token
        self._http: httpx.AsyncClient | None = None
        self._live: set[LiveClient] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends streams, too."""
        for live in self._live:
            live.close()
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    # Arrays

    async def upload_numpy_array(self, array: Any, name: str = "", progress: Progress = _nobody) -> Data:
        """`index`, `shape`, `dtype` and `name`, as the listener has them now."""
        size, pieces = calls.npy_pieces(np.asanyarray(array))
        return await self._upload(size, pieces, name, progress)

    async def upload_file(self, path: str | Path, name: str = "", progress: Progress = _nobody) -> Data:
        """A .npy file, as it is."""
        path = Path(path)
        with await asyncio.to_thread(path.open, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            pieces = iter(lambda: file.read(PIECE_OCTETS), b"")
            return await self._upload(size, pieces, name or path.name, progress)

    async def list_arrays(self) -> Data:
        """`count`, and in `arrays` what is known of each."""
        return await self._json("GET", "/arrays")

    async def get_array(
        self, index: int, rows: Part = None, progress: Progress = _nobody, *, cols: Part = None
    ) -> Array:
        """`rows` of the first axis, `cols` of the second: `slice(0, 100)`, or "0:100"."""
        async with self._array(index, "npy", rows, cols) as answer:
            incoming = calls.Incoming(_length(answer))
            await self._receive(answer, incoming.feed, progress)
        return incoming.array()

    async def download(
        self,
        index: int,
        file: BinaryIO,
        rows: Part = None,
        format: str = "npy",  # noqa: A002 - the field's word
        progress: Progress = _nobody,
        *,
        cols: Part = None,
    ) -> None:
        """Into a file, of any size; `format` is npy, csv or json."""
        async with self._array(index, format, rows, cols) as answer:
            await self._receive(answer, file.write, progress)

    async def delete(self, index: int) -> Data:
        return await self._json("DELETE", _path(index))

    async def rename(self, index: int, name: str) -> Data:
        name = name.encode("utf-8", "replace").decode()
        return await self._json("PATCH", _path(index), json={"name": name})

    async def health(self) -> Data:
        """`status` is "healthy"; while the sensor's bus is lost it is that, and no error here."""
        told = await self._json("GET", "/health", also=503)
        if "arrays_stored" not in told:
            raise ArraysError(_SWITCHED_OFF.format("arrays"))
        return told

    async def sources(self) -> list[Data]:
        """What can be streamed; signals of CAN devices besides."""
        told: list[Data] = (await self._json("GET", "/sources"))["sources"]
        return told

    # Rides

    async def rides(self, limit: int = 50) -> list[Data]:
        """The newest first."""
        told: list[Data] = (await self._json("GET", "/rides", params={"limit": limit}))["rides"]
        return told

    async def ride(self, number: int | str = "last", *, samples: bool = False) -> dict[str, Array]:
        """`time_s`, `position_mm`, `velocity_mm_s`, `acceleration_mm_s2`; a stored signal by its name, its
        times as `NAME.time_s`; with `samples` what each channel has sent, as `master.position_mm`."""
        if number == "last":
            rides = await self.rides(limit=1)
            if not rides:
                raise ArraysError("there are no rides yet")
            number = rides[0]["number"]
        params = {"samples": str(samples).lower(), "events": "false"}
        return calls.ride_arrays(await self._json("GET", f"/rides/{quote(str(number), '')}", params=params))

    # Live

    async def stream(self, source: str | None = None, **wanted: Any) -> AsyncGenerator[Data, None]:
        """Packets as they come; arguments are those of `connect_streaming`."""
        live = LiveClient(self.server, token=self._token, source=source, **wanted)
        self._live.add(live)
        try:
            async with contextlib.aclosing(live.packets()) as packets:
                async for data in packets:
                    yield data
        finally:
            self._live.discard(live)

    async def connect_streaming(
        self, on_data: Callable[[Data], object], auto_start: bool = True, **wanted: Any
    ) -> None:
        """Until the source is over or the client is closed, over every reconnection.

        `on_data`, a function or a coroutine function, gets each packet: `x` and `y` as arrays, `timestamp`,
        `new`, `total`, `source`, `unit`. Without a `source` it is the demo stream. `window`, `rate`, `loop`:
        see docs/arrays.md. `on_status` gets whatever else is told, `tell` a sentence for each connection
        made and lost; `binary=False` has it sent as JSON.
        """
        async with contextlib.aclosing(self.stream(auto_start=auto_start, **wanted)) as packets:
            async for data in packets:
                waiting = on_data(data)
                if inspect.isawaitable(waiting):
                    await waiting

    async def record(
        self, source: str, seconds: float, *, window: int = RECORD_WINDOW, **wanted: Any
    ) -> tuple[Array, Array]:
        """All points of so many seconds, or until the source is over, each once: x, which are Unix times if
        it is a live one, and y."""
        recording, reasons = Recording(), [f"nothing has come in {seconds:g} s"]

        def heed(status: Data) -> None:
            if status.get("waiting"):
                reasons.append(str(status.get("reason") or f"{source} gives nothing"))

        def tell(line: str) -> None:
            reasons[1:] = [] if line.startswith("connected") else [line]

        wanted = {"on_status": heed, "tell": tell, **wanted}
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(seconds),
                contextlib.aclosing(self.stream(source, window=window, **wanted)) as packets,
            ):
                async for data in packets:
                    recording.add(data)
        if not recording.points:
            raise ArraysError(reasons[-1])
        return recording.arrays()

    # HTTP

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            # As it is, so that its length is the one that is told.
            headers = {"Accept-Encoding": "identity"} | calls.bearer(self._token)
            self._http = httpx.AsyncClient(
                base_url=self.server.url,
                headers=headers,
                timeout=_TIMEOUT,
                trust_env=not self.server.is_here,
            )
        return self._http

    @contextlib.asynccontextmanager
    async def _asking(self, *call: Any, also: int = 200, **more: Any) -> AsyncIterator[httpx.Response]:
        try:
            async with self._client().stream(*call, **more) as answer:
                if answer.status_code not in {200, also}:
                    body = await answer.aread()
                    if answer.status_code == 404 and any(words in body for words in _NO_ROUTE):
                        part = "rides" if call[1].startswith("/rides") else "arrays"
                        raise ArraysError(_SWITCHED_OFF.format(part), 404)
                    raise calls.trouble(answer.status_code, body)
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise ArraysError(f"{self.server.url}: {reason}") from exc

    async def _json(self, *call: Any, **more: Any) -> Data:
        async with self._asking(*call, **more) as answer:
            await answer.aread()
            try:
                told = answer.json()
            except ValueError:
                told = None
        if not isinstance(told, dict):
            raise ArraysError(f"{self.server.url} is no listener: it says {answer.text[:60]!r}")
        return told

    def _array(
        self, index: int, kind: str, rows: Part, cols: Part
    ) -> contextlib.AbstractAsyncContextManager[httpx.Response]:
        params = {"format": kind, "rows": calls.slice_text(rows), "cols": calls.slice_text(cols)}
        return self._asking("GET", _path(index), params=params)

    async def _receive(
        self, answer: httpx.Response, take: Callable[[bytes], object], progress: Progress
    ) -> None:
        size, done = _length(answer), 0
        async for piece in answer.aiter_bytes():
            take(piece)
            done += len(piece)
            progress(done, size)

    async def _upload(self, size: int, pieces: Iterable[bytes], name: str, progress: Progress) -> Data:
        head, tail = calls.upload_ends(name)
        left = iter(pieces)

        async def body() -> AsyncIterator[bytes]:
            done = 0
            yield head
            while piece := await asyncio.to_thread(next, left, b""):
                yield piece
                done += len(piece)
                progress(done, size)
            yield tail

        headers = {
            "Content-Type": calls.upload_type(),
            "Content-Length": str(len(head) + size + len(tail)),
        }
        return await self._json("POST", "/upload", content=body(), headers=headers)


def _path(index: int) -> str:
    return f"/array/{operator.index(index)}"


def _length(answer: httpx.Response) -> int:
    """0: it is not known beforehand."""
    return int(answer.headers.get("content-length", 0))


class NumpyClient:
    """The same without `await`; in a notebook, too. The work is done on a thread of its own."""

    def __init__(self, server: str = SERVER, *, token: str | None = None) -> None:
        self._client = AsyncNumpyClient(server, token=token)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._streams: dict[AsyncNumpyClient, asyncio.AbstractEventLoop] = {}
        self._token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends streams, too, whichever thread they are on."""
        for client, loop in list(self._streams.items()):
            with contextlib.suppress(RuntimeError):  # it has just ended
                asyncio.run_coroutine_threadsafe(client.close(), loop)
        if self._loop is not None and self._thread is not None:
            self._run(self._client.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    def upload_numpy_array(self, array: Any, name: str = "", progress: Progress = _nobody) -> Data:
        return self._run(self._client.upload_numpy_array(array, name, progress))

    def upload_file(self, path: str | Path, name: str = "", progress: Progress = _nobody) -> Data:
        return self._run(self._client.upload_file(path, name, progress))

    def list_arrays(self) -> Data:
        return self._run(self._client.list_arrays())

    def get_array(
        self, index: int, rows: Part = None, progress: Progress = _nobody, *, cols: Part = None
    ) -> Array:
        return self._run(self._client.get_array(index, rows, progress, cols=cols))

    def download(
        self,
        index: int,
        file: BinaryIO,
        rows: Part = None,
        format: str = "npy",  # noqa: A002 - the field's word
        progress: Progress = _nobody,
        *,
        cols: Part = None,
    ) -> None:
        self._run(self._client.download(index, file, rows, format, progress, cols=cols))

    def delete(self, index: int) -> Data:
        return self._run(self._client.delete(index))

    def rename(self, index: int, name: str) -> Data:
        return self._run(self._client.rename(index, name))

    def health(self) -> Data:
        return self._run(self._client.health())

    def sources(self) -> list[Data]:
        return self._run(self._client.sources())

    def rides(self, limit: int = 50) -> list[Data]:
        return self._run(self._client.rides(limit))

    def ride(self, number: int | str = "last", *, samples: bool = False) -> dict[str, Array]:
        return self._run(self._client.ride(number, samples=samples))

    def record(self, source: str, seconds: float, **wanted: Any) -> tuple[Array, Array]:
        return self._run(self._client.record(source, seconds, **wanted))

    async def connect_streaming(
        self, on_data: Callable[[Data], object], auto_start: bool = True, **wanted: Any
    ) -> None:
        """The one coroutine: it runs on the loop of who awaits it, and so does `on_data`."""
        async with AsyncNumpyClient(self._client.server.url, token=self._token) as client:
            self._streams[client] = asyncio.get_running_loop()
            try:
                await client.connect_streaming(on_data, auto_start, **wanted)
            finally:
                del self._streams[client]

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="arrays", daemon=True)
            self._thread.start()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


if __name__ == "__main__":
    # Not an import: the command line is built on this file.
    runpy.run_module("listener.arrays.cli", run_name="__main__")
