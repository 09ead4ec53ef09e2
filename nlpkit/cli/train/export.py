"""`nlpkit export`."""

from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Embedded model, model folder or hub name.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="New folder.")],
) -> None:
    """Write a trained model to a new folder with an ONNX file of its encoder; print the difference from PyTorch.

    The folder is a model of nlpkit: `--model DIR` works in every command of its task. model.onnx is for other programs:
    it maps input_ids [b, s] and lengths [b] to states [b, s, d], and refers to the weights in model.safetensors.
    "max_difference" is the largest difference between its states and those that PyTorch computes, for a few texts.

    \b
        nlpkit export ner-cluener -o ner-onnx && nlpkit ner --model ner-onnx news.txt
    """
    from pathlib import Path

    from nlpkit.core.export import export as export_model
    from nlpkit.core.io.records import write_json

    write_json(None, [export_model(model, Path(output))])
