"""The parts of the wing, put together; what `/healthz`, `/metrics` and the routes ask of them."""

import time
from typing import Any, Final

from listener import events
from listener.access import Access
from listener.config import RobotsConfig
from listener.database import Database
from listener.hub import Hub
from listener.robots import answers
from listener.robots.audience import Audience
from listener.robots.keeper import Keeper
from listener.robots.registry import Registry
from listener.robots.relay import Relay
from listener.robots.session import RobotSession

SOURCE: Final = "robots"


class Robots:
    def __init__(self, config: RobotsConfig, database: Database, hub: Hub, access: Access) -> None:
        self.database = database
        self.audience = Audience()
        self.keeper = Keeper(
            database, keep_days=config.keep_days, keep_rows=config.keep_rows, changed=self._storing_changed
        )
        self._hub = hub
        self.registry = Registry(config, self.audience, self.keeper.record, self._publish)
        self.relay = Relay(self.registry, self.audience, config.hold_s)
        self.session = RobotSession(
            self.registry,
            self.relay,
            self.audience,
            hold_s=config.hold_s,
            robots_refusal=access.robots_refusal,
            refusal=access.refusal,
        )

    async def run(self) -> None:
        try:
            self.relay.open()
            await self.keeper.run()
        finally:
            self.relay.close()  # while all connections are still there

    def told(self) -> list[dict[str, Any]]:
        groups = self.registry.groups
        return [
            {
                **robot.told(self.audience.name_of(robot.hold.website or "")),
                "groups": [name for name, members in groups.items() if robot.device_id in members],
            }
            for robot in self.registry
        ]

    def health(self) -> dict[str, Any]:
        connected = sum(robot.is_connected for robot in self.registry)
        return {
            "connected": connected,
            "websites": len(self.audience),
            "storing": self.keeper.state,
            "telemetry_written": self.keeper.written,
            "telemetry_lost": self.keeper.lost,
            "skipped": self.audience.skipped,
            "commands": dict(self.relay.counts),
        }

    def metrics(self) -> dict[str, float]:
        commands = {
            f'les02_robots_commands_total{{state="{state}"}}': n for state, n in self.relay.counts.items()
        }
        return {
            **commands,
            "les02_robots_connected": sum(robot.is_connected for robot in self.registry),
            "les02_robots_websites": len(self.audience),
            "les02_robots_telemetry_written_total": self.keeper.written,
            "les02_robots_telemetry_lost_total": self.keeper.lost,
            "les02_robots_skipped_messages_total": self.audience.skipped,
            "les02_robots_storing": self.keeper.state == "ok",
        }

    def _publish(self, ts: float, device_id: str, status: str, message: str) -> None:
        self._hub.publish(events.status(ts, device_id, status, SOURCE, message=message))

    def _storing_changed(self, state: str) -> None:
        self.registry.storing = state
        self.audience.tell(answers.storing(time.time(), state))
