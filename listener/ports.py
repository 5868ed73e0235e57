"""A port to listen on, or why it cannot be had, for the user."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable

# Backstop for peers that vanished: nothing acknowledged for so long ends the connection.
UNACKNOWLEDGED_S = 30


class PortUnavailable(Exception):  # noqa: N818 - a condition of the machine
    """The address cannot be listened on; the text says why."""


def bound(sock: socket.socket, write_buffer: int) -> None:
    """What the kernel keeps for a client: by itself, a minute of stale samples for who does not read."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, write_buffer)
    if sys.platform == "linux":  # elsewhere unanswered pings end it, a little later
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_S * 1000)


def explain(exc: OSError | UnicodeError, host: str, port: int) -> str:
    if getattr(exc, "errno", None) == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; is another listener running? (ss -ltnp 'sport = :{port}')"
    return f"cannot listen on {host} port {port}: {getattr(exc, 'strerror', None) or exc}"


async def listen(host: str, port: int, prepare: Callable[[socket.socket], None]) -> list[socket.socket]:
    """One socket for each address of the host; `prepare` sets what their connections inherit."""
    loop = asyncio.get_running_loop()
    # `localhost` is two addresses, which would be given two different free ports.
    family = socket.AF_INET if port == 0 else socket.AF_UNSPEC
    sockets: list[socket.socket] = []
    unusable: OSError | None = None
    try:
        found = await loop.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for each_family, _, _, _, address in dict.fromkeys(found):
            try:
                sockets.append(_listening(each_family, address, prepare))
            except OSError as exc:
                # `localhost` names ::1 on many machines whose kernel has no IPv6.
                if host != "localhost" or exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                unusable = exc
    except (OSError, UnicodeError) as exc:  # UnicodeError: a host that no name server could be asked for
        for each in sockets:
            each.close()
        raise PortUnavailable(explain(exc, host, port)) from exc
    if not sockets and unusable is not None:
        raise PortUnavailable(explain(unusable, host, port)) from unusable
    return sockets


def _listening(
    family: int,
    address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
    prepare: Callable[[socket.socket], None],
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # where REUSEADDR would let two programs have the same port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        prepare(sock)
        sock.bind(address)
        sock.listen()  # now: until then another program could take the port
    except OSError:
        sock.close()
        raise
    return sock
