from hypothesis import given
from hypothesis import strategies as st

from listener.robots.messages import STICKS
from listener.robots.operators import BY_THE_WAY_S, HALT_S, Hold

HOLD_S, IDLE_S = 0.25, 10.0


def hold() -> Hold:
    return Hold(HOLD_S, IDLE_S)


def test_the_first_who_commands_has_it() -> None:
    found = hold()
    assert found.may("a")
    assert found.take("a", 0.0)
    assert not found.take("a", 1.0)  # nothing new
    assert found.may("a")
    assert not found.may("b")
    found.release()
    assert found.may("b")


def test_who_takes_it_by_force_has_it() -> None:
    found = hold()
    found.take("a", 0.0)
    assert found.take("b", 1.0)
    assert not found.may("a")


def test_a_move_that_is_repeated_goes_on_and_one_that_is_not_is_over() -> None:
    found = hold()
    found.moves("robot_move", 0.0)
    assert found.next_at() == HOLD_S
    assert found.not_repeated(0.2) == []
    found.moves("robot_move", 0.2)
    assert found.not_repeated(0.3) == []
    assert found.moving == ["robot_move"]
    assert found.not_repeated(0.45) == ["robot_move"]
    assert found.not_repeated(0.45) == []
    assert found.moving == []


def test_each_of_its_parts_is_held_by_itself() -> None:
    found = hold()
    found.moves("robot_move", 0.0)
    found.moves("camera_move", 0.2)
    assert found.next_at() == HOLD_S
    assert found.not_repeated(0.3) == ["robot_move"]
    assert found.next_at() == 0.2 + HOLD_S
    assert sorted(found.stop()) == ["camera_move"]


def test_who_lets_go_of_the_stick_moves_nothing() -> None:
    found = hold()
    found.moves("robot_move", 0.0)
    found.stands("robot_move")
    assert found.moving == []
    assert found.not_repeated(9.0) == []


def test_after_a_halt_everybody_who_was_there_must_let_go_of_each_stick() -> None:
    found = hold()
    found.moves("robot_move", 0.0)
    found.moves("camera_move", 0.0)
    assert sorted(found.halt(0.1)) == ["camera_move", "robot_move"]
    assert found.moving == []
    for website in ("a", "b"):
        found.wants_let_go(website, STICKS)
    found.has_let_go("b", "robot_move")
    found.has_let_go("a", "camera_move")
    owing = [(w, kind) for w in "ab" for kind in STICKS if found.must_let_go(w, kind)]
    assert owing == [("a", "robot_move"), ("b", "camera_move")]
    found.forget("a", STICKS)
    assert not found.must_let_go("a", "robot_move")
    assert not found.must_let_go("c", "robot_move")


def test_a_halt_is_fresh_for_a_second() -> None:
    found = hold()
    assert not found.was_halted(0.0)
    found.halt(5.0)
    assert found.was_halted(5.0 + 0.9 * HALT_S)
    assert not found.was_halted(5.0 + HALT_S)


def test_who_commands_nothing_any_more_gives_it_back() -> None:
    found = hold()
    assert found.next_at() is None
    assert not found.is_idle(99.0)
    found.take("a", 1.0, is_asked_for=True)
    assert found.next_at() == 1.0 + IDLE_S
    assert not found.is_idle(10.9)
    assert found.is_idle(11.0)
    found.take("a", 5.0)
    assert not found.is_idle(11.0)
    found.moves("robot_move", 15.0)
    assert not found.is_idle(15.1)  # it moves
    found.stop()
    assert found.is_idle(15.1)


def test_who_has_not_asked_for_it_gives_it_back_sooner() -> None:
    found = hold()
    found.take("a", 1.0)
    assert found.next_at() == 1.0 + BY_THE_WAY_S
    assert not found.is_idle(0.9 + BY_THE_WAY_S)
    assert found.is_idle(1.0 + BY_THE_WAY_S)
    found.take("a", 2.0, is_asked_for=True)
    found.take("a", 3.0)
    assert found.next_at() == 3.0 + IDLE_S
    found.release()
    found.take("b", 4.0)
    assert found.next_at() == 4.0 + BY_THE_WAY_S


@given(
    st.lists(st.tuples(st.floats(0.001, 2.0), st.sampled_from(["move", "zero", "halt", "look"])), max_size=60)
)
def test_nothing_moves_longer_than_it_is_held(steps: list[tuple[float, str]]) -> None:
    """Whatever happens: when it was looked at in time, what moves was wanted within the last HOLD_S."""
    found, now, wanted_at = hold(), 0.0, -1.0
    for wait_s, step in steps:
        while (due := found.next_at()) is not None and due <= now + wait_s:
            assert found.not_repeated(due + 1e-9)
        now += wait_s
        if step == "move":
            found.moves("robot_move", now)
            wanted_at = now
        elif step == "zero":
            found.stands("robot_move")
            assert found.moving == []
        elif step == "halt":
            found.halt(now)
            assert found.moving == []
        assert not found.moving or now - wanted_at <= HOLD_S + 1e-6
