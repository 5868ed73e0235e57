"""The parts of the wing, wired; what `/healthz`, `/metrics` and the routes ask of them."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from listener.access import Access
from listener.config import MeshConfig, WebsocketConfig
from listener.database import Database
from listener.hub import Hub
from listener.mesh import notation
from listener.mesh.data_types import DataTypes
from listener.mesh.keeper import Keeper
from listener.mesh.message_opcodes import Opcodes
from listener.mesh.network_manager import NetworkManager
from listener.mesh.node import Status
from listener.mesh.notation import STATES, Told
from listener.mesh.registry import NODES_MAX, Registry
from listener.mesh.socket_manager import SocketManager
from listener.mesh.uart_manager import UartManager
from listener.mesh.web_socket_proxy_server import WebSocketProxyServer


class Mesh:
    def __init__(
        self,
        config: MeshConfig,
        types: DataTypes,
        opcodes: Opcodes,
        *,
        database: Database,
        hub: Hub,
        access: Access,
        limits: WebsocketConfig,
        avoid: Callable[[], Collection[str]],
        page_port: Callable[[], int | None],
    ) -> None:
        self.config = config
        self.types = types
        self.opcodes = opcodes
        self.registry = Registry(config.history, config.idle_s, config.disconnect_s)
        self.keeper = Keeper(
            database,
            keep_days=config.keep_days,
            keep_rows=config.keep_rows,
            changed=self._storing_changed,
        )
        self.manager = NetworkManager(self.registry, types, opcodes, publish=hub.publish, record=self.keeper)
        self.uart = UartManager(config, self.manager.received, self.manager.uart_changed, avoid)
        self.manager.attach(self.uart)
        self.sockets = SocketManager(config, self.manager, access, self._note)
        self.monitor = WebSocketProxyServer(config, limits, self.manager, access, page_port)

    async def load(self) -> None:
        """What was known before the start."""
        lengths = {data_type.name: data_type.length for data_type in self.types.by_id.values()}
        nodes, rows = await self.keeper.load(lengths, self.config.history, NODES_MAX)
        for addr, uuid, last_seen in nodes:
            self.registry.remember(addr, uuid, last_seen)
        for addr, type_name, ts, data in rows:
            if (node := self.registry.get(addr)) is not None:
                node.store(type_name, data, ts)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.keeper.run(), name="keep node data")
            tasks.create_task(self.manager.run(), name="manage the mesh")
            tasks.create_task(self.uart.run(), name="read the UART of the mesh")

    def told(self) -> Told:
        """As `GET /mesh` has it."""
        return {
            "uart": {
                "state": self.uart.state,
                "why": self.uart.why,
                "device": self.uart.device,
                "baudrate": self.config.baudrate,
                "counts": dict(self.uart.counts),
            },
            "tcp_ports": list(self.sockets.ports),
            "websocket_port": self.monitor.port,
            "listeners": self.manager.listeners,
            "nodes": self._nodes(),
            "storing": self.keeper.state,
            "messages": dict(self.manager.counts),
            "types": [notation.described(data_type) for data_type in self.types.by_id.values()],
            "opcodes": [
                {"name": opcode.name, "code": code, "handling": opcode.handling.value}
                for code, opcode in sorted(self.opcodes.by_code.items())
            ],
        }

    def health(self) -> dict[str, Any]:
        return {
            "uart": self.uart.state,
            "device": self.uart.device,
            "nodes": self._nodes(),
            "listeners": self.manager.listeners,
            "monitors": self.monitor.clients,
            "storing": self.keeper.state,
            "data_written": self.keeper.written,
            "data_lost": self.keeper.lost,
            "messages": dict(self.manager.counts),
        }

    def metrics(self) -> dict[str, float]:
        uart = {f'les02_mesh_uart_total{{what="{name}"}}': n for name, n in self.uart.counts.items()}
        messages = {
            f'les02_mesh_messages_total{{kind="{kind}"}}': n for kind, n in self.manager.counts.items()
        }
        sockets = {f"les02_mesh_tcp_{name}_total": n for name, n in self.sockets.counts.items()}
        monitor = {f"les02_mesh_websocket_{name}_total": n for name, n in self.monitor.counts.items()}
        nodes = {f'les02_mesh_nodes{{state="{state}"}}': n for state, n in self._nodes().items()}
        return {
            **nodes,
            **messages,
            **uart,
            **sockets,
            **monitor,
            "les02_mesh_uart_up": self.uart.state == "connected",
            "les02_mesh_listeners": self.manager.listeners,
            "les02_mesh_monitors": self.monitor.clients,
            "les02_mesh_data_written_total": self.keeper.written,
            "les02_mesh_data_lost_total": self.keeper.lost,
            "les02_mesh_storing": self.keeper.state == "ok",
        }

    def _nodes(self) -> dict[str, int]:
        return {state: self.registry.count(Status(status)) for status, state in STATES.items()}

    def _note(self, text: str) -> None:
        self.manager.news.note(None, text)

    def _storing_changed(self, state: str) -> None:
        self._note("node data is kept again" if state == "ok" else f"node data is not kept: {state}")
