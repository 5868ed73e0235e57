from hypothesis import given
from hypothesis import strategies as st

from listener.mesh.listening import ANSWERS, SYN_FRAMED, Unframer, frame


def test_a_message_comes_behind_its_length() -> None:
    assert frame(b"\x00\x05Eecho") == b"\x00\x07\x00\x05Eecho"
    assert ANSWERS[SYN_FRAMED] == b"[ack]\x01"


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(1, 40), min_size=1))
def test_messages_are_found_in_any_pieces_of_the_stream(messages: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(map(frame, messages))
    unframer, found = Unframer(), list[bytes]()
    while stream:
        for size in sizes:
            piece, stream = stream[:size], stream[size:]
            found += unframer.feed(piece)
    assert found == messages
