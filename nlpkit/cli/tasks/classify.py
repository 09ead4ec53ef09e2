"""`nlpkit classify`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.gold import evaluate_on_gold, read_gold
from nlpkit.cli.train.job import train as run_training
from nlpkit.cli.train.options import TrainFlags, Without, flat
from nlpkit.core.training.option import Option
from nlpkit.core.training.settings import FitOptions
from nlpkit.errors import UsageError
from nlpkit.tasks import default_model
from nlpkit.tasks.classify.formats import FORMATS
from nlpkit.tasks.classify.settings import ClassifySettings

if TYPE_CHECKING:
    from nlpkit.cli.render.text import Table
    from nlpkit.core.io.records import ErrorPolicy
    from nlpkit.tasks.classify.data import Example, Input

Format = Annotated[str, opt.format_option(FORMATS)]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="A,B…",
        callback=opt.text,
        help="Classify without training: the label whose name is most similar to the text, by a model of `nlpkit "
        "embed`. A label may have a description: NAME=DESCRIPTION. The scores are not calibrated.",
    ),
]


@dataclass(frozen=True, slots=True)
class ClassifyOptions(FitOptions):
    """The settings of a training job; the backbone may be that of character n-grams."""

    backbone: Annotated[
        str,
        Option(
            "Model to start from: ngram (a linear classifier on character n-grams, trained in seconds), name of an "
            "embedded model, folder, hub name, or random weights of L layers and width D.",
            names=("--backbone", "--model", "-m"),
            metavar="ngram|NAME|DIR|roformer_v2:LxD",
        ),
    ] = "nlpkit-base"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyFlags(TrainFlags):
    """The options of `nlpkit train classify`."""

    options: Annotated[ClassifyOptions, Without({"join"})] = ClassifyOptions(threshold=None)


@flat
def predict(
    ctx: typer.Context,
    *,
    pair: opt.Pair = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Number of labels to list (default: 5; of a model with several labels per text, all above the "
            "threshold).",
        ),
    ] = None,
    labels: Labels = None,
    flags: opt.PredictFlags,
) -> None:
    """Classify texts, or pairs of texts: one line of text in, one JSON line out.

    "label" is the answer and "score" its probability; "labels" lists the best labels. With --threshold P, "label" is
    null where no label has that score. A model trained with several labels per text gives "labels" only. A text longer
    than the model's maximum length is read in overlapping windows ("windows": n), whose logits are averaged; a pair is
    cut ("truncated": true).

    \b
        echo 房间很干净 | nlpkit classify
        nlpkit classify reviews.txt | jq -r 'select(.score < 0.7).text'
        nlpkit classify news.txt --labels 体育,财经,科技 | jq -r '[.label, .text] | @tsv'
        nlpkit classify pairs.jsonl --field question --pair candidate --model my-model
    """
    from nlpkit.cli.predict import Reading, annotating
    from nlpkit.cli.predict import predict as run
    from nlpkit.core.pipeline.processor import Processor
    from nlpkit.tasks.classify.loading import load

    def make(device: str) -> Processor:
        loaded = load(
            flags.model,
            device,
            flags.dtype,
            runtime=flags.runtime,
            threshold=flags.threshold,
            top=top,
            labels=_names(labels),
        )
        loaded.task.check_kind(pair is not None)
        return annotating(loaded, flags, lambda fields: [], _tables)

    run(ctx, flags, make, reading_options=Reading(second_field=pair))


def _names(labels: str | None) -> list[str] | None:
    """Return the labels of --labels, an empty one if it names none; None without the option."""
    return None if labels is None else opt.label_list(labels) or [""]


def _tables(fields: dict[str, Any]) -> "list[Table]":
    from nlpkit.cli.render.text import Table

    rows = [(item["label"], f"{item['score']:.4f}") for item in fields["labels"]]
    return [Table(str(fields.get("label") or ""), rows)] if rows else []


@flat
def train(
    flags: ClassifyFlags,
    format: Format = "nlpkit",
    field: opt.GoldField = None,
    label: opt.LabelField = None,
    pair: opt.Pair = None,
    unlabelled: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Texts without labels, which --r-drop and --mlm also learn from; may be repeated. Plain text, or JSON "
            "Lines with the fields of --field and --pair.",
        ),
    ] = None,
    settings: ClassifySettings = ClassifySettings(labels=()),
) -> None:
    """Train a classifier on labelled texts; print the dev metrics as one JSON object.

    A set in which any record has a list of labels trains a model that gives any number of labels. The scores are
    calibrated on the dev set unless --threshold is a number. "floors" has the metrics of the most frequent label, and
    of character n-grams trained on the same texts, which an encoder should exceed.

    \b
        nlpkit train classify reviews.tsv --format tsv --dev dev.tsv --backbone ngram --output my-model
        nlpkit train classify train.jsonl --dev dev.jsonl --unlabelled raw.txt --r-drop 4 --dropout 0.3 -o my-model
    """
    from nlpkit.tasks.classify.task import ClassifyTask
    from nlpkit.tasks.classify.train import fit

    _check_options(flags, settings, unlabelled)
    errors = opt.error_policy(flags.on_error, flags.max_line)
    reading = {"format": format, "field": field, "label": label, "pair": pair}
    train_set, dev_set = (
        read_gold("classify", files, flags.encoding, errors, **reading) for files in (flags.files, flags.dev)
    )
    texts = _unlabelled(unlabelled or [], field, pair, flags.encoding, errors)
    chosen = {"r_drop": settings.r_drop, "mlm": settings.mlm, "ids": settings.ids}
    task = ClassifyTask.from_examples(train_set, flags.files, unlabelled=texts, **chosen)
    if texts:
        task.check_kind(pair is not None)
    run_training(task, train_set, dev_set, flags, fit)
    opt.finish(errors)


def _check_options(flags: ClassifyFlags, settings: ClassifySettings, unlabelled: list[str] | None) -> None:
    """Raise UsageError for options that have no effect, or need another one."""
    if settings.r_drop and not flags.settings.dropout:
        raise UsageError("--r-drop: compares two passes with different dropout masks; pass --dropout 0.3")
    if unlabelled and not (settings.r_drop or settings.mlm):
        raise UsageError("--unlabelled: nothing learns from texts without labels; pass --r-drop 4 or --mlm 0.15")


def _unlabelled(
    files: list[str], field: str | None, pair: str | None, encoding: str, errors: "ErrorPolicy"
) -> "Sequence[Input]":
    """Return the texts without labels."""
    from nlpkit.core.io.records import read_records

    records = read_records(files, field, encoding, errors, second_field=pair)
    return [record.text if record.second is None else (record.text, record.second) for record in records]


@flat
def evaluate(
    *,
    format: Format = "nlpkit",
    label: opt.LabelField = None,
    pair: opt.Pair = None,
    labels: Labels = None,
    flags: opt.EvaluateFlags,
) -> None:
    """Report accuracy and F1 of a classifier on labelled texts, overall and per label, as one JSON object.

    "f1" counts pairs of a text and a label (micro F1); "macro_f1" is the mean over the labels. "interval" is the 95 %
    bootstrap interval of the accuracy, or of f1 where texts have several labels. "auc" is given for two labels.
    "confusions" lists the most frequent errors. "floors" has the metrics of the most frequent label of the training
    set, and of character n-grams trained on it. "ece" is the expected calibration error of the scores.

    \b
        nlpkit evaluate classify dev.jsonl --model my-model | jq '{accuracy, interval, floors}'
    """
    from nlpkit.tasks.classify.floors import floors
    from nlpkit.tasks.classify.loading import load, load_floor

    errors = opt.error_policy(flags.on_error, flags.max_line)
    names = _names(labels)
    reading = {"format": format, "label": label, "pair": pair}

    loaded: list[Any] = []

    def load_once(name: str, *arguments: Any, **options: Any) -> Any:
        loaded.append(load(flags.model if names else name, *arguments, **options))
        return loaded[0]

    def more(pairs: "list[tuple[Example, Any]]") -> dict[str, Any]:
        floor = None if names else load_floor(flags.model or default_model("classify"))
        return {"floors": floors(loaded[0].task, [gold for gold, _ in pairs], floor)}

    evaluate_on_gold("classify", load_once, flags, errors, reading, more, labels=names)
