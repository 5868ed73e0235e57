"""Those who are told."""

from structlog.testing import capture_logs

from listener.mesh.subscribers import Subscribers


def test_all_are_told_in_the_order_they_came_until_they_leave() -> None:
    changes: list[int] = []
    subscribers: Subscribers[str] = Subscribers(lambda: changes.append(len(subscribers)))
    told: list[str] = []
    leave = subscribers.add(lambda what: told.append(f"a {what}"))
    subscribers.add(lambda what: told.append(f"b {what}"))
    subscribers.tell("1")
    leave()
    leave()
    subscribers.tell("2")
    assert told == ["a 1", "b 1", "b 2"]
    assert changes == [1, 2, 1]


def test_one_that_fails_disturbs_nobody_and_is_said_once() -> None:
    subscribers: Subscribers[str] = Subscribers()
    told: list[str] = []

    def fail(_: str) -> None:
        raise RuntimeError("it does")

    subscribers.add(fail)
    subscribers.add(told.append)
    with capture_logs() as logs:
        subscribers.tell("1")
        subscribers.tell("2")
    assert told == ["1", "2"]
    assert [each["event"] for each in logs] == ["mesh_subscriber_failed"]


def test_one_may_leave_while_all_are_told_and_one_may_come_twice() -> None:
    subscribers: Subscribers[str] = Subscribers()
    told: list[str] = []
    leave = subscribers.add(lambda _: leave())
    subscribers.add(told.append)
    leave_once = subscribers.add(told.append)
    subscribers.tell("1")
    leave_once()
    subscribers.tell("2")
    assert told == ["1", "1", "2"]
