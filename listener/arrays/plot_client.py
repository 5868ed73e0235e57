"""`lesplot`: a window with a live signal above, and its rolling mean ± standard deviation below.

Needs the extra `plot`. The window is this program's main thread; packets come on another one. What is shown
is never silently old: the title says when nothing comes, and why.
"""

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from listener.arrays.options import Parser, add_server, add_wanted, count, seconds
from listener.arrays.terminal import INTERRUPTED, TROUBLE, remark, written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from listener.arrays.client import Data

PROGRAM: Final = "lesplot"
WINDOW: Final = 500
REDRAW_MS: Final = 50
STALE_S: Final = 1.5
_UNIX_TIMES: Final = 1e9
_SIGNAL: Final = "#1f5fa8"
_MEAN: Final = "#b3541e"
# Of matplotlib, which takes one of them where there is no screen, or nothing to draw on it with.
_WINDOWLESS: Final = frozenset({"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"})
_TROUBLE: Final = "#b00020"


class Feed:
    """The newest packet and how things are, from the thread that listens to the one that draws."""

    def __init__(self) -> None:
        self.data: Data | None = None
        self.at = 0.0
        self.packets = 0
        self.trouble = "connecting"
        self.failed = ""

    def take(self, data: "Data") -> None:
        self.data, self.at, self.trouble = data, time.monotonic(), ""
        self.packets += 1

    def heed(self, told: "Data") -> None:
        if told.get("waiting"):
            self.trouble = f"nothing comes: {told.get('reason') or 'waiting'}"
        elif told.get("ended"):
            self.trouble = "it is over"
        elif told.get("type") == "status" and not told.get("streaming"):
            self.trouble = "stopped"

    def tell(self, line: str) -> None:
        self.trouble = "" if line.startswith("connected") else line
        remark(line, PROGRAM)

    def state(self) -> str:
        if self.trouble:
            return self.trouble
        if self.data is not None and time.monotonic() - self.at > STALE_S:
            return f"nothing for {time.monotonic() - self.at:.0f} s"
        return ""


class Listening:
    """The client on a thread of its own; `close` disconnects. `over` is called there when it has ended."""

    def __init__(self, options: argparse.Namespace, feed: Feed) -> None:
        from listener.arrays.client import NumpyClient

        self._client = NumpyClient(options.server, token=options.token)
        self._options = options
        self._feed = feed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listen")
        self._thread.start()

    def wait(self, timeout_s: float | None) -> None:
        self._thread.join(timeout_s)

    def close(self) -> None:
        self._stop.set()
        while self._thread.is_alive():  # it may be about to connect
            self._client.close()
            self._thread.join(0.1)

    def _run(self) -> None:
        from listener.arrays.client import ArraysError

        try:
            asyncio.run(self._listen())
        except ArraysError as exc:
            self._feed.failed = self._feed.trouble = str(exc)

    async def _listen(self) -> None:
        options, feed = self._options, self._feed
        if self._stop.is_set():
            return
        await self._client.connect_streaming(
            feed.take,
            source=options.source,
            window=options.window or (WINDOW if options.source else None),
            rate=options.rate,
            on_status=feed.heed,
            tell=feed.tell,
        )


class Picture:
    """Two panes over the same x; `draw` shows what the feed has now."""

    def __init__(self, figure: "Figure", feed: Feed, mean_points: int | None) -> None:
        self.figure = figure
        self._feed = feed
        self._mean_points = mean_points
        self._drawn = -1
        above, below = figure.subplots(2, 1, sharex=True)
        self._panes = above, below
        (self._line,) = above.plot([], [], color=_SIGNAL, linewidth=1.0)
        (self._mean,) = below.plot([], [], color=_MEAN, linewidth=1.4, label="mean")
        self._band = below.fill_between([], [], [], color=_MEAN, alpha=0.25, linewidth=0, label="± deviation")
        below.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize="small")
        for pane in self._panes:
            pane.grid(visible=True, alpha=0.3)

    def draw(self) -> None:
        data = self._feed.data
        if data is not None and self._feed.packets != self._drawn:
            self._drawn = self._feed.packets
            self._show(data)
        state = self._feed.state()
        name = (data or {}).get("source", "demo")
        color = _TROUBLE if state else "black"
        self._panes[0].set_title(f"{name} – {state}" if state else name, color=color)

    def _show(self, data: "Data") -> None:
        x, y = data["x"], data["y"]
        if not len(x):
            return
        above, below = self._panes
        unit = f" in {data['unit']}" if data.get("unit") else ""
        if x[-1] > _UNIX_TIMES:
            x = x - x[-1]
            below.set_xlabel("seconds, 0 is the newest")
        points = self._mean_points or max(2, len(x) // 10)
        at, mean, deviation = rolling(x, y, points)
        self._line.set_data(x, y)
        self._mean.set_data(at, mean)
        self._band.set_data(at, mean - deviation, mean + deviation)
        above.set_ylabel(f"signal{unit}")
        below.set_ylabel(f"mean of {min(points, len(x))} points{unit}")
        if x[0] < x[-1]:
            above.set_xlim(x[0], x[-1])
        _fit(above.set_ylim, y, y)
        _fit(below.set_ylim, mean - deviation, mean + deviation)


def rolling(
    x: "NDArray[Any]", y: "NDArray[Any]", points: int
) -> tuple["NDArray[Any]", "NDArray[Any]", "NDArray[Any]"]:
    """Where, mean and standard deviation of each `points` neighbours, told where the last of them is."""
    import numpy as np

    points = max(1, min(points, len(y)))
    windows = np.lib.stride_tricks.sliding_window_view(y, points)
    return x[points - 1 :], windows.mean(axis=1), windows.std(axis=1)


def _fit(set_limits: Callable[[float, float], object], low: "NDArray[Any]", high: "NDArray[Any]") -> None:
    import numpy as np

    low, high = low[np.isfinite(low)], high[np.isfinite(high)]
    if len(low):
        least, most = float(low.min()), float(high.max())
        room = 0.05 * (most - least) or 0.05 * abs(most) or 1.0
        set_limits(least - room, most + room)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.headless and (options.save is None or options.seconds is None):
        remark("--headless wants --save FILE and --seconds S", PROGRAM)
        return TROUBLE
    try:
        import matplotlib as mpl
        from matplotlib import pyplot
        from matplotlib.figure import Figure

        from listener.arrays.client import ArraysError
    except ImportError as exc:
        remark(f"{exc.name} is missing; needs: pip install 'les02-listener[plot]'", PROGRAM)
        return TROUBLE
    if options.headless:
        mpl.use("Agg")
    elif pyplot.get_backend().lower() in _WINDOWLESS:
        remark("no window can be shown here; take --headless, --save FILE and --seconds S", PROGRAM)
        return TROUBLE
    if options.save is not None and _kind(options.save) not in Figure().canvas.get_supported_filetypes():
        remark(f"{options.save}: a picture is .png, .svg or .pdf", PROGRAM)
        return TROUBLE
    feed = Feed()
    try:
        listening = Listening(options, feed)
    except ArraysError as exc:
        remark(str(exc), PROGRAM)
        return TROUBLE
    try:
        picture = _watch(options, feed, listening)
        if options.save is not None and feed.data is not None:
            _save(picture, options.save)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as exc:
        remark(f"{exc.filename or 'cannot write'}: {exc.strerror or exc}", PROGRAM)
        return TROUBLE
    finally:
        listening.close()
    if feed.failed or feed.data is None:
        remark(feed.failed or feed.trouble or "nothing has come", PROGRAM)
        return TROUBLE
    return 0


def _watch(options: argparse.Namespace, feed: Feed, listening: Listening) -> Picture:
    from matplotlib import pyplot

    figure = pyplot.figure(PROGRAM, figsize=(10, 6), layout="constrained")
    picture = Picture(figure, feed, options.mean)
    if options.headless:
        listening.wait(options.seconds)
        return picture
    figure.canvas.mpl_connect("close_event", lambda _: listening.close())

    def redraw() -> None:
        picture.draw()
        figure.canvas.draw_idle()

    timer = figure.canvas.new_timer(interval=REDRAW_MS)
    timer.add_callback(redraw)
    timer.start()
    if options.seconds is not None:
        end = figure.canvas.new_timer(interval=round(options.seconds * 1000))
        end.single_shot = True
        end.add_callback(pyplot.close, figure)
        end.start()
    pyplot.show()
    return picture


def _save(picture: Picture, path: Path) -> None:
    picture.draw()
    with written_whole(path) as file:
        picture.figure.savefig(file, format=_kind(path), dpi=120)


def _kind(path: Path) -> str:
    return path.suffix.lstrip(".").lower() or "png"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=PROGRAM,
        description="A live signal of a listener in a window, with its rolling mean and standard deviation.",
        epilog="Closing the window disconnects.",
    )
    add_server(parser)
    add_wanted(parser)
    parser.add_argument("--mean", type=count, metavar="N", help="points of the mean (default: a tenth)")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the last picture (PNG, SVG, PDF)")
    parser.add_argument("--headless", action="store_true", help="no window: --save after --seconds")
    return parser


if __name__ == "__main__":
    sys.exit(main())
