"""The files in deploy/: systemd itself judges the unit; the rest is read as systemd reads it."""

import os
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNIT = "les02-listener.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and os.environ.get("CI") != "true",
    reason="no systemd-analyze: apt install systemd",
)


def settings(name: str) -> dict[str, list[tuple[str, str]]]:
    """Sections of a systemd file; keys keep their case and may appear several times."""
    sections: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for line in (DEPLOY / name).read_text().splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            current = sections.setdefault(header[1], [])
        elif line and not line.startswith("#"):
            key, separator, value = line.partition("=")
            assert separator, line
            current.append((key, value))
    return sections


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A file system in which the service is installed as docs/operations.md says."""
    for folder in ("lib/systemd", "usr/lib/systemd"):
        if (source := Path("/", folder, "system")).is_dir():
            shutil.copytree(source, tmp_path / folder / "system", symlinks=True, dirs_exist_ok=True)
    program = tmp_path / "opt/les02-listener/venv/bin/leslisten"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(DEPLOY / UNIT, units)
    return tmp_path


def verify(machine: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={machine}", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )


@needs_systemd
def test_systemd_finds_nothing_to_say_about_the_unit(machine: Path) -> None:
    result = verify(machine)

    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@needs_systemd
def test_the_check_above_would_notice_a_misspelt_key(machine: Path) -> None:
    unit = machine / "etc/systemd/system" / UNIT
    unit.write_text(unit.read_text().replace("WatchdogSec", "WatchdgSec"))

    assert "WatchdgSec" in verify(machine).stderr  # with exit code 0: hence the empty output above


@needs_systemd
def test_systemd_rates_the_exposure_of_the_service_at_most_2_0() -> None:
    result = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", DEPLOY / UNIT],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("Unit", "StartLimitIntervalSec", "0"),
        ("Service", "Type", "notify"),
        ("Service", "NotifyAccess", "main"),
        ("Service", "WatchdogSec", "10"),
        ("Service", "Restart", "on-failure"),
        ("Service", "RestartPreventExitStatus", "78"),
        ("Service", "User", "les02"),
        ("Service", "StateDirectory", "les02-listener"),
        ("Service", "NoNewPrivileges", "yes"),
        ("Service", "CapabilityBoundingSet", ""),
        ("Service", "ProtectSystem", "strict"),
        ("Service", "PrivateDevices", "yes"),
    ],
)
def test_the_service_keeps_its_promises(section: str, key: str, value: str) -> None:
    assert [v for k, v in settings(UNIT)[section] if k == key] == [value]


def test_the_service_may_open_can_and_network_sockets_and_no_others() -> None:
    families = dict(settings(UNIT)["Service"])["RestrictAddressFamilies"]

    assert families.split() == ["AF_UNIX", "AF_INET", "AF_INET6", "AF_CAN"]


def test_the_daemon_has_time_to_end_in_order_before_systemd_kills_it() -> None:
    from listener.main import STOP_S

    assert float(dict(settings(UNIT)["Service"])["TimeoutStopSec"]) >= STOP_S + 2


def test_the_service_starts_a_program_that_the_package_has() -> None:
    program = Path(dict(settings(UNIT)["Service"])["ExecStart"].split()[0])

    assert f'{program.name} = "listener.main:main"' in (ROOT / "pyproject.toml").read_text()


def test_can0_comes_up_at_250_kbit_per_second_and_acknowledges_the_sensor() -> None:
    network = settings("80-can0.network")

    assert network["Match"] == [("Name", "can0")]
    assert dict(network["CAN"]) == {"BitRate": "250K", "RestartSec": "100ms", "ListenOnly": "no"}
    assert ("RequiredForOnline", "no") in network["Link"]


def test_the_kernel_grants_the_receive_buffer_that_the_default_configuration_asks_for() -> None:
    from listener.config import CanConfig

    sysctl = ConfigParser(strict=True)
    sysctl.read_string("[all]\n" + (DEPLOY / "80-les02.conf").read_text())

    assert sysctl.getint("all", "net.core.rmem_max") >= CanConfig().receive_buffer


def test_the_user_of_the_service_is_the_one_that_sysusers_makes() -> None:
    (line,) = [
        line
        for line in (DEPLOY / "les02-sysusers.conf").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    assert line.split()[:2] == ["u", dict(settings(UNIT)["Service"])["User"]]


def test_the_manual_mentions_every_file_that_is_to_be_installed() -> None:
    manual = "".join((ROOT / "docs" / name).read_text() for name in ("operations.md", "docker.md"))

    assert [path.name for path in DEPLOY.iterdir() if path.is_file() and path.name not in manual] == []
