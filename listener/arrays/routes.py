"""Arrays over HTTP. Trouble has the words of the field's clients as well: `status` and `message`."""

import asyncio
import errno
import re
from collections.abc import Callable, Coroutine, Iterator
from itertools import chain
from typing import Annotated, Any, Final, Literal

import structlog
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from listener.arrays import upload
from listener.arrays.library import NAME_MAX, NOT_FOUND, ArrayError, Library
from listener.arrays.notation import Array, json_pieces
from listener.arrays.opened import Opened
from listener.arrays.parts import Arrays
from listener.arrays.pieces import NoTableError, csv_pieces, npy_header, octet_pieces
from listener.rest import needs_control

_log = structlog.get_logger(__name__)

# What stands around a file in a multipart body.
AROUND_MAX: Final = 64 * 1024
# What is refused is read for so long, so that its sender can read why.
DRAIN_S: Final = 10.0
FORGET_EVERY: Final = 32
_STATUS: Final = {
    "not_an_array": 400,
    "malformed": 400,
    "not_there": 404,
    "stalled": 408,
    "too_large": 413,
    "full": 507,
}
ALL: Final = slice(None)
_SLICE: Final = re.compile(r"(-?\d{1,15})?:(-?\d{1,15})?(?::(-?\d{1,15})?)?", re.ASCII)
_UPLOADED: Final = {"status": "success", "shape": [100, 50], "dtype": "float64", "index": 0, "name": "a.npy"}
_ENTRY: Final = {
    "index": 0,
    "shape": [100, 50],
    "dtype": "float64",
    "name": "a.npy",
    "octets": 40128,
    "uploaded_ts": 1795294864.0673523,
}
_LIST: Final = {
    "count": 1,
    "arrays": [_ENTRY],
    "octets": 40128,
    "max_bytes": 1073741824,
    "max_total_bytes": 4294967296,
}
_ARRAY: Final = {"shape": [3], "dtype": "float64", "data": [1.0, 2.5, 4.0]}
_DISK: Final = {503: "The disk cannot be used", 507: "No room"}
# As FastAPI tells it of those routes whose parameters it knows.
_REASONS: Final = {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}
_INCOMPLETE: Final[dict[int | str, dict[str, Any]]] = {
    422: {"description": "Validation Error", "content": {"application/json": _REASONS}}
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "name": {"type": "string", "maxLength": NAME_MAX},
                    },
                }
            }
        },
    }
}

Index = Annotated[int, Path(examples=[0])]
Rows = Annotated[
    str, Query(max_length=64, description="A Python slice of the first axis", examples=["0:100"])
]
Columns = Annotated[
    str, Query(max_length=64, description="A Python slice of the second axis", examples=["::10"])
]


class Problem(BaseModel):
    status: str = "error"
    message: str
    detail: str


class Name(BaseModel):
    name: str = Field(max_length=NAME_MAX)


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except (ArrayError, upload.UploadError) as exc:
                return JSONResponse(upload.told(exc), _STATUS[exc.kind])
            except OSError as exc:
                _log.error("arrays_disk", reason=str(exc))
                is_full = exc.errno in {errno.ENOSPC, errno.EDQUOT}
                reason = "the disk is full" if is_full else f"the disk cannot be used: {exc.strerror}"
                return JSONResponse(
                    {"status": "error", "message": reason, "detail": reason}, 507 if is_full else 503
                )

        return answer


class _Npy(FileResponse):
    chunk_size = 256 * 1024


def router(arrays: Arrays) -> APIRouter:
    routes = APIRouter(tags=["arrays"], route_class=_Route)
    library = arrays.library

    @routes.post(
        "/upload",
        dependencies=[needs_control],
        summary="Upload a .npy file",
        openapi_extra=_BODY,
        responses=_json(_UPLOADED)
        | _problems({400: "No .npy file", 408: "Nothing came", 413: "Too large"} | _DISK)
        | _INCOMPLETE,
    )
    async def upload_array(request: Request) -> Response:
        """One file, in the field `file`; a field `name` calls it otherwise. Pickles are never read."""
        return await _upload(request, library)

    @routes.get("/arrays", summary="All arrays that are kept", responses=_json(_LIST))
    async def list_arrays() -> dict[str, Any]:
        entries = library.entries
        return {
            "count": len(entries),
            "arrays": [entry.told() for entry in entries],
            "octets": sum(entry.octets for entry in entries),
            "max_bytes": library.most,
            "max_total_bytes": library.most_in_all,
        }

    @routes.get(
        "/array/{index}",
        summary="One array",
        response_class=Response,
        responses={
            200: {
                "content": {
                    "application/json": {
                        "example": {"shape": [3], "dtype": "float64", "data": [1.0, 2.5, 4.0]}
                    }
                }
            },
            **_problems({404: NOT_FOUND} | _DISK),
        },
    )
    async def get_array(
        index: Index,
        format: Literal["json", "npy", "csv"] = "json",  # noqa: A002 - the field's word
        rows: Rows = "",
        cols: Columns = "",
    ) -> Response:
        """As JSON, as it was uploaded (`npy`, also in ranges of octets), or as a table (`csv`)."""
        part: tuple[Any, ...] = _slice("rows", rows), _slice("cols", cols)
        if format == "npy" and not (rows or cols):
            library.find(index)
            name = f"array-{index}.npy"
            return _Npy(library.path(index), media_type="application/octet-stream", filename=name)
        opened = await asyncio.to_thread(library.opened, index)
        array = opened.array
        for axis, (name, given) in enumerate((("rows", rows), ("cols", cols))):
            if given and array.ndim <= axis:
                opened.close()
                raise _mistake(name, f"an array of {array.ndim} dimensions has none", given)
        return _streamed(index, format, array[(*part[: array.ndim], ...)], opened)

    @routes.patch(
        "/array/{index}",
        dependencies=[needs_control],
        summary="Give an array another name",
        responses=_json(_ENTRY) | _problems({404: NOT_FOUND} | _DISK),
    )
    async def rename(index: Index, wanted: Name) -> dict[str, Any]:
        entry = await asyncio.to_thread(library.rename, index, wanted.name)
        return entry.told()

    @routes.delete(
        "/array/{index}",
        dependencies=[needs_control],
        summary="Delete an array",
        responses=_json({"status": "success", "index": 0}) | _problems({404: NOT_FOUND} | _DISK),
    )
    async def delete(index: Index) -> dict[str, Any]:
        await asyncio.to_thread(library.delete, index)
        return {"status": "success", "index": index}

    @routes.get("/sources", summary="What can be streamed live on /ws/stream")
    async def sources() -> dict[str, Any]:
        return arrays.stream.sources.told()

    # Whoever may read may have data sent: that changes nothing at the bench.
    @routes.post("/control/start", summary="Start the demo stream", responses=_json(_status("started")))
    async def start() -> dict[str, str]:
        arrays.stream.start_demo()
        return _status("started")

    @routes.post("/control/stop", summary="Stop the demo stream", responses=_json(_status("stopped")))
    async def stop() -> dict[str, str]:
        arrays.stream.stop_demo()
        return _status("stopped")

    return routes


async def _upload(request: Request, library: Library) -> Response:
    kind = request.headers.get("content-type", "")
    body = request.stream()
    try:
        announced = int(request.headers.get("content-length", "0"))
        library.check_size(announced - AROUND_MAX)
        entry = await upload.receive(body, kind, library)
    except (ArrayError, upload.UploadError) as exc:
        is_over = exc.kind != "stalled" and await upload.drain(body, DRAIN_S)
        headers = {} if is_over else {"Connection": "close"}
        if exc.kind == "missing":
            raise _missing() from None
        return JSONResponse(upload.told(exc), _STATUS[exc.kind], headers)
    except ClientDisconnect:
        _log.info("upload_cut_off")
        return Response(status_code=400)  # nobody reads it
    told = entry.told()
    return JSONResponse(
        {"status": "success"} | {key: told[key] for key in ("shape", "dtype", "index", "name")}
    )


def _missing() -> RequestValidationError:
    return RequestValidationError(
        [{"loc": ("body", "file"), "msg": "Field required", "type": "missing", "input": None}]
    )


def _mistake(parameter: str, reason: str, given: str) -> RequestValidationError:
    return RequestValidationError(
        [{"loc": ("query", parameter), "msg": reason, "type": "value_error", "input": given}]
    )


def _slice(parameter: str, given: str) -> slice:
    if not given:
        return ALL
    found = _SLICE.fullmatch(given)
    numbers = [None if each is None else int(each) for each in found.groups()] if found else []
    if not found or numbers[2] == 0:
        raise _mistake(parameter, "is no slice such as 0:100, -1000: or ::10", given)
    return slice(*numbers)


def _streamed(index: int, format: str, array: Array, opened: Opened) -> Response:  # noqa: A002
    headers = {}
    if format == "json":
        head = b'{"shape":%b,"dtype":%b,"data":' % (_text(list(array.shape)), _text(str(array.dtype)))
        pieces, kind = chain([head], json_pieces(array), [b"}"]), "application/json"
    elif format == "npy":
        begin = npy_header(array)
        pieces, kind = chain([begin], octet_pieces(array), []), "application/octet-stream"
        headers["Content-Length"] = str(len(begin) + array.nbytes)
    else:
        try:
            pieces, kind = chain(csv_pieces(array), [], []), "text/csv; charset=utf-8"
        except NoTableError as exc:
            opened.close()
            raise _mistake("format", str(exc), format) from None
    if format != "json":
        headers["Content-Disposition"] = f'attachment; filename="array-{index}.{format}"'
    return StreamingResponse(_forgetting(pieces, opened), headers=headers, media_type=kind)


def _forgetting(pieces: Iterator[bytes], opened: Opened) -> Iterator[bytes]:
    with opened:
        for number, piece in enumerate(pieces, 1):
            yield piece
            if number % FORGET_EVERY == 0:
                opened.forget()


def _text(value: object) -> bytes:
    return bytes(JSONResponse(value).body)


def _status(word: str) -> dict[str, str]:
    return {"status": f"streaming {word}"}


def _json(example: object) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": example}}}}


def _problems(reasons: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": reason} for status, reason in reasons.items()}
