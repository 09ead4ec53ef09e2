"""Reading of published schemas: JSON objects as JSON Lines or in one array."""

from collections.abc import Iterator
from typing import Any

import orjson

from nlpkit.core.io.records import Line, read_json, read_lines


def read_schema(path: str) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield the objects of a schema, each with its line; for an array, with the line of its bracket.

    Raises:
        DataError: the file cannot be read, or has other content.
    """
    lines = [line for line in read_lines([path]) if line.text.strip()]
    if not lines or not lines[0].text.lstrip().startswith("["):
        yield from read_json([path])
        return
    try:
        objects = orjson.loads("\n".join(line.text for line in lines))
    except orjson.JSONDecodeError as error:
        raise lines[0].error(f"not a valid JSON array ({error})") from None
    for value in objects:
        if not isinstance(value, dict):
            raise lines[0].error(f"an array of JSON objects is expected, this holds {type(value).__name__}")
        yield lines[0], value
