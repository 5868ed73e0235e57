"""`lesdebug`: prints what the listener sends, one message a line, as it came.

Messages go to stdout, remarks to stderr: `lesdebug | jq .payload` stays clean.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter

from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from listener.client import Event, EventClient, Refused
from listener.stop_signals import on_stop
from listener.subscription import CHANNELS

SUMMARY_S = 1.0
# A token in the command line can be read by everybody on the computer.
TOKEN_VARIABLE = "LES02_TOKEN"  # noqa: S105


class _Summary:
    """Counts per type and channel; a line a second says what came in that second."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._since = time.monotonic()

    def add(self, message: Event) -> None:
        payload = message.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        channel = payload.get("channel")
        self._counts[f"{message.get('type')} {channel}" if channel else str(message.get("type"))] += 1
        skipped = payload.get("skipped")
        if message.get("type") == "gap" and isinstance(skipped, int):
            self._skipped[str(payload.get("where"))] += skipped

    def line(self) -> str:
        now = time.monotonic()
        elapsed_s, self._since = now - self._since, now
        rates = [f"{name} {count / elapsed_s:.0f}/s" for name, count in sorted(self._counts.items())]
        skipped = [f"skipped {count} ({where})" for where, count in sorted(self._skipped.items())]
        line = ", ".join([*(rates or ["nothing received"]), *(skipped or ["skipped 0"])])
        self._counts.clear()
        self._skipped.clear()
        return line


class _Printer:
    def __init__(self, options: argparse.Namespace) -> None:
        self._types = tuple(options.type or ())
        self._left = options.count
        self.summary = _Summary() if options.summary else None

    def take(self, message: str, event: Event) -> bool:
        """True when the last message that was asked for has been printed."""
        if self._types and event.get("type") not in self._types:
            return False
        if self.summary:
            self.summary.add(event)
        else:
            _say(message)
        self._left -= 1
        return bool(self._left == 0)


async def _listen(client: EventClient, printer: _Printer) -> None:
    async with contextlib.aclosing(client.messages()) as messages:
        async for message, event in messages:
            if printer.take(message, event):
                return


async def _summarise(summary: _Summary) -> None:
    while True:
        await asyncio.sleep(SUMMARY_S)
        _say(summary.line())


async def _run(options: argparse.Namespace) -> None:
    printer = _Printer(options)
    main = asyncio.current_task()
    assert main is not None
    on_stop(main.cancel)
    async with asyncio.TaskGroup() as tasks:
        summary = tasks.create_task(_summarise(printer.summary)) if printer.summary else None
        client = EventClient(
            options.url, channel=options.channel, rate=options.rate, token=options.token, tell=_remark
        )
        await _listen(client, printer)
        if printer.summary and summary:
            _say(printer.summary.line())
            summary.cancel()


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # `lesdebug | head` has what it wanted. Python would flush once more, and complain, at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGINT)  # ends it in order, from whichever task
    except OSError as exc:
        _remark(f"Cannot write: {exc.strerror}")
        os._exit(1)  # Python would try to write once more


def _remark(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lesdebug", description="Print the events of the LES02 listener.")
    parser.add_argument("--url", default="ws://localhost:8765", help="default: %(default)s")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="end after N messages")
    parser.add_argument("--type", action="append", metavar="TYPE", help="only this type; may be repeated")
    parser.add_argument("--channel", choices=CHANNELS, help="leave the other channel out")
    parser.add_argument("--rate", type=float, metavar="HZ", help="the latest samples, so often a second")
    parser.add_argument("--summary", action="store_true", help="rates, once a second, instead of messages")
    token = os.environ.get(TOKEN_VARIABLE)
    parser.add_argument("--token", default=token, help=f"if the listener wants one; else ${TOKEN_VARIABLE}")
    options = parser.parse_args(arguments)
    try:
        parse_uri(options.url)
    except (InvalidURI, ValueError) as exc:  # the latter for what is wrong with host or port
        parser.error(str(exc))
    try:
        # A cancelled main task is Ctrl+C: the ordinary way to end this program.
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_run(options))
    except ExceptionGroup as group:
        if (refused := group.subgroup(Refused)) is None:
            raise
        _remark(f"lesdebug: {refused.exceptions[0]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
