"""The log of a service: a JSON object on a line of stderr for each request and each fault, without texts."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: `time` in UTC, `level`, `message`, and the fields that were logged with it.

    Fields are given as `log.info("…", extra={"fields": {"status": 200}})`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)  # in ASCII, so that any terminal and any message will do


def set_up_logging(log_requests: bool) -> None:
    """Write the logs of the service, and the errors of its server, to stderr.

    Args:
        log_requests: whether to log each request.
    """
    handler: Any = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name, level in (
        ("nlpkit.serve", logging.INFO if log_requests else logging.WARNING),
        ("uvicorn", logging.ERROR),
    ):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
