"""Write a trained model without its encoder and vocabulary, which are those of an embedded model.

    python recipes/ner-general/share.py TRAINED ENCODER OUTPUT

TRAINED was trained from the embedded model ENCODER with all layers frozen. OUTPUT becomes a model folder with the
head in int8; its metrics are still those of TRAINED.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from nlpkit.core.model import checkpoint
from nlpkit.core.model.contents import BACKBONE, WEIGHTS, OpenWeights
from nlpkit.core.model.manifest import EMBEDDED, LOG, SharedEncoder, read_manifest
from nlpkit.core.text.tokenizer import VOCABULARY


def main(trained: Path, encoder: str, output: Path) -> None:
    """Compare both encoders and vocabularies, and write the folder."""
    folder = EMBEDDED / encoder
    manifest, files = read_manifest(trained), read_manifest(folder).files
    own, shared = OpenWeights(trained), OpenWeights(folder)
    names = {name for name in (*own, *shared) if name.startswith(BACKBONE)}
    changed = sorted(name for name in names if not np.array_equal(own[name], shared[name]))
    if changed or manifest.files[VOCABULARY].sha256 != files[VOCABULARY].sha256:
        raise SystemExit(f"{trained}: its encoder is not that of {encoder} ({', '.join(changed[:3]) or VOCABULARY})")
    head = {name: torch.from_numpy(value) for name, value in own.items() if not name.startswith(BACKBONE)}
    manifest.encoder = SharedEncoder(encoder, files[WEIGHTS].sha256)
    checkpoint.save(output, manifest, None, head, "int8")
    (output / LOG).parent.mkdir(exist_ok=True)
    shutil.copyfile(trained / LOG, output / LOG)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
