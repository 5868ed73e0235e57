"""The nodes by address: who is there, who has gone silent, who comes back."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from listener.mesh import registry as registry_module
from listener.mesh.node import Status
from listener.mesh.registry import Change, Connected, Moved, Registry

ACTIVE, IDLE, DISCONNECT = Status
UUID = bytes(range(16))
TS = 1795294864.0


def statuses(registry: Registry) -> dict[int, Status]:
    return {node.addr: node.status for node in registry}


def test_a_node_is_there_from_its_first_word_and_is_told_once() -> None:
    registry = Registry()
    assert registry.heard(5, TS, 0.0) == [Connected(5, b"", again=False)]
    assert registry.heard(5, TS, 1.0) == []
    assert registry.node_info(5, UUID, TS, 2.0) == []
    (node,) = registry
    assert (node.uuid, node.status, node.last_seen) == (UUID, ACTIVE, TS)


def test_a_node_that_joins_has_its_uuid_when_it_is_told() -> None:
    registry = Registry()
    assert registry.node_info(5, UUID, TS, 0.0) == [Connected(5, UUID, again=False)]
    assert registry.net_info([(6, UUID)], 0.0) == [Connected(6, UUID, again=False)]


def test_nodes_come_in_the_order_of_their_addresses() -> None:
    registry = Registry()
    for addr in (300, 5, 70):
        registry.heard(addr, TS, 0.0)
    assert [node.addr for node in registry] == [5, 70, 300]
    assert len(registry) == 3


def test_who_says_nothing_is_idle_then_disconnected_and_each_is_told_once() -> None:
    registry = Registry(idle_s=60, disconnect_s=300)
    registry.heard(5, TS, 0.0)
    assert registry.age(59.9) == []
    assert registry.age(60.0) == [Moved(5, IDLE, "silent for 60 s")]
    assert registry.age(61.0) == []
    assert registry.age(300.0) == [Moved(5, DISCONNECT, "silent for 300 s")]
    assert registry.age(1000.0) == []
    assert registry.heard(5, TS, 1000.0) == [Connected(5, b"", again=True)]


def test_an_idle_node_that_says_something_is_active_and_has_not_connected() -> None:
    registry = Registry(idle_s=60)
    registry.heard(5, TS, 0.0)
    registry.age(60.0)
    assert registry.heard(5, TS, 61.0) == [Moved(5, ACTIVE, "heard again")]


def test_idle_may_take_longer_than_disconnected_and_is_left_out_then() -> None:
    registry = Registry(idle_s=60, disconnect_s=30)
    registry.heard(5, TS, 0.0)
    assert registry.age(30.0) == [Moved(5, DISCONNECT, "silent for 30 s")]


def test_a_node_that_was_only_told_of_grows_old_too() -> None:
    registry = Registry(idle_s=60, disconnect_s=300)
    registry.net_info([(5, UUID)], 0.0)
    assert [change.addr for change in registry.age(60.0)] == [5]


def test_when_the_root_starts_anew_all_are_disconnected_and_its_list_brings_them_back() -> None:
    registry = Registry()
    registry.heard(5, TS, 0.0)
    registry.heard(6, TS, 0.0)
    assert registry.root_reset("restarted") == [
        Moved(5, DISCONNECT, "restarted"),
        Moved(6, DISCONNECT, "restarted"),
    ]
    assert registry.root_reset("restarted") == []
    assert registry.net_info([(6, UUID)], 1.0) == [Connected(6, UUID, again=True)]
    assert statuses(registry) == {5: DISCONNECT, 6: ACTIVE}


def test_the_roots_list_does_not_bring_back_who_was_silent_while_it_was_there() -> None:
    registry = Registry(disconnect_s=300)
    registry.heard(5, TS, 0.0)
    registry.age(300.0)
    assert registry.net_info([(5, UUID)], 301.0) == []
    assert statuses(registry) == {5: DISCONNECT}
    assert registry.node_info(5, UUID, TS, 302.0) == [Connected(5, UUID, again=True)]


def test_it_does_after_the_root_itself_was_away() -> None:
    registry = Registry(disconnect_s=300)
    registry.heard(5, TS, 0.0)
    registry.age(300.0)
    registry.reopened()
    assert registry.net_info([(5, UUID)], 301.0) == [Connected(5, UUID, again=True)]


def test_the_roots_list_keeps_the_age_of_those_that_are_here() -> None:
    registry = Registry(idle_s=60)
    registry.heard(5, TS, 0.0)
    assert registry.net_info([(5, UUID)], 59.0) == []
    assert registry.age(60.0) == [Moved(5, IDLE, "silent for 60 s")]


def test_those_from_before_the_start_are_disconnected_until_they_are_heard_or_told_of() -> None:
    registry = Registry()
    for addr in (5, 6, 7):
        node = registry.remember(addr, UUID, TS)
        assert node is not None
        node.store("a", b"1", TS)
    assert registry.age(1e9) == []
    assert set(statuses(registry).values()) == {DISCONNECT}
    assert registry.heard(5, TS + 9, 1.0) == [Connected(5, UUID, again=True)]
    assert registry.net_info([(6, UUID)], 1.0) == [Connected(6, UUID, again=True)]
    assert statuses(registry) == {5: ACTIVE, 6: ACTIVE, 7: DISCONNECT}
    node = registry.get(6)
    assert node is not None
    assert (node.last_seen, node.last("a")) == (TS, (TS, b"1"))


@pytest.mark.parametrize("addr", [0, 1])
def test_the_root_is_no_node(addr: int) -> None:
    registry = Registry()
    assert registry.heard(addr, TS, 0.0) == []
    assert registry.node_info(addr, UUID, TS, 0.0) == []
    assert registry.net_info([(addr, UUID)], 0.0) == []
    assert registry.remember(addr, UUID, TS) is None
    assert len(registry) == 0


def test_a_word_that_may_be_anybodys_makes_no_node_but_keeps_one_alive() -> None:
    registry = Registry(idle_s=60)
    assert registry.heard(5, TS, 0.0, add=False) == []
    assert registry.get(5) is None
    registry.heard(5, TS, 0.0)
    registry.heard(5, TS, 59.0, add=False)
    assert registry.age(60.0) == []


def test_nodes_of_a_status_are_found_and_counted() -> None:
    registry = Registry(idle_s=60)
    registry.heard(5, TS, 0.0)
    registry.heard(6, TS, 30.0)
    registry.age(60.0)
    assert [node.addr for node in registry.in_status(IDLE)] == [5]
    assert [registry.count(status) for status in Status] == [1, 1, 0]


def test_one_that_is_forgotten_is_new_when_it_comes_again() -> None:
    registry = Registry()
    registry.heard(5, TS, 0.0)
    assert registry.forget(5) == [Moved(5, DISCONNECT, "forgotten")]
    assert registry.forget(5) == []
    assert registry.heard(5, TS, 1.0) == [Connected(5, b"", again=False)]


def test_where_the_root_lists_its_nodes_one_that_it_does_not_name_is_forgotten_when_it_is_silent() -> None:
    registry = Registry(idle_s=60)
    registry.heard(5, TS, 0.0)
    registry.heard(6, TS, 0.0)
    registry.net_info([(5, UUID)], 1.0)
    stranger = registry.get(6)
    assert stranger is not None
    assert registry.is_strange(stranger)
    assert registry.age(59.0) == []
    assert registry.age(60.0) == [
        Moved(5, IDLE, "silent for 60 s"),
        Moved(6, DISCONNECT, "forgotten: the root does not know it"),
    ]
    assert statuses(registry) == {5: IDLE}
    registry.heard(7, TS, 60.0)
    registry.net_info([(7, UUID)], 61.0)
    assert registry.age(120.0)[-1] == Moved(7, IDLE, "silent for 60 s")


def test_where_it_does_not_list_them_all_are_kept() -> None:
    registry = Registry(idle_s=60)
    registry.heard(5, TS, 0.0)
    registry.node_info(6, UUID, TS, 0.0)
    registry.net_info([], 0.0)
    assert [change.addr for change in registry.age(60.0)] == [5, 6]
    assert set(statuses(registry).values()) == {IDLE}


def test_those_from_before_the_start_are_not_forgotten_for_that() -> None:
    registry = Registry(idle_s=60)
    registry.remember(6, b"", TS)
    registry.net_info([(5, UUID)], 0.0)
    registry.age(1e6)
    assert set(statuses(registry)) == {5, 6}


def test_of_too_many_those_go_that_the_root_has_not_named_then_who_was_silent_for_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry_module, "NODES_MAX", 3)
    registry = Registry()
    registry.node_info(5, UUID, TS, 0.0)
    for now, addr in enumerate((6, 7, 8), 1):
        registry.heard(addr, TS, float(now))
    assert [node.addr for node in registry] == [5, 7, 8]
    registry.net_info([(8, UUID), (9, UUID), (10, UUID)], 4.0)
    assert [node.addr for node in registry] == [8, 9, 10]
    assert registry.remember(11, UUID, TS) is None
    assert registry.remember(10, UUID, TS + 1) is not None


class AnyLife(RuleBasedStateMachine):
    """Whatever happens, and in whatever order: the changes that are told add up to what is."""

    idle_s, disconnect_s = 60.0, 300.0
    addrs = st.integers(0, 8)

    @initialize()
    def begin(self) -> None:
        self.registry = Registry(idle_s=self.idle_s, disconnect_s=self.disconnect_s)
        self.told: dict[int, Status] = {}
        self.heard_at: dict[int, float] = {}
        self.now = 0.0

    def add_up(self, changes: list[Change]) -> None:
        for change in changes:
            before = self.told.get(change.addr)
            if isinstance(change, Connected):
                assert before in {None, DISCONNECT}
                assert change.again is (before is not None)
                self.told[change.addr] = ACTIVE
            else:
                if change.reason.startswith("forgotten"):
                    del self.told[change.addr]
                    self.heard_at.pop(change.addr, None)
                    continue
                assert change.status is not before
                self.told[change.addr] = change.status

    @rule(addr=addrs, add=st.booleans())
    def hear(self, addr: int, add: bool) -> None:
        known = self.registry.get(addr) is not None
        self.add_up(self.registry.heard(addr, TS + self.now, self.now, add=add))
        if known or (add and addr > 1):
            assert self.told[addr] is ACTIVE
            self.heard_at[addr] = self.now

    @rule(addr=addrs)
    def join(self, addr: int) -> None:
        self.add_up(self.registry.node_info(addr, UUID, TS + self.now, self.now))
        if addr > 1:
            assert self.told[addr] is ACTIVE
            self.heard_at[addr] = self.now

    @rule(found=st.lists(addrs, max_size=5))
    def list_nodes(self, found: list[int]) -> None:
        self.add_up(self.registry.net_info([(addr, UUID) for addr in found], self.now))

    @rule()
    def restart(self) -> None:
        self.add_up(self.registry.root_reset("it does"))
        assert set(self.told.values()) <= {DISCONNECT}

    @rule()
    def reopen(self) -> None:
        self.registry.reopened()

    @rule(seconds=st.sampled_from([0.5, 20.0, 60.0, 299.0, 300.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.add_up(self.registry.age(self.now))
        for addr, status in self.told.items():
            silent_s = self.now - self.heard_at.get(addr, -math.inf)
            if silent_s < self.idle_s:
                assert status is not IDLE

    @invariant()
    def what_was_told_is_so(self) -> None:
        assert self.told == statuses(self.registry)

    @invariant()
    def an_age_is_that_of_the_last_word(self) -> None:
        for node in self.registry:
            at = self.heard_at.get(node.addr)
            assert node.age_s(TS + self.now, self.now) == (None if at is None else self.now - at)


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.floats(0, 1e6), st.floats(0.1, 1e4), st.floats(0.1, 1e4))
def test_a_status_depends_on_the_silence_alone(silent_s: float, idle_s: float, disconnect_s: float) -> None:
    registry = Registry(idle_s=idle_s, disconnect_s=disconnect_s)
    registry.heard(5, TS, 0.0)
    registry.age(silent_s)
    expected = DISCONNECT if silent_s >= disconnect_s else IDLE if silent_s >= idle_s else ACTIVE
    assert statuses(registry) == {5: expected}
