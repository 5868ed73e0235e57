"""What is made of packets; the connection is tried against a daemon in test_client."""

from typing import Any

import numpy as np

from listener.arrays.live import Recording


def packet(last: int, points: int, new: int | None, total: int | None) -> dict[str, Any]:
    x = np.arange(last - points + 1, last + 1, dtype=np.float64)
    told = {"new": new, "total": total}
    return {"x": x, "y": -x, **{name: value for name, value in told.items() if value is not None}}


def test_points_of_packets_that_overlap_are_there_once() -> None:
    recording = Recording()
    for last, new in ((4, 2), (7, 3), (8, 1)):
        recording.add(packet(last, 5, new, last + 100))
    x, y = recording.arrays()
    assert x.tolist() == [3, 4, 5, 6, 7, 8]
    assert (y == -x).all()
    assert (recording.points, recording.lost) == (6, 0)


def test_what_a_skipped_packet_had_is_taken_from_the_next_one_as_far_as_it_is_there() -> None:
    recording = Recording()
    recording.add(packet(4, 5, 5, 5))
    recording.add(packet(8, 5, 2, 9))  # the one before it, with two more, was skipped
    recording.add(packet(20, 5, 2, 21))
    assert recording.arrays()[0].tolist() == [*range(9), 16, 17, 18, 19, 20]
    assert recording.lost == 7


def test_a_stream_that_begins_anew_goes_on() -> None:
    recording = Recording()
    recording.add(packet(100, 3, 3, 1000))
    recording.add(packet(110, 3, 2, 2))
    assert recording.arrays()[0].tolist() == [98, 99, 100, 109, 110]


def test_what_says_nothing_of_overlapping_is_all_new() -> None:
    recording = Recording()
    recording.add(packet(2, 3, None, None))
    recording.add(packet(2, 3, None, None))
    assert recording.points == 6


def test_nothing_is_two_empty_arrays() -> None:
    assert [each.shape for each in Recording().arrays()] == [(0,), (0,)]
