"""Errors in the shape of OpenAI's."""

import pytest

from nlpkit.serve.problems import RequestError, invalid


@pytest.mark.parametrize(
    ("status", "kind"),
    [(422, "invalid_request_error"), (413, "invalid_request_error"), (429, "rate_limit_error"), (503, "server_error")],
)
def test_the_body_has_the_kind_of_the_status(status, kind):
    body = RequestError(status, "word", "what; cure", "input").body("what; cure")
    assert body == {"error": {"message": "what; cure", "type": kind, "param": "input", "code": "word"}}


def test_what_is_not_valid_names_its_field():
    error = invalid("what", "text")
    assert (error.status, error.code, error.param, error.headers) == (422, "invalid", "text", {})
