"""The texts of nlpkit that need a translation: its help, and its messages with `{}` for each value."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from nlpkit.cli.app import app
from nlpkit.cli.lazy import loaded
from nlpkit.cli.localization.help import paragraphs

HAN = re.compile(r"[\u4e00-\u9fff]")
# what a translation keeps: options, code, JSON keys, suffixes, numbers
KEPT = re.compile(r"--[\w-]+|`[^`]*`|\"[^\"]*\"|<TAB>|(?<!\w)\.\w+|\d+(?:[.e-]+\d+)*")
PACKAGE = Path(__file__).parents[1] / "nlpkit"
_SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
ERRORS = {"NlpkitError", "BadParameter", *re.findall(r"^class (\w+)\(NlpkitError\)", _SOURCE, re.MULTILINE)}
FIRST_ARGUMENT = {
    *ERRORS, "announce", "invalid", "error", "_error", "message", "hint", "_fail", "localized", "progress",
}  # fmt: skip
OTHER_ARGUMENTS = {
    "drop": (0, 1), "repair": (0, 1), "warn": (0, 1), "failure": (1, 2), "Reader": (2,), "FolderKind": (0, 6),
    "RequestError": (2,),
}  # fmt: skip
_LETTER = re.compile(r"[A-Za-z]")


def help_texts() -> set[str]:
    """Return the texts of all help pages: paragraphs of docstrings, and the help of parameters."""
    found = {"Show this message and exit."}
    for command in _commands(get_command(app)):
        found.update(each for each in paragraphs(command.help) if not each.startswith("\b"))
        helps = [getattr(parameter, "help", None) for parameter in command.params]
        found.update(" ".join(each.split()) for each in helps if each)
    return found


def _commands(command: Any) -> Iterator[Any]:
    yield command
    if command is not loaded(command):
        yield from _commands(loaded(command))
    for each in getattr(command, "commands", {}).values():
        yield from _commands(each)


def templates() -> dict[str, str]:
    """Return every message with its place in the source."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for scope in _scopes(tree):
            for call in _own(scope, ast.Call):
                for argument in _messages(call):
                    for text in _texts(argument, scope, tree):
                        found.setdefault(text, f"{path.relative_to(PACKAGE)}:{call.lineno}")
    return found


def constants() -> set[str]:
    """Return every string in the source, f-strings with `{}` for each value."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = _text(node)
            found.update([text, text.replace("{{", "{")] if text is not None else [])
    return found


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _own(scope: ast.AST, kind: type[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function, or of a module, outside the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, kind):
            yield child
        yield from _own(child, kind)


def _messages(call: ast.Call) -> list[ast.expr]:
    name = getattr(call.func, "id", None) or getattr(call.func, "attr", None)
    places = (0,) if name in FIRST_ARGUMENT else OTHER_ARGUMENTS.get(name, ())
    return [call.args[place] for place in places if place < len(call.args)]


def _texts(node: ast.expr, scope: ast.AST, tree: ast.Module) -> Iterator[str]:
    """Yield a message, and the phrases that its values may be."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body, scope, tree)
        yield from _texts(node.orelse, scope, tree)
    elif (text := _text(node)) is not None:
        if any(character.isalpha() for character in text.replace("{}", "")):
            yield text
        for part in ast.walk(node):
            if isinstance(part, ast.FormattedValue):
                for phrase in _texts(part.value, scope, tree):
                    if " " in phrase.strip() and len(_LETTER.findall(phrase)) > 3:
                        yield phrase
    elif isinstance(node, ast.Name):
        for place in (scope, tree):
            for assignment in _own(place, ast.Assign):
                yield from _assigned(node.id, assignment, scope, tree)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name == node.func.id:
                for statement in _own(function, ast.Return):
                    if statement.value is not None:
                        yield from _texts(statement.value, function, tree)


def _assigned(name: str, assignment: ast.Assign, scope: ast.AST, tree: ast.Module) -> Iterator[str]:
    for target in assignment.targets:
        pairs = [(target, assignment.value)]
        if isinstance(target, ast.Tuple) and isinstance(assignment.value, ast.Tuple):
            pairs = list(zip(target.elts, assignment.value.elts, strict=True))
        for each, value in pairs:
            if isinstance(each, ast.Name) and each.id == name and not isinstance(value, ast.Name | ast.Call):
                yield from _texts(value, scope, tree)


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
        return "".join(map(str, parts))
    return None
