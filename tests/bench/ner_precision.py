"""What bf16 changes: scores and F1 of the embedded NER model in fp32 and bf16 on CLUENER dev.

python tests/bench/ner_precision.py
"""

from common import DATA, record

from nlpkit.tasks.ner.formats import read_examples
from nlpkit.tasks.ner.task import load


def main() -> None:
    """Compares the two precisions entity by entity."""
    examples = list(read_examples([str(DATA / "cluener" / "dev.json")], "cluener"))
    answers, f1 = {}, {}
    for dtype in ("fp32", "bf16"):
        model = load(None, "cpu", dtype)
        answers[dtype] = model.answers(examples)
        f1[dtype] = round(model.task.score(zip(examples, answers[dtype], strict=True))["f1"], 4)
    sets = [[set(answer) for answer in answers[dtype]] for dtype in ("fp32", "bf16")]
    same = sum(len(a & b) for a, b in zip(*sets, strict=True))
    either = sum(len(a | b) for a, b in zip(*sets, strict=True))
    scores = [
        {(i, e): e.score for i, answer in enumerate(answers[dtype]) for e in answer} for dtype in ("fp32", "bf16")
    ]
    differences = sorted(abs(scores[0][key] - scores[1][key]) for key in scores[0].keys() & scores[1].keys())
    record(
        "ner_precision",
        {
            "f1": f1,
            "same_entities": round(same / either, 4),
            "score_difference": {
                "median": round(differences[len(differences) // 2], 5),
                "99 %": round(differences[len(differences) * 99 // 100], 4),
                "greatest": round(differences[-1], 4),
            },
        },
    )


if __name__ == "__main__":
    main()
