"""Errors of a service as HTTP responses, in the shape of OpenAI's."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class RequestError(Exception):
    """A request that is not answered.

    Attributes:
        status: HTTP status.
        code: a word for programs.
        message: what is wrong and how to fix it.
        param: the field of the body, if one is wrong.
        headers: of the response.
    """

    status: int
    code: str
    message: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, message: str) -> dict[str, Any]:
        """Return the body of the response, with the message in the language of the client."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        if self.status == 429:
            kind = "rate_limit_error"
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}


def invalid(message: str, param: str | None = None) -> RequestError:
    """Return the problem of a body that is not valid."""
    return RequestError(422, "invalid", message, param)
