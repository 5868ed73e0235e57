"""`lesarrays` as it is typed, on a daemon that is a process of its own."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from listener.arrays import terminal
from listener.arrays.cli import main
from listener.arrays.client import NumpyClient
from listener.arrays.terminal import Progress
from tests.e2e.helpers import PATIENCE_S, ROOT, clean_environment
from tests.listener.arrays.serving import demo_serving
from tests.listener.rides.terminal import record as record_rides


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("cli")
    with capture_logs():
        asyncio.run(record_rides(place / "les02.db"))
    with demo_serving(place) as (_, url):
        yield url


class Typed:
    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self.err: list[str] = []
        self._capsys = capsys

    def __call__(self, *words: str, status: int = 0) -> list[str]:
        try:
            ended = main(["--server", self.url, *words])
        except SystemExit as exc:
            ended = int(exc.code or 0)
        out, err = self._capsys.readouterr()
        self.err = err.splitlines()
        assert ended == status, (out, err)
        assert all(line.startswith("lesarrays: ") for line in self.err)
        return out.splitlines()

    def complaint(self, *words: str) -> str:
        assert self(*words, status=2) == []
        return self.err[-1].removeprefix("lesarrays: ")


@pytest.fixture
def lesarrays(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Typed]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LES02_TOKEN", raising=False)
    yield Typed(url, capsys)
    with NumpyClient(url) as client:
        for entry in client.list_arrays()["arrays"]:
            client.delete(entry["index"])


def process(*words: str, **how: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "listener.arrays.client", *words],
        env=clean_environment(PYTHONPATH=str(ROOT), PYTHONIOENCODING="utf-8"),
        text=True,
        **how,
    )


def index_of(line: str) -> str:
    return line.removeprefix("array ").partition(":")[0]


def test_a_file_goes_up_is_listed_shown_and_comes_back(lesarrays: Typed) -> None:
    np.save("a.npy", np.arange(12.0).reshape(4, 3))
    (told,) = lesarrays("upload", "a.npy")
    index = index_of(told)
    assert told == f"array {index}: float64, 4×3, a.npy"
    head, row = lesarrays("list")
    assert head.split() == ["index", "uploaded", "size", "dtype", "shape", "name"]
    assert row.split()[0] == index
    assert row.split()[3:] == ["224", "B", "float64", "4×3", "a.npy"]
    assert lesarrays.err == ["lesarrays: 1 arrays, 224 B of 4.3 GB"]
    assert lesarrays("get", index, "--rows", "1:3") == ["[[3. 4. 5.]", " [6. 7. 8.]]"]
    assert lesarrays("get", index, "--rows", "1:3", "--cols", "::2") == ["[[3. 5.]", " [6. 8.]]"]
    for name, content in (("b.csv", b"0.0,1.0,2.0\r\n"), ("b.json", b'{"shape":[1,3],"dtype":"float64",')):
        assert lesarrays("get", index, "--rows", ":1", "-o", name) == []
        assert Path(name).read_bytes().startswith(content)
    lesarrays("get", index, "-o", "b.npy")
    assert Path("b.npy").read_bytes() == Path("a.npy").read_bytes()
    assert lesarrays("rename", index, "other") == [f"array {index}: float64, 4×3, other"]
    assert lesarrays("delete", index) == [f"array {index} is deleted"]
    assert len(lesarrays("list")) == 1


def test_the_demo_array_is_a_curve(lesarrays: Typed) -> None:
    (told,) = lesarrays("upload-demo")
    assert told.endswith(": float64, 1000×2, demo")
    assert f"array:{index_of(told)}" in "\n".join(lesarrays("sources"))


def test_health_is_a_line_and_a_status(lesarrays: Typed) -> None:
    (line,) = lesarrays("health")
    assert line.startswith("healthy, not streaming, 0 connections, ")


def test_a_stream_is_a_line_a_packet(lesarrays: Typed) -> None:
    lines = lesarrays("stream", "--duration", "1", "--json")
    assert len(lines) > 10
    assert "100 points, 100 new  mean " in lines[0]
    assert lesarrays.err[0] == f"lesarrays: connected to {lesarrays.url}"
    np.save("w.npy", np.arange(50.0))
    index = index_of(lesarrays("upload", "w.npy")[0])
    lines = lesarrays("stream", "--source", f"array:{index}", "--window", "20", "--rate", "50", "-o", "x.npy")
    assert lines == [
        "19.000  20 points, 20 new  mean 9.5 ± 5.766  0 … 19",
        "39.000  20 points, 20 new  mean 29.5 ± 5.766  20 … 39",
        "49.000  10 points, 10 new  mean 44.5 ± 2.872  40 … 49",
    ]
    assert lesarrays.err[-1] == "lesarrays: 50 points in x.npy"
    assert np.load("x.npy")[:, 1].tolist() == list(range(50))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_stream_that_is_stopped_has_kept_what_came(url: str, tmp_path: Path, ending: int) -> None:
    file = tmp_path / "p.npy"
    words = ("--server", url, "stream", "--source", "les02.position", "-o", str(file))
    with process(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        for _ in range(3):
            assert " mm " in running.stdout.readline()
        running.send_signal(ending)
        _, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0
    assert err.splitlines()[-1].endswith(f"points in {file}")
    assert np.diff(np.load(file)[:, 0]).min() > 0


def test_rides_are_listed_shown_and_written(lesarrays: Typed) -> None:
    head, *rows = lesarrays("rides")
    assert head.split() == ["ride", "began", "direction", "distance", "end", "specimen"]
    assert rows[-1].split()[3:7] == ["up", "3000", "mm", "completed"]
    shown = lesarrays("rides", "1")
    assert [row.split()[0] for row in shown[1:]] == [
        "start_ts",
        "time_s",
        "position_mm",
        "velocity_mm_s",
        "acceleration_mm_s2",
    ]
    assert lesarrays("rides", "last", "--samples", "-o", "ride.npz") == []
    with np.load("ride.npz") as arrays:
        assert arrays["master.position_mm"].shape == arrays["master.time_s"].shape


def test_what_is_wrong_is_one_line(lesarrays: Typed, tmp_path: Path) -> None:
    assert lesarrays.complaint("get", "999999") == "Array not found"
    assert lesarrays.complaint("get", "999999", "-o", "x.npy") == "Array not found"
    assert list(tmp_path.iterdir()) == []
    assert lesarrays.complaint("upload", "none.npy") == "none.npy: No such file or directory"
    Path("x.npz").write_bytes(b"PK\x03\x04")
    assert lesarrays.complaint("upload", "x.npz").startswith("x.npz: a zip file, perhaps .npz")
    assert lesarrays.complaint("rides", "999999").startswith("there is no ride")
    assert lesarrays.complaint("rides", "-o", "x.npz") == "which ride? Its number, or last"
    assert lesarrays.complaint("stream", "--source", "x").startswith("unknown source 'x'")
    assert lesarrays.complaint("rides", "1", "-o", "nowhere/x.npz").startswith("nowhere/x.npz: No such")
    for words in (("get", "x"), ("get", "1", "--rows", "x"), ("stream", "--duration", "0"), ("dance",), ()):
        assert "--help tells more" in lesarrays.complaint(*words)
    lesarrays.url = "ftp://bench"
    assert lesarrays.complaint("list").startswith("ftp://bench is no address")


def test_where_nobody_listens_is_told(lesarrays: Typed, unused_port: int) -> None:
    lesarrays.url = f"127.0.0.1:{unused_port}"
    assert lesarrays.complaint("health").startswith(f"http://127.0.0.1:{unused_port}: ")
    assert lesarrays.complaint("stream", "--duration", "0.3") == "nothing has come in 0.3 s"
    assert "cannot connect" in lesarrays.err[0]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(b"before")

    def fail() -> None:
        with terminal.written_whole(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"before"
    with terminal.written_whole(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]
    with terminal.written_whole(Path(os.devnull)) as file:
        file.write(b"gone")


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "PATIENCE_S", 0.0)
    monkeypatch.setattr(terminal, "MOVE_S", 0.0)
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress("upload a.npy") as progress:
        progress(500_000, 1_000_000)
        progress(1_000_000, 1_000_000)
        progress(5, 0)
    _, half, whole, unknown, empty, end = screen.getvalue().split("\r")
    assert half.startswith("upload a.npy  [############............]  50%  500.0 kB, ")
    assert whole.startswith("upload a.npy  [########################] 100%  1.0 MB, ")
    assert unknown.startswith("upload a.npy  5 B, ")
    assert (empty.strip(), end) == ("", "")
    assert len(empty) >= len(unknown) >= len(whole.rstrip())


def test_a_bar_is_gone_before_anything_else_is_said(
    lesarrays: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("a.npy", np.zeros(300_000))
    screen = Screen()
    monkeypatch.setattr(terminal, "PATIENCE_S", 0.0)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["--server", lesarrays.url, "upload", "a.npy"]) == 0
    *_, erased, last = screen.getvalue().split("\r")
    assert not erased.strip()
    assert last.startswith("array ")


def test_off_a_terminal_there_is_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "PATIENCE_S", 0.0)
    with Progress("x") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("octets", "words"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e6, "2.0 MB"), (4_294_967_296, "4.3 GB")],
)
def test_sizes_are_short(octets: float, words: str) -> None:
    assert terminal.size_words(octets) == words


def test_a_reader_that_has_enough_is_no_trouble(lesarrays: Typed) -> None:
    words = ("--server", lesarrays.url, "stream")
    with process(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.readline()
        running.stdout.close()
        err = running.stderr.read()
    assert running.returncode == 0
    assert "Traceback" not in err


def test_a_file_goes_to_stdout_if_that_is_asked_for(url: str, lesarrays: Typed) -> None:
    index = index_of(lesarrays("upload-demo")[0])
    with process("--server", url, "get", index, "--rows", ":2", "-o", "-", stdout=subprocess.PIPE) as running:
        assert running.stdout
        octets = running.stdout.buffer.read()  # type: ignore[attr-defined]
    assert octets.startswith(b"\x93NUMPY")
    assert running.returncode == 0
