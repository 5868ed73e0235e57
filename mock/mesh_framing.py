"""The framing of the mesh's root module, as its firmware has it: FF, the octets with FA as escape, FE.

Pure, and on purpose not the listener's own: what one of them gets wrong the other one does not forgive.
"""

from typing import Final

START: Final = 0xFF
END: Final = 0xFE
ESCAPE: Final = 0xFA
COMMAND_MAX: Final = 4096  # the firmware has no more room either


def framed(payload: bytes) -> bytes:
    octets = bytearray((START,))
    for octet in payload:
        octets += bytes((ESCAPE, octet ^ ESCAPE)) if octet >= ESCAPE else bytes((octet,))
    octets.append(END)
    return bytes(octets)


class Unframer:
    """Feedable in any pieces. What is not a frame, or too long, is forgotten."""

    def __init__(self) -> None:
        self._payload: bytearray | None = None
        self._escaped = False

    def feed(self, octets: bytes) -> list[bytes]:
        found = []
        for octet in octets:
            if octet == START:
                self._payload, self._escaped = bytearray(), False
            elif self._payload is None:
                continue
            elif octet == END:
                found.append(bytes(self._payload))
                self._payload = None
            elif octet == ESCAPE:
                self._escaped = True
            elif len(self._payload) >= COMMAND_MAX:
                self._payload = None
            else:
                self._payload.append(octet ^ ESCAPE if self._escaped else octet)
                self._escaped = False
        return found
