"""The root module's serial port: found, read, written, and found again when it is lost.

1. Nothing here blocks the loop or waits for ever: what a driver does not do in its time has failed.
2. Payloads are handed to `received` in the order of the line, after `changed` has told "connected".
3. There is one writer. RESET goes before IMPORTANT before NORMAL; within a class the order is kept. Commands
   that are not written when the port is lost fail: nobody expects them minutes later.
4. After opening the module is asked NINFO, and again whenever it says nothing for `ask_s`. Who does not
   answer SILENT_AFTER times is "silent", until the next word. Its port stays open.
5. After a failure the port is tried again, after 0.25 s, then later and later, up to `reopen_s`.
"""

import asyncio
import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import structlog

from listener.config import MeshConfig
from listener.mesh.priority import Priority
from listener.mesh.uart_finding import ANSWER_S, ASK, Finder
from listener.mesh.uart_link import Link, PortError

_log = structlog.get_logger(__name__)

CONNECTED, DISCONNECTED, SEARCHING, SILENT = "connected", "disconnected", "searching", "silent"
NO_CONNECTION: Final = "No Serial Connection"
TOO_MANY: Final = "Too Many Commands Waiting"
TIMED_OUT: Final = "Serial Write Timeout"
WAITING_MAX: Final = 256
# So many more of class RESET: a module that is to start anew often has a full queue before it.
RESETS_MAX: Final = 16
SILENT_AFTER: Final = 3


@dataclass(frozen=True, slots=True)
class Timing:
    ask_s: float = 30.0
    answer_s: float = ANSWER_S
    write_s: float = 2.0
    first_s: float = 0.25


@dataclass(order=True, slots=True)
class _Command:
    priority: Priority
    number: int
    payload: bytes = field(compare=False)
    result: asyncio.Future[str] = field(compare=False)


class UartManager:
    """`changed` is given the state and why, when one of them is another; `run` is to be run."""

    def __init__(
        self,
        config: MeshConfig,
        received: Callable[[bytes], None],
        changed: Callable[[str, str], None],
        avoid: Callable[[], Collection[str]] = tuple,
        *,
        timing: Timing = Timing(),
    ) -> None:
        self.state = DISCONNECTED
        self.why = ""
        self._config = config
        self._received = received
        self._changed = changed
        self._timing = timing
        self._finder = Finder(config, avoid, answer_s=timing.answer_s)
        self._link: Link | None = None
        self._waiting: list[_Command] = []
        self._numbers = itertools.count()
        self._has_work = asyncio.Event()
        self._totals: Counter[str] = Counter()

    @property
    def device(self) -> str:
        """Where it is, or is expected; "" while that is not known."""
        return self._link.device if self._link is not None else self._config.device

    @property
    def counts(self) -> dict[str, int]:
        """Over all ports so far, but not of those that were only asked."""
        counts = Counter(dict.fromkeys(("opened", "lost", "frames_in", "octets_in", "frames_out"), 0))
        counts.update(self._totals)
        if self._link is not None:
            counts.update(_counts(self._link))
        return dict(counts)

    async def send(self, payload: bytes, priority: Priority = Priority.NORMAL) -> str:
        """ "" when the octets are with the driver, otherwise why not."""
        result = self._put(payload, priority)
        return result if isinstance(result, str) else await result

    async def run(self) -> None:
        """Until cancelled."""
        wait_s = self._timing.first_s
        if self._finder.guesses:
            self._tell(SEARCHING, "")
        while True:
            try:
                link = await self._finder.find()
            except PortError as exc:
                self._tell(SEARCHING if self._finder.guesses else DISCONNECTED, str(exc))
            else:
                opened_at = time.monotonic()
                await self._use(link)
                if link.frames or time.monotonic() - opened_at > self._config.reopen_s:
                    wait_s = self._timing.first_s
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._config.reopen_s)

    async def _use(self, link: Link) -> None:
        """Until it is lost."""
        self._link = link
        self._totals["opened"] += 1
        try:
            self._tell(CONNECTED, "")
            link.start(self._receive)
            async with asyncio.TaskGroup() as tasks:
                parts = [
                    tasks.create_task(self._write(link), name="write to the mesh"),
                    tasks.create_task(self._ask(link), name="ask the mesh"),
                ]
                why = await link.lost
                for part in parts:
                    part.cancel()
            self._let_go(link)
            self._totals["lost"] += 1
            self._tell(DISCONNECTED, why)
            if self._finder.guesses:
                self._tell(SEARCHING, why)
        finally:
            if self._link is link:
                self._let_go(link)
            await link.close()

    def _let_go(self, link: Link) -> None:
        self._link = None
        self._totals.update(_counts(link))
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            _resolve(command, NO_CONNECTION)

    def _receive(self, payload: bytes) -> None:
        if self.state == SILENT:
            self._tell(CONNECTED, "")
        self._received(payload)

    def _put(self, payload: bytes, priority: Priority) -> str | asyncio.Future[str]:
        if self._link is None or self._link.lost.done():
            return NO_CONNECTION
        room = WAITING_MAX + (RESETS_MAX if priority is Priority.RESET else 0)
        if len(self._waiting) >= room:
            return TOO_MANY
        result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Command(priority, next(self._numbers), payload, result))
        self._has_work.set()
        return result

    async def _write(self, link: Link) -> None:
        while True:
            self._has_work.clear()
            while self._waiting:
                command = heapq.heappop(self._waiting)
                if command.result.done():  # who sent it does not wait any more
                    continue
                try:
                    # A long message on a slow line takes its time: ten bits an octet, each perhaps escaped.
                    needed_s = 20 * len(command.payload) / self._config.baudrate
                    written = await link.write(command.payload, self._timing.write_s + needed_s)
                except TimeoutError:
                    _resolve(command, TIMED_OUT)
                    link.abort("the driver does not take what is written")
                except asyncio.CancelledError:  # the port was lost
                    _resolve(command, NO_CONNECTION)
                    raise
                else:
                    self._totals["frames_out"] += written
                    _resolve(command, "" if written else NO_CONNECTION)
            await self._has_work.wait()

    async def _ask(self, link: Link) -> None:
        unanswered = 0
        while True:
            if unanswered >= SILENT_AFTER:
                self._tell(SILENT, f"{link.device}: no answer")
            self._put(ASK, Priority.NORMAL)  # a full queue is noticed by those who filled it
            unanswered += 1
            asked_at = time.monotonic()
            quiet_s = 0.0
            while quiet_s < self._timing.ask_s:
                await asyncio.sleep(self._timing.ask_s - quiet_s)
                quiet_s = time.monotonic() - max(asked_at, link.heard_at)
            if link.heard_at > asked_at:
                unanswered = 0

    def _tell(self, state: str, why: str) -> None:
        if (state, why) == (self.state, self.why):
            return
        is_news = state != self.state
        self.state, self.why = state, why
        log = _log.info if state in {CONNECTED, SEARCHING} else _log.warning
        (log if is_news else _log.debug)("uart_state", state=state, device=self.device, why=why)
        self._changed(state, why)


def _counts(link: Link) -> dict[str, int]:
    return {"frames_in": link.frames, "octets_in": link.octets, **link.decoder.counts}


def _resolve(command: _Command, result: str) -> None:
    if not command.result.done():
        command.result.set_result(result)
