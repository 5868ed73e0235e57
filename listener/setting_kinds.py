"""What settings may be: a type, its bounds, and the words for both."""

from typing import Annotated, Literal

from msgspec import Meta

# A description completes the sentence "<value> is not …".
Name = Annotated[str, Meta(min_length=1, description="a name")]
# What they say must not be taken for the sensor's.
Source = Annotated[
    str,
    Meta(
        min_length=1,
        pattern=r"^(?!(workbench|robots|mesh)\Z)",
        description="a name, and none of workbench, robots, mesh, which are those of other instruments",
    ),
]
Millimetres = Annotated[float, Meta(gt=0, le=1000, description="above 0 and up to 1000 mm")]
Seconds = Annotated[float, Meta(gt=0, le=86_400, description="above 0 and up to 86400 s")]
Port = Annotated[int, Meta(ge=0, le=65_535, description="in 0…65535")]
Length = Annotated[float, Meta(gt=0, le=1_000_000, description="above 0 and up to 1000000 mm")]
Speed = Annotated[float, Meta(gt=0, le=100_000, description="above 0 and up to 100000 mm/s")]
Count = Annotated[int, Meta(ge=1, le=1_000_000, description="in 1…1000000")]
Buffer = Annotated[int, Meta(ge=4096, le=2**31 - 1, description="in 4096…2147483647 bytes")]
Milliseconds = Annotated[float, Meta(ge=0, le=1000, description="in 0…1000 ms")]
ReadingSeconds = Annotated[float, Meta(ge=1, le=60, description="in 1…60 s")]
PretriggerSeconds = Annotated[float, Meta(ge=0, le=60, description="in 0…60 s")]
FileSize = Annotated[int, Meta(ge=0, le=2**63 - 1, description="0 or a number of bytes")]
Bitrate = Annotated[Annotated[int, Meta(ge=1, le=10**7)] | None, Meta(description="in 1…10000000 bit/s")]
_LEVELS = r"(?i)^(debug|info|warning|error)\Z"
Level = Annotated[str, Meta(pattern=_LEVELS, description="one of DEBUG, INFO, WARNING, ERROR")]
Format = Annotated[Literal["auto", "console", "json"], Meta(description="one of auto, console, json")]
# Browsers send neither path nor capitals: "http://Page/" would never match, and nobody would know why.
Origins = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^(null|[a-z][a-z0-9+.-]*://[^/\sA-Z]+)\Z")], ...],
    Meta(description='a list of origins such as "http://page.example:8080", lower case, no path'),
]
Url = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[A-Za-z0-9.:-]+(/[^\s;,]*)?)?\Z",
        description='"" or an address such as "https://bench.example/api"',
    ),
]
Tokens = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[!-~]{8,200}\Z")], ...],
    Meta(description="a list of tokens of 8 to 200 letters, digits and signs, without spaces"),
]
# A bus has the name that the workbench knows; without one it is the default one.
_SIGNAL = r"^([A-Za-z0-9][A-Za-z0-9_-]{0,31}\.)?[^.\x00-\x1f\x7f]{1,128}\.[^.\x00-\x1f\x7f]{1,128}\Z"
Signals = Annotated[
    tuple[Annotated[str, Meta(pattern=_SIGNAL)], ...],
    Meta(max_length=16, description='a list of up to 16 signals such as "inverter.PressureSensor.Pressure"'),
]
# The reader hands the three to can.Bus by itself.
AdapterOptions = Annotated[
    dict[Annotated[str, Meta(pattern=r"^(?!(interface|channel|bitrate)\Z)")], str | int | float | bool],
    Meta(description="free of interface, channel and bitrate, which are keys of [can]"),
]
Groups = Annotated[
    dict[str, tuple[Annotated[str, Meta(pattern=r"^[\w.:-]{1,64}\Z")], ...]],
    Meta(description='tables of device_ids, such as stairs = ["robot_01"]'),
]
Percent = Annotated[float, Meta(ge=0, le=100, description="in 0…100 %")]
Celsius = Annotated[float, Meta(ge=-100, le=300, description="in -100…300 °C")]
HoldSeconds = Annotated[float, Meta(ge=0.1, le=5, description="in 0.1…5 s")]
Days = Annotated[float, Meta(gt=0, le=3660, description="above 0, up to 3660 days")]
Rows = Annotated[int, Meta(ge=1, le=1_000_000_000, description="in 1…1000000000")]
Device = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z", description="a name of a device")]
UsbId = Annotated[
    str,
    Meta(
        pattern=r"^([0-9a-fA-F]{4}:[0-9a-fA-F]{4})?\Z", description='"" or vendor:product such as "10c4:ea60"'
    ),
]
Patterns = Annotated[
    tuple[Annotated[str, Meta(min_length=1)], ...],
    Meta(max_length=16, description='a list of up to 16 patterns such as "/dev/ttyUSB*"'),
]
Ports = Annotated[
    tuple[Port, ...], Meta(min_length=1, max_length=2, description="one or two ports in 0…65535")
]
Baudrate = Annotated[int, Meta(ge=300, le=4_000_000, description="in 300…4000000 bit/s")]
Depth = Annotated[int, Meta(ge=1, le=1000, description="in 1…1000")]
