"""JSON values against declared shapes: what fits is converted, and what does not is named."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, NotRequired

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import TypedDict

from nlpkit.core.io.json_shapes import Count, NotEmpty, Probability, Size, Within, conform


@dataclass(frozen=True)
class Inner:
    name: str
    size: Size = 3


@dataclass(frozen=True)
class Outer:
    labels: tuple[str, ...]
    inner: Inner
    pair: tuple[int, str] = (1, "a")
    kind: Literal["one", 2] = "one"
    threshold: Probability = 0.5
    maybe: int | None = None
    table: dict[str, list[float]] = field(default_factory=dict)
    made: int = field(default=0, init=False)


class Loose(TypedDict):
    size: Count
    name: NotRequired[str]


SMALLEST = {"labels": ["人名"], "inner": {"name": "x"}}


def test_lists_become_tuples_and_objects_dataclasses():
    value = {
        **SMALLEST,
        "pair": [7, "b"],
        "kind": 2,
        "threshold": 0.25,
        "maybe": 4,
        "table": {"甲": [1, 2.5]},
    }
    assert conform(SMALLEST, Outer) == Outer(("人名",), Inner("x"))
    assert conform(value, Outer) == Outer(("人名",), Inner("x"), (7, "b"), 2, 0.25, 4, {"甲": [1.0, 2.5]})
    assert type(conform(value, Outer).table["甲"][0]) is float


def test_a_typed_dict_stays_one_and_keeps_other_fields():
    assert conform({"size": 0, "more": [1]}, Loose) == {"size": 0, "more": [1]}
    assert conform([{"size": 1, "name": "x"}], list[Loose]) == [{"size": 1, "name": "x"}]


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        (1, str, "it must be a string, not 1"),
        ("1", int, "it must be a whole number, not a string"),
        (1.0, int, "it must be a whole number, not 1.0"),
        (True, int, "it must be a whole number, not True"),
        (2**63, int, "it must be a whole number, not 9223372036854775808"),
        (10**400, int, "it must be a whole number, not a whole number"),
        (True, float, "it must be a number, not True"),
        (math.nan, float, "it must be a number, not nan"),
        (-math.inf, float, "it must be a number, not -inf"),
        (2**63, float, "it must be a number, not 9223372036854775808"),
        (0, bool, "it must be true or false, not 0"),
        (0, None | str, "it must be null, not 0"),
        ({}, list[int], "it must be a list, not an object"),
        ([1, "2"], list[int], r"\[1\] must be a whole number, not a string"),
        ({"a": {"b": None}}, dict[str, dict[str, int]], "a.b must be a whole number, not null"),
        ([1], tuple[int, str], "it must be a list of 2, not a list"),
        (1, tuple[int, ...], "it must be a list, not 1"),
        ([1, 2.5], tuple[int, ...], r"\[1\] must be a whole number, not 2.5"),
        (True, Literal[1, "a"], "it must be one of 1, a, not True"),
        ("b", Literal[1, "a"], "it must be one of 1, a, not a string"),
        (0, Size, "it must be 1 or more, not 0"),
        (-1, Count, "it must be 0 or more, not -1"),
        (1.0, Probability, "it must be between 0 and 1, not 1.0"),
        (0, Probability, "it must be between 0 and 1, not 0"),
        (4, Annotated[int, Within(1, 3)], "it must be from 1 to 3, not 4"),
        ([], Annotated[tuple[str, ...], NotEmpty()], "it must not be empty"),
        (2, Annotated[int, Within(3, 2**31 - 1)], "it must be 3 or more, not 2"),
        (0, Annotated[int, Within(1, 2**31 - 2)], "it must be from 1 to 2147483646, not 0"),
        ([], Inner, "it must be an object, not a list"),
        ({}, Inner, "no field name"),
        ({"name": "x", "nam": 1}, Inner, "unknown field 'nam'"),
        ({"name": "x", "n" * 200: 1}, Inner, f"unknown field '{'n' * 80}'"),
        ({"name": "x"}, Loose, "no field size"),
        ({"size": 1, "name": 2}, Loose, "name must be a string, not 2"),
        ({**SMALLEST, "inner": {"name": "x", "size": 0}}, Outer, "inner.size must be 1 or more, not 0"),
        ({**SMALLEST, "made": 1}, Outer, "unknown field 'made'"),
        ({**SMALLEST, "labels": ["a", {}]}, Outer, r"labels\[1\] must be a string, not an object"),
        ({**SMALLEST, "maybe": "x"}, Outer, "maybe must be a whole number, not a string"),
    ],
)
def test_what_does_not_fit_is_named(value, hint, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        conform(value, hint)


def test_the_name_of_the_field_is_part_of_the_message():
    with pytest.raises(ValueError, match=r"^config\.labels\[0\] must be a string, not 1$"):
        conform({**SMALLEST, "labels": [1]}, Outer, "config")


def test_anything_is_any():
    value = {"a": [math.nan, None]}
    assert conform(value, Any) is value


outers = st.builds(
    Outer,
    st.lists(st.text()).map(tuple),
    st.builds(Inner, st.text(), st.integers(1, 2**63 - 1)),
    st.tuples(st.integers(-(2**63) + 1, 2**63 - 1), st.text()),
    st.sampled_from(["one", 2]),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.none() | st.integers(0, 9),
    st.dictionaries(st.text(), st.lists(st.floats(allow_nan=False, allow_infinity=False))),
)


def as_json(outer):
    return json.loads(json.dumps({name: value for name, value in asdict(outer).items() if name != "made"}))


@settings(max_examples=50)
@given(outers)
def test_settings_come_back_from_json(outer):
    assert conform(as_json(outer), Outer) == outer


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["labels", "inner", "name"]), inner),
    max_leaves=6,
)


@settings(max_examples=50)
@given(outers, st.sampled_from(["labels", "inner", "pair", "kind", "threshold", "maybe", "table"]), junk)
def test_any_other_value_fits_or_is_one_line(outer, name, value):
    message = name
    try:
        conform(as_json(outer) | {name: value}, Outer)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
    assert name in message
