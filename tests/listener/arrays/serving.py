"""A daemon with arrays, as a process of its own, and where its API is."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.e2e.helpers import Daemon, daemon
from tests.listener.api_bench import QUIET

DEMO = ("--demo", "--host", "127.0.0.1", "--port", "0")


@contextmanager
def serving(
    place: Path, arguments: tuple[str, ...] = QUIET, /, **settings: str
) -> Iterator[tuple[Daemon, str]]:
    """Settings are LES02_… variables."""
    settings = {
        "LES02_ARRAYS__ENABLED": "true",
        "LES02_API__ENABLED": "true",
        "LES02_API__PORT": "0",
        "LES02_API__HOST": "127.0.0.1",
        "LES02_DATABASE__PATH": str(place / "les02.db"),
        **settings,
    }
    with daemon(*arguments, cwd=place, **settings) as running:
        url = str(running.logged("api_started")["url"])
        running.logged("listener_started")
        yield running, f"http://127.0.0.1:{url.rpartition(':')[2]}"


def demo_serving(place: Path) -> AbstractContextManager[tuple[Daemon, str]]:
    return serving(place, DEMO)
