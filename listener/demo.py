"""The simulated sensor of `--demo`, and its push buttons as commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import can
import msgspec

from listener.commands import CommandError, Commands

_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


class StartTestRide(msgspec.Struct, forbid_unknown_fields=True):
    distance: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
    unit: Literal["mm", "cm", "m"] = "mm"


class Stop(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Demo:
    def __init__(self, channel: str) -> None:
        # The heart runs without the simulator, and without what only the simulator needs.
        from mock.options import MockOptions, make_car

        self._channel = channel
        self._options = MockOptions()
        self._car = make_car(self._options, lambda _line: None)
        self.expect: Callable[[float], None] = lambda _distance_mm: None

    async def run(self) -> None:
        from mock.mock_les02 import run

        # A frame carries the moment it was due: the loop's timers are a millisecond coarse.
        with can.Bus(self._channel, "virtual", ignore_config=True, preserve_timestamps=True) as bus:
            await run(bus, self._options, car=self._car)

    def start_test_ride(self, wanted: StartTestRide) -> dict[str, Any]:
        distance_mm = wanted.distance * _PER_UNIT[wanted.unit]
        try:
            self._car.start_ride(distance_mm)
        except ValueError as exc:
            raise CommandError("refused", str(exc)) from None
        self.expect(distance_mm)
        return {"distance_mm": distance_mm}

    def stop(self, _wanted: Stop) -> dict[str, Any]:
        if not self._car.stop():
            raise CommandError("refused", "there is no ride to stop")
        self.expect(0.0)  # one that had hardly begun is none, and the next one is another
        return {}


def _real(_wanted: StartTestRide | Stop) -> dict[str, Any]:
    raise CommandError("refused", "a real lift is not moved from here; with --demo a simulated one is")


@contextmanager
def push_buttons(commands: Commands, demo: Demo | None) -> Iterator[None]:
    start, stop = (_real, _real) if demo is None else (demo.start_test_ride, demo.stop)
    ends = [
        commands.register("start_test_ride", StartTestRide, start, control=True),
        commands.register("stop", Stop, stop, control=True),
    ]
    try:
        yield
    finally:
        for end in ends:
            end()
