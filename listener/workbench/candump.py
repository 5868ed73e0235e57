"""Logs as `candump -L -x` writes them.

python-can's own lose the length that a remote frame asks for, and all that an error frame says; its reader
takes most error frames for data frames.

    (1795311743.316501) can1 123#0102 R             received; T: sent
    (1795311743.338624) can1 123#R4 R               remote, for four octets
    (1795311743.441979) can1 18FEF100##71122 R      CAN FD; 1 BRS, 2 ESI, 4 in all of them
    (1795311743.486679) can1 20000004#0010000000000000 R
"""

from collections.abc import Iterator
from typing import Final

import can

_ERROR: Final = 0x2000_0000
_ID_BITS: Final = 0x1FFF_FFFF
_BRS, _ESI, _FDF = 1, 2, 4
# The parts of a line: time, channel, frame, and perhaps who has sent it.
_PARTS: Final = (3, 4)


class CandumpWriter(can.CanutilsLogWriter):
    def on_message_received(self, msg: can.Message) -> None:
        way = "R" if msg.is_rx else "T"
        self.file.write(f"({msg.timestamp:f}) {msg.channel or self.channel} {_frame(msg)} {way}\n")


class CandumpReader(can.CanutilsLogReader):
    def __iter__(self) -> Iterator[can.Message]:  # type: ignore[override]
        for line in self.file:
            if parts := line.split():
                yield _message(parts)
        self.stop()


def _frame(msg: can.Message) -> str:
    if msg.is_error_frame:
        return f"{msg.arbitration_id | _ERROR:08X}#{msg.data.hex().upper()}"
    number = f"{msg.arbitration_id:08X}" if msg.is_extended_id else f"{msg.arbitration_id:03X}"
    if msg.is_remote_frame:
        return f"{number}#R{msg.dlc or ''}"
    if not msg.is_fd:
        return f"{number}#{msg.data.hex().upper()}"
    flags = _FDF | _BRS * msg.bitrate_switch | _ESI * msg.error_state_indicator
    return f"{number}##{flags:X}{msg.data.hex().upper()}"


def _message(parts: list[str]) -> can.Message:
    """ValueError for what is no such line."""
    if len(parts) not in _PARTS:
        raise ValueError(f"{' '.join(parts)[:60]!r} is no line of candump's")
    number, _, content = parts[2].partition("#")
    can_id = int(number, 16)
    message = can.Message(
        timestamp=float(parts[0][1:-1]),
        arbitration_id=can_id & _ID_BITS,
        is_extended_id=len(number) > 3,
        is_error_frame=len(number) > 3 and bool(can_id & _ERROR),
        is_rx=parts[3:] != ["T"],
        channel=parts[1],
    )
    content = content.partition("_")[0]  # behind it is a length code above 8
    if content[:1] in {"R", "r"}:
        message.is_remote_frame = True
        message.dlc = int(content[1:] or "0", 16)
        return message
    if content[:1] == "#":
        flags = int(content[1], 16)
        message.is_fd = True
        message.bitrate_switch, message.error_state_indicator = bool(flags & _BRS), bool(flags & _ESI)
        content = content[2:]
    message.data = bytearray.fromhex(content)
    message.dlc = len(message.data)
    return message
