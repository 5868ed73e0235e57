"""The API of a daemon's own process: who is let in, what trouble looks like, how it starts and ends."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from listener import __version__
from tests.e2e.helpers import ROOT, clean_environment, leslisten
from tests.listener.api.conftest import Start
from tests.listener.api_bench import ELSEWHERE, QUIET, Api, detail

READ, CONTROL = "reads-only-0001", "controls-0001"
TOKENS = {
    "LES02_ACCESS__READ_TOKENS": f'["{READ}"]',
    "LES02_ACCESS__CONTROL_TOKENS": f'["{CONTROL}"]',
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def trouble(api: Api) -> list[str]:
    """What was logged of it; that there is no sensor is as it should be."""
    told = [record["event"] for record in api.daemon.records() if record["level"] not in ("info", "debug")]
    return [event for event in told if event != "no_data"]


# What is there


def test_who_answers_is_told_at_the_root(api: Api) -> None:
    assert api.client.get("/").json() == {"name": "LES02 listener", "version": __version__}


def test_health_is_that_of_the_websocket_port(api: Api) -> None:
    answer = api.client.get("/health")
    status, other = api.daemon.get("/healthz")
    assert answer.status_code == status == 200
    assert answer.json().keys() == json.loads(other).keys()
    assert answer.json()["status"] == "ok"


def test_hello_names_the_part(api: Api) -> None:
    with connect(api.daemon.url) as client:
        assert json.loads(client.recv())["payload"]["parts"] == ["rides", "api"]


def test_every_answer_forbids_to_be_kept_and_to_be_guessed_at(api: Api) -> None:
    for path in ("/", "/rides", "/nothing"):
        headers = api.client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


# Trouble


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/ws/nothing", 404),
        ("GET", "/docs/assets/nothing.js", 404),
        ("GET", "/docs/assets/../../config.py", 404),
        ("GET", "/docs/assets/%2e%2e/%2e%2e/etc/passwd", 404),
        ("POST", "/rides", 405),
        ("PUT", "/rides/1", 405),
        ("POST", "/docs/assets/swagger-ui.css", 405),
        ("BREW", "/", 405),
        ("GET", "/rides?limit=x", 422),
        ("GET", "/rides/" + "x" * 65, 422),
    ],
)
def test_trouble_is_json_with_detail(api: Api, method: str, path: str, status: int) -> None:
    answer = api.client.request(method, path)
    assert answer.status_code == status
    detail(answer)


def test_a_defect_is_logged_once_and_its_client_learns_that_there_was_one(tmp_path: Path) -> None:
    prelude = (
        "import sys\nfrom listener import main\nfrom listener.rides.commands import RideCommands\n"
        "async def broken(self, wanted): raise RuntimeError('the secret of the house')\n"
        "RideCommands.list_rides = broken\nsys.exit(main.main())"
    )
    settings = {"LES02_API__ENABLED": "true", "LES02_API__PORT": "0", "LES02_API__HOST": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-c", prelude, *QUIET],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(ROOT), XDG_STATE_HOME=str(tmp_path), **settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        started = next(line for line in lines if '"api_started"' in line)
        answer = httpx.get(f"{json.loads(started)['url']}/rides", trust_env=False)
        assert (answer.status_code, detail(answer)) == (500, "this has failed; the log says why")
        process.send_signal(signal.SIGTERM)
        records = [json.loads(line) for line in lines]
    finally:
        process.kill()
        process.communicate()
    (failed,) = [record for record in records if record["level"] == "error"]
    assert (failed["event"], failed["method"], failed["path"]) == ("request_failed", "GET", "/rides")
    assert "the secret of the house" in failed["exception"]


# Bounds


@pytest.mark.parametrize(
    ("size", "kind", "headers", "status"),
    [
        (256 * 1024 + 1, "application/json", {}, 413),
        (200 * 1024, "application/json", {}, 422),
        (200 * 1024, "application/json", ELSEWHERE, 413),
        (200 * 1024, "multipart/form-data; boundary=x", ELSEWHERE, 413),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_a_bound(
    api: Api, size: int, kind: str, headers: dict[str, str], status: int, chunked: bool
) -> None:
    body = b'{"nothing":"%s"}' % (b"x" * (size - 14))
    pieces = (body[at : at + 65536] for at in range(0, size, 65536))
    answer = api.client.patch(
        "/rides/1", content=pieces if chunked else body, headers={"Content-Type": kind, **headers}
    )
    assert answer.status_code == status
    detail(answer)
    assert api.client.get("/").status_code == 200


def test_what_has_no_end_is_not_read_to_its_end(api: Api) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as sock:
        sock.sendall(b"PATCH /rides/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        taken = 0
        with contextlib.suppress(OSError):  # reset, or a broken pipe
            while taken < 50_000_000:
                sock.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                taken += 65536
    assert taken < 50_000_000
    assert api.client.get("/").status_code == 200


def test_json_that_is_nested_too_deep_is_told(api: Api) -> None:
    body = b"[" * 100_000
    answer = api.client.patch("/rides/1", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    detail(answer)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /rides HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_no_news(api: Api, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as sock:
        sock.sendall(sent)
        assert sock.recv(65536).startswith(b"HTTP/1.1 4")
    assert api.client.get("/").status_code == 200
    assert trouble(api) == []


# Who may


def test_without_tokens_all_may_read_and_this_computer_may_write(start: Start) -> None:
    client = start().client
    assert client.get("/rides", headers=ELSEWHERE).status_code == 200
    assert client.patch("/rides/1", json={"note": "x"}, headers=ELSEWHERE).status_code == 403
    assert client.patch("/rides/1", json={"note": "x"}).status_code == 200
    wrong = client.get("/rides", headers=bearer("nonsense-token"))
    assert (wrong.status_code, detail(wrong)) == (401, "this token is not known")
    assert wrong.headers["www-authenticate"] == "Bearer"


def test_with_tokens_nothing_is_told_nor_done_without(start: Start) -> None:
    client = start(**TOKENS).client
    for path in ("/", "/rides", "/rides/1.csv", "/health", "/nothing"):
        answer = client.get(path)
        assert (answer.status_code, detail(answer)) == (401, "a token is needed")
        assert client.get(path, headers=bearer("wrong-token-1")).status_code == 401
        assert client.get(path, headers=bearer(READ)).status_code in (200, 404)
    for path in ("/docs", "/redoc", "/openapi.json", "/docs/assets/swagger-ui.css"):
        assert client.get(path).status_code == 200
    refused = client.delete("/rides/1", headers=bearer(READ))
    assert (refused.status_code, detail(refused)) == (
        403,
        "a command that changes something needs a control token",
    )
    assert client.delete("/rides/1", headers=bearer(CONTROL) | ELSEWHERE).status_code == 200


def test_a_token_may_stand_in_the_address(start: Start) -> None:
    api = start(**TOKENS)
    assert api.client.get("/rides/1.csv", params={"token": READ}).status_code == 200
    listed = api.client.get("/rides", params={"limit": 1, "token": CONTROL})
    assert len(listed.json()["rides"]) == 1
    assert api.client.get("/rides", params={"token": "wrong-token-1"}).status_code == 401
    assert READ not in "".join(api.daemon.lines)


# Pages of other sites


@pytest.mark.parametrize(
    ("origin", "host", "welcome"),
    [
        (None, None, True),
        ("http://127.0.0.1:{port}", None, True),
        ("http://localhost:{port}", "localhost:{port}", True),
        ("http://page.example:8080", None, True),
        ("http://evil.example", None, False),
        ("null", None, False),
        ("http://evil.example:{port}", "evil.example:{port}", False),
        ("http://127.0.0.1:{port}", "evil.example:{port}", False),
    ],
)
def test_pages_of_other_sites_change_nothing(
    api: Api, origin: str | None, host: str | None, welcome: bool
) -> None:
    given = {"Origin": origin, "Host": host}
    headers = {name: value.format(port=api.port) for name, value in given.items() if value is not None}
    answer = api.client.patch("/rides/99", json={"note": "x"}, headers=headers)
    assert answer.status_code == (404 if welcome else 403)
    if not welcome:
        assert detail(answer) == "this origin is not allowed; see [api] cors_origins"


def test_only_configured_pages_may_read_what_is_answered(api: Api) -> None:
    ours, theirs = {"Origin": "http://page.example:8080"}, {"Origin": "http://evil.example"}
    assert api.client.get("/rides", headers=ours).headers["access-control-allow-origin"] == ours["Origin"]
    assert "access-control-allow-origin" not in api.client.get("/rides", headers=theirs).headers
    trouble = api.client.get("/rides/99", headers=ours)
    assert trouble.headers["access-control-allow-origin"] == ours["Origin"]
    asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}
    assert api.client.options("/rides/1", headers=ours | asked).status_code == 200
    assert api.client.options("/rides/1", headers=theirs | asked).status_code == 400


# Beginning and end


def test_a_used_port_is_one_line_and_exit_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {"LES02_API__ENABLED": "true", "LES02_API__HOST": "127.0.0.1"}
        ended = leslisten(*QUIET, cwd=tmp_path, LES02_API__PORT=str(port), **settings)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith(f"leslisten: port {port} on 127.0.0.1 is in use; ")


def test_a_host_that_is_not_ours_is_one_line_and_exit_1(tmp_path: Path) -> None:
    settings = {"LES02_API__ENABLED": "true", "LES02_API__HOST": "192.0.2.1", "LES02_API__PORT": "0"}
    ended = leslisten(*QUIET, cwd=tmp_path, **settings)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith("leslisten: cannot listen on 192.0.2.1 port 0: ")


def test_without_its_extra_it_is_one_line_and_exit_78(tmp_path: Path) -> None:
    for module in ("fastapi", "uvicorn", "python_multipart", "fastapi_offline"):
        program = (
            f"import sys\nsys.modules['{module}'] = None\nfrom listener import main\nsys.exit(main.main())"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program, *QUIET],
            cwd=tmp_path,
            env=clean_environment(PYTHONPATH=str(ROOT), LES02_API__ENABLED="true"),
            capture_output=True,
            text=True,
            check=False,
        )
        complaint = "leslisten: [api] enabled: needs: pip install 'les02-listener[api]'\n"
        assert (ended.returncode, ended.stderr) == (78, complaint)


def test_without_its_extra_everything_else_runs(tmp_path: Path) -> None:
    program = """
import os, signal, sys
for name in ("fastapi", "starlette", "pydantic", "uvicorn", "python_multipart", "fastapi_offline"):
    sys.modules[name] = None
from listener import main, systemd
systemd.ready = lambda text: os.kill(os.getpid(), signal.SIGTERM)
sys.exit(main.main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, *QUIET],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(ROOT), XDG_STATE_HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, '"listener_stopped"' in ended.stderr) == (0, True)


def test_the_configuration_is_told(tmp_path: Path) -> None:
    ended = leslisten("--check-config", cwd=tmp_path, LES02_API__ENABLED="true")
    text = " ".join(ended.stdout.split())
    assert "[api] enabled = true # environment LES02_API__ENABLED" in text
    assert 'host = "localhost" # default port = 8000 # default cors_origins = [] # default' in text


def test_it_is_reached_by_every_address_of_localhost(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = start(LES02_API__HOST="localhost", LES02_API__PORT=str(port)).client
    assert client.get("/").status_code == 200
    for family, _, _, _, address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.connect(address)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_with_connections_of_all_kinds_open(start: Start, number: signal.Signals) -> None:
    api = start()
    api.client.get("/")  # kept alive
    with (
        socket.create_connection(("127.0.0.1", api.port)),
        socket.create_connection(("127.0.0.1", api.port)) as half,
        socket.create_connection(("127.0.0.1", api.port)) as download,
    ):
        half.sendall(b"PATCH /rides/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        download.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):
            download.sendall(b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        code, took_s = api.daemon.end(number)
    assert code == 0
    assert took_s < 1.0
    assert api.daemon.records()[-1]["event"] == "listener_stopped"
    assert trouble(api) == []
