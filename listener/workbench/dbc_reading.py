"""A process of its own that reads one database file: a hostile one takes minutes and gigabytes.

    python -m listener.workbench.dbc_reading FORMAT < file

Writes JSON lines: `{"warning": …}` and then a `MessageDescription` each, or `{"error": …}` alone. Nothing but
values goes to the daemon, which never loads cantools. The bounds on time and memory are the process's own, so
that they hold when the daemon has gone; the daemon has a shorter one on the time.
"""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from listener.workbench.descriptions import MessageDescription, SignalDescription

FORMATS: Final = ("dbc", "arxml", "kcd", "sym")

CPU_S: Final = 60
MEMORY_BYTES: Final = 800_000_000
TOO_MUCH_MEMORY: Final = f"it needs more than {MEMORY_BYTES // 1_000_000} MB of memory to be read"
MESSAGES_MAX: Final = 20_000
SIGNALS_MAX: Final = 100_000
MULTIPLEXER_IDS_MAX: Final = 1_000_000
REASON_MAX: Final = 300
_TEXT_MAX: Final = 2000
_BITS_MAX: Final = 64 * 8


class Refused(ValueError):  # noqa: N818 - the file is
    """Text: why, in one line."""


def _bound() -> None:
    if sys.platform == "win32":  # there the daemon's own bound on the time is all there is
        return
    import resource

    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def main() -> int:
    file_format = sys.argv[1]
    _bound()
    gc.disable()  # there is nothing to be collected before the end, and looking costs a quarter of the time
    logging.disable()  # cantools warns of every message that is there twice
    out = sys.stdout.buffer
    try:
        # Nothing is written before everything is known to be good.
        lines = list(describe(sys.stdin.buffer.read(), file_format))
    except Refused as exc:
        lines = [_error(str(exc))]
    except MemoryError:
        lines = [_error(TOO_MUCH_MEMORY)]
    out.write(b"\n".join(lines))
    out.flush()
    return 0


def describe(content: bytes, file_format: str) -> Iterator[bytes]:
    """Lines of JSON; `Refused` when the file is no good."""
    text = _text(content, file_format)
    database, warning = _load(text, file_format)
    yield msgspec.json.encode({"warning": warning})
    messages = database.messages
    signals = sum(len(message.signals) for message in messages)
    if len(messages) > MESSAGES_MAX or signals > SIGNALS_MAX:
        raise Refused(
            f"{len(messages)} messages with {signals} signals; "
            f"{MESSAGES_MAX} messages and {SIGNALS_MAX} signals can be kept"
        )
    left = MULTIPLEXER_IDS_MAX
    all_j1939 = _is_j1939(database)
    for message in messages:
        left -= sum(len(signal.multiplexer_ids or ()) for signal in message.signals)
        if left < 0:
            raise Refused(f"more than {MULTIPLEXER_IDS_MAX} values of multiplexers")
        yield msgspec.json.encode(_message(message, all_j1939))


def _text(content: bytes, file_format: str) -> str:
    if not content.strip():
        raise Refused("it is empty")
    if (position := content.find(b"\0")) >= 0 and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Refused(f"it is no text: there is a zero at octet {position}")
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as exc:
        if file_format in ("dbc", "sym"):
            # What Vector's and PEAK's editors write: °C is one octet there.
            return content.decode("cp1252", "replace")
        raise Refused(f"it is not UTF-8: {exc.reason} at octet {exc.start}") from exc


def _load(text: str, file_format: str) -> tuple[Any, str]:
    """Files from the field have signals that overlap or stick out: read all the same, and told."""
    import cantools

    failures: list[str] = []
    for strict in (True, False):
        try:
            database = cantools.database.load_string(text, file_format, strict=strict)
        except Exception as exc:
            # cantools raises whatever its parsers stumble over, or the errors of all formats in one.
            reason = getattr(exc, f"e_{file_format}", None) or exc
            if isinstance(reason, MemoryError):
                raise reason from exc
            failures.append(_reason(reason, file_format))
        else:
            return database, failures[0] if failures else ""
    raise Refused(failures[0])


def _reason(exc: Exception, file_format: str) -> str:
    text = str(exc).removeprefix(f'{file_format.upper()}: "').removesuffix('"')
    match exc:
        case RecursionError():
            text = "it is nested too deeply"
        case KeyError():
            text = f"{text} is not defined"
        case _ if not text:
            text = type(exc).__name__
    return one_line(text, REASON_MAX)


def one_line(text: str, longest: int) -> str:
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


def _is_j1939(database: Any) -> bool:
    """Older files say it once for all of their messages."""
    specifics = database.dbc
    if specifics is None or "VFrameFormat" in specifics.attribute_definitions:
        return False
    protocol = specifics.attributes.get("ProtocolType")
    return protocol is not None and str(protocol.value) == "J1939"


def _message(message: Any, all_j1939: bool) -> MessageDescription:
    name = one_line(message.name, _TEXT_MAX)
    if not 0 <= message.length <= 1785:  # the longest that J1939 transports
        raise Refused(f"message {name}: a length of {message.length} octets")
    return MessageDescription(
        name,
        message.frame_id,
        message.is_extended_frame,
        message.length,
        message.is_fd,
        message.protocol == "j1939" or (all_j1939 and message.is_extended_frame),
        message.is_container,
        _number(message.cycle_time, f"message {name}: cycle time"),
        _comment(message.comment),
        tuple(map(str, message.senders)),
        tuple(_signal(signal, f"message {name}: signal {signal.name}") for signal in message.signals),
    )


def _signal(signal: Any, place: str) -> SignalDescription:
    if not 1 <= signal.length <= _BITS_MAX:
        raise Refused(one_line(f"{place}: a length of {signal.length} bits", REASON_MAX))
    if signal.conversion.is_float and signal.length not in (16, 32, 64):
        raise Refused(one_line(f"{place}: a float of {signal.length} bits", REASON_MAX))
    if not 0 <= signal.start < 1785 * 8:
        raise Refused(one_line(f"{place}: starts at bit {signal.start}", REASON_MAX))
    choices = signal.choices
    return SignalDescription(
        one_line(signal.name, _TEXT_MAX),
        signal.start,
        signal.length,
        signal.byte_order == "little_endian",
        bool(signal.is_signed),
        signal.conversion.is_float,
        _number(signal.scale, f"{place}: scale") or 0,
        _number(signal.offset, f"{place}: offset") or 0,
        _number(signal.minimum, f"{place}: minimum"),
        _number(signal.maximum, f"{place}: maximum"),
        None if signal.unit is None else one_line(signal.unit, _TEXT_MAX),
        None if not choices else _choices(choices),
        _number(signal.raw_initial, f"{place}: initial value"),
        bool(signal.is_multiplexer),
        signal.multiplexer_signal,
        tuple(signal.multiplexer_ids or ()),
        _comment(signal.comment),
    )


def _choices(choices: Any) -> dict[int, str]:
    # What does not fit into 64 bits is the value of no signal.
    return {
        int(raw): one_line(str(text), _TEXT_MAX) for raw, text in choices.items() if -(2**63) <= raw < 2**63
    }


def _comment(text: str | None) -> str | None:
    return None if text is None else one_line(text, _TEXT_MAX)


def _number(value: Any, place: str) -> int | float | None:
    if value is None:
        return None
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = float("inf")
    if not abs(number) < float("inf"):
        raise Refused(one_line(f"{place} is not a finite number", REASON_MAX))
    return number


def _error(reason: str) -> bytes:
    return msgspec.json.encode({"error": one_line(reason, REASON_MAX)})


if __name__ == "__main__":
    sys.exit(main())
