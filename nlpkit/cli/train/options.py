"""The options of training commands, made from the dataclasses that declare them."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import ParameterInfo

from nlpkit.cli import options as opt
from nlpkit.core.io.records import MAX_LINE
from nlpkit.core.training.option import Option
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.errors import UsageError

Given = dict[str, Any]  # values by parameter, as typer passes them
_EMPTY = inspect.Parameter.empty


class Without(frozenset[str]):
    """The fields of a dataclass for which a command has no options, for `Annotated`; they keep their defaults."""


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command for typer: a parameter that is a dataclass becomes an option for each of its fields.

    A field is an option where its type is `Annotated` with an `Option` or with typer's own, or is such a dataclass
    itself. The default of the parameter, an instance, gives the defaults of the options:

    >>> @flat
    ... def pretrain(settings: Annotated[TrainSettings, Without({"epochs"})] = TrainSettings(lr=1e-3)) -> None: ...
    """
    parameters: list[inspect.Parameter] = []
    makers: dict[str, Callable[[Given], Any]] = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        made, makers[name] = _options(name, parameter.annotation, parameter.default)
        parameters += made

    @wraps(command)
    def run(**given: Any) -> None:
        command(**{name: make(given) for name, make in makers.items()})

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _options(name: str, hint: Any, default: Any) -> tuple[list[inspect.Parameter], Callable[[Given], Any]]:
    """Return typer's parameters for one of a command, and the function that makes its value of theirs."""
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if not is_dataclass(kind):
        return [_parameter(name, hint, default)], lambda given: _value(given[name], kind, default)
    settings_type: Any = kind
    left_out = frozenset().union(*(note for note in notes if isinstance(note, Without)))
    hints = _hints(settings_type)
    assert left_out <= set(hints), left_out
    parameters: list[inspect.Parameter] = []
    makers: dict[str, Callable[[Given], Any]] = {}
    for field in fields(kind):
        if field.name not in left_out and _is_declared(hints[field.name]):
            value = _default(field) if default is _EMPTY else getattr(default, field.name)
            made, makers[field.name] = _options(field.name, hints[field.name], value)
            parameters += made

    def make(given: Given) -> Any:
        values = {field: make(given) for field, make in makers.items()}
        return settings_type(**values) if default is _EMPTY else replace(default, **values)

    return parameters, make


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of the fields of a dataclass; several commands share one."""
    return get_type_hints(kind, include_extras=True)


def _is_declared(hint: Any) -> bool:
    """Whether the command line has options for a field of this type."""
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    return is_dataclass(kind) or any(isinstance(note, (Option, ParameterInfo)) for note in notes)


def _default(field: "Field[Any]") -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return _EMPTY if field.default is MISSING else field.default


def _parameter(name: str, hint: Any, default: Any) -> inspect.Parameter:
    """Return the parameter that typer reads; by keyword only, so that required ones may come after others."""
    option = next((note for note in get_args(hint) if isinstance(note, Option)), None)
    if option is not None:
        kind: Any = get_args(hint)[0]
        if get_origin(kind) is tuple:
            kind = list[str] if option.parse else list[get_args(kind)[0]]  # type: ignore[misc]
        elif option.parse:
            kind = str
        named = option if option.names or kind is not bool else replace(option, names=(f"--{name.replace('_', '-')}",))
        if default is None and option.none:
            if option.parse:
                default = option.none
            else:
                named = replace(named, help=f"{option.help.removesuffix('.')} (default: {option.none}).")
        hint = Annotated[kind, opt.typer_option(named)]
    default = (list(default) or None) if isinstance(default, (list, tuple)) else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _value(given: Any, kind: Any, default: Any) -> Any:
    """Return what typer passes in the type of the field: typer knows no tuples of any length, and no empty list."""
    if given is None and isinstance(default, (list, tuple)):
        return default
    return tuple(given) if get_origin(kind) is tuple else given


def as_folder(path: Path) -> Path:
    """Return a path that can become a folder; raise `UsageError` before anything is read if it cannot."""
    existing = next(part for part in (path, *path.parents) if part.exists())
    if not existing.is_dir():
        raise UsageError(f"--output {path}: {existing} is a file; name a folder")
    return path


Folder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", callback=as_folder, help="Checkpoint folder to write.")
]
Settings = Annotated[TrainSettings, Without({"decay", "compile"})]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainFlags:
    """The options of `nlpkit train TASK`."""

    files: opt.Gold
    dev: Annotated[
        list[str],
        typer.Option(metavar="FILE", help="Gold texts on which the best weights are selected; may be repeated."),
    ]
    output: Folder
    options: FitOptions = FitOptions()
    settings: Settings = TrainSettings()
    encoding: opt.Encoding = "utf-8"
    on_error: opt.OnErrorPolicy = "fail"
    max_line: opt.MaxLine = MAX_LINE
    quiet: opt.Quiet = False
