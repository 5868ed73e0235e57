"""The commands of `lesarrays`. Each gets the client and its options, and returns the exit status."""

import argparse
import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from listener.arrays.client import ArraysError, AsyncNumpyClient, Data, NumpyClient
from listener.arrays.live import Recording
from listener.arrays.npy import NpyError, read_header
from listener.arrays.terminal import TROUBLE, UNHEALTHY, Progress, remark, say, size_words, written_whole
from listener.stop_signals import on_stop

if TYPE_CHECKING:
    from pathlib import Path

DEMO_POINTS: Final = 1000
RIDES_SHOWN: Final = 50
_SHOWN_AS: Final = {".csv": "csv", ".json": "json"}
# Times of day have few digits before the point.
_UNIX_TIMES: Final = 1e9


def run(options: argparse.Namespace) -> int:
    try:
        if options.command == "stream":
            return _stream(options)
        with NumpyClient(options.server, token=options.token) as client:
            return _COMMANDS[options.command](client, options)
    except ArraysError as exc:
        remark(str(exc))
        return TROUBLE


def _health(client: NumpyClient, _options: argparse.Namespace) -> int:
    told = client.health()
    streaming = "streaming" if told["streaming"] else "not streaming"
    stored, connections = told["arrays_stored"], told["connections"]
    say(f"{told['status']}, {streaming}, {connections} connections, {stored} arrays")
    return 0 if told["status"] == "healthy" else UNHEALTHY


def _upload(client: NumpyClient, options: argparse.Namespace) -> int:
    path: Path = options.file
    with path.open("rb") as file:
        try:
            read_header(file, os.fstat(file.fileno()).st_size)
        except NpyError as exc:
            raise ArraysError(f"{path}: {exc}") from None
    with Progress(f"upload {path.name}") as progress:
        told = client.upload_file(path, options.name, progress)
    _say_uploaded(told)
    return 0


def _upload_demo(client: NumpyClient, _options: argparse.Namespace) -> int:
    x = np.linspace(0.0, 4 * np.pi, DEMO_POINTS)
    y = np.sin(x) + np.random.default_rng().normal(0.0, 0.1, DEMO_POINTS)
    _say_uploaded(client.upload_numpy_array(np.column_stack([x, y]), "demo"))
    return 0


def _say_uploaded(told: Data) -> None:
    say(f"array {told['index']}: {_what(told)}")


def _what(told: Data) -> str:
    shape = "×".join(map(str, told["shape"])) or "no dimensions"
    return f"{told['dtype']}, {shape}" + (f", {told['name']}" if told.get("name") else "")


def _list(client: NumpyClient, _options: argparse.Namespace) -> int:
    told = client.list_arrays()
    rows = [
        (
            str(each["index"]),
            _moment(each["uploaded_ts"]),
            size_words(each["octets"]),
            _short(each["dtype"]),
            "×".join(map(str, each["shape"])) or "–",
            each["name"],
        )
        for each in told["arrays"]
    ]
    _table(("index", "uploaded", "size", "dtype", "shape", "name"), rows)
    remark(f"{told['count']} arrays, {size_words(told['octets'])} of {size_words(told['max_total_bytes'])}")
    return 0


def _get(client: NumpyClient, options: argparse.Namespace) -> int:
    index, rows, cols = options.index, options.rows, options.cols
    with Progress(f"array {index}") as progress:
        if options.output is not None:
            kind = _SHOWN_AS.get(options.output.suffix.lower(), "npy")
            with written_whole(options.output) as file:
                client.download(index, file, rows, kind, progress, cols=cols)
            return 0
        array = client.get_array(index, rows, progress, cols=cols)
    remark(f"array {index}: {_what({'dtype': array.dtype, 'shape': array.shape})}")
    say(np.array2string(array, max_line_width=100))
    return 0


def _rename(client: NumpyClient, options: argparse.Namespace) -> int:
    told = client.rename(options.index, options.name)
    say(f"array {told['index']}: {_what(told)}")
    return 0


def _delete(client: NumpyClient, options: argparse.Namespace) -> int:
    for index in options.index:
        client.delete(index)
        say(f"array {index} is deleted")
    return 0


def _sources(client: NumpyClient, _options: argparse.Namespace) -> int:
    _table(
        ("source", "unit", "name"),
        [(each["source"], each["unit"], each.get("name", "")) for each in client.sources()],
    )
    remark("of other CAN devices those signals that a DBC file describes: signal:BUS.MESSAGE.SIGNAL")
    return 0


def _rides(client: NumpyClient, options: argparse.Namespace) -> int:
    if options.ride is None:
        if options.output is not None:
            raise ArraysError("which ride? Its number, or last")
        rides = client.rides(RIDES_SHOWN)
        listed = [
            (
                str(ride["number"]),
                _moment(ride["start_ts"]),
                ride["direction"],
                f"{ride['distance_mm'] or 0:.0f} mm",
                ride["reason"] or "in progress",
                ride["specimen"],
            )
            for ride in rides
        ]
        _table(("ride", "began", "direction", "distance", "end", "specimen"), listed)
        return 0
    arrays = client.ride(options.ride, samples=options.samples)
    if options.output is not None:
        with written_whole(options.output) as file:
            np.savez(file, allow_pickle=False, **arrays)
        return 0
    rows = []
    for name, array in arrays.items():
        values = f"{array.min():.6g} … {array.max():.6g}" if array.size else "–"
        rows.append((name, "×".join(map(str, array.shape)) or "–", values))
    _table(("array", "shape", "values"), rows)
    return 0


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = [head, *([_one_line(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _short(dtype: str, most: int = 24) -> str:
    return dtype if len(dtype) <= most else f"{dtype[: most - 1]}…"


def _moment(ts: float) -> str:
    return datetime.fromtimestamp(ts).astimezone().strftime("%Y-%m-%d %H:%M:%S")


# Live


def _stream(options: argparse.Namespace) -> int:
    recording = Recording()
    asyncio.run(_listen(options, recording))
    if recording.lost:
        remark(f"{recording.lost} points are missing")
    if options.output is not None:
        with written_whole(options.output) as file:
            np.save(file, np.column_stack(recording.arrays()), allow_pickle=False)
        remark(f"{recording.points} points in {options.output}")
    elif not recording.points and options.duration is not None:
        raise ArraysError(f"nothing has come in {options.duration:g} s")
    return 0


async def _listen(options: argparse.Namespace, recording: Recording) -> None:
    """Ctrl+C is the ordinary way to end it."""
    main = asyncio.current_task()
    assert main is not None
    on_stop(main.cancel)

    def take(data: Data) -> None:
        recording.add(data)
        say(_line(data))

    with contextlib.suppress(asyncio.CancelledError, TimeoutError):
        async with AsyncNumpyClient(options.server, token=options.token) as client:
            async with asyncio.timeout(options.duration):
                await client.connect_streaming(
                    take,
                    source=options.source,
                    window=options.window,
                    rate=options.rate,
                    loop=options.loop,
                    binary=not options.json,
                    on_status=_heed,
                    tell=remark,
                )


def _heed(told: Data) -> None:
    if told["type"] == "gap":
        remark(f"too slow: {told.get('skipped')} packets were skipped")
    elif told.get("waiting"):
        remark(f"nothing comes: {told.get('reason') or 'waiting'}")
    elif told["type"] == "status":
        remark("streaming" if told.get("streaming") else "not streaming")


def _line(data: Data) -> str:
    x, y = data["x"], data["y"]
    if not len(x):
        return "0 points"
    last = float(x[-1])
    at = _time_of_day(last) if last > _UNIX_TIMES else f"{last:.3f}"
    unit = f" {data['unit']}" if data.get("unit") else ""
    with np.errstate(all="ignore"):
        mean, deviation, least, most = y.mean(), y.std(), y.min(), y.max()
    new = data.get("new", len(x))
    return (
        f"{at}  {len(x)} points, {new} new  mean {mean:.4g} ± {deviation:.4g}{unit}  {least:.4g} … {most:.4g}"
    )


def _time_of_day(ts: float) -> str:
    return datetime.fromtimestamp(ts).astimezone().strftime("%H:%M:%S.%f")[:-3]


_COMMANDS: Final[dict[str, Callable[[NumpyClient, Any], int]]] = {
    "health": _health,
    "upload": _upload,
    "upload-demo": _upload_demo,
    "list": _list,
    "get": _get,
    "rename": _rename,
    "delete": _delete,
    "sources": _sources,
    "rides": _rides,
}
