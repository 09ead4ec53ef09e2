"""Reading of bodies, texts and options, beside what test_app asks over HTTP."""

import asyncio
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.serve.limits import Limits
from nlpkit.serve.problems import RequestError
from nlpkit.serve.requests import options_of, read_json, texts_of

JSON = {"content-type": "application/json; charset=utf-8"}


class Headers(list):
    """Headers in which a name may come twice, as in Starlette."""

    def items(self):
        return self

    def get(self, name, default=None):
        return dict(self).get(name, default)


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


TEXT = '{"text": "中文"}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty; send a JSON object, such as"),
        (b" \r\n\t", "the body is empty"),
        (TEXT.encode("gb18030"), r"not valid UTF-8 at byte 11 \(0xd6\); encode it as UTF-8"),
        (TEXT.encode("utf-16"), r"not valid UTF-8 at byte 1 \(0xff\)"),
        (TEXT.encode("utf-16-le"), "not valid"),
        (TEXT.encode("utf-8-sig"), "byte order mark"),
        (gzip.compress(TEXT.encode()), "not valid UTF-8"),
        (b'{"text": "\xed\xa0\x80"}', "not valid UTF-8"),  # half of a surrogate pair
        (rb'{"text": "\ud800"}', "surrogate"),
        (rb'{"text": "\udc00\ud800"}', "not valid JSON"),
        (b'{"text": "a\0b"}', "not valid JSON"),
        (b'{"text": "a", "threshold": NaN}', "not valid JSON"),
        (b'{"text": "a", "threshold": -Infinity}', "not valid JSON"),
        (b'{"text": "a", "threshold": 1e999}', "not valid JSON"),
        (b'{"text": "a", "k": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"text": "a",}', "not valid JSON"),
        (b"{'text': 'a'}", "not valid JSON"),
        (b'{"text": "a"} {}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"text": "a", "text": "b"}', "the field 'text' is given twice; give it once"),
        (rb'{"text": "a", "t\u0065xt": "b"}', "the field 'text' is given twice"),
        (b'{"tasks": [{"data": {"text": "a", "text": "b"}}]}', "the field 'text' is given twice"),
        (b'["a"]', "must be a JSON object, such as"),
        (b"null", "must be a JSON object"),
        (b"1", "must be a JSON object"),
    ],
    ids=range(25),
)
def test_a_body_that_is_no_json_object_of_its_own_kind(body, message):
    with pytest.raises(RequestError, match=message) as error:
        read(Incoming(body))
    assert (error.value.status, error.value.code) == (422, "invalid")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "send the header Content-Type: application/json"),
        ({"content-type": ""}, "send the header"),
        ({"content-type": "application/json, text/plain"}, "send the header"),
        ({"content-type": "text/json"}, "send the header"),
        ({"content-type": "application/json; charset=gbk"}, "must be in UTF-8, not gbk; convert it"),
        ({"content-type": 'application/json;Charset="UTF-16"'}, "must be in UTF-8, not UTF-16"),
        ({**JSON, "content-encoding": "gzip"}, r"must not be compressed \(gzip\); leave out Content-Encoding"),
        ({**JSON, "content-encoding": "br, gzip"}, "must not be compressed"),
        (Headers([("content-type", "application/json"), ("content-type", "text/plain")]), "send the header"),
    ],
)
def test_a_body_in_another_form_is_refused(headers, message):
    with pytest.raises(RequestError, match=message) as error:
        read(Incoming(TEXT.encode(), headers=headers))
    assert error.value.status == 415


@pytest.mark.parametrize(
    "kind", ["application/json", 'Application/JSON; charset="utf-8"', "application/json;charset=UTF8"]
)
def test_json_in_utf8_may_be_declared_in_any_way(kind):
    headers = {"content-type": kind, "content-encoding": "identity"}
    assert read(Incoming(TEXT.encode(), headers=headers)) == {"text": "中文"}
    assert read(Incoming(json.dumps({"text": "👍\0"}).encode(), headers=headers)) == {"text": "👍\0"}


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
    for body in ({"k": 0}, {"k": 1001}, {"k": 2.5}, {"k": "3"}, {"k": True}):
        with pytest.raises(RequestError, match="the field 'k' must be a whole number from 1 to 1,000"):
            options_of(body, known, ["text"])
    for body in ({"threshold": 1}, {"threshold": None}, {"threshold": 0}, {"threshold": "0.5"}):
        with pytest.raises(RequestError, match=r"the field 'threshold' must be a number from 0\.001 to 0\.999"):
            options_of(body, known, ["text"])
