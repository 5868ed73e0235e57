import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

import listener
from listener import config, wording
from listener.config import Config, ConfigError, Loaded, build_parser, describe, load

ROOT = Path(__file__).parents[2]
NO_FILE = Path("/nonexistent/config.toml")

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def loaded(
    cwd: Path, *arguments: str, environ: dict[str, str] | None = None, system_file: Path = NO_FILE
) -> Loaded:
    return load(vars(build_parser().parse_args(arguments)), environ or {}, cwd, system_file)


def mistakes(cwd: Path, *arguments: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as error:
        loaded(cwd, *arguments, environ=environ)
    return str(error.value).replace(f"{cwd}{os.sep}", "").splitlines()


def every_key() -> list[tuple[str, str]]:
    return [(s, k) for s, values in msgspec.to_builtins(Config()).items() for k in values]


def test_version_is_the_one_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert listener.__version__ == project["version"]


class TestPrecedence:
    def test_without_anything_the_defaults_hold(self, tmp_path: Path) -> None:
        result = loaded(tmp_path)
        assert result.config == Config()
        assert result.origins == {f"{s}.{k}": "default" for s, k in every_key()}
        assert not result.demo

    def test_defaults_a_user_relies_on(self) -> None:
        defaults = Config()
        assert (defaults.can.interface, defaults.can.channel) == ("socketcan", "can0")
        assert (defaults.websocket.host, defaults.websocket.port) == ("localhost", 8765)
        assert defaults.can.options == {}
        assert defaults.can.bitrate is None

    def test_file_beats_default_and_environment_beats_file_and_flag_beats_environment(
        self, write: Write, tmp_path: Path
    ) -> None:
        path = write('[can]\nchannel = "f"\ninterface = "f"\n[websocket]\nhost = "f"\n')
        result = loaded(
            tmp_path,
            "--channel=flag",
            environ={"LES02_CAN__CHANNEL": "env", "LES02_CAN__INTERFACE": "env"},
        )
        assert result.config.can.channel == "flag"
        assert result.config.can.interface == "env"
        assert result.config.websocket.host == "f"
        assert result.origins["can.channel"] == "flag --channel"
        assert result.origins["can.interface"] == "environment LES02_CAN__INTERFACE"
        assert result.origins["websocket.host"] == str(path)
        assert result.origins["websocket.port"] == "default"

    def test_every_flag_reaches_its_key(self, tmp_path: Path) -> None:
        result = loaded(
            tmp_path, "--interface=pcan", "--channel=c", "--host=::1", "--port=0", "--log-level=debug"
        )
        assert result.config.can.interface == "pcan"
        assert result.config.can.channel == "c"
        assert result.config.websocket.host == "::1"
        assert result.config.websocket.port == 0
        assert result.config.logging.level == "debug"
        assert result.origins["logging.level"] == "flag --log-level"

    def test_demo_means_the_virtual_bus_whatever_the_file_says(self, write: Write, tmp_path: Path) -> None:
        write('[can]\ninterface = "pcan"\n')
        result = loaded(tmp_path, "--demo", environ={"LES02_CAN__INTERFACE": "slcan"})
        assert result.demo
        assert result.config.can.interface == "virtual"
        assert result.origins["can.interface"] == "flag --demo"

    def test_demo_and_interface_exclude_each_other(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            build_parser().parse_args(["--demo", "--interface=pcan"])
        assert "not allowed with" in capsys.readouterr().err

    def test_file_in_the_directory_hides_the_one_of_the_system(self, write: Write, tmp_path: Path) -> None:
        system_file = tmp_path / "system.toml"
        system_file.write_text('[can]\nchannel = "system"\ninterface = "system"\n')
        assert loaded(tmp_path, system_file=system_file).config.can.channel == "system"
        write('[can]\nchannel = "here"\n')
        result = loaded(tmp_path, system_file=system_file).config
        assert (result.can.channel, result.can.interface) == ("here", "socketcan")

    def test_named_file_hides_both(self, write: Write, tmp_path: Path) -> None:
        write('[can]\nchannel = "here"\n')
        (tmp_path / "mine.toml").write_text('[les02]\nsource = "mine"\n')
        result = loaded(tmp_path, "--config", "mine.toml").config
        assert (result.can.channel, result.les02.source) == ("can0", "mine")

    def test_byte_order_mark_and_windows_line_ends_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_bytes(b'\xef\xbb\xbf[les02]\r\nsource = "x"\r\n')
        assert loaded(tmp_path).config.les02.source == "x"

    def test_whole_numbers_serve_as_floats(self, write: Write, tmp_path: Path) -> None:
        write("[les02]\nsilence_s = 2\n")
        assert loaded(tmp_path).config.les02.silence_s == 2.0

    def test_options_of_the_adapter_keep_their_types(self, write: Write, tmp_path: Path) -> None:
        write('[can.options]\nhost = "h"\nport = 1\nlate = 0.5\nfd = false\n')
        assert loaded(tmp_path).config.can.options == {"host": "h", "port": 1, "late": 0.5, "fd": False}


class TestEnvironment:
    @pytest.mark.parametrize(
        ("name", "text", "section", "key", "value"),
        [
            ("LES02_WEBSOCKET__PORT", "9000", "websocket", "port", 9000),
            ("LES02_WEBSOCKET__STALL_S", "0.5", "websocket", "stall_s", 0.5),
            ("LES02_WEBSOCKET__STALL_S", "3", "websocket", "stall_s", 3.0),
            (
                "LES02_WEBSOCKET__ORIGINS",
                '["http://a", "null"]',
                "websocket",
                "origins",
                ("http://a", "null"),
            ),
            ("LES02_CAN__CHANNEL", "0", "can", "channel", "0"),
            ("LES02_CAN__CHANNEL", "true", "can", "channel", "true"),
            ("LES02_CAN__BITRATE", "250000", "can", "bitrate", 250_000),
            ("LES02_CAN__OPTIONS", '{host = "h", port = 1}', "can", "options", {"host": "h", "port": 1}),
            ("LES02_LOGGING__FILE", "", "logging", "file", ""),
        ],
    )
    def test_values_take_the_type_of_their_key(
        self, tmp_path: Path, name: str, text: str, section: str, key: str, value: object
    ) -> None:
        result = loaded(tmp_path, environ={name: text})
        assert getattr(getattr(result.config, section), key) == value
        assert result.origins[f"{section}.{key}"] == f"environment {name}"

    def test_every_key_has_a_variable(self, tmp_path: Path) -> None:
        for section, key in every_key():
            value = msgspec.to_builtins(Config())[section][key]
            text = value if isinstance(value, str) else "1" if value is None else json.dumps(value)
            name = f"LES02_{section}__{key}".upper()
            assert loaded(tmp_path, environ={name: text}).origins[f"{section}.{key}"] == f"environment {name}"

    def test_variables_of_others_are_left_alone(self, tmp_path: Path) -> None:
        environ = {"LES02_HOME": "x", "PATH": "x", "les02_can__channel": "x", "OTHER_LES02_CAN__CHANNEL": "x"}
        assert loaded(tmp_path, environ=environ).config == Config()


FILE_MISTAKES = [
    ("[websocket]\nprot = 1", '[websocket] prot: unknown key, did you mean "port"?'),
    ("[websocket]\nzzzzzz = 1", "[websocket] zzzzzz: unknown key"),
    ("[websockets]", "unknown section [websockets], did you mean [websocket]?"),
    ("qqq = 1", "unknown section [qqq]"),
    ("can = 3", "[can]: expected a table, got 3"),
    ("[[can]]\nchannel = 'x'", '[can]: expected a table, got [{"channel" = "x"}]'),
    ("can = 1979-05-27", '[can]: expected a table, got "1979-05-27"'),
    ("[websocket]\nport = '8765'", "[websocket] port: expected int, got str"),
    ("[websocket]\nport = true", "[websocket] port: expected int, got bool"),
    ("[websocket]\nport = 1.0", "[websocket] port: expected int, got float"),
    ("[websocket]\nport = {}", "[websocket] port: expected int, got table"),
    ("[websocket.port]\na = 1", "[websocket] port: expected int, got table"),
    ("[websocket]\nport = 70000", "[websocket] port: 70000 is not in 0…65535"),
    ("[websocket]\nport = -1", "[websocket] port: -1 is not in 0…65535"),
    ("[websocket]\nhost = ''", '[websocket] host: "" is not a name'),
    ("[can]\nchannel = ''", '[can] channel: "" is not a name'),
    ("[can]\nbitrate = 0", "[can] bitrate: 0 is not in 1…10000000 bit/s"),
    ("[can]\noptions = []", "[can] options: expected table, got array"),
    ("[can]\noptions = {a = []}", "[can] options: expected bool | int | float | str, got array at [...]"),
    ("[can]\noptions = {a = nan}", '[can] options: {"a" = NaN} is not a finite number'),
    (
        "[can.options]\nchannel = 'x'",
        '[can] options: {"channel" = "x"} is not free of interface, channel and bitrate, '
        "which are keys of [can]",
    ),
    ("[les02]\nresolution_mm = 0", "[les02] resolution_mm: 0 is not above 0 and up to 1000 mm"),
    ("[les02]\nresolution_mm = true", "[les02] resolution_mm: expected float, got bool"),
    ("[les02]\nresolution_mm = nan", "[les02] resolution_mm: NaN is not above 0 and up to 1000 mm"),
    ("[les02]\nsilence_s = inf", "[les02] silence_s: Infinity is not above 0 and up to 86400 s"),
    (
        "[les02]\nsource = 'robots'",
        '[les02] source: "robots" is not a name, and none of workbench, robots, mesh, '
        "which are those of other instruments",
    ),
    ("[les02]\nsource = 1979-05-27", "[les02] source: expected str, got date"),
    ("[websocket]\norigins = 'x'", "[websocket] origins: expected array, got str"),
    ("[websocket]\norigins = [3]", "[websocket] origins: expected str, got int at [0]"),
    (
        "[websocket]\norigins = ['http://page/']",
        '[websocket] origins: ["http://page/"] is not a list of origins such as '
        '"http://page.example:8080", lower case, no path',
    ),
    ("[logging]\nlevel = 'loud'", '[logging] level: "loud" is not one of DEBUG, INFO, WARNING, ERROR'),
    ('[logging]\nlevel = "info\\n"', '[logging] level: "info\\n" is not one of DEBUG, INFO, WARNING, ERROR'),
    ("[logging]\nformat = 'xml'", '[logging] format: "xml" is not one of auto, console, json'),
    ("[logging]\nbackups = 0", "[logging] backups: 0 is not in 1…1000000"),
    ('[les02]\n"a\\nb" = 1', "[les02] a\N{REPLACEMENT CHARACTER}b: unknown key"),
]


class TestMistakes:
    @pytest.mark.parametrize(("text", "line"), FILE_MISTAKES, ids=[text for text, _ in FILE_MISTAKES])
    def test_mistake_in_the_file_names_file_and_key(
        self, write: Write, tmp_path: Path, text: str, line: str
    ) -> None:
        write(text)
        assert mistakes(tmp_path) == [f"config.toml: {line}"]

    @pytest.mark.parametrize(
        ("name", "text", "line"),
        [
            ("LES02_WEBSOCKET__PORT", "x", "expected int, got str"),
            ("LES02_WEBSOCKET__PORT", "", "expected int, got str"),
            ("LES02_WEBSOCKET__PORT", "70000", "70000 is not in 0…65535"),
            ("LES02_WEBSOCKET__PORT", "1\nvalue = 2", "expected int, got str"),
            ("LES02_WEBSOCKET__PORT", "[" * 5000, "expected int, got str"),
            ("LES02_LOGGING__LEVEL", "3", '"3" is not one of DEBUG, INFO, WARNING, ERROR'),
            ("LES02_LES02__SOURCE", "\udcff", "not UTF-8 text"),
            ("LES02_CAN__CHANNEL", "", '"" is not a name'),
            ("LES02_CAN__CHANEL", "x", "unknown variable, did you mean LES02_CAN__CHANNEL?"),
            ("LES02_CAN_CHANNEL", "x", "unknown variable, did you mean LES02_CAN__CHANNEL?"),
            ("LES02_QQQQ__ZZZZZZZZ", "x", "unknown variable"),
        ],
    )
    def test_mistake_in_the_environment_names_the_variable(
        self, tmp_path: Path, name: str, text: str, line: str
    ) -> None:
        assert mistakes(tmp_path, environ={name: text}) == [f"{name}: {line}"]

    def test_mistake_on_the_command_line_names_the_flag(self, tmp_path: Path) -> None:
        assert mistakes(tmp_path, "--port=x") == ["--port: expected int, got str"]
        assert mistakes(tmp_path, "--log-level=x", "--channel=") == [
            '--channel: "" is not a name',
            '--log-level: "x" is not one of DEBUG, INFO, WARNING, ERROR',
        ]

    def test_all_mistakes_are_told_at_once_even_hidden_ones(self, write: Write, tmp_path: Path) -> None:
        write("foo = 1\n[websocket]\nport = -1\n")
        assert mistakes(tmp_path, "--port=9", environ={"LES02_CAN__BITRATE": "x"}) == [
            "config.toml: unknown section [foo]",
            "config.toml: [websocket] port: -1 is not in 0…65535",
            "LES02_CAN__BITRATE: expected int | null, got str",
        ]

    def test_broken_toml_tells_line_and_column(self, write: Write, tmp_path: Path) -> None:
        write("[can]\nchannel = \n")
        assert mistakes(tmp_path) == ["config.toml: Invalid value (at line 2, column 11)"]

    def test_garbage_is_a_mistake_of_the_file(self, write: Write, tmp_path: Path) -> None:
        path = write(f"x = {'[' * 5000}")
        assert len(mistakes(tmp_path)) == 1
        path.write_bytes(b"\xff\xfe")
        (line,) = mistakes(tmp_path)
        assert line.startswith("config.toml: 'utf-8' codec can't decode byte 0xff")

    def test_named_file_has_to_exist(self, tmp_path: Path) -> None:
        assert mistakes(tmp_path, "--config=nope.toml") == ["nope.toml: No such file or directory"]
        assert mistakes(tmp_path, "--config=a\nb") == [
            "a\N{REPLACEMENT CHARACTER}b: No such file or directory"
        ]
        (line,) = mistakes(tmp_path, "--config=a\0b")
        assert line.startswith("a\N{REPLACEMENT CHARACTER}b: embedded null")

    def test_directory_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "config.toml").mkdir()
        assert mistakes(tmp_path) == ["config.toml: Is a directory"]

    def test_file_without_permission(
        self, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write("")

        def refuse(*_: object) -> str:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "read_text", refuse)  # root, which runs many a CI, may read anything
        assert mistakes(tmp_path) == ["config.toml: Permission denied"]

    def test_abbreviated_flags_are_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            build_parser().parse_args(["--inter=x"])
        assert "unrecognized" in capsys.readouterr().err

    def test_version_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            build_parser().parse_args(["--version"])
        assert capsys.readouterr().out == f"leslisten {listener.__version__}\n"


class TestDescribe:
    def test_is_a_config_file_with_the_origin_of_every_value(self, write: Write, tmp_path: Path) -> None:
        path = write('[can.options]\nhost = "h\\"\\u007f€"\n"a b" = true\n')
        environ = {"LES02_CAN__BITRATE": "500000", "LES02_WEBSOCKET__ORIGINS": '["https://a"]'}
        before = loaded(tmp_path, "--port=0", environ=environ)
        text = describe(before)
        lines = text.splitlines()
        assert "port = 0                          # flag --port" in lines
        assert "bitrate = 500000                  # environment LES02_CAN__BITRATE" in lines
        assert any(line.startswith("options = ") and line.endswith(f"# {path}") for line in lines)
        write(text)
        assert loaded(tmp_path).config == before.config

    def test_defaults_come_back_as_defaults(self, write: Write, tmp_path: Path) -> None:
        text = describe(loaded(tmp_path))
        assert "# bitrate is not set              # default" in text
        write(text)
        assert loaded(tmp_path).config == Config()

    def test_file_name_with_a_line_end_stays_in_its_comment(self, tmp_path: Path) -> None:
        (tmp_path / "a\nb").write_text('[les02]\nsource = "x"\n')
        text = describe(loaded(tmp_path, "--config=a\nb"))
        assert tomli.loads(text)["les02"]["source"] == "x"

    def test_nothing_unset_is_written_inside_tables(self) -> None:
        assert wording.toml({"a": None, "b": [{"c": None, "d": 1}]}) == '{"b" = [{"d" = 1}]}'


class TestShippedFile:
    text = (ROOT / "config.toml").read_text(encoding="utf-8")

    def test_says_exactly_the_defaults(self) -> None:
        result = load({}, {}, ROOT, NO_FILE)
        assert result.config == Config()
        unset = {place for place, origin in result.origins.items() if origin == "default"}
        assert unset == {"can.bitrate"}

    def test_mentions_every_section_and_key_in_order(self) -> None:
        expected: list[str] = []
        for section, values in msgspec.to_builtins(Config()).items():
            expected += [section, *values]
        matches = re.findall(r"^\[(\w+)\]$|^(?:# )?(\w+) = ", self.text, re.MULTILINE)
        assert ["".join(match) for match in matches] == expected


# What matters to TOML and terminals. All of Unicode would cost seconds on the first run of a checkout.
text = st.text("a_1-.=#,'\"\\[]{} \t\r\n\0\x7f\x85\u2028€😀", max_size=8)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
sections = st.sampled_from(["can", "les02", "websocket", "logging", "other"])
keys = st.sampled_from([key for _, key in every_key()]) | text


@settings(deadline=None)  # a busy machine is no defect
@given(st.dictionaries(sections, junk | st.dictionaries(keys, junk, max_size=4), max_size=3))
def test_any_tables_make_a_config_or_one_line_per_mistake(tables: dict[str, Any]) -> None:
    merge = config._Merge()
    merge.file("config.toml", tables)
    for problem in map(wording.one_line, merge.problems):
        assert problem.startswith("config.toml: ")
        assert problem.isprintable()
    result = Loaded(msgspec.convert(merge.values, Config), merge.origins)
    tomli.loads(describe(result))


@settings(deadline=None)  # a busy machine is no defect
@given(st.dictionaries(st.sampled_from(sorted(config._VARIABLES)), text, max_size=3))
def test_any_environment_makes_a_config_or_one_line_per_mistake(environ: dict[str, str]) -> None:
    merge = config._Merge()
    merge.environment(environ)
    assert all(problem.startswith("LES02_") for problem in map(wording.one_line, merge.problems))
    result = Loaded(msgspec.convert(merge.values, Config), merge.origins)
    assert msgspec.convert(tomli.loads(describe(result)), Config) == result.config


def test_tokens_are_not_printed(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[access]\ncontrol_tokens = ["turns-the-screw"]\n')
    told = describe(load({}, {}, tmp_path))
    assert "turns-the-screw" not in told
    assert 'control_tokens = ["…"]' in told


@pytest.mark.parametrize(
    "tokens", ['["short"]', '["with a space"]', '"no-list-but-text"', '["ümlaut-token"]']
)
def test_a_token_that_cannot_be_typed_or_is_guessed_is_refused(tmp_path: Path, tokens: str) -> None:
    (tmp_path / "config.toml").write_text(f"[access]\nread_tokens = {tokens}\n")
    with pytest.raises(ConfigError, match="read_tokens"):
        load({}, {}, tmp_path)
