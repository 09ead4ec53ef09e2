"""Expected calibration error of the embedded models on halves of dev that their scores were not fitted on.

    python tests/bench/calibration.py FOLDER

FOLDER holds the dev sets of the models in nlpkit's own format, as `recipes/NAME/train.sh` makes them: cluener-dev.jsonl
(`nlpkit convert --from cluener`), duie-dev.jsonl, fewfc-dev.jsonl. Every other text is in the first half. A calibration
is fitted on the results for one half, and its error is measured on the other half. The same is done for random halves.
`chance` is the error of perfect scores with as many results: scores are drawn from those of the half, and each is right
with its own probability.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from statistics import mean
from typing import Any

from common import record

from nlpkit.cli.gold import read_gold
from nlpkit.core.io.records import ErrorPolicy
from nlpkit.core.model.calibration import Outcome, expected_calibration_error, fit
from nlpkit.tasks import imported, spec

ROWS = (
    ("ner", "ner-cluener", "cluener-dev.jsonl", "CLUENER"),
    ("relation", "relation-duie", "duie-dev.jsonl", "DuIE, last 500"),
    ("event", "event", "fewfc-dev.jsonl", "FewFC"),
)
WHAT = {"ner": ("entities",), "relation": ("relations",), "event": ("triggers and arguments", "whole events")}
RANDOM_HALVES, DRAWS = 20, 20

Texts = Sequence[Sequence[Outcome]]  # of each text


def uncalibrated(task: str, model: str, path: str) -> dict[str, list[list[Outcome]]]:
    """The outcomes of each text at the model's threshold, by metric, with the probabilities of the network."""
    predictor = imported(spec(task).loader)(model, "cpu", "fp32")
    examples = read_gold(task, [path], "utf-8", ErrorPolicy(), format="nlpkit")
    threshold = predictor.task.min_probability
    found: dict[str, list[list[Outcome]]] = {}
    documents = predictor.find([example.text for example in examples], threshold)
    for example, (document, findings) in zip(examples, documents, strict=True):
        pair = example, predictor.task.assemble(document, findings, threshold)
        for name, outcomes in predictor.task.outcomes([pair]).items():
            found.setdefault(name, []).append(outcomes)
    return found


def measured(texts: Texts, is_second: Sequence[bool], chance: random.Random) -> Iterator[tuple[float, float, float]]:
    """The error before and after, and that of perfect scores, for each of two halves."""
    halves: tuple[list[Outcome], list[Outcome]] = [], []
    for outcomes, half in zip(texts, is_second, strict=True):
        halves[half].extend(outcomes)
    for fitted_on, held_out in (halves, halves[::-1]):
        calibration = fit(fitted_on)
        after = [(calibration.score(probability), is_right) for probability, is_right in held_out]
        perfect = [[(s, chance.random() < s) for s, _ in chance.choices(after, k=len(after))] for _ in range(DRAWS)]
        yield (
            expected_calibration_error(held_out) or 0.0,
            expected_calibration_error(after) or 0.0,
            mean(expected_calibration_error(drawn) or 0.0 for drawn in perfect),
        )


def rounded(rows: Sequence[tuple[float, float, float]]) -> list[dict[str, float]]:
    """The figures of halves with their names."""
    return [dict(zip(("before", "after", "chance"), (round(x, 4) for x in row), strict=True)) for row in rows]


def main(folder: str) -> None:
    """Measure every model."""
    rows: list[dict[str, Any]] = []
    for task, model, name, dev_set in ROWS:
        for what, texts in zip(WHAT[task], uncalibrated(task, model, f"{folder}/{name}").values(), strict=True):
            chance = random.Random(0)
            alternate = list(measured(texts, [bool(number % 2) for number in range(len(texts))], chance))
            drawn = [
                row
                for _ in range(RANDOM_HALVES)
                for row in measured(texts, [chance.random() < 0.5 for _ in texts], chance)
            ]
            columns = tuple(mean(column) for column in zip(*drawn, strict=True))
            rows.append(
                {
                    "model": model,
                    "dev_set": dev_set,
                    "what": what,
                    "results": sum(map(len, texts)),
                    "halves": rounded(alternate),
                    "random_halves": rounded([(columns[0], columns[1], columns[2])])[0],
                }
            )
    record("calibration", {"rows": rows, "random_halves": RANDOM_HALVES})


if __name__ == "__main__":
    main(*sys.argv[1:])
