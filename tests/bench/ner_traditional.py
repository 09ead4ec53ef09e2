"""What `nlpkit ner` loses on traditional text: CLUENER dev as it is, and converted by OpenCC.

    pip install opencc && python tests/bench/ner_traditional.py [MODEL]

`characters` converts each character by itself, where OpenCC's s2t has a single one for it. `phrases` converts whole
texts, in context, as people write (后面 is 後面, 皇后 is 皇后), into the forms of Taiwan; one of another length, whose
gold offsets would be lost, stays as it is and is counted.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import opencc
from common import DATA, record

DEV = DATA / "cluener" / "dev.json"
FIGURES = ("f1", "precision", "recall")


def converted(example: dict[str, Any], convert: Callable[[str], str]) -> dict[str, Any]:
    """A record of CLUENER with another text; the entities keep their offsets."""
    text = convert(example["text"])
    label = {
        kind: {text[places[0][0] : places[0][1] + 1]: places for places in entities.values()}
        for kind, entities in example["label"].items()
    }
    return {"text": text, "label": label}


def score(examples: list[dict[str, Any]], model: str | None) -> dict[str, float]:
    """The figures that `nlpkit evaluate ner` gives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dev.json"
        path.write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in examples), encoding="utf-8")
        command = [
            "nlpkit",
            "evaluate",
            "ner",
            str(path),
            "--format",
            "cluener",
            *(["--model", model] if model else []),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {name: json.loads(done.stdout)[name] for name in FIGURES}


def main(model: str | None = None) -> None:
    """Score and record."""
    gold = [json.loads(line) for line in DEV.read_text(encoding="utf-8").splitlines()]
    by_character, by_phrase = opencc.OpenCC("s2t").convert, opencc.OpenCC("s2tw").convert
    other_length = []

    @lru_cache(None)
    def character(written: str) -> str:
        return found if len(found := by_character(written)) == 1 else written

    def phrases(text: str) -> str:
        found = by_phrase(text)
        if len(found) == len(text):
            return found
        other_length.append(text)
        return text

    result: dict[str, Any] = {"simplified": score(gold, model)}
    for name, convert in (("characters", lambda text: "".join(map(character, text))), ("phrases", phrases)):
        examples = [converted(example, convert) for example in gold]
        result[name] = score(examples, model)
        result[name]["changed"] = sum(a["text"] != b["text"] for a, b in zip(examples, gold, strict=True))
        result[name]["f1_lost"] = result["simplified"]["f1"] - result[name]["f1"]
    result["phrases"]["of_other_length"] = len(other_length)
    record("ner_traditional", {"model": model or "ner-cluener", "dev_set": "CLUENER", "texts": len(gold), **result})


if __name__ == "__main__":
    main(*sys.argv[1:])
