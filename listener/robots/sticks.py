"""What the sticks of one dashboard are held towards.

Pure. A stick is one kind of move. It is held towards a robot, a group or all robots from the first move that
is not zero until a zero to the same, or to more. That it was refused makes no difference: the hand is on it.

A robot need not be there yet: when it comes, those who hold a stick towards it must let go of it first.
"""

from collections.abc import Collection, Sequence
from typing import Final

# Towards so many at once by name; who names more holds the stick towards all.
NAMED_MAX: Final = 256

# A kind, and a robot's id or a group; both None: all robots
_Held = tuple[str, str | None, str | None]


class Sticks:
    def __init__(self) -> None:
        self._held: set[_Held] = set()

    def push(self, kind: str, device_id: str | None, group: str | None) -> None:
        if len(self._held) >= NAMED_MAX and (kind, device_id, group) not in self._held:
            device_id = group = None
        self._held.add((kind, device_id, group))

    def let_go(
        self, kind: str, device_id: str | None, group: str | None, members: Collection[str] = ()
    ) -> None:
        """`members` are those of the group."""
        if device_id is None and group is None:
            self._held = {held for held in self._held if held[0] != kind}
        else:
            self._held -= {(kind, device_id, group), *((kind, member, None) for member in members)}

    def holds(self, kind: str, device_id: str, groups: Sequence[str]) -> bool:
        """`groups` are those that the robot belongs to."""
        towards = ((kind, None, None), (kind, device_id, None), *((kind, None, group) for group in groups))
        return not self._held.isdisjoint(towards)
