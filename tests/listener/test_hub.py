from functools import partial
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from listener import hub as hub_module
from listener.events import EventEnvelope, position_sample
from listener.hub import FAILURE_LOG_S, Hub

EVENTS = [position_sample(1_700_000_000.0 + number, "master", number) for number in range(5)]
EVENT = EVENTS[0]


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(hub_module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def broken(event: EventEnvelope) -> None:
    raise RuntimeError(f"cannot digest {event.type}")


def test_everyone_hears_every_event_in_order_before_publish_returns(hub: Hub) -> None:
    heard: list[tuple[str, EventEnvelope]] = []

    def hear(name: str, event: EventEnvelope) -> None:
        heard.append((name, event))

    for name in "abc":
        hub.subscribe(partial(hear, name))
    for event in EVENTS:
        hub.publish(event)
        assert heard[-3:] == [("a", event), ("b", event), ("c", event)]
    assert len(heard) == 3 * len(EVENTS)


def test_an_event_without_subscribers_is_no_error(hub: Hub) -> None:
    hub.publish(EVENT)


def test_who_unsubscribed_hears_no_more_and_may_say_so_twice(hub: Hub) -> None:
    gone: list[EventEnvelope] = []
    stays: list[EventEnvelope] = []
    leave = hub.subscribe(gone.append)
    hub.subscribe(stays.append)
    hub.publish(EVENTS[0])
    leave()
    leave()
    hub.publish(EVENTS[1])
    assert gone == EVENTS[:1]
    assert stays == EVENTS[:2]


def test_a_subscriber_that_leaves_in_the_middle_of_a_publish_takes_nobodys_event(hub: Hub) -> None:
    once: list[EventEnvelope] = []
    always: list[EventEnvelope] = []

    def hear_once(event: EventEnvelope) -> None:
        once.append(event)
        leave()

    leave = hub.subscribe(hear_once)
    hub.subscribe(always.append)
    hub.publish(EVENTS[0])
    hub.publish(EVENTS[1])
    assert once == EVENTS[:1]
    assert always == EVENTS[:2]


def test_who_subscribes_in_the_middle_of_a_publish_starts_with_the_next_event(hub: Hub) -> None:
    late: list[EventEnvelope] = []

    def invite(event: EventEnvelope) -> None:
        leave()
        hub.subscribe(late.append)

    leave = hub.subscribe(invite)
    hub.publish(EVENTS[0])
    hub.publish(EVENTS[1])
    assert late == [EVENTS[1]]


def test_a_publish_from_within_a_publish_reaches_everyone(hub: Hub) -> None:
    heard: list[EventEnvelope] = []

    def echo(event: EventEnvelope) -> None:
        if event is EVENTS[0]:
            hub.publish(EVENTS[1])

    hub.subscribe(echo)
    hub.subscribe(heard.append)
    hub.publish(EVENTS[0])
    assert heard == [EVENTS[1], EVENTS[0]]


def test_a_subscriber_that_fails_does_not_disturb_the_others(hub: Hub) -> None:
    before: list[EventEnvelope] = []
    after: list[EventEnvelope] = []
    hub.subscribe(before.append)
    hub.subscribe(broken)
    hub.subscribe(after.append)
    with capture_logs():
        for event in EVENTS:
            hub.publish(event)
    assert before == after == EVENTS
    assert hub.failures == len(EVENTS)


def test_a_failing_subscriber_is_logged_once_in_ten_seconds_with_the_count(hub: Hub, clock: Clock) -> None:
    hub.subscribe(broken)
    with capture_logs() as logs:
        for _ in range(500):
            hub.publish(EVENT)
        clock.now += FAILURE_LOG_S
        hub.publish(EVENT)
    assert FAILURE_LOG_S == 10.0
    assert [(entry["event"], entry["log_level"], entry["suppressed"]) for entry in logs] == [
        ("subscriber_failed", "error", 0),
        ("subscriber_failed", "error", 499),
    ]
    assert logs[0]["exc_info"] is True
    assert logs[0]["type"] == "position_sample"
    assert "broken" in logs[0]["subscriber"]


def test_each_failing_subscriber_is_logged_for_itself(hub: Hub, clock: Clock) -> None:
    def broken_too(event: EventEnvelope) -> None:
        raise ValueError

    hub.subscribe(broken)
    hub.subscribe(broken_too)
    with capture_logs() as logs:
        hub.publish(EVENT)
        hub.publish(EVENT)
    assert len(logs) == 2


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_program_is_nobodys_failure(hub: Hub, exception: type[BaseException]) -> None:
    def end(event: EventEnvelope) -> None:
        raise exception

    hub.subscribe(end)
    with pytest.raises(exception):
        hub.publish(EVENT)
    assert hub.failures == 0


def test_each_process_has_its_own_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0x1234, 0x1235])
    monkeypatch.setattr(hub_module, "time", SimpleNamespace(time_ns=lambda: next(ticks)))
    assert (Hub().epoch, Hub().epoch) == ("1234", "1235")
