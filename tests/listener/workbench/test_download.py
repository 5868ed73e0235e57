"""Recordings that are downloaded while something happens to them."""

import asyncio
from pathlib import Path

import pytest

from tests.listener.workbench.benches import Running, until

# More than waits in all the buffers between the file and who reads slowly.
LARGE = bytes(range(256)) * 100_000
NAME = "long.log"
PATH = f"/recordings/{NAME}/download"


@pytest.fixture
def recording(bench: Running) -> Path:
    folder = bench.bench.recordings_folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_bytes(LARGE)
    return path


async def test_of_a_recording_that_grows_comes_what_was_in_it_when_it_was_asked_for(
    bench: Running, recording: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench.http.stream("GET", PATH) as answer:
        with recording.open("ab") as file:
            file.write(LARGE)
        content = await answer.aread()
    assert int(answer.headers["content-length"]) == len(LARGE)
    assert answer.headers["content-disposition"] == 'attachment; filename="long.log"'
    assert content == LARGE
    assert [record for record in caplog.records if record.exc_info] == []


async def test_a_recording_that_is_written_can_be_downloaded_meanwhile(bench: Running) -> None:
    await bench.connect("written")
    await bench.post("/recordings/start", {"name": "jetzt, für uns", "format": "asc"})
    await bench.post("/send", {"can_id": 0x55})
    await until((bench.bench.recordings_folder / "jetzt, für uns.asc").exists)
    answer = await bench.http.get("/recordings/jetzt, für uns.asc/download")
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["content-length"])
    called = "attachment; filename*=utf-8''jetzt%2C%20f%C3%BCr%20uns.asc"
    assert answer.headers["content-disposition"] == called
    await bench.post("/recordings/stop")


async def test_a_recording_that_is_deleted_meanwhile_comes_to_its_end(
    bench: Running, recording: Path
) -> None:
    async with bench.http.stream("GET", PATH) as answer:
        assert (await bench.http.delete(f"/recordings/{NAME}")).status_code == 200
        content = await answer.aread()
    assert (content, (await bench.get("/recordings"))["recordings"]) == (LARGE, [])


async def test_a_recording_that_was_deleted_just_now_is_not_there(
    bench: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.bench.recordings, "path", lambda _name: tmp_path / "gone")
    answer = await bench.http.get(PATH)
    assert (answer.status_code, answer.json()) == (404, {"detail": "there is no recording long.log"})


async def test_a_recording_that_cannot_be_read_is_told(
    bench: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.bench.recordings, "path", lambda _name: tmp_path)
    answer = await bench.http.get(PATH)
    assert (answer.status_code, answer.json()) == (503, {"detail": "long.log: Is a directory"})


@pytest.mark.parametrize(
    ("asked", "status", "begin", "end"),
    [
        ("bytes=0-", 206, 0, 10),
        ("bytes=4-", 206, 4, 10),
        ("bytes=4-4", 206, 4, 5),
        ("bytes=4-99", 206, 4, 10),
        ("bytes=-3", 200, 0, 10),
        ("bytes=0-1,4-5", 200, 0, 10),
        ("bytes=5-4", 416, 0, 0),
        ("bytes=10-", 416, 0, 0),
        ("lines=4-", 200, 0, 10),
        ("bytes=" + "9" * 30 + "-", 200, 0, 10),
    ],
)
async def test_who_was_interrupted_gets_the_rest(
    bench: Running, recording: Path, asked: str, status: int, begin: int, end: int
) -> None:
    await asyncio.to_thread(recording.write_bytes, b"0123456789")
    answer = await bench.http.get(PATH, headers={"Range": asked})
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"] == "bytes */10"
        assert answer.json() == {"detail": "long.log has 10 octets"}
        return
    assert answer.content == b"0123456789"[begin:end]
    assert answer.headers.get("content-range") == (f"bytes {begin}-{end - 1}/10" if status == 206 else None)


async def test_who_was_interrupted_gets_the_whole_of_a_recording_that_is_another_by_now(
    bench: Running, recording: Path
) -> None:
    tag = (await bench.http.get(PATH)).headers["etag"]
    rest = {"Range": "bytes=25599990-", "If-Range": tag}
    assert (await bench.http.get(PATH, headers=rest)).content == LARGE[-10:]
    await asyncio.to_thread(recording.write_bytes, b"another")
    answer = await bench.http.get(PATH, headers=rest)
    assert (answer.status_code, answer.content) == (200, b"another")
