"""The tree of errors: exit codes, and where a message says that it happened."""

import inspect
import re

import pytest

from nlpkit import errors
from nlpkit.errors import DataError, ModelError, NlpkitError, OutputError, UsageError

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, NlpkitError)]


@pytest.mark.parametrize(
    ("kind", "code"), [(NlpkitError, 1), (UsageError, 2), (DataError, 1), (ModelError, 1), (OutputError, 1)]
)
def test_an_exit_code_for_each(kind, code):
    assert issubclass(kind, NlpkitError)
    assert kind("wrong").exit_code == code
    assert str(kind("wrong")) == "wrong"


def test_the_tree_in_the_docstring_is_complete():
    drawn = {name: int(code) for name, code in re.findall(r"(\w+Error) +exit (\d)", errors.__doc__)}
    assert drawn == {kind.__name__: kind.exit_code for kind in CLASSES}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((), "no text"),
        (("a.txt",), "a.txt: no text"),
        (("a.txt", 7), "a.txt:7: no text"),
        (("<stdin>", 1), "<stdin>:1: no text"),
    ],
)
def test_a_data_error_says_where(place, expected):
    error = DataError("no text", *place)
    assert str(error) == expected
    assert (error.message, error.source, error.line) == ("no text", *(*place, None, None)[:2])
