import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from typing import Any, NoReturn

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from listener import les02
from listener.can_reader import BusLost, CANBusReader, Handler, raw_frame
from listener.config import CanConfig, Les02Config
from listener.events import encode
from listener.les02 import BUS_LOST, BUS_UP
from tests.listener.les02_bench import PARITY, TS, Bench, coded, frame, lock, position

PATIENCE_S = 5.0


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def bench() -> Bench:
    """The bus is up and nothing was heard yet."""
    bench = Bench()
    bench.les02.bus_up()
    bench.news()
    return bench


@pytest.fixture
def receiving(bench: Bench) -> Bench:
    bench.feed(position("master"), position("slave"))
    bench.news()
    return bench


# --- positions


def test_every_position_is_one_event_with_its_channel_and_the_frames_own_time(receiving: Bench) -> None:
    for number in range(500):
        receiving.feed(position("slave" if number % 2 else "master", 1000 + number, TS + number / 500))
    assert [(e.type, e.ts, e.source, e.payload) for e in receiving.news()] == [
        (
            "position_sample",
            TS + number / 500,
            "les02",
            {"channel": "slave" if number % 2 else "master", "position_raw": 1000 + number},
        )
        for number in range(500)
    ]


def test_the_whole_range_of_24_bits_passes_and_byte_4_does_not_matter(receiving: Bench) -> None:
    receiving.feed(position(raw=0), position(raw=2**24 - 1))
    assert [e.payload["position_raw"] for e in receiving.news()] == [0, 2**24 - 1]


@pytest.mark.parametrize(
    ("message", "counted"),
    [
        pytest.param(frame(0x180, bytes(4)), "foreign", id="PDO whose low bits say position"),
        pytest.param(frame(0x181, bytes(4)), "foreign", id="PDO of node 1"),
        pytest.param(frame(0x82, bytes(8)), "foreign", id="EMCY of node 2"),
        pytest.param(frame(0x80, bytes(4), is_extended_id=True), "foreign", id="29 bits"),
        pytest.param(frame(0x80, b"", is_remote_frame=True), "foreign", id="remote"),
        pytest.param(frame(0x80, bytes(4), is_fd=True), "foreign", id="CAN FD"),
        pytest.param(frame(0x80, bytes(4), is_error_frame=True), "error_frame", id="error frame"),
        pytest.param(frame(0x80, b""), "malformed", id="SYNC"),
        pytest.param(frame(0x81, bytes(8)), "malformed", id="EMCY of node 1"),
    ],
)
def test_a_neighbour_is_counted_and_yields_no_position(
    receiving: Bench, message: can.Message, counted: str
) -> None:
    before = receiving.les02.snapshot()
    receiving.feed(message)
    assert "position_sample" not in {e.type for e in receiving.news()}
    assert receiving.les02.snapshot() == before
    assert receiving.les02.counts == Counter(
        {**dict.fromkeys(receiving.les02.counts, 0), "master": 1, "slave": 1, counted: 1}
    )


def test_neighbours_do_not_hide_the_sensors_silence(receiving: Bench) -> None:
    for _ in range(20):
        receiving.silence(0.1)
        receiving.feed(frame(0x180, bytes(4)), coded("status", 0xF0), coded("system", 0xFF))
    assert ("system", "no_data") in receiving.states()


# --- rule 1: receiving and no_data


def test_the_first_position_is_preceded_by_one_receiving(bench: Bench) -> None:
    bench.feed(position("slave"), position("master"))
    assert [(e.type, e.payload["channel"]) for e in bench.news()] == [
        ("status", "system"),
        ("position_sample", "slave"),
        ("position_sample", "master"),
    ]


def test_silence_is_told_once_and_so_is_its_end(receiving: Bench) -> None:
    receiving.silence(60)
    (no_data,) = receiving.news()
    assert no_data.type == "status"
    assert no_data.payload == {"channel": "system", "state": "no_data", "position_stale": True}
    assert 1.0 <= no_data.ts - TS < 1.2
    receiving.feed(position("master"), position("slave"), position("master"))
    back, *samples = receiving.news()
    assert back.payload == {"channel": "system", "state": "receiving", "position_stale": False}
    assert back.ts == TS
    assert [e.type for e in samples] == ["position_sample"] * 3


def test_a_bus_that_is_silent_from_the_start_is_told(bench: Bench) -> None:
    bench.silence(2)
    assert bench.states() == [("system", "no_data")]


@pytest.mark.parametrize("silence_s", [0.5, 1.0, 30.0])
def test_the_length_of_a_silence_is_configuration(silence_s: float) -> None:
    bench = Bench(Les02Config(silence_s=silence_s))
    bench.les02.bus_up()
    bench.news()
    bench.now += silence_s
    bench.les02.check_silence()
    assert bench.states() == []
    bench.now += 0.01
    bench.les02.check_silence()
    assert bench.states() == [("system", "no_data")]


def test_channels_that_fall_silent_one_after_the_other_within_a_cycle_are_one_event(receiving: Bench) -> None:
    receiving.feed(position("master"))
    receiving.now += 0.002
    receiving.feed(position("slave"))
    receiving.news()
    receiving.now += 0.999  # too long for the master, not yet for the slave
    receiving.les02.check_silence()
    assert receiving.states() == []
    receiving.now += 0.002
    receiving.les02.check_silence()
    assert receiving.states() == [("system", "no_data")]


def test_silence_on_a_bus_that_is_lost_is_not_told_again(bench: Bench) -> None:
    bench.les02.bus_lost("Network is down")
    bench.news()
    bench.silence(5)
    assert bench.news() == []


# --- rules 1 and 2: one channel


@pytest.mark.parametrize(("alive", "dead"), [("master", "slave"), ("slave", "master")])
def test_a_lone_channel_is_told_after_the_silence_and_is_one_event_when_it_returns(
    bench: Bench, alive: str, dead: str
) -> None:
    for _ in range(30):
        bench.feed(position(alive))
        bench.silence(0.1)
    assert bench.states() == [("system", "receiving"), (dead, "no_data")]
    bench.feed(position(dead))
    assert bench.states() == [("system", "receiving")]


def test_after_a_silence_the_second_channel_is_given_its_time_too(receiving: Bench) -> None:
    receiving.silence(60)
    receiving.news()
    receiving.feed(position("master"))
    receiving.les02.check_silence()
    assert receiving.states() == [("system", "receiving")]
    for _ in range(15):
        receiving.feed(position("master"))
        receiving.silence(0.1)
    assert receiving.states() == [("slave", "no_data")]


def test_a_lone_channel_that_falls_silent_too_makes_the_system_silent(receiving: Bench) -> None:
    for _ in range(20):
        receiving.feed(position("master"))
        receiving.silence(0.1)
    assert receiving.states() == [("slave", "no_data")]
    receiving.silence(3)
    assert receiving.states() == [("system", "no_data")]


# --- rule 3: locked


def test_a_lock_makes_the_position_stale_until_positions_come_again(receiving: Bench) -> None:
    receiving.feed(lock("master"))
    system, status = receiving.news()
    assert (system.type, system.ts) == ("system", TS)
    assert system.payload == {"channel": "master", "state": "locked", "raw": "abcd0000000000f0"}
    assert (status.type, status.ts) == ("status", TS)
    assert status.payload == {"channel": "master", "state": "locked", "position_stale": True}
    receiving.feed(lock("slave"))
    assert receiving.states() == [("system", "locked")]
    receiving.feed(position("master"))
    assert receiving.states() == [("master", "receiving")]
    receiving.feed(position("slave"))
    assert receiving.states() == [("system", "receiving")]


def test_a_locked_sensor_is_not_a_silent_one(receiving: Bench) -> None:
    for _ in range(50):
        receiving.feed(lock("master"), lock("slave"))
        receiving.silence(0.1)
    assert receiving.states() == [("master", "locked"), ("system", "locked")]
    receiving.silence(2)
    assert receiving.states() == [("system", "no_data")]


def test_a_sensor_that_is_locked_from_the_start_is_one_status(bench: Bench) -> None:
    bench.feed(lock("slave"), lock("master"))
    assert bench.states() == [("system", "locked")]


@pytest.mark.parametrize("channel", PARITY)
def test_an_unlock_names_no_channel_and_proves_no_life(bench: Bench, channel: str) -> None:
    bench.feed(coded("system", 0xFF, channel))
    (event,) = bench.news()
    assert event.type == "system"
    assert event.payload == {"channel": "system", "state": "unlock", "raw": "00000000000000ff"}
    bench.silence(2)
    assert bench.states() == [("system", "no_data")]


def test_a_system_message_without_a_name_is_told_with_its_bytes(bench: Bench) -> None:
    bench.feed(coded("system", 0x42, "slave", "01020304050607"))
    (event,) = bench.news()
    assert event.payload == {"channel": "slave", "state": "unknown_0x42", "raw": "0102030405060742"}


# --- status and error


@pytest.mark.parametrize(
    ("code", "more"),
    [
        (0x0F, {"state": "starting_up", "raw": "deadbeef0000000f", "software_crc": "deadbeef"}),
        (0xF0, {"state": "ready", "raw": "deadbeef000000f0"}),
        (0x77, {"state": "unknown_0x77", "raw": "deadbeef00000077"}),
    ],
)
@pytest.mark.parametrize("channel", PARITY)
def test_a_status_is_told_and_remembered(bench: Bench, channel: str, code: int, more: dict[str, str]) -> None:
    bench.feed(coded("status", code, channel, "deadbeef000000"))
    (event,) = bench.news()
    assert (event.type, event.ts, event.payload) == ("status", TS, {"channel": channel, **more})
    assert bench.les02.snapshot()["channels"][channel]["sensor"] == more["state"]


@pytest.mark.parametrize("channel", PARITY)
def test_an_error_is_told_with_the_makers_diagnostics(bench: Bench, channel: str) -> None:
    bench.feed(coded("error", 0x07, channel, "01020304050607"))
    (event,) = bench.news()
    assert (event.type, event.ts) == ("error", TS)
    assert event.payload == {
        "channel": channel,
        "code": "unknown_0x07",
        "details": {"raw": "0102030405060707"},
    }


# --- rule 4: repeats


@pytest.mark.parametrize(
    ("first", "other"),
    [
        pytest.param(coded("error", 1), coded("error", 2), id="error"),
        pytest.param(coded("status", 0x0F), coded("status", 0xF0), id="status"),
        pytest.param(coded("system", 1), coded("system", 2), id="system"),
    ],
)
def test_repeats_are_told_once_a_second_with_their_number_and_a_change_at_once(
    bench: Bench, first: can.Message, other: can.Message
) -> None:
    told = []
    for _ in range(1100):
        bench.feed(first)
        told += [e.payload.get("repeated") for e in bench.news()]
        bench.now += 1 / 512
    assert told == [None, 511, 511]
    bench.feed(other)
    (change,) = bench.news()
    assert "repeated" not in change.payload
    for _ in range(50):  # two values in turn must not get through at the bus's rate
        bench.feed(first)
        bench.feed(other)
    assert bench.news() == []
    bench.now += 1
    bench.feed(first)
    assert [e.payload["repeated"] for e in bench.news()] == [125]


def test_the_changing_key_of_a_lock_is_no_change(bench: Bench) -> None:
    for key in range(100):
        bench.feed(coded("system", 0xF0, head=f"{key:04x}0000000000"))
    assert [e.type for e in bench.news()] == ["system", "status"]


def test_the_channels_repeat_each_for_itself(bench: Bench) -> None:
    bench.feed(coded("error", 1, "master"), coded("error", 1, "slave"), coded("error", 1, "master"))
    assert [e.payload["channel"] for e in bench.news()] == ["master", "slave"]


# --- malformed frames


def test_malformed_frames_are_told_once_in_ten_seconds_for_each_reason_and_logged_once_altogether(
    bench: Bench, logs: list[MutableMapping[str, Any]]
) -> None:
    for _ in range(1000):
        bench.feed(frame(0x80, b""))
    bench.feed(frame(0x81, bytes(8)))
    bench.now += 10.0
    bench.feed(frame(0x81, b""))
    sync, emcy, later = bench.news()
    assert (sync.type, sync.ts) == ("error", TS)
    assert sync.payload == {
        "channel": "system",
        "code": "malformed_frame",
        "details": {"id": "0x080", "reason": "position_length_0_not_4", "raw": "", "repeated": 0},
    }
    assert emcy.payload["details"] == {
        "id": "0x081",
        "reason": "position_length_8_not_4",
        "raw": "00" * 8,
        "repeated": 0,
    }
    assert later.payload["details"] == {**sync.payload["details"], "id": "0x081", "repeated": 999}
    lines = [entry for entry in logs if entry["event"] == "malformed_frame"]
    assert [(line["id"], line["repeated"]) for line in lines] == [("0x080", 0), ("0x081", 1000)]
    assert bench.les02.counts["malformed"] == 1002


# --- time


@pytest.mark.parametrize("started_at", [0.0, 12.5, 86_400.0 * 365])
def test_an_adapters_own_clock_becomes_unix_time_and_keeps_its_intervals(
    bench: Bench, started_at: float
) -> None:
    bench.feed(*(position(timestamp=started_at + number * 0.004) for number in range(3)))
    first, second, third = (e.ts for e in bench.news() if e.type == "position_sample")
    assert first == TS
    assert [second - first, third - first] == pytest.approx([0.004, 0.008], abs=1e-6)


def test_an_adapter_that_starts_anew_with_the_bus_is_set_anew(bench: Bench) -> None:
    bench.feed(position(timestamp=100_000.0))
    bench.les02.bus_lost("unplugged")
    bench.les02.bus_up()
    bench.news()
    bench.feed(position(timestamp=0.5))
    _receiving, event = bench.news()
    assert event.ts == TS


# --- the bus


def test_a_lost_bus_is_told_with_the_reason_and_so_is_its_return(
    receiving: Bench, logs: list[MutableMapping[str, Any]]
) -> None:
    receiving.les02.bus_lost("Network is down")
    receiving.les02.bus_up()
    lost, up = receiving.news()
    assert (lost.type, up.type) == ("status", "status")
    assert lost.payload == {
        "channel": "system",
        "state": "bus_lost",
        "position_stale": True,
        "reason": "Network is down",
    }
    assert up.payload == {"channel": "system", "state": "bus_up", "position_stale": True}
    assert [(e["event"], e["log_level"]) for e in logs[-2:]] == [("bus_lost", "error"), ("bus_up", "info")]


def test_a_bus_that_comes_back_is_given_the_time_of_a_silence(receiving: Bench) -> None:
    receiving.les02.bus_lost("Network is down")
    receiving.now += 3600
    receiving.les02.bus_up()
    receiving.news()
    receiving.les02.check_silence()
    assert receiving.news() == []
    receiving.silence(2)
    assert receiving.states() == [("system", "no_data")]


def test_the_snapshot_is_the_last_known_state_of_everything(bench: Bench) -> None:
    fresh = Bench().les02.snapshot()
    assert fresh == {
        "bus": "bus_lost",
        "channels": {"master": {"state": "unknown"}, "slave": {"state": "unknown"}},
    }
    bench.feed(coded("status", 0xF0, "master"), position("master", 42), position("slave", 43, TS + 0.002))
    bench.feed(lock("slave"))
    assert bench.les02.snapshot() == {
        "bus": "bus_up",
        "channels": {
            "master": {"state": "receiving", "sensor": "ready", "position_raw": 42, "position_ts": TS},
            "slave": {"state": "locked", "position_raw": 43, "position_ts": TS + 0.002},
        },
    }


def test_every_event_bears_the_configured_source() -> None:
    bench = Bench(Les02Config(source="bench 7"))
    bench.les02.bus_up()
    bench.feed(position(), lock(), coded("status", 0xF0), coded("error", 1), frame(0x80, b""))
    bench.silence(2)
    bench.les02.bus_lost("gone")
    assert {e.type for e in bench.events} == {"position_sample", "system", "status", "error"}
    assert {e.source for e in bench.news()} == {"bench 7"}


# --- laws

ANY_FRAME = st.builds(
    can.Message,
    timestamp=st.floats(0, 2e9),
    arbitration_id=st.sampled_from([0x10, 0x11, 0x20, 0x30, 0x80, 0x81]) | st.integers(0, 2**29 - 1),
    data=st.binary(max_size=8),
    is_extended_id=st.booleans(),
    is_remote_frame=st.booleans(),
    is_error_frame=st.booleans(),
    is_fd=st.booleans(),
)


@given(messages=st.lists(ANY_FRAME, max_size=30))
def test_whatever_is_on_the_bus_is_counted_once_and_every_event_can_be_sent(
    messages: list[can.Message],
) -> None:
    bench = Bench()
    bench.feed(*messages)
    assert sum(bench.les02.counts.values()) == len(messages)
    assert bench.les02.frame_at == (bench.now if messages else None)
    for event in bench.events:
        encode(event)


STEPS: dict[str, Callable[[Bench], None]] = {
    "position of the master": lambda bench: bench.feed(position("master")),
    "position of the slave": lambda bench: bench.feed(position("slave")),
    "lock of the master": lambda bench: bench.feed(lock("master")),
    "lock of the slave": lambda bench: bench.feed(lock("slave")),
    "a short pause": lambda bench: bench.silence(0.3),
    "a long pause": lambda bench: bench.silence(2.0),
    "the bus comes back": lambda bench: bench.les02.bus_up(),
}


@given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=30))
def test_who_follows_the_status_events_knows_the_state_of_each_channel(steps: list[str]) -> None:
    bench = Bench()
    bench.les02.bus_up()
    known = {"master": "unknown", "slave": "unknown"}
    for step in steps:
        STEPS[step](bench)
        for channel, state in bench.states():
            if state != BUS_UP:
                before = dict(known)
                known |= dict.fromkeys(known, state) if channel == "system" else {channel: state}
                assert known != before
        snapshot = bench.les02.snapshot()["channels"]
        assert known == {channel: last["state"] for channel, last in snapshot.items()}


# --- the tasks


class FlakyReader(CANBusReader):
    """Each life of the bus is some messages and then an error."""

    def __init__(self, *lives: tuple[list[can.Message], Exception]) -> None:
        super().__init__(CanConfig())
        self._lives = list(lives)
        self.reopened = 0
        self.idle = asyncio.Event()

    async def reopen(self) -> None:
        self.reopened += 1
        await asyncio.sleep(0)

    async def deliver(self, handler: Handler) -> NoReturn:
        if not self._lives:
            self.idle.set()
            await asyncio.Event().wait()
        messages, failure = self._lives.pop(0)
        for message in messages:
            await asyncio.sleep(0)
            handler(raw_frame(message))
        raise failure


@contextlib.asynccontextmanager
async def background(work: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_bus_that_is_lost_again_and_again_is_told_each_time_and_read_on() -> None:
    bench = Bench()
    reader = FlakyReader(
        ([position(raw=1)], BusLost("Network is down")),
        ([], BusLost("No such device")),
        ([position(raw=2)], BusLost("Network is down")),
    )
    async with background(bench.les02.run(reader)):
        await reader.idle.wait()
    told = [
        e.payload.get("position_raw") or (e.payload["state"], e.payload.get("reason")) for e in bench.news()
    ]
    assert told == [
        ("receiving", None),
        1,
        ("bus_lost", "Network is down"),
        ("bus_up", None),
        ("bus_lost", "No such device"),
        ("bus_up", None),
        ("receiving", None),
        2,
        ("bus_lost", "Network is down"),
        ("bus_up", None),
    ]
    assert reader.reopened == 3
    assert bench.les02.bus == BUS_UP


async def test_the_bus_counts_as_lost_while_it_is_looked_for() -> None:
    bench = Bench()
    states: list[str] = []

    class Observed(FlakyReader):
        async def reopen(self) -> None:
            states.append(bench.les02.bus)

    reader = Observed(([], BusLost("Network is down")))
    assert bench.les02.bus == BUS_LOST
    async with background(bench.les02.run(reader)):
        await reader.idle.wait()
    assert states == [BUS_LOST]


async def test_a_defect_of_our_own_ends_the_daemon_instead_of_looping() -> None:
    async with background(Bench().les02.run(FlakyReader(([], ZeroDivisionError())))) as task:
        with pytest.raises(ZeroDivisionError):
            await task


async def test_the_watch_notices_the_silence_by_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(les02, "WATCH_S", 0.0)
    told = asyncio.Event()
    bench.hub.subscribe(lambda _: told.set())
    async with background(bench.les02.watch()):
        bench.now += 2.0
        await told.wait()
    assert bench.states() == [("system", "no_data")]


async def test_a_standstill_of_the_process_is_no_silence_of_the_sensor(
    receiving: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            receiving.now += (
                3.0  # SIGSTOP; the frames are in the kernel, and this look is before the reader's
            )
        elif looks == 2:
            receiving.feed(position("master"), position("slave"))
            receiving.now += seconds
        else:
            raise InterruptedError

    monkeypatch.setattr("asyncio.sleep", sleep)
    with pytest.raises(InterruptedError):
        await receiving.les02.watch()
    assert receiving.states() == []
