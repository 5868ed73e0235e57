"""Log lines on stderr, readable on a terminal and JSON otherwise; into a rotating file too if configured."""

import logging
import sys

import structlog
from structlog.typing import Processor

from listener.config import ConfigError, LoggingConfig

_STAMP: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(config: LoggingConfig) -> None:
    """Libraries that use `logging` appear in the same output, from WARNING on."""
    level = logging.getLevelNamesMapping()[config.level.upper()]
    terminal = sys.stderr.isatty()
    console = config.format == "console" or (config.format == "auto" and terminal)
    plain = structlog.dev.plain_traceback  # the same with and without rich installed
    readable = structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=plain)
    json_lines: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]

    handlers = [_with_format(logging.StreamHandler(sys.stderr), [readable] if console else json_lines)]
    if config.file:
        handlers.append(_with_format(_rotating_file(config), json_lines))
    # A full disk or a closed pipe may cost log lines, never the daemon, nor a traceback for every line.
    logging.raiseExceptions = False
    logging.basicConfig(handlers=handlers, level=max(level, logging.WARNING), force=True)
    logging.getLogger("can.interfaces.socketcan").setLevel(logging.CRITICAL)  # it logs what it raises
    ours = logging.getLogger("les02")
    ours.setLevel(level)
    structlog.configure(
        processors=[*_STAMP, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: ours,
    )


def _with_format(handler: logging.Handler, renderer: list[Processor]) -> logging.Handler:
    formatter = structlog.stdlib.ProcessorFormatter
    processors = [formatter.remove_processors_meta, *renderer]
    foreign = [structlog.stdlib.add_logger_name, *_STAMP]
    handler.setFormatter(formatter(processors=processors, foreign_pre_chain=foreign))
    return handler


def _rotating_file(config: LoggingConfig) -> logging.Handler:
    from logging.handlers import (
        RotatingFileHandler,
    )  # imports half a network stack; most daemons log to stderr

    try:
        return RotatingFileHandler(
            config.file, maxBytes=config.max_bytes, backupCount=config.backups, encoding="utf-8"
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"[logging] file: {config.file}: {getattr(error, 'strerror', error)}") from error
