"""The page at `GET /`: one HTML file beside this module, built from web/ and kept in memory.

In go the headers of a request; out comes an answer: 200, 304, or 503 with how to build the page while there
is none. The page may run its own scripts and styles, known by their hashes, and connect to where it came
from: whatever else gets into it does nothing and reaches nobody.
"""

import base64
import contextlib
import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from websockets.datastructures import Headers

PAGE = Path(__file__).with_name("index.html")

_HEADERS = {
    "Cache-Control": "no-cache",  # kept by the browser, which asks whether it is still this one
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Our own build wrote the file, so no parser is needed to find what is inline in it.
_INLINE = re.compile(rb"<(script|style)\b[^>]*>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)
# What a policy can name: nothing with a semicolon, and no address in brackets either.
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class _Form:
    """The same page as it is sent, plain or compressed: to a cache these are two things."""

    body: bytes
    headers: Mapping[str, str]


class Page:
    """`api` is where the page finds the REST API: `:8000` beside itself, an address, or nothing."""

    def __init__(self, path: Path = PAGE, api: Callable[[], str] = lambda: "") -> None:
        self._path = path
        self._api = api
        self._version = (0, 0)
        self._plain = self._packed = _Form(b"", {})
        self._policy = ""
        with contextlib.suppress(OSError):  # whoever asks for it is told
            self._refresh()  # now, as compressing it takes longer than the sensor should wait

    def answer(self, request: Headers) -> tuple[int, str, bytes, Mapping[str, str]]:
        try:
            self._refresh()
        except OSError as exc:
            text = (
                "LES02 listener: the WebSocket on this address works, its page is missing "
                f"({self._path.name}: {exc.strerror}). To build it, with Node 18 or newer: "
                "cd web && npm ci && npm run build\n"
            )
            return 503, "text/plain", text.encode(), {}
        form = self._packed if _takes_gzip(request) else self._plain
        policy = self._policy + _elsewhere(request, self._api())
        headers = {**_HEADERS, **form.headers, "Content-Security-Policy": policy}
        known = {tag.removeprefix("W/") for tag in _items(request, "If-None-Match")}
        if known & {form.headers["ETag"], "*"}:
            return 304, "text/html", b"", headers
        return 200, "text/html", form.body, headers

    def _refresh(self) -> None:
        """Reads the file if it is another one than before: who works on the page builds it all the time."""
        stat = self._path.stat()
        version = (stat.st_mtime_ns, stat.st_size)
        if version == self._version:
            return
        plain = self._path.read_bytes()
        packed = gzip.compress(plain, 9, mtime=0)
        self._plain = _Form(plain, {"ETag": _etag(plain)})
        self._packed = _Form(packed, {"ETag": _etag(packed), "Content-Encoding": "gzip"})
        self._policy = _policy(plain)
        self._version = version


def _policy(html: bytes) -> str:
    """All of it but the end of its last directive, which depends on the request."""
    allowed: dict[bytes, str] = {b"script": "", b"style": ""}
    for element, content in _INLINE.findall(html):
        # A browser hashes what its parser has made of it, and that knows one kind of line end.
        digest = hashlib.sha256(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).digest()
        allowed[element.lower()] += f" 'sha256-{base64.b64encode(digest).decode()}'"
    nothing = " 'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src" + (allowed[b"script"] or nothing),
            "style-src" + (allowed[b"style"] or nothing),
            "img-src 'self' data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "connect-src 'self'",
        )
    )


def _elsewhere(request: Headers, api: str) -> str:
    """Older Safari does not take a WebSocket to where the page came from for 'self'."""
    host = next(iter(request.get_all("Host")), "")
    if not _HOST.fullmatch(host):
        return ""
    if api.startswith(":"):
        name = host.partition(":")[0]
        return f" ws://{host} wss://{host} http://{name}{api} https://{name}{api}"
    # A policy that names a path means nothing below it.
    return f" ws://{host} wss://{host} {'/'.join(api.split('/')[:3])}".rstrip()


def _takes_gzip(request: Headers) -> bool:
    quality = {}
    for item in _items(request, "Accept-Encoding"):
        coding, _, weight = "".join(item.lower().split()).partition(";q=")
        quality[coding] = weight or "1"
    return quality.get("gzip", quality.get("*", "0")).strip("0.") != ""


def _items(request: Headers, name: str) -> list[str]:
    return [item.strip() for line in request.get_all(name) for item in line.split(",")]


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()}"'
