"""A file as it is now, whatever becomes of it while it is sent.

1. It is opened once: what is written to it meanwhile is not sent, and what is deleted meanwhile is.
2. Who was interrupted may ask for the rest of it (`Range`), as long as it is the same (`If-Range`).
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final
from urllib.parse import quote

from fastapi import HTTPException
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

CHUNK: Final = 256 * 1024
# From there to the end, or to there. Other ranges may be answered by the whole (RFC 9110, 14.2).
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)


class Download(StreamingResponse):
    def __init__(self, file: BinaryIO, name: str, asked: Mapping[str, str]) -> None:
        """`asked`: the headers of the request."""
        self._file = file
        status = os.fstat(file.fileno())
        size, tag = status.st_size, f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": f"attachment; {_called(name)}",
            "ETag": tag,
        }
        begin, end, code = 0, size, 200
        found = _RANGE.fullmatch(asked.get("range", ""))
        if found and asked.get("if-range", tag) == tag:
            begin = int(found[1])
            if found[2]:
                end = min(int(found[2]) + 1, size)
            if begin >= end:
                file.close()
                reason = f"{name} has {size} octets"
                raise HTTPException(416, reason, {"Content-Range": f"bytes */{size}"})
            code = 206
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        headers["Content-Length"] = str(end - begin)
        super().__init__(_octets(file, begin, end), code, headers, "application/octet-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def _called(name: str) -> str:
    quoted = quote(name)
    return f'filename="{name}"' if quoted == name else f"filename*=utf-8''{quoted}"


def _octets(file: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    file.seek(begin)
    while begin < end and (chunk := file.read(min(CHUNK, end - begin))):
        begin += len(chunk)
        yield chunk
