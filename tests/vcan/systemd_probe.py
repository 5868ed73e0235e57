"""Runs in the unit's sandbox and tries what it forbids; writes into the given file which settings hold."""

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PTRACE_TRACEME = 0
_CLONE_NEWUSER = 0x10000000
_PERSONALITY_LINUX32 = 0x0008
_PR_GET_NO_NEW_PRIVS = 39


def refused(attempt: Callable[[], object], *codes: int) -> bool:
    try:
        attempt()
    except OSError as exc:
        return exc.errno in codes
    return False


def call(name: str, *arguments: int) -> None:
    """Every system call named here is one that an ordinary user may make."""
    if getattr(_LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def status(key: str) -> str:
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key + ":")
    ]
    return line.split()[1]


def seen(path: str) -> bool:
    try:
        Path(path).stat()
    except OSError:
        return False
    return True


def writable(folder: str) -> bool:
    try:
        (Path(folder) / "probe").write_text("")
    except OSError:
        return False
    return True


def tricky_file() -> Path:
    path = Path("/var/lib/les02-listener/suid")
    path.touch()
    return path


def findings() -> dict[str, bool]:
    read_only = (errno.EROFS,)
    forbidden = (errno.EPERM,)
    return {
        "StateDirectory": writable("/var/lib/les02-listener"),
        "LogsDirectory": writable("/var/log/les02-listener"),
        "WorkingDirectory": Path.cwd() == Path("/var/lib/les02-listener"),
        "UMask": (Path("/var/lib/les02-listener/probe").stat().st_mode & 0o777) == 0o640,
        "CapabilityBoundingSet": int(status("CapBnd"), 16) == 0,
        "NoNewPrivileges": _LIBC.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        "PrivateUsers": Path("/proc/self/uid_map").read_text().split()[2] != str(2**32 - 1),
        # The root's own files, not readable for les02, would say EACCES: only a read-only mount says EROFS.
        "ProtectSystem": all(
            refused(lambda folder=folder: Path(folder, "x").touch(), *read_only)  # type: ignore[misc]
            for folder in ("/usr", "/etc", "/opt", "/var")
        ),
        "ProtectHome": not seen("/home/private") and not seen("/root/private"),
        "PrivateTmp": not seen("/tmp/private") and writable("/tmp"),
        "PrivateDevices": not seen("/dev/kmsg") and seen("/dev/null"),
        "ProtectProc": not seen("/proc/1"),
        "ProcSubset": not seen("/proc/meminfo"),
        "ProtectControlGroups": refused(lambda: Path("/sys/fs/cgroup/x").mkdir(), *read_only),
        "RestrictAddressFamilies": refused(
            lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), errno.EAFNOSUPPORT
        ),
        "RestrictAddressFamilies lets AF_CAN through": not refused(
            lambda: socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close(), errno.EAFNOSUPPORT
        ),
        "RestrictNamespaces": refused(lambda: call("unshare", _CLONE_NEWUSER), *forbidden),
        "RestrictSUIDSGID": refused(lambda: tricky_file().chmod(0o4755), *forbidden),
        "LockPersonality": refused(lambda: call("personality", _PERSONALITY_LINUX32), *forbidden),
        "MemoryDenyWriteExecute": refused(
            lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC), *forbidden
        ),
        "SystemCallFilter": refused(lambda: call("ptrace", _PTRACE_TRACEME, 0, 0, 0), *forbidden)
        and refused(lambda: os.nice(1), *forbidden),
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(findings()))
