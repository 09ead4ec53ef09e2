"""Reading of requests: JSON bodies within limits, without a schema library, so that each message names its cure."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from nlpkit.serve.limits import Limits
from nlpkit.serve.problems import RequestError, invalid

JSON = "application/json"
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)
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
    _check_type(request.headers)
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
    return _parsed(bytes(body))


def _check_type(headers: Mapping[str, str]) -> None:
    """Raise RequestError for a body that is not declared as JSON in UTF-8 without compression."""
    types = [value for name, value in headers.items() if name.lower() == "content-type"]
    if [each.split(";")[0].strip().lower() for each in types] != [JSON]:
        # also keeps pages of other sites from sending requests without permission
        raise RequestError(415, "content_type", f"the body must be JSON; send the header Content-Type: {JSON}")
    charset = _CHARSET.search(types[0])
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        message = f"the body must be in UTF-8, not {charset[1][:40]}; convert it, and leave out the charset"
        raise RequestError(415, "content_type", message)
    coding = headers.get("content-encoding", "")
    if coding.strip().lower() not in ("", "identity"):
        message = f"the body must not be compressed ({coding[:40]}); leave out Content-Encoding"
        raise RequestError(415, "content_encoding", message)


def _parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    orjson is strict: it accepts no NaN, no infinite number and no half of a surrogate pair. It keeps the last one of
    duplicate names, so that the module `json` has to find them.
    """
    if not body.strip():
        raise invalid('the body is empty; send a JSON object, such as {"text": "…"}')
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        at, byte = error.start + 1, body[error.start]
        raise invalid(f"the body is not valid UTF-8 at byte {at} (0x{byte:02x}); encode it as UTF-8") from None
    try:
        value = orjson.loads(body)
        json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise invalid("the body is nested too deep; send texts in one object") from None
    except ValueError as error:  # of both parsers
        raise invalid(f"the body is not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise invalid('the body must be a JSON object, such as {"text": "…"}')
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> None:
    """Raise RequestError if an object has a name twice."""
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise invalid(f"the field {name[:100]!r} is given twice; give it once", name[:100])
        names.add(name)


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
            _check_option(name, kind, value)
            options.append((name, kind(value)))
    return tuple(options)


def _check_option(name: str, kind: type, value: Any) -> None:
    """Raise RequestError for a value of another type or out of range."""
    if kind is bool:
        if not isinstance(value, bool):
            raise invalid(f"the field {name!r} must be true or false", name)
        return
    least, most = _BOUNDS[name]
    numbers = int if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, numbers) or not least <= value <= most:
        noun = "a whole number" if kind is int else "a number"
        raise invalid(f"the field {name!r} must be {noun} from {least} to {most:,}", name)


def _too_large(limits: Limits) -> RequestError:
    message = f"a body of more than {limits.max_body:,} bytes (--max-body); send the texts in several requests"
    return RequestError(413, "body_too_large", message)
