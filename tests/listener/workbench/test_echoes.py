"""Frames that were sent from here and come back: whose they are, and for how long that is believed."""

from listener.raw_frame import Flag, RawFrame
from listener.workbench import echoes
from listener.workbench.echoes import GRACE_S, Echo, Echoes

OURS = RawFrame(0x100, 0, b"\1", 5.0)


def test_what_was_sent_is_ours_when_it_comes_back_and_not_much_later() -> None:
    ours = Echoes()
    assert not ours
    ours.expect(OURS, 10.0)
    assert ours
    assert ours.look(OURS._replace(timestamp=99.0), 10.1) is Echo.COUNTED
    assert ours.look(OURS, 10.0 + GRACE_S) is None


def test_another_frame_is_somebody_elses() -> None:
    ours = Echoes()
    ours.expect(OURS, 10.0)
    others = [
        OURS._replace(data=b"\2"),
        OURS._replace(arbitration_id=0x101),
        OURS._replace(flags=int(Flag.EXTENDED)),
    ]
    assert [ours.look(frame, 10.0) for frame in others] == [None, None, None]


def test_a_cyclic_frame_is_ours_until_a_while_after_its_end() -> None:
    ours = Echoes()
    ours.begin(OURS, by_kernel=True)
    assert ours.look(OURS, 1000.0) is Echo.OF_THE_KERNEL
    ours.end(OURS, 1000.0)
    # Of the kernel's some are on their way still.
    assert ours.look(OURS, 1000.1) is Echo.OF_THE_KERNEL
    assert ours.look(OURS, 1000.0 + GRACE_S) is None
    ours.end(OURS, 1001.0)
    assert ours.look(OURS, 1003.0) is None


def test_what_does_not_come_back_does_not_fill_the_memory() -> None:
    ours = Echoes()
    for number in range(2 * echoes.EXPECTED_MAX):
        ours.expect(OURS._replace(arbitration_id=number), 10.0)
    assert ours.look(OURS._replace(arbitration_id=0), 10.0) is None
    assert ours.look(OURS._replace(arbitration_id=echoes.EXPECTED_MAX), 10.0) is Echo.COUNTED
    ours.expect(OURS, 20.0)
    assert len(ours._expected) == 1
