"""The door: while it is open `/ws/can` answers, and the REST API has the workbench's routes if there is one.

`Bench.run` is to be run meanwhile. The sensor's bus is looked at through a tap on its reader: every adapter
has that, most can be opened only once, and its frames are those that the sensor's events are made of.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from listener.can_reader import CANBusReader
from listener.config import CanConfig, WorkbenchConfig
from listener.hub import Hub
from listener.sessions import Paths
from listener.workbench.bench import Bench

__all__ = ["Bench", "workbench"]

_log = structlog.get_logger(__name__)

PATH = "/ws/can"


@contextlib.asynccontextmanager
async def workbench(
    config: WorkbenchConfig,
    *,
    sensor: CanConfig,
    reader: CANBusReader,
    sensor_is_up: Callable[[], bool],
    folder: Path,
    paths: Paths,
    hub: Hub,
    signals: Sequence[str] = (),
    api: Any = None,
) -> AsyncIterator[Bench]:
    """`signals` (bus.message.signal) are told on the hub; `api` is a `rest.Api`."""
    bench = Bench(config, folder, sensor, sensor_is_up, hub, signals)
    await bench.open()
    if api is not None:
        from listener.workbench.routes import about, router

        api.include(router(bench))
        api.about.add(about)
    ends = paths.add(PATH, bench.session), reader.tap(bench.sensor.feed)
    _log.info("workbench_started", transmit=config.transmit, dbc=str(bench.dbc_folder))
    try:
        yield bench
    finally:
        for end in ends:
            end()
        await bench.close()
