"""`nlpkit train static`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.options import Folder, flat
from nlpkit.core.io.records import MAX_LINE
from nlpkit.core.model import Store
from nlpkit.core.training.option import STORE
from nlpkit.tasks.embed.static.settings import DistilSettings


@flat
def static(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES…", callback=opt.text_files, help="Sentences, or pairs.", show_default=False),
    ],
    output: Folder,
    dev: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Scored pairs to evaluate the vectors on; may be repeated."),
    ] = None,
    model: opt.ModelName = None,
    pooling: opt.Pooling = "auto",
    field: opt.TextField = None,
    settings: DistilSettings = DistilSettings(),
    encoding: opt.Encoding = "utf-8",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    store: Annotated[Store, STORE] = "fp32",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Distil static vectors of characters and words from a sentence encoder; print one JSON object.

    The vector of a sentence is the mean of the vectors in it, and approximates the one that --model gives. From pairs,
    the cosines of --model and the order of the scores are learned as well; pairs in JSON Lines need no scores.

    \b
        nlpkit train static corpus.txt pairs.tsv --dim 256 --store int8 -o my-static && nlpkit embed -m my-static
    """
    from nlpkit.cli.progress import stages
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.manifest import check_model_folder
    from nlpkit.tasks.embed.data import read_pairs
    from nlpkit.tasks.embed.loading import load
    from nlpkit.tasks.embed.sentence_transformers.reader import write_modules
    from nlpkit.tasks.embed.static import distil

    check_model_folder(output, "embed")
    errors = opt.error_policy(on_error, max_line)
    teacher = load(model, device, dtype, pooling)
    material = distil.read_material(files, settings, field, encoding, errors)
    dev_set = list(read_pairs(dev or [], encoding, errors))
    with stages(quiet) as progress:
        made = distil.distil(teacher, material, settings, progress)
    sources = {"training": files, "dev": dev or []}
    metrics = distil.write(made, teacher, dev_set, output, settings, store, sources)
    write_modules(output)
    write_json(None, [metrics])
    opt.finish(errors)
