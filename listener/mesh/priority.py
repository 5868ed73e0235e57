"""Which of the commands that wait for the UART goes first."""

from enum import IntEnum


class Priority(IntEnum):
    RESET = 0
    IMPORTANT = 1
    NORMAL = 2
