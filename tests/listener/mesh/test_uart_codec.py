"""Frames on a line that is cut into pieces, disturbed and interrupted."""

import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.mesh.uart_codec import MAX_FRAME, Decoder, encode
from mock.mesh_framing import Unframer, framed

# What the framing is made of comes up more often than by chance.
OCTETS = st.one_of(st.sampled_from(range(0xF8, 0x100)), st.sampled_from((0, 1, 4, 5)), st.integers(0, 255))
LINE = st.lists(OCTETS, max_size=60).map(bytes)
PAYLOAD = st.lists(OCTETS, min_size=1, max_size=40).map(bytes)
# Noise that neither begins nor ends a frame, nor makes an escape of what comes after it.
NOISE = st.binary(max_size=20).map(lambda noise: bytes(octet for octet in noise if octet < 0xFA))
CHUNKS = st.lists(st.integers(1, 9), max_size=40)
NONE = {"noise_bytes": 0, "restarted": 0, "too_long": 0, "empty": 0, "dangling_escape": 0, "bad_escape": 0}

CASES = [
    (b"\x05", "ff 05 fe"),
    (b"\xff", "ff fa 05 fe"),
    (b"\xfe", "ff fa 04 fe"),
    (b"\xfd\xfc\xfb", "ff fa 07 fa 06 fa 01 fe"),
    (b"\xfa", "ff fa 00 fe"),
    (b"\xfa\x05", "ff fa 00 05 fe"),
    (b"\xfa\xff\xfa", "ff fa 00 fa 05 fa 00 fe"),
    (b"\x00\x00\x03online\n", "ff 00 00 03 6f 6e 6c 69 6e 65 0a fe"),
    (b"\x00\x05D\x02\x00\x07\x02\xff\x38", "ff 00 05 44 02 00 07 02 fa 05 38 fe"),
    (b"NINFO", "ff 4e 49 4e 46 4f fe"),
    (b"\xf9" * 5, "ff f9 f9 f9 f9 f9 fe"),
]
MALFORMED = [
    ("00 01 02", {"noise_bytes": 3}),
    ("fe", {"noise_bytes": 1}),
    ("fa", {"noise_bytes": 1}),
    ("ff 01 ff 02 ff", {"restarted": 2}),
    ("ff fe", {"empty": 1}),
    ("ff 01 fa fe", {"dangling_escape": 1}),
    ("ff fa 02 fe", {"bad_escape": 1}),
    ("ff fa fa 05 fe", {"bad_escape": 1}),
    ("ff fa fa fe", {"bad_escape": 1}),
    ("ff fa fb fa fe", {"bad_escape": 1}),
    ("ff 01 fa ff", {"restarted": 1}),
    ("ff 02 fe fe 07 fe", {"noise_bytes": 3}),
]


def whole(octets: bytes) -> tuple[list[bytes], dict[str, int]]:
    decoder = Decoder()
    return decoder.feed(octets), decoder.counts


def in_pieces(pieces: Iterable[bytes], max_frame: int = MAX_FRAME) -> tuple[list[bytes], dict[str, int]]:
    decoder = Decoder(max_frame)
    return [payload for piece in pieces for payload in decoder.feed(piece)], decoder.counts


def bytewise(octets: bytes) -> list[bytes]:
    return [bytes((octet,)) for octet in octets]


def cut(octets: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(octets[at : at + size])
        at += size
    return [*pieces, octets[at:]]


@pytest.mark.parametrize(("payload", "frame"), CASES)
def test_a_payload_and_its_frame(payload: bytes, frame: str) -> None:
    octets = bytes.fromhex(frame)
    assert encode(payload) == octets
    assert whole(octets) == ([payload], NONE)
    assert in_pieces(bytewise(octets)) == ([payload], NONE)
    junk = b"\x01\xfe\xfa\x07"
    assert whole(octets + junk) == ([payload], NONE | {"noise_bytes": 4})
    assert whole(octets + junk + octets) == ([payload, payload], NONE | {"noise_bytes": 4})


@pytest.mark.parametrize(("line", "counts"), MALFORMED)
def test_what_is_malformed_is_counted_and_the_next_frame_is_taken(line: str, counts: dict[str, int]) -> None:
    octets = bytes.fromhex(line)
    for pieces in ([octets], bytewise(octets)):
        decoder = Decoder()
        found = [payload for piece in pieces for payload in decoder.feed(piece)]
        assert all(payload == b"\x02" for payload in found)
        assert decoder.counts == NONE | counts
        assert decoder.feed(encode(b"next")) == [b"next"]


@given(PAYLOAD)
def test_any_octets_come_back(payload: bytes) -> None:
    frame = encode(payload)
    assert frame[:1] == b"\xff"
    assert frame[-1:] == b"\xfe"
    assert not {0xFF, 0xFE} & set(frame[1:-1])
    assert whole(frame) == ([payload], NONE)


@given(st.binary(min_size=1))
def test_a_firmware_of_its_own_understands_it_and_is_understood(payload: bytes) -> None:
    assert encode(payload) == framed(payload)
    assert Unframer().feed(encode(payload)) == [payload]


@given(LINE, CHUNKS)
def test_however_the_line_is_cut_the_frames_and_the_counts_are_the_same(
    octets: bytes, sizes: list[int]
) -> None:
    once = in_pieces([octets], max_frame=6)
    assert in_pieces(cut(octets, sizes), max_frame=6) == once
    assert in_pieces(bytewise(octets), max_frame=6) == once


@given(st.lists(st.tuples(NOISE, PAYLOAD)), NOISE)
def test_noise_before_between_and_behind_frames_costs_none(
    parts: list[tuple[bytes, bytes]], last: bytes
) -> None:
    line = b"".join(noise + encode(payload) for noise, payload in parts) + last
    noise_bytes = sum(len(noise) for noise, _ in parts) + len(last)
    assert whole(line) == ([payload for _, payload in parts], NONE | {"noise_bytes": noise_bytes})


@given(st.lists(PAYLOAD), LINE, st.lists(PAYLOAD))
def test_anything_between_frames_costs_none(before: list[bytes], noise: bytes, after: list[bytes]) -> None:
    """Such as half of a frame; it may look like some that nobody has sent."""
    line = b"".join(map(encode, before)) + noise + b"".join(map(encode, after))
    found, _ = whole(line)
    assert found[: len(before)] == before
    assert found[len(found) - len(after) :] == after


@given(st.lists(PAYLOAD), PAYLOAD, st.data(), st.lists(PAYLOAD))
def test_octets_that_are_changed_lost_or_added_cost_the_frame_they_hit(
    before: list[bytes], hit: bytes, data: st.DataObject, after: list[bytes]
) -> None:
    frame = encode(hit)
    at = data.draw(st.integers(0, len(frame) - 1))
    lost = data.draw(st.integers(0, 3))
    damaged = frame[:at] + data.draw(LINE) + frame[at + lost :]
    found, _ = whole(b"".join(map(encode, before)) + damaged + b"".join(map(encode, after)))
    assert found[: len(before)] == before
    assert found[len(found) - len(after) :] == after


def test_a_frame_may_have_its_greatest_length_whatever_its_octets_are() -> None:
    for octet in (0x00, 0xFA, 0xFF):
        payload = bytes((octet,)) * 100
        assert in_pieces(bytewise(encode(payload)), max_frame=100) == ([payload], NONE)
        assert in_pieces([encode(payload + b"\x01")], max_frame=100) == ([], NONE | {"too_long": 1})


def test_a_frame_that_is_too_long_is_one_mistake_up_to_its_end() -> None:
    line = b"\xff" + b"\x07" * 1000 + b"\xfe" + encode(b"next")
    assert in_pieces(bytewise(line), max_frame=100) == ([b"next"], NONE | {"too_long": 1})
    assert in_pieces([line], max_frame=100) == ([b"next"], NONE | {"too_long": 1})


def test_a_frame_that_is_too_long_is_over_with_the_next_start_too() -> None:
    line = b"\xff" + b"\x07" * 1000 + encode(b"next")
    for pieces in ([line], bytewise(line)):
        assert in_pieces(pieces, max_frame=100) == ([b"next"], NONE | {"too_long": 1})


def test_a_line_without_an_end_takes_no_more_memory_than_a_frame() -> None:
    decoder = Decoder(max_frame=100)
    for _ in range(1000):
        assert decoder.feed(b"\xff" + b"\x07" * 150) == []
        assert decoder.feed(b"\x07" * 150) == []
        assert decoder._open is not None
        assert len(decoder._open) <= 200
    assert decoder.counts == NONE | {"too_long": 1000}


def test_after_a_reset_what_had_begun_does_not_go_on() -> None:
    decoder = Decoder()
    decoder.feed(b"\xff\x01\xfa")
    decoder.reset()
    assert decoder.feed(b"\x05\xfe" + encode(b"next")) == [b"next"]
    assert decoder.counts == NONE | {"noise_bytes": 2}


def test_a_firmware_may_leave_what_is_no_mark_unescaped() -> None:
    assert whole(b"\xff\x01\xfb\xfc\xfd\xfe") == ([b"\x01\xfb\xfc\xfd"], NONE)


def test_ten_seconds_of_the_line_at_full_speed_are_decoded_in_a_small_part_of_one() -> None:
    """115200 baud with 400 frames a second, in the pieces that a driver gives."""
    payload = b"\x00\x05D\x03\x00\xff\x02\x09\xfa\x03\x00\x01\x8b\xcd" + b"\x07" * 12
    line = encode(payload) * 4000
    pieces = [line[at : at + 64] for at in range(0, len(line), 64)]
    decoder = Decoder()
    began = time.process_time()
    found = sum(len(decoder.feed(piece)) for piece in pieces)
    took = time.process_time() - began
    assert found == 4000
    assert took < 0.5
