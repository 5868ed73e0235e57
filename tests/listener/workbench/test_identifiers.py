"""Identifiers as people write them, and what lies in them."""

import contextlib
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.raw_frame import Flag
from listener.workbench.identifiers import (
    EXTENDED,
    EXTENDED_MAX,
    STANDARD_MAX,
    Identifier,
    IdFilter,
    identifier,
    is_extended,
    j1939_number,
    number_of,
    of_frame,
    parse_identifier,
    parse_j1939,
    pgn_of,
    text_of,
)

STANDARD = st.integers(0, STANDARD_MAX).map(identifier)
EXTENDEDS = st.integers(0, EXTENDED_MAX).map(lambda number: identifier(number, True))
IDENTIFIERS = STANDARD | EXTENDEDS


def ids(numbers: Iterable[int]) -> list[Identifier]:
    return [Identifier(number) for number in numbers]


def test_the_kind_belongs_to_the_identifier() -> None:
    standard, extended = identifier(0x100), identifier(0x100, True)

    assert standard != extended
    assert number_of(standard) == number_of(extended) == 0x100
    assert (is_extended(standard), is_extended(extended)) == (False, True)
    assert (of_frame(0x100, Flag.FD), of_frame(0x100, Flag.FD | Flag.EXTENDED)) == (standard, extended)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0x100", 0x100),
        ("0X7fF", 0x7FF),
        (" 0x0 ", 0),
        ("100x", EXTENDED | 0x100),
        ("0x100x", EXTENDED | 0x100),
        ("18FEF100x", EXTENDED | 0x18FEF100),
        ("18fef100X", EXTENDED | 0x18FEF100),
        ("0x18FEF100", EXTENDED | 0x18FEF100),
        ("0x800", EXTENDED | 0x800),
        ("1FFFFFFFx", EXTENDED | EXTENDED_MAX),
    ],
)
def test_an_identifier_is_read_as_it_is_written(text: str, expected: int) -> None:
    assert parse_identifier(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not an identifier such as 0x100 or 18FEF100x"),
        ("wat", "'wat' is not an identifier"),
        ("300", "'300' is not clear: 0x and hexadecimal digits, or an x at the end if extended"),
        ("18FEF100", "'18FEF100' is not clear"),
        ("0x20000000", "'0x20000000' is more than 29 bits"),
        ("F" * 10_000 + "x", "is not an identifier|is more than 29 bits"),
        ("-0x1", "'-0x1' is not an identifier"),
        ("0x1_0", "'0x1_0' is not an identifier"),
        ("0x1٣", "is not an identifier"),
        ("0x\n1", "'0x\N{REPLACEMENT CHARACTER}1' is not an identifier"),
    ],
)
def test_what_is_no_identifier_is_named(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_identifier(text)

    assert len(str(caught.value)) < 200


@given(IDENTIFIERS)
def test_an_identifier_is_written_as_it_is_read(one: Identifier) -> None:
    assert parse_identifier(text_of(one)) == one


@pytest.mark.parametrize(
    ("number", "extended", "reason"),
    [
        (0x800, False, "0x800 is not in 0…0x7ff, the 11 bits of a standard identifier"),
        (0x2000_0000, True, "0x20000000 is not in 0…0x1fffffff, the 29 bits of an extended identifier"),
        (-1, True, "-0x1 is not in"),
    ],
)
def test_a_number_that_is_too_large_is_refused(number: int, extended: bool, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        identifier(number, extended)


# Filters


def test_a_filter_lets_through_what_it_names() -> None:
    wanted = IdFilter.parse("0x100-0x1FF, 0x300,18FEF100x")
    extended = identifier(0x18FEF100, True)

    assert all(each in wanted for each in [*ids([0x100, 0x180, 0x1FF, 0x300]), extended])
    others = [*ids([0, 0xFF, 0x200, 0x2FF, 0x301]), identifier(0x100, True), Identifier(extended + 1)]
    assert not any(each in wanted for each in others)


def test_an_empty_filter_lets_everything_through() -> None:
    wanted = IdFilter.parse(" ")

    assert all(each in wanted for each in ids([0, 0x7FF, EXTENDED, EXTENDED | EXTENDED_MAX]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0x100,,0x200", "there is nothing between two commas"),
        ("0x100,", "there is nothing between two commas"),
        ("0x100,wat,0x200", "'wat' is not an identifier"),
        ("0x200-0x100", "'0x200-0x100': the first end is above the second"),
        ("0x700-0x900", "'0x700-0x900': one end is standard, the other extended (00000900x)"),
        ("0x1-0x2-0x3", "'0x1-0x2-0x3' has more than two ends"),
        ("0x1-", "'' is not an identifier"),
        (",".join(["0x1"] * 1001), "more than 1000 parts"),
    ],
)
def test_a_wrong_filter_names_the_part(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        IdFilter.parse(text)


@given(st.lists(st.tuples(IDENTIFIERS, IDENTIFIERS), max_size=12), st.lists(IDENTIFIERS, min_size=1))
def test_a_filter_is_the_union_of_its_parts(
    ends: list[tuple[Identifier, Identifier]], asked: list[Identifier]
) -> None:
    pairs = [sorted(pair) for pair in ends if is_extended(pair[0]) == is_extended(pair[1])]
    wanted = IdFilter((first, last) for first, last in pairs)

    for one in [*asked, *(Identifier(each + step) for pair in pairs for each in pair for step in (-1, 0, 1))]:
        assert (one in wanted) == any(first <= one <= last for first, last in pairs)


@given(st.text())
def test_any_text_is_a_filter_or_an_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        IdFilter.parse(text)


# J1939


@pytest.mark.parametrize(
    ("number", "priority", "pgn", "destination", "source"),
    [
        (0x18FEF100, 6, 0xFEF1, None, 0x00),  # cruise control and vehicle speed, from the engine
        (0x0CF00400, 3, 0xF004, None, 0x00),  # electronic engine controller 1
        (0x18EA1F03, 6, 0xEA00, 0x1F, 0x03),  # a request to one address
        (0x1DFFFFFE, 7, 0x1FFFF, None, 0xFE),  # data page 1
    ],
)
def test_what_j1939_reads_in_an_identifier(
    number: int, priority: int, pgn: int, destination: int | None, source: int
) -> None:
    assert parse_j1939(number) == (priority, pgn, destination, source)
    assert pgn_of(number) == pgn
    again = j1939_number(pgn, source, priority=priority, destination=destination or 0)
    assert again == number


@given(st.integers(0, EXTENDED_MAX))
def test_every_extended_identifier_can_be_read_by_j1939_and_back(number: int) -> None:
    priority, pgn, destination, source = parse_j1939(number)

    assert number == j1939_number(pgn, source, priority=priority, destination=destination or 0)


@pytest.mark.parametrize(("pgn", "source"), [(0x40000, 0), (0xFEF1, 256), (-1, 0), (0xEA1F, 0)])
def test_what_is_no_parameter_group_is_refused(pgn: int, source: int) -> None:
    with pytest.raises(ValueError, match=r"no J1939 identifier|no parameter group"):
        j1939_number(pgn, source)
