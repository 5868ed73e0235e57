"""The daemon itself, reading a descriptor instead of opening an interface.

    python -m benchmarks.serve_daemon DESCRIPTOR --config FILE      (flags of leslisten follow the descriptor)

Two things differ from leslisten: where the bus comes from, and that a connection which is aborted leaves a
line on stderr with what was held for it: what never drained, so the most that ever was.
"""

import asyncio
import json
import sys
import time
from typing import Any

from benchmarks.descriptor_bus import DescriptorBus
from listener import can_reader, main


def run(arguments: list[str]) -> int:
    descriptor = int(arguments[0])
    can_reader.open_bus = lambda config: DescriptorBus(descriptor, config.channel)
    _tell_aborts()
    return main.main(arguments[1:])


def _tell_aborts() -> None:
    transport: Any = asyncio.selector_events._SelectorTransport  # type: ignore[attr-defined]
    abort = transport.abort

    def telling(self: Any) -> None:
        line = {"event": "bench_abort", "held": self.get_write_buffer_size(), "at": time.time()}
        sys.stderr.write(json.dumps(line) + "\n")
        abort(self)

    transport.abort = telling


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
