"""Log lines on stderr, readable on a terminal and JSON otherwise; into a rotating file too if configured."""

import contextlib
import logging
import queue
import sys
import threading

import structlog
from structlog.typing import EventDict, Processor

from listener.config import ConfigError, LoggingConfig

QUEUE_LINES = 1000
FLUSH_S = 1.0
_EXCEPTION = "exception_text"
_PLAIN = logging.Formatter()


def _exception_of_record(_logger: object, _method: str, event: EventDict) -> EventDict:
    if text := getattr(event["_record"], _EXCEPTION, None):
        event["exception"] = text
    return event


# Tracebacks become text where they are logged: CPython 3.11 parses source for them, and two threads that
# parse at once can end in a SystemError (https://github.com/python/cpython/issues/106905).
_STAMP: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure(config: LoggingConfig) -> None:
    """Libraries that use `logging` appear in the same output, from WARNING on."""
    level = logging.getLevelNamesMapping()[config.level.upper()]
    terminal = sys.stderr.isatty()
    console = config.format == "console" or (config.format == "auto" and terminal)
    # There it would need colorama.
    readable = structlog.dev.ConsoleRenderer(colors=terminal and sys.platform != "win32")
    json_lines: list[Processor] = [structlog.processors.JSONRenderer()]

    handlers = [_with_format(logging.StreamHandler(sys.stderr), [readable] if console else json_lines)]
    if config.file:
        handlers.append(_with_format(_rotating_file(config), json_lines))
    # A full disk or a closed pipe may cost log lines, never the daemon, nor a traceback for every line.
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[_Background(handlers)], level=max(level, logging.WARNING), force=True)
    # python-can warns of missing libraries, and logs what it raises: our one line says it better.
    logging.getLogger("can").setLevel(logging.ERROR)
    for name in ("can.interfaces.socketcan", "can.bcm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ours = logging.getLogger("les02")
    ours.setLevel(level)
    structlog.configure(
        processors=[*_STAMP, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: ours,
    )


def flush() -> None:
    """Waits, for a moment at most, until all that was logged is written."""
    for handler in logging.getLogger().handlers:
        handler.flush()


class _Background(logging.Handler):
    """Writes in a thread: a terminal stopped with Ctrl+S, a pipe nobody reads or a slow SD card would
    otherwise stop the event loop, and every client with it. What does not fit is dropped, and told."""

    def __init__(self, handlers: list[logging.Handler]) -> None:
        super().__init__()
        self._handlers = handlers
        self._dropped = 0
        self._queue: queue.Queue[logging.LogRecord | threading.Event] = queue.Queue(QUEUE_LINES)
        threading.Thread(target=self._write, name="write the log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            setattr(record, _EXCEPTION, _PLAIN.formatException(record.exc_info))
            record.exc_info = None
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Also called by `logging` when the process ends; it must not wait there for ever."""
        written = threading.Event()
        with contextlib.suppress(queue.Full):
            self._queue.put(written, timeout=FLUSH_S)
            written.wait(FLUSH_S)

    def _write(self) -> None:
        while True:
            if self._dropped and self._queue.empty():  # earlier, this line would be dropped as well
                dropped, self._dropped = self._dropped, 0
                structlog.get_logger().warning("log_lines_dropped", number=dropped)
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            for handler in self._handlers:
                handler.handle(item)


def _with_format(handler: logging.Handler, renderer: list[Processor]) -> logging.Handler:
    formatter = structlog.stdlib.ProcessorFormatter
    processors = [formatter.remove_processors_meta, *renderer]
    foreign = [structlog.stdlib.add_logger_name, _exception_of_record, *_STAMP]
    handler.setFormatter(formatter(processors=processors, foreign_pre_chain=foreign))
    return handler


def _rotating_file(config: LoggingConfig) -> logging.Handler:
    # Imports half a network stack; most daemons log to stderr.
    from logging.handlers import RotatingFileHandler

    try:
        return RotatingFileHandler(
            config.file, maxBytes=config.max_bytes, backupCount=config.backups, encoding="utf-8"
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"[logging] file: {config.file}: {getattr(error, 'strerror', error)}") from error
