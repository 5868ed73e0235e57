"""Arrays on the disk: their numbers, their limits, and nothing left behind."""

import contextlib
import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from listener.arrays.library import ArrayError, Entry, Library

MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "arrays"


def opened(folder: Path, **settings: Any) -> Library:
    library = Library(folder, **{"most": MIB, "most_in_all": 2 * MIB, "free_min": 0, **settings})
    library.open()
    return library


def octets_of(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def put(library: Library, array: Any, name: str = "") -> Entry:
    with library.incoming() as incoming:
        incoming.write(octets_of(array))
        return incoming.finish(name)


def bring(library: Library, *pieces: bytes) -> None:
    with library.incoming() as incoming:
        for number, piece in enumerate(pieces):
            if number == 1:
                incoming.look()
            incoming.write(piece)
        incoming.finish("x")


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"next_index"}


def test_an_array_keeps_its_number_and_that_of_a_deleted_one_is_never_given_again(folder: Path) -> None:
    library = opened(folder)
    assert [put(library, np.arange(n), f"n{n}").index for n in range(3)] == [0, 1, 2]
    library.delete(0)
    library.delete(2)
    library = opened(folder)
    assert [(entry.index, entry.name) for entry in library.entries] == [(1, "n1")]
    assert put(library, np.arange(4)).index == 3
    library.delete(3)
    assert put(opened(folder), np.arange(4)).index == 4
    with pytest.raises(ArrayError, match="Array not found"):
        library.find(0)
    with pytest.raises(ArrayError, match="Array not found"):
        library.opened(-1)


def test_what_was_put_in_comes_out_and_its_name_may_change(folder: Path) -> None:
    array = np.asfortranarray(np.random.default_rng(1).normal(size=(7, 3)))
    library = opened(folder)
    put(library, array, "before")
    library.rename(0, "after")
    for each in (library, opened(folder)):
        with each.opened(0) as found:
            assert np.array_equal(found.array, array)
            assert found.array.flags.f_contiguous
            found.forget()
            assert np.array_equal(found.array, array)
        assert each.find(0).name == "after"


def test_who_reads_one_that_is_deleted_reads_it_to_its_end(folder: Path) -> None:
    library = opened(folder)
    put(library, np.arange(1000))
    with library.opened(0) as found:
        library.delete(0)
        assert found.array.sum() == 499_500
    assert files(folder) == set()


@pytest.mark.parametrize("octets", [b"", b"PK\x03\x04", octets_of(np.arange(9))[:-1]])
def test_what_is_no_array_leaves_nothing_behind_and_takes_no_number(folder: Path, octets: bytes) -> None:
    library = opened(folder)
    with pytest.raises(ArrayError) as refused:
        bring(library, octets)
    assert refused.value.kind == "not_an_array"
    assert files(folder) == set()
    assert put(library, np.arange(3)).index == 0


def test_a_lie_is_found_before_its_end(folder: Path) -> None:
    library = opened(folder)
    octets = octets_of(np.arange(9))
    with pytest.raises(ArrayError, match="more than the 200 octets it promises"):
        bring(library, octets[:150], octets[150:] + b"more", b"and more")
    promising = octets_of(np.zeros(0)).replace(b"(0,)", b"(9999999,)").replace(b" " * 6 + b"\n", b"\n")
    with pytest.raises(ArrayError, match="max_bytes"):
        bring(library, promising, bytes(9))
    assert files(folder) == set()


def test_one_and_all_have_a_limit_and_what_is_refused_gives_its_room_back(folder: Path) -> None:
    library = opened(folder)
    for _ in range(3):
        with pytest.raises(ArrayError) as refused, library.incoming() as incoming:
            incoming.write(bytes(MIB + 1))
        assert refused.value.kind == "too_large"
    half = np.zeros(MIB // 2, np.uint8)
    for _ in range(3):
        put(library, half)
    with pytest.raises(ArrayError) as refused:
        put(library, half)
    assert refused.value.kind == "full"
    library.delete(1)
    assert put(library, half).index == 3
    assert opened(folder).octets == library.octets == 3 * (MIB // 2 + 128)


def test_those_that_come_at_the_same_time_share_the_room(folder: Path) -> None:
    library = opened(folder)
    with library.incoming() as one, library.incoming() as other:
        one.write(bytes(MIB))
        other.write(bytes(MIB))
        with pytest.raises(ArrayError, match="max_total_bytes"), library.incoming() as third:
            third.write(b"x")


def test_some_of_the_disk_stays_free_for_the_rides(folder: Path) -> None:
    library = opened(folder, free_min=2**62)
    with pytest.raises(ArrayError) as refused:
        put(library, np.arange(3))
    assert refused.value.kind == "full"
    assert files(folder) == set()


def test_a_disk_that_is_full_at_last_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = opened(folder)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            put(library, np.arange(3))
    assert files(folder) == set()
    assert put(library, np.arange(3)).index == 0


def test_at_the_start_what_is_half_is_swept_and_what_is_broken_stays_and_is_told(folder: Path) -> None:
    put(opened(folder), np.arange(3), "good")
    (folder / "incoming-7.part").write_bytes(b"half")
    (folder / "00000004.json").write_text("{}")
    (folder / "00000005.npy").write_bytes(b"broken")
    (folder / "notes.npy").write_bytes(b"somebody's")
    (folder / "9.npy").write_bytes(octets_of(np.arange(2)))
    (folder / "00000000.json").write_bytes(b"\xff{")
    (folder / "next_index").write_text("nonsense")
    with capture_logs() as logs:
        library = opened(folder)
    assert [(entry.index, entry.name) for entry in library.entries] == [(0, "")]
    assert [line["event"] for line in logs] == ["array_not_read"]
    assert files(folder) == {"00000000.npy", "00000000.json", "00000005.npy", "notes.npy", "9.npy"}
    assert put(library, np.arange(3)).index == 6


def test_many_at_once_have_numbers_of_their_own(folder: Path) -> None:
    library = opened(folder)
    found: list[int] = []

    def work() -> None:
        for _ in range(10):
            entry = put(library, np.arange(10))
            found.append(entry.index)
            with contextlib.suppress(ArrayError):
                library.delete(entry.index - 3)
            assert library.octets >= 0
            assert library.entries

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(40))


def test_who_gives_up_waits_for_the_thread_that_still_writes(folder: Path) -> None:
    library = opened(folder, most=64 * MIB, most_in_all=64 * MIB)
    with library.incoming() as incoming:
        writer = threading.Thread(target=incoming.write, args=(bytes(32 * MIB),))
        writer.start()
        while not any(path.stat().st_size for path in folder.glob("*.part")):
            pass
    writer.join()
    assert files(folder) == set()
