"""Defaults < file < environment < flags in, a frozen `Config` out; every mistake is told with its place.

1. Each source is checked on its own, so a wrong value is told even where a stronger source hides it.
2. The Structs are the only list of sections, keys, types and bounds. A new section is one Struct, whose keys
   all have defaults, and one field of `Config`.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tomli
from msgspec import Meta

from listener import __version__
from listener.setting_kinds import (
    AdapterOptions,
    Baudrate,
    Bitrate,
    Buffer,
    Celsius,
    Count,
    Days,
    Depth,
    Device,
    FileSize,
    Format,
    Groups,
    HoldSeconds,
    Length,
    Level,
    Millimetres,
    Milliseconds,
    Name,
    Origins,
    Patterns,
    Percent,
    Port,
    Ports,
    PretriggerSeconds,
    ReadingSeconds,
    Rows,
    Seconds,
    Signals,
    Source,
    Speed,
    Tokens,
    Url,
    UsbId,
)
from listener.wording import did_you_mean, one_line, toml

SYSTEM_FILE = Path("/etc/les02-listener/config.toml")


class ConfigError(ValueError):
    """Text for the user: one line for each mistake, naming the file, variable or flag, and the key."""


class CanConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    interface: Name = "socketcan"
    channel: Name = "can0"
    bitrate: Bitrate = None
    receive_buffer: Buffer = 4_194_304
    options: AdapterOptions = {}  # msgspec copies an empty default


class Les02Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resolution_mm: Millimetres = 1.0
    source: Source = "les02"
    silence_s: Seconds = 1.0


class WebsocketConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: Name = "localhost"
    port: Port = 8765
    origins: Origins = ()
    write_buffer: Buffer = 65_536
    stall_s: Seconds = 2.0
    state_queue: Count = 256
    coalesce_ms: Milliseconds = 0.0
    resume_s: Seconds = 60.0
    resume_bytes: Buffer = 8_388_608
    max_clients: Count = 1000
    max_per_address: Count = 1000
    ping_interval_s: Seconds = 20.0
    ping_timeout_s: Seconds = 20.0


class AccessConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    read_tokens: Tokens = ()
    control_tokens: Tokens = ()
    robot_tokens: Tokens = ()


class DatabaseConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""


class RidesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    start_speed_mm_s: Speed = 30.0
    rest_speed_mm_s: Speed = 8.0
    ride_mm: Length = 50.0
    still_mm: Length = 3.0
    hold_s: Seconds = 2.0
    channel_tolerance_mm: Length = 10.0
    channel_debounce_s: Seconds = 0.1
    overspeed_mm_s: Speed = 8000.0
    position_tolerance_mm: Length = 20.0
    velocity_tolerance_mm_s: Speed = 50.0
    signals: Signals = ()
    keep_rides: Count = 10_000
    keep_megabytes: Count = 4000

    @property
    def signal_names(self) -> tuple[str, ...]:
        """Each once, and with its bus."""
        full = (name if name.count(".") == 2 else f"default.{name}" for name in self.signals)
        return tuple(dict.fromkeys(full))


class ApiConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = False
    host: Name = "localhost"
    port: Port = 8000
    cors_origins: Origins = ()
    url: Url = ""


class WorkbenchBus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As `POST /connect` takes it."""

    device_type: str
    channel: str | int
    baudrate: str | None = None
    listen_only: bool = False
    fd: bool = False
    data_bitrate: Bitrate = None
    receive_own: bool = False


WorkbenchBuses = Annotated[
    dict[Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")], WorkbenchBus],
    Meta(max_length=16, description="up to 16 tables of device_type, channel, baudrate …"),
]


class WorkbenchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = False
    transmit: bool = False
    dbc_folder: str = ""
    dbc_reading_s: ReadingSeconds = 20.0
    recordings_folder: str = ""
    pretrigger_s: PretriggerSeconds = 0.0
    buses: WorkbenchBuses = {}


class RobotsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = False
    telemetry_interval_s: Seconds = 3.0
    hold_s: HoldSeconds = 0.25
    operator_idle_s: Seconds = 10.0
    low_battery: Percent = 20.0
    hot_c: Celsius = 70.0
    weak_signal: Percent = 25.0
    keep_days: Days = 30.0
    keep_rows: Rows = 5_000_000
    groups: Groups = {}


class ArraysConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = False
    folder: str = ""
    max_bytes: FileSize = 1_073_741_824
    max_total_bytes: FileSize = 4_294_967_296


class MeshConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = False
    device: Device = ""
    usb_id: UsbId = ""
    scan: Patterns = ("/dev/ttyUSB*", "/dev/ttyACM*")
    baudrate: Baudrate = 115_200
    reopen_s: Seconds = 3.0
    host: Name = "localhost"
    tcp_ports: Ports = (5002,)
    websocket_port: Port = 7654
    max_clients: Count = 100
    history: Depth = 10
    idle_s: Seconds = 60.0
    disconnect_s: Seconds = 300.0
    keep_days: Days = 30.0
    keep_rows: Rows = 1_000_000
    data_types: str = ""
    opcodes: str = ""


class LoggingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    level: Level = "INFO"
    format: Format = "auto"
    file: str = ""
    max_bytes: FileSize = 10_485_760
    backups: Count = 5


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    can: CanConfig = CanConfig()
    les02: Les02Config = Les02Config()
    websocket: WebsocketConfig = WebsocketConfig()
    access: AccessConfig = AccessConfig()
    rides: RidesConfig = RidesConfig()
    database: DatabaseConfig = DatabaseConfig()
    api: ApiConfig = ApiConfig()
    workbench: WorkbenchConfig = WorkbenchConfig()
    robots: RobotsConfig = RobotsConfig()
    arrays: ArraysConfig = ArraysConfig()
    mesh: MeshConfig = MeshConfig()
    logging: LoggingConfig = LoggingConfig()


class Loaded(msgspec.Struct, frozen=True):
    config: Config
    origins: dict[str, str]  # "section.key" -> where its value came from
    demo: bool = False


_KINDS: dict[str, dict[str, Any]] = {
    section.name: {key.name: key.type for key in msgspec.structs.fields(section.type)}
    for section in msgspec.structs.fields(Config)
}
_VARIABLES = {f"LES02_{s}__{k}".upper(): (s, k) for s, kinds in _KINDS.items() for k in kinds}
_FLAGS = {
    "interface": ("can", "interface"),
    "channel": ("can", "channel"),
    "host": ("websocket", "host"),
    "port": ("websocket", "port"),
    "log_level": ("logging", "level"),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="leslisten",
        description="Live events from an LES02 shaft copying system: CAN in, WebSocket out.",
        epilog=f"Flags win over LES02_SECTION__KEY variables, these over ./config.toml, else {SYSTEM_FILE}.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="read this file instead")
    bus = parser.add_mutually_exclusive_group()
    bus.add_argument("--interface", metavar="NAME", help="python-can interface, such as socketcan or pcan")
    bus.add_argument("--demo", action="store_true", help="simulated sensor on a virtual bus, no hardware")
    parser.add_argument("--channel", metavar="NAME", help="CAN channel, such as can0")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", help="WebSocket port, 0 for any free one")
    parser.add_argument("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR")
    parser.add_argument("--check-config", action="store_true", help="print what is in force, and from where")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def load(
    flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path, system_file: Path = SYSTEM_FILE
) -> Loaded:
    """`flags` is `vars()` of what `build_parser()` returned; their values are still text."""
    merge = _Merge()
    explicit = flags.get("config")
    for path in [cwd / "config.toml", system_file] if explicit is None else [cwd / str(explicit)]:
        if (tables := _read(path, required=explicit is not None)) is not None:
            merge.file(str(path), tables)
            break
    merge.environment(environ)
    merge.flags(flags)
    if merge.problems:
        raise ConfigError("\n".join(map(one_line, merge.problems)))
    return Loaded(msgspec.convert(merge.values, Config), merge.origins, bool(flags.get("demo")))


def describe(loaded: Loaded) -> str:
    """The effective configuration as a config file, each line with the origin of its value."""
    lines: list[str] = []
    for section, values in msgspec.to_builtins(loaded.config).items():
        lines += ["", f"[{section}]"]
        for key, value in values.items():
            if key.endswith("_tokens"):
                value = ["…" for _ in value]  # whoever reads this over a shoulder shall not have them
            setting = f"# {key} is not set" if value is None else f"{key} = {toml(value)}"
            lines.append(f"{setting:<32}  # {one_line(loaded.origins[f'{section}.{key}'])}")
    return "\n".join(lines[1:]) + "\n"


class _Merge:
    def __init__(self) -> None:
        self.values: dict[str, dict[str, object]] = {section: {} for section in _KINDS}
        self.origins = {f"{s}.{k}": "default" for s, kinds in _KINDS.items() for k in kinds}
        self.problems: list[str] = []

    def file(self, name: str, tables: dict[str, Any]) -> None:
        for section, table in tables.items():
            if section not in _KINDS:
                hint = did_you_mean(section, _KINDS, "[{}]")
                self.problems.append(f"{name}: unknown section [{section}]{hint}")
            elif not isinstance(table, dict):
                self.problems.append(f"{name}: [{section}]: expected a table, got {toml(table)}")
            else:
                for key, value in table.items():
                    self._put(section, key, value, origin=name, place=f"{name}: [{section}] {key}")

    def environment(self, environ: Mapping[str, str]) -> None:
        for name, text in environ.items():
            if name in _VARIABLES:
                section, key = _VARIABLES[name]
                value = _from_text(text, _KINDS[section][key])
                self._put(section, key, value, origin=f"environment {name}", place=name)
            elif name.startswith("LES02_"):
                # One underscore too few would otherwise be a setting that silently does nothing.
                hint = did_you_mean(name, _VARIABLES, "{}", cutoff=0.6 if "__" in name else 0.9)
                if hint or "__" in name:
                    self.problems.append(f"{name}: unknown variable{hint}")

    def flags(self, flags: Mapping[str, object]) -> None:
        for name, (section, key) in _FLAGS.items():
            if (text := flags.get(name)) is not None:
                flag = f"--{name.replace('_', '-')}"
                value = _from_text(str(text), _KINDS[section][key])
                self._put(section, key, value, origin=f"flag {flag}", place=flag)
        if flags.get("demo"):
            self._put("can", "interface", "virtual", origin="flag --demo", place="--demo")

    def _put(self, section: str, key: str, value: object, *, origin: str, place: str) -> None:
        kinds = _KINDS[section]
        if key not in kinds:
            self.problems.append(f"{place}: unknown key{did_you_mean(key, kinds)}")
        elif mistake := _mistake(value, kinds[key]):
            self.problems.append(f"{place}: {mistake}")
        else:
            self.values[section][key] = value
            self.origins[f"{section}.{key}"] = origin


def _read(path: Path, *, required: bool) -> dict[str, Any] | None:
    try:
        return tomli.loads(path.read_text("utf-8-sig"))  # Windows editors put a byte order mark
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not required:
            return None
        reason = error.strerror
    except (ValueError, RecursionError) as error:  # broken TOML, with line and column, or not UTF-8
        reason = str(error)
    raise ConfigError(one_line(f"{path}: {reason}"))


def _from_text(text: str, kind: Any) -> object:
    """Text where text is wanted, so that channel 0 needs no quotes; TOML everywhere else."""
    if not (_mistake(text, kind) or "").startswith("expected"):
        return text
    try:
        return tomli.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _mistake(value: object, kind: Any) -> str | None:
    try:
        msgspec.convert(value, kind)
        # Passes msgspec, but no program wants it and no TOML file can say it: nan, inf, undecodable bytes.
        json.dumps(value, allow_nan=False, ensure_ascii=False, default=str).encode()
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "").replace(" - at $", " at ")
        if ", got " in reason:
            return reason[0].lower() + reason[1:].replace("object", "table")
        rule = next((f"not {meta.description}" for meta in getattr(kind, "__metadata__", ())), reason)
        return f"{toml(value)} is {rule}"
    except UnicodeEncodeError:
        return "not UTF-8 text"
    except ValueError:
        return f"{toml(value)} is not a finite number"
    return None
