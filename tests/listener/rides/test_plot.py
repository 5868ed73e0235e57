import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.rides import plot
from listener.rides.plot import ASCII, BRAILLE, Glyphs, band, draw, glyphs_for

BOTH = pytest.mark.parametrize("glyphs", [BRAILLE, ASCII], ids=["braille", "ascii"])


def columns_filled(lines: list[str], glyphs: Glyphs) -> list[int]:
    """Where there is something of the curve itself."""
    inside = [line.replace(glyphs.tick, glyphs.side).partition(glyphs.side)[2] for line in lines[:-2]]
    marks = set(glyphs.looks[1:])
    return sorted({column for line in inside for column, char in enumerate(line) if char in marks})


def test_a_slope_is_drawn_from_corner_to_corner() -> None:
    assert draw([(0.0, 0.0), (10.0, 100.0)], width=24, height=4) == [
        "100┤               ⣀⡠⠤⠒⠉",
        " 50┤          ⣀⡠⠔⠒⠉",
        "   │     ⣀⠤⠔⠊⠉",
        "  0┤⣀⠤⠒⠊⠉",
        "   └┴──────────────────┴",
        "    0                 10",
    ]


def test_a_terminal_without_braille_gets_halves() -> None:
    assert draw([(0.0, 0.0), (10.0, 100.0)], width=24, height=4, glyphs=ASCII) == [
        "100+               ...''",
        " 50+          ...''",
        "   |     ..'''",
        "  0+..'''",
        "   ++------------------+",
        "    0                 10",
    ]


@BOTH
def test_a_steep_curve_has_no_holes(glyphs: Glyphs) -> None:
    lines = draw([(0.0, 0.0), (1.0, 500.0), (9.0, -300.0), (10.0, 0.0)], width=60, height=9, glyphs=glyphs)
    assert columns_filled(lines, glyphs) == list(range(60 - lines[-2].index(glyphs.corner) - 1))


@BOTH
def test_what_is_not_known_stays_empty(glyphs: Glyphs) -> None:
    points = [(n / 10, 5.0) for n in range(100) if not 30 <= n < 70]
    columns = columns_filled(draw(points, width=62, height=5, glyphs=glyphs, gap=0.2), glyphs)
    (jump,) = [(left, right) for left, right in pairwise(columns) if right > left + 1]
    assert jump[1] - jump[0] == pytest.approx(60 * 4.1 / 9.9, abs=2)


@BOTH
def test_zero_is_marked_where_the_curve_crosses_it(glyphs: Glyphs) -> None:
    lines = draw([(0.0, -10.0), (1.0, 10.0)], width=40, height=9, glyphs=glyphs)
    (zero,) = [line for line in lines if line.lstrip().startswith(f"0{glyphs.tick}")]
    assert zero.count(glyphs.zero) > 25
    assert sum(glyphs.zero * 3 in line for line in lines[:-2]) == 1


def test_zero_belongs_to_the_range_if_asked_for() -> None:
    points = [(0.0, 500.0), (1.0, 600.0)]
    assert not any(line.startswith("  0┤") for line in draw(points, width=40, height=9))
    assert any(line.startswith("  0┤") for line in draw(points, width=40, height=9, with_zero=True))


def test_curves_of_the_same_range_and_margin_stand_exactly_above_each_other() -> None:
    points = [(0.0, 1.0), (4.0, 2.0)]
    far = [(0.0, 100_000.0), (4.0, 200_000.0)]
    floors = [draw(each, width=60, height=5, x_range=(-1.0, 5.0), margin=8)[-2:] for each in (points, far)]
    assert floors[0] == floors[1]


def test_points_outside_the_range_are_left_out() -> None:
    points = [(-5.0, 1.0), (0.0, 1.0), (1.0, 2.0), (9.0, 2.0)]
    inside = draw(points, width=40, height=5, x_range=(0.0, 1.0))
    assert inside == draw(points[1:3], width=40, height=5)


@pytest.mark.parametrize("points", [[], [(3.0, 7.0)], [(0.0, math.nan), (1.0, math.inf)]], ids=str)
def test_hardly_anything_is_drawn_too(points: list[plot.Point]) -> None:
    lines = draw(points, width=40, height=4)
    assert len(lines) == 6


def test_a_band_names_the_parts_under_a_curve() -> None:
    parts = [("start", 0.0, 0.5), ("full speed", 0.5, 5.0), ("stop", 5.0, 8.0)]
    text = band(parts, width=45, margin=4, x_range=(0.0, 10.0))
    assert text == "     │s│full speed       │stop      │"
    assert band(parts, width=45, margin=4, x_range=(0.0, 10.0), glyphs=ASCII) == text.replace("│", "|")


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", BRAILLE),
        ("UTF-16", BRAILLE),
        ("ascii", ASCII),
        ("latin-1", ASCII),
        ("cp437", ASCII),
        (None, ASCII),
        ("no-such-encoding", ASCII),
    ],
)
def test_an_encoding_that_cannot_tell_braille_gets_ascii(encoding: str | None, expected: Glyphs) -> None:
    assert glyphs_for(encoding) is expected


finite = st.floats(-1e9, 1e9)


@given(
    st.lists(st.tuples(finite, finite), max_size=30),
    st.integers(1, 120),
    st.integers(1, 20),
    st.sampled_from([BRAILLE, ASCII]),
    st.booleans(),
)
def test_any_curve_fits_its_size(
    points: list[plot.Point],
    width: int,
    height: int,
    glyphs: Glyphs,
    with_zero: bool,
) -> None:
    lines = draw(sorted(points), width=width, height=height, glyphs=glyphs, with_zero=with_zero)
    assert len(lines) == height + 2
    margin = lines[-2].index(glyphs.corner)
    assert all(len(line) <= max(width, margin + 1 + plot.NARROWEST) for line in lines)


@given(
    st.lists(st.tuples(st.text("abc ", max_size=12), finite, finite), max_size=8),
    st.integers(1, 100),
    st.tuples(finite, finite).map(sorted).filter(lambda both: both[1] - both[0] > 1e-3),
)
def test_any_band_fits_its_width(
    parts: list[tuple[str, float, float]], width: int, x_range: list[float]
) -> None:
    assert len(band(parts, width=width, margin=5, x_range=(x_range[0], x_range[1]))) <= max(width, 14)
