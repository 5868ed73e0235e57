import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.robots.orders import FORGOTTEN_S, PACE_S, UNCONFIRMED_MAX, Order, Outbox

NUMBERS = itertools.count(1)
ZERO = {"x": 0.0, "y": 0.0}


def order(kind: str = "robot_move", deadline_at: float = 1.0, *, is_stop: bool = False) -> Order:
    values = ZERO if is_stop else {"x": 0.5, "y": 0.0}
    return Order(next(NUMBERS), kind, values, math.inf if is_stop else deadline_at, is_stop)


def give(outbox: Outbox, now: float, *, is_clear: bool = True) -> list[Order]:
    ready = outbox.ready(now, is_clear=is_clear)
    for each in ready:
        outbox.given(each, now)
    return ready


def test_what_comes_first_goes_at_once() -> None:
    outbox, move = Outbox(), order()
    assert outbox.put(move) is None
    assert [outbox.is_empty, give(outbox, 0.0), outbox.is_empty] == [False, [move], True]
    assert outbox.next_at(0.0, 0.02) is None


def test_the_newest_of_a_type_wins() -> None:
    outbox, first, second, camera = Outbox(), order(), order(), order("camera_move")
    give_first = order()
    outbox.put(give_first)
    give(outbox, 0.0)
    assert outbox.put(first) is None
    assert outbox.put(camera) is None
    assert outbox.put(second) is first
    assert give(outbox, PACE_S) == [camera, second]


def test_at_most_twenty_a_second_of_one_type_go() -> None:
    outbox, given_at = Outbox(), []
    for step in range(1000):
        outbox.put(order(deadline_at=math.inf))
        if give(outbox, step / 500):
            given_at.append(step / 500)
    assert len(given_at) in {39, 40, 41}
    assert min(b - a for a, b in itertools.pairwise(given_at)) >= PACE_S - 1 / 500 - 1e-9


def test_a_move_that_comes_late_does_not_make_those_after_it_late() -> None:
    outbox, waits = Outbox(), []
    for step in range(1, 100):
        at = step * 1.002 * PACE_S + (0.04 if step == 10 else 0.0)
        outbox.put(order(deadline_at=math.inf))
        now = at
        while not give(outbox, now):
            now += 0.001
        waits.append(now - at)
    assert max(waits) < 0.002


def test_a_stop_after_a_move_does_not_wait() -> None:
    outbox, stop = Outbox(), order(is_stop=True)
    outbox.put(order())
    give(outbox, 0.0)
    outbox.put(stop)
    assert outbox.next_at(0.001, 0.0) == 0.001
    assert give(outbox, 0.001) == [stop]
    # A second one tells nothing new.
    outbox.put(order(is_stop=True))
    assert give(outbox, 0.002) == []
    assert outbox.next_at(0.002, 0.0) == pytest.approx(2 * PACE_S)
    # What moves again waits for the time of both.
    outbox.put(order())
    assert give(outbox, 0.09) == []
    assert len(give(outbox, 2 * PACE_S)) == 1


def test_moves_and_zeros_in_turn_are_at_most_twenty_a_second_together() -> None:
    outbox, given_at = Outbox(), []
    for step in range(2000):
        outbox.put(order(deadline_at=math.inf, is_stop=step % 8 >= 4))
        if give(outbox, step / 500):
            given_at.append(step / 500)
    assert len(given_at) <= 4 / PACE_S + 1


def test_what_is_past_its_deadline_is_never_given() -> None:
    outbox, move, stop = Outbox(), order(deadline_at=1.0), order("camera_move", is_stop=True)
    outbox.put(move)
    outbox.put(stop)
    assert outbox.ready(0.5, is_clear=False) == [stop]
    assert outbox.next_at(0.99, 0.02) == 1.0
    assert outbox.expire(0.999) == []
    assert outbox.expire(1.0) == [move]
    assert outbox.expire(1e9) == []  # a stop has none
    assert give(outbox, 1e9) == [stop]


def test_what_is_stuck_on_the_way_holds_up_all_but_stops() -> None:
    outbox, move, stop = Outbox(), order("camera_move"), order(is_stop=True)
    outbox.put(move)
    outbox.put(stop)
    assert give(outbox, 0.0, is_clear=False) == [stop]
    assert outbox.next_at(0.0, 0.02) == 0.02  # nobody tells when there is room
    assert give(outbox, 0.02) == [move]


def test_who_confirms_gets_no_more_than_it_confirms() -> None:
    outbox, now = Outbox(), 0.0
    outbox.put(first := order())
    give(outbox, now)
    assert outbox.confirmed(first.number) == first
    given_orders: list[Order] = []
    for _ in range(20):
        now += PACE_S
        outbox.put(order(deadline_at=math.inf))
        given_orders += give(outbox, now)
    assert len(given_orders) == UNCONFIRMED_MAX
    outbox.put(stop := order("camera_move", is_stop=True))
    assert give(outbox, now) == [stop]
    # The last one confirms those before it too.
    assert outbox.confirmed(given_orders[-1].number) == given_orders[-1]
    assert outbox.confirmed(given_orders[0].number) is None
    assert len(give(outbox, now)) == 1


def test_who_does_not_confirm_gets_everything() -> None:
    outbox, given_orders = Outbox(), []
    for step in range(100):
        outbox.put(order(deadline_at=math.inf))
        given_orders += give(outbox, step * 1.1 * PACE_S)
    assert len(given_orders) == 100
    assert not outbox.confirms


def test_who_has_confirmed_and_says_nothing_any_more_is_not_held_up_for_ever() -> None:
    outbox = Outbox()
    outbox.put(first := order())
    give(outbox, 0.0)
    outbox.confirmed(first.number)
    for step in range(1, 10):
        outbox.put(order(deadline_at=math.inf))
        give(outbox, step * PACE_S)
    assert not outbox.is_empty
    assert give(outbox, FORGOTTEN_S + 1)


def test_what_was_never_given_cannot_be_confirmed() -> None:
    outbox, waiting = Outbox(), order()
    outbox.put(waiting)
    assert outbox.confirmed(waiting.number) is None
    assert outbox.confirmed(10**9) is None
    assert not outbox.confirms


def test_what_is_unfinished_is_known_when_the_robot_has_gone() -> None:
    outbox, one, other = Outbox(), order(), order("camera_move")
    outbox.put(one)
    give(outbox, 0.0)
    outbox.put(other)
    assert outbox.unfinished() == [other]  # of one that does not confirm nothing is expected
    outbox.put(third := order("set_speed"))
    give(outbox, 0.1)
    outbox.confirmed(one.number)
    assert outbox.unfinished() == [other, third]


_STEPS = st.tuples(
    st.floats(0.0, 0.2),
    st.sampled_from(["robot_move", "camera_move", "set_speed"]),
    st.sampled_from(["order", "stop", "confirm", "stuck"]),
)


@given(st.lists(_STEPS, max_size=80))
def test_the_rules_hold_whatever_happens(steps: list[tuple[float, str, str]]) -> None:
    outbox, now = Outbox(), 0.0
    put: list[Order] = []
    given_at: dict[str, list[tuple[float, bool]]] = {}
    unconfirmed: dict[int, Order] = {}
    for wait_s, kind, step in steps:
        now += wait_s
        if step in {"order", "stop"}:
            put.append(order(kind, now + 0.5, is_stop=step == "stop"))
            before = outbox.put(put[-1])
            assert before is None or before.kind == kind
        elif step == "confirm" and unconfirmed:
            number = max(unconfirmed)
            if (found := outbox.confirmed(number)) is not None:
                unconfirmed = {
                    n: each for n, each in unconfirmed.items() if n > number or each.kind != found.kind
                }
        outbox.expire(now)
        confirms = outbox.confirms
        for each in give(outbox, now, is_clear=step != "stuck"):
            assert each.is_stop or step != "stuck"
            assert now < each.deadline_at
            newest = [other for other in put if other.kind == each.kind][-1]
            assert each is newest
            given_at.setdefault(each.kind, []).append((now, each.is_stop))
            unconfirmed[each.number] = each
        if confirms and now < FORGOTTEN_S:
            kinds = Counter(each.kind for each in unconfirmed.values() if not each.is_stop)
            assert sum(kinds.values()) <= UNCONFIRMED_MAX + 2 * len(kinds)
    for times in given_at.values():
        moves = [at for at, is_stop in times if not is_stop]
        for first, at in enumerate(moves):
            for last in range(first + 1, len(moves)):
                assert last - first + 1 <= (moves[last] - at) / PACE_S + 2 + 1e-6
