"""The daemon itself, its sensor's bus and one of the workbench's read from descriptors.

    python -m benchmarks.serve_workbench SENSOR BENCH --config FILE    (descriptors, then leslisten's flags)

One thing differs from leslisten: where these two buses, can0 and bench0, come from.
"""

import sys

from benchmarks.descriptor_bus import DescriptorBus
from listener import can_reader, main


def run(arguments: list[str]) -> int:
    descriptors = dict(zip(("can0", "bench0"), map(int, arguments[:2]), strict=True))
    can_reader.open_bus = lambda config: DescriptorBus(descriptors[config.channel], config.channel)
    return main.main(arguments[2:])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
