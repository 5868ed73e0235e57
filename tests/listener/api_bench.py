"""A daemon as a process of its own with the API on a free port, and a client of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.helpers import PATIENCE_S, Daemon, daemon

# Without a sensor: what is kept stays as it is.
QUIET = ("--interface", "virtual", "--host", "127.0.0.1", "--port", "0")
# Behind a proxy on this computer is somebody elsewhere.
ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}


@dataclass(frozen=True)
class Api:
    daemon: Daemon
    client: httpx.Client
    database: Path

    @property
    def url(self) -> str:
        return str(self.client.base_url)

    @property
    def port(self) -> int:
        return self.client.base_url.port or 0


@contextmanager
def serving(
    place: Path, recorded: Path, *, arguments: tuple[str, ...] = QUIET, **settings: str
) -> Iterator[Api]:
    """With a copy of these rides; settings are LES02_… variables."""
    database = place / "les02.db"
    shutil.copy(recorded, database)
    settings = {
        "LES02_API__ENABLED": "true",
        "LES02_API__PORT": "0",
        "LES02_API__HOST": "127.0.0.1",
        "LES02_DATABASE__PATH": str(database),
        **settings,
    }
    with daemon(*arguments, cwd=place, **settings) as running:
        port = str(running.logged("api_started")["url"]).rpartition(":")[2]
        running.logged("listener_started")
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
            yield Api(running, client, database)


def detail(answer: httpx.Response) -> str:
    """Of trouble, which always looks the same."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["detail"]
    assert "Traceback" not in answer.text
    return str(body["detail"])
