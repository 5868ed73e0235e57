from listener.robots.sticks import NAMED_MAX, Sticks


def test_a_stick_is_held_towards_whom_it_is_pushed_until_it_is_let_go() -> None:
    found = Sticks()
    assert not found.holds("robot_move", "a", ["g"])
    found.push("robot_move", "a", None)
    assert found.holds("robot_move", "a", [])
    assert not found.holds("camera_move", "a", [])
    assert not found.holds("robot_move", "b", ["g"])
    found.let_go("robot_move", "b", None)
    assert found.holds("robot_move", "a", [])
    found.let_go("robot_move", "a", None)
    assert not found.holds("robot_move", "a", [])


def test_towards_a_group_or_all_it_is_held_towards_each_of_them() -> None:
    found = Sticks()
    found.push("robot_move", None, "g")
    assert found.holds("robot_move", "a", ["f", "g"])
    assert not found.holds("robot_move", "b", ["f"])
    found.let_go("robot_move", None, "f")
    assert found.holds("robot_move", "a", ["g"])
    found.let_go("robot_move", None, "g")
    assert not found.holds("robot_move", "a", ["g"])
    found.push("robot_move", None, None)
    assert found.holds("robot_move", "whoever comes", [])


def test_a_zero_to_more_lets_go_of_all_within() -> None:
    found = Sticks()
    found.push("robot_move", "a", None)
    found.push("robot_move", "b", None)
    found.let_go("robot_move", None, "g", ["a", "c"])
    assert not found.holds("robot_move", "a", [])
    assert found.holds("robot_move", "b", [])
    found.push("robot_move", None, "g")
    found.push("camera_move", "b", None)
    found.let_go("robot_move", None, None)
    assert not found.holds("robot_move", "b", ["g"])
    assert found.holds("camera_move", "b", [])


def test_who_names_too_many_holds_it_towards_all() -> None:
    found = Sticks()
    for number in range(10 * NAMED_MAX):
        found.push("robot_move", f"robot_{number}", None)
    assert len(found._held) <= NAMED_MAX + 1
    assert found.holds("robot_move", "somebody", [])
