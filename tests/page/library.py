"""Rides that are there before a test begins: driven by the simulated sensor, recorded, and imported."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from listener.rides import cli
from mock.car import Car
from mock.profile import hydraulic
from mock.sensor import Sensor

# That of the browser, too: a day is one of the screen's clock.
ZONE = "Europe/Berlin"
SPECIMEN = "V-2417"
# As long as a name in use may be, and in words that do not break easily.
LONG = "Hydraulikaufzugssteuerventilblock-Baureihe-2417/Auftrag-0815"
LONG_NOTE = (
    "Schraube 3 eine Vierteldrehung herausgedreht, danach Öl nachgefüllt und entlüftet; Öltemperatur 41 °C"
)

REFERENCE, DOWN, PASSES, FAILS, LONG_NAMED, ALONE, CUT = range(1, 8)
BEFORE_S, AFTER_S = 2.0, 3.0


@dataclass(frozen=True)
class Drive:
    """The local time at which its recording begins; up is positive."""

    when: str
    specimen: str
    from_mm: float
    distance_mm: float
    speed_mm_s: float
    note: str = ""
    cut_off: bool = False


DRIVES = (
    Drive("2026-03-02T10:00", SPECIMEN, 1000.0, 3000.0, 630.0),
    Drive("2026-03-02T10:01", SPECIMEN, 4000.0, -3000.0, 630.0),
    Drive("2026-03-02T10:02", SPECIMEN, 1000.0, 3000.0, 632.0),
    Drive("2026-03-02T10:10", SPECIMEN, 1000.0, 3000.0, 560.0, "screw 3, a quarter turn out"),
    Drive("2026-03-03T09:00", LONG, 4000.0, -2000.0, 400.0, LONG_NOTE),
    Drive("2026-03-03T09:30", "Ventil Größe 3", 1000.0, 1500.0, 500.0),
    Drive("2026-03-03T09:45", "Ventil Größe 3", 2500.0, 1500.0, 500.0, "cut off", cut_off=True),
)


def make(folder: Path, drives: Sequence[Drive] = DRIVES) -> Path:
    """The database: numbered from 1, the first is the reference."""
    path = folder / "les02.db"
    for number, drive in enumerate(drives, 1):
        lines = list(_log(drive))
        log = folder / f"{number}.log"
        log.write_text("".join(lines[: len(lines) // 2] if drive.cut_off else lines))
        _lesrides(path, "import", str(log), "--specimen", drive.specimen, "--note", drive.note)
    mark(path, REFERENCE)
    return path


def mark(path: Path, number: int, *flags: str) -> None:
    """As a reference, by somebody who is not at the page."""
    _lesrides(path, "reference", str(number), *flags)


def export(path: Path, number: int, *flags: str, to: Path) -> bytes:
    _lesrides(path, "export", str(number), "--csv", *flags, "--output", str(to))
    return to.read_bytes()


def _lesrides(path: Path, *arguments: str) -> None:
    # In a thread of its own: in that of a test runs the event loop of the browser.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(cli.main, ["--database", str(path), *arguments]).result() == 0


def _log(drive: Drive) -> Iterator[str]:
    start_ts = datetime.fromisoformat(drive.when).replace(tzinfo=ZoneInfo(ZONE)).timestamp()
    ride = hydraulic(drive.distance_mm, drive.speed_mm_s)
    car = Car((drive.from_mm,), lambda _: ride, top_mm=100_000.0)
    for slot in Sensor(car, seed=1).slots():
        if slot.due_s == BEFORE_S:
            car.start_ride(drive.distance_mm)
        if slot.due_s > BEFORE_S + ride.duration_s + AFTER_S:
            return
        for frame in slot.frames:
            yield f"({start_ts + slot.due_s:.6f}) can0 {frame.arbitration_id:03X}#{frame.data.hex()}\n"
