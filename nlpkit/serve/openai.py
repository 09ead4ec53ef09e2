"""The embeddings endpoint in the shape of OpenAI's, whose clients work with it.

The official clients ask for `encoding_format: base64` by themselves: little-endian float32.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from nlpkit.serve.limits import Limits
from nlpkit.serve.problems import RequestError, invalid
from nlpkit.serve.requests import texts_of
from nlpkit.tasks.embed.encoder.unknown import is_blank

_FIELDS = ("input", "model", "encoding_format", "dimensions", "user")


def read_embedding_request(
    body: Mapping[str, Any], model: str, width: int, limits: Limits
) -> tuple[list[str], bool, int]:
    """Return the texts of a request, whether the vectors are in base64, and their dimensions.

    Raises:
        RequestError: the request is not valid, or for another model.
    """
    unknown = sorted(set(body) - set(_FIELDS))
    if unknown:
        raise invalid(f"unknown field {unknown[0][:100]!r}; there are: {', '.join(_FIELDS)}", unknown[0][:100])
    name = body.get("model", model)
    if not isinstance(name, str):
        raise invalid("the field 'model' must be a text", "model")
    if name != model:
        raise RequestError(404, "model_not_found", f"there is no model {name[:100]!r}; there is: {model}", "model")
    value = body.get("input")
    if isinstance(value, list) and value and not all(isinstance(item, str) for item in value):
        raise invalid("numbers of tokens are of another tokenizer; send the texts", "input")
    texts, _ = texts_of(body, "input", limits)
    if not texts or any(map(is_blank, texts)):
        raise invalid("the input must not be empty; leave out empty and blank texts", "input")
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise invalid("the field 'encoding_format' must be float or base64", "encoding_format")
    dimensions = body.get("dimensions", width)
    if isinstance(dimensions, bool) or not isinstance(dimensions, int) or not 1 <= dimensions <= width:
        raise invalid(f"the field 'dimensions' must be a whole number from 1 to {width}", "dimensions")
    return texts, encoding == "base64", dimensions


def embedding_response(
    vectors: Sequence[NDArray[np.float32]], model: str, characters: int, *, in_base64: bool, dimensions: int
) -> bytes:
    """Return the body of a response.

    Args:
        vectors: [dim] of each text.
        model: its name.
        characters: of all texts, reported as tokens: the models read characters.
        in_base64: whether the vectors are in base64.
        dimensions: the first ones, normalized again if that is not all of them.
    """
    data = []
    for index, vector in enumerate(vectors):
        kept = np.ascontiguousarray(vector[:dimensions], dtype="<f4")
        if dimensions < len(vector):
            kept = kept / max(float(np.linalg.norm(kept)), 1e-12)
        value: Any = base64.b64encode(kept.astype("<f4").tobytes()).decode() if in_base64 else kept
        data.append({"object": "embedding", "index": index, "embedding": value})
    usage = {"prompt_tokens": characters, "total_tokens": characters}
    body = {"object": "list", "data": data, "model": model, "usage": usage}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
