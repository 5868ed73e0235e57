"""The firmware of a CANable that speaks slcan: octets from the serial port in, octets out.

Pure. Commands end with CR; CR acknowledges, BEL refuses (the LAWICEL protocol). Feedable in any pieces; a
line that is too long is refused and forgotten.
"""

from dataclasses import dataclass
from typing import Final

OK: Final = b"\r"
BELL: Final = b"\a"
BITRATES: Final = dict(
    enumerate((10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 750_000, 1_000_000, 83_300))
)
LINE_MAX: Final = 64
_DIGITS: Final = frozenset(b"0123456789ABCDEFabcdef")
_MILLISECONDS: Final = 60_000  # the adapter's clock starts again each minute


@dataclass(frozen=True, slots=True)
class Frame:
    can_id: int
    data: bytes = b""
    is_extended: bool = False
    is_remote: bool = False
    dlc: int = 0  # of a remote frame


class Firmware:
    def __init__(self, version: str = "1013", serial: str = "CA11") -> None:
        self.is_open = False
        self.listen_only = False
        self.bitrate: int | None = None
        self.timestamps = False
        self.sent: list[Frame] = []  # what the computer wanted on the bus; whoever reads it empties it
        self.refused = 0
        self._version = version
        self._serial = serial
        self._line = bytearray()

    def receive(self, octets: bytes) -> bytes:
        answers = b""
        for octet in octets:
            if octet == OK[0]:
                answers += self._answer(bytes(self._line))
                self._line.clear()
            elif octet != 0x0A and len(self._line) <= LINE_MAX:
                self._line.append(octet)
        return answers

    def carry(self, frame: Frame, now_s: float = 0.0) -> bytes:
        """The line of a frame that was on the bus; nothing while the channel is closed."""
        if not self.is_open:
            return b""
        letter = "R" if frame.is_remote else "T"
        head = f"{letter}{frame.can_id:08X}" if frame.is_extended else f"{letter.lower()}{frame.can_id:03X}"
        text = f"{head}{frame.dlc if frame.is_remote else len(frame.data)}{frame.data.hex().upper()}"
        if self.timestamps:
            text += f"{int(now_s * 1000) % _MILLISECONDS:04X}"
        return text.encode() + OK

    def _answer(self, line: bytes) -> bytes:
        if not line:  # what drivers send first, to end a line that was begun by another
            return OK
        if len(line) > LINE_MAX:
            return self._refuse()
        command, rest = line[:1].decode("latin-1"), line[1:]
        known = getattr(self, f"_command_{_NAMES.get(command, 'unknown')}")
        answer = known(rest, command)
        return self._refuse() if answer is None else bytes(answer)

    def _refuse(self) -> bytes:
        self.refused += 1
        return BELL

    def _command_unknown(self, _rest: bytes, _command: str) -> bytes | None:
        return None

    def _command_bitrate(self, rest: bytes, _command: str) -> bytes | None:
        if self.is_open or len(rest) != 1 or not rest.isdigit():
            return None
        self.bitrate = BITRATES[int(rest)]
        return OK

    def _command_registers(self, rest: bytes, _command: str) -> bytes | None:
        return None if self.is_open or len(rest) != 4 or not _is_hex(rest) else OK

    def _command_open(self, rest: bytes, command: str) -> bytes | None:
        if self.is_open or rest:
            return None
        self.is_open, self.listen_only = True, command == "L"
        return OK

    def _command_close(self, rest: bytes, _command: str) -> bytes | None:
        if not self.is_open or rest:
            return None
        self.is_open = self.listen_only = False
        return OK

    def _command_version(self, _rest: bytes, command: str) -> bytes | None:
        return f"{command}{self._version}".encode() + OK

    def _command_serial(self, _rest: bytes, command: str) -> bytes | None:
        return f"{command}{self._serial}".encode() + OK

    def _command_flags(self, _rest: bytes, command: str) -> bytes | None:
        return f"{command}00".encode() + OK if self.is_open else None

    def _command_timestamps(self, rest: bytes, _command: str) -> bytes | None:
        if self.is_open or rest not in {b"0", b"1"}:
            return None
        self.timestamps = rest == b"1"
        return OK

    def _command_accepted(self, _rest: bytes, _command: str) -> bytes | None:
        return OK

    def _command_frame(self, rest: bytes, command: str) -> bytes | None:
        frame = parse_frame(command, rest)
        if frame is None or not self.is_open or self.listen_only:
            return None
        self.sent.append(frame)
        return (b"Z" if frame.is_extended else b"z") + OK


_NAMES: Final = {
    "S": "bitrate",
    "s": "registers",
    "O": "open",
    "L": "open",
    "C": "close",
    "V": "version",
    "v": "version",
    "N": "serial",
    "F": "flags",
    "Z": "timestamps",
    "M": "accepted",
    "m": "accepted",
    "X": "accepted",
    "Y": "accepted",
    **dict.fromkeys("tTrR", "frame"),
}


def parse_frame(command: str, rest: bytes) -> Frame | None:
    digits = 8 if command in "TR" else 3
    if len(rest) <= digits or not _is_hex(rest):
        return None
    can_id, dlc = int(rest[:digits], 16), int(rest[digits : digits + 1], 16)
    text = rest[digits + 1 :]
    if dlc > 8 or can_id > (0x1FFF_FFFF if command in "TR" else 0x7FF):
        return None
    if command in "rR":
        return None if text else Frame(can_id, b"", command == "R", is_remote=True, dlc=dlc)
    if len(text) != 2 * dlc:
        return None
    return Frame(can_id, bytes.fromhex(text.decode()), command == "T", dlc=dlc)


def _is_hex(text: bytes) -> bool:
    return _DIGITS.issuperset(text)
