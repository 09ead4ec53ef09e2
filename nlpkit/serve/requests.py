"""Reading of requests: JSON bodies within limits, without a schema library, so that each message names its cure."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from nlpkit.serve.limits import Limits
from nlpkit.serve.problems import RequestError, invalid

JSON = "application/json"
_BOUNDS = {"threshold": (0.001, 0.999), "k": (1, 1000)}


class Incoming(Protocol):
    """What is needed of a request of Starlette."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers."""

    def stream(self) -> AsyncIterator[bytes]:
        """Yield the body."""


async def read_json(request: Incoming, limits: Limits) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Raises:
        RequestError: another content type (415), too large (413), too slow (408), or no JSON object (422).
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != JSON:  # also keeps pages of other sites from sending requests without permission
        raise RequestError(415, "content_type", f"the body must be JSON; send the header Content-Type: {JSON}")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.max_body:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_timeout):
            body = bytearray()
            async for piece in request.stream():
                body += piece
                if len(body) > limits.max_body:
                    raise _too_large(limits)
    except TimeoutError:
        message = f"the body did not arrive within {limits.body_timeout:g} seconds (--body-timeout)"
        raise RequestError(408, "slow_body", message) from None
    try:
        value = orjson.loads(bytes(body))
    except orjson.JSONDecodeError as error:
        raise invalid(f"the body is not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise invalid(f"the body must be a JSON object, this is {type(value).__name__}")
    return value


def texts_of(body: Mapping[str, Any], name: str, limits: Limits) -> tuple[list[str], bool]:
    """Return the texts in a field, and whether it is a list.

    Raises:
        RequestError: it is missing, not a text or a list of texts (422), or beyond a limit (413).
    """
    value = body.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise invalid(f"the field {name!r} must be a text or a list of texts", name)
    if len(texts) > limits.max_texts:
        message = f"{len(texts):,} texts, more than {limits.max_texts:,} (--max-texts); send them in several requests"
        raise RequestError(413, "too_many_texts", message, name)
    longest = max(map(len, texts), default=0)
    if longest > limits.max_characters:
        message = f"a text of {longest:,} characters, more than {limits.max_characters:,} (--max-characters); split it"
        raise RequestError(413, "text_too_long", message, name)
    return texts, isinstance(value, list)


def options_of(
    body: Mapping[str, Any], known: Mapping[str, type], others: Sequence[str]
) -> tuple[tuple[str, Any], ...]:
    """Return the options in a body, sorted by name.

    Args:
        body: of the request.
        known: names of options with their types.
        others: names of further fields.

    Raises:
        RequestError: an unknown field, or a value of another type or out of range.
    """
    unknown = sorted(set(body) - set(known) - set(others))
    if unknown:
        names = ", ".join([*others, *known])
        raise invalid(f"unknown field {unknown[0][:100]!r}; there are: {names}", unknown[0][:100])
    options = []
    for name, kind in sorted(known.items()):
        if name in body:
            value = body[name]
            if kind is bool:
                if not isinstance(value, bool):
                    raise invalid(f"the field {name!r} must be true or false", name)
                options.append((name, value))
                continue
            if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
                raise invalid(f"the field {name!r} must be a number", name)
            least, most = _BOUNDS[name]
            if not least <= value <= most:
                raise invalid(f"the field {name!r} must be a number from {least} to {most:,}", name)
            options.append((name, kind(value)))
    return tuple(options)


def _too_large(limits: Limits) -> RequestError:
    message = f"a body of more than {limits.max_body:,} bytes (--max-body); send the texts in several requests"
    return RequestError(413, "body_too_large", message)
