from hypothesis import given
from hypothesis import strategies as st

from listener.rides.floors import FARTHEST_MM, SAME_MM, Floor, Floors


def test_the_first_stop_is_a_floor_and_one_within_50_mm_is_the_same() -> None:
    floors = Floors()
    first = floors.learn(1000.0)
    assert (first.new, first.number, first.offset_mm) == (True, 0, 0.0)
    again = floors.learn(1004.0)
    assert (again.new, again.number, again.offset_mm) == (False, 0, 4.0)
    assert [(floor.position_mm, floor.stops) for floor in floors] == [(1000.0, 2)]


def test_a_floor_below_takes_the_number_and_leaves_the_key() -> None:
    floors = Floors()
    upper = floors.learn(4000.0)
    lower = floors.learn(1000.0)
    assert (upper.floor.key, lower.floor.key, lower.number) == (1, 2, 0)
    stop = floors.find(4001.0)
    assert stop is not None
    assert (stop.number, stop.floor.key) == (1, 1)


def test_what_is_off_by_up_to_5_mm_moves_nothing_and_more_moves_it_a_part_of_the_way() -> None:
    floors = Floors()
    floors.learn(1000.0)
    floors.learn(1005.0)
    assert [floor.position_mm for floor in floors] == [1000.0]
    floors.learn(1020.0)
    assert [floor.position_mm for floor in floors] == [1005.0]


def test_a_floor_never_moves_farther_than_100_mm_from_where_it_was_learnt() -> None:
    floors = Floors()
    floors.learn(1000.0)
    for _ in range(200):
        (floor,) = floors
        floors.learn(floor.position_mm + 45.0)
        if len(list(floors)) > 1:
            break
        assert abs(floor.position_mm - 1000.0) <= FARTHEST_MM
    assert max(floor.position_mm for floor in floors if floor.key == 1) == 1000.0 + FARTHEST_MM


def test_a_stop_elsewhere_is_no_floor_until_it_is_learnt() -> None:
    floors = Floors([Floor(1, 1000.0, 1000.0)])
    assert floors.find(1051.0) is None
    assert floors.find(949.0) is None
    assert Floors().find(0.0) is None


@given(st.lists(st.floats(0, 2000), max_size=60))
def test_the_order_of_floors_never_changes(stops: list[float]) -> None:
    floors = Floors()
    order: list[int] = []
    for stop in stops:
        floors.learn(stop)
        now = [floor.key for floor in floors]
        assert [key for key in now if key in order] == order
        order = now
        positions = [floor.position_mm for floor in floors]
        assert positions == sorted(positions)
        assert all(abs(floor.position_mm - floor.first_mm) <= FARTHEST_MM for floor in floors)
        assert floors.find(stop) is not None or abs(floors.learn(stop).offset_mm) <= SAME_MM
