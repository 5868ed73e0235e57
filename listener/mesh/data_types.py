"""What nodes measure: the data types of a project, and the numbers behind their octets.

Pure. A project's own stand in a JSON file, as the field has it, with more keys where a number is more than
its octets: {"Sequence": {"ID": 0, "Length": 1}, "Temperature": {"ID": 2, "Length": 2, "Kind": "int",
"Scale": 0.01, "Unit": "°C"}}. What is wrong in it is a `DefinitionError` that names the type and the key.
"""

import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from listener.wording import did_you_mean, one_line

_INTEGER_MAX: Final = 8  # octets
_FLOATS: Final = {2: ">e", 4: ">f", 8: ">d"}
_NAME: Final = re.compile(r"(?![0-9]+\Z)[\w .:-]{1,64}\Z")  # of digits alone is an ID

Value = float | int | str | None


class DefinitionError(ValueError):
    """In a file of the project: data types or opcodes."""


@dataclass(frozen=True, slots=True)
class DataType:
    """Scale and offset make a physical value of a number: raw × scale + offset."""

    name: str
    id: int
    length: int  # octets
    kind: str = "auto"
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""

    def value(self, data: bytes) -> Value:
        """None: no number (NaN), or octets of another length, stored when the type was another."""
        return _KINDS[self.kind](self, data) if len(data) == self.length else None


def _uint(kind: DataType, data: bytes) -> Value:
    return _scaled(kind, int.from_bytes(data))


def _int(kind: DataType, data: bytes) -> Value:
    return _scaled(kind, int.from_bytes(data, signed=True))


def _scaled(kind: DataType, number: int) -> Value:
    """In decimal: 2347 × 0.01 is 23.47."""
    if kind.scale == 1 and kind.offset == 0:
        return number
    return _finite(float(number * Decimal(str(kind.scale)) + Decimal(str(kind.offset))))


def _float(kind: DataType, data: bytes) -> Value:
    (number,) = struct.unpack(_FLOATS[kind.length], data)
    return _finite(number * kind.scale + kind.offset)


def _finite(number: float) -> Value:
    return number if math.isfinite(number) else None


def _text(_kind: DataType, data: bytes) -> Value:
    return data.partition(b"\0")[0].decode(errors="replace")


def _hex(_kind: DataType, data: bytes) -> Value:
    return data.hex()


def _auto(kind: DataType, data: bytes) -> Value:
    return (_uint if kind.length <= _INTEGER_MAX else _hex)(kind, data)


_KINDS: Final[dict[str, Callable[[DataType, bytes], Value]]] = {
    "auto": _auto,
    "uint": _uint,
    "int": _int,
    "float": _float,
    "text": _text,
    "hex": _hex,
}


class DataTypes:
    """Those of a project, by both of their keys."""

    def __init__(self, types: Iterable[DataType]) -> None:
        self.by_id: dict[int, DataType] = {}
        self.by_name: dict[str, DataType] = {}
        for one in types:
            if one.name in self.by_name:
                raise DefinitionError(f"{one.name} is defined twice")
            other = self.by_id.setdefault(one.id, one)
            if other is not one:
                raise DefinitionError(f"{one.name}: ID {one.id} is that of {other.name}")
            self.by_name[one.name] = one

    def find(self, told: str) -> DataType | None:
        """By its name, or by its ID in digits."""
        if told.isdecimal() and len(told) <= 3:
            return self.by_id.get(int(told))
        return self.by_name.get(told)


DEFAULT: Final = DataTypes(
    (
        DataType("Sequence", 0, 1),
        DataType("GPS", 1, 6, "hex"),
        DataType("Temperature", 2, 2, "int", scale=0.01, unit="°C"),
        DataType("Pressure", 3, 4, "uint", unit="Pa"),
        DataType("Battery", 4, 2, "uint", scale=0.001, unit="V"),
        DataType("Humidity", 5, 2, "uint", scale=0.01, unit="%"),
    )
)


def parse(text: bytes | str) -> DataTypes:
    return DataTypes(_data_type(name, keys) for name, keys in pairs(text))


def pairs(text: bytes | str) -> list[tuple[str, Any]]:
    """The members of a file's JSON object. Their names are good ones; none is there twice."""
    try:
        # As pairs, for a name that is given twice would be lost otherwise.
        found = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_no_constant)
    # RecursionError: nested deeper than Python's stack; UnicodeDecodeError is a ValueError.
    except (ValueError, RecursionError) as exc:
        raise DefinitionError(f"is no JSON: {one_line(str(exc))}") from exc
    if not isinstance(found, _Pairs):
        raise DefinitionError("is no JSON object")
    for name, _ in found:
        if not _NAME.match(name):
            raise DefinitionError(
                f'"{one_line(name[:80])}": a name is 1 to 64 letters, digits, spaces and _.:-, no number'
            )
    return found


class _Pairs(list[tuple[str, Any]]):
    pass


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _data_type(name: str, keys: Any) -> DataType:
    if not isinstance(keys, _Pairs):
        raise DefinitionError(f'{name}: is not an object such as {{"ID": 0, "Length": 1}}')
    given: dict[str, Any] = {}
    for key, value in keys:
        if key not in _KEYS:
            raise DefinitionError(f'{name}: unknown key "{one_line(key[:80])}"{did_you_mean(key, _KEYS)}')
        if key in given:
            raise DefinitionError(f"{name}: {key} is given twice")
        fits, rule = _KEYS[key]
        if not fits(value):
            raise DefinitionError(f"{name}: {key} must be {rule}")
        given[key] = value
    for key in ("ID", "Length"):
        if key not in given:
            raise DefinitionError(f"{name}: {key} is missing")
    _check_kind(name, given)
    return DataType(
        name,
        given["ID"],
        given["Length"],
        given.get("Kind", "auto"),
        float(given.get("Scale", 1)),
        float(given.get("Offset", 0)),
        given.get("Unit", ""),
    )


def _check_kind(name: str, given: Mapping[str, Any]) -> None:
    kind, length = given.get("Kind", "auto"), given["Length"]
    if kind in ("int", "uint") and length > _INTEGER_MAX:
        raise DefinitionError(f"{name}: Length must be 1 to {_INTEGER_MAX} for {kind}")
    if kind == "float" and length not in _FLOATS:
        raise DefinitionError(f"{name}: Length must be 2, 4 or 8 for float")
    if kind in ("text", "hex") or (kind == "auto" and length > _INTEGER_MAX):
        for key in ("Scale", "Offset"):
            if key in given:
                raise DefinitionError(f"{name}: {key} is for numbers, and this is none")


def _whole(low: int, high: int) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
        f"a whole number from {low} to {high}",
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 1e100


_KEYS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "ID": _whole(0, 255),
    "Length": _whole(1, 255),
    "Kind": (lambda value: isinstance(value, str) and value in _KINDS, f"one of {', '.join(_KINDS)}"),
    "Scale": (lambda value: _is_number(value) and value != 0, "a number other than 0"),
    "Offset": (_is_number, "a number"),
    "Unit": (
        lambda value: isinstance(value, str) and len(value) <= 16 and value.isprintable(),
        "a text of up to 16 letters",
    ),
}
