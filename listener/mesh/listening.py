"""The beginning of a listening connection, and its messages with their lengths, for who asks for them.

Pure. `[syn]\\0` is what the programs of the field say: they get each message as it is, and where one ends
only the timing tells. `[syn]\\x01` is ours: each message comes behind its length (2 octets, big-endian).
"""

from typing import Final

from listener.mesh.requests import SYN, SYN_ACK

SYN_FRAMED: Final = b"[syn]\x01"
SYN_FRAMED_ACK: Final = b"[ack]\x01"
# What is answered to each.
ANSWERS: Final = {SYN: SYN_ACK, SYN_FRAMED: SYN_FRAMED_ACK}
_LENGTH: Final = 2


def frame(message: bytes) -> bytes:
    return len(message).to_bytes(_LENGTH, "big") + message


class Unframer:
    """Any pieces of the stream in, whole messages out. Holds less than one message: 65535 octets."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        found: list[bytes] = []
        start = 0
        while (begin := start + _LENGTH) <= len(self._data):
            end = begin + int.from_bytes(self._data[start:begin], "big")
            if end > len(self._data):
                break
            found.append(bytes(self._data[begin:end]))
            start = end
        del self._data[:start]
        return found
