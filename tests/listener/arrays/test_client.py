"""The client against a daemon that is a process of its own."""

import asyncio
import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from structlog.testing import capture_logs

from listener.arrays.client import ArraysError, AsyncNumpyClient, NumpyClient
from tests.e2e.helpers import PATIENCE_S, ROOT, until
from tests.listener.arrays.benches import CONTROL, READ, octets_of
from tests.listener.arrays.serving import demo_serving, serving
from tests.listener.arrays.strategies import any_arrays
from tests.listener.rides.terminal import record as record_rides

TERMINAL = {"cli", "cli_commands", "options", "terminal"}
WAVE = np.array([0.0, 1.5, np.nan, np.inf, -np.inf, 2.5, 3.5])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("client")
    with capture_logs():
        asyncio.run(record_rides(place / "les02.db"))
    with demo_serving(place) as (_, url):
        yield url


@pytest.fixture
def client(url: str) -> Iterator[NumpyClient]:
    with NumpyClient(url) as client:
        yield client
        for entry in client.list_arrays()["arrays"]:
            client.delete(entry["index"])


# Arrays


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@settings(max_examples=40)
@given(any_arrays())
def test_any_array_goes_there_and_back(client: NumpyClient, array: Any) -> None:
    told = client.upload_numpy_array(array)
    assert (told["status"], told["shape"], told["dtype"]) == (
        "success",
        list(array.shape),
        str(array.dtype),
    )
    again = client.get_array(told["index"])
    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())
    client.delete(told["index"])


def test_an_array_is_called_listed_cut_renamed_and_deleted(client: NumpyClient, tmp_path: Path) -> None:
    index = client.upload_numpy_array(np.arange(40).reshape(10, 4), 'a "wave"\r\nµ')["index"]
    (entry,) = client.list_arrays()["arrays"]
    assert (entry["index"], entry["shape"]) == (index, [10, 4])
    assert entry["name"].startswith('a "wave"')
    assert client.get_array(index, "2:4")[:, 0].tolist() == [8, 12]
    assert client.get_array(index, slice(-1, None))[0].tolist() == [36, 37, 38, 39]
    assert client.rename(index, "other")["name"] == "other"
    file = io.BytesIO()
    client.download(index, file, ":1", "csv")
    assert file.getvalue() == b"0,1,2,3\r\n"
    client.delete(index)
    assert client.list_arrays()["count"] == 0
    np.save(tmp_path / "x.npy", np.arange(3))
    told = client.upload_file(tmp_path / "x.npy")
    assert (told["name"], told["shape"]) == ("x.npy", [3])


def test_how_far_it_is_is_told(client: NumpyClient) -> None:
    array = np.arange(500_000.0)
    told: list[tuple[int, int]] = []
    index = client.upload_numpy_array(array, progress=lambda *each: told.append(each))["index"]
    size = len(octets_of(array))
    assert told[-1] == (size, size)
    assert len(told) > 2
    told.clear()
    again = client.get_array(index, progress=lambda *each: told.append(each))
    assert told[-1] == (size, size)
    again += 1  # it is one's own
    assert (again == array + 1).all()


def test_rows_and_columns_can_be_had_alone(client: NumpyClient) -> None:
    array = np.arange(24.0).reshape(6, 4)
    index = client.upload_numpy_array(array)["index"]
    assert np.array_equal(client.get_array(index, cols=slice(1, 3)), array[:, 1:3])
    assert np.array_equal(client.get_array(index, slice(None, None, 2), cols="::-1"), array[::2, ::-1])
    file = io.BytesIO()
    client.download(index, file, "0:1", "csv", cols="2:")
    assert file.getvalue() == b"2.0,3.0\r\n"


def test_what_cannot_be_done_is_a_sentence(client: NumpyClient, tmp_path: Path) -> None:
    with pytest.raises(ArraysError, match=r"^Array not found$") as missing:
        client.get_array(10**6)
    assert missing.value.status == 404
    with pytest.raises(ArraysError, match="rows: is no slice"):
        client.get_array(0, "x")
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(ArraysError, match="a zip file") as refused:
        client.upload_file(tmp_path / "x.npz")
    assert refused.value.status == 400
    with pytest.raises(ArraysError, match="there is no ride"):
        client.ride(10**6)
    with pytest.raises(ArraysError, match="this token has letters"):
        NumpyClient("localhost", token="Schlüssel☃")


def test_an_index_is_a_number_and_never_a_way_to_another_place(client: NumpyClient) -> None:
    index = client.upload_numpy_array(np.arange(3))["index"]
    wrong: Any
    for wrong in ("../rides/1", "0", 1.5, None):
        for call in (client.get_array, client.delete, lambda each: client.rename(each, "x")):
            with pytest.raises(TypeError):
                call(wrong)
    with pytest.raises(TypeError):
        client.get_array(index, slice(0.5, None))
    assert client.get_array(index, slice(np.int64(1), None)).tolist() == [1, 2]
    assert client.rename(index, "a\ud800b")["name"] == "a?b"


def test_a_large_upload_that_is_refused_says_why(tmp_path: Path) -> None:
    with serving(tmp_path, LES02_ARRAYS__MAX_BYTES="1000000") as (_, url), NumpyClient(url) as client:
        with pytest.raises(ArraysError, match="1000000") as refused:
            client.upload_numpy_array(np.zeros(2_000_000))
        assert refused.value.status == 413
        assert client.upload_numpy_array(np.zeros(3))["shape"] == [3]


def test_where_no_listener_is_that_is_told(tmp_path: Path, unused_port: int) -> None:
    with (
        NumpyClient(f"http://127.0.0.1:{unused_port}") as client,
        pytest.raises(ArraysError, match=f"{unused_port}: "),
    ):
        client.health()
    with pytest.raises(ArraysError, match="is no address"):
        NumpyClient("ftp://bench")
    with (
        serving(tmp_path, LES02_ARRAYS__ENABLED="false", LES02_RIDES__ENABLED="false") as (_, url),
        NumpyClient(url) as client,
    ):
        for call in (client.health, client.list_arrays, client.sources):
            with pytest.raises(ArraysError, match="no arrays here: are they switched on"):
                call()
        with pytest.raises(ArraysError, match="no rides here"):
            client.rides()
        with pytest.raises(ArraysError, match="no /ws/stream here"):
            client.record("demo", 5.0)


def test_a_token_is_shown_to_both(tmp_path: Path) -> None:
    tokens = {
        "LES02_ACCESS__READ_TOKENS": f'["{READ}"]',
        "LES02_ACCESS__CONTROL_TOKENS": f'["{CONTROL}"]',
    }
    with serving(tmp_path, **tokens) as (_, url):
        with NumpyClient(url) as nobody, pytest.raises(ArraysError, match="token") as refused:
            nobody.list_arrays()
        assert refused.value.status == 401
        with NumpyClient(url) as nobody, pytest.raises(ArraysError, match="token"):
            nobody.record("demo", 5.0)
        with NumpyClient(url, token=READ) as reader:
            assert reader.record("demo", 0.5)[0].size
            with pytest.raises(ArraysError) as refused:
                reader.upload_numpy_array(WAVE)
            assert refused.value.status == 403
        with NumpyClient(url, token=CONTROL) as client:
            client.upload_numpy_array(WAVE)


def test_health_and_sources(client: NumpyClient) -> None:
    index = client.upload_numpy_array(WAVE, "wave")["index"]
    health = client.health()
    assert (health["status"], health["arrays_stored"]) == ("healthy", 1)
    names = [each["source"] for each in client.sources()]
    assert {"demo", "les02.velocity", f"array:{index}"} <= set(names)


def test_a_stored_ride_is_arrays(client: NumpyClient) -> None:
    assert len(client.rides()) >= 4
    assert len(client.rides(limit=1)) == 1
    ride = client.ride(1, samples=True)
    assert ride["time_s"].shape == ride["velocity_mm_s"].shape == ride["position_mm"].shape
    assert 600 < ride["velocity_mm_s"].max() < 660
    assert ride["position_mm"][-1] - ride["position_mm"][0] == pytest.approx(3000, abs=5)
    assert np.diff(ride["master.time_s"]).max() < 0.01
    assert ride["slave.position_mm"].shape == ride["slave.time_s"].shape
    number = client.rides(limit=1)[0]["number"]
    assert client.ride("last").keys() == client.ride(number).keys()


async def test_it_works_where_a_loop_runs_already_as_in_a_notebook(client: NumpyClient) -> None:
    assert client.get_array(client.upload_numpy_array(WAVE)["index"]).shape == (7,)


async def test_the_same_as_coroutines(url: str) -> None:
    async with AsyncNumpyClient(url) as client:
        index = (await client.upload_numpy_array(WAVE))["index"]
        both = await asyncio.gather(client.get_array(index), client.get_array(index, "5:"))
        assert [len(each) for each in both] == [7, 2]
        packets = [data async for data in client.stream(f"array:{index}", window=4, rate=100)]
        assert [data["new"] for data in packets] == [4, 3]
        await client.delete(index)


# Live


async def test_the_demo_comes_as_in_the_seed(client: NumpyClient) -> None:
    told: list[dict[str, Any]] = []

    def handle_data(data: dict[str, Any]) -> None:
        assert np.array(data["y"]).mean() == pytest.approx(0, abs=0.2)
        told.append(data)
        if len(told) == 5:
            client.close()

    async with asyncio.timeout(PATIENCE_S):
        await client.connect_streaming(on_data=handle_data, auto_start=True)
    assert [data["sequence"] for data in told] == list(range(told[0]["sequence"], told[0]["sequence"] + 5))
    assert told[0]["x"].shape == (100,)
    assert told[1]["timestamp"] - told[0]["timestamp"] == pytest.approx(0.1)


@pytest.mark.parametrize("binary", [True, False])
async def test_what_comes_is_the_same_in_binary_and_as_json(client: NumpyClient, binary: bool) -> None:
    index = client.upload_numpy_array(WAVE)["index"]
    told: list[dict[str, Any]] = []
    statuses: list[dict[str, Any]] = []

    async def take(data: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        told.append(data)

    async with asyncio.timeout(PATIENCE_S):
        await client.connect_streaming(
            take, source=f"array:{index}", window=5, rate=50, binary=binary, on_status=statuses.append
        )
    values = np.concatenate([data["y"] for data in told])
    assert np.array_equal(values, WAVE, equal_nan=True)
    assert all(data["y"].dtype == np.float64 for data in told)
    keys = ("type", "source", "sequence", "new", "total", "shape")
    assert [tuple(data[key] for key in keys) for data in told] == [
        ("data", f"array:{index}", 0, 5, 5, [5]),
        ("data", f"array:{index}", 1, 2, 7, [2]),
    ]
    assert statuses[-1]["ended"]


async def test_who_does_not_start_hears_what_others_start(url: str) -> None:
    heard = asyncio.Event()
    async with AsyncNumpyClient(url) as quiet, AsyncNumpyClient(url) as other:
        connected = asyncio.Event()
        hearing = asyncio.create_task(
            quiet.connect_streaming(lambda _: heard.set(), auto_start=False, tell=lambda _: connected.set())
        )
        await asyncio.wait_for(connected.wait(), PATIENCE_S)
        starting = asyncio.create_task(other.connect_streaming(lambda _: None))
        await asyncio.wait_for(heard.wait(), PATIENCE_S)
        await asyncio.gather(quiet.close(), other.close())
        await asyncio.wait_for(asyncio.gather(hearing, starting), PATIENCE_S)


def test_a_source_that_is_none_is_told(client: NumpyClient) -> None:
    with pytest.raises(ArraysError, match=r"unknown source 'les02\.nothing'; known are"):
        client.record("les02.nothing", 5.0)
    with pytest.raises(ArraysError, match="workbench is switched off"):
        client.record("signal:a.B.C", 5.0)


def test_a_recording_has_every_point_once(client: NumpyClient) -> None:
    index = client.upload_numpy_array(np.arange(3000.0))["index"]
    x, y = client.record(f"array:{index}", PATIENCE_S, window=400, rate=50)
    assert x.tolist() == y.tolist() == list(range(3000))
    times, positions = client.record("les02.position", 2.0)
    assert positions.shape == times.shape
    assert times.size > 100
    assert np.diff(times).min() > 0
    assert times[-1] - times[0] == pytest.approx(0.004 * (times.size - 1), rel=0.1)


def test_a_recording_of_nothing_says_why(tmp_path: Path, unused_port: int) -> None:
    with serving(tmp_path) as (_, url), NumpyClient(url) as client:  # no sensor
        with pytest.raises(ArraysError, match=r"les02\.position gives nothing"):
            client.record("les02.position", 2.0)
        with pytest.raises(ArraysError, match=r"nothing has come in 0\.2 s"):
            client.record("les02.position", 0.2)
    with (
        NumpyClient(f"127.0.0.1:{unused_port}") as client,
        pytest.raises(ArraysError, match="cannot connect"),
    ):
        client.record("demo", 0.5)


async def test_it_connects_again_when_the_listener_is_back(tmp_path: Path) -> None:
    packets: list[dict[str, Any]] = []
    lines: list[str] = []
    with serving(tmp_path) as (running, url):
        client = AsyncNumpyClient(url)
        streaming = asyncio.create_task(
            client.connect_streaming(packets.append, source="demo", rate=50, tell=lines.append)
        )
        await until(lambda: packets)
        running.process.kill()
        await until(lambda: any(line.startswith("cannot connect") for line in lines))
    before = len(packets)
    with serving(tmp_path, LES02_API__PORT=url.rpartition(":")[2]):
        await until(lambda: len(packets) > before + 3)
        assert [line.split()[0] for line in lines if "cannot" not in line] == [
            "connected",
            "disconnected:",
            "connected",
        ]
        await client.close()
        await asyncio.wait_for(streaming, PATIENCE_S)
    assert packets[before]["sequence"] == 0


async def test_closing_ends_it_also_while_there_is_no_listener(unused_port: int) -> None:
    with NumpyClient(f"127.0.0.1:{unused_port}") as client:
        lines: list[str] = []
        streaming = asyncio.create_task(client.connect_streaming(lambda _: None, tell=lines.append))
        await until(lambda: lines)
        threading.Thread(target=client.close).start()
        await asyncio.wait_for(streaming, PATIENCE_S)


async def test_what_on_data_raises_ends_it_and_the_connection(url: str) -> None:
    async with AsyncNumpyClient(url) as client:
        with pytest.raises(ZeroDivisionError):
            await client.connect_streaming(lambda _: 1 / 0)
        async with asyncio.timeout(PATIENCE_S):
            while (await client.health())["connections"]:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


# Alone


def test_it_needs_nothing_of_the_daemon() -> None:
    """The heart's packages, numpy and httpx, and of the listener only what belongs to it."""
    code = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in sys.stdlib_module_names and top not in NEEDED:
            raise ModuleNotFoundError(name, name=name)
NEEDED = set("listener numpy httpx httpcore h11 anyio idna certifi sniffio websockets msgspec".split())
NEEDED.add("typing_extensions")
sys.meta_path.insert(0, Hidden())
import listener.arrays.client
import listener.arrays.cli, listener.arrays.cli_commands
for name in sorted(name for name in sys.modules if name.startswith("listener")):
    print(name)
"""
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heart = {name for name in told.stdout.split() if not name.startswith("listener.arrays")}
    assert heart == {"listener", "listener.query", "listener.stop_signals"}
    wing = set(told.stdout.split()) - heart
    ours = {name.removeprefix("listener.arrays.") for name in wing - {"listener.arrays"}}
    assert ours <= {"calls", "client", "live", "notation", "npy", "packets", "pieces"} | TERMINAL


def test_the_command_line_explains_itself_without_numpy() -> None:
    code = "import sys; sys.modules['numpy'] = None; from listener.arrays import cli; sys.exit(cli.main({}))"
    for words, status, err in (
        (["health"], 2, "lesarrays: numpy is missing; needs: pip install 'les02-listener[client]'\n"),
        (["--version"], 0, ""),
    ):
        told = subprocess.run(
            [sys.executable, "-c", code.format(words)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (told.returncode, told.stderr) == (status, err)
