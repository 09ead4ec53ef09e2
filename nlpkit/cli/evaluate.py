"""`nlpkit evaluate TASK`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.dictionary import DictionaryFile, DictMode, open_dictionary
from nlpkit.cli.tasks.kgqa import BeamWidth, GraphName, KgqaFormat, LookAhead, QuestionField, RulesFile, Search
from nlpkit.core.io.records import MAX_LINE, OnError

if TYPE_CHECKING:  # they import torch
    from nlpkit.core.model.predictor import Metrics, Predictor

app = typer.Typer(no_args_is_help=True, help="Score a model on gold texts.", rich_markup_mode=None)


@app.command("ner")
def ner(
    files: opt.Gold,
    model: opt.ModelName = None,
    format: opt.NerFormat = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    encoding: opt.Encoding = "utf-8",
    threshold: opt.Threshold = None,
    nested: Annotated[
        bool | None,
        typer.Option("--nested/--flat", help="Return overlapping entities, or not (default: the model's own setting)."),
    ] = None,
    dictionary: DictionaryFile = None,
    dict_mode: DictMode = "join",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report strict span precision, recall and F1, overall and per label, as one JSON object.

    An entity is correct if start, end and label are right, in offsets of the whole text. "misaligned" counts gold
    entities that do not begin and end at token boundaries, and so cannot be found.

    \b
        nlpkit evaluate ner dev.jsonl --model my-model | jq '{f1, texts_per_second}'
    """
    from nlpkit.tasks.ner.formats import read_examples
    from nlpkit.tasks.ner.task import load

    errors = opt.error_policy(on_error, max_line)
    options = {"annotator": annotator, "offsets": offsets}
    with opt.reported() as tally:
        examples = list(read_examples(files, format, encoding, errors, field, **options, tally=tally))
    settings: dict[str, Any] = {"threshold": threshold, "nested": nested, "dict_mode": dict_mode}
    if dictionary:
        settings["dictionary"] = open_dictionary(dictionary, files, encoding, errors)
    _evaluate(lambda: load(model, device, dtype, **settings), examples, files, errors)


@app.command("relation")
def relation(
    files: opt.Gold,
    model: opt.ModelName = None,
    format: opt.RelationFormat = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    encoding: opt.Encoding = "utf-8",
    threshold: opt.Threshold = None,
    schema: opt.Schema = None,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report strict triple precision, recall and F1, overall and per predicate, as one JSON object.

    A relation is correct if the predicate and the strings of subject and object are right, as in the competitions.
    "misaligned" counts gold relations that do not begin and end at token boundaries, and so cannot be found.

    \b
        nlpkit evaluate relation dev.jsonl --model my-model | jq '{triple, texts_per_second}'
    """
    from nlpkit.tasks.relation.formats import read_examples
    from nlpkit.tasks.relation.task import load

    errors = opt.error_policy(on_error, max_line)
    options = {"annotator": annotator, "offsets": offsets}
    with opt.reported() as tally:
        examples = list(read_examples(files, format, encoding, errors, field, **options, tally=tally))
    _evaluate(lambda: load(model, device, dtype, threshold=threshold, schema=schema), examples, files, errors)


@app.command("event")
def event(
    files: opt.Gold,
    model: opt.ModelName = None,
    format: opt.EventFormat = "nlpkit",
    field: opt.GoldField = None,
    encoding: opt.Encoding = "utf-8",
    threshold: opt.Threshold = None,
    schema: opt.Schema = None,
    all_cliques: opt.AllCliques = False,
    breakdown: Annotated[
        bool,
        typer.Option("--errors", help="Also count the kinds of errors: missed triggers, wrong roles, broken links."),
    ] = False,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report precision, recall and F1 of triggers, arguments, whole events and characters as one JSON object.

    Triggers and arguments are scored as spans (identification) and with type and role (classification); "event" is
    strict: type, trigger and all arguments right; "argument_characters" is DuEE's. "f1" is that of
    "argument_classification". "misaligned" counts gold spans that do not begin and end at token boundaries.

    \b
        nlpkit evaluate event dev.jsonl --model my-model --errors | jq '{f1, event, errors}'
    """
    from nlpkit.tasks.event.formats import read_examples
    from nlpkit.tasks.event.metric import errors as count_errors
    from nlpkit.tasks.event.task import load

    errors = opt.error_policy(on_error, max_line)
    with opt.reported() as tally:
        examples = list(read_examples(files, format, encoding, errors, field, tally=tally))
    more = (lambda pairs: {"errors": count_errors(pairs)}) if breakdown else None
    settings: dict[str, Any] = {"threshold": threshold, "schema": schema, "all_cliques": all_cliques}
    _evaluate(lambda: load(model, device, dtype, **settings), examples, files, errors, more)


@app.command("embed")
def embed(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS…",
            help="Files of pairs: sentence1 TAB sentence2 TAB score, or JSON Lines.",
            show_default=False,
        ),
    ],
    model: opt.ModelName = None,
    pooling: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=opt.values("auto", "cls", "pooler", "mean", "first-last"),
            help="Pooling: auto, cls, pooler, mean or first-last; repeat it to compare several.",
        ),
    ] = None,
    whiten: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|stored|self|none",
            autocompletion=opt.values("stored", "self", "none"),
            help="Whitening; self fits one on each file's own sentences; repeat it to compare several.",
        ),
    ] = None,
    dim: Annotated[int | None, typer.Option(min=1, metavar="K", help="Number of dimensions to keep.")] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="NAME|TEXT", callback=opt.text, help="Text to put before every sentence.")
    ] = None,
    encoding: opt.Encoding = "utf-8",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report the Spearman correlation × 100 of cosines with the scores of pairs, per file and their mean.

    Prints one JSON object for each pooling and whitening.

    \b
        nlpkit evaluate embed dev.tsv --pooling cls --pooling mean --whiten none --whiten self | jq -c '{pooling, mean}'
    """
    from nlpkit.cli.error_handling import message
    from nlpkit.core.io.records import write_json
    from nlpkit.errors import DataError
    from nlpkit.tasks.embed.data import read_pairs
    from nlpkit.tasks.embed.evaluation import compare

    errors = opt.error_policy(on_error, max_line)
    pairs = list(read_pairs(files, encoding, errors))
    if not pairs:
        raise DataError("no pairs in it", ", ".join(files))
    chosen = (pooling or ["auto"], whiten or ["none"])
    write_json(None, compare(model, device, dtype, pairs, *chosen, dim, prompt, message))
    opt.finish(errors)


@app.command("kgqa")
def kgqa(
    files: opt.Gold,
    graph: GraphName,
    model: opt.ModelName = None,
    format: KgqaFormat = "nlpkit",
    field: QuestionField = None,
    encoding: opt.Encoding = "utf-8",
    threshold: opt.Threshold = None,
    rules: RulesFile = None,
    search: Search = None,
    beam: BeamWidth = None,
    look_ahead: LookAhead = None,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report exact match and F1 of the best answers, as KgCLUE defines them, as one JSON object.

    "em" and "f1" are those of the object, "score" their mean; "em_all" needs subject, predicate and object.

    \b
        nlpkit evaluate kgqa dev.jsonl --graph G.kg --model my-model | jq '{em, f1, score, questions_per_second}'
    """
    from nlpkit.tasks.kgqa.formats import read_examples
    from nlpkit.tasks.kgqa.task import load

    errors = opt.error_policy(on_error, max_line)
    examples = list(read_examples(files, format, encoding, errors, field))
    settings = {"threshold": threshold, "search": search, "beam": beam, "look_ahead": look_ahead}
    _evaluate(
        lambda: load(model, device, dtype, graph=graph, rules=rules, on_error=errors, **settings),
        examples,
        files,
        errors,
        unit="questions",
    )


def _evaluate(
    load: Callable[[], "Predictor[Any, Any]"],
    examples: list[Any],
    files: list[str],
    errors: OnError,
    more: "Metrics | None" = None,
    unit: str = "texts",
) -> None:
    """Loads the model, scores it on the examples that fit it, and prints the result with its number of weights."""
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.checkpoint import count_parameters
    from nlpkit.errors import DataError

    if not examples:
        raise DataError("no gold texts in it", ", ".join(files))
    model = load()
    fitting = []
    for example in examples:
        try:
            model.task.validate(example)
        except DataError as error:
            errors(error)
        else:
            fitting.append(example)
    result = model.evaluate(fitting, more) | {"parameters": count_parameters(model.network)}
    write_json(None, [{name.replace("texts", unit): value for name, value in result.items()}])
    opt.finish(errors)
