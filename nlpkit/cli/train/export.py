"""`nlpkit export`."""

from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Embedded model, model folder or hub name.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="New folder.")],
) -> None:
    """Write a trained model to a new folder with an ONNX file of its encoder; print the difference from PyTorch.

    The folder is a model of nlpkit: `--model DIR` works in every command of its task. A sentence encoder of Hugging
    Face or sentence-transformers on BERT becomes a model of `nlpkit embed`. model.onnx is for other programs:
    it maps input_ids [b, s] and lengths [b] to states [b, s, d], and refers to the weights in model.safetensors.
    "max_difference" is the largest difference between its states and those that PyTorch computes, for a few texts.

    \b
        nlpkit export ner-cluener -o ner-onnx && nlpkit ner --model ner-onnx news.txt
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from nlpkit.core.export import export as export_model
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.manifest import MANIFEST, find

    folder = find(model)
    with TemporaryDirectory() as temporary:
        if not (folder / MANIFEST).exists():
            from nlpkit.tasks.embed.loading import read_components
            from nlpkit.tasks.embed.sentence_transformers.conversion import convert

            convert(read_components(folder), model, folder := Path(temporary) / "model")
        write_json(None, [export_model(model, Path(output), folder)])
