"""What storing the weights in int8 or fp16 costs: the figure of a model that is stored in fp32, in each precision.

    python tests/bench/storage_quality.py FOLDER NAME=MODEL…

FOLDER is that of `int8_quality.py`, NAME an embedded model, MODEL a folder with a model of the same task in fp32, from
`nlpkit train` without `--store`. Computations are in fp32. The rows of other names stay in the results.
"""

import json
import sys
from pathlib import Path

from common import RESULTS, record
from int8_quality import evaluate, figure, prepare, tests

from nlpkit.core.model import Store, checkpoint
from nlpkit.core.model.manifest import read_manifest
from nlpkit.core.text.tokenizer import VOCABULARY, read_vocabulary

STORES: tuple[Store, ...] = ("fp32", "fp16", "int8")


def main(work: Path, *models: str) -> None:
    """Store each model in each precision and evaluate it."""
    prepare(work)
    path = RESULTS / "storage_quality.json"
    results = json.loads(path.read_text(encoding="utf-8"))["models"] if path.exists() else {}
    for name, folder in (argument.split("=", 1) for argument in models):
        source = Path(folder)
        manifest, tokens = read_manifest(source), read_vocabulary(source / VOCABULARY)
        weights, figures, sizes = checkpoint.read_weights(source), dict[str, float](), dict[str, float]()
        data, metric, command = tests(work)[name]
        for store in STORES:
            copy = work / f"{name}-{store}"
            checkpoint.save(copy, manifest, tokens, weights, store)
            sizes[store] = round((copy / "model.safetensors").stat().st_size / 2**20, 1)
            figures[store] = round(
                figure(evaluate([*command, "-m", str(copy), "--device", "cpu", "--dtype", "fp32"])), 2
            )
            print(name, store, sizes[store], figures[store], file=sys.stderr)
        results[name] = {"data": data, "metric": metric, "figures": figures, "mebibytes": sizes}
    record("storage_quality", {"models": results})


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
