"""`lesplot` without a screen, on a daemon that is a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colors, image, pyplot
from matplotlib.backend_bases import CloseEvent
from matplotlib.figure import Figure

from listener.arrays import plot_client
from listener.arrays.client import NumpyClient
from listener.arrays.plot_client import Feed, Picture, main, rolling
from tests.e2e.helpers import ROOT
from tests.listener.arrays.serving import demo_serving


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with demo_serving(tmp_path_factory.mktemp("plot")) as (_, url):
        yield url


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No screen, whoever runs this; and no window left over."""
    monkeypatch.delenv("LES02_TOKEN", raising=False)
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


def coloured(picture: Any, colour: str) -> np.ndarray[Any, Any]:
    """The rows in which this colour is, of a picture with 720."""
    near = np.abs(picture[:, :, :3] - np.array(colors.to_rgb(colour))).max(axis=2) < 0.1
    return np.flatnonzero(near.any(axis=1))


def packet(y: Any, x: Any = None, **more: Any) -> dict[str, Any]:
    y = np.asarray(y, np.float64)
    return {"type": "data", "x": np.arange(len(y), dtype=float) if x is None else x, "y": y, **more}


def test_a_picture_is_saved_without_a_screen(url: str, tmp_path: Path) -> None:
    file = tmp_path / "wave.png"
    words = ["--server", url, "--source", "demo", "--window", "300"]
    assert main([*words, "--headless", "--save", str(file), "--seconds", "1"]) == 0
    picture = image.imread(file)
    assert picture.shape == (720, 1200, 4)
    above, below = coloured(picture, "#1f5fa8"), coloured(picture, "#b3541e")
    assert above.max() < 345 < below.min()  # the signal above, its mean below
    assert np.ptp(above) > 200  # and they fill their panes
    assert np.ptp(below) > 150
    with NumpyClient(url) as client:
        assert client.health()["connections"] == 0


@pytest.mark.parametrize(("name", "begin"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_the_file_is_what_it_is_called(url: str, tmp_path: Path, name: str, begin: bytes) -> None:
    assert main(["--server", url, "--headless", "--save", str(tmp_path / name), "--seconds", "0.5"]) == 0
    assert (tmp_path / name).read_bytes().startswith(begin)


def test_closing_the_window_disconnects(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def show() -> None:
        """As somebody who closes it as soon as there is something to see."""
        canvas = pyplot.gcf().canvas
        with NumpyClient(url) as client:
            while not client.health()["connections"]:
                pass
            seen.append(client.health()["connections"])
            canvas.callbacks.process("close_event", CloseEvent("close_event", canvas))
            while client.health()["connections"]:
                pass
            seen.append(client.health()["connections"])

    monkeypatch.setattr(pyplot, "get_backend", lambda: "tkagg")
    monkeypatch.setattr(pyplot, "show", show)
    main(["--server", url, "--source", "les02.velocity"])
    assert seen == [1, 0]


def test_trouble_is_one_line(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, unused_port: int
) -> None:
    file = tmp_path / "x.png"
    headless = ["--headless", "--save", str(file), "--seconds", "0.5"]
    for words, complaint in (
        (["--headless"], "--headless wants --save FILE and --seconds S"),
        (
            ["--server", "ftp://bench", *headless],
            "ftp://bench is no address such as http://liftbench.local:8000",
        ),
        (["--server", f"127.0.0.1:{unused_port}", *headless], "cannot connect to "),
        ([*headless, "--save", "x.xyz"], "x.xyz: a picture is .png, .svg or .pdf"),
        (["--server", url, "--source", "x", *headless], "unknown source 'x'; known are "),
        (["--server", url], "no window can be shown here; take --headless, --save FILE and --seconds S"),
    ):
        assert main(words) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(f"lesplot: {complaint}")
    assert not file.exists()
    assert main(["--server", url, *headless[:2], str(tmp_path / "none" / "x.png"), *headless[3:]]) == 2
    assert "No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["--window", "x"])
    assert ended.value.code == 2


def test_without_matplotlib_it_is_one_line() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; from listener.arrays import plot_client; "
    told = subprocess.run(
        [sys.executable, "-c", f"{code}sys.exit(plot_client.main([]))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert told.stderr == "lesplot: matplotlib is missing; needs: pip install 'les02-listener[plot]'\n"


def test_mean_and_deviation_are_those_of_the_neighbours() -> None:
    x, y = np.arange(6.0), np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    at, mean, deviation = rolling(x, y, 3)
    assert at.tolist() == [2, 3, 4, 5]
    assert mean == pytest.approx([y[i : i + 3].mean() for i in range(4)])
    assert deviation == pytest.approx([y[i : i + 3].std() for i in range(4)])
    at, mean, _ = rolling(x, y, 100)
    assert (at.tolist(), mean.tolist()) == ([5.0], [10.5])


def test_what_is_shown_is_never_silently_old(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed()
    picture = Picture(Figure(), feed, None)

    def title() -> str:
        picture.draw()
        return str(picture.figure.axes[0].get_title())

    assert title() == "demo – connecting"
    feed.tell("connected to http://bench:8000")
    feed.take(packet([1, 2, 3], source="les02.velocity", unit="mm/s"))
    assert title() == "les02.velocity"
    assert picture.figure.axes[0].get_ylabel() == "signal in mm/s"
    feed.heed({"type": "status", "streaming": True, "waiting": True, "reason": "the bus is lost"})
    assert title() == "les02.velocity – nothing comes: the bus is lost"
    feed.take(packet([1, 2, 3], source="les02.velocity"))
    assert title() == "les02.velocity"
    feed.at -= 3.2
    assert title() == "les02.velocity – nothing for 3 s"
    feed.tell("cannot connect to http://bench:8000: refused")
    assert title() == "les02.velocity – cannot connect to http://bench:8000: refused"
    feed.heed({"type": "status", "streaming": False, "ended": True})
    assert title() == "les02.velocity – it is over"
    feed.heed({"type": "status", "streaming": False})
    assert title() == "les02.velocity – stopped"


def test_holes_and_single_points_can_be_drawn() -> None:
    feed = Feed()
    picture = Picture(Figure(), feed, 2)
    for y in ([5.0], [np.nan, np.inf], [], [0.0, 0.0, 0.0], [1.0, np.nan, 3.0, 4.0]):
        feed.take(packet(y))
        picture.draw()
        picture.figure.canvas.draw()
    low, high = picture.figure.axes[0].get_ylim()
    assert (low, high) == pytest.approx((0.85, 4.15))


def test_live_times_are_told_from_now(url: str) -> None:
    feed = Feed()
    picture = Picture(Figure(), feed, None)
    feed.take(packet(np.arange(50.0), 1795314944.6 + np.arange(50) / 50))
    picture.draw()
    assert picture.figure.axes[1].get_xlim() == pytest.approx((-0.98, 0.0))
    assert picture.figure.axes[1].get_xlabel() == "seconds, 0 is the newest"


def test_ctrl_c_ends_it(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plot_client.Listening, "wait", interrupted)
    words = ["--headless", "--save", str(tmp_path / "x.png"), "--seconds", "9"]
    assert main(["--server", url, *words]) == 130
