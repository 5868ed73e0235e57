"""Prometheus text from plain counters.

Pure. A sample's name may carry labels (`les02_frames_total{kind="status"}`); names on `_total` are counters,
all others gauges.
"""

from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4"


def render(samples: Mapping[str, float]) -> bytes:
    lines: list[str] = []
    typed: set[str] = set()
    for name, value in sorted(samples.items(), key=lambda sample: sample[0].partition("{")):
        family = name.partition("{")[0]
        if family not in typed:
            typed.add(family)
            lines.append(f"# TYPE {family} {'counter' if family.endswith('_total') else 'gauge'}")
        lines.append(f"{name} {value:.17g}")
    return ("\n".join(lines) + "\n").encode()


def labelled(family: str, label: str, counts: Mapping[str, int]) -> dict[str, float]:
    return {f'{family}{{{label}="{name}"}}': count for name, count in counts.items()}
