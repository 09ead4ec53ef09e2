"""Validation of JSON values against type hints, field by field.

>>> conform({"labels": ["人名"], "threshold": 0.4}, Settings)      # Settings is a dataclass
Settings(labels=('人名',), threshold=0.4)
>>> conform({"labels": ["人名"], "threshold": "0.4"}, Settings)
ValueError: threshold must be a number, not a string
"""

import math
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, TypeVar, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

T = TypeVar("T")
_MAX_INTEGER = 2**63  # exclusive bound of whole numbers
_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null",
          list: "a list", dict: "an object"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Within:
    """The bounds of a number, for `Annotated`; both are allowed values unless `open`."""

    low: float
    high: float = math.inf
    open: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low < value < self.high if self.open else self.low <= value <= self.high

    def __str__(self) -> str:
        if self.open:
            return f"between {self.low} and {self.high}"
        return f"{self.low} or more" if self.high >= 2**31 - 1 else f"from {self.low} to {self.high}"


class NotEmpty:
    """At least one item, for `Annotated` lists and tuples."""


Count = Annotated[int, Within(0)]
Size = Annotated[int, Within(1)]
Probability = Annotated[float, Within(0, 1, open=True)]


def conform(value: Any, hint: type[T], where: str = "") -> T:
    """Return a JSON value converted to the type of a hint.

    Lists become tuples for a tuple hint. Objects become dataclasses, without unknown fields, for a dataclass hint; for
    a TypedDict they stay dicts, whose other fields are not changed. A number is never a bool, NaN or infinity.

    Args:
        value: of a JSON file.
        hint: str, int, float, bool, None, Any, Literal, Union, list, dict, tuple, a dataclass or a TypedDict; numbers
            may be `Annotated` with bounds (`Within`), lists and tuples with `NotEmpty`.
        where: name of the field, for messages.

    Raises:
        ValueError: the value does not fit; the message names the field.
    """
    result: T = _conform(value, hint, where)
    return result


def _conform(value: Any, hint: Any, where: str) -> Any:
    origin: Any = get_origin(hint)
    arguments = get_args(hint)
    if hint is Any:
        return value
    if origin is NotRequired:
        return _conform(value, arguments[0], where)
    if origin is Annotated:
        result = _conform(value, arguments[0], where)
        if any(isinstance(bound, Within) and result not in bound for bound in arguments[1:]):
            raise _misfit(where, " and ".join(map(str, arguments[1:])), value)
        if not result and any(isinstance(bound, NotEmpty) for bound in arguments[1:]):
            raise ValueError(f"{where or 'it'} must not be empty")
        return result
    if origin in (Union, UnionType):
        return _any_of(value, arguments, where)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in arguments):
            raise _misfit(where, "one of " + ", ".join(map(str, arguments)), value)
        return value
    if is_dataclass(hint) or is_typeddict(hint):
        return _object(value, hint, where)
    if origin is tuple and type(value) is list:
        return _tuple(value, arguments, where)
    return _plain(value, origin or hint, arguments, where)


def _plain(value: Any, kind: Any, arguments: tuple[Any, ...], where: str) -> Any:
    """Convert to a type of JSON."""
    expected: Any = list if kind is tuple else kind
    if kind is float and type(value) is int and abs(value) < _MAX_INTEGER:
        return float(value)
    if type(value) is not expected:
        raise _misfit(where, _NAMES[expected], value)
    if (kind is float and not math.isfinite(value)) or (kind is int and abs(value) >= _MAX_INTEGER):
        raise _misfit(where, _NAMES[kind], value)
    if arguments and kind is list:
        return [_conform(item, arguments[0], f"{where}[{index}]") for index, item in enumerate(value)]
    if arguments and kind is dict:
        return {key: _conform(item, arguments[1], _inside(where, key)) for key, item in value.items()}
    return value


def _any_of(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    """Convert to the first of several hints that fits; the error is that of the first one."""
    problem = None
    for hint in hints:
        try:
            return _conform(value, hint, where)
        except ValueError as error:
            problem = problem or error
    raise problem or ValueError(where)


def _tuple(value: list[Any], hints: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = hints[:1] * len(value)
    if len(hints) != len(value):
        raise _misfit(where, f"a list of {len(hints)}", value)
    pairs = zip(value, hints, strict=True)
    return tuple(_conform(item, hint, f"{where}[{index}]") for index, (item, hint) in enumerate(pairs))


def _object(value: Any, kind: Any, where: str) -> Any:
    if type(value) is not dict:
        raise _misfit(where, "an object", value)
    if is_typeddict(kind):
        hints, needed = _hints(kind), kind.__required_keys__
    else:
        declared = {field.name: field for field in fields(kind) if field.init}
        hints = {name: _hints(kind)[name] for name in declared}
        needed = {name for name, field in declared.items() if field.default is field.default_factory is MISSING}
        if unknown := [name for name in value if name not in declared]:
            raise ValueError(f"unknown field {_inside(where, unknown[0])!r}")
    if missing := sorted(name for name in needed if name not in value):
        raise ValueError(f"no field {_inside(where, missing[0])}")
    result = {name: _conform(value[name], hint, _inside(where, name)) for name, hint in hints.items() if name in value}
    return {**value, **result} if is_typeddict(kind) else kind(**result)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _inside(where: str, name: str) -> str:
    return f"{where}.{name[:80]}" if where else name[:80]


def _misfit(where: str, expected: str, value: Any) -> ValueError:
    is_short = isinstance(value, (int, float)) and len(repr(value)) < 30
    return ValueError(f"{where or 'it'} must be {expected}, not {repr(value) if is_short else _NAMES[type(value)]}")
