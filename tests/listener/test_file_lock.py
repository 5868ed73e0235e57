"""Between processes: a lock of one process does not concern that process itself everywhere."""

import os
import subprocess
import sys
from pathlib import Path

from listener.file_lock import lock

HOLDER = """
import os, sys
from listener.file_lock import lock
print(lock(os.open(sys.argv[1], os.O_RDONLY)), flush=True)
sys.stdin.read()
"""


def test_a_file_has_one_holder_until_that_ends_however_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            assert not lock(descriptor)
            holder.kill()
            holder.wait()
        assert lock(descriptor)
    finally:
        os.close(descriptor)
