"""The page as a browser gets it: what is sent, what is allowed, and what is said while there is none."""

import asyncio
import base64
import gzip
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from websockets.datastructures import Headers

from listener import config, main
from listener.page import PAGE, Page
from listener.websocket_server import WebSocketEventServer
from tests.listener.serving import PATIENCE_S, Start, client_of, receive, servers, until

HTML = """<!doctype html>
<html lang="en">
  <head>
    <title>Kürbis</title>
    <script type="module" crossorigin>const text = "</p><style>"; if (1 < 2) console.log("größer");</script>
    <style rel="stylesheet" crossorigin>
      body { color: black }
    </style>
    <SCRIPT>
two();\r\nlines();\rmore();
</SCRIPT >
  </head>
  <body><div id="page"></div></body>
</html>
"""

Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "index.html"
    file.write_bytes(HTML.encode())
    return file


@pytest.fixture
async def start(file: Path) -> AsyncIterator[Start]:
    async with servers({}, {"/": Page(file).answer}) as start:
        yield start


def build(file: Path, html: str) -> None:
    """Each later than the one before, also where a file's time is coarse."""
    before_ns = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(html)
    os.utime(file, ns=(before_ns + 1, before_ns + 1))


def lose(file: Path) -> None:
    file.unlink()


async def ask(server: WebSocketEventServer, *lines: str, to: str = "GET /", host: str = "test:8765") -> Reply:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    request = [f"{to} HTTP/1.1", f"Host: {host}", *lines, "", ""]
    try:
        writer.write("\r\n".join(request).encode())
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    assert len(headers) == len(fields), "a header twice"
    return int(status.split()[1]), headers, body


def policy(headers: dict[str, str]) -> dict[str, list[str]]:
    directives = [directive.split() for directive in headers["content-security-policy"].split(";")]
    assert len({name for name, *_ in directives}) == len(directives)
    return {name: sources for name, *sources in directives}


class Inline(HTMLParser):
    """What a parser finds in the elements that a policy is about."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        # As the HTML standard has it for everything that is read.
        self.feed(html.replace("\r\n", "\n").replace("\r", "\n"))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self.found:
            self._inside = tag
            self.found[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[self._inside][-1] += data


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# What is sent


@pytest.mark.parametrize("path", ["/", "/?", "/?lang=de&ride=7", "/?types=nonsense=&rate=fast"])
async def test_the_page_is_at_the_root_whatever_is_asked_for_behind_it(start: Start, path: str) -> None:
    status, headers, body = await ask(await start(), to=f"GET {path}")
    assert (status, body) == (200, HTML.encode())
    assert headers["content-length"] == str(len(body))
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["vary"] == "Accept-Encoding"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["connection"] == "close"
    assert "content-encoding" not in headers


async def test_a_websocket_on_the_same_path_is_still_one(start: Start) -> None:
    server = await start()
    async with client_of(server, "?seq=1") as client:
        assert (await receive(client))["type"] == "hello"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP ; q=0.001", True),
        ("identity,\tgzip;\tq=1", True),
        ("*", True),
        ("*;q=0.5, br", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("deflate, br, zstd", False),
        ("notgzip", False),
        ("", False),
        (None, False),
    ],
)
async def test_who_takes_gzip_gets_gzip(start: Start, accepted: str | None, packed: bool) -> None:
    lines = [] if accepted is None else [f"Accept-Encoding: {accepted}"]
    status, headers, body = await ask(await start(), *lines)
    assert status == 200
    assert headers.get("content-encoding") == ("gzip" if packed else None)
    assert headers["content-length"] == str(len(body))
    assert (gzip.decompress(body) if packed else body) == HTML.encode()


async def test_an_encoding_may_stand_on_a_line_of_its_own(start: Start) -> None:
    _, headers, _ = await ask(await start(), "Accept-Encoding: br", "Accept-Encoding: gzip")
    assert headers["content-encoding"] == "gzip"


async def test_head_is_get_without_the_body(start: Start) -> None:
    server = await start()
    for lines in ([], ["Accept-Encoding: gzip"]):
        status, headers, _ = await ask(server, *lines)
        assert await ask(server, *lines, to="HEAD /") == (status, headers, b"")


async def test_who_has_it_already_does_not_get_it_again(start: Start) -> None:
    server = await start()
    _, plain, _ = await ask(server)
    _, packed, _ = await ask(server, "Accept-Encoding: gzip")
    assert plain["etag"] != packed["etag"]
    assert plain["etag"].startswith('"')
    for known in (plain["etag"], f"W/{plain['etag']}", f'"other", {plain["etag"]} , W/"x"', "*"):
        for to in ("GET /", "HEAD /"):
            status, headers, body = await ask(server, f"If-None-Match: {known}", to=to)
            assert (status, body, headers["etag"]) == (304, b"", plain["etag"])
            assert not {"content-length", "content-type", "content-encoding"} & headers.keys()
            assert headers["cache-control"] == "no-cache"
            assert headers["vary"] == "Accept-Encoding"
    gzipped = ("Accept-Encoding: gzip", f"If-None-Match: {packed['etag']}")
    assert (await ask(server, *gzipped))[0] == 304
    for other in (packed["etag"], '"other"', plain["etag"].strip('"'), ""):
        assert (await ask(server, f"If-None-Match: {other}"))[0] == 200


async def test_a_page_that_was_built_anew_is_the_one_that_is_sent(start: Start, file: Path) -> None:
    server = await start()
    _, before, _ = await ask(server)
    build(file, "<script>other()</script>")
    status, headers, body = await ask(server, f"If-None-Match: {before['etag']}")
    assert (status, body) == (200, b"<script>other()</script>")
    assert policy(headers)["script-src"] == [hashed("other()")]
    build(file, "<script>OTHER()</script>")  # of the same length
    assert (await ask(server))[2] == b"<script>OTHER()</script>"


def test_it_is_read_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(file)
    monkeypatch.setattr(Path, "read_bytes", None)
    _, _, first, _ = page.answer(Headers())
    _, _, second, _ = page.answer(Headers())
    assert first is second


async def test_all_of_it_reaches_a_tablet_that_is_slow(start: Start, file: Path) -> None:
    html = base64.b64encode(os.urandom(100_000)).decode()
    build(file, html)
    server = await start()
    assert server._server
    # No more room than there is towards a tablet far away; towards this computer the kernel has plenty.
    server._server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    loop = asyncio.get_running_loop()
    with socket.socket() as tablet:
        tablet.setblocking(False)
        tablet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(tablet, ("127.0.0.1", server.port))
        await loop.sock_sendall(tablet, b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        await until(lambda: server._alive)
        await until(lambda: not server._alive)  # it has hung up
        answer = b""
        async with asyncio.timeout(PATIENCE_S):
            while data := await loop.sock_recv(tablet, 65536):
                answer += data
    assert answer.decode().endswith("\r\n\r\n" + html)


# What is allowed


async def test_only_what_is_in_the_file_may_run(start: Start) -> None:
    _, headers, body = await ask(await start())
    inline = Inline(body.decode())
    assert [len(found) for found in inline.found.values()] == [2, 1]
    assert policy(headers) == {
        "default-src": ["'none'"],
        "script-src": [hashed(text) for text in inline.found["script"]],
        "style-src": [hashed(text) for text in inline.found["style"]],
        "img-src": ["'self'", "data:", "blob:"],
        "connect-src": ["'self'", "ws://test:8765", "wss://test:8765"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


async def test_a_page_without_scripts_may_run_none(start: Start, file: Path) -> None:
    build(file, "<p>still</p>")
    _, headers, _ = await ask(await start())
    assert (policy(headers)["script-src"], policy(headers)["style-src"]) == (["'none'"], ["'none'"])


@pytest.mark.parametrize("host", ["raspberrypi", "liftbench.local:8765", "192.0.2.7:80", "LOCALHOST:65535"])
async def test_the_page_may_connect_to_where_it_came_from(start: Start, host: str) -> None:
    _, headers, _ = await ask(await start(), host=host)
    assert policy(headers)["connect-src"] == ["'self'", f"ws://{host}", f"wss://{host}"]


@pytest.mark.parametrize(
    ("api", "allowed"),
    [
        (":8000", ["http://test:8000", "https://test:8000"]),
        ("https://bench.example/api/", ["https://bench.example"]),  # a path would be taken literally
        ("", []),
    ],
)
async def test_the_page_may_ask_the_rest_api(file: Path, api: str, allowed: list[str]) -> None:
    async with servers({}, {"/": Page(file, lambda: api).answer}) as start:
        _, headers, _ = await ask(await start())
    assert policy(headers)["connect-src"] == ["'self'", "ws://test:8765", "wss://test:8765", *allowed]


@pytest.mark.parametrize(
    "host",
    [
        "x; script-src *",
        "x;script-src%20*",
        "x *",
        "*",
        "*.example",
        "x/path",
        "x,y",
        "user@x",
        "x:port",
        "x:80:80",
        ":8765",
        "x'unsafe-inline'",
        "[::1]:8765",  # which a policy cannot name; and to current browsers it is 'self'
        "käse",
        "x" * 300,
        "",
    ],
)
async def test_a_host_that_is_none_does_not_get_into_the_policy(start: Start, host: str) -> None:
    server = await start()
    _, usual, _ = await ask(server)
    status, headers, body = await ask(server, host=host)
    assert (status, body) == (200, HTML.encode())
    assert headers.keys() == usual.keys()
    assert policy(headers) == policy(usual) | {"connect-src": ["'self'"]}


# Without a page


async def test_without_a_page_it_is_told_in_one_line_how_to_have_it(start: Start, file: Path) -> None:
    lose(file)
    server = await start()
    for to in ("GET /", "GET /?seq=1", "HEAD /"):
        status, headers, body = await ask(server, to=to)
        assert (status, headers["content-type"]) == (503, "text/plain; charset=utf-8")
        assert headers["cache-control"] == "no-store"
        if to != "HEAD /":
            (line,) = body.decode().splitlines()
            assert "cd web && npm ci && npm run build" in line
            assert "Node 18" in line
            assert "the WebSocket on this address works" in line
            assert "index.html: No such file or directory" in line
            assert str(file.parent) not in line
    async with client_of(server) as client:
        assert (await receive(client))["type"] == "hello"
    build(file, "<p>built</p>")
    assert (await ask(server))[::2] == (200, b"<p>built</p>")
    lose(file)
    assert (await ask(server))[0] == 503


def test_a_page_that_was_not_there_at_the_start_is_found_when_it_is(file: Path) -> None:
    lose(file)
    page = Page(file)
    assert page.answer(Headers())[0] == 503
    build(file, HTML)
    assert page.answer(Headers())[0] == 200


async def test_the_daemon_serves_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "Page", partial(Page, file))
    flags = {"interface": "virtual", "channel": "page", "host": "127.0.0.1", "port": "0"}
    daemon = main.Daemon(config.load(flags, {}, file.parent))
    await daemon.server.start()
    try:
        assert (await ask(daemon.server))[::2] == (200, HTML.encode())
    finally:
        await daemon.server.stop()


def test_it_lies_where_the_build_puts_it() -> None:
    assert Path(main.__file__).with_name("page") / "index.html" == PAGE
    settings = (Path(__file__).parents[2] / "web/vite.config.ts").read_text()
    assert 'outDir: "../listener/page"' in settings
