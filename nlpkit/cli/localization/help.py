"""Commands whose help is in the language of the user.

English help is typer's own. Chinese help has a layout of its own, as typer's wraps by characters and at spaces only. It
uses click's public methods alone, since typer has its own copy of click from 0.26 on.
"""

import re
import shutil
from collections.abc import Callable, Iterable
from inspect import cleandoc
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from nlpkit.cli.localization.language import language

_MAX_WIDTH = 80  # cells
_NAMES_WIDTH = 30  # cells for the names of an option; longer ones have a line of their own
_TYPES = {
    "int": "整数", "integer": "整数", "float": "小数", "str": "文本", "text": "文本", "path": "路径",
    "int range": "整数", "integer range": "整数", "float range": "小数", "list[str]": "",
}  # fmt: skip
_ADDED = {"env var: ": "环境变量：", "default: ": "默认：", "; ": "；", "required": "必填"}  # by typer to a help
_TYPE = re.compile(r"(.*?)(?: (<[a-z ]+>|<list\[str\]>|(?:INTEGER|FLOAT|TEXT|PATH)(?: RANGE)?))?")


def localized(text: str) -> str:
    """Return a message in the language of the user."""
    return _translate(text) if language() == "zh" else text


class _Localized:
    """What commands and groups have in common; the next class in the order of resolution is typer's."""

    def get_help(self, ctx: Any) -> str:
        return _help(self, ctx) if language() == "zh" else super().get_help(ctx)  # type: ignore[misc]

    def get_short_help_str(self, limit: int = 45) -> str:
        return _summary(self) if language() == "zh" else super().get_short_help_str(limit)  # type: ignore[misc]

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        return _completions(super().shell_complete(ctx, incomplete))  # type: ignore[misc]


class LocalizedCommand(_Localized, TyperCommand):
    """A command with help in English or Chinese."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_ray_address(args))


def with_ray_address(args: list[str]) -> list[str]:
    """Return arguments with `--ray local` for a --ray without an address; typer has no options with optional values."""
    options = args[: args.index("--")] if "--" in args else args
    if "--ray" in options:
        place = args.index("--ray") + 1
        if place == len(args) or args[place].startswith("-"):
            return [*args[:place], "local", *args[place:]]
    return args


class LocalizedGroup(_Localized, TyperGroup):
    """A group of commands with help in English or Chinese."""


class App(typer.Typer):
    """A group of commands that are localized."""

    def __init__(self, *, cls: type[TyperGroup] = LocalizedGroup, **settings: Any):
        super().__init__(cls=cls, rich_markup_mode=None, **settings)

    @override
    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        return super().command(name, **{"cls": LocalizedCommand, **settings})


def paragraphs(help: str | None) -> list[str]:
    r"""Return the paragraphs of a help text, each as one line; one that begins with `\b` is an example, and kept."""
    found = [each for each in re.split(r"\n[ \t]*\n", cleandoc(help or "")) if each.strip()]
    return [each if each.startswith("\b") else " ".join(each.split()) for each in found]


def _help(command: Any, ctx: Any) -> str:
    """Return the help of a command in Chinese, in lines of at most 80 cells."""
    from nlpkit.cli.localization.wrap import cells, wrap, wrap_command

    width = max(min(ctx.terminal_width or shutil.get_terminal_size().columns, _MAX_WIDTH) - 2, 50)
    usage = f"用法：{ctx.command_path} "
    pieces = " ".join(command.collect_usage_pieces(ctx))
    pieces = pieces.replace("[OPTIONS]", "[选项]").replace("COMMAND [ARGS]...", "命令 [参数]...")
    first, *rest = wrap(pieces, width - cells(usage))
    lines = [usage + first, *(" " * cells(usage) + line for line in rest)]
    for paragraph in paragraphs(command.help):
        lines.append("")
        if paragraph.startswith("\b"):
            for line in paragraph.splitlines()[1:]:
                lines += wrap_command(f"  {line}", width)
        else:
            lines += [f"  {line}" for line in wrap(_translate(paragraph), width - 2)]
    arguments: list[tuple[str, str]] = []
    options: list[tuple[str, str]] = []
    for parameter in command.get_params(ctx):
        if record := parameter.get_help_record(ctx):
            group = arguments if parameter.param_type_name == "argument" else options
            group.append((_names(record[0]), _description(getattr(parameter, "help", None), record[1])))
    lines += _section("参数", arguments, width) + _section("选项", options, width)
    commands = getattr(command, "commands", {})
    shown = [(name, _summary(each)) for name, each in commands.items() if not each.hidden]
    return "\n".join(lines + _section("命令", shown, width))


def _section(title: str, records: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Return the lines of names and descriptions in two columns."""
    from nlpkit.cli.localization.wrap import cells, wrap

    records = list(records)
    if not records:
        return []
    column = min(max(cells(name) for name, _ in records), _NAMES_WIDTH) + 4
    lines = ["", f"{title}："]
    for name, description in records:
        head = f"  {name}"
        wrapped = wrap(description, width - column)
        if cells(head) + 2 > column:
            lines.append(head)
        else:
            lines.append(head + " " * (column - cells(head)) + wrapped.pop(0))
        lines += [" " * column + line for line in wrapped]
    return [line.rstrip() for line in lines]


def _names(text: str) -> str:
    """Return the names of a parameter with its type in Chinese: of `--beam <int range>` or `--beam INTEGER RANGE`."""
    names, type_name = _TYPE.fullmatch(text).groups()  # type: ignore[union-attr]  # matches every text
    if not type_name:
        return text
    word = _TYPES.get(type_name.strip("<>").lower(), type_name)
    return f"{names} {word}".rstrip()


def _description(help: str | None, text: str) -> str:
    """Return a parameter's help and what typer adds to it, `[env var: …; default: …; required]`, in Chinese."""
    from nlpkit.cli.localization.wrap import unbroken

    source = cleandoc(help or "")
    added = text.removeprefix(source).strip().removeprefix("\\")  # old versions escape the bracket for rich
    for english, chinese in _ADDED.items():
        added = added.replace(english, unbroken(chinese))
    added = re.sub(r"\((.*)\)", r"\1", added)  # around a default that is described
    return f"{_translate(' '.join(source.split()))} {added}".strip()


def _summary(command: Any) -> str:
    """Return the first sentence of a command's help in Chinese."""
    first, *_ = [*paragraphs(command.short_help or command.help), ""]
    return _translate(first).split("。")[0]


def _completions(items: Any) -> Any:
    """Return what the shell shows behind options, in the language of the user."""
    if language() == "zh":
        for item in items:
            item.help = _translate(item.help) if item.help else item.help
    return items


def _translate(text: str) -> str:
    from nlpkit.cli.localization.catalogue import translate

    return translate(text)
