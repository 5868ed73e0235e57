"""The workbench over HTTP. Bodies and sentences of the seed's calls are those that the field's clients know.

Those calls act on the bus called `default`; each takes the name of another as `bus`.
"""

from fastapi import APIRouter, HTTPException

from listener.rest import needs_control, problems
from listener.workbench import enumeration, routes_files
from listener.workbench.answers import NOT_OPEN, Bus, Name, trouble
from listener.workbench.bench import Bench, told
from listener.workbench.bodies import (
    ByName,
    Connect,
    Send,
    StartCyclic,
    StartCyclicByName,
    Told,
    Where,
)
from listener.workbench.bus import UP
from listener.workbench.buses import DEFAULT, SENSOR
from listener.workbench.own_bus import OwnBus
from listener.workbench.sending import FrameSpec


def router(bench: Bench) -> APIRouter:
    everything = APIRouter()
    for part in (_devices, _frames, routes_files.dbc, routes_files.lists, routes_files.recordings):
        everything.include_router(part(bench))
    return everything


def about() -> Told:
    """What `GET /` says of the workbench."""
    return {
        "pcan_available": enumeration.can_use("pcan"),
        "canable_available": enumeration.can_use("canable"),
        "dbc_support": True,
    }


def _devices(bench: Bench) -> APIRouter:
    routes = APIRouter(tags=["CAN devices"])
    buses = bench.buses

    def files(bus: str) -> list[str]:
        return [info.name for info in bench.library.loaded(bus)]

    @routes.get("/devices", summary="What is plugged in")
    async def devices() -> Told:
        occupied = {
            (bus.connection.device_type, str(bus.connection.channel)): bus.name
            for bus in buses
            if isinstance(bus, OwnBus)
        }
        listed = [
            {**device, "available": by is None, "occupied": by is not None, "bus": by}
            for device in await bench.enumeration.devices()
            for by in [_occupier(bench, device, occupied)]
        ]
        return {
            "pcan_available": enumeration.can_use("pcan"),
            "canable_available": enumeration.can_use("canable"),
            "devices": listed,
        }

    @routes.post(
        "/connect",
        dependencies=[needs_control],
        responses=problems(
            {400: "Connected already", 403: "The sensor's bus", 500: "Why it cannot be opened"}
        ),
    )
    async def connect(wanted: Connect) -> Told:
        """SocketCAN interfaces have their bit rate from `ip link`; what is given here is for the bus load."""
        with trouble():
            await bench.connect(wanted.bus, wanted.connection())
        return {
            "success": True,
            "message": "Connected successfully",
            "device_type": wanted.device_type,
            "channel": wanted.channel,
            "baudrate": wanted.baudrate,
            "bus": wanted.bus,
        }

    @routes.post("/disconnect", dependencies=[needs_control], responses=problems(NOT_OPEN))
    async def disconnect(where: Where | None = None) -> Told:
        with trouble():
            await bench.disconnect(where.bus if where else DEFAULT)
        return {"success": True, "message": "Disconnected successfully"}

    @routes.get("/status")
    async def status(bus: Bus = DEFAULT) -> Told:
        own = buses.find(bus)
        if not isinstance(own, OwnBus):
            names = ("device_type", "channel", "baudrate", "status", "interface")
            return {"connected": False, **dict.fromkeys(names)}
        return {
            "connected": True,
            "device_type": own.connection.device_type,
            "channel": own.connection.channel,
            "baudrate": own.connection.baudrate,
            "status": "OK" if own.state == UP else own.state,
            "interface": own.interface,
            "reason": own.reason,
            "listen_only": own.listen_only,
        }

    @routes.get("/stats")
    async def stats(bus: Bus = DEFAULT) -> Told:
        one = buses.find(bus)
        if one is None:
            return {"connected": False, "message_count": 0, "uptime_seconds": 0.0, "message_rate": 0.0}
        uptime_s = one.uptime_s
        return {
            "connected": True,
            "message_count": one.received,
            "uptime_seconds": uptime_s,
            "message_rate": one.received / uptime_s if uptime_s > 0 else 0.0,
            "bus": one.summary(),
        }

    @routes.get("/buses", summary="All of them, the sensor's too")
    async def list_buses() -> list[Told]:
        return [told(bus, files(bus.name), may_send=bench.config.transmit) for bus in buses]

    @routes.get("/buses/{name}/statistics", responses=problems({404: "There is no such bus"}))
    async def statistics(name: Name) -> Told:
        bus = buses.find(name)
        if bus is None:
            raise HTTPException(404, f"there is no bus {name}")
        return bus.snapshot()

    @routes.post(
        "/buses/{name}/statistics/reset",
        dependencies=[needs_control],
        responses=problems({404: "There is no such bus"}),
    )
    async def reset(name: Name) -> Told:
        bus = buses.find(name)
        if bus is None:
            raise HTTPException(404, f"there is no bus {name}")
        bus.statistics.reset()
        return {"success": True}

    return routes


def _occupier(bench: Bench, device: Told, occupied: dict[tuple[str, str], str]) -> str | None:
    asked = str(device["device_type"]), str(device["index"])
    # A CANable with slcan firmware is connected as either.
    other = {"slcan": "canable", "canable": "slcan"}.get(asked[0], asked[0])
    found = occupied.get(asked) or occupied.get((other, asked[1]))
    return found or (SENSOR if bench.is_sensors(*asked) else None)


def _frames(bench: Bench) -> APIRouter:
    routes = APIRouter(tags=["CAN sending"])
    sending = bench.sending

    async def send(bus: str, specs: list[FrameSpec]) -> Told:
        with trouble():
            messages = await sending.send(bus, specs)
        return {"success": True, "message": "Message sent successfully", "sent": len(messages)}

    def start(bus: str, spec: FrameSpec, wanted: StartCyclic | StartCyclicByName) -> Told:
        with trouble():
            cyclic = sending.start(
                bus, spec, wanted.period_ms / 1000, client=wanted.client, pinned=wanted.pinned
            )
        return cyclic.told()

    @routes.post("/send", dependencies=[needs_control], responses=problems(NOT_OPEN))
    async def send_frame(frame: Send) -> Told:
        return await send(frame.bus, [frame.spec()])

    @routes.post("/send_message", dependencies=[needs_control], responses=problems(NOT_OPEN))
    async def send_by_name(wanted: ByName) -> Told:
        """By the names that the bus's DBC files have; values are checked against their ranges."""
        return await send(wanted.bus, [wanted.spec()])

    @routes.get("/cyclic", summary="What is sent again and again")
    async def cyclics() -> list[Told]:
        return [cyclic.told() for cyclic in sending.cyclics]

    @routes.post("/cyclic", dependencies=[needs_control], responses=problems(NOT_OPEN | {409: "Too many"}))
    async def start_cyclic(wanted: StartCyclic) -> Told:
        """Ends with its client, which says `/ws/can?client=NAME`, unless it is pinned."""
        return start(wanted.bus, wanted.spec(), wanted)

    @routes.post(
        "/cyclic/message", dependencies=[needs_control], responses=problems(NOT_OPEN | {409: "Too many"})
    )
    async def start_cyclic_by_name(wanted: StartCyclicByName) -> Told:
        return start(wanted.bus, wanted.spec(), wanted)

    @routes.delete(
        "/cyclic/{number}", dependencies=[needs_control], responses=problems({404: "There is no such task"})
    )
    async def stop_cyclic(number: int) -> Told:
        try:
            return sending.stop(number).told()
        except KeyError:
            raise HTTPException(404, f"there is no task {number}") from None

    return routes
