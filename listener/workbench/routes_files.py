"""The part of the workbench's routes that is about files: DBC, transmit lists, recordings."""

import asyncio
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, File, HTTPException, Request, UploadFile
from fastapi.responses import StreamingResponse

from listener.rest import needs_control, problems
from listener.workbench.answers import NOT_OPEN, Bus, Name, trouble
from listener.workbench.bench import Bench
from listener.workbench.bodies import ByName, LoadDbc, Replay, StartList, StartRecording, Told, Where
from listener.workbench.buses import DEFAULT
from listener.workbench.dbc import SIZE_MAX
from listener.workbench.download import Download
from listener.workbench.identifiers import is_extended, number_of
from listener.workbench.transmit_lists import TransmitList, told

_DBC: Final = {404: "DBC file not found", 413: "Too large", 422: "No name below the folder, or broken"}
_LISTS: Final = {404: "There is no such list", 409: "Too many", 503: "The folder cannot be written"}
_FILES: Final = {404: "There is no such recording", 409: "It is being written", 503: "Cannot be written"}
_DOWNLOADS: Final = {
    404: "There is no such recording",
    416: "It has no such part",
    503: "Cannot be read",
}
_PART: Final[dict[int | str, dict[str, Any]]] = {206: {"description": "The part that `Range` asks for"}}


def dbc(bench: Bench) -> APIRouter:
    routes = APIRouter(prefix="/dbc", tags=["DBC"])
    library = bench.library

    async def load(bus: str, name: str) -> Told:
        with trouble():
            info = await library.load(bus, name)
        bench.cycle_times_changed()
        return {
            "success": True,
            "message": "DBC file loaded successfully",
            "file_path": info.name,
            "message_count": info.message_count,
            "warning": info.warning,
        }

    @routes.post("/load", dependencies=[needs_control], responses=problems(_DBC))
    async def load_dbc(wanted: LoadDbc) -> Told:
        """Only files below the configured folder. Added to those that the bus has; the last one speaks."""
        return await load(wanted.bus, bench.below_dbc_folder(wanted.file_path))

    @routes.post("/upload", dependencies=[needs_control], responses=problems(_DBC))
    async def upload(file: Annotated[UploadFile, File()], bus: Bus = DEFAULT, use: bool = True) -> Told:
        """Kept in the folder and, unless `use` is false, loaded."""
        with trouble():
            info = await library.upload(file.filename or "", await file.read(SIZE_MAX + 1))
        if use:
            return await load(bus, info.name)
        return {"success": True, "message": "DBC file kept", "file_path": info.name, "message_count": None}

    @routes.post("/unload", dependencies=[needs_control], responses=problems(_DBC))
    async def unload(wanted: LoadDbc) -> Told:
        with trouble():
            await library.unload(wanted.bus, bench.below_dbc_folder(wanted.file_path))
        bench.cycle_times_changed()
        return {"success": True}

    @routes.get("/messages", responses=problems({400: "No DBC file loaded"}))
    async def messages(bus: Bus = DEFAULT) -> Told:
        if not library.loaded(bus):
            raise HTTPException(400, "No DBC file loaded")
        return {"success": True, "messages": library.codec(bus).messages()}

    @routes.get("/current")
    async def current(bus: Bus = DEFAULT) -> Told:
        infos = library.loaded(bus)
        return {
            "success": True,
            "loaded": bool(infos),
            "file_path": infos[-1].name if infos else None,
            "message_count": sum(info.message_count or 0 for info in infos),
            "files": [msgspec.to_builtins(info) for info in infos],
        }

    @routes.get("/list")
    async def list_files() -> Told:
        with trouble():
            infos = await library.list()
        return {"success": True, "files": [msgspec.to_builtins(info) for info in infos]}

    @routes.delete("/delete/{name:path}", dependencies=[needs_control], responses=problems(_DBC))
    async def delete(name: Name) -> Told:
        with trouble():
            await library.delete(name)
        bench.cycle_times_changed()
        return {"success": True, "message": "DBC file deleted"}

    @routes.post("/encode_message", responses=problems({400: "No DBC file loaded"}))
    async def encode(wanted: ByName) -> Told:
        if not library.loaded(wanted.bus):
            raise HTTPException(400, "No DBC file loaded")
        with trouble():
            encoded = library.codec(wanted.bus).encode(wanted.message_name, wanted.signals)
        return {
            "success": True,
            "can_id": number_of(encoded.identifier),
            "is_extended": is_extended(encoded.identifier),
            "data": list(encoded.data),
            "dlc": len(encoded.data),
            "is_fd": encoded.is_fd,
        }

    return routes


def lists(bench: Bench) -> APIRouter:
    routes = APIRouter(prefix="/transmit_lists", tags=["CAN sending"])
    kept = bench.lists

    @routes.get("")
    async def names() -> list[str]:
        return await kept.names()

    @routes.get("/{name}", responses=problems(_LISTS))
    async def read(name: Name) -> Told:
        with trouble():
            return told(name, await kept.read(name))

    @routes.put("/{name}", dependencies=[needs_control], responses=problems(_LISTS))
    async def write(name: Name, content: dict[str, Any]) -> Told:
        """`{"frames": [{"frame": {"can_id": 291, "data": [1]}, "label": "on", "period_ms": 100}]}`."""
        try:
            checked = msgspec.convert(content, TransmitList)
        except msgspec.ValidationError as exc:
            raise HTTPException(422, str(exc)) from exc
        with trouble():
            await kept.write(name, checked)
        return told(name, checked)

    @routes.delete("/{name}", dependencies=[needs_control], responses=problems(_LISTS))
    async def delete(name: Name) -> Told:
        with trouble():
            await kept.delete(name)
        return {"success": True}

    @routes.post("/{name}/send", dependencies=[needs_control], responses=problems(_LISTS | NOT_OPEN))
    async def send(name: Name, where: Where | None = None) -> Told:
        """Each of its frames once, in their order."""
        with trouble():
            content = await kept.read(name)
            specs = [entry.frame for entry in content.frames]
            messages = await bench.sending.send(where.bus if where else DEFAULT, specs)
        return {"success": True, "message": "Message sent successfully", "sent": len(messages)}

    @routes.post("/{name}/start", dependencies=[needs_control], responses=problems(_LISTS | NOT_OPEN))
    async def start(name: Name, wanted: StartList) -> list[Told]:
        """Those of its frames that have a period, all or none."""
        with trouble():
            content = await kept.read(name)
            started = bench.sending.start_all(
                wanted.bus,
                [(entry.frame, entry.period_ms / 1000) for entry in content.frames if entry.period_ms],
                client=wanted.client,
                pinned=wanted.pinned,
            )
        return [cyclic.told() for cyclic in started]

    return routes


def recordings(bench: Bench) -> APIRouter:
    routes = APIRouter(prefix="/recordings", tags=["CAN recordings"])

    @routes.get("")
    async def list_recordings() -> Told:
        running = {bus.name: bus.recorder.status() for bus in bench.buses}
        return {"recordings": await bench.list_recordings(), "buses": running, "replays": bench.replays}

    @routes.post("/start", dependencies=[needs_control], responses=problems(NOT_OPEN | _FILES))
    async def start(wanted: StartRecording) -> Told:
        """The sensor's bus can be recorded too: `"bus": "les02"`. After `max_bytes` or `max_s` a new file is
        begun, and with `max_files` the oldest deleted."""
        with trouble():
            recorder = bench.buses.readable(wanted.bus).recorder
            recorder.start(
                wanted.format,
                name=wanted.name,
                max_bytes=wanted.max_bytes,
                max_s=wanted.max_s,
                max_files=wanted.max_files,
            )
        return recorder.status()

    @routes.post("/stop", dependencies=[needs_control], responses=problems(NOT_OPEN))
    async def stop(where: Where | None = None) -> Told:
        with trouble():
            recorder = bench.buses.readable(where.bus if where else DEFAULT).recorder
            await recorder.stop()
        return recorder.status()

    @routes.get(
        "/{name:path}/download", responses=problems(_DOWNLOADS) | _PART, response_class=StreamingResponse
    )
    async def download(name: Name, request: Request) -> Download:
        """Of one that is being written, what is in the file by now."""
        with trouble():
            file = await asyncio.to_thread(bench.recordings.open, name)
        return Download(file, PurePosixPath(name).name, request.headers)

    @routes.delete("/{name:path}", dependencies=[needs_control], responses=problems(_FILES))
    async def delete(name: Name) -> Told:
        with trouble():
            bench.recordings.delete(name)
        return {"success": True}

    @routes.post("/{name:path}/replay", dependencies=[needs_control], responses=problems(_FILES | NOT_OPEN))
    async def replay(name: Name, wanted: Replay) -> Told:
        """Onto a bus that was connected here, at its own pace."""
        with trouble():
            bench.replay(name, wanted.bus, wanted.speed)
        return {"success": True, "message": "Replay started"}

    @routes.post("/replay/stop", dependencies=[needs_control])
    async def stop_replay(where: Where | None = None) -> Told:
        return {"success": bench.stop_replay(where.bus if where else DEFAULT)}

    return routes
