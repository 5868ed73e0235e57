"""Arrays over real HTTP, as the field's clients know it, and without the field's faults."""

import asyncio
import contextlib
import math
import os
import pickle
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from listener.access import Access
from listener.arrays import upload
from tests.listener.arrays.benches import CONTROL, READ, Running, array_of, octets_of, running, until

HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.npy"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"
KIND = {"Content-Type": "multipart/form-data; boundary=x"}


def trouble(answer: httpx.Response, status: int) -> str:
    body = answer.json()
    assert answer.status_code == status, body
    assert body.keys() == {"status", "message", "detail"}
    assert body["status"] == "error"
    return str(body["message"])


async def test_the_words_are_those_of_the_field(bench: Running) -> None:
    answer = await bench.upload(np.zeros((100, 50)), "küche.npy")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "success", "shape": [100, 50], "dtype": "float64", "index": 0, "name": "küche.npy"},
    )
    await bench.upload(np.array([1, 2], np.int16))
    listed = (await bench.http.get("/arrays")).json()
    assert listed["count"] == 2
    assert [(each["index"], each["shape"], each["dtype"]) for each in listed["arrays"]] == [
        (0, [100, 50], "float64"),
        (1, [2], "int16"),
    ]
    assert listed["octets"] == sum(each["octets"] for each in listed["arrays"]) == 40128 + 132
    assert (await bench.http.get("/array/1")).json() == {"shape": [2], "dtype": "int16", "data": [1, 2]}
    for index in (2, -1, 10**30):
        assert trouble(await bench.http.get(f"/array/{index}"), 404) == "Array not found"
    assert (await bench.http.get("/array/first")).status_code == 422
    missing = await bench.http.post("/upload", files={"other": b"x"})
    assert (missing.status_code, missing.json()["detail"][0]["loc"]) == (422, ["body", "file"])
    assert (await bench.http.post("/upload")).status_code == 422
    for word, streaming in (("start", True), ("start", True), ("stop", False), ("stop", False)):
        told = (await bench.http.post(f"/control/{word}")).json()
        assert told == {"status": f"streaming {'started' if streaming else 'stopped'}"}
        health = (await bench.http.get("/health")).json()
        assert health == {
            "status": "healthy",
            "streaming": streaming,
            "connections": 0,
            "arrays_stored": 2,
        }


async def test_a_name_may_be_given_and_changed_and_an_array_deleted(bench: Running) -> None:
    files = {"file": ("a.npy", octets_of(np.arange(3)))}
    answer = await bench.http.post("/upload", files=files, data={"name": "Ventil 7"})
    assert answer.json()["name"] == "Ventil 7"
    answer = await bench.http.patch("/array/0", json={"name": "Ventil 8"})
    assert answer.json()["name"] == "Ventil 8"
    assert (await bench.http.patch("/array/0", json={"name": "x" * 201})).status_code == 422
    assert trouble(await bench.http.patch("/array/1", json={"name": "x"}), 404) == "Array not found"
    assert (await bench.http.delete("/array/0")).json() == {"status": "success", "index": 0}
    assert trouble(await bench.http.delete("/array/0"), 404) == "Array not found"
    assert bench.files() == set()


ARRAY = np.arange(24.0).reshape(6, 4)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ("0:2", slice(0, 2)),
        ("-2:", slice(-2, None)),
        ("::-1", slice(None, None, -1)),
        ("1::2", slice(1, None, 2)),
        (":", slice(None)),
        ("5:999999999999", slice(5, None)),
        ("9:1", slice(0, 0)),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
async def test_a_part_of_the_rows_is_a_slice(bench: Running, rows: str, wanted: slice, order: Any) -> None:
    await bench.upload(np.asarray(ARRAY, order=order))
    told = (await bench.http.get("/array/0", params={"rows": rows})).json()
    assert told == {"shape": list(ARRAY[wanted].shape), "dtype": "float64", "data": ARRAY[wanted].tolist()}
    answer = await bench.http.get("/array/0", params={"rows": rows, "format": "npy"})
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert np.array_equal(array_of(answer.content), ARRAY[wanted])


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 2), (0, 4), (6, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
async def test_so_is_a_part_of_the_columns_with_or_without_one_of_the_rows(
    bench: Running, shape: tuple[int, ...], order: Any
) -> None:
    array = np.asarray(np.arange(math.prod(shape), dtype=">i4").reshape(shape), order=order)
    await bench.upload(array)
    for query, wanted in (("cols=1:3", array[:, 1:3]), ("rows=::-2&cols=::2", array[::-2, ::2])):
        told = (await bench.http.get(f"/array/0?{query}")).json()
        assert (told["shape"], told["data"]) == (list(wanted.shape), wanted.tolist())
        answer = await bench.http.get(f"/array/0?{query}&format=npy")
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert np.array_equal(array_of(answer.content), wanted)
    assert (await bench.http.get("/array/0?cols=3&rows=:1&format=csv")).status_code == 422
    if len(shape) == 2:
        table = (await bench.http.get("/array/0?cols=3:&format=csv")).text.split()
        assert table == [str(row[3]) for row in array if shape[1]]


@pytest.mark.parametrize("part", ["1", "a:b", "::0", "0:1:2:3", ":" * 70, "١:٢"])
@pytest.mark.parametrize("axis", ["rows", "cols"])
async def test_what_is_no_slice_is_told(bench: Running, axis: str, part: str) -> None:
    await bench.upload(ARRAY)
    answer = await bench.http.get("/array/0", params={axis: part})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", axis])


async def test_what_has_no_rows_or_columns_has_no_part_of_them(bench: Running) -> None:
    await bench.upload(np.array(7.5))
    await bench.upload(np.zeros(3))
    for query in ("0?rows=0:1", "0?cols=0:1", "1?cols=0:1", "1?rows=:&cols=:"):
        for kind in ("json", "npy", "csv"):
            assert (await bench.http.get(f"/array/{query}&format={kind}")).status_code == 422
    assert (await bench.http.get("/array/0")).json()["data"] == 7.5


async def test_npy_is_what_was_uploaded_also_in_parts(bench: Running) -> None:
    octets = octets_of(np.asfortranarray(ARRAY))
    await bench.put(octets)
    answer = await bench.http.get("/array/0?format=npy")
    assert answer.content == octets
    assert answer.headers["content-disposition"] == 'attachment; filename="array-0.npy"'
    part = await bench.http.get("/array/0?format=npy", headers={"Range": "bytes=128-135"})
    assert (part.status_code, part.content) == (206, octets[128:136])
    assert trouble(await bench.http.get("/array/1?format=npy"), 404) == "Array not found"


@pytest.mark.parametrize(
    ("array", "lines"),
    [
        (np.array(2.5), ["2.5"]),
        (np.array([1.0, np.nan]), ["1.0", "NaN"]),
        (np.array([1 + 2j]), ['"[1.0,2.0]"']),
        (np.array([[1, 2], [3, 4]]), ["1,2", "3,4"]),
        (np.array([True]), ["true"]),
        (np.array(["a,b", 'c"']), ['"a,b"', '"c"""']),
        (np.array([(1, "x")], [("i", "i4"), ("t", "U1")]), ["i,t", "1,x"]),
        (np.zeros((0, 3)), []),
        (np.zeros((2, 0)), ["", ""]),
    ],
)
async def test_csv_is_a_table(bench: Running, array: Any, lines: list[str]) -> None:
    await bench.upload(array)
    answer = await bench.http.get("/array/0?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines() == lines


@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 20_000)])
async def test_what_is_no_table_is_told(bench: Running, shape: tuple[int, ...]) -> None:
    await bench.upload(np.zeros(shape, np.int8))
    answer = await bench.http.get("/array/0?format=csv")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "format"])


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "not a .npy file"),
        (b"PK\x03\x04" + bytes(100), "a zip file, perhaps .npz: upload its arrays one by one, each as .npy"),
        (pickle.dumps({"a": 1}), "a pickle, which is never read"),
        (octets_of(np.arange(9.0))[:-8], "its header promises 72 octets of data, there are 64"),
        (octets_of(np.arange(9.0)) + b"x", "its header promises 72 octets of data, there are 73"),
        (bytes(5 * 1024 * 1024), "not a .npy file"),
    ],
)
async def test_what_is_no_array_is_refused_with_the_reason(
    bench: Running, octets: bytes, reason: str
) -> None:
    assert trouble(await bench.put(octets), 400) == reason
    assert bench.files() == set()
    assert (await bench.http.get("/arrays")).json()["count"] == 0
    assert (await bench.upload(np.arange(2))).json()["index"] == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (HEAD + octets_of(np.arange(3)), "the multipart body ends in the middle"),
        (b"no boundary at all", "the multipart body cannot be read"),
        (HEAD + b"1\r\n" + HEAD + b"2" + TAIL, "one file at a time, please"),
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + bytes(9999) + TAIL,
            "the part 'a' is too",
        ),
        (b"--x\r\nA: b\r\n\r\n1\r\n" * 20 + b"--x--\r\n", "more than 16 parts"),
    ],
)
async def test_a_body_that_is_odd_is_refused_with_the_reason(
    bench: Running, body: bytes, reason: str
) -> None:
    answer = await bench.http.post("/upload", content=body, headers=KIND)
    assert trouble(answer, 400).startswith(reason)
    assert bench.files() == set()


async def test_one_array_and_all_of_them_have_a_limit(tmp_path: Path, logs: object) -> None:
    async with running(tmp_path, max_bytes=300_000, max_total_bytes=500_000) as bench:
        assert trouble(await bench.upload(np.zeros(300_000, np.int8)), 413).startswith("more than 300000")
        assert (await bench.upload(np.zeros(299_000, np.int8))).status_code == 200
        assert "max_total_bytes" in trouble(await bench.upload(np.zeros(299_000, np.int8)), 507)
        assert trouble(await bench.put(bytes(2_000_000)), 413).startswith("more than 300000")
        assert len(bench.files()) == 2


async def test_a_full_disk_is_told_and_leaves_nothing(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert trouble(await bench.upload(np.arange(3)), 507) == "the disk is full"
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert trouble(await bench.upload(np.arange(3)), 503) == "the disk cannot be used: Input/output error"
    assert bench.files() == set()


async def test_a_connection_that_is_cut_in_the_middle_leaves_nothing(bench: Running) -> None:
    octets = octets_of(np.zeros(4 * 1024 * 1024, np.int8))
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.api.port)
    length = len(HEAD) + len(octets) + len(TAIL)
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
    writer.write(head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + HEAD)
    writer.write(octets[: 3 * 1024 * 1024])
    await writer.drain()
    part = bench.folder / "arrays" / "incoming-1.part"
    await until(lambda: part.exists() and part.stat().st_size >= 2 * 1024 * 1024)
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await reader.read()
    await until(lambda: not bench.files())
    assert (await bench.upload(np.arange(2))).json()["index"] == 0


async def test_who_sends_nothing_any_more_is_given_up(
    bench: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> Any:
        yield HEAD
        await asyncio.Event().wait()

    with pytest.raises(upload.UploadError) as given_up:
        await upload.receive(body(), KIND["Content-Type"], bench.wing.library, stall_s=0.01)
    assert given_up.value.kind == "stalled"
    assert bench.files() == set()


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_body_may_come_in_any_pieces(bench: Running, size: int) -> None:
    array = np.arange(100.0)
    body = HEAD + octets_of(array) + TAIL

    async def pieces() -> Any:
        for begin in range(0, len(body), size):
            yield body[begin : begin + size]

    entry = await upload.receive(pieces(), KIND["Content-Type"], bench.wing.library)
    with bench.wing.library.opened(entry.index) as found:
        assert np.array_equal(found.array, array)


async def test_who_may_only_read_changes_nothing(tmp_path: Path, logs: object) -> None:
    async with running(tmp_path, access=Access((READ,), (CONTROL,))) as bench:
        assert (await bench.http.get("/arrays")).status_code == 401
        bench.http.headers["Authorization"] = f"Bearer {CONTROL}"
        await bench.upload(np.arange(3))
        bench.http.headers["Authorization"] = f"Bearer {READ}"
        assert (await bench.http.get("/array/0")).json()["data"] == [0, 1, 2]
        for answer in (
            await bench.upload(np.arange(3)),
            await bench.http.patch("/array/0", json={"name": "x"}),
            await bench.http.delete("/array/0"),
        ):
            assert answer.status_code == 403
        assert (await bench.http.post("/control/start")).status_code == 200
        assert len(bench.files()) == 2


async def test_a_larger_body_is_taken_there_alone(tmp_path: Path, logs: object) -> None:
    async with running(tmp_path, max_bytes=80 * 1024 * 1024) as bench:
        octets = octets_of(np.zeros(70 * 1024 * 1024, np.int8))
        assert (await bench.put(octets)).status_code == 200
        assert (await bench.http.post("/arrays", files={"file": octets})).status_code in {405, 413}


async def test_the_document_describes_them(bench: Running) -> None:
    document = (await bench.http.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
    body = document["paths"]["/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert body["schema"]["properties"]["file"]["format"] == "binary"
