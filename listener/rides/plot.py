"""A curve as lines of text, for a terminal.

Pure. Points and the size in characters in, lines out. A braille character has two by four dots; where the
terminal cannot show them, each character has two halves: `'` `.` `:`.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]

# Between two labels of an axis there are at least so many characters, or lines.
LABEL_WIDTH = 12
LABEL_HEIGHT = 2
NARROWEST = 8


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What a character is made of: dots across and down, each with its bit, and what the bits look like."""

    bits: tuple[tuple[int, ...], ...]  # of a row from the left, the rows from the top
    looks: str
    side: str
    tick: str
    floor: str
    floor_tick: str
    corner: str
    zero: str

    @property
    def across(self) -> int:
        return len(self.bits[0])

    @property
    def down(self) -> int:
        return len(self.bits)


BRAILLE = Glyphs(
    bits=((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80)),
    looks="".join(chr(0x2800 + bits) for bits in range(256)),
    side="│",
    tick="┤",
    floor="─",
    floor_tick="┴",
    corner="└",
    zero="┈",
)
ASCII = Glyphs(
    bits=((1,), (2,)),
    looks=" '.:",
    side="|",
    tick="+",
    floor="-",
    floor_tick="+",
    corner="+",
    zero="-",
)


def glyphs_for(encoding: str | None) -> Glyphs:
    """Those that text in that encoding can hold."""
    try:
        (BRAILLE.looks[-1] + BRAILLE.tick + BRAILLE.zero).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BRAILLE


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to dots, the lowest value to dot 0."""

    low: float
    high: float
    dots: int

    def dot(self, value: float) -> int:
        return round((value - self.low) / (self.high - self.low) * (self.dots - 1))

    def ticks(self, at_most: int) -> list[float]:
        """Round values in the range, evenly spaced."""
        step = _round_step((self.high - self.low) / max(1, at_most))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@dataclass(slots=True)
class _Canvas:
    glyphs: Glyphs
    width: int
    height: int
    cells: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = [[0] * self.width for _ in range(self.height)]

    def set(self, x: int, y: int) -> None:
        """y counts from below."""
        across, down = self.glyphs.across, self.glyphs.down
        row, below = divmod(self.height * down - 1 - y, down)
        column, right = divmod(x, across)
        self.cells[row][column] |= self.glyphs.bits[below][right]

    def line(self, from_x: int, from_y: int, to_x: int, to_y: int) -> None:
        steps = max(abs(to_x - from_x), abs(to_y - from_y), 1)
        for step in range(steps + 1):
            share = step / steps
            self.set(round(from_x + share * (to_x - from_x)), round(from_y + share * (to_y - from_y)))

    def rows(self, zero_row: int | None) -> Iterator[str]:
        for number, cells in enumerate(self.cells):
            empty = self.glyphs.zero if number == zero_row else " "
            yield "".join(self.glyphs.looks[bits] if bits else empty for bits in cells)


def draw(
    points: Sequence[Point],
    *,
    width: int,
    height: int,
    glyphs: Glyphs = BRAILLE,
    x_range: tuple[float, float] | None = None,
    with_zero: bool = False,
    gap: float = math.inf,
    margin: int = 0,
) -> list[str]:
    """`height` lines and two of the x axis. Points farther apart than `gap` are not joined.

    `margin` is the least width of the labels at the side: curves one above the other have the same.
    """
    points = [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]
    heights = [y for _, y in points] or [0.0]
    low, high = _room(min(heights), max(heights), with_zero=with_zero)
    side = Scale(low, high, height * glyphs.down)
    labels = _side_labels(side, height, glyphs)
    margin = max([margin, *map(len, labels.values())])
    columns = max(NARROWEST, width - margin - 1)
    first, last = x_range or _room(points[0][0], points[-1][0], with_zero=False) if points else (0.0, 1.0)
    floor = Scale(first, last, columns * glyphs.across)
    canvas = _Canvas(glyphs, columns, height)
    before: Point | None = None
    for point in points:
        if not first <= point[0] <= last:
            continue
        joined = before if before is not None and point[0] - before[0] <= gap else point
        canvas.line(floor.dot(joined[0]), side.dot(joined[1]), floor.dot(point[0]), side.dot(point[1]))
        before = point
    zero_row = height - 1 - side.dot(0.0) // glyphs.down if low < 0 < high else None
    lines = [
        f"{labels.get(number, ''):>{margin}}{glyphs.tick if number in labels else glyphs.side}{row}"
        for number, row in enumerate(canvas.rows(zero_row))
    ]
    return [line.rstrip() for line in [*lines, *_floor(floor, columns, margin, glyphs)]]


def band(
    parts: Iterable[tuple[str, float, float]],
    *,
    width: int,
    margin: int,
    x_range: tuple[float, float],
    glyphs: Glyphs = BRAILLE,
) -> str:
    """Names with where each begins and ends, to stand under a curve of that width, margin and range."""
    columns = max(NARROWEST, width - margin - 1)
    scale = Scale(*x_range, columns)
    cells = [" "] * columns
    for name, begin, end in parts:
        left, right = (min(max(scale.dot(value), 0), columns - 1) for value in (begin, end))
        room = right - left - 1
        for offset, char in enumerate(name[:room] if room > 0 else ""):
            cells[left + 1 + offset] = char
        cells[left] = cells[right] = glyphs.side
    return (" " * (margin + 1) + "".join(cells)).rstrip()


def _room(low: float, high: float, *, with_zero: bool) -> tuple[float, float]:
    if with_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    return (low - 1.0, high + 1.0) if high - low < 1e-9 else (low, high)


def _side_labels(scale: Scale, height: int, glyphs: Glyphs) -> dict[int, str]:
    return {
        height - 1 - scale.dot(value) // glyphs.down: _label(value)
        for value in scale.ticks(max(1, height // LABEL_HEIGHT))
    }


def _floor(scale: Scale, columns: int, margin: int, glyphs: Glyphs) -> tuple[str, str]:
    line = [glyphs.floor] * columns
    labels = [" "] * (columns + margin + 1)
    for value in scale.ticks(max(1, columns // LABEL_WIDTH)):
        column = scale.dot(value) // glyphs.across
        line[column] = glyphs.floor_tick
        text = _label(value)
        begin = min(max(0, margin + 1 + column - len(text) // 2), len(labels) - len(text))
        labels[begin : begin + len(text)] = text
    return " " * margin + glyphs.corner + "".join(line), "".join(labels)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= least * (1 - 1e-9))


def _label(value: float) -> str:
    return f"{value + 0.0:.10g}"
