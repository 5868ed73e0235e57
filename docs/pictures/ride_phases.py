"""Draws the pictures of docs/rides.md: simulated positions in, what the ride finder makes of them out.

Nothing is drawn by hand, so that a picture shows what the program does:

    python docs/pictures/ride_phases.py
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from listener.rides.detector import Relevelled
from listener.rides.finder import RideBegan, RideEnded, RideFinder, Told
from listener.rides.motion import Motion
from mock.profile import Profile, hydraulic, s_curve

HERE = Path(__file__).parent
PERIOD_S = 0.004
# Of so many positions one is drawn, 25 a second.
THIN = 10
# The estimator knows a time by its distance from others; where zero lies is the picture's own business.
ZERO_TS = 1_000_000.0

# An own background, as a page may be dark where the system is light.
STYLE = """
svg { font: 13px system-ui, sans-serif }
.paper { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e }
.axis { stroke: #8c959f } .grid { stroke: #8c959f; stroke-opacity: 0.25 }
.curve { fill: none; stroke: #0b5cad; stroke-width: 2; stroke-linejoin: round }
.border { stroke: #59636e; stroke-dasharray: 3 3 }
.band { fill-opacity: 0.22 } .bar { fill-opacity: 0.75 }
.grey { fill: #8c959f } .green { fill: #2da44e } .blue { fill: #218bff } .orange { fill: #e16f24 }
.purple { fill: #a475f9 } .red { fill: #e5534b }
.middle { text-anchor: middle } .end { text-anchor: end } .title { font-weight: 600; font-size: 14px }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 } .curve { stroke: #79c0ff }
  .axis { stroke: #6e7681 } .border { stroke: #9198a1 } .band { fill-opacity: 0.32 }
}
"""
PHASES = {
    "start": "grey",
    "acceleration": "green",
    "full_speed": "blue",
    "deceleration": "orange",
    "creep": "purple",
    "stop": "red",
}

Point = tuple[float, float]
Height = Callable[[float], float]


@dataclass
class Drawing:
    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, kind: str = "ink") -> None:
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def box(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        size = f'width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'
        self.parts.append(f'<rect class="{kind}" x="{x1:.1f}" y="{y1:.1f}" {size}/>')

    def curve(self, points: Iterable[Point]) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners(list(points)))
        self.parts.append(f'<polyline class="curve" points="{path}"/>')

    def save(self, name: str) -> None:
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img">'
        paper = '<rect class="paper" width="100%" height="100%"/>'
        lines = [head, f"<title>{escape(self.title)}</title>", f"<style>{STYLE}</style>", paper, *self.parts]
        (HERE / name).write_text("\n".join([*lines, "</svg>", ""]), encoding="utf-8")


@dataclass(frozen=True)
class Plot:
    """A rectangle of the drawing, and the values at its edges."""

    left: float
    top: float
    right: float
    bottom: float
    times: Point
    values: Point

    def x(self, t: float) -> float:
        return self.left + (self.right - self.left) * (t - self.times[0]) / (self.times[1] - self.times[0])

    def y(self, value: float) -> float:
        share = (value - self.values[0]) / (self.values[1] - self.values[0])
        return self.bottom - (self.bottom - self.top) * share

    def draw(self, drawing: Drawing, points: Iterable[Point], ticks: Sequence[float]) -> None:
        for tick in ticks:
            drawing.line(self.left, self.y(tick), self.right, self.y(tick), "grid")
            drawing.text(self.left - 8, self.y(tick) + 4, f"{tick:g}", "faint end")
        drawing.curve((self.x(t), self.y(value)) for t, value in points if self._shows(t, value))
        drawing.line(self.left, self.bottom, self.right, self.bottom, "axis")
        drawing.line(self.left, self.top, self.left, self.bottom, "axis")

    def _shows(self, t: float, value: float) -> bool:
        return self.times[0] <= t <= self.times[1] and self.values[0] <= value <= self.values[1]

    def seconds(self, drawing: Drawing, every: int) -> None:
        for t in range(-(-int(self.times[0]) // every) * every, int(self.times[1]) + 1, every):
            drawing.line(self.x(t), self.bottom, self.x(t), self.bottom + 4, "axis")
            drawing.text(self.x(t), self.bottom + 18, f"{t} s", "faint middle")


def corners(points: Sequence[Point]) -> Iterator[Point]:
    """Without those on a level with both of their neighbours."""
    for number, (x, y) in enumerate(points):
        if number in (0, len(points) - 1) or {points[number - 1][1], points[number + 1][1]} != {y}:
            yield x, y


def positions(height_mm: Height, since_s: float, until_s: float) -> list[Point]:
    """As the master sends them."""
    first, last = round(since_s / PERIOD_S), round(until_s / PERIOD_S)
    return [(n * PERIOD_S, float(round(height_mm(n * PERIOD_S)))) for n in range(first, last)]


def told(samples: Iterable[Point]) -> Iterator[Told]:
    finder = RideFinder(1.0)
    for t, raw in samples:
        yield from finder.position("master", ZERO_TS + t, round(raw))


def after(*rides: tuple[float, Profile]) -> Height:
    """A car that sets off at these times."""
    return lambda t: sum(ride.position_mm(t - begin_s) for begin_s, ride in rides)


def phases() -> None:
    ride = hydraulic(3000.0)
    samples = positions(after((0.0, ride)), -2.0, ride.duration_s + 4.0)
    found = list(told(samples))
    (ended,) = (each for each in found if isinstance(each, RideEnded))
    speeds = [(each.ts - ZERO_TS, each.velocity_mm_s) for each in found if isinstance(each, Motion)]
    begin_s = ended.end.ts - ZERO_TS - ended.summary.duration_s

    drawing = Drawing(960, 500, "The phases of a hydraulic ride: position and velocity over time")
    times = (-0.6, ended.summary.duration_s + 0.6)
    above = Plot(100, 70, 940, 230, times, (-20, 3200))
    below = Plot(100, 265, 940, 455, times, (-5, 700))
    for phase in ended.summary.phases:
        left = above.x(begin_s + phase.begin_s)
        right = above.x(begin_s + phase.begin_s + phase.duration_s)
        for plot in (above, below):
            drawing.box(left, plot.top, right, plot.bottom, f"band {PHASES[phase.name]}")
        drawing.box(left, 58, right, 66, PHASES[phase.name])
        # The first is too short for its name, and there is room before it.
        at, anchor = (right - 4, "end") if phase.name == "start" else ((left + right) / 2, "middle")
        drawing.text(at, 32, phase.name.replace("_", " "), f"ink {anchor} title")
        drawing.text(at, 50, f"{phase.duration_s:.2f} s", f"faint {anchor}")
    above.draw(drawing, samples[::THIN], range(0, 3001, 1000))
    below.draw(drawing, speeds, range(0, 601, 200))
    below.seconds(drawing, 1)
    drawing.text(6, above.top - 8, "position, mm")
    drawing.text(6, below.top - 8, "velocity, mm/s")
    drawing.text(
        below.right, 492, f"full speed {ended.summary.full_speed_mm_s:.0f} mm/s, "
        f"creep {ended.summary.creep_speed_mm_s:.0f} mm/s, {ended.summary.distance_mm:.0f} mm "
        f"in {ended.summary.duration_s:.2f} s", "faint end",
    )  # fmt: skip
    drawing.save("ride-phases.svg")


@dataclass(frozen=True)
class Case:
    title: str
    height_mm: Height
    since_s: float
    until_s: float
    shown: Point
    values: Point
    ticks: Sequence[float]


def cases() -> list[Case]:
    ride, onward, level = hydraulic(2000.0), hydraulic(1500.0), s_curve(14.0, 20.0, 100.0, 500.0)
    up, down = s_curve(3000.0), s_curve(-3000.0)
    arrived_s, until_s = ride.duration_s, ride.duration_s + 12.0
    sinking = after((0.0, ride), (arrived_s + 8.0, level))
    return [
        Case(
            "A ride; then the car sinks, and is levelled again",
            lambda t: sinking(t) - 2000.0 - min(14.0, max(0.0, 4.0 * (t - arrived_s - 3.0))),
            -2.0,
            until_s,
            (arrived_s - 3.0, until_s - 1.0),
            (-60.0, 20.0),
            (-40, -20, 0),
        ),
        Case(
            "A stop between floors: one ride",
            after((0.0, ride), (arrived_s + 1.2, onward)),
            -2.0,
            20.0,
            (-1.0, 17.0),
            (-30.0, 3800.0),
            (0, 1000, 2000, 3000),
        ),
        Case(
            "A car that turns: two rides",
            after((0.0, up), (up.duration_s, down)),
            -2.0,
            14.0,
            (-1.0, 11.0),
            (-30.0, 3400.0),
            (0, 1000, 2000, 3000),
        ),
        Case(
            "First seen in the middle of a ride: a partial one",
            after((0.0, hydraulic(4000.0))),
            4.0,
            16.0,
            (0.0, 13.5),
            (-30.0, 4400.0),
            (0, 1000, 2000, 3000, 4000),
        ),
    ]


def kinds() -> None:
    drawing = Drawing(960, 640, "What is found: rides and re-levels, in four examples")
    for number, case in enumerate(cases()):
        left, top = 60 + 480 * (number % 2), 50 + 310 * (number // 2)
        plot = Plot(left, top, left + 405, top + 190, case.shown, case.values)
        samples = positions(case.height_mm, case.since_s, case.until_s)
        drawing.text(left, top - 14, case.title, "ink title")
        bars = list(movements(told(samples)))
        for kind, begin_s, end_s, words in bars:
            begin, end = plot.x(max(begin_s, case.shown[0])), plot.x(end_s)
            drawing.box(begin, plot.top, end, plot.bottom, f"band {kind}")
            drawing.box(begin, plot.bottom + 26, end, plot.bottom + 34, f"bar {kind}")
            for line, word in enumerate(words):
                drawing.text(begin, plot.bottom + 50 + 16 * line, word)
        plot.draw(drawing, samples[::THIN], case.ticks)
        plot.seconds(drawing, 2)
        drawing.text(plot.right, plot.top - 14, "mm", "faint end")
    drawing.save("ride-kinds.svg")


def movements(found: Iterable[Told]) -> Iterator[tuple[str, float, float, list[str]]]:
    """Colour, beginning, end and what is to be said of each."""
    began = None
    for each in found:
        if isinstance(each, RideBegan):
            began = each
        elif isinstance(each, RideEnded):
            assert began is not None
            more = [word for word, is_so in (("partial", each.partial), ("turned", each.turned)) if is_so]
            more += [f"{each.stops} stop"] if each.stops else []
            words = [f"ride {'up' if each.direction > 0 else 'down'}", *more]
            distance = f"{each.summary.distance_mm:.0f} mm, {each.summary.duration_s:.1f} s"
            colour = "blue" if each.direction > 0 else "green"
            yield colour, began.begin.ts - ZERO_TS, each.end.ts - ZERO_TS, [", ".join(words), distance]
        elif isinstance(each, Relevelled):
            moved = each.end.position_mm - each.begin.position_mm
            begin_s, end_s = each.begin.ts - ZERO_TS, each.end.ts - ZERO_TS
            yield "orange", begin_s, end_s, ["re-level", f"{moved:+.0f} mm, {end_s - begin_s:.1f} s"]


if __name__ == "__main__":
    phases()
    kinds()
