"""The opcodes of messages: the octet after a node's address that tells what its message is.

Pure. To add one, add a line to `_TABLE`; a project adds its own by a JSON file: {"Alarm": "P", "Heating": 81,
"Light": "0x52"}. What is handled here stays what it is; all others are forwarded to the listening programs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from listener.mesh.data_types import DefinitionError, pairs


class Handling(Enum):
    DATA = "data"
    NET_INFO = "net_info"
    NODE_INFO = "node_info"
    ROOT_RESET = "root_reset"
    ACK = "ack"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Opcode:
    name: str
    code: int
    handling: Handling = Handling.FORWARD

    @property
    def told(self) -> str:
        """As it is written: 'D', or 0x01 for what is no letter."""
        return f"'{chr(self.code)}'" if 0x21 <= self.code <= 0x7E else f"0x{self.code:02x}"


_TABLE: Final = (
    Opcode("custom", 0x00),
    Opcode("net_info", 0x01, Handling.NET_INFO),
    Opcode("node_info", 0x02, Handling.NODE_INFO),
    Opcode("root_reset", 0x03, Handling.ROOT_RESET),
    Opcode("data", 0x44, Handling.DATA),  # 'D'
    Opcode("request", 0x52),  # 'R'
    Opcode("echo", 0x45),  # 'E'
    Opcode("ack", 0x41, Handling.ACK),  # 'A'
    Opcode("test", 0x54),  # 'T'
    Opcode("reset", 0x53),  # 'S'
)


class Opcodes:
    def __init__(self, opcodes: Iterable[Opcode]) -> None:
        self.by_code = {one.code: one for one in opcodes}
        self.by_name = {one.name: one for one in self.by_code.values()}

    def handling(self, code: int) -> Handling:
        found = self.by_code.get(code)
        return Handling.FORWARD if found is None else found.handling

    def code(self, told: int | str) -> int | None:
        """Of a name, a letter, a number or its hexadecimal notation."""
        found = self.by_name.get(told) if isinstance(told, str) else None
        return _code(told) if found is None else found.code


DEFAULT: Final = Opcodes(_TABLE)


def parse(text: bytes | str) -> Opcodes:
    """Those of the table, and a project's own. What is only forwarded anyway may get a new name."""
    own: dict[int, Opcode] = {}
    for name, told in pairs(text):
        code = _code(told)
        if code is None:
            raise DefinitionError(
                f'{name}: must be a letter such as "P", a number from 0 to 255, or one such as "0x52"'
            )
        if code in own:
            raise DefinitionError(f"{name}: {own[code].told} is {own[code].name} already")
        ours = DEFAULT.by_code.get(code)
        if ours is not None and ours.handling is not Handling.FORWARD:
            raise DefinitionError(f"{name}: {ours.told} is {ours.name}, which is not forwarded as it is")
        own[code] = Opcode(name, code)
    all_of_them = {**DEFAULT.by_code, **own}
    names: dict[str, Opcode] = {}
    for one in all_of_them.values():
        other = names.setdefault(one.name, one)
        if other is not one:
            raise DefinitionError(f"{one.name}: is {other.told} and {one.told}")
    return Opcodes(all_of_them.values())


def _code(told: Any) -> int | None:
    if isinstance(told, str):
        if len(told) == 1 and "!" <= told <= "~":
            return ord(told)
        digits = told.removeprefix("0x")
        if (
            len(told) != len(digits)
            and 1 <= len(digits) <= 2
            and all(c in "0123456789abcdefABCDEF" for c in digits)
        ):
            return int(digits, 16)
        return None
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= 255 else None
