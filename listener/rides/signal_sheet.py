"""The signals of a ride on a sheet, as plain text for a terminal. Pure: lines out, none without signals."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from listener.rides import signal_report
from listener.rides.sheet import printable
from listener.rides.signals import Track, Tracks
from listener.rides.store import Ride

_NAME: Final = 18


def summary(ride: Ride, tracks: Tracks) -> list[str]:
    """Of each its mean and its bounds, or its words, in the whole ride and in each phase."""
    return [line for name, track in tracks.items() for line in _signal(ride, name, track)]


def _signal(ride: Ride, name: str, track: Track) -> list[str]:
    title = f"  {printable(name)} {printable(track.unit)}".rstrip()
    if not track.values:
        return ["", f"{title}: it said nothing during this ride"]
    last_s = track.offsets_us[-1] / 1e6 + 1e-6
    end_s = last_s if ride.end_ts is None else ride.end_ts - ride.start_ts
    spans = [("whole ride", 0.0, end_s)]
    spans += [
        (str(phase["name"]).replace("_", " "), phase["begin_s"], phase["begin_s"] + phase["duration_s"])
        for phase in ride.summary.get("phases", [])
    ]
    lines = ["", title]
    if not track.words:
        lines.append(f"  {'':<{_NAME}}{'mean':>10}{'min':>10}{'max':>10}")
    for what, begin_s, until_s in spans:
        if track.words:  # of which there is no mean
            words = signal_report.words_within(track, begin_s, until_s)
            cells = "  " + (printable(", ".join(words)) or "–")
        else:
            found = signal_report.within(track, begin_s, until_s)
            cells = "".join(f"{_figure(value):>10}" for value in found or (None, None, None))
        lines.append(f"  {printable(what):<{_NAME}}{cells}".rstrip())
    return lines


def comparison(signals: Sequence[Mapping[str, Any]]) -> list[str]:
    """As `signal_report.deviations` has them."""
    lines = []
    for each in signals:
        lines += [
            "",
            f"  {printable(each['name'])} {printable(each['unit'])}".rstrip(),
            f"  {'':<{_NAME}}{'ride':>10}{'reference':>10}{'max':>10}{'rms':>10}{'at s':>8}",
        ]
        for row in [{**each, "name": "whole ride"}, *each["phases"]]:
            means = "".join(f"{_figure(row[key]):>10}" for key in ("ride_mean", "reference_mean"))
            apart = (
                "" if row["max"] is None else f"{row['max']:>+10.4g}{row['rms']:>10.4g}{row['at_s']:>8.2f}"
            )
            name = printable(str(row["name"]).replace("_", " "))
            lines.append(f"  {name:<{_NAME}}{means}{apart}".rstrip())
    return lines


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
