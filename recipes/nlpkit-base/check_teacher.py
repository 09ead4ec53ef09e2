"""Check that a folder is multilingual-e5-small as unpack_e5.py writes it.

    python recipes/nlpkit-base/check_teacher.py TEACHER

The exit status is 1, with one line on stderr, if it is another model or a part is missing.
"""

import json
import sys
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

CONFIG = {
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 250_037,
}
PIECES = 250_002
WORDS = "embeddings.word_embeddings.weight"
CURE = "make it by recipes/nlpkit-base/teacher.sh"


def check(teacher: Path) -> None:
    """Exit with one line unless the folder has the teacher's configuration, vocabulary and weights."""
    for problem in problems(teacher):
        sys.exit(f"{Path(__file__).name}: error: {teacher}: {problem}; {CURE}")


def problems(teacher: Path) -> list[str]:
    """Return what is wrong with a folder."""
    try:
        config, tokenizer = (json.loads((teacher / f"{name}.json").read_bytes()) for name in ("config", "tokenizer"))
        with safe_open(teacher / "model.safetensors", "np") as weights:
            rows, width = weights.get_slice(WORDS).get_shape()
        pieces: Any = tokenizer["model"]["vocab"]
    except (OSError, ValueError, SafetensorError) as error:
        return [f"cannot be read ({error})"]
    except (KeyError, TypeError) as error:
        return [f"has no {error}"]
    wrong = [f"{key} is {config.get(key)}, not {value}" for key, value in CONFIG.items() if config.get(key) != value]
    if (rows, width) != (CONFIG["vocab_size"], CONFIG["hidden_size"]):
        wrong.append(f"the word embeddings are {rows} × {width}")
    if len(pieces) != PIECES:
        wrong.append(f"the tokenizer has {len(pieces)} pieces, not {PIECES}")
    return wrong


if __name__ == "__main__":
    check(Path(sys.argv[1]))
