"""A recorded log as slots: any format that python-can reads, at its own pace, as often as wanted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import can

from mock.sensor import Frame, Slot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAUSE_S = 0.004  # between two passes of a log: a sensor's period


class ReplayError(Exception):
    """The log cannot be played; the text is one line that names the file."""


def check_log(path: Path) -> None:
    """Raise `ReplayError` now rather than when the bus is open."""
    next(replay_slots(path, 1))


def replay_slots(path: Path, passes: int) -> Iterator[Slot]:
    """Each frame as a slot of its own; 0 passes is for ever."""
    number = done = 0
    due_s = 0.0
    while done < passes or not passes:
        begin_s, first_s = due_s, None
        for message in _messages(path):
            if not math.isfinite(message.timestamp):
                raise ReplayError(f"{path}: a frame has no time: {message.timestamp}")
            if first_s is None:
                first_s = message.timestamp
            # Merged logs step back in time now and then; a bus cannot.
            due_s = max(due_s, begin_s + message.timestamp - first_s)
            yield Slot(number, due_s, (_frame(message),))
            number += 1
        if first_s is None:
            raise ReplayError(f"{path}: no frames in it")
        due_s += _PAUSE_S
        done += 1


def _messages(path: Path) -> Iterator[can.Message]:
    """Error frames are left out: they are what a controller saw, not something that can be sent."""
    try:
        # Before the suffix is looked at: of a missing file that is the wrong thing to complain about.
        with path.open("rb"):
            pass
        reader = can.LogReader(path)
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror or error}") from error
    except Exception as error:
        raise ReplayError(f"{path}: {_reason(error)}") from error
    with reader:
        messages = iter(reader)
        while True:
            # Each reader fails in its own way on a file that is not what its name says.
            try:
                message = next(messages, None)
            except Exception as error:
                raise ReplayError(f"{path}: not a log of that format ({_reason(error)})") from error
            if message is None:
                return
            if not message.is_error_frame:
                yield message


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _frame(message: can.Message) -> Frame:
    return Frame(
        message.arbitration_id,
        bytes(message.data),
        message.is_extended_id,
        message.is_remote_frame,
        message.is_fd,
        message.bitrate_switch,
        message.dlc if message.is_remote_frame else None,
    )
