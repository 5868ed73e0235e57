"""The container as its files describe it; no Docker is needed. What is said of it elsewhere has to agree."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import tomli
import yaml

from listener.config import ApiConfig, WebsocketConfig
from listener.main import OWN_FILES, STOP_S

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
OVERLAYS = ("compose.serial.yaml", "compose.usb.yaml")


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile: name and the rest, continuation lines joined."""
    lines = [
        line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")
    ]
    joined = "\n".join(lines).replace("\\\n", "")
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def of_last_stage(wanted: str) -> list[str]:
    return [rest for name, rest in stages()[-1] if name == wanted]


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for rest in of_last_stage("ENV") for word in rest.split())


def copied_from_here() -> list[str]:
    return [
        source.rstrip("/")
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name).read_text()))


def service(name: str = "compose.yaml") -> dict[str, Any]:
    return dict(compose(name)["services"]["listener"])


def project() -> dict[str, Any]:
    return tomli.loads((ROOT / "pyproject.toml").read_text())


def number(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


# What goes in


@pytest.mark.parametrize("source", copied_from_here())
def test_what_is_copied_is_there_and_is_not_kept_from_docker(source: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert (ROOT / source).exists()
    assert ignored[1] == "*"
    assert f"!{PurePosixPath(source).parts[0]}" in ignored


def test_all_that_the_package_is_made_of_is_copied() -> None:
    package = project()
    hatch = package["tool"]["hatch"]["build"]
    needed = {"pyproject.toml", "hatch_build.py", package["project"]["readme"]}
    needed |= {*package["project"]["license-files"], *hatch["targets"]["wheel"]["packages"]}

    assert needed <= set(copied_from_here())


def test_the_page_is_taken_from_where_vite_puts_it_to_where_the_package_has_it() -> None:
    (page,) = hatch = project()["tool"]["hatch"]["build"]["artifacts"]
    folder = re.search(r'outDir: "\.\./(.*)"', (ROOT / "web/vite.config.ts").read_text())

    assert folder
    assert hatch == [f"{folder[1]}/index.html"]
    assert ("COPY", f"--from=page /src/{page} {folder[1]}/") in stages()[1]


def test_extras_that_are_installed_exist() -> None:
    (extras,) = re.findall(r'"\.\[(.*)\]"', (DEPLOY / "Dockerfile").read_text())

    assert set(extras.split(",")) <= project()["project"]["optional-dependencies"].keys()


def test_base_images_have_versions_that_the_program_and_the_page_allow() -> None:
    images = [rest.split(" AS ")[0].split()[-1] for name, rest in instructions() if name == "FROM"]
    node, *pythons = images
    engines = json.loads((ROOT / "web/package.json").read_text())["engines"]["node"]

    assert [image.split(":")[0] for image in images] == ["node", "python", "python"]
    assert number(node.split(":")[1]) >= number(engines)[:1]
    assert len(set(pythons)) == 1, "what was compiled for one is run by the other"
    assert number(pythons[0].split(":")[1].split("-")[0]) >= number(project()["project"]["requires-python"])


# What runs


def test_what_runs_has_no_tools_to_build_with_and_is_not_root() -> None:
    commands = " ".join(of_last_stage("RUN"))
    (user,) = of_last_stage("USER")

    assert not re.search(r"\b(pip|npm|gcc|build-essential|git|curl)\b", commands)
    assert f"--uid {user}" in commands
    assert "--groups dialout" in commands


def test_it_starts_the_program_of_the_package_with_the_configuration_that_is_mounted() -> None:
    (entry,), (command,) = (map(json.loads, of_last_stage(name)) for name in ("ENTRYPOINT", "CMD"))
    (mounted,) = [each for each in service()["volumes"] if isinstance(each, dict)]

    assert entry[0] in project()["project"]["scripts"]
    assert command[0] == "--config"
    assert str(Path(command[1]).parent) == mounted["target"]
    assert mounted["read_only"] is True


def test_the_ports_are_those_of_the_configuration() -> None:
    (ports,) = of_last_stage("EXPOSE")

    assert list(map(int, ports.split())) == [WebsocketConfig().port, ApiConfig().port]


def test_what_is_kept_lies_in_a_volume() -> None:
    state = environment()["STATE_DIRECTORY"]
    (volume,) = [each for each in service()["volumes"] if isinstance(each, str)]

    assert of_last_stage("VOLUME") == [state]
    assert volume == f"state:{state}"
    assert "state" in compose()["volumes"]


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()
            self.wfile.write(b'{"status":"so it is"}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()


def is_healthy(port: int) -> tuple[bool, str]:
    (check,) = of_last_stage("HEALTHCHECK")
    _, _, command = check.partition(" CMD ")
    _, *arguments = json.loads(command)
    done = subprocess.run(
        [sys.executable, *arguments],
        env={"LES02_WEBSOCKET__PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode == 0, done.stdout


def test_the_container_is_healthy_as_long_as_healthz_says_so() -> None:
    with answering(200) as port:
        assert is_healthy(port) == (True, '200 {"status":"so it is"}\n')
    with answering(503) as port:
        assert is_healthy(port) == (False, '503 {"status":"so it is"}\n')
    assert is_healthy(port) == (False, "")


# How it is run


def test_it_is_given_no_right_that_it_does_not_need() -> None:
    settings = service()

    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert settings["read_only"] is True
    assert {"cap_add", "privileged", "pid", "user"} & settings.keys() == set()


def test_it_sees_the_can_interfaces_of_the_host() -> None:
    assert service()["network_mode"] == "host"
    assert "ports" not in service()


def test_it_has_time_to_end_in_order_and_a_descriptor_for_every_client() -> None:
    assert float(service()["stop_grace_period"].removesuffix("s")) >= STOP_S + 2
    assert service()["ulimits"]["nofile"] >= WebsocketConfig().max_clients + OWN_FILES


def test_compose_builds_this_dockerfile_from_this_repository() -> None:
    build = service()["build"]
    context = (DEPLOY / build["context"]).resolve()

    assert context == ROOT
    assert context / build["dockerfile"] == DEPLOY / "Dockerfile"


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_adapter_is_let_in_by_itself_and_changes_nothing_else(name: str) -> None:
    assert service(name).keys() <= {"devices", "volumes", "device_cgroup_rules", "group_add"}


def test_usb_adapters_get_usb_devices_and_no_others() -> None:
    assert service("compose.usb.yaml")["device_cgroup_rules"] == ["c 189:* rw"]


@pytest.mark.parametrize("name", ["compose.yaml", *OVERLAYS, "80-les02.conf"])
def test_the_manual_tells_what_to_do_with_the_file(name: str) -> None:
    assert f"deploy/{name}" in (ROOT / "docs/docker.md").read_text()
