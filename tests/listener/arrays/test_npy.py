"""Headers that lie, and what is no .npy file: each with its reason."""

import contextlib
import io
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.arrays.npy import MAGIC, NpyError, read_header


def saved(array: Any, **settings: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **settings)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.arange(3))
    return file.getvalue()


def headed(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode()
    return MAGIC + version + len(text).to_bytes(2, "little") + text + data


def described(descr: object, shape: object = (1,), order: object = False) -> bytes:
    return headed(repr({"descr": descr, "fortran_order": order, "shape": shape}), bytes(8))


GOOD = saved(np.arange(10.0))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "not a .npy file"),
        (b"time,value\n1,2\n", "not a .npy file"),
        (zipped(), "a zip file, perhaps .npz"),
        (pickle.dumps([1, 2, 3]), "a pickle, which is never read"),
        (saved(np.array([{}], object), allow_pickle=True), "it holds Python objects, which are pickles"),
        (GOOD[:-1], "its header promises 80 octets of data, there are 79"),
        (GOOD + b"\0", "its header promises 80 octets of data, there are 81"),
        (GOOD[:40], "it ends in the middle of its header"),
        (GOOD[:7], "a .npy file of an unknown version"),
        (MAGIC + b"\x09\x00" + GOOD[8:], "a .npy file of an unknown version"),
        (MAGIC + b"\x02\x00\xff\xff\xff\xff", "its header is 4294967295 octets long"),
        (headed("{" * 200), "its header cannot be read"),
        (headed("-" * 9000), "its header cannot be read"),
        (headed("[1]"), "its header has other entries"),
        (headed("{'descr': '<f8'}"), "its header has other entries"),
        (described("<f8", (-1,)), "its shape is not one"),
        (described("<f8", [1]), "its shape is not one"),
        (described("<f8", (True,)), "its shape is not one"),
        (described("<f8", (1,) * 33), "it has 33 dimensions"),
        (described("<f8", order=1), "fortran_order is neither"),
        (described("nonsense"), "its dtype is unknown"),
        (described(("<f8", (3,))), "its dtype is an array itself"),
        (described("|O"), "it holds Python objects"),
        (described([("a", "<f8"), ("b", "|O")]), "it holds Python objects"),
        (described("<f8", (2**62,)), "4611686018427387904 elements are too many"),
        (described("<f8", (10**9, 0)), "1000000000 elements are too many"),
        (described("|V0", (10**7,)), "10000000 elements are too many"),
        (described("|S100000000"), "one of its elements is too large"),
        (described([("a", "|i1", (10**6,))]), "one of its elements is too large"),
    ],
)
def test_it_is_refused_with_a_reason(octets: bytes, reason: str) -> None:
    with pytest.raises(NpyError) as refused:
        read_header(io.BytesIO(octets), len(octets))
    assert str(refused.value).startswith(reason)


def test_of_one_that_is_still_coming_the_length_is_not_asked_for() -> None:
    assert read_header(io.BytesIO(GOOD[:-30]), None).size == 80


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00"]))
def test_whatever_comes_is_a_header_or_refused(noise: bytes, cut: int, version: bytes) -> None:
    for octets in (noise, MAGIC + version + noise, GOOD[:cut], GOOD[:20] + noise + GOOD[20:]):
        with contextlib.suppress(NpyError):
            assert read_header(io.BytesIO(octets), len(octets)).offset <= len(octets)
