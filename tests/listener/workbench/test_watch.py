"""Signals of other devices on the hub: from the frames of a real bus, and what is told of those unknown."""

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from listener.hub import Hub
from listener.raw_frame import Flag, RawFrame
from listener.workbench.codec import Codec
from listener.workbench.watch import RATE_MAX_HZ, BusWatch, Watch
from tests.listener.workbench.benches import Member, running, until
from tests.listener.workbench.databases import BENCH, contents

if TYPE_CHECKING:
    from listener.events import EventEnvelope

TS = 1_700_000_000.0
SPEED, MODE, CELL3 = "default.Motor.Speed", "default.Motor.Mode", "default.Cells.Thermistor1"
PRESSURE = "default.PressureSensor.Pressure"


class Counted(Codec):
    decoded = 0

    def decode(self, identifier: Any, data: bytes) -> dict[str, Any] | None:
        self.decoded += 1
        return super().decode(identifier, data)


class Ear:
    def __init__(self, signals: Sequence[str], codec: Codec | None = None) -> None:
        self.codec = Codec([contents(BENCH)]) if codec is None else codec
        self.told: list[EventEnvelope] = []
        hub = Hub()
        hub.subscribe(self.told.append)
        self.watch = Watch(hub, signals, lambda _bus: self.codec, wall=lambda: TS)
        self.bus: BusWatch = self.watch.of("default")

    def samples(self) -> list[tuple[str, float, float, str, str | None]]:
        return [
            (e.payload["channel"], e.ts, e.payload["value"], e.payload["unit"], e.payload.get("text"))
            for e in self.told
            if e.type == "signal_sample"
        ]

    def motor(self, ts: float, speed: int = 0, mode: int = 0) -> None:
        self.bus.feed(RawFrame(256, 0, struct.pack("<hHBBH", speed, 0, mode, 0, 0), ts))


def test_a_sample_has_the_time_of_its_frame_its_unit_and_the_word_of_a_choice() -> None:
    ear = Ear([SPEED, MODE])
    ear.motor(TS + 0.25, speed=646, mode=1)
    assert ear.samples() == [
        (SPEED, TS + 0.25, 64.6, "rpm", None),
        (MODE, TS + 0.25, 1.0, "", "On"),
    ]
    assert {event.source for event in ear.told} == {"workbench"}


def test_a_value_without_a_word_is_its_number_alone() -> None:
    ear = Ear([MODE])
    ear.motor(TS, mode=9)
    assert ear.samples() == [(MODE, TS, 9.0, "", None)]


def test_only_frames_of_watched_messages_are_decoded() -> None:
    ear = Ear([SPEED], Counted([contents(BENCH)]))
    assert isinstance(ear.codec, Counted)
    for number in range(2048):
        ear.bus.feed(RawFrame(number, 0, bytes(8), TS))
    ear.bus.feed(RawFrame(256, int(Flag.REMOTE), b"", TS))
    ear.bus.feed(RawFrame(256, int(Flag.EXTENDED), bytes(8), TS))
    assert ear.codec.decoded == 1


def test_a_bus_of_which_nothing_is_wanted_costs_nothing() -> None:
    ear = Ear([], Counted([contents(BENCH)]))
    ear.motor(TS)
    assert isinstance(ear.codec, Counted)
    assert (ear.codec.decoded, ear.told) == (0, [])


def test_of_a_fast_signal_the_newest_is_told_so_often_as_is_allowed() -> None:
    ear = Ear([SPEED])
    for number in range(2000):
        ear.motor(TS + number / 2000, speed=number)
    ear.watch.of("default").flush()
    found = ear.samples()
    assert RATE_MAX_HZ - 2 <= len(found) <= RATE_MAX_HZ + 2
    assert found[-1][1:3] == (TS + 1999 / 2000, 199.9)


def test_a_signal_of_its_own_pace_is_told_whole() -> None:
    ear = Ear([SPEED])
    for number in range(200):
        ear.motor(TS + number / 200, speed=number)
    assert len(ear.samples()) == 200


def test_a_clock_that_was_set_back_does_not_silence_a_signal() -> None:
    ear = Ear([SPEED])
    ear.motor(TS)
    ear.motor(TS - 3600)
    assert [ts for _, ts, *_ in ear.samples()] == [TS, TS - 3600]


def test_a_page_of_a_multiplexer_tells_its_own_signals_alone() -> None:
    ear = Ear([CELL3])
    for page in (0, 1, 2):
        ear.bus.feed(RawFrame(512, 0, bytes([page, 0xFE, 0, 0, 0, 0, 0, 0]), TS + page))
    assert ear.samples() == [(CELL3, TS + 1, -2.0, "°C", None)]


def test_no_number_and_a_frame_that_is_too_short_tell_nothing() -> None:
    last = "default.Fast.Last"
    ear = Ear([last])
    nan = bytes(60) + struct.pack("<f", math.nan)
    ear.bus.feed(RawFrame(768, int(Flag.FD), nan, TS))
    ear.bus.feed(RawFrame(768, int(Flag.FD), bytes(8), TS + 1))
    ear.bus.feed(RawFrame(768, int(Flag.FD), bytes(60) + struct.pack("<f", 1.5), TS + 2))
    assert ear.samples() == [(last, TS + 2, 1.5, "A", None)]


def test_what_no_file_knows_is_told_once_and_again_when_it_is_known() -> None:
    wrong = "default.Motor.Sped"
    ear = Ear([wrong, SPEED], Codec())
    ear.watch.files_changed()
    ear.watch.files_changed()
    (event,) = ear.told
    assert (event.type, event.payload["code"]) == ("error", "signals_unknown")
    assert event.payload["details"] == {
        "signals": [wrong, SPEED],
        "reason": f"{wrong}: no file is loaded for its bus",
    }
    ear.codec.replace([contents(BENCH)])
    ear.watch.files_changed()
    assert ear.told[-1].payload["details"] == {
        "signals": [wrong],
        "reason": f"{wrong}: Motor has no signal Sped, did you mean 'Speed'?",
    }
    ear.motor(TS, speed=10)  # known meanwhile
    assert [name for name, *_ in ear.samples()] == [SPEED]


def test_a_message_that_is_mistyped_gets_a_hint() -> None:
    ear = Ear(["default.Moter.Speed"])
    ear.watch.files_changed()
    assert "has a message Moter, did you mean 'Motor'?" in ear.told[0].payload["details"]["reason"]


async def test_it_is_found_when_the_file_is_loaded_and_comes_from_a_real_bus(
    tmp_path: Path, logs: object
) -> None:
    async with running(tmp_path, signals=[PRESSURE]) as bench:
        told: list[EventEnvelope] = []
        bench.hub.subscribe(told.append)
        await bench.connect("signals")
        with Member("signals") as member:
            member.say(272, bytes([1, 30, 2, 134]))
            await until(lambda: bench.bench.buses.own().received == 1)
            assert told == []
            await bench.load_dbc()
            assert [event.payload.get("code") for event in told] == ["signals_unknown"]
            assert told[0].payload["state"] == "well_again"
            member.say(272, bytes([1, 30, 2, 134]))
            await until(lambda: len(told) == 2)
    assert told[1].payload == {"channel": PRESSURE, "value": 2.86, "unit": "bar"}


@pytest.mark.parametrize("bus", ["les02", "inverter"])
async def test_each_bus_has_its_own_signals(tmp_path: Path, logs: object, bus: str) -> None:
    wanted = f"{bus}.PressureSensor.Pressure"
    async with running(tmp_path, signals=[wanted, PRESSURE]) as bench:
        told: list[EventEnvelope] = []
        bench.hub.subscribe(told.append)
        await bench.load_dbc(bus=bus)
        if bus != "les02":
            await bench.connect("of its own", bus=bus)
        with Member("the sensor's" if bus == "les02" else "of its own") as member:
            member.say(272, bytes([1, 30, 2, 134]))
            await until(lambda: any(event.type == "signal_sample" for event in told))
    assert [e.payload["channel"] for e in told if e.type == "signal_sample"] == [wanted]
    assert [e.payload["details"]["signals"] for e in told if e.type == "error"] == [[PRESSURE]]


def test_what_somebody_wants_besides_is_told_to_him_alone_for_as_long_as_he_wants_it() -> None:
    ear = Ear([MODE], Counted([contents(BENCH)]))
    assert isinstance(ear.codec, Counted)
    besides: list[EventEnvelope] = []
    ends = [ear.watch.want(SPEED, besides.append), ear.watch.want(MODE, besides.append)]
    ear.motor(TS, speed=10, mode=1)
    assert [name for name, *_ in ear.samples()] == [MODE]
    assert [(e.payload["channel"], e.payload["value"]) for e in besides] == [(SPEED, 1.0), (MODE, 1.0)]
    assert ear.codec.decoded == 1
    for end in ends:
        end()
    ear.motor(TS + 1, speed=20)
    assert len(besides) == 2
    assert len(ear.samples()) == 2


def test_of_a_bus_that_was_looked_at_before_something_may_be_wanted_later() -> None:
    ear = Ear([])
    told: list[EventEnvelope] = []
    ear.motor(TS)
    end = ear.watch.want(SPEED, told.append)
    ear.motor(TS + 1)
    end()
    ear.motor(TS + 2)
    assert [event.ts for event in told] == [TS + 1]


def test_why_something_that_is_wanted_besides_cannot_come_is_told_to_who_asks_and_to_nobody_else() -> None:
    ear = Ear([])
    wrong = "default.Motor.Sped"
    ear.watch.want(wrong, lambda _: None)
    ear.watch.want(SPEED, lambda _: None)
    ear.watch.files_changed()
    assert ear.told == []
    assert ear.watch.unknown(wrong) == "Motor has no signal Sped, did you mean 'Speed'?"
    assert ear.watch.unknown(SPEED) is None


def test_what_can_be_wanted_is_known_with_its_unit() -> None:
    ear = Ear([])
    known = dict(ear.watch.known())
    assert (known[SPEED], known[MODE]) == ("rpm", "")
    assert PRESSURE not in known
    assert ear.watch.unit(SPEED) == "rpm"
    for strange in ("default.Motor.Sped", "default.Moter.Speed", "nowhere.Motor.Speed"):
        assert ear.watch.unit(strange) == ""
    assert dict(Ear([], Codec()).watch.known()) == {}


def test_a_signal_may_be_wanted_before_its_bus_is_there_and_a_made_up_bus_leaves_nothing() -> None:
    ear = Ear([])
    told: list[EventEnvelope] = []
    early, never = "second.Motor.Speed", "secnd.Motor.Speed"
    end, end_of_never = ear.watch.want(early, told.append), ear.watch.want(never, told.append)
    assert ear.watch.unknown(early) == "there is no bus second"
    bus = ear.watch.of("second")
    assert ear.watch.unknown(early) is None
    assert ear.watch.unknown(never) == "there is no bus secnd, did you mean 'second'?"
    bus.feed(RawFrame(256, 0, struct.pack("<hHBBH", 10, 0, 0, 0, 0), TS))
    assert [event.payload["channel"] for event in told] == [early]
    end_of_never()
    end()
    bus.feed(RawFrame(256, 0, struct.pack("<hHBBH", 20, 0, 0, 0, 0), TS + 1))
    assert len(told) == 1
    assert {name.partition(".")[0] for name, _ in ear.watch.known()} == {"default", "second"}
