"""What goes out on buses that were opened here: once, or again and again. Checked before anything is sent.

1. A frame is given by identifier and octets, or by the names of a message and its signals.
2. A cyclic task belongs to a client by name and ends with its last session, unless it is pinned. It rests
   while its bus is lost, and ends with it when it is disconnected.
3. Both are limited in number and rate: a slip of the finger must not fill a bus.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import can
import msgspec
import structlog

from listener.throttle import TokenBucket
from listener.workbench.bus import UP, BusError
from listener.workbench.buses import Buses
from listener.workbench.codec import Codec, EncodeError
from listener.workbench.identifiers import identifier, is_extended, number_of
from listener.workbench.own_bus import OwnBus
from listener.workbench.transmitting import report

_log = structlog.get_logger(__name__)

SENDS_A_SECOND: Final = 1000.0
CYCLIC_MAX: Final = 64
CYCLIC_FRAMES_A_SECOND: Final = 2000.0
PERIOD_MIN_S: Final = 0.001
PERIOD_MAX_S: Final = 3600.0
_CLASSIC_MAX: Final = 8
_FD_LENGTHS: Final = frozenset({*range(9), 12, 16, 20, 24, 32, 48, 64})


class FrameError(ValueError):
    """Nothing was sent; the sentences say why."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class FrameSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Either `can_id` and what follows it, or `message` and `signals`."""

    can_id: int | None = None
    data: tuple[int, ...] = ()
    is_extended: bool = False
    is_remote: bool = False
    is_fd: bool = False
    bitrate_switch: bool = False
    message: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    signals: dict[str, int | float | str] = {}


def to_message(spec: FrameSpec, codec: Codec) -> can.Message:
    if (spec.can_id is None) == (spec.message is None):
        raise FrameError("a frame is given by can_id, or by message")
    if spec.message is not None:
        return _by_name(spec.message, spec, codec)
    assert spec.can_id is not None
    problems = list(_problems(spec.can_id, spec))
    if problems:
        raise FrameError(*problems)
    return can.Message(
        arbitration_id=spec.can_id,
        is_extended_id=spec.is_extended,
        is_remote_frame=spec.is_remote,
        # A remote frame has no data, it asks for so many octets.
        data=None if spec.is_remote else spec.data,
        dlc=len(spec.data),
        is_fd=spec.is_fd,
        bitrate_switch=spec.bitrate_switch,
        is_rx=False,
    )


def _by_name(name: str, spec: FrameSpec, codec: Codec) -> can.Message:
    try:
        encoded = codec.encode(name, spec.signals)
    except EncodeError as exc:
        raise FrameError(*exc.problems) from exc
    return can.Message(
        arbitration_id=number_of(encoded.identifier),
        is_extended_id=is_extended(encoded.identifier),
        data=encoded.data,
        is_fd=encoded.is_fd,
        bitrate_switch=encoded.is_fd and spec.bitrate_switch,
        is_rx=False,
    )


def _problems(can_id: int, spec: FrameSpec) -> Sequence[str]:
    problems = []
    try:
        identifier(can_id, spec.is_extended)
    except ValueError as exc:
        problems.append(f"can_id: {exc}")
    length = len(spec.data)
    if spec.is_fd and length not in _FD_LENGTHS:
        problems.append(f"data: a CAN FD frame has no {length} octets, but 0…8, 12, 16, 20, 24, 32, 48 or 64")
    elif not spec.is_fd and length > _CLASSIC_MAX:
        problems.append(f"data: {length} octets are more than {_CLASSIC_MAX}")
    problems += [f"data: {octet} is not in 0…255" for octet in spec.data[:64] if not 0 <= octet <= 255]
    if spec.is_remote and spec.is_fd:
        problems.append("is_remote: CAN FD has no remote frames")
    if spec.bitrate_switch and not spec.is_fd:
        problems.append("bitrate_switch: only with is_fd")
    return problems


@dataclass
class Cyclic:
    id: int
    bus: str
    message: can.Message
    period_s: float
    client: str
    pinned: bool
    name: str = ""
    error: str = ""
    started_at: float = field(default_factory=time.time)
    task: Any = None  # python-can's

    @property
    def frames_a_second(self) -> float:
        return 1 / self.period_s

    def told(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "bus": self.bus,
            "can_id": self.message.arbitration_id,
            "is_extended": self.message.is_extended_id,
            "data": list(self.message.data),
            "period_ms": self.period_s * 1000,
            "name": self.name,
            "client": self.client,
            "pinned": self.pinned,
            "running": self.task is not None,
            "error": self.error,
            "started_at": self.started_at,
        }


class Sending:
    """`is_present` says whether a client of that name has a session."""

    def __init__(self, buses: Buses, is_present: Callable[[str], bool]) -> None:
        self._buses = buses
        self._is_present = is_present
        self._buckets: dict[str, TokenBucket] = {}
        self._numbers = itertools.count(1)
        self._cyclics: dict[int, Cyclic] = {}
        buses.watchers.append(self._bus_changed)

    async def send(self, bus_name: str, specs: Sequence[FrameSpec]) -> list[can.Message]:
        """All of them are checked before the first goes out. Raises FrameError and BusError."""
        bus = self._buses.writable(bus_name)
        messages = [to_message(spec, bus.codec) for spec in specs]
        self._check(bus, messages)
        bucket = self._buckets.setdefault(bus_name, TokenBucket(SENDS_A_SECOND, SENDS_A_SECOND))
        for message in messages:
            if not bucket.take(time.monotonic()):
                raise BusError("busy", f"more than {SENDS_A_SECOND:g} frames a second are not sent")
            await bus.send(message)
        return messages

    # Cyclic

    @property
    def cyclics(self) -> list[Cyclic]:
        return list(self._cyclics.values())

    def start(
        self, bus_name: str, spec: FrameSpec, period_s: float, *, client: str = "", pinned: bool = False
    ) -> Cyclic:
        bus = self._buses.writable(bus_name)
        if not PERIOD_MIN_S <= period_s <= PERIOD_MAX_S:
            raise FrameError(f"period_ms: {period_s * 1000:g} is not in 1…{PERIOD_MAX_S * 1000:g}")
        if not pinned and not self._is_present(client):
            raise FrameError(
                f"client: {client!r} has no session on /ws/can, with which the task would end; or pinned"
            )
        message = to_message(spec, bus.codec)
        self._check(bus, [message])
        self._check_limits(bus_name, message, period_s)
        name = spec.message or ""
        cyclic = Cyclic(next(self._numbers), bus_name, message, period_s, client, pinned, name)
        self._run(cyclic, bus)
        if cyclic.error:
            raise BusError("cannot_send", f"{bus_name}: {cyclic.error}")
        self._cyclics[cyclic.id] = cyclic
        return cyclic

    def start_all(
        self, bus_name: str, wanted: Sequence[tuple[FrameSpec, float]], *, client: str, pinned: bool
    ) -> list[Cyclic]:
        """All or none."""
        started: list[Cyclic] = []
        try:
            for spec, period_s in wanted:
                started.append(self.start(bus_name, spec, period_s, client=client, pinned=pinned))
        except (FrameError, BusError):
            for cyclic in started:
                self.stop(cyclic.id)
            raise
        return started

    def stop(self, number: int) -> Cyclic:
        cyclic = self._cyclics.pop(number)  # KeyError: there is none
        self._rest(cyclic)
        return cyclic

    def client_gone(self, client: str) -> None:
        self._stop_where(lambda cyclic: not cyclic.pinned and cyclic.client == client)

    def bus_gone(self, bus_name: str) -> None:
        self._stop_where(lambda cyclic: cyclic.bus == bus_name)
        self._buckets.pop(bus_name, None)

    def close(self) -> None:
        self._stop_where(lambda _: True)

    def _stop_where(self, applies: Callable[[Cyclic], bool]) -> None:
        for cyclic in self.cyclics:
            if applies(cyclic):
                self.stop(cyclic.id)

    def _check(self, bus: OwnBus, messages: Sequence[can.Message]) -> None:
        if any(message.is_fd for message in messages) and not bus.connection.fd:
            raise FrameError(f"is_fd: {bus.name} was not connected with fd")

    def _check_limits(self, bus_name: str, message: can.Message, period_s: float) -> None:
        if len(self._cyclics) >= CYCLIC_MAX:
            raise BusError("busy", f"{CYCLIC_MAX} cyclic tasks are there already")
        on_bus = [cyclic for cyclic in self.cyclics if cyclic.bus == bus_name]
        if sum(cyclic.frames_a_second for cyclic in on_bus) + 1 / period_s > CYCLIC_FRAMES_A_SECOND:
            limit = f"{CYCLIC_FRAMES_A_SECOND:g} frames a second"
            raise BusError("busy", f"more than {limit} are not sent cyclically on {bus_name}")
        for cyclic in on_bus:
            if (cyclic.message.arbitration_id, cyclic.message.is_extended_id) == (
                message.arbitration_id,
                message.is_extended_id,
            ):
                raise BusError("busy", f"task {cyclic.id} sends this identifier on {bus_name} already")

    def _run(self, cyclic: Cyclic, bus: OwnBus) -> None:
        if bus.reader.bus is None or bus.state != UP:
            return  # `_bus_changed` when it is back
        try:
            cyclic.task = bus.reader.bus.send_periodic(cyclic.message, cyclic.period_s, autostart=False)
            is_told = report(cyclic.task, bus.has_sent, lambda exc: self._failed(cyclic, exc))
            bus.cyclic_begins(cyclic.message, by_kernel=not is_told)
            cyclic.task.start()
            cyclic.error = ""
        except Exception as exc:  # noqa: BLE001 - drivers raise what they like
            self._rest(cyclic)
            cyclic.error = str(exc) or type(exc).__name__

    def _rest(self, cyclic: Cyclic) -> None:
        task, cyclic.task = cyclic.task, None
        if task is None:
            return
        bus = self._buses.find(cyclic.bus)
        if isinstance(bus, OwnBus):
            bus.cyclic_ends(cyclic.message)
        try:
            task.stop()
        except Exception as exc:  # noqa: BLE001 - of a bus that is lost
            _log.debug("cyclic_not_stopped", id=cyclic.id, reason=str(exc))

    def _failed(self, cyclic: Cyclic, exc: Exception) -> None:
        if cyclic.task is not None:
            self._rest(cyclic)
            cyclic.error = str(exc) or type(exc).__name__
            _log.warning("cyclic_failed", bus=cyclic.bus, id=cyclic.id, reason=cyclic.error)

    def _bus_changed(self, bus: OwnBus) -> None:
        for cyclic in self.cyclics:
            if cyclic.bus == bus.name:
                self._rest(cyclic)
                if bus.state == UP:
                    self._run(cyclic, bus)
