"""Quality on long texts: CLUENER dev as it is, and its sentences joined to longer and longer documents.

    python tests/bench/ner_long_text.py

The gold entities are the same throughout; what changes is how often windows are cut and merged.
"""

from common import DATA, record

from nlpkit.tasks.ner.data import join
from nlpkit.tasks.ner.formats import read_examples
from nlpkit.tasks.ner.task import load


def main() -> None:
    """Evaluates the embedded model on documents of 1, 5, 20 and 100 sentences."""
    examples = list(read_examples([str(DATA / "cluener" / "dev.json")], "cluener"))
    model = load()
    f1 = {}
    for size in (1, 5, 20, 100):
        documents = [join(examples[start : start + size]) for start in range(0, len(examples), size)]
        f1[f"{size} sentences" if size > 1 else "1 sentence"] = round(model.evaluate(documents)["f1"], 4)
    record("ner_long_text", {"f1": f1, "longest_row": model.max_length})


if __name__ == "__main__":
    main()
