"""A dashboard as a process of its own that holds the stick: `python -S stick.py PORT ROBOT [TIMES]`.

After TIMES moves it says nothing any more, and stays. Nothing but sockets, so that it starts at once.
"""

import os
import socket
import sys
import time

PERIOD_S = 0.05


def frame(text: bytes) -> bytes:
    """Masked with zeros."""
    assert len(text) < 126
    return bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text


def main() -> None:
    port, robot = int(sys.argv[1]), sys.argv[2]
    times = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000_000
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(
        f"GET /ws/telemetry/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    connection.recv(65536)
    connection.setblocking(False)
    move = frame(b'{"type":"robot_move","x":0.5,"y":-0.3,"device_id":"%b"}' % robot.encode())
    for number in range(10_000_000):
        if number < times:
            connection.sendall(move)
            if number == 0:
                os.write(1, b"driving\n")
        time.sleep(PERIOD_S)
        try:
            if not connection.recv(1_000_000):
                return
        except BlockingIOError:
            pass


if __name__ == "__main__":
    main()
