"""Options that are made from declarations: they reach the run, and the help shows them."""

import re
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import pytest
import typer
from embed_support import toy_pairs
from kgqa_support import make_graph
from support import COMMANDS, invoke, toy_records, write_jsonl
from typer.testing import CliRunner

from nlpkit.cli.tasks.kgqa import KgqaFlags
from nlpkit.cli.train.options import Without, flat
from nlpkit.core.training.option import Option
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.errors import UsageError
from nlpkit.tasks import default_model
from nlpkit.tasks.embed.settings import EmbedSettings
from nlpkit.tasks.embed.static.settings import DistilSettings
from nlpkit.tasks.kgqa.settings import KgqaSettings
from nlpkit.tasks.pretrain.settings import DEFAULTS, PretrainOptions

# ---- a toy


def even(text):
    if int(text) % 2:
        raise UsageError(f"{text} is odd")
    return int(text)


@dataclass(frozen=True)
class Settings:
    rate: Annotated[float | None, Option("Rate.", min=0, none="half of it")] = None
    big_steps: Annotated[bool, Option("Steps are big.")] = False
    evens: Annotated[tuple[int, ...], Option("Even numbers.", parse=even)] = ()
    limit: Annotated[
        int | None, Option("Limit.", parse=lambda text: None if text == "no" else int(text), none="no")
    ] = 5
    hidden: int = 7
    left_out: Annotated[int, Option("Of other commands.")] = 8


@dataclass(frozen=True)
class Base:
    files: Annotated[list[str], typer.Argument()]
    name: Annotated[str, typer.Option("--called", "-c", help="As it is called.")]
    settings: Annotated[Settings, Without({"left_out"})] = Settings()


@dataclass(frozen=True, kw_only=True)
class More(Base):
    files: Annotated[list[str], typer.Argument()] = field(default_factory=list)
    settings: Annotated[Settings, Without({"left_out"})] = Settings(rate=0.5, limit=None, left_out=9)
    loud: Annotated[bool, typer.Option("--loud")] = False


@pytest.fixture
def run():
    app = typer.Typer()
    calls = []

    @app.command()
    @flat
    def command(ctx: typer.Context, flags: More, own: Annotated[float, typer.Option(min=0)] = 0.5) -> None:
        """What it does."""
        calls.append((ctx.info_name, flags, own))

    def run(*args):
        return CliRunner().invoke(app, args, prog_name="toy"), calls

    return run


def test_the_function_gets_the_objects(run):
    result, calls = run("-c", "x")
    assert result.exit_code == 0, result.output
    assert calls == [("toy", More(name="x"), 0.5)]
    assert calls[0][1].settings == Settings(rate=0.5, limit=None, left_out=9)
    given = ("--rate", "2", "--big-steps", "--evens", "2", "--evens", "4", "--limit", "3", "--loud", "--own", "1")
    result, calls = run("a", "b", "--called", "y", *given)
    settings = Settings(rate=2, big_steps=True, evens=(2, 4), limit=3, left_out=9)
    assert calls[1:] == [("toy", More(files=["a", "b"], name="y", settings=settings, loud=True), 1.0)]


def test_help_and_checks_are_typers(run):
    shown = run("--help")[0].stdout
    assert all(word in shown for word in ("What it does.", "--called", "As it is called.", "--rate", "--loud", "--own"))
    assert "--hidden" not in shown
    assert "--left-out" not in shown
    wrong = (["a"], ["-c", "x", "--rate", "big"], ["-c", "x", "--rate", "-1"], ["-c", "x", "--hidden", "1"],
             ["-c", "x", "--no-big-steps"])  # fmt: skip
    for args in wrong:
        result, calls = run(*args)
        assert (result.exit_code, calls) == (2, [])


def test_a_field_that_is_left_out_exists():
    with pytest.raises(AssertionError, match="nosuch"):

        @flat
        def command(settings: Annotated[Settings, Without({"nosuch"})]) -> None:
            pass


# ---- the commands

# What each command is called with, and the settings that reach its run where no option is given.
ALL = {
    "train ner": ("{gold} --dev {gold}", {TrainSettings: TrainSettings(), FitOptions: FitOptions()}),
    "train embed": (
        "{pairs} --method cosent -m roformer_v2:1x64 --dropout 0.1",
        {
            TrainSettings: TrainSettings(dropout=0.1),
            FitOptions: FitOptions("roformer_v2:1x64"),
            EmbedSettings: EmbedSettings("cosent"),
        },
    ),
    "train kgqa": (
        "--synthesize {graph} --synthetic 20",
        {
            TrainSettings: TrainSettings(epochs=3),
            FitOptions: FitOptions("kgqa", threshold=None),
            KgqaSettings: KgqaSettings(object_tokens=8),
        },
    ),
    "train static": ("{gold}", {DistilSettings: DistilSettings()}),
    "pretrain": ("{gold}", {TrainSettings: DEFAULTS, PretrainOptions: PretrainOptions()}),
}
# Declared fields for which a command has no option, or one with another meaning of its default.
WITHOUT = {
    "train ner": {"decay", "compile"},
    "train kgqa": {"decay", "compile"},
    "train embed": {"decay", "compile", "join", "threshold", "method"},  # the method is required, and given above
    "pretrain": {"epochs", "head_lr", "layer_decay", "freeze_layers", "clip", "fgm", "ema"},
}
SPECIAL = {"threshold": ("0.125", 0.125), "grow": ("width=2", (("width", 2),)), "backbone": ("roformer_v2:2x64",) * 2}


def declared(kind):
    """(field, its type, its option) of a settings class."""
    hints = get_type_hints(kind, include_extras=True)
    for name, hint in hints.items():
        option = next((note for note in get_args(hint) if isinstance(note, Option)), None)
        if get_origin(hint) is Annotated and option is not None:
            yield name, get_args(hint)[0], option


def another(name, kind, option, default):
    """The words of an option and the value that they give a field, other than the default."""
    written = option.names[0] if option.names else "--" + name.replace("_", "-")
    if kind is bool:
        return [written.split("/")[default]], not default
    if name in SPECIAL:
        return [written, SPECIAL[name][0]], SPECIAL[name][1]
    if get_origin(kind) is Literal:
        value = next(value for value in get_args(kind) if value != default)
        return [written, value], value
    kind = next((part for part in get_args(kind) if part is not type(None)), kind)
    if kind is int:
        value = (default or 0) + (option.min or 0) + 3
    elif kind is float:
        value = option.max / 2 if option.max else (default or 0) + option.min + 0.5
    else:
        value = kind(option.values[1] if option.values else "given")
    assert value != default
    return [written, str(value)], value


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    make_graph(folder / "g.kg")
    return {
        "gold": write_jsonl(folder / "gold.jsonl", toy_records(4)),
        "pairs": toy_pairs(folder / "pairs.jsonl", 8),
        "graph": str(folder / "g.kg"),
    }


@pytest.fixture
def arrived(monkeypatch, files):
    """Runs a command; gives the settings that reach the run, by class, in which nothing is trained."""
    found = {}

    def job(*args, **more):
        given = [getattr(arg, "settings", arg) for arg in args]  # of a task, and what stands beside it
        found.update({type(value): value for value in given if type(value) in KINDS})
        return {}

    nothing = {"sentence_transformers.reader.write_modules", "static.distil.read_material", "static.distil.write",
               "loading.load"}  # fmt: skip
    for name in nothing:
        monkeypatch.setattr(f"nlpkit.tasks.embed.{name}", lambda *args: None)
    for name in ("core.training.job.fit", "tasks.embed.static.distil.distil", "tasks.pretrain.train.pretrain"):
        monkeypatch.setattr(f"nlpkit.{name}", job)

    def run(command, *more):
        result = invoke(*command.split(), *ALL[command][0].format(**files).split(), "-o", "out", "-q", *more)
        assert result.exit_code == 0, result.output
        return {kind: replace(value, sources=None) if kind is FitOptions else value for kind, value in found.items()}

    return run


KINDS = {kind for _, kinds in ALL.values() for kind in kinds}
FIELDS = [
    pytest.param(command, kind, *row, id=f"{command}-{row[0]}")
    for command, (_, kinds) in ALL.items()
    for kind in kinds
    for row in declared(kind)
    if row[0] not in WITHOUT.get(command, ())
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("support.ENVIRONMENT", {"NLPKIT_DEVICE": "auto", "NLPKIT_DTYPE": "auto"})


@pytest.mark.parametrize(("command", "kind", "name", "type_", "option"), FIELDS)
def test_every_declared_field_reaches_the_run(arrived, command, kind, name, type_, option):
    default = ALL[command][1][kind]
    words, value = another(name, type_, option, getattr(default, name))
    assert arrived(command, *words) == ALL[command][1] | {kind: replace(default, **{name: value})}


@pytest.mark.parametrize("command", ALL)
def test_without_options_the_run_gets_the_defaults(arrived, command):
    assert arrived(command) == ALL[command][1]


def test_defaults_of_single_commands(arrived):
    assert arrived("train ner", "--threshold", "auto")[FitOptions].threshold is None
    assert KgqaFlags(output="out").options.backbone == "kgqa"
    assert f"[default: {default_model('embed')}]" in helps("train embed")["--model"].replace("- ", "-")


def helps(command):
    """The help of each option, in one line, by its long name."""
    assert tuple(command.split()) in COMMANDS
    found = {}
    for line in invoke(*command.split(), "--help").stdout.split("Options:\n")[1].splitlines():
        if match := re.match(r"  (?:-\w, )?(--[\w-]+)", line):
            name = match[1]
        found[name] = f"{found.get(name, '')} {line.strip()}"
    return found


@pytest.mark.parametrize("command", ALL)
def test_the_help_shows_the_defaults(command):
    shown = helps(command)
    for kind, default in ALL[command][1].items():
        for name, type_, option in declared(kind):
            if name in WITHOUT.get(command, ()) or (command, name) in {
                ("train embed", "dropout"),
                ("train embed", "backbone"),
            }:
                continue
            text = shown[(option.names[0] if option.names else "--" + name.replace("_", "-")).split("/")[0]]
            value = getattr(default, name)
            if value is None and option.none:
                assert f"default: {option.none}" in text
            elif value is not None and value != () and type_ is not bool:
                assert f"default: {value}" in text.replace("- ", "-")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        *(
            (f"train embed --method {method} {{pairs}} {option}", f"No such option: {option.split()[0]}")
            for method in ("simcse", "cosent")
            for option in ("--join 2", "--threshold 0.5", "--beta 0", "--gamma 0", "--merge w", "--dim 8",
                           "--tokens 2000", "--lines 100", "--smoothing 1", "--pair-weight 1")
        ),
        ("train embed --method whitening {gold}", "'whitening' is not one of 'simcse', 'cosent'"),
        ("train embed --method simcse --contrast 1 {pairs}", "--contrast: SimCSE is contrastive itself"),
        ("train embed --method cosent --field text {pairs}", "--field: pairs have fields of their own"),
        *(
            (f"train whitening {{gold}} {option}", f"No such option: {option.split()[0]}")
            for option in ("--epochs 1", "--lr 1", "--dev d", "--seed 1", "--store int8", "--resume", "--scale 1")
        ),
        *(
            (f"train whitening v.npy {option}", f"{option.split()[0]}: does not apply to .npy files of vectors")
            for option in ("--model m", "--pooling cls", "--field text")
        ),
        *(
            (f"train projection --dim 8 {option}", f"No such option: {option.split()[0]}")
            for option in ("--beta 0", "--merge w", "--epochs 1", "--field text", "--encoding gbk")
        ),
        ("train projection --dim 8 {gold}", "unexpected extra argument"),
        *(
            (f"train static {{gold}} {option}", f"No such option: {option.split()[0]}")
            for option in ("--resume", "--batch-size 8", "--dropout 0", "--beta 0", "--method static", "--max-length 9")
        ),
        ("train kgqa --synthesize {graph} --head global", "No such option: --head"),
        ("pretrain {gold} --epochs 2", "No such option: --epochs"),
        ("pretrain {gold} --grow width=2", "--grow enlarges a checkpoint: name it with --init-from DIR"),
    ],
)  # fmt: skip
def test_an_option_that_does_not_apply_is_an_error_in_one_line(fails, files, command, message):
    assert message in fails(2, *command.format(**files).split(), "-o", "out")
