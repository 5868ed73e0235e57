"""Other CAN devices beside the sensor: the real daemon with its workbench and its REST API, and a CANable.

    with can_benches(folder) as bench:
        bench.call("POST", "/connect", bench.canable_as("default"))    # what the page does, by a script
        bench.unplug(); bench.plug_in()                                # the CANable
        bench.clear()                                                  # nothing connected, no files

The CANable is `lescanable`, a process of its own, on a pseudo terminal with traffic from mock/bench.dbc. Two
buses of the type `virtual` with the same channel hear each other.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from tests.e2e.helpers import PATIENCE_S, ROOT
from tests.page.bench import FLAGS, Bench, benches

DBC = ROOT / "mock/bench.dbc"
SETTINGS = {
    "LES02_API__ENABLED": "true",
    "LES02_API__HOST": "127.0.0.1",
    "LES02_API__PORT": "0",
    "LES02_WORKBENCH__ENABLED": "true",
    "LES02_WORKBENCH__TRANSMIT": "true",
}


class CanBench:
    def __init__(self, bench: Bench, port: Path) -> None:
        self.bench = bench
        self.url = bench.url
        self.daemon = bench.daemon
        self.port = port
        self._canable: subprocess.Popen[str] | None = None

    @property
    def api(self) -> str:
        return str(self.daemon.logged("api_started")["url"])

    def plug_in(self) -> None:
        command = [sys.executable, "-m", "mock.mock_canable", "--link", str(self.port)]
        self._canable = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._canable.stdout is not None
        assert "plugged in" in self._canable.stdout.readline()

    def unplug(self) -> None:
        """As a plug is pulled: nothing is said before."""
        if self._canable is None:
            return
        self._canable.kill()
        self._canable.wait(PATIENCE_S)
        assert self._canable.stdout is not None
        self._canable.stdout.close()
        self._canable = None
        self.port.unlink(missing_ok=True)

    def canable_as(self, bus: str) -> dict[str, Any]:
        """What connects it."""
        return {"device_type": "canable", "channel": str(self.port), "baudrate": "BAUD_500K", "bus": bus}

    def connect(self, bus: str = "default", **more: Any) -> None:
        self.call("POST", "/connect", self.canable_as(bus) | more)

    def connect_virtual(self, bus: str, channel: str = "bench") -> None:
        self.call("POST", "/connect", {"device_type": "virtual", "channel": channel, "bus": bus})

    def send(self, bus: str, can_id: int, data: list[int]) -> None:
        self.call("POST", "/send", {"bus": bus, "can_id": can_id, "data": data})

    def load(self, bus: str = "default", path: Path = DBC) -> None:
        edge = "a-boundary-of-the-tests"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
        body = head.encode() + path.read_bytes() + f"\r\n--{edge}--\r\n".encode()
        self._ask("POST", f"/dbc/upload?bus={bus}", body, f"multipart/form-data; boundary={edge}")

    def call(self, method: str, path: str, body: object = None) -> Any:
        return self._ask(method, path, None if body is None else json.dumps(body).encode())

    def clear(self) -> None:
        self.call("POST", "/recordings/replay/stop", {})
        for task in self.call("GET", "/cyclic"):
            self.call("DELETE", f"/cyclic/{task['id']}")
        for bus in self.call("GET", "/buses"):
            if not bus["is_sensor"]:
                self.call("POST", "/disconnect", {"bus": bus["name"]})
        for file in self.call("GET", "/dbc/list")["files"]:
            self.call("DELETE", f"/dbc/delete/{urllib.parse.quote(file['name'])}")
        for name in self.call("GET", "/transmit_lists"):
            self.call("DELETE", f"/transmit_lists/{urllib.parse.quote(name)}")

    def _ask(self, method: str, path: str, body: bytes | None, kind: str = "application/json") -> Any:
        headers = {} if body is None else {"Content-Type": kind}
        request = urllib.request.Request(self.api + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return cast("Any", json.load(answer))
        except urllib.error.HTTPError as refused:
            with refused:
                raise AssertionError(f"{method} {path}: {refused.code} {refused.read().decode()}") from None


@contextmanager
def can_benches(folder: Path, **settings: str) -> Iterator[CanBench]:
    with benches(folder, flags=FLAGS, **SETTINGS | settings) as bench:
        running = CanBench(bench, folder / "ttyCAN")
        try:
            running.plug_in()
            yield running
        finally:
            running.unplug()
