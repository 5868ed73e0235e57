"""The workbench of a listener in a process of its own, on a bus beside the sensor's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.e2e.helpers import Daemon
from tests.vcan.bench import PATIENCE_S, ip, listening, make_bus, raise_bus, until
from tests.vcan.client import Client

OTHER = "vcan1"
SENSOR = "les02"
_LINE = re.compile(r"\((\d+\.\d+)\) (\S+) (\S+)")
_FDF, _BRS, _ESI = 4, 1, 2


class Line(NamedTuple):
    """Of candump."""

    ts: float
    frame: str


def lines(log: list[str]) -> list[Line]:
    found = [_LINE.match(line) for line in log]
    return [Line(float(match[1]), match[3]) for match in found if match]


def as_candump(told: dict[str, Any]) -> Line:
    """What candump writes of the frame that a client was told."""
    number = f"{told['id']:08X}" if told["is_extended"] else f"{told['id']:03X}"
    data = bytes(told["data"]).hex().upper()
    if told["is_remote"]:
        assert not data
        content = f"#R{told['dlc'] or ''}"
    elif told.get("is_fd"):
        flags = (
            _FDF | _BRS * told.get("bitrate_switch", False) | _ESI * told.get("error_state_indicator", False)
        )
        content = f"##{flags:X}{data}"
    else:
        content = f"#{data}"
    assert told["is_remote"] or told["dlc"] == len(told["data"])
    return Line(told["timestamp"], number + content)


class Frames(Client):
    """A session on `/ws/can`."""

    def __init__(self, port: int, query: str = "?decoded=0") -> None:
        super().__init__(port, f"/ws/can{query}")
        self.synchronize()

    def synchronize(self) -> None:
        """Returns when the session has begun, and what was told before is here."""
        place = self.now
        self.send("?")
        until(
            lambda: any(told.get("type") == "heartbeat" for told in self.messages(after=place)), "an answer"
        )

    def frames(self, *, after: int = 0) -> list[Line]:
        return [as_candump(told) for told in self.messages(after=after) if "type" not in told]

    def told(self, state: str, *, after: int = 0) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            states = [told for told in self.messages(after=after) if told.get("type") == "status"]
            return next((told for told in states if told["state"] == state), None)

        found = until(find, state)
        assert found is not None
        return found


class Workbench:
    def __init__(self, listener: Daemon, http: httpx.Client) -> None:
        self.listener = listener
        self.http = http

    @contextmanager
    def client(self, query: str = "?decoded=0") -> Iterator[Frames]:
        port = self.http.base_url.port
        assert port
        client = Frames(port, query)
        try:
            yield client
        finally:
            client.close()

    @contextmanager
    def connected(self, **more: Any) -> Iterator[None]:
        self.post("/connect", {"device_type": "socketcan", "channel": OTHER, "baudrate": "BAUD_500K", **more})
        try:
            yield
        finally:
            self.post("/disconnect")

    def post(self, path: str, body: object = None, status: int = 200) -> Any:
        return self._checked(self.http.post(path, json=body), status)

    def get(self, path: str, status: int = 200) -> Any:
        return self._checked(self.http.get(path), status)

    def delete(self, path: str) -> Any:
        return self._checked(self.http.delete(path), 200)

    @staticmethod
    def _checked(answer: httpx.Response, status: int) -> Any:
        assert answer.status_code == status, answer.text
        return answer.json()


@contextmanager
def working(place: Path) -> Iterator[Workbench]:
    """With transmit = true."""
    settings: dict[str, Any] = {
        "LES02_API__ENABLED": "true",
        "LES02_API__PORT": "0",
        "LES02_API__HOST": "127.0.0.1",
        "LES02_WORKBENCH__ENABLED": "true",
        "LES02_WORKBENCH__TRANSMIT": "true",
        "LES02_DATABASE__PATH": str(place / "les02.db"),
    }
    make_bus(OTHER)
    raise_bus(OTHER)
    try:
        with listening(place, **settings) as listener:
            url = listener.logged("api_started")["url"]
            with httpx.Client(base_url=str(url), timeout=PATIENCE_S, trust_env=False) as http:
                yield Workbench(listener, http)
    finally:
        ip("link", "del", OTHER)


def kernels_periods() -> list[int]:
    """Of all that the kernel's broadcast manager sends again and again, in microseconds."""
    texts = [file.read_text() for file in Path("/proc/net/can-bcm").iterdir()]
    return sorted(int(period) for text in texts for period in re.findall(r"tx_op:.* t2=(\d+) ", text))
