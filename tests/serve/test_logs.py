"""Lines of the log are JSON, whatever the message is."""

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi")

from nlpkit.serve.logs import JsonFormatter, set_up_logging


def record(message, error=None, **extra):
    return logging.makeLogRecord(
        {"msg": message, "levelname": "INFO", "created": 1.5, "exc_info": error and (type(error), error, None), **extra}
    )


@given(message=st.text(st.characters(exclude_categories=())))  # half of a surrogate pair, too
def test_a_line_is_one_json_object(message):
    line = JsonFormatter().format(record(message, fields={"status": 200}))
    assert line.count("\n") == 0
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:01.500+00:00", "level": "info", "message": message, "status": 200,
    }  # fmt: skip


def test_an_error_has_its_traceback():
    line = json.loads(JsonFormatter().format(record("failed", ValueError("why"))))
    assert line["traceback"] == "ValueError: why"


@pytest.mark.parametrize(("log_requests", "count"), [(True, 1), (False, 0)])
def test_requests_are_logged_if_wanted(monkeypatch, capsys, log_requests, count):
    names = ("nlpkit.serve", "uvicorn")
    before = [(logging.getLogger(name).handlers, logging.getLogger(name).propagate) for name in names]
    try:
        set_up_logging(log_requests)
        logging.getLogger("nlpkit.serve").info("a request")
        sys.stderr.flush()
        assert capsys.readouterr().err.count("a request") == count
    finally:
        for name, (handlers, propagate) in zip(names, before, strict=True):
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(logging.NOTSET)
