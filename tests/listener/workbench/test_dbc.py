"""The library of database files: what is kept, what is loaded, and what hostile files do."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from listener.workbench import dbc, dbc_reading
from listener.workbench.dbc import DatabaseLibrary, DbcError
from listener.workbench.identifiers import identifier
from tests.listener.workbench.databases import BENCH, KCD, SYM, contents, large

MOTOR = identifier(0x100)
BENCH_BYTES = BENCH.encode("cp1252")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dbc"


@pytest.fixture
def library(folder: Path) -> DatabaseLibrary:
    return DatabaseLibrary(folder)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def read(path: Path) -> bytes:
    return path.read_bytes()


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def failure(library: DatabaseLibrary, name: str, content: bytes) -> DbcError:
    with pytest.raises(DbcError) as caught:
        await library.upload(name, content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return caught.value


async def test_a_file_is_kept_loaded_and_decodes(library: DatabaseLibrary, folder: Path) -> None:
    assert await library.open() == []
    codec = library.codec("bench")
    info = await library.upload("bench.dbc", BENCH_BYTES)
    assert (info.name, info.size, info.buses, info.message_count) == ("bench.dbc", len(BENCH_BYTES), (), 5)
    assert codec.decode(MOTOR, bytes(8)) is None

    info = await library.load("bench", "bench.dbc")

    assert info.buses == ("bench",)
    decoded = codec.decode(MOTOR, bytes(8))
    assert decoded is not None
    assert decoded["signals"]["Temperature"]["unit"] == "°C"
    assert (folder / "bench.dbc").read_bytes() == BENCH_BYTES
    assert library.loaded("bench") == (info,)
    assert library.loaded("other") == ()
    assert not library.codec("other")


async def test_what_was_just_uploaded_is_not_read_again(
    library: DatabaseLibrary, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.upload("bench.dbc", BENCH_BYTES)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    await library.load("one", "bench.dbc")
    put(folder / "bench.dbc", BENCH_BYTES + b"\n")
    with pytest.raises(DbcError, match="its reader ended with 1"):
        await library.load("one", "bench.dbc")


async def test_what_is_loaded_is_remembered(library: DatabaseLibrary, folder: Path) -> None:
    await library.upload("bench.dbc", BENCH_BYTES)
    await library.upload("oil.kcd", KCD.encode())
    await library.upload("valve.SYM", SYM.encode())
    await library.load("one", "oil.kcd")
    await library.load("one", "bench.dbc")
    await library.load("two", "valve.SYM")
    again = DatabaseLibrary(folder)
    codec = again.codec("one")

    assert await again.open() == []
    assert [info.name for info in again.loaded("one")] == ["oil.kcd", "bench.dbc"]
    assert [info.name for info in again.loaded("two")] == ["valve.SYM"]
    assert (codec.name_of(MOTOR), codec.name_of(identifier(0x321))) == ("Motor", "Pressure")
    assert codec.name_of(identifier(0x123)) is None


async def test_what_is_unloaded_decodes_no_more(library: DatabaseLibrary, folder: Path) -> None:
    await library.upload("bench.dbc", BENCH_BYTES)
    await library.load("one", "bench.dbc")
    await library.load("two", "bench.dbc")

    await library.unload("one", "bench.dbc")

    assert (library.codec("one").name_of(MOTOR), library.codec("two").name_of(MOTOR)) == (None, "Motor")
    with pytest.raises(DbcError, match=r"bench\.dbc is not loaded for one"):
        await library.unload("one", "bench.dbc")
    again = DatabaseLibrary(folder)
    await again.open()
    assert (again.loaded("one"), len(again.loaded("two"))) == ((), 1)


async def test_what_is_deleted_is_unloaded_everywhere(library: DatabaseLibrary, folder: Path) -> None:
    await library.upload("bench.dbc", BENCH_BYTES)
    await library.load("one", "bench.dbc")
    await library.delete("bench.dbc")

    assert not library.codec("one")
    assert (await library.list(), library.loaded("one")) == ([], ())
    assert not (folder / "bench.dbc").exists()
    with pytest.raises(DbcError) as caught:
        await library.delete("bench.dbc")
    assert caught.value.kind == "not_found"


async def test_a_new_version_of_a_loaded_file_speaks_at_once(library: DatabaseLibrary) -> None:
    await library.upload("bench.dbc", BENCH_BYTES)
    await library.load("one", "bench.dbc")
    await library.upload("bench.dbc", BENCH_BYTES.replace(b"Motor", b"Engine"))

    assert library.codec("one").name_of(MOTOR) == "Engine"


async def test_a_broken_version_leaves_the_old_one(library: DatabaseLibrary, folder: Path) -> None:
    await library.upload("bench.dbc", BENCH_BYTES)
    await library.load("one", "bench.dbc")
    error = await failure(library, "bench.dbc", b"hallo")

    assert error.kind == "broken"
    assert library.codec("one").name_of(MOTOR) == "Motor"
    assert (folder / "bench.dbc").read_bytes() == BENCH_BYTES


async def test_files_that_somebody_put_into_the_folder_are_there(
    library: DatabaseLibrary, folder: Path
) -> None:
    (folder / "maker").mkdir(parents=True)
    (folder / "maker" / "a.dbc").write_bytes(BENCH_BYTES)
    (folder / "notes.txt").write_text("no database")
    (folder / ".hidden.dbc").write_bytes(BENCH_BYTES)

    assert [(info.name, info.message_count) for info in await library.list()] == [("maker/a.dbc", None)]
    await library.load("one", "maker//a.dbc")
    assert library.codec("one").name_of(MOTOR) == "Motor"
    assert [info.name for info in library.loaded("one")] == ["maker/a.dbc"]


async def test_signals_that_overlap_are_read_and_told(library: DatabaseLibrary) -> None:
    text = 'BO_ 5 M: 8 A\n SG_ S : 0|8@1+ (1,0) [0|0] "" A\n SG_ T : 4|8@1+ (1,0) [0|0] "" A'
    info = await library.upload("a.dbc", text.encode())

    assert (info.message_count, info.warning) == (1, "The signals T and S are overlapping in message M.")


async def test_a_file_from_windows_may_be_utf_16(library: DatabaseLibrary) -> None:
    await library.upload("a.dbc", BENCH.encode("utf-16"))
    await library.load("one", "a.dbc")

    assert library.codec("one").name_of(MOTOR) == "Motor"


# What is not there any more at the start


async def test_a_file_that_has_gone_is_told_and_stays_in_the_list(
    library: DatabaseLibrary, folder: Path
) -> None:
    await library.upload("bench.dbc", BENCH_BYTES)
    await library.load("one", "bench.dbc")
    (folder / "bench.dbc").unlink()
    again = DatabaseLibrary(folder)

    assert await again.open() == ["there is no file bench.dbc"]
    (info,) = again.loaded("one")
    assert (info.name, info.message_count, info.warning) == ("bench.dbc", None, "there is no file bench.dbc")
    await again.upload("bench.dbc", BENCH_BYTES)
    assert again.codec("one").name_of(MOTOR) == "Motor"
    await again.unload("one", "bench.dbc")
    assert again.loaded("one") == ()


@pytest.mark.parametrize(
    "content", [b"", b"\0\1", b"[]", b'{"buses": {"one": "bench.dbc"}}', b'{"buses": {"one": [1]}}']
)
async def test_a_broken_memory_is_told_and_forgotten(
    library: DatabaseLibrary, folder: Path, content: bytes
) -> None:
    put(folder / dbc.STATE_FILE, content)

    (problem,) = await library.open()
    assert str(folder / dbc.STATE_FILE) in problem
    await library.upload("bench.dbc", BENCH_BYTES)
    await library.load("one", "bench.dbc")
    assert json.loads((folder / dbc.STATE_FILE).read_text()) == {"buses": {"one": ["bench.dbc"]}}


async def test_a_memory_of_files_elsewhere_is_not_followed(library: DatabaseLibrary, folder: Path) -> None:
    put(folder.parent / "secret.dbc", BENCH_BYTES)
    put(folder / dbc.STATE_FILE, b'{"buses": {"one": ["../secret.dbc", "/etc/passwd"]}}')

    assert await library.open() == []
    assert library.loaded("one") == ()


# Names

BAD_NAMES = [
    "",
    ".",
    "..",
    "../a.dbc",
    "/etc/passwd",
    "/a.dbc",
    "b/../../a.dbc",
    "a\0.dbc",
    "a\n.dbc",
    "..\\a.dbc",
    "C:\\a.dbc",
    ".hidden.dbc",
    ".loaded.json",
    "a.txt",
    "a",
    "a.dbc/",
    "x" * 300 + ".dbc",
    "\ud800.dbc",
]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_only_a_plain_name_can_be_uploaded(library: DatabaseLibrary, folder: Path, name: str) -> None:
    error = await failure(library, name, BENCH_BYTES)

    assert error.kind == "bad_name"
    str(error).encode()
    assert await library.list() == []


@pytest.mark.parametrize("name", [name for name in BAD_NAMES if name != "a.dbc/"])
async def test_nothing_outside_the_folder_is_loaded_or_deleted(
    library: DatabaseLibrary, folder: Path, name: str
) -> None:
    (folder / "b").mkdir(parents=True)
    outside = folder.parent / "a.dbc"
    outside.write_bytes(BENCH_BYTES)
    for action in (library.load("one", name), library.delete(name), library.unload("one", name)):
        with pytest.raises(DbcError) as caught:
            await action
        assert caught.value.kind == "bad_name"
    assert outside.exists()


@pytest.fixture
def links(folder: Path) -> Path:
    """A folder with links; returns the file outside to which they lead."""
    outside = put(folder.parent / "a.dbc", BENCH_BYTES)
    folder.mkdir()
    (folder / "link.dbc").symlink_to(outside)
    (folder / "up").symlink_to(folder.parent)
    (folder / "circle.dbc").symlink_to(folder / "circle.dbc")
    os.mkfifo(folder / "pipe.dbc")
    return outside


async def test_a_link_out_of_the_folder_leads_nowhere(library: DatabaseLibrary, links: Path) -> None:
    for name in ("link.dbc", "up/a.dbc", "circle.dbc", "pipe.dbc"):
        with pytest.raises(DbcError) as caught:
            await library.load("one", name)
        assert caught.value.kind == "not_found"
        with pytest.raises(DbcError):
            await library.delete(name)
    assert await library.list() == []
    await library.upload("link.dbc", BENCH_BYTES.replace(b"Motor", b"Engine"))
    assert read(links) == BENCH_BYTES


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_below_the_folder_or_an_error(tmp_path: Path, name: str) -> None:
    async def load() -> None:
        with pytest.raises(DbcError):
            await DatabaseLibrary(tmp_path).load("one", name)

    asyncio.run(load())


# Hostile content


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.dbc", b"", "a.dbc: it is empty"),
        ("a.dbc", b" \r\n\t", "a.dbc: it is empty"),
        ("a.dbc", bytes(range(256)) * 100, "a.dbc: it is no text: there is a zero at octet 0"),
        ("a.kcd", b"\x89PNG\r\n\x1a\n", "a.kcd: it is not UTF-8: invalid start byte at octet 0"),
        ("a.dbc", b"hallo", 'a.dbc: Invalid syntax at line 1, column 1: ">>!<<hallo'),
        ("a.sym", b"hallo", "a.sym: Only SYM version 6.0 is supported."),
        ("a.arxml", b"<wat/>", "a.arxml: No XML namespace specified or illegal root tag name 'wat'"),
        ("a.kcd", b"<wat", "a.kcd: unclosed token: line 1, column 0"),
        ("a.dbc", b"BO_ 1 M: 1786 A", "a.dbc: message M: a length of 1786 octets"),
        ("a.dbc", b"BO_ 99999999999999999999 M: 8 A", "a.dbc: Standard frame id 0x"),
    ],
)  # fmt: skip
async def test_a_broken_file_is_refused_with_a_reason(
    library: DatabaseLibrary, folder: Path, name: str, content: bytes, reason: str
) -> None:
    error = await failure(library, name, content)

    assert error.kind == "broken"
    assert str(error).startswith(reason)
    assert await library.list() == []


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        ("0|8@1+ (1e999,0) [0|0]", "message M: signal S: scale is not a finite number"),
        ("0|8@1+ (1,-1e999) [0|0]", "message M: signal S: offset is not a finite number"),
        ("0|0@1+ (1,0) [0|0]", "The signal S length 0 is not greater than 0 in message M"),
        ("20000|8@1+ (1,0) [0|0]", "message M: signal S: starts at bit 20000"),
        ("0|6000@1+ (1,0) [0|0]", "message M: signal S: a length of 6000 bits"),
        ('0|8@1+ (1,0) [0|0] "" A\nSIG_VALTYPE_ 1 S : 1;', "message M: signal S: a float of 8 bits"),
    ],
)
def test_a_signal_that_cannot_be_is_refused(signal: str, reason: str) -> None:
    text = f"BO_ 1 M: 800 A\n SG_ S : {signal}"
    with pytest.raises(dbc_reading.Refused, match=re.escape(reason)):
        contents(text if "VALTYPE" in text else f'{text} "" A')


async def test_more_than_ten_megabytes_are_refused_unread(library: DatabaseLibrary, folder: Path) -> None:
    error = await failure(library, "a.dbc", b" " * 10_000_001)
    assert error.kind == "too_large"
    put(folder / "b.dbc", b" " * 10_000_001)
    with pytest.raises(DbcError) as caught:
        await library.load("one", "b.dbc")
    assert caught.value.kind == "too_large"


BILLION_LAUGHS = "".join(
    [
        '<?xml version="1.0"?><!DOCTYPE n [<!ENTITY a "aaaaaaaaaa">',
        *(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(10)),
        "]><NetworkDefinition>&k;</NetworkDefinition>",
    ]
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.dbc", b'BO_ 1 M: 8 A\n SG_ S M : 0|8@1+ (1,0) [0|0] "" A\n SG_ T m0 : 8|8@1+ (1,0) [0|0] "" A\n'
                  b"SG_MUL_VAL_ 1 T S 0-4000000000;"),
        ("a.kcd", BILLION_LAUGHS.encode()),
        ("a.kcd", b"<a>" * 200_000),
        ("a.dbc", b"(" * 1_000_000),
    ],
)  # fmt: skip
async def test_a_bomb_is_an_error(library: DatabaseLibrary, name: str, content: bytes) -> None:
    error = await failure(library, name, content)

    assert error.kind == "broken"


async def test_a_file_that_takes_too_long_is_given_up_and_its_reader_ended(folder: Path) -> None:
    library = DatabaseLibrary(folder, reading_s=0.3)
    begun = time.monotonic()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        error = await failure(library, "a.dbc", large(15_000).encode())
        counting.cancel()

    assert str(error) == "a.dbc: it takes more than 0.3 s to read; see [workbench] dbc_reading_s"
    assert time.monotonic() - begun < 10
    assert turns > 5  # the loop went on meanwhile
    assert children() == []


async def test_who_gives_up_ends_the_reader(folder: Path) -> None:
    library = DatabaseLibrary(folder)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await library.upload("a.dbc", large(15_000).encode())

    assert children() == []
    await library.upload("bench.dbc", BENCH_BYTES)  # and the next has its turn


def children() -> list[str]:
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    numbers = task.read_text().split()
    return [number for number in numbers if "dbc_reading" in Path(f"/proc/{number}/cmdline").read_text()]


async def test_a_reader_that_is_killed_is_an_error(
    library: DatabaseLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    error = await failure(library, "a.dbc", BENCH_BYTES)

    assert str(error) == "a.dbc: its reader ended with 1"


async def test_a_reader_that_has_no_memory_left_to_say_so_is_told_in_one_line(
    library: DatabaseLibrary, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = folder.parent / "reader"
    reader.write_text("#!/bin/sh\necho Traceback, MemoryError: >&2\nprintf '%2000s' >&2\nexit 1\n")
    reader.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(reader))
    error = await failure(library, "a.dbc", BENCH_BYTES)

    assert str(error) == f"a.dbc: {dbc_reading.TOO_MUCH_MEMORY}"


def test_the_reading_process_is_bounded_by_itself() -> None:
    code = (
        "import resource, listener.workbench.dbc_reading as reading; reading.main();"
        "print(resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CPU))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "dbc"], input=BENCH_BYTES, capture_output=True, check=True
    )
    memory, cpu = (str((limit, limit)) for limit in (dbc_reading.MEMORY_BYTES, dbc_reading.CPU_S))

    assert result.stdout.endswith(f"{memory} {cpu}\n".encode())


def test_too_many_values_of_multiplexers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbc_reading, "MULTIPLEXER_IDS_MAX", 2)
    with pytest.raises(dbc_reading.Refused, match="more than 2 values of multiplexers"):
        contents(BENCH)


def test_too_many_messages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbc_reading, "MESSAGES_MAX", 10)
    with pytest.raises(dbc_reading.Refused, match="11 messages with 22 signals; 10 messages and"):
        contents(large(11, 2))


async def test_what_all_files_hold_together_is_bounded(
    library: DatabaseLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.upload("a.dbc", BENCH_BYTES)
    await library.upload("b.dbc", BENCH_BYTES)
    await library.load("one", "a.dbc")
    monkeypatch.setattr(dbc, "SIGNALS_MAX", 20)
    with pytest.raises(DbcError) as caught:
        await library.load("one", "b.dbc")
    assert caught.value.kind == "too_many"
    monkeypatch.setattr(dbc, "FILES_MAX", 2)
    assert (await failure(library, "c.dbc", BENCH_BYTES)).kind == "too_many"
    await library.upload("b.dbc", BENCH_BYTES)
    monkeypatch.setattr(dbc, "SIGNALS_MAX", 1000)
    monkeypatch.setattr(dbc, "LOADED_MAX", 1)
    with pytest.raises(DbcError, match="1 files are loaded already"):
        await library.load("two", "b.dbc")


async def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "file", b"")
    library = DatabaseLibrary(tmp_path / "file" / "dbc")

    error = await failure(library, "a.dbc", BENCH_BYTES)

    assert (error.kind, str(error)) == ("cannot_write", "a.dbc: Not a directory")


async def test_what_cannot_be_remembered_is_not_told_as_loaded(
    library: DatabaseLibrary, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.upload("a.dbc", BENCH_BYTES)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("listener.workbench.folders.os.fsync", full)
    for action in (library.load("one", "a.dbc"), library.upload("a.dbc", BENCH_BYTES + b"\n")):
        with pytest.raises(DbcError, match="No space left on device") as caught:
            await action
        assert caught.value.kind == "cannot_write"
    assert (library.loaded("one"), bool(library.codec("one"))) == ((), False)
    assert read(folder / "a.dbc") == BENCH_BYTES
    assert [info.name for info in await library.list()] == ["a.dbc"]
    assert len(entries(folder)) == 1  # and nothing half-written


def test_the_daemon_never_loads_cantools() -> None:
    code = "import sys, listener.workbench.dbc; print('cantools' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "False\n"


async def test_five_hundred_messages_are_loaded(library: DatabaseLibrary) -> None:
    begun = time.monotonic()
    await library.upload("large.dbc", large(500).encode())
    info = await library.load("one", "large.dbc")

    assert time.monotonic() - begun < 3.0  # under a second on a computer of a bench; here others are at work
    assert info.message_count == 500
    assert library.codec("one").name_of(identifier(499, True)) == "M499"
