"""Reading of bodies, texts and options, beside what test_app asks over HTTP."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.serve.limits import Limits
from nlpkit.serve.problems import RequestError
from nlpkit.serve.requests import options_of, read_json, texts_of

JSON = {"content-type": "application/json; charset=utf-8"}


class Incoming:
    """A request whose body comes in pieces, with pauses."""

    def __init__(self, *pieces, headers=JSON, pause=0.0):
        self.headers, self._pieces, self._pause = headers, pieces, pause

    async def stream(self):
        for piece in self._pieces:
            await asyncio.sleep(self._pause)
            yield piece


def read(incoming, **limits):
    return asyncio.run(read_json(incoming, Limits(**limits)))


@given(value=st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=9), st.integers(-9, 9), st.none())))
def test_a_body_in_pieces_is_the_object(value):
    content = json.dumps(value).encode()
    assert read(Incoming(content[:3], content[3:], b"")) == value


def test_a_body_is_read_up_to_its_limit():
    with pytest.raises(RequestError) as error:
        read(Incoming(*[b"x" * 10] * 20), max_body=100)
    assert (error.value.status, error.value.code) == (413, "body_too_large")
    with pytest.raises(RequestError) as error:
        read(Incoming(headers={**JSON, "content-length": "101"}), max_body=100)
    assert error.value.status == 413


def test_a_slow_body_is_refused():
    with pytest.raises(RequestError, match=r"did not arrive within 0\.05 seconds \(--body-timeout\)") as error:
        read(Incoming(*[b" "] * 100, pause=0.02), body_timeout=0.05)
    assert error.value.status == 408


def test_texts_may_be_empty_but_not_of_another_type():
    assert texts_of({"text": ""}, "text", Limits()) == ([""], False)
    assert texts_of({"texts": []}, "texts", Limits()) == ([], True)
    for value in (None, 5, {"a": "b"}, [["a"]], ["a", 1]):
        with pytest.raises(RequestError, match="must be a text or a list of texts"):
            texts_of({"texts": value}, "texts", Limits())


def test_options_are_sorted_and_have_their_types():
    known = {"threshold": float, "k": int, "explain": bool}
    assert options_of({"text": "", "threshold": 0.5, "k": 3}, known, ["text"]) == (("k", 3), ("threshold", 0.5))
    assert options_of({"text": ""}, known, ["text"]) == ()
    assert options_of({"explain": True}, known, ["text"]) == (("explain", True),)
    with pytest.raises(RequestError, match="'explain' must be true or false"):
        options_of({"explain": 1}, known, ["text"])
    for body in ({"k": 0}, {"k": 1001}, {"k": 2.5}, {"k": "3"}, {"k": True}, {"threshold": 1}, {"threshold": None}):
        with pytest.raises(RequestError, match="must be a number"):
            options_of(body, known, ["text"])
