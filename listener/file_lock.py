"""A lock on a whole file, which ends with the process that has it, however that ends."""

import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def lock(descriptor: int) -> bool:
    """False if another process has it. Raises OSError where files cannot be locked."""
    if sys.platform == "win32":
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # one octet, which need not exist
        except PermissionError:
            return False
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
