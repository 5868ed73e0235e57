import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine and about asyncio's debug mode, nothing about
# the code; and the fixtures that examples share here are constants.
settings.register_profile(
    "les02",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("les02")


@pytest.fixture(autouse=True, scope="session")
def rides_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Daemons that a test starts keep their rides here, and not with those of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "XDG_STATE_HOME", str(folder))
        patch.delenv("STATE_DIRECTORY", raising=False)
        yield folder
