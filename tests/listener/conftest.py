import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def untouched_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """pytest's own handlers on the root logger survive basicConfig(force=True)."""
    root = logging.getLogger()
    level = root.level
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    monkeypatch.setattr(root, "handlers", [])
    yield
    for handler in root.handlers:
        handler.close()
    root.setLevel(level)
    logging.getLogger("les02").setLevel(logging.NOTSET)
    structlog.reset_defaults()
