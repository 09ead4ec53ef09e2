"""A dataclass of options, spelled out for typer."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from nlpkit.cli.train.options import flat


@dataclass(frozen=True)
class Base:
    files: Annotated[list[str], typer.Argument()]
    name: Annotated[str, typer.Option("--called", "-c", help="As it is called.")]
    size: int = 3


@dataclass(frozen=True, kw_only=True)
class More(Base):
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


def test_the_function_gets_the_object(run):
    result, calls = run("a", "b", "-c", "x")
    assert (result.exit_code, calls) == (0, [("toy", More(files=["a", "b"], name="x"), 0.5)])
    _, calls = run("a", "--called", "y", "--size", "4", "--loud", "--own", "1")
    assert calls[1] == ("toy", More(files=["a"], name="y", size=4, loud=True), 1.0)


def test_help_and_checks_are_typers(run):
    shown = run("--help")[0].stdout
    assert all(word in shown for word in ("What it does.", "--called", "As it is called.", "--size", "--loud", "--own"))
    for args in (["a"], ["-c", "x"], ["a", "-c", "x", "--size", "big"], ["a", "-c", "x", "--own", "-1"]):
        result, calls = run(*args)
        assert (result.exit_code, calls) == (2, [])
