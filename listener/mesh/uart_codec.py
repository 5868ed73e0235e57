"""The framing between the root module and us: FF starts a frame, FE ends it, FA escapes.

Pure. A payload goes in and its frame comes out; octets of the line go in, in any pieces, and payloads come
out. Inside a frame every octet from FA on is sent as FA and that octet XOR FA. What is malformed is counted
and costs its own frame only, by these rules:

1. FF always starts a frame, also in the middle of one: FF never stands inside.
2. FE always ends the frame. What comes after it, up to the next FF, is noise.
3. A frame with an escape that is none, with more than `max_frame` octets or with nothing in it is dropped.
4. FB, FC and FD inside a frame are taken as they are: there is firmware that escapes FF, FE and FA alone.

There is no checksum, so a damaged frame may come out as a payload that its node has never said.
"""

import re
from typing import Final

MAX_FRAME: Final = 8192  # octets; the list of all 255 nodes has 4594

_START, _END, _ESCAPE = b"\xff", b"\xfe", b"\xfa"
# How an octet stands inside a frame. FA is the first, so that no other's escape is escaped again.
_PAIRS: Final = tuple((bytes((octet,)), bytes((0xFA, octet ^ 0xFA))) for octet in range(0xFA, 0x100))
_RIAPS: Final = tuple((sent, plain) for plain, sent in reversed(_PAIRS))
_WRONG: Final = re.compile(rb"\xfa(?![\x00\x01\x04-\x07])")


def encode(payload: bytes) -> bytes:
    for plain, sent in _PAIRS:
        payload = payload.replace(plain, sent)
    return b"".join((_START, payload, _END))


class Decoder:
    """Holds no more than the escaped octets of one frame, twice `max_frame`."""

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self.counts = dict.fromkeys(
            ("noise_bytes", "restarted", "too_long", "empty", "dangling_escape", "bad_escape"), 0
        )
        self._max = max_frame
        self._open: bytearray | None = None  # the frame that has begun, as it was sent
        self._skipping = False  # it is too long; to its end it is no noise

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that are complete now."""
        payloads: list[bytes] = []
        first, *others = bytes(data).split(_START)
        if self._open is None:
            self._outside(first)
        else:
            self._inside(first, payloads)
        for piece in others:
            if self._open is not None and not self._skipping:
                self.counts["restarted"] += 1
            self._open, self._skipping = bytearray(), False
            self._inside(piece, payloads)
        return payloads

    def reset(self) -> None:
        """The line is another one now: what had begun does not go on."""
        self._open, self._skipping = None, False

    def _outside(self, noise: bytes) -> None:
        self.counts["noise_bytes"] += len(noise)

    def _inside(self, piece: bytes, payloads: list[bytes]) -> None:
        assert self._open is not None
        end = piece.find(_END)
        body = piece if end < 0 else piece[:end]
        if not self._skipping and len(self._open) + len(body) > 2 * self._max:
            self.counts["too_long"] += 1
            self._skipping = True
            self._open.clear()
        if not self._skipping:
            self._open += body
        if end < 0:
            return
        if not self._skipping:
            self._finish(bytes(self._open), payloads)
        self.reset()
        self._outside(piece[end + 1 :])

    def _finish(self, frame: bytes, payloads: list[bytes]) -> None:
        wrong = _WRONG.search(frame)
        if wrong is not None:
            self.counts["dangling_escape" if wrong.end() == len(frame) else "bad_escape"] += 1
            return
        if _ESCAPE in frame:
            for sent, plain in _RIAPS:
                frame = frame.replace(sent, plain)
        if not frame:
            self.counts["empty"] += 1
        elif len(frame) > self._max:
            self.counts["too_long"] += 1
        else:
            payloads.append(frame)
