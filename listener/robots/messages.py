"""What dashboards ("websites") and robots say on `/ws/telemetry/`, as typed values.

Pure. One text in, one value out: a message, `Rejected` with the reason for whoever sent it, or `NOT_JSON`.
A number is finite and in its range, or the whole message is rejected; fields that we do not know are the
sender's own business.

A stop is one whatever else is wrong with it. What of it cannot be understood is left out: one whose address
makes no sense is a stop of all robots.
"""

import contextlib
import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

# Messages are small; what is nested deeper than this is none.
TEXT_MAX: Final = 4096

DEVICE_ID: Final = r"\A[\w.:-]{1,64}\Z"
DeviceId = Annotated[str, Meta(pattern=DEVICE_ID)]
Name = Annotated[str, Meta(max_length=64)]
Id = Annotated[str, Meta(min_length=1, max_length=64)] | Annotated[int, Meta(ge=-(2**53), le=2**53)]
# What is said as a whole number is handed on as one: 60, not 60.0.
_Axis = Annotated[int, Meta(ge=-1, le=1)] | Annotated[float, Meta(ge=-1, le=1)]
_Share = Annotated[int, Meta(ge=1, le=100)] | Annotated[float, Meta(ge=1, le=100)]
_Percent = Annotated[int, Meta(ge=0, le=100)] | Annotated[float, Meta(ge=0, le=100)]
_Celsius = Annotated[int, Meta(ge=-100, le=300)] | Annotated[float, Meta(ge=-100, le=300)]
_Text = Annotated[str, Meta(max_length=500)]
_Deadline = Annotated[float, Meta(ge=50, le=10_000)]


class Rejected(msgspec.Struct, frozen=True):
    type: str
    id: str | int | None
    reason: str


class NotJson(msgspec.Struct, frozen=True):
    pass


NOT_JSON: Final = NotJson()


class _Addressed(msgspec.Struct, frozen=True, kw_only=True):
    """To one robot, to a group, or to all of them."""

    device_id: DeviceId | None = None
    group: Name | None = None
    id: Id | None = None


class Command(_Addressed, frozen=True, kw_only=True):
    deadline_ms: _Deadline = 1000.0

    @property
    def type(self) -> str:
        return str(self.__struct_config__.tag)


class Stick(Command, frozen=True, kw_only=True):
    x: _Axis
    y: _Axis

    @property
    def is_zero(self) -> bool:
        """The hand is off it."""
        return self.x == 0 and self.y == 0


class Move(Stick, frozen=True, kw_only=True, tag="robot_move"):
    pass


class Camera(Stick, frozen=True, kw_only=True, tag="camera_move"):
    pass


class _Slider(Command, frozen=True, kw_only=True):
    value: _Share


class Speed(_Slider, frozen=True, kw_only=True, tag="set_speed"):
    pass


class Brightness(_Slider, frozen=True, kw_only=True, tag="set_brightness"):
    pass


class Stop(_Addressed, frozen=True, kw_only=True, tag="stop"):
    """Of all that moves; anybody may."""


class Take(_Addressed, frozen=True, kw_only=True, tag="take_robot"):
    force: bool = False  # also from who has it


class Release(_Addressed, frozen=True, kw_only=True, tag="release_robot"):
    pass


class Telemetry(msgspec.Struct, frozen=True, kw_only=True, tag="telemetry"):
    """What a robot has no sensor for is left out."""

    battery: _Percent | None = None
    cpu: _Percent | None = None
    temperature: _Celsius | None = None
    signal: _Percent | None = None
    device_name: Name | None = None

    def values(self) -> tuple[float | None, ...]:
        return self.battery, self.cpu, self.temperature, self.signal


class Status(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    status: Annotated[str, Meta(min_length=1, max_length=64)]
    message: _Text = ""


class Result(msgspec.Struct, frozen=True, kw_only=True, tag="command_result"):
    """What has become of the command that came with this `id`."""

    id: int
    status: Annotated[str, Meta(pattern=r"\A(executed|failed)\Z")]
    message: _Text = ""


MOVE: Final = "robot_move"
CAMERA: Final = "camera_move"
STICKS: Final = (MOVE, CAMERA)
WebsiteMessage = Move | Camera | Speed | Brightness | Stop | Take | Release
RobotMessage = Telemetry | Status | Result

QUANTITIES: Final = ("battery", "cpu", "temperature", "signal")
_AXES: Final = "x and y are numbers from -1 to 1"
_VALUE: Final = "value is a number from 1 to 100"
_QUANTITY: Final = "battery, cpu and signal are numbers from 0 to 100, temperature one from -100 to 300"
_RULES: Final = {
    "x": _AXES,
    "y": _AXES,
    "value": _VALUE,
    **dict.fromkeys(QUANTITIES, _QUANTITY),
    "device_id": "device_id is 1 to 64 letters, digits and .:_-",
    "group": "group is a name of at most 64 letters",
    "id": "id is a text of 1 to 64 letters, or a whole number",
    "deadline_ms": "deadline_ms is a number from 50 to 10000",
    "device_name": "device_name is a name of at most 64 letters",
    "message": "message is a text of at most 500 letters",
    "force": "force is true or false",
}
_STATUS: Final = {
    "status": "status is a text of 1 to 64 letters",
    "command_result": "status is executed or failed",
}


class _Head(msgspec.Struct):
    type: Any = None
    id: Any = None


class _Address(msgspec.Struct):
    device_id: DeviceId | None = None
    group: Name | None = None


def _decoders(union: Any) -> dict[str, msgspec.json.Decoder[Any]]:
    return {kind.__struct_config__.tag: msgspec.json.Decoder(kind) for kind in union.__args__}


_HEAD: Final = msgspec.json.Decoder(_Head)
_ADDRESS: Final = msgspec.json.Decoder(_Address)
_STOP: Final = re.compile(r'"type"\s*:\s*"stop"')
# RecursionError: nested deeper than Python's stack; UnicodeDecodeError is a ValueError.
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_OF_WEBSITES: Final = _decoders(WebsiteMessage)
_OF_ROBOTS: Final = _decoders(RobotMessage)


def from_website(text: str | bytes) -> WebsiteMessage | Rejected | NotJson:
    found: WebsiteMessage | Rejected | NotJson = _parse(text, _OF_WEBSITES)
    if isinstance(found, _Addressed) and found.device_id is not None and found.group is not None:
        found = Rejected(str(found.__struct_config__.tag), found.id, "give a device_id or a group, not both")
    if isinstance(found, (Rejected, NotJson)) and is_stop(text):
        return _stop_of(text)
    return found


def is_stop(text: str | bytes) -> bool:
    """Whatever else is wrong with it. What is no JSON, and has the words of a stop, is one as well."""
    if not _STOP.search(text if isinstance(text, str) else text.decode("latin-1")):
        return False
    try:
        return bool(_HEAD.decode(text).type == "stop")
    except _UNREADABLE:
        return True


def _stop_of(text: str | bytes) -> Stop:
    given_id, address = None, _Address()
    with contextlib.suppress(*_UNREADABLE):
        given_id = msgspec.convert(_HEAD.decode(text).id, Id | None)
    with contextlib.suppress(*_UNREADABLE):
        address = _ADDRESS.decode(text)
    if address.device_id is not None and address.group is not None:
        address = _Address()
    return Stop(device_id=address.device_id, group=address.group, id=given_id)


def from_robot(text: str | bytes) -> RobotMessage | Rejected | NotJson:
    found: RobotMessage | Rejected | NotJson = _parse(text, _OF_ROBOTS)
    if isinstance(found, Telemetry) and all(value is None for value in found.values()):
        return Rejected("telemetry", None, f"one of {', '.join(QUANTITIES)} at least")
    return found


def _parse(text: str | bytes, decoders: dict[str, msgspec.json.Decoder[Any]]) -> Any:
    if len(text) > TEXT_MAX:
        return Rejected("", None, f"longer than {TEXT_MAX} octets")
    try:
        head = _HEAD.decode(text)
    except _UNREADABLE:
        return NOT_JSON
    number = head.id if isinstance(head.id, (str, int)) and not isinstance(head.id, bool) else None
    if isinstance(number, str):
        number = number[:64]
    if not isinstance(head.type, str):
        return Rejected("", number, "type is missing")
    decoder = decoders.get(head.type)
    if decoder is None:
        return Rejected(head.type[:64], number, f"unknown type; known are {', '.join(decoders)}")
    try:
        return decoder.decode(text)
    except _UNREADABLE as exc:
        return Rejected(head.type, number, _reason(head.type, str(exc)))


def _reason(kind: str, error: str) -> str:
    """Msgspec names the place as "… - at `$.x`", and what is missing as "… required field `x`"."""
    field = (
        error.rpartition("`$.")[2].strip("`") if "`$." in error else error.rpartition("field `")[2].strip("`")
    )
    if field == "status":
        return _STATUS[kind]
    return _RULES.get(field, error.replace("`", ""))
