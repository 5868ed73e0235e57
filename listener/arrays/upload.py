"""One file out of a multipart body, onto the disk as it comes.

1. In memory is what has come since the last write, a piece of about PIECE_OCTETS; the disk is waited for on
   a thread, and the client meanwhile.
2. Whatever is wrong is found as early as it can be, and leaves nothing behind; so does a client that goes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from listener.arrays.library import NAME_MAX, ArrayError, Entry, Library

PIECE_OCTETS: Final = 1024 * 1024
# Of all that is no file.
FIELDS_MAX: Final = 16
FIELD_OCTETS_MAX: Final = 4096
STALL_S: Final = 30.0


class UploadError(Exception):
    """`kind`: `missing` (there is no file), `malformed`, `stalled`."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Form:
    """Fed with the body, in whatever pieces it comes."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UploadError("missing", "no multipart/form-data with a boundary")
        self.has_file = False
        self.is_over = False
        self.data = bytearray()  # of the file; taken out by whoever reads it
        self._file_name = ""
        self._given_name = ""
        self._parts = 0
        self._field = ""
        self._value = bytearray()
        self._header_name = bytearray()
        self._header_value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
                    "on_header_end": self._header_ends,
                    "on_part_data": self._part_goes_on,
                    "on_part_end": self._part_ends,
                    "on_end": self._ends,
                },
            )
        except FormParserError as exc:
            raise UploadError("malformed", str(exc)) from None

    @property
    def name(self) -> str:
        return (self._given_name or self._file_name)[:NAME_MAX]

    def feed(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError as exc:
            raise UploadError("malformed", f"the multipart body cannot be read: {exc}") from None

    def end(self) -> None:
        if not self.is_over:
            raise UploadError("malformed", "the multipart body ends in the middle")
        if not self.has_file:
            raise UploadError("missing", "there is no file in it")

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > FIELDS_MAX:
            raise UploadError("malformed", f"more than {FIELDS_MAX} parts")
        self._field = ""
        self._value.clear()

    def _header_ends(self) -> None:
        if bytes(self._header_name).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header_value))
            self._field = options.get(b"name", b"").decode("utf-8", "replace")
            if self._field == "file":
                if self.has_file:
                    raise UploadError("malformed", "one file at a time, please: there is a second one")
                self.has_file = True
                self._file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self._header_name.clear()
        self._header_value.clear()

    def _part_goes_on(self, data: bytes, start: int, end: int) -> None:
        if self._field == "file":
            self.data += memoryview(data)[start:end]
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_OCTETS_MAX:
            raise UploadError("malformed", f"the part {self._field[:32]!r} is too large, and is not 'file'")

    def _part_ends(self) -> None:
        if self._field == "name":
            self._given_name = self._value.decode("utf-8", "replace")

    def _ends(self) -> None:
        self.is_over = True


async def receive(
    body: AsyncIterator[bytes], content_type: str, library: Library, *, stall_s: float = STALL_S
) -> Entry:
    """Raises UploadError, ArrayError, OSError, and what the body raises."""
    form = Form(content_type)
    pieces = aiter(body)
    incoming = library.incoming()
    file = await asyncio.to_thread(incoming.__enter__)
    is_first = True

    def write(piece: bytearray) -> None:
        nonlocal is_first
        file.write(piece)
        if is_first:
            is_first = False
            file.look()

    try:
        while (piece := await _next(pieces, stall_s)) is not None:
            form.feed(piece)
            if len(form.data) >= PIECE_OCTETS:
                data, form.data = form.data, bytearray()
                await asyncio.to_thread(write, data)
        form.end()
        await asyncio.to_thread(write, form.data)
        return await asyncio.to_thread(file.finish, form.name)
    finally:
        await asyncio.to_thread(incoming.__exit__, None, None, None)


async def drain(body: AsyncIterator[bytes], within_s: float) -> bool:
    """Reads what is refused; True when that was all. Closed with something unread, a connection may be reset
    before its client has read why."""
    with contextlib.suppress(TimeoutError, ClientDisconnect, HTTPException):
        async with asyncio.timeout(within_s):
            async for _ in body:
                pass
        return True
    return False


async def _next(pieces: AsyncIterator[bytes], stall_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(stall_s):
            return await anext(pieces, None)
    except TimeoutError:
        raise UploadError("stalled", f"nothing has come for {stall_s:g} s") from None


def told(error: ArrayError | UploadError) -> dict[str, Any]:
    return {"status": "error", "message": str(error), "detail": str(error)}
