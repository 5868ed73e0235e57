"""The rules of the house: who may import whom, how large the heart may be, what starts what."""

import ast
import io
import os
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What a frame passes on its way to a client, to be read in one sitting; and any one file.
WAY_OF_A_FRAME = {
    "socketcan",
    "can_reader",
    "raw_frame",
    "frames",
    "les02",
    "events",
    "hub",
    "fanout",
    "pace",
    "outbound",
}
WAY_LINES = 1200
FILE_LINES = 400
UNWANTED_IN_PURE = {
    "asyncio",
    "can",
    "logging",
    "socket",
    "sqlite3",
    "structlog",
    "threading",
    "time",
    "websockets",
}
PURE = {
    "listener.access",
    "listener.origins",
    "listener.events",
    "listener.node_events",
    "listener.frames",
    "listener.raw_frame",
    "listener.can_errors",
    "listener.losses",
    "listener.metrics",
    "listener.ring",
    "listener.query",
    "listener.subscription",
    "listener.throttle",
    "listener.schema",
    "listener.wording",
    "listener.api.visitors",
    "listener.rides.motion",
    "listener.rides.detector",
    "listener.rides.edges",
    "listener.rides.plausibility",
    "listener.rides.floors",
    "listener.rides.summary",
    "listener.rides.finder",
    "listener.rides.report",
    "listener.rides.curves",
    "listener.rides.files",
    "listener.rides.filling",
    "listener.rides.plot",
    "listener.rides.signals",
    "listener.rides.signal_report",
    "listener.workbench.identifiers",
    "listener.workbench.messages",
    "listener.workbench.descriptions",
    "listener.workbench.layout",
    "listener.workbench.codec",
    "listener.workbench.echoes",
    "listener.workbench.frame_bits",
    "listener.workbench.statistics",
    "listener.robots.messages",
    "listener.robots.answers",
    "listener.robots.orders",
    "listener.robots.operators",
    "listener.robots.limits",
    "listener.arrays.npy",
    "listener.arrays.notation",
    "listener.arrays.pieces",
    "listener.arrays.packets",
    "listener.arrays.ring",
    "listener.arrays.calls",
    "listener.mesh.uart_codec",
    "listener.mesh.data_types",
    "listener.mesh.message_opcodes",
    "listener.mesh.messages",
    "listener.mesh.requests",
    "listener.mesh.listening",
    "listener.mesh.calls",
    "listener.mesh.node",
    "listener.mesh.registry",
    "listener.mesh.notation",
    "listener.mesh.priority",
    "mock.mesh_framing",
    "mock.mesh_network",
    "mock.mesh_node",
    "mock.profile",
    "mock.robot_body",
    "mock.slcan_firmware",
}
# No arrow runs up. Neighbours may know each other on the first two floors, but not above.
FLOORS = [
    {
        "listener",
        "events",
        "node_events",
        "frames",
        "raw_frame",
        "can_errors",
        "losses",
        "ring",
        "query",
        "subscription",
        "throttle",
        "config",
        "setting_kinds",
        "logs",
        "metrics",
        "systemd",
        "schema",
        "commands",
        "page",
        "access",
        "origins",
        "sessions",
        "pace",
        "rest",
        "ports",
        "file_lock",
        "stop_signals",
        "extras",
        "wording",
        "unread",
    },
    {
        "hub",
        "socketcan",
        "opening",
        "can_reader",
        "diagnosis",
        "outbound",
        "inbound",
        "follower",
        "followers",
        "path_peer",
        "websocket_port",
        "fanout",
        "client",
        "database",
    },
    {"les02", "websocket_server", "debug_ws_client", "demo"},
    {"wings"},
    {"main"},
]
THIRD = 2
OPEN_TO_WINGS = {
    "listener",
    "listener.events",
    "listener.node_events",
    "listener.frames",
    "listener.raw_frame",
    "listener.schema",
    "listener.hub",
    "listener.commands",
    "listener.database",
    "listener.config",
    "listener.access",
    "listener.sessions",
    "listener.rest",
    "listener.query",
    "listener.wording",
    # For the API, which lets clients in by the same rules.
    "listener.inbound",
    "listener.origins",
    "listener.ports",
    # For the mesh, whose monitoring has a port of its own.
    "listener.websocket_port",
    "listener.file_lock",
    # For the workbench, which reads buses as the heart does and serves many clients as it does.
    "listener.can_errors",
    "listener.can_reader",
    "listener.opening",
    "listener.pace",
    "listener.throttle",
    # For sessions with clients that may be slower than what they are told.
    "listener.follower",
    "listener.followers",
    "listener.unread",
    # For programs of a wing that run until they are stopped.
    "listener.stop_signals",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for package in ("listener", "mock") for path in (ROOT / package).rglob("*.py")}
# The page's folder is a folder for the file that is built into it.
WINGS = {path.parent.name for path in (ROOT / "listener").glob("*/*.py")} - {"page"}


def imports(module: str, *, for_types: bool = True) -> Iterator[str]:
    """Everything imported anywhere in the file, in functions too; ours by the name of the file it is in."""
    pending: list[ast.AST] = [ast.parse(MODULES[module].read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            pending.extend(node.orelse)
            continue
        pending.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def wing_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "listener" and len(parts) > 1 and parts[1] in WINGS else None


def floor_of(module: str) -> int:
    if wing_of(module):
        return THIRD
    name = module.removeprefix("listener.")
    floors = [number for number, names in enumerate(FLOORS) if name in names]
    assert floors, f"{module} has no floor yet: give it one in FLOORS"
    return floors[0]


HEART = sorted(module for module in MODULES if module.split(".")[0] == "listener" and not wing_of(module))


def code_lines(source: str) -> int:
    """Lines that hold code: to leave out a reason or a blank line must not pay."""
    layout = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in layout | {tokenize.COMMENT}
        for line in range(token.start[0], token.end[0] + 1)
    }
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    return len(code - {line for text in texts for line in range(text.lineno, (text.end_lineno or 0) + 1)})


def test_the_way_of_a_frame_can_be_read_in_one_sitting() -> None:
    lines = {name: code_lines(MODULES[f"listener.{name}"].read_text()) for name in WAY_OF_A_FRAME}

    assert sum(lines.values()) < WAY_LINES, lines


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_file_is_not_too_long(module: str) -> None:
    assert len(MODULES[module].read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("module", sorted(PURE & MODULES.keys()))
def test_a_pure_module_touches_neither_clock_nor_socket_nor_log(module: str) -> None:
    assert {name.split(".")[0] for name in imports(module)} & UNWANTED_IN_PURE == set()


@pytest.mark.parametrize("module", sorted(PURE & MODULES.keys()))
def test_a_pure_module_stands_on_pure_modules_only(module: str) -> None:
    ours = {name for name in imports(module) if name.split(".")[0] in ("listener", "mock")}

    assert ours <= PURE


@pytest.mark.parametrize("module", HEART)
def test_no_arrow_runs_up(module: str) -> None:
    floor = floor_of(module)
    for other in imports(module):
        if other.split(".")[0] == "listener" and other != module:
            assert floor_of(other) <= floor, f"{module} imports {other}"
            assert floor_of(other) != floor or floor < THIRD, f"{module} imports its neighbour {other}"


@pytest.mark.parametrize("module", HEART)
def test_the_heart_knows_a_wing_by_its_door_alone(module: str) -> None:
    used = {name for name in imports(module) if wing_of(name)}

    assert used <= ({f"listener.{wing}.wing" for wing in WINGS} if module == "listener.wings" else set())


def test_a_wing_knows_itself_and_little_else() -> None:
    for module in (module for module in MODULES if wing_of(module)):
        for other in imports(module):
            assert wing_of(other) in (None, wing_of(module)), f"{module} imports {other}"
        ours = {name for name in imports(module, for_types=False) if name in HEART}

        assert ours <= OPEN_TO_WINGS, module


def test_the_daemon_runs_without_the_mock() -> None:
    users = {module for module in HEART if any(name.split(".")[0] == "mock" for name in imports(module))}

    assert users <= {"listener.demo"}  # inside functions


def test_no_two_files_import_each_other_nor_in_a_circle() -> None:
    arrows = {module: {name for name in imports(module) if name in MODULES} - {module} for module in MODULES}
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as circle:
        pytest.fail(" imports ".join(reversed(circle.args[1])))


def test_starting_the_daemon_loads_nothing_that_only_a_wing_or_a_tool_needs() -> None:
    heavy = "cantools fastapi httpx matplotlib mock.mock_les02 numpy serial serialx uvicorn"
    code = f"import sys, listener.main; print([name for name in '{heavy}'.split() if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "[]"


def test_ci_runs_what_everybody_runs() -> None:
    _, *commands = (ROOT / ".ci/run").read_text().splitlines()

    assert commands == ['exec "$(dirname "$0")/../tests/run"']


@pytest.mark.parametrize("script", [".ci/run", "tests/run", "start_dev.sh"])
def test_scripts_can_be_started(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_an_unknown_option_of_start_dev_is_explained() -> None:
    result = subprocess.run([ROOT / "start_dev.sh", "--wat"], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr.splitlines()[0][:21]) == (2, "Usage: ./start_dev.sh")


@pytest.mark.skipif(
    shutil.which("nix-instantiate") is None and os.environ.get("CI") != "true",
    reason="no nix-instantiate: apt install nix-bin",
)
def test_the_flake_parses() -> None:
    result = subprocess.run(
        ["nix-instantiate", "--parse", ROOT / "flake.nix"], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr


def test_the_flake_has_every_dependency_of_the_package() -> None:
    import tomli

    project = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = [requirement.split(">")[0].split("=")[0].strip() for requirement in wanted]
    words = (ROOT / "flake.nix").read_text().split()

    assert [name for name in names if name not in words] == []
