"""What the workbench's routes share: how trouble becomes a status, and parameters that many take."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import HTTPException, Query
from fastapi import Path as InPath

from listener.workbench.bus import BusError
from listener.workbench.buses import DEFAULT
from listener.workbench.codec import EncodeError
from listener.workbench.dbc import DbcError
from listener.workbench.devices import DeviceError
from listener.workbench.recording import RecordingError
from listener.workbench.sending import FrameError
from listener.workbench.transmit_lists import ListError

_STATUS: Final = {
    "open_already": 400,
    "not_open": 400,
    "cannot_open": 500,
    "not_allowed": 403,
    "cannot_send": 503,
    "busy": 409,
    "too_many": 409,
    "not_found": 404,
    "bad_name": 422,
    "bad_format": 422,
    "broken": 422,
    "too_large": 413,
    "bad_speed": 422,
    "cannot_read": 503,
    "cannot_write": 503,
}
NOT_OPEN: Final = {400: "The bus is not connected", 403: "Nothing may be sent there"}

Bus = Annotated[str, Query(max_length=32, description="The name of the bus", examples=[DEFAULT])]
Name = Annotated[str, InPath(min_length=1, max_length=200, description="As the list has it")]


@contextlib.contextmanager
def trouble() -> Iterator[None]:
    try:
        yield
    except (BusError, DbcError, RecordingError, ListError) as exc:
        raise HTTPException(_STATUS.get(exc.kind, 500), str(exc)) from exc
    except (DeviceError, FrameError, EncodeError) as exc:
        raise HTTPException(422, str(exc)) from exc
