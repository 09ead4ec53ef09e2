"""`nlpkit kgqa`, and the options of `nlpkit train kgqa`."""

from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.gold import evaluate_on_gold, read_gold
from nlpkit.cli.train.job import train as run_training
from nlpkit.cli.train.options import Settings, TrainFlags, Without, flat
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.formats import FORMATS
from nlpkit.tasks.kgqa.settings import KgqaSettings

GraphName = Annotated[str, typer.Option("--graph", metavar="G.kg", help="Graph folder, made by nlpkit graph build.")]
KgqaFormat = Annotated[str, opt.format_option(FORMATS)]
QuestionField = Annotated[
    str | None,
    typer.Option(metavar="NAME", callback=opt.text, help="Field with the question (default: 'question')."),
]
RulesFile = Annotated[
    str | None,
    typer.Option(
        "--rules",
        metavar="TSV",
        help="Aliases (alias TAB name) and fixed answers (question TAB subject TAB predicate), as TSV.",
    ),
]
Search = Annotated[
    Literal["both", "names", "beam"] | None,
    typer.Option(
        help="names: rank the facts about the names in the question; beam: generate a fact with beam search; both: "
        "rank, and generate if no name gives an answer (default: the model's own setting)."
    ),
]
BeamWidth = Annotated[int | None, typer.Option("--beam", min=1, help="Beam width (default: the model's own).")]
LookAhead = Annotated[
    bool | None,
    typer.Option(
        "--look-ahead/--no-look-ahead",
        help="Prefer facts that share words with the question during beam search (default: the model's own setting).",
    ),
]


@flat
def predict(
    ctx: typer.Context,
    *,
    graph: GraphName,
    field: QuestionField = None,
    answers: Annotated[int, typer.Option(min=1, max=5, help="Maximum number of answers per question.")] = 3,
    rules: RulesFile = None,
    search: Search = None,
    beam: BeamWidth = None,
    look_ahead: LookAhead = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Add the alternatives at each decoding step of the best answer, and the rule that answered.",
        ),
    ] = False,
    flags: Annotated[opt.PredictFlags, Without({"field", "html"})],
) -> None:
    """Answer questions from a knowledge graph: one question in, one JSON line out.

    "status" is ok, unsure or not_in_graph. Answers are sorted by their probability. An answer is ok only if the
    question contains the name of its subject; case, width, script and brackets may differ. A two-hop question (the
    birthplace of the author of …) is answered in two steps, and "path" holds the first. With --explain, "rule" is the
    line of --rules that answered.

    \b
        echo 长江有多长？ | nlpkit kgqa --graph G.kg | jq -r '.answers[0].objects[]'
    """
    from nlpkit.cli.predict import Reading, annotating
    from nlpkit.cli.predict import predict as run
    from nlpkit.cli.render.text import Mark, Table
    from nlpkit.core.pipeline.processor import Processor
    from nlpkit.tasks.kgqa.data import FIELDS, Reply, to_record
    from nlpkit.tasks.kgqa.task import load

    errors = opt.error_policy(flags.on_error, flags.max_line)
    settings: dict[str, Any] = {"search": search, "beam": beam, "look_ahead": look_ahead, "threshold": flags.threshold}

    def to_marks(found: dict[str, Any]) -> list[Mark]:
        return []

    def to_tables(found: dict[str, Any]) -> list[Table]:
        rows: list[tuple[str, ...]] = [
            (f"{a['subject']}（{a['meaning']}）" if a["meaning"] else a["subject"], a["predicate"],
             "；".join(a["objects"]), f"{a['score']:.3f}")
            for a in found["answers"]
        ]  # fmt: skip
        return [Table(found["status"], rows)]

    def make(device: str) -> Processor:
        loaded = load(
            flags.model,
            device,
            flags.dtype,
            runtime=flags.runtime,
            graph=graph,
            rules=rules,
            on_error=errors,
            **settings,
        )

        def to_fields(text: str, reply: Reply) -> dict[str, Any]:
            record = to_record(text, reply, fields={}, max_answers=answers)
            if explain:
                record["steps"] = loaded.explain(text, reply)
                record |= {"rule": reply.rule} if reply.rule else {}
            return record

        adds = (*FIELDS, "rule") if explain else FIELDS
        return annotating(loaded, flags, to_marks, to_tables, adds=adds, to_fields=to_fields)

    run(ctx, replace(flags, field=field), make, errors, Reading("question"))
    opt.finish(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class KgqaFlags(TrainFlags):
    """The options of `nlpkit train kgqa`; a model can be made from a graph alone, without files."""

    files: Annotated[
        list[str],
        typer.Argument(metavar="[FILES…]", help="Questions with gold answers.", show_default=False),
    ] = dataclass_field(default_factory=list)
    dev: Annotated[
        list[str],
        typer.Option(metavar="FILE", help="Gold questions on which the best weights are selected; may be repeated."),
    ] = dataclass_field(default_factory=list)
    options: FitOptions = FitOptions(backbone="kgqa", threshold=None)
    settings: Settings = TrainSettings(epochs=3)


@flat
def train(
    flags: KgqaFlags,
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="G.kg", help="Graph folder (default: that of --synthesize).")
    ] = None,
    synthesize: Annotated[
        str | None,
        typer.Option(
            metavar="G.kg", help="Graph from whose triples questions are synthesized, with or without training files."
        ),
    ] = None,
    synthetic: Annotated[int, typer.Option(min=1, help="Number of synthesized questions.")] = 8000,
    format: KgqaFormat = "nlpkit",
    field: QuestionField = None,
    settings: KgqaSettings = KgqaSettings(object_tokens=8),
) -> None:
    """Train a question answering model for a graph; print the dev metrics as one JSON object.

    The data has the format of `nlpkit kgqa`'s output, so a corrected output trains the next model. --synthesize alone
    adapts the model to a graph of your own, without any annotated questions.

    \b
        nlpkit train kgqa --synthesize G.kg --output my-model && nlpkit kgqa --graph G.kg --model my-model questions.txt
    """
    from nlpkit.tasks.kgqa.graph.graph import Graph
    from nlpkit.tasks.kgqa.task import KgqaTask
    from nlpkit.tasks.kgqa.training.synthesize import training_sets

    errors = opt.error_policy(flags.on_error, flags.max_line)
    train_set, dev_set = (
        read_gold("kgqa", files, flags.encoding, errors, format=format, field=field)
        for files in (flags.files, flags.dev)
    )
    train_set, dev_set = training_sets(train_set, dev_set, synthesize, synthetic, flags.settings.seed)
    name = graph or synthesize
    if name is None:
        raise UsageError("no graph; name one with --graph or --synthesize")
    run_training(KgqaTask(settings, Graph.open(name)), train_set, dev_set, flags)
    opt.finish(errors)


@flat
def evaluate(
    *,
    graph: GraphName,
    format: KgqaFormat = "nlpkit",
    field: QuestionField = None,
    rules: RulesFile = None,
    search: Search = None,
    beam: BeamWidth = None,
    look_ahead: LookAhead = None,
    flags: Annotated[opt.EvaluateFlags, Without({"field"})],
) -> None:
    """Report exact match and F1 of the best answers, as KgCLUE defines them, as one JSON object.

    "em" and "f1" are those of the object, "score" their mean; "em_all" needs subject, predicate and object. "ece" is
    the expected calibration error of the scores of the best answers: the mean difference of score and "em_all", over
    ten bins of equal width.

    \b
        nlpkit evaluate kgqa dev.jsonl --graph G.kg --model my-model | jq '{em, f1, score, questions_per_second}'
    """
    from nlpkit.tasks.kgqa.task import load

    errors = opt.error_policy(flags.on_error, flags.max_line)
    settings: dict[str, Any] = {"search": search, "beam": beam, "look_ahead": look_ahead, "on_error": errors}
    named = replace(flags, field=field)
    evaluate_on_gold("kgqa", load, named, errors, {"format": format}, graph=graph, rules=rules, **settings)
