"""What the workbench's routes take, with examples for the API's own documentation."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from listener.workbench.buses import DEFAULT
from listener.workbench.devices import DEVICE_TYPES, RATES, Connection
from listener.workbench.replay import SPEED_MAX, SPEED_MIN
from listener.workbench.sending import FrameSpec

BusName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$",
        description="One of several buses; without it the one that is called `default`",
        examples=["inverter"],
    ),
]
Octet = Annotated[StrictInt, Field(ge=0, le=255)]
CanId = Annotated[StrictInt, Field(ge=0, le=0x1FFF_FFFF, examples=[291])]
PeriodMs = Annotated[float, Field(ge=1, le=3_600_000, allow_inf_nan=False, examples=[100])]
Value = StrictInt | Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=256)]
Signals = dict[Annotated[str, Field(max_length=256)], Value]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Connect(_Body):
    device_type: Annotated[str, Field(examples=["pcan"], description=", ".join(DEVICE_TYPES))]
    channel: Annotated[
        str | StrictInt,
        Field(
            examples=["USB1"],
            description="USB1 (pcan), an index or a serial port (canable), can1, HOST:PORT/BUS",
        ),
    ]
    baudrate: Annotated[str | None, Field(examples=["BAUD_500K"], description=", ".join(RATES))] = None
    bus: BusName = DEFAULT
    listen_only: StrictBool = False
    fd: StrictBool = False
    data_bitrate: Annotated[StrictInt, Field(ge=1, le=10_000_000)] | None = None
    receive_own: Annotated[StrictBool, Field(description="What is sent here comes back as a frame")] = False

    def connection(self) -> Connection:
        return Connection(
            self.device_type,
            self.channel,
            self.baudrate,
            self.listen_only,
            self.fd,
            self.data_bitrate,
            self.receive_own,
        )


class Frame(_Body):
    can_id: CanId
    data: Annotated[list[Octet], Field(max_length=64, examples=[[1, 2, 3, 4, 5, 6, 7, 8]])] = []
    is_extended: StrictBool = False
    is_remote: StrictBool = False
    is_fd: StrictBool = False
    bitrate_switch: StrictBool = False

    def spec(self) -> FrameSpec:
        return FrameSpec(
            self.can_id,
            tuple(self.data),
            self.is_extended,
            self.is_remote,
            self.is_fd,
            self.bitrate_switch,
        )


class Send(Frame):
    bus: BusName = DEFAULT


class ByName(_Body):
    message_name: Annotated[str, Field(max_length=256, examples=["MotorCommand"])]
    signals: Annotated[Signals, Field(max_length=512, examples=[{"Speed": 1200.5, "Mode": "On"}])] = {}
    bus: BusName = DEFAULT

    def spec(self) -> FrameSpec:
        return FrameSpec(message=self.message_name, signals=dict(self.signals))


class _Cycle(_Body):
    period_ms: PeriodMs
    client: Annotated[
        str,
        Field(
            max_length=64,
            examples=["tablet-3"],
            description="Ends with the last /ws/can?client= of this name",
        ),
    ] = ""
    pinned: Annotated[StrictBool, Field(description="Goes on when its client has gone")] = False


class StartCyclic(Send, _Cycle):
    pass


class StartCyclicByName(ByName, _Cycle):
    pass


class StartList(_Body):
    bus: BusName = DEFAULT
    client: Annotated[str, Field(max_length=64)] = ""
    pinned: StrictBool = False


class Where(_Body):
    bus: BusName = DEFAULT


class LoadDbc(Where):
    file_path: Annotated[str, Field(min_length=1, max_length=1024, examples=["inverter.dbc"])]


class StartRecording(Where):
    format: Annotated[str, Field(max_length=16, examples=["blf"])] = "candump"
    name: Annotated[str, Field(max_length=128, examples=["cold-start"])] = ""
    max_bytes: Annotated[StrictInt, Field(ge=65_536, le=2**40)] | None = None
    max_s: Annotated[float, Field(ge=1, le=31_536_000, allow_inf_nan=False)] | None = None
    max_files: Annotated[
        StrictInt,
        Field(ge=0, le=10_000, description="So many of its files are kept, the newest; 0: all of them"),
    ] = 0


class Replay(Where):
    speed: Annotated[float, Field(ge=SPEED_MIN, le=SPEED_MAX, allow_inf_nan=False)] = 1.0


Told = dict[str, Any]
